//! The page: a table of all runs, the plots, and each run's workload.

use super::plot::{Frame, Line, colour, over_time, percentiles};
use super::results::{Flow, Interval, Run, Summary};
use std::error::Error;
use std::fmt::Write;

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;margin:2em auto;max-width:960px;color:#222}\
table{border-collapse:collapse;margin:1em 0;font-size:13px}th,td{border:1px solid #ccc;padding:.25em .6em;\
text-align:right}th:first-child,td:first-child{text-align:left}th{background:#f3f3f3}\
svg{max-width:100%;height:auto}.dot{display:inline-block;width:.8em;height:.8em;border-radius:50%;\
margin-right:.4em}code{font-size:12px}";

pub fn page(runs: &[Run]) -> Result<String, Box<dyn Error>> {
    let mut page = String::from("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">");
    write!(page, "<title>duramen-bench</title><style>{STYLE}</style></head><body><h1>duramen-bench</h1>")?;
    page += &table(runs)?;
    for plot in plots(runs)? {
        page += &plot;
    }
    page += &workloads(runs)?;
    page += "</body></html>\n";
    Ok(page)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

fn milliseconds(us: f64) -> String {
    format!("{:.3}", us / 1e3)
}

fn table(runs: &[Run]) -> Result<String, Box<dyn Error>> {
    let mut html = String::from(
        "<table><tr><th>run</th><th>acks</th><th>fsync</th><th></th><th>records/s</th><th>MB/s</th>\
         <th>bytes/batch</th><th>p50 ms</th><th>p90</th><th>p99</th><th>p99.9</th><th>max</th>\
         <th>errors</th><th>retries</th><th>tool CPU s/GB</th></tr>",
    );
    for (number, run) in runs.iter().enumerate() {
        let total = &run.total;
        let errors: u64 = total.errors.values().sum();
        for (verb, flow, latency) in [
            ("produced", &total.produced, &total.latency_us),
            ("consumed", &total.consumed, &total.end_to_end_us),
        ] {
            if flow.records == 0 {
                continue;
            }
            write!(
                html,
                "<tr><td><span class=dot style=\"background:{}\"></span>{}</td><td>{}</td><td>{}</td>\
                 <td>{verb}</td>",
                css(number),
                escape(&run.name),
                escape(&total.acks),
                escape(&total.fsync)
            )?;
            write!(
                html,
                "<td>{:.0}</td><td>{:.2}</td><td>{:.0}</td>{}",
                flow.records_per_second,
                flow.mb_per_second,
                flow.batch_bytes_mean,
                percentile_cells(latency.as_ref())
            )?;
            write!(
                html,
                "<td>{errors}</td><td>{}</td><td>{:.3}</td></tr>",
                total.retries, total.tool_cpu_seconds_per_gb
            )?;
        }
    }
    Ok(html + "</table>")
}

fn percentile_cells(summary: Option<&Summary>) -> String {
    let Some(summary) = summary else { return "<td>–</td>".repeat(5) };
    let values = [summary.p50, summary.p90, summary.p99, summary.p999, summary.max];
    values.iter().map(|value| format!("<td>{}</td>", milliseconds(*value))).collect()
}

fn css(number: usize) -> String {
    let colour = colour(number);
    format!("rgb({},{},{})", colour.0, colour.1, colour.2)
}

/// A line for each run that has points.
fn lines(runs: &[Run], points: impl Fn(&Run) -> Vec<(f64, f64)>) -> Vec<Line> {
    runs.iter().map(|run| Line { name: run.name.clone(), points: points(run) }).collect()
}

fn over<'a>(
    run: &'a Run,
    value: impl Fn(&Interval) -> Option<f64> + 'a,
) -> impl Iterator<Item = (f64, f64)> + 'a {
    // The last piece may be too short to say anything.
    let whole = run.intervals.iter().filter(|interval| interval.seconds >= 0.2);
    whole.filter_map(move |interval| Some((interval.at_seconds, value(interval)?)))
}

fn curve(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let below_all = points.iter().filter(|(percentile, _)| *percentile < 100.0);
    below_all.map(|(percentile, us)| (100.0 / (100.0 - percentile), us / 1e3)).collect()
}

fn plots(runs: &[Run]) -> Result<Vec<String>, Box<dyn Error>> {
    let mut plots = Vec::new();
    let mut add = |lines: Vec<Line>, frame: Frame, by_percentile: bool| -> Result<(), Box<dyn Error>> {
        if lines.iter().any(|line| line.points.len() > 1) {
            plots.push(if by_percentile { percentiles(frame, &lines)? } else { over_time(frame, &lines)? });
        }
        Ok(())
    };
    let seconds = "seconds";
    let flow = |flow: &Flow| (flow.records > 0).then_some(flow.mb_per_second);
    let produced = lines(runs, |run| over(run, |one| flow(&one.produced)).collect());
    add(produced, Frame { title: "Produced", x: seconds, y: "MB/s" }, false)?;
    let consumed = lines(runs, |run| over(run, |one| flow(&one.consumed)).collect());
    add(consumed, Frame { title: "Consumed", x: seconds, y: "MB/s" }, false)?;
    let latency = lines(runs, |run| curve(&run.total.latency_curve_us));
    let title = "Latency from the intended send time to the ack, by percentile";
    add(latency, Frame { title, x: "percentile", y: "ms" }, true)?;
    let end_to_end = lines(runs, |run| curve(&run.total.end_to_end_curve_us));
    let title = "Latency from the intended send time to the consumer, by percentile";
    add(end_to_end, Frame { title, x: "percentile", y: "ms" }, true)?;
    let p99 = |summary: &Option<Summary>| summary.as_ref().map(|summary| summary.p99 / 1e3);
    let over_time = lines(runs, |run| over(run, |one| p99(&one.latency_us)).collect());
    add(over_time, Frame { title: "p99 of each second, to the ack", x: seconds, y: "ms" }, false)?;
    let over_time = lines(runs, |run| over(run, |one| p99(&one.end_to_end_us)).collect());
    add(over_time, Frame { title: "p99 of each second, to the consumer", x: seconds, y: "ms" }, false)?;
    Ok(plots)
}

fn workloads(runs: &[Run]) -> Result<String, Box<dyn Error>> {
    let mut html = String::from("<h2>Workloads</h2>");
    for (number, run) in runs.iter().enumerate() {
        let total = &run.total;
        write!(
            html,
            "<p><span class=dot style=\"background:{}\"></span><b>{}</b>: {}, {:.1} s measured{}<br><code>",
            css(number),
            escape(&run.name),
            escape(&total.command),
            total.seconds,
            if run.intervals.iter().any(|interval| interval.warmup) { " after a warm-up" } else { "" },
        )?;
        for (key, value) in &total.workload {
            write!(html, "{}={} ", escape(key), escape(&value.to_string()))?;
        }
        html += "</code>";
        if let Some(service) = &total.service_us {
            write!(
                html,
                "<br>service time from the send: p50 {} ms, p99 {} ms, max {} ms",
                milliseconds(service.p50),
                milliseconds(service.p99),
                milliseconds(service.max)
            )?;
        }
        if total.failed > 0 {
            write!(html, "<br>{} records given up", total.failed)?;
        }
        for (kind, count) in &total.errors {
            write!(html, "<br>{} × {count}", escape(kind))?;
        }
        html += "</p>";
    }
    Ok(html)
}
