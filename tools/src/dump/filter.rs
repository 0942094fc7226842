//! Which batches a command shows.

use super::cli::{Command, Common};
use super::names::Names;
use super::trouble::Trouble;
use engine::entry::BatchDescriptor;
use engine::ids::PartitionId;
use std::collections::BTreeSet;
use std::ops::Range;

#[derive(Clone, Debug)]
pub struct Filter {
    /// `None` lets all pass.
    partitions: Option<BTreeSet<PartitionId>>,
    offsets: Option<Range<i64>>,
    times: Option<Range<i64>>,
    producer: Option<i64>,
}

/// A filter that a command cannot obey is refused, not passed over.
pub fn refuse_without_meaning(command: &Command, common: &Common) -> Result<(), Trouble> {
    let (name, takes_partitions) = match command {
        Command::Verify(_) => ("verify", false),
        Command::Diff(_) => ("diff", false),
        Command::HardState(_) => ("hard-state", false),
        Command::Meta(_) => ("meta", false),
        Command::Index(_) => ("index", true),
        Command::Checkpoint(_) => ("checkpoint", true),
        Command::Runs(_) => ("runs", true),
        _ => return Ok(()),
    };
    if matches!(command, Command::Keys(_)) && common.producer_id.is_some() {
        return Err(Trouble::Usage("--producer-id means nothing to keys".to_owned()));
    }
    let given = [
        ("--topic", common.topic.is_some() && !takes_partitions),
        ("--partition", common.partition.is_some() && !takes_partitions),
        ("--offsets", common.offsets.is_some()),
        ("--times", common.times.is_some()),
        ("--producer-id", common.producer_id.is_some()),
    ];
    match given.iter().find(|(_, is_given)| *is_given) {
        Some((option, _)) => Err(Trouble::Usage(format!("{option} means nothing to {name}"))),
        None => Ok(()),
    }
}

impl Filter {
    pub fn new(common: &Common, names: &Names) -> Result<Self, Trouble> {
        let partitions = match (&common.topic, common.partition) {
            (None, None) => None,
            (None, Some(id)) => Some(BTreeSet::from([PartitionId(id)])),
            (Some(topic), number) => Some(names.partitions_of(topic, number)?),
        };
        Ok(Self {
            partitions,
            offsets: common.offsets.clone(),
            times: common.times.clone(),
            producer: common.producer_id,
        })
    }

    /// True when every batch passes.
    pub fn is_open(&self) -> bool {
        self.partitions.is_none() && self.offsets.is_none() && self.times.is_none() && self.producer.is_none()
    }

    pub fn takes_partition(&self, partition: PartitionId) -> bool {
        self.partitions.as_ref().is_none_or(|partitions| partitions.contains(&partition))
    }

    pub fn takes(&self, batch: &BatchDescriptor) -> bool {
        let (first, next) = (batch.base_offset().0, batch.next_offset().0);
        let (from, to) = (oldest_ms(batch), batch.max_timestamp.get());
        self.takes_partition(batch.partition())
            && self.offsets.as_ref().is_none_or(|wanted| first < wanted.end && wanted.start < next)
            && self.times.as_ref().is_none_or(|wanted| from < wanted.end && wanted.start <= to)
            && self.producer.is_none_or(|producer| batch.producer_id.get() == producer)
    }

    /// A record of a batch that passes.
    pub fn takes_record(&self, offset: i64, timestamp_ms: i64) -> bool {
        self.offsets.as_ref().is_none_or(|wanted| wanted.contains(&offset))
            && self.times.as_ref().is_none_or(|wanted| wanted.contains(&timestamp_ms))
    }
}
/// The time of a batch's first record; a marker's descriptor has another thing in its place.
pub fn oldest_ms(batch: &BatchDescriptor) -> i64 {
    if batch.is_marker() { batch.max_timestamp.get() } else { batch.base_timestamp.get() }
}
