//! What is said of a run: a line each second, the anomalies by Jepsen's names, and the history of a chapter that has any.

use super::book::Tally;
use crate::trouble::{Outcome, Trouble};
use crate::verify::jepsen::anomaly::Anomaly;
use crate::verify::jepsen::history::Operation;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

/// Of each name so many are told in full.
const EXAMPLES: usize = 5;
/// Histories of so many chapters are kept: one is some megabytes.
const HISTORIES: u32 = 3;

/// A line of JSON for each second.
#[derive(Debug, Serialize)]
pub struct Second {
    pub r#type: &'static str,
    pub at_seconds: f64,
    pub chapter: u32,
    #[serde(flatten)]
    pub told: Tally,
    pub anomalies: u64,
}

impl Second {
    /// The same for people, with how many were committed since the second before.
    pub fn line(&self, committed_before: u64) -> String {
        let Tally { committed, aborted, unknown, crashed, copied, read, .. } = self.told;
        format!(
            "{:6.1} s  chapter {}  {} committed/s, {committed} in all, {aborted} aborted, {unknown} unknown, {copied} copied, \
             {read} read, {crashed} clients replaced, {} anomalies",
            self.at_seconds,
            self.chapter,
            committed - committed_before,
            self.anomalies
        )
    }
}

/// All that was found, by name.
#[derive(Debug, Default, Serialize)]
pub struct Anomalies {
    pub by_name: BTreeMap<&'static str, u64>,
    pub examples: Vec<String>,
    #[serde(skip)]
    histories: u32,
}

#[derive(Serialize)]
struct FindingsLine<'a> {
    r#type: &'static str,
    clean: bool,
    chapters: u32,
    #[serde(flatten)]
    told: Tally,
    anomalies: &'a BTreeMap<&'static str, u64>,
    examples: &'a [String],
}

#[derive(Serialize)]
struct Line<'a> {
    chapter: u32,
    uncommitted: bool,
    #[serde(flatten)]
    operation: &'a Operation,
}

impl Anomalies {
    pub fn count(&self) -> u64 {
        self.by_name.values().sum()
    }

    /// Takes what one chapter had; its history is kept when that was anything.
    pub fn add(
        &mut self,
        chapter: u32,
        found: &[Anomaly],
        histories: (&[Operation], &[Operation]),
        file: &Path,
    ) -> Outcome<()> {
        for anomaly in found {
            let count = self.by_name.entry(anomaly.name()).or_default();
            *count += 1;
            if *count <= EXAMPLES as u64 {
                self.examples.push(format!("chapter {chapter}: {anomaly}"));
            }
        }
        if found.is_empty() || self.histories >= HISTORIES {
            return Ok(());
        }
        self.histories += 1;
        let wrong = |error: std::io::Error| Trouble::Usage(format!("{}: {error}", file.display()));
        let mut to = BufWriter::new(File::options().create(true).append(true).open(file).map_err(wrong)?);
        for (uncommitted, history) in [(false, histories.0), (true, histories.1)] {
            for operation in history {
                let line = serde_json::to_string(&Line { chapter, uncommitted, operation });
                writeln!(to, "{}", line.expect("plain figures are JSON")).map_err(wrong)?;
            }
        }
        to.flush().map_err(wrong)
    }

    pub fn json(&self, chapters: u32, told: Tally) -> String {
        let line = FindingsLine {
            r#type: "findings",
            clean: self.by_name.is_empty(),
            chapters,
            told,
            anomalies: &self.by_name,
            examples: &self.examples,
        };
        serde_json::to_string(&line).expect("plain figures are JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anomalies_are_counted_by_name_and_the_history_is_kept() {
        let file = std::env::temp_dir().join(format!("duramen-history-{}", std::process::id()));
        let mut all = Anomalies::default();
        let history = [Operation {
            process: 1,
            outcome: crate::verify::jepsen::history::Outcome::Ok,
            steps: vec![crate::verify::jepsen::history::Step::Moved],
        }];
        all.add(1, &[], (&history, &[]), &file).expect("nothing to write");
        assert!(!file.exists(), "nothing was found");
        let lost: Vec<Anomaly> = (0..9).map(|value| Anomaly::LostWrite { key: 1, value }).collect();
        all.add(2, &lost, (&history, &history), &file).expect("written");
        let kept = std::fs::read_to_string(&file).expect("written");
        std::fs::remove_file(&file).expect("ours");
        assert_eq!(kept.lines().count(), 2);
        let json: serde_json::Value = serde_json::from_str(&all.json(2, Tally::default())).expect("JSON");
        assert_eq!((&json["anomalies"]["lost-write"], &json["clean"]), (&9.into(), &false.into()));
        assert_eq!(json["examples"].as_array().expect("a list").len(), EXAMPLES);
    }
}
