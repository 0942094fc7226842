//! `duramen may-stop`: asks every node what it knows, and says whether the named ones may be stopped together.

use super::cluster;
use super::out::Out;
use super::reach::Reach;
use crate::observe::health_row::HealthRow;
use crate::observe::may_stop::{Reason, Unwell, merged, reasons, unwell};
use crate::process::refusal::{EXIT_REFUSED, Refusal};
use engine::health::Kind;
use serde::Serialize;
use std::collections::BTreeSet;
use std::process::ExitCode;

#[derive(Serialize)]
struct Report {
    nodes: Vec<u32>,
    may_stop: bool,
    reasons: Vec<Reason>,
}

pub fn run(nodes: &[u32], reach: &Reach, out: Out) -> Result<ExitCode, Refusal> {
    let reasons = why_not(nodes, reach)?;
    let report = Report { nodes: nodes.to_vec(), may_stop: reasons.is_empty(), reasons };
    out.show(&report, Report::text)?;
    Ok(if report.may_stop { ExitCode::SUCCESS } else { ExitCode::from(EXIT_REFUSED) })
}

impl Report {
    fn text(&self) -> String {
        let nodes: Vec<String> = self.nodes.iter().map(u32::to_string).collect();
        let nodes = nodes.join(", ");
        if self.may_stop {
            return format!("node(s) {nodes} may stop\n");
        }
        let lines = self.reasons.iter().map(|reason| format!("  {reason}\n"));
        format!("node(s) {nodes} may not stop:\n{}", lines.collect::<String>())
    }
}

/// Why these nodes may not be stopped, all at once; nothing where they may.
pub fn why_not(nodes: &[u32], reach: &Reach) -> Result<Vec<Reason>, Refusal> {
    let told = cluster::ask_standings(reach)?;
    let mut unwell = unwell_of(&told.findings);
    // Who does not answer counts for nothing.
    unwell.extend(told.silent.iter().map(|node| (*node, None)));
    let stopping: BTreeSet<u32> = nodes.iter().copied().collect();
    Ok(reasons(&merged(&told.standings), &unwell, &stopping))
}

fn unwell_of(findings: &[HealthRow]) -> Unwell {
    unwell(findings.iter().filter_map(|row| Some((Kind::of_name(&row.what)?, row.node, row.journal))))
}
