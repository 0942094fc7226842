//! What a new topic or more partitions must satisfy. The proposer asks them of its view, so that
//! a refused request costs no entry (and `validate_only` nothing at all); `apply` asks them again
//! of the state, which is the one that counts.

use super::command::Place;
use super::command_error::CommandError;
use super::config::check_topic_configs;
use super::config::effective::Configs;
use super::names::check_new_name;
use super::nodes::NodeView;
use crate::ids::NodeId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// One command makes a topic whole, and it must fit an entry's share of a turn: 10,000 partitions
/// are placed in 2 ms. Kafka's controller stops at the same number.
pub const TOPIC_PARTITIONS_MAX: u32 = 10_000;
/// Each partition costs a few hundred bytes on every replica and in every view: 100,000 take
/// about 50 MiB of a node, which the smallest allowed budget (128 MiB a shard) still bears.
pub const CLUSTER_PARTITIONS_MAX: u32 = 100_000;

/// What there is when a rule is asked.
pub struct Existing<'a, T> {
    pub topics: &'a BTreeMap<Arc<str>, T>,
    pub nodes: &'a BTreeMap<NodeId, Arc<NodeView>>,
    pub lanes: u16,
    pub partitions: usize,
}

/// A topic to be made.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    pub name: &'a str,
    pub partitions: u32,
    pub replication_factor: u16,
    pub configs: &'a [(String, String)],
    /// A place for each partition; none: the placement's own.
    pub by_hand: &'a [Place],
}

/// Checks all of it; gives back the settings by name.
pub fn check_new_topic<T>(existing: &Existing<'_, T>, wanted: Wanted<'_>) -> Result<Configs, CommandError> {
    check_new_name(existing.topics, wanted.name)?;
    if wanted.partitions == 0 {
        let reason = "Number of partitions was set to an invalid non-positive value.".to_owned();
        return Err(CommandError::InvalidPartitions(reason));
    }
    check_replication_factor(wanted.replication_factor, existing.nodes.len())?;
    let configs = check_topic_configs(wanted.configs)?;
    check_partition_limits(wanted.partitions, wanted.partitions, existing.partitions)?;
    check_places(existing, wanted.by_hand, (wanted.partitions, wanted.replication_factor))?;
    Ok(configs)
}

/// A topic of `current` partitions with so many copies is to have `total`.
pub fn check_more_partitions<T>(
    existing: &Existing<'_, T>,
    (current, total): (u32, u32),
    replication_factor: u16,
    by_hand: &[Place],
) -> Result<(), CommandError> {
    if total < current {
        return Err(CommandError::InvalidPartitions(format!(
            "The topic currently has {current} partition(s), which is higher than the requested {total}."
        )));
    }
    if total == current {
        return Err(CommandError::InvalidPartitions(format!("Topic already has {current} partition(s).")));
    }
    check_partition_limits(total, total - current, existing.partitions)?;
    check_places(existing, by_hand, (total - current, replication_factor))
}

/// Places by hand are as many as there are new partitions, each of as many different nodes as
/// there are copies, in a lane that there is.
fn check_places<T>(
    existing: &Existing<'_, T>,
    by_hand: &[Place],
    (partitions, replication_factor): (u32, u16),
) -> Result<(), CommandError> {
    let is_good = |place: &Place| {
        let nodes: BTreeSet<NodeId> = place.replicas.iter().copied().collect();
        place.lane.0 < existing.lanes
            && nodes.len() == place.replicas.len()
            && nodes.len() == usize::from(replication_factor)
            && nodes.iter().all(|node| existing.nodes.contains_key(node))
    };
    let is_all = by_hand.is_empty() || by_hand.len() == partitions as usize;
    match by_hand.iter().find(|place| !is_good(place)) {
        None if is_all => Ok(()),
        None => Err(CommandError::InvalidPlace(format!(
            "{} places were given for {partitions} new partition(s).",
            by_hand.len()
        ))),
        Some(place) => Err(CommandError::InvalidPlace(format!(
            "A partition of {replication_factor} copies cannot be in lane {} on the nodes {:?}.",
            place.lane,
            place.replicas.iter().map(|node| node.0).collect::<Vec<_>>()
        ))),
    }
}

pub(super) fn check_replication_factor(factor: u16, nodes: usize) -> Result<(), CommandError> {
    let reason = match factor {
        0 => "Replication factor must be larger than 0.".to_owned(),
        2 => "Replication factor 2 is refused: a quorum of 2 is both, so it stops with either node and \
              keeps data no better than 1; use 1 or 3."
            .to_owned(),
        _ if factor.is_multiple_of(2) => format!(
            "Replication factor {factor} is refused: its quorum bears no more lost nodes than that of {}; \
             use an odd number.",
            factor - 1
        ),
        _ if usize::from(factor) > nodes => format!(
            "Unable to replicate the partition {factor} time(s): The target replication factor of \
             {factor} cannot be reached because only {nodes} node(s) are in the cluster."
        ),
        _ => return Ok(()),
    };
    Err(CommandError::InvalidReplicationFactor(reason))
}

fn check_partition_limits(in_topic: u32, new: u32, in_cluster: usize) -> Result<(), CommandError> {
    if in_topic > TOPIC_PARTITIONS_MAX {
        return Err(CommandError::LimitReached(format!(
            "{in_topic} partitions: a topic may have {TOPIC_PARTITIONS_MAX}."
        )));
    }
    if in_cluster + new as usize > CLUSTER_PARTITIONS_MAX as usize {
        return Err(CommandError::LimitReached(format!(
            "{new} partitions more than the cluster's {in_cluster}: it may have {CLUSTER_PARTITIONS_MAX}."
        )));
    }
    Ok(())
}
