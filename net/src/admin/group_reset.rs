//! `duramen group reset`: where a group's offsets are moved to, and the commit that moves them.

use crate::admin::connection::Connection;
use crate::admin::group_report::{self, Offsets};
use crate::admin::kafka_error::check;
use crate::admin::offsets::{self, Spread};
use crate::admin::out::{self};
use crate::admin::reach::Reach;
use crate::admin::topic_report::{self, left_out};
use crate::kafka::errors::code;
use crate::process::refusal::Refusal;
use clap::Args;
use kafka_wire::OffsetCommitRequest;
use kafka_wire::offset_commit_request::{OffsetCommitRequestPartition, OffsetCommitRequestTopic};
use serde::Serialize;
use std::collections::BTreeMap;

/// Where to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    Earliest,
    Latest,
    Offset(i64),
    /// Milliseconds since 1970.
    Time(i64),
    /// From where the group is.
    Shifted(i64),
}

#[derive(Serialize, Debug, PartialEq, Eq)]
pub struct ResetRow {
    topic: String,
    partition: i32,
    /// `None` where nothing was committed.
    before: Option<i64>,
    offset: i64,
}

pub fn table(rows: &[ResetRow]) -> String {
    let cells = rows.iter().map(|row| {
        [row.topic.clone(), row.partition.to_string(), out::or_dash(row.before), row.offset.to_string()]
    });
    out::table(["topic", "partition", "before", "offset"], cells)
}

pub fn reset(
    coordinator: &mut Connection,
    reach: &Reach,
    wanted: &ResetArguments,
    to: To,
) -> Result<Vec<ResetRow>, Refusal> {
    let group = group_report::find(coordinator, &wanted.name)?;
    let members = group.map_or(0, |group| group.members.len());
    if members > 0 {
        let (name, count) = (&wanted.name, members);
        let what = format!("group '{name}' has {count} member(s), which would overwrite what is set");
        return Err(Refusal::refused(what, "stop them first"));
    }
    let committed = group_report::committed(coordinator, &wanted.name)?;
    let rows = plan(coordinator, reach, wanted, to, &committed)?;
    if !wanted.dry_run {
        commit(coordinator, &wanted.name, &wanted.topic, &rows)?;
    }
    Ok(rows)
}

fn plan(
    connection: &mut Connection,
    reach: &Reach,
    wanted: &ResetArguments,
    to: To,
    committed: &Offsets,
) -> Result<Vec<ResetRow>, Refusal> {
    let name = wanted.topic.as_str();
    let metadata = topic_report::metadata(connection, Some(&[name]))?;
    let topic = metadata.topics.first().ok_or_else(|| left_out(connection))?;
    check(&format!("topic '{name}'"), topic.error_code, None)?;
    let spread = offsets::ask(reach, &metadata, topic);
    let at_time = match to {
        To::Time(time_ms) => offsets::at(reach, &metadata, topic, time_ms),
        _ => BTreeMap::new(),
    };
    let mut numbers: Vec<i32> = topic.partitions.iter().map(|one| one.partition_index).collect();
    numbers.sort_unstable();
    if let Some(unknown) = wanted.partition.iter().find(|number| !numbers.contains(number)) {
        check(&format!("partition {name}-{unknown}"), code::UNKNOWN_TOPIC_OR_PARTITION, None)?;
    }
    numbers.retain(|number| wanted.partition.is_empty() || wanted.partition.contains(number));
    let row = |partition: i32| {
        let before = committed.get(&(name.to_owned(), partition)).copied();
        let offset = target(to, before, &spread, at_time.get(&partition).copied(), partition);
        let offset = offset.ok_or_else(|| {
            let what = format!("partition {name}-{partition}: its leader does not answer");
            Refusal::environment(what, "see `duramen cluster status`")
        })?;
        Ok(ResetRow { topic: name.to_owned(), partition, before, offset })
    };
    numbers.into_iter().map(row).collect()
}

/// Within what there is; `None` where the partition's ends are not known.
fn target(to: To, before: Option<i64>, spread: &Spread, at_time: Option<i64>, partition: i32) -> Option<i64> {
    let extent = spread.get(&partition)?;
    let (first, next) = (extent.first?, extent.next?);
    let offset = match to {
        To::Earliest => first,
        To::Latest => next,
        To::Offset(offset) => offset,
        // After the last record there is the end.
        To::Time(_) => at_time.filter(|offset| *offset >= 0).unwrap_or(next),
        To::Shifted(by) => before.unwrap_or(first).saturating_add(by),
    };
    Some(offset.clamp(first, next))
}

/// As a client that is no member: the broker takes it while the group is empty, and makes a group that is not there.
/// Versions above 9 name topics by ids.
fn commit(coordinator: &mut Connection, group: &str, topic: &str, rows: &[ResetRow]) -> Result<(), Refusal> {
    let partition = |row: &ResetRow| {
        let mut partition = OffsetCommitRequestPartition::default();
        (partition.partition_index, partition.committed_offset) = (row.partition, row.offset);
        (partition.committed_leader_epoch, partition.committed_metadata) = (-1, Some("".into()));
        partition
    };
    let mut named = OffsetCommitRequestTopic::default();
    (named.name, named.partitions) = (topic.into(), rows.iter().map(partition).collect());
    let mut request = OffsetCommitRequest::default();
    (request.group_id, request.generation_id_or_member_epoch) = (group.into(), -1);
    (request.retention_time_ms, request.topics) = (-1, vec![named]);
    let response = coordinator.call_at_most(2, 9, &request)?;
    let partitions = response.topics.iter().flat_map(|topic| &topic.partitions);
    for one in partitions {
        check(&format!("offset of {topic}-{}", one.partition_index), one.error_code, None)?;
    }
    Ok(())
}

#[derive(Args, Debug)]
pub struct ResetArguments {
    /// Name of the group
    pub name: String,
    /// Topic whose offsets are set
    #[arg(long, value_name = "TOPIC")]
    pub topic: String,
    /// Only this partition. May be given more than once [default: all]
    #[arg(long, value_name = "N")]
    pub partition: Vec<i32>,
    #[command(flatten)]
    pub to: ToArguments,
    /// Show what would be set, and set nothing
    #[arg(long)]
    pub dry_run: bool,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub struct ToArguments {
    /// To the first offset that there is
    #[arg(long)]
    to_earliest: bool,
    /// To the next offset to be written
    #[arg(long)]
    to_latest: bool,
    /// To this offset, or the nearest that there is
    #[arg(long, value_name = "N")]
    to_offset: Option<i64>,
    /// To the first record at or after this time, in milliseconds since 1970
    #[arg(long, value_name = "MS")]
    to_time: Option<i64>,
    /// By so many offsets from where the group is, back if negative
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    shift_by: Option<i64>,
}

impl ToArguments {
    pub fn to(&self) -> To {
        match (self.to_earliest, self.to_offset, self.to_time, self.shift_by) {
            (true, ..) => To::Earliest,
            (_, Some(offset), ..) => To::Offset(offset),
            (_, _, Some(time_ms), _) => To::Time(time_ms),
            (.., Some(by)) => To::Shifted(by),
            _ => To::Latest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::offsets::Extent;

    #[test]
    fn a_target_is_always_one_that_there_is() {
        let spread =
            Spread::from([(0, Extent { first: Some(10), next: Some(50), bytes: None, ..Extent::default() })]);
        let target = |to, before, at_time| target(to, before, &spread, at_time, 0);
        assert_eq!(target(To::Earliest, None, None), Some(10));
        assert_eq!(target(To::Latest, None, None), Some(50));
        assert_eq!(target(To::Offset(7), None, None), Some(10));
        assert_eq!(target(To::Offset(99), None, None), Some(50));
        assert_eq!(target(To::Time(1), None, Some(30)), Some(30));
        assert_eq!(target(To::Time(1), None, Some(-1)), Some(50));
        assert_eq!(target(To::Shifted(-5), Some(30), None), Some(25));
        assert_eq!(target(To::Shifted(5), None, None), Some(15));
        assert_eq!(super::target(To::Latest, None, &spread, None, 1), None);
    }
}
