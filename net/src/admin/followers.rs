//! How far followers are, as the leaders' metrics pages tell it: also of a node that does not
//! answer itself.

use super::out;
use super::scrape::Page;
use serde::Serialize;
use std::collections::BTreeMap;

/// A follower of one journal, by its leader's word.
#[derive(Serialize, Clone, Debug, Default, PartialEq)]
pub struct FollowerRow {
    journal: u64,
    /// The leader's page.
    at: String,
    /// The follower's.
    node: u64,
    lag_entries: u64,
    lag_bytes: u64,
    lag_seconds: f64,
    in_sync: bool,
    full: bool,
}

pub fn of_page(at: &str, page: &Page) -> Vec<FollowerRow> {
    let mut rows: BTreeMap<(u64, u64), FollowerRow> = BTreeMap::new();
    let mut read = |name: &str, set: fn(&mut FollowerRow, f64)| {
        for sample in page.all(name) {
            let label = |name: &str| sample.labels.get(name).and_then(|value| value.parse().ok());
            let (Some(journal), Some(node)) = (label("journal"), label("node")) else { continue };
            let row = rows.entry((journal, node)).or_default();
            (row.journal, row.node, row.at) = (journal, node, at.to_owned());
            set(row, sample.value);
        }
    };
    read("follower_lag_entries", |row, value| row.lag_entries = value as u64);
    read("follower_lag_bytes", |row, value| row.lag_bytes = value as u64);
    read("follower_lag_seconds", |row, value| row.lag_seconds = value);
    read("follower_in_sync", |row, value| row.in_sync = value == 1.0);
    read("follower_full", |row, value| row.full = value == 1.0);
    rows.into_values().collect()
}

pub fn table(rows: &[FollowerRow]) -> String {
    let header = ["journal", "leader at", "follower", "lag", "bytes", "seconds", "in sync", "full"];
    out::table(header, rows.iter().map(FollowerRow::cells))
}

impl FollowerRow {
    /// By which rows are sorted.
    pub fn place(&self) -> (u64, u64) {
        (self.journal, self.node)
    }

    fn cells(&self) -> [String; 8] {
        let yes = |is: bool| if is { "yes" } else { "" }.to_owned();
        [
            self.journal.to_string(),
            self.at.clone(),
            format!("node {}", self.node),
            self.lag_entries.to_string(),
            out::bytes(self.lag_bytes),
            format!("{:.1}", self.lag_seconds),
            yes(self.in_sync),
            yes(self.full),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_followers_lag_is_read_from_its_leaders_page() {
        let lines: String =
            [("lag_entries", "7"), ("lag_bytes", "8192"), ("lag_seconds", "12.5"), ("in_sync", "0")]
                .map(|(name, value)| {
                    format!("duramen_follower_{name}{{shard=\"0\",journal=\"4\",node=\"3\"}} {value}\n")
                })
                .concat();
        let rows = of_page("h:9644", &Page::parse(&lines));
        assert_eq!(rows.len(), 1);
        assert_eq!((rows[0].node, rows[0].lag_entries, rows[0].lag_bytes), (3, 7, 8192));
        assert!(table(&rows).contains("node 3"), "{}", table(&rows));
    }
}
