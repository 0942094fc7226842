//! The journal's part in following the metadata: which partitions it opens, and which it drops.

use super::Journal;
use crate::clock::Now;
use crate::collections::Set;
use crate::control::view::{PartitionView, View};
use crate::entry::item::Item;
use crate::ids::{Offset, PartitionId, SpanNumber};
use crate::journal::effects::Effects;

impl Journal {
    /// Opens partitions that the metadata placed here and drops those that it deleted.
    pub fn follow_view(&mut self, view: &View, now: Now, fx: &mut Effects) {
        if !self.is_leader() {
            return;
        }
        let mut items = self.to_open(view);
        items.extend(self.to_drop(view));
        let items = self.not_queued(items);
        self.queue_items(items, Vec::new());
        self.propose_queued(now, fx);
    }

    fn to_open(&self, view: &View) -> Vec<Item> {
        let partitions = view.topics.values().flat_map(|topic| &topic.partitions);
        partitions.filter_map(|partition| self.opening_of(partition)).collect()
    }

    /// Of a partition whose newest span is in this journal and not known here.
    fn opening_of(&self, partition: &PartitionView) -> Option<Item> {
        let span = partition.spans.last().filter(|span| span.journal == self.id)?;
        let number = SpanNumber(partition.spans.len() as u32 - 1);
        let known = self.ledger.tail.span(&self.ledger.state.fold, partition.id);
        known.is_none_or(|known| known < number).then(|| Item::PartitionOpened {
            partition: partition.id,
            span: number,
            first_offset: Offset(span.first_offset),
            epoch_base: span.epoch_base,
            producers: Vec::new(),
        })
    }

    /// Partitions that are kept here and were deleted.
    fn to_drop(&self, view: &View) -> Vec<Item> {
        let fold = &self.ledger.state.fold;
        let is_to_go = |id: &PartitionId| view.was_deleted(*id) && self.ledger.tail.is_kept(fold, *id);
        fold.ids().filter(is_to_go).map(|partition| Item::PartitionDropped { partition }).collect()
    }

    /// Those that do not wait already.
    fn not_queued(&self, mut items: Vec<Item>) -> Vec<Item> {
        if items.is_empty() || self.ledger.queued_items.is_empty() {
            return items;
        }
        let which = |item: &Item| match item {
            Item::PartitionOpened { partition, span, .. } => Some((*partition, Some(*span))),
            Item::PartitionDropped { partition } => Some((*partition, None)),
            _ => None,
        };
        let queued = self.ledger.queued_items.iter().flat_map(|(items, _)| items);
        let queued: Set<_> = queued.filter_map(which).collect();
        items.retain(|item| which(item).is_none_or(|which| !queued.contains(&which)));
        items
    }
}
