//! Tables for people.

use super::progress::milliseconds;
use crate::stats::result::{Flow, RunResult};
use crate::stats::spread::Spread;
use crate::verify::acked::Title;
use crate::verify::judge::Findings;
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, Table};

fn new(head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(UTF8_FULL_CONDENSED).set_header(head.to_vec());
    for (at, column) in table.column_iter_mut().enumerate() {
        let alignment = if at == 0 { CellAlignment::Left } else { CellAlignment::Right };
        column.set_cell_alignment(alignment);
    }
    table
}

/// Everything of a run.
pub fn result(result: &RunResult) -> String {
    let mut text = String::new();
    let workload = &result.workload;
    text += &format!(
        "{}: {} topic(s) × {} partition(s), {} B records, batches up to {} B, {}, key {}, rate {}\n",
        result.command,
        workload.topics,
        workload.partitions,
        workload.record_bytes,
        workload.batch_bytes,
        crate::options::Acks(workload.acks).describe(workload.idempotence),
        workload.key,
        workload.rate,
    );
    text += &format!("acks {}; fsync: {}\n", result.acks(), result.fsync);
    text += &flows(result);
    text += &latencies(result);
    text += &costs(result);
    if let Some(failure) = &result.failure {
        text += &format!("\nended early: {failure}");
    }
    text.trim_end().to_owned()
}

fn flows(result: &RunResult) -> String {
    let mut table =
        new(&["", "records", "records/s", "MB/s", "batches", "bytes/batch", "records/batch", "requests"]);
    for (name, flow) in [("produced", result.produced()), ("consumed", result.consumed())] {
        let Flow { counts, .. } = &flow;
        if counts.records == 0 && counts.requests == 0 {
            continue;
        }
        table.add_row(vec![
            name.to_owned(),
            counts.records.to_string(),
            format!("{:.0}", flow.records_per_second),
            format!("{:.2}", flow.mb_per_second),
            counts.batches.to_string(),
            format!("{:.0}", flow.batch_bytes_mean),
            format!("{:.1}", flow.batch_records_mean),
            counts.requests.to_string(),
        ]);
    }
    format!("{table}\n")
}

fn latencies(result: &RunResult) -> String {
    let mut table = new(&["", "mean", "p50", "p90", "p99", "p99.9", "p99.99", "max"]);
    let totals = &result.totals;
    let rows: [(&str, &Spread); 3] = [
        ("latency, from the intended time", &totals.latency),
        ("service, from the send", &totals.service),
        ("end to end, to the consumer", &totals.end_to_end),
    ];
    for (name, spread) in rows {
        if spread.0.is_empty() {
            continue;
        }
        let summary = spread.summary();
        let mut row = vec![name.to_owned(), milliseconds(summary.mean as u64)];
        let percentiles = [summary.p50, summary.p90, summary.p99, summary.p999, summary.p9999, summary.max];
        row.extend(percentiles.map(milliseconds));
        table.add_row(row);
    }
    if table.is_empty() { String::new() } else { format!("{table}\n") }
}

fn costs(result: &RunResult) -> String {
    let totals = &result.totals;
    let mut text = format!(
        "in {:.2} s; this tool: {:.2} CPU s, {:.3} CPU s/GB; retries {}, records given up {}; errors: ",
        result.seconds(),
        result.cpu_seconds(),
        result.cpu_seconds_per_gb(),
        totals.retries,
        totals.failed,
    );
    if totals.errors.is_empty() {
        text += "none";
    }
    let kinds: Vec<String> = totals.errors.iter().map(|(kind, count)| format!("{kind} × {count}")).collect();
    text += &kinds.join(", ");
    if totals.unmade > 0 {
        let unmade = totals.unmade;
        text += &format!(
            "\n{unmade} records were due at the end and had found no room: the brokers are slower than the rate"
        );
    }
    if totals.end_to_end_coarse > 0 {
        text += "\nend to end is known to the millisecond only where records are compressed or short";
    }
    text
}

/// What `verify` found.
pub fn findings(findings: &Findings, title: &Title) -> String {
    let mut table = new(&["records", "count", ""]);
    let duplicates = if title.idempotence { "must be 0" } else { "without idempotence no fault" };
    for (name, count, note) in [
        ("acked", findings.acked, ""),
        ("present", findings.present, ""),
        ("lost", findings.lost, "must be 0"),
        ("duplicated", findings.duplicated, duplicates),
        ("reordered", findings.reordered, "must be 0"),
        ("moved", findings.moved, "must be 0"),
        ("corrupt", findings.corrupt, "must be 0"),
        ("unacked but present", findings.unacked, "no fault"),
        ("of other runs", findings.foreign, "no fault"),
    ] {
        table.add_row(vec![name.to_owned(), count.to_string(), note.to_owned()]);
    }
    let mut text = format!("{table}\n");
    for example in &findings.examples {
        text += &format!("{example}\n");
    }
    let clean = findings.is_clean(title.idempotence);
    text += if clean { "clean" } else { "NOT CLEAN" };
    text
}
