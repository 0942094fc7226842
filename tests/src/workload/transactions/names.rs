//! What loops are called, and where their partitions are.

use super::super::Ctx;
use super::super::apart::TOPICS;
use engine::control::view::PartitionView;
use std::sync::Arc;

/// Of each topic; in more than one journal.
pub const PARTITIONS: i32 = 2;

/// The group that keeps a loop's offsets.
pub fn group(of: usize) -> String {
    format!("loop-{of}")
}

/// The partitions of a loop's topic, where all are made.
pub fn partitions(ctx: &Ctx<'_>, topic: usize) -> Option<Vec<PartitionView>> {
    let view = ctx.view()?;
    let topic = Arc::clone(view.topics.get(TOPICS[topic])?);
    Some(topic.partitions.clone())
}
