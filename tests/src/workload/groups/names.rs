//! Which group is where.

use crate::workload::coordinators::{coordinator_of, is_newest_of};
use crate::workload::{Ctx, Place};
use engine::groups::OFFSETS_TOPIC;

/// The topic that members commit offsets of; nobody writes to it.
pub const TOPIC: &str = "work";

pub fn name(group: usize) -> String {
    format!("group-{group}")
}

/// Where a group's coordinator is, as the node asked believes.
pub fn coordinator(ctx: &Ctx<'_>, group: usize) -> Option<Place> {
    coordinator_of(ctx, OFFSETS_TOPIC, &name(group))
}

/// See [`is_newest_of`].
pub fn is_newest(ctx: &Ctx<'_>, group: usize, from: Place) -> bool {
    is_newest_of(ctx, OFFSETS_TOPIC, &name(group), from)
}
