//! Where partitions begin and end, asked of their leaders.

use super::directory::Directory;
use super::errors;
use crate::clock::backoff;
use crate::trouble::{Outcome, Trouble};
use kafka_wire::ListOffsetsRequest;
use kafka_wire::list_offsets_request::{ListOffsetsPartition, ListOffsetsTopic};
use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

const LIST_OFFSETS_VERSION: i16 = 6;

/// Which end of a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Latest,
    Earliest,
    /// Up to which all transactions are decided.
    Stable,
}

impl End {
    /// The protocol's timestamp and isolation level.
    fn asked(self) -> (i64, i8) {
        match self {
            Self::Latest => (-1, 0),
            Self::Earliest => (-2, 0),
            Self::Stable => (-1, 1),
        }
    }
}

/// The offsets of all partitions of the run; waits for leaders, at most so long.
pub fn list(directory: &Directory, partitions: u32, end: End, at_most: Duration) -> Outcome<Vec<i64>> {
    let begun = Instant::now();
    let all = directory.topics().len() * partitions as usize;
    let mut found: Vec<Option<i64>> = vec![None; all];
    for tries in 1.. {
        let why = match round(directory, partitions, end, &mut found) {
            Ok(None) => return Ok(found.into_iter().flatten().collect()),
            Ok(Some(why)) => why,
            Err(error) => error.to_string(),
        };
        if begun.elapsed() > at_most {
            let missing = found.iter().filter(|offset| offset.is_none()).count();
            return Err(Trouble::Cluster(format!(
                "the offsets of {missing} partitions are not known: {why}"
            )));
        }
        std::thread::sleep(backoff(tries));
        let _ = directory.refresh();
    }
    unreachable!("the loop has no end of its own")
}

/// Asks every leader for what is not known yet; says why something still is not.
fn round(
    directory: &Directory,
    partitions: u32,
    end: End,
    found: &mut [Option<i64>],
) -> io::Result<Option<String>> {
    let leaders = directory.leaders();
    let mut by_leader: BTreeMap<i32, Vec<usize>> = BTreeMap::new();
    let mut why = None;
    for (partition, _) in found.iter().enumerate().filter(|(_, offset)| offset.is_none()) {
        match leaders.leader[partition] {
            Some(leader) => by_leader.entry(leader).or_default().push(partition),
            None => why = Some("some partitions have no leader".to_owned()),
        }
    }
    for (leader, wanted) in by_leader {
        let address = leaders.brokers.get(&leader);
        let address = address.ok_or_else(|| io::Error::other(format!("broker {leader} is not there")))?;
        let request = request(directory, partitions, end, &wanted);
        let response = directory.connect(address)?.call(LIST_OFFSETS_VERSION, &request)?;
        for topic in &response.topics {
            let Some(number) = directory.topic_number(topic.name.as_str()) else { continue };
            for partition in &topic.partitions {
                let at = number * partitions as usize + partition.partition_index as usize;
                if partition.error_code == 0 {
                    found[at] = Some(partition.offset);
                } else {
                    why = Some(errors::name(partition.error_code));
                }
            }
        }
    }
    Ok(why)
}

fn request(directory: &Directory, partitions: u32, end: End, wanted: &[usize]) -> ListOffsetsRequest {
    let mut request = ListOffsetsRequest::default();
    let (timestamp, isolation) = end.asked();
    (request.replica_id, request.isolation_level) = (-1, isolation);
    let mut topics: BTreeMap<usize, ListOffsetsTopic> = BTreeMap::new();
    for partition in wanted {
        let number = partition / partitions as usize;
        let topic = topics.entry(number).or_default();
        topic.name = directory.topics()[number].as_str().into();
        let mut one = ListOffsetsPartition::default();
        one.partition_index = (partition % partitions as usize) as i32;
        one.current_leader_epoch = -1;
        one.timestamp = timestamp;
        topic.partitions.push(one);
    }
    request.topics = topics.into_values().collect();
    request
}
