//! A finding as it travels and is shown: in `/readyz?verbose`, in `duramen cluster status`, and between
//! the two as JSON in a tagged field of DescribeCluster, which other clients pass over.

use engine::health::{Finding, Kind, Subject};
use engine::ids::{JournalId, NodeId};
use kafka_wire_core::{Bytes, TaggedField, TaggedFields};
use serde::{Deserialize, Serialize};
use std::time::{SystemTime, UNIX_EPOCH};

/// `dura`: far above the tags that Kafka gives out one by one. In a request it asks for the findings, in
/// the answer it holds them.
const TAG: u32 = u32::from_be_bytes(*b"dura");
/// `cert`: beside the findings, in the answer alone, where the node has a certificate: when that ends, seconds since
/// 1970, as the metric tells it.
const CERTIFICATE_TAG: u32 = u32::from_be_bytes(*b"cert");
/// Findings in one answer: of more than that nobody reads the last.
const ROWS_MAX: usize = 1000;

/// One thing that is wrong, in words.
#[derive(Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
pub struct HealthRow {
    /// [`Kind::name`], or what only the asker can know.
    pub what: String,
    pub severity: String,
    pub node: Option<u32>,
    pub journal: Option<u64>,
    /// Some of the journal's topics.
    pub topics: Vec<String>,
    /// Milliseconds since 1970, where that is known.
    pub since_ms: Option<i64>,
    pub text: String,
    pub meaning: String,
    pub remedy: String,
}

impl HealthRow {
    pub fn of(findings: &[Finding]) -> Vec<Self> {
        let row = |finding: &Finding| Self {
            what: finding.what.kind().name().to_owned(),
            severity: finding.what.kind().severity().name().to_owned(),
            node: finding.node.map(|node| node.0),
            journal: finding.journal.map(|journal| journal.0),
            topics: finding.topics.names.iter().map(|name| name.to_string()).collect(),
            since_ms: Some(finding.since_ms),
            text: finding.to_string(),
            meaning: finding.meaning().to_owned(),
            remedy: finding.remedy().to_owned(),
        };
        findings.iter().take(ROWS_MAX).map(row).collect()
    }

    /// By which rows of several nodes are merged; none where the kind is a newer node's.
    pub fn subject(&self) -> Option<Subject> {
        Some(Subject {
            kind: Kind::of_name(&self.what)?,
            node: self.node.map(NodeId),
            journal: self.journal.map(JournalId),
            since_ms: self.since_ms?,
        })
    }

    /// What, since when, what it means, what to do.
    pub fn text(&self, now_ms: i64) -> String {
        let Self { text, meaning, remedy, since_ms, .. } = self;
        let since = since_ms.map_or_else(String::new, |since_ms| {
            format!(", since {} ({} s)", utc(since_ms), now_ms.saturating_sub(since_ms).max(0) / 1000)
        });
        format!("{text}{since}\n  means: {meaning}\n  do: {remedy}\n")
    }
}

/// Asks for findings, in a request of DescribeCluster.
pub fn question() -> TaggedFields {
    tagged(Bytes::new())
}

pub fn is_asked(tags: &TaggedFields) -> bool {
    tags.contains_tag(TAG)
}

/// The answer's fields.
pub fn answer(findings: &[Finding], certificate_end_s: Option<i64>) -> TaggedFields {
    let rows = serde_json::to_vec(&HealthRow::of(findings)).expect("rows are plain values");
    let end = certificate_end_s.map(|end_s| end_s.to_string().into_bytes());
    let end = end.map(|end| TaggedField::new(CERTIFICATE_TAG, end.into()));
    let fields = end.into_iter().chain([TaggedField::new(TAG, rows.into())]);
    TaggedFields::from_sorted(fields.collect()).expect("c is before d")
}

/// When the certificate of the node ends that answered, where it has one and says so.
pub fn read_certificate_end_s(tags: &TaggedFields) -> Option<i64> {
    let field = tags.iter().find(|field| field.tag() == CERTIFICATE_TAG)?;
    std::str::from_utf8(field.data()).ok()?.parse().ok()
}

/// What the answer's field holds; none where the broker is another one or an older one.
pub fn read_answer(tags: &TaggedFields) -> Option<Vec<HealthRow>> {
    let field = tags.iter().find(|field| field.tag() == TAG)?;
    serde_json::from_slice(field.data()).ok()
}

fn tagged(data: Bytes) -> TaggedFields {
    TaggedFields::from_sorted(vec![TaggedField::new(TAG, data)]).expect("one is sorted")
}

/// The wall clock, milliseconds since 1970.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// `2026-11-30 09:01:12 UTC`.
pub fn utc(ms: i64) -> String {
    let (days, second) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000) / 1000);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// Year, month and day, so many days after 1970-01-01. Years begin in March here, so that the day that
/// some of them have more is their last one.
fn date(days: i64) -> (i64, i64, i64) {
    let from_march = days + 719_468;
    let (era, day_of_era) = (from_march.div_euclid(146_097), from_march.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::health::{Topics, What};

    #[test]
    fn findings_survive_their_way_and_other_clients_fields_are_none() {
        let finding = Finding {
            what: What::ReplicaBehind { entries: 3 },
            node: Some(NodeId(2)),
            journal: Some(JournalId(4)),
            since_ms: 5,
            unready: false,
            topics: Topics { names: vec!["t".into()], more: 0 },
        };
        let rows = read_answer(&answer(std::slice::from_ref(&finding), Some(77))).expect("an answer");
        assert_eq!(rows, HealthRow::of(std::slice::from_ref(&finding)));
        assert_eq!(rows[0].subject(), Some(Subject::of(&finding)));
        assert!(
            rows[0].text(65_005).contains(", since 1970-01-01 00:00:00 UTC (65 s)\n"),
            "{}",
            rows[0].text(65_005)
        );
        assert_eq!(read_certificate_end_s(&answer(&[], Some(77))), Some(77));
        assert_eq!(read_certificate_end_s(&answer(&[], None)), None);
        assert!(is_asked(&question()) && !is_asked(&TaggedFields::default()));
        assert_eq!(read_answer(&TaggedFields::default()), None);
    }

    #[test]
    fn times_are_as_people_read_them() {
        for (ms, text) in [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_399_000, "2000-02-28 23:59:59 UTC"),
            (951_782_400_999, "2000-02-29 00:00:00 UTC"),
            (951_868_800_000, "2000-03-01 00:00:00 UTC"),
            (1_796_029_272_000, "2026-11-30 09:01:12 UTC"),
            (-1000, "1969-12-31 23:59:59 UTC"),
        ] {
            assert_eq!(utc(ms), text);
        }
    }
}
