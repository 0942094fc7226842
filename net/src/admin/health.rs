//! The journals as the nodes' metrics pages have them: who leads, how far each replica is, what is
//! damaged. What of it is wrong is the nodes' to say.

use super::followers::{self, FollowerRow};
use super::out;
use super::scrape::Page;
use serde::Serialize;
use std::collections::BTreeMap;

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

/// The journals and their followers, as these pages have them; each with the name it was given.
pub fn read(pages: &[(&str, &Page)]) -> (Vec<JournalRow>, Vec<FollowerRow>) {
    let mut journals: Vec<JournalRow> = pages.iter().flat_map(|(at, page)| of_page(at, page)).collect();
    let mut followers: Vec<FollowerRow> =
        pages.iter().flat_map(|(at, page)| followers::of_page(at, page)).collect();
    fill_lag(&mut journals);
    journals.sort_by(|one, other| (one.journal, &one.at).cmp(&(other.journal, &other.at)));
    followers.sort_by_key(|row| row.place());
    (journals, followers)
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
}
