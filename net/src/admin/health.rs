//! The journals as the nodes' metrics pages have them: who leads, how far each replica is, what is
//! damaged.

use super::followers::{self, FollowerRow};
use super::out;
use super::scrape::Page;
use crate::address::Address;
use crate::refusal::Refusal;
use serde::Serialize;
use std::collections::BTreeMap;
use std::time::Duration;

/// One replica of one journal.
#[derive(Serialize, Clone, Debug, Default, PartialEq, Eq)]
pub struct JournalRow {
    journal: u64,
    /// The page that it is from.
    at: String,
    shard: u64,
    leads: bool,
    commit: u64,
    durable: u64,
    /// Entries of the leader's that this replica does not have on disk; `None` when the leader's
    /// page was not among those named.
    lag_entries: Option<u64>,
    live_bytes: u64,
    dead_bytes: u64,
    pinned_bytes: u64,
    damaged_ranges: u64,
    full: bool,
    #[serde(skip)]
    last: u64,
}

/// What the pages that were named say.
#[derive(Default)]
pub struct Health {
    pub journals: Vec<JournalRow>,
    pub followers: Vec<FollowerRow>,
    /// Pages that cannot be had, and why.
    pub silent: Vec<String>,
    /// Nodes whose replicas do not all count yet.
    pub joining: Vec<String>,
}

/// Reads these pages. A node may be down: that is what one asks for.
pub fn read(pages: &[String], timeout: Duration) -> Result<Health, Refusal> {
    let mut health = Health::default();
    for text in pages {
        let address = Address::parse("--metrics", text)?;
        match Page::get(&address, timeout) {
            Ok(page) => {
                health.journals.extend(of_page(text, &page));
                health.followers.extend(followers::of_page(text, &page));
                health.joining.extend(joining(text, &page));
            }
            Err(refusal) => health.silent.push(refusal.what),
        }
    }
    fill_lag(&mut health.journals);
    health.journals.sort_by(|one, other| (one.journal, &one.at).cmp(&(other.journal, &other.at)));
    health.followers.sort_by_key(|row| row.place());
    Ok(health)
}

fn joining(at: &str, page: &Page) -> Option<String> {
    let replicas = page.all("replicas_joining").map(|sample| sample.value as u64).sum::<u64>();
    let why = "until they do no other node may lose its disk";
    (replicas > 0).then(|| format!("{replicas} replica(s) at {at} do not count yet: {why}"))
}

fn of_page(at: &str, page: &Page) -> Vec<JournalRow> {
    let mut rows: BTreeMap<(u64, u64), JournalRow> = BTreeMap::new();
    let mut read = |name: &str, set: fn(&mut JournalRow, u64)| {
        for sample in page.all(name) {
            let label = |name: &str| sample.labels.get(name).and_then(|value| value.parse().ok());
            let (Some(journal), Some(shard)) = (label("journal"), label("shard")) else { continue };
            let row = rows.entry((journal, shard)).or_default();
            (row.journal, row.shard, row.at) = (journal, shard, at.to_owned());
            set(row, sample.value as u64);
        }
    };
    read("journal_is_leader", |row, value| row.leads = value == 1);
    read("journal_commit_index", |row, value| row.commit = value);
    read("journal_durable_index", |row, value| row.durable = value);
    read("journal_last_index", |row, value| row.last = value);
    read("journal_live_bytes", |row, value| row.live_bytes = value);
    read("journal_dead_bytes", |row, value| row.dead_bytes = value);
    read("journal_pinned_bytes", |row, value| row.pinned_bytes = value);
    read("journal_damaged_ranges", |row, value| row.damaged_ranges = value);
    read("journal_full", |row, value| row.full = value == 1);
    rows.into_values().collect()
}

fn fill_lag(rows: &mut [JournalRow]) {
    let leaders: BTreeMap<u64, u64> =
        rows.iter().filter(|row| row.leads).map(|row| (row.journal, row.last)).collect();
    for row in rows {
        row.lag_entries = leaders.get(&row.journal).map(|last| last.saturating_sub(row.durable));
    }
}

pub fn table(rows: &[JournalRow]) -> String {
    let header = [
        "journal", "at", "shard", "leads", "commit", "durable", "lag", "live", "dead", "pinned", "damaged",
        "full",
    ];
    out::table(header, rows.iter().map(JournalRow::cells))
}

impl JournalRow {
    fn cells(&self) -> [String; 12] {
        let yes = |is: bool| if is { "yes" } else { "" }.to_owned();
        [
            self.journal.to_string(),
            self.at.clone(),
            self.shard.to_string(),
            yes(self.leads),
            self.commit.to_string(),
            self.durable.to_string(),
            out::or_dash(self.lag_entries),
            out::bytes(self.live_bytes),
            out::bytes(self.dead_bytes),
            out::bytes(self.pinned_bytes),
            self.damaged_ranges.to_string(),
            yes(self.full),
        ]
    }

    /// What a person should look at.
    pub fn problems(&self) -> Vec<String> {
        let (journal, at) = (self.journal, &self.at);
        let mut problems = Vec::new();
        if self.damaged_ranges > 0 {
            let ranges = self.damaged_ranges;
            problems.push(format!(
                "journal {journal} at {at} has {ranges} damaged range(s): see the broker's log"
            ));
        }
        if self.full {
            problems.push(format!("journal {journal} at {at} is full: free space where its data is"));
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lag_is_what_a_replica_lacks_of_the_leaders_entries() {
        let row = |at: &str, leads, last, durable| JournalRow {
            journal: 3,
            at: at.to_owned(),
            leads,
            last,
            durable,
            ..JournalRow::default()
        };
        let mut rows = [row("a", true, 10, 10), row("b", false, 8, 7)];
        fill_lag(&mut rows);
        assert_eq!([rows[0].lag_entries, rows[1].lag_entries], [Some(0), Some(3)]);
        let mut alone = [row("b", false, 8, 7)];
        fill_lag(&mut alone);
        assert_eq!(alone[0].lag_entries, None);
    }

    #[test]
    fn a_node_whose_replicas_do_not_all_count_is_named() {
        let page = |figures: [u64; 2]| {
            let line = |(shard, figure)| format!("duramen_replicas_joining{{shard=\"{shard}\"}} {figure}\n");
            Page::parse(&figures.into_iter().enumerate().map(line).collect::<String>())
        };
        assert_eq!(joining("h:9644", &page([0, 0])), None);
        let named = joining("h:9644", &page([2, 1])).expect("three");
        assert!(named.starts_with("3 replica(s) at h:9644 do not count yet"), "{named}");
    }

    #[test]
    fn damage_and_a_full_disk_are_problems() {
        let well = JournalRow::default();
        assert!(well.problems().is_empty());
        let unwell = JournalRow { damaged_ranges: 2, full: true, ..well };
        assert_eq!(unwell.problems().len(), 2);
    }
}
