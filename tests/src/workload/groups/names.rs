//! Which group is where.

use crate::workload::{Ctx, Place};
use engine::coordinator::partition_of;
use engine::groups::OFFSETS_TOPIC;
use engine::ids::JournalId;

/// The topic that members commit offsets of; nobody writes to it.
pub const TOPIC: &str = "work";

pub fn name(group: usize) -> String {
    format!("group-{group}")
}

/// Where a group's coordinator is, as the node asked believes.
pub fn coordinator(ctx: &Ctx<'_>, group: usize) -> Option<Place> {
    let view = ctx.view()?;
    let partitions = &view.topics.get(OFFSETS_TOPIC)?.partitions;
    ctx.leader(partitions[partition_of(&name(group), partitions.len() as i32) as usize].id)
}

/// Whether nobody has led the group's partition in a newer term than this node, one that has ended since
/// included. Clients of a broker that was deposed and does not know yet are told what that one knew, as
/// Kafka's are: no promise is broken by that, but nothing can be said of newer ones.
pub fn is_newest(ctx: &Ctx<'_>, group: usize, from: Place) -> bool {
    let Some(journal) = journal_of(ctx, group) else { return false };
    let mut journals =
        ctx.world.nodes[from.node].shards.iter().filter_map(|slot| slot.shard.journal(journal));
    let leads = journals.next().filter(|journal| journal.is_leader()).map(|journal| journal.standing().term);
    leads.is_some() && leads == ctx.model.newest_terms.get(&journal).copied()
}

pub fn journal_of(ctx: &Ctx<'_>, group: usize) -> Option<JournalId> {
    let view = ctx.view()?;
    let partitions = &view.topics.get(OFFSETS_TOPIC)?.partitions;
    let partition = &partitions[partition_of(&name(group), partitions.len() as i32) as usize];
    Some(partition.spans.last()?.journal)
}
