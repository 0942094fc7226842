//! Which coordinator is where: whoever leads the partition of its topic.

use super::{Ctx, Place};
use engine::control::view::PartitionView;
use engine::coordinator::partition_of;
use std::sync::Arc;

/// Where the coordinator of `key` is, as the node asked believes.
pub fn coordinator_of(ctx: &Ctx<'_>, topic: &str, key: &str) -> Option<Place> {
    ctx.leader(partition(ctx, topic, key)?.id)
}

/// Whether nobody has led the partition of `key` in a newer term than this node, one that has ended since
/// included. Clients of a broker that was deposed and does not know yet are told what that one knew, as
/// Kafka's are: no promise is broken by that, but nothing can be said of newer ones.
pub fn is_newest_of(ctx: &Ctx<'_>, topic: &str, key: &str, from: Place) -> bool {
    let journal = || Some(partition(ctx, topic, key)?.spans.last()?.journal);
    let Some(journal) = journal() else { return false };
    let mut journals =
        ctx.world.nodes[from.node].shards.iter().filter_map(|slot| slot.shard.journal(journal));
    let leads = journals.next().filter(|journal| journal.is_leader()).map(|journal| journal.standing().term);
    leads.is_some() && leads == ctx.model.newest_terms.get(&journal).copied()
}

fn partition(ctx: &Ctx<'_>, topic: &str, key: &str) -> Option<PartitionView> {
    let view = ctx.view()?;
    let topic = Arc::clone(view.topics.get(topic)?);
    Some(topic.partitions[partition_of(key, topic.partitions.len() as i32) as usize].clone())
}
