//! What a new topic or more partitions must satisfy. The proposer asks them of its view, so that
//! a refused request costs no entry (and `validate_only` nothing at all); `apply` asks them again
//! of the state, which is the one that counts.

use super::command::CommandError;
use super::config::check_topic_configs;
use super::config::effective::Configs;
use super::names::check_new_name;
use std::collections::BTreeMap;
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
    pub nodes: usize,
    pub partitions: usize,
}

/// A topic to be made.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    pub name: &'a str,
    pub partitions: u32,
    pub replication_factor: u16,
    pub configs: &'a [(String, String)],
}

/// Checks all of it; gives back the settings by name.
pub fn check_new_topic<T>(existing: &Existing<'_, T>, wanted: Wanted<'_>) -> Result<Configs, CommandError> {
    check_new_name(existing.topics, wanted.name)?;
    if wanted.partitions == 0 {
        let reason = "Number of partitions was set to an invalid non-positive value.".to_owned();
        return Err(CommandError::InvalidPartitions(reason));
    }
    check_replication_factor(wanted.replication_factor, existing.nodes)?;
    let configs = check_topic_configs(wanted.configs)?;
    check_partition_limits(wanted.partitions, wanted.partitions, existing.partitions)?;
    Ok(configs)
}

/// A topic of `current` partitions is to have `total`.
pub fn check_more_partitions(current: u32, total: u32, in_cluster: usize) -> Result<(), CommandError> {
    if total < current {
        return Err(CommandError::InvalidPartitions(format!(
            "The topic currently has {current} partition(s), which is higher than the requested {total}."
        )));
    }
    if total == current {
        return Err(CommandError::InvalidPartitions(format!("Topic already has {current} partition(s).")));
    }
    check_partition_limits(total, total - current, in_cluster)
}

fn check_replication_factor(factor: u16, nodes: usize) -> Result<(), CommandError> {
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
