//! What a replica reads batches from: its containers, oldest first, and which partitions each has.
//!
//! The log (entries, for raft, followers and recovery) is another view of the same files. What a container has is
//! entered into the fence in the background, oldest first; one that is not entered yet may have any partition, and
//! is looked into.

use super::container::Sealed;
use super::fence::{Fence, Leg};
use super::index::{Item, PartitionFacts};
use super::sealed_index::IndexError;
use crate::ids::{Index, Offset, PartitionId};
use core::cell::RefCell;
use core::ops::Range;
use std::collections::VecDeque;
use std::rc::Rc;

/// A container, and what of it is alive.
struct Held {
    sealed: Rc<Sealed>,
    /// Partitions that have something alive in it.
    alive: u32,
    /// Bytes of batches of partitions that have nothing alive in it.
    dead_bytes: u64,
}

/// Invariants:
/// - Containers ascend; container n of the journal is `held[n − first]`.
/// - `first ≤ dead_up_to ≤ entered ≤ end`: all below `dead_up_to` are dead whole, all below `entered` are in the fence.
/// - A partition's offsets ascend from container to container.
#[derive(Default)]
struct State {
    first: u64,
    held: VecDeque<Held>,
    entered: u64,
    /// Partitions of container `entered` that are in the fence already.
    entered_rows: u32,
    dead_up_to: u64,
    fence: Fence,
    /// Of all containers, and of those below `dead_up_to`.
    dead_bytes: u64,
    dead_front_bytes: u64,
}

/// The containers of a journal. Readers are given a [`Finder`].
#[derive(Default)]
pub struct Catalog(Rc<RefCell<State>>);

/// Finds containers in the catalog as it then is. What it found is held, and stays until it is let go.
#[derive(Clone)]
pub struct Finder(Rc<RefCell<State>>);

/// A container to be entered, from one of its partitions on.
pub struct ToEnter {
    pub sealed: Rc<Sealed>,
    pub first_row: u32,
}

/// Some of a container's partitions, as its index has them.
pub struct Entering {
    pub base: Index,
    pub partitions: Vec<PartitionFacts>,
    pub is_last: bool,
}

impl State {
    fn end(&self) -> u64 {
        self.first + self.held.len() as u64
    }

    fn at(&self, number: u64) -> Option<&Held> {
        self.held.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    fn at_mut(&mut self, number: u64) -> &mut Held {
        let at = number.checked_sub(self.first).expect("a container that is not gone");
        &mut self.held[at as usize]
    }

    fn check(&self) {
        assert!(
            self.first <= self.dead_up_to && self.dead_up_to <= self.entered && self.entered <= self.end(),
            "first {} dead {} entered {} end {}",
            self.first,
            self.dead_up_to,
            self.entered,
            self.end()
        );
        assert!(self.dead_front_bytes <= self.dead_bytes);
    }

    /// Moves on over containers that have nothing alive.
    fn note_dead_front(&mut self) {
        while self.dead_up_to < self.entered
            && let Some(held) = self.at(self.dead_up_to)
            && held.alive == 0
        {
            self.dead_front_bytes += held.dead_bytes;
            self.dead_up_to += 1;
        }
        self.check();
    }
}

impl Catalog {
    /// Sealed segments that follow one another, none of them entered yet.
    pub fn new(sealed: impl IntoIterator<Item = Rc<Sealed>>) -> Self {
        let catalog = Self::default();
        sealed.into_iter().for_each(|sealed| catalog.push(sealed));
        catalog
    }

    pub fn finder(&self) -> Finder {
        Finder(Rc::clone(&self.0))
    }

    /// A segment behind all others was sealed.
    pub fn push(&self, sealed: Rc<Sealed>) {
        let mut state = self.0.borrow_mut();
        let last = state.held.back().map(|held| held.sealed.last);
        assert!(last.is_none_or(|last| last.next() == sealed.base), "containers follow one another");
        state.held.push_back(Held { sealed, alive: 0, dead_bytes: 0 });
        state.check();
    }

    /// The same segment with an index that was made again.
    pub fn replace(&self, new: &Rc<Sealed>) {
        let mut state = self.0.borrow_mut();
        let at = state.held.partition_point(|held| held.sealed.base < new.base);
        let held = state.held.get_mut(at).filter(|held| held.sealed.base == new.base);
        held.expect("a container that is read stays").sealed = Rc::clone(new);
    }

    /// The oldest container goes. All in it must be dead.
    pub fn pop_front(&self) -> Rc<Sealed> {
        let mut state = self.0.borrow_mut();
        assert!(state.first < state.dead_up_to, "container {} is alive", state.first);
        let held = state.held.pop_front().expect("what is dead is there");
        state.first += 1;
        state.dead_bytes -= held.dead_bytes;
        state.dead_front_bytes -= held.dead_bytes;
        state.check();
        held.sealed
    }

    /// The oldest container that is not entered yet.
    pub fn to_enter(&self) -> Option<ToEnter> {
        let state = self.0.borrow();
        let held = state.at(state.entered)?;
        Some(ToEnter { sealed: Rc::clone(&held.sealed), first_row: state.entered_rows })
    }

    /// More of what [`Self::to_enter`] named, the last of it when `is_last`.
    pub fn enter(&self, base: Index, partitions: &[PartitionFacts], is_last: bool) {
        let mut state = self.0.borrow_mut();
        let number = state.entered;
        let held = state.at_mut(number);
        assert_eq!(held.sealed.base, base, "containers are entered one after the other");
        held.alive += partitions.len() as u32;
        for facts in partitions {
            state.fence.note(number, facts);
        }
        state.entered_rows += partitions.len() as u32;
        if is_last {
            (state.entered, state.entered_rows) = (number + 1, 0);
            state.note_dead_front();
        }
    }

    /// What a container has of a partition is dead, as is all that those before it have.
    pub fn note_dead(&self, partition: PartitionId, container: u64, bytes: u64) {
        let mut state = self.0.borrow_mut();
        assert!(container < state.entered, "container {container} dies before it is entered");
        state.fence.note_dead(partition, container);
        let held = state.at_mut(container);
        assert!(held.alive > 0, "container {container} has nothing alive that could die");
        held.alive -= 1;
        held.dead_bytes += bytes;
        state.dead_bytes += bytes;
        if container < state.dead_up_to {
            state.dead_front_bytes += bytes;
        }
        state.note_dead_front();
    }

    /// Up to `count` partitions behind this one that are in the fence, ascending.
    pub fn partitions_behind(&self, last: Option<PartitionId>, count: usize) -> Vec<PartitionId> {
        self.0.borrow().fence.partitions_behind(last, count)
    }

    /// Forgets where the partition was in containers that are gone.
    pub fn trim(&self, partition: PartitionId) {
        let mut state = self.0.borrow_mut();
        let first = state.first;
        state.fence.forget_below(partition, first);
    }

    /// Whether the oldest container is dead whole.
    pub fn is_front_dead(&self) -> bool {
        let state = self.0.borrow();
        state.dead_up_to > state.first
    }

    /// The first entry whose batches can be read from a container.
    pub fn first(&self) -> Option<Index> {
        self.0.borrow().held.front().map(|held| held.sealed.base)
    }

    /// Dead bytes in all containers.
    pub fn dead_bytes(&self) -> u64 {
        self.0.borrow().dead_bytes
    }

    /// Dead bytes behind the first container that something alive keeps.
    pub fn pinned_bytes(&self) -> u64 {
        let state = self.0.borrow();
        state.dead_bytes - state.dead_front_bytes
    }

    /// What the fence takes in memory, bytes.
    pub fn fence_bytes(&self) -> usize {
        self.0.borrow().fence.memory_bytes()
    }
}

impl Finder {
    /// The first container from `from` on that may have records of the partition at or after `time`.
    pub fn next(&self, partition: PartitionId, from: u64, time: i64) -> Option<(u64, Rc<Sealed>)> {
        let state = self.0.borrow();
        let fenced = state.fence.next(partition, from.max(state.first)..state.entered, time);
        let number = fenced.unwrap_or(from.max(state.entered));
        state.at(number).map(|held| (number, Rc::clone(&held.sealed)))
    }

    /// As [`Self::next`], of the containers in the fence alone.
    pub fn next_entered(&self, partition: PartitionId, from: u64) -> Option<(u64, Rc<Sealed>)> {
        let state = self.0.borrow();
        let number = state.fence.next(partition, from.max(state.first)..state.entered, i64::MIN)?;
        state.at(number).map(|held| (number, Rc::clone(&held.sealed)))
    }

    /// The next step of a walk that looks for the newest time behind `offset`.
    pub fn leg(&self, partition: PartitionId, from: u64, offset: Offset) -> Option<Leg> {
        let state = self.0.borrow();
        let fenced = state.fence.leg(partition, from.max(state.first)..state.entered, offset);
        let open = from.max(state.entered);
        fenced.or_else(|| state.at(open).map(|_| Leg::One(open)))
    }

    pub fn container(&self, number: u64) -> Option<Rc<Sealed>> {
        self.0.borrow().at(number).map(|held| Rc::clone(&held.sealed))
    }

    /// The first container that may have something alive of the partition.
    pub fn alive_from(&self, partition: PartitionId) -> u64 {
        let state = self.0.borrow();
        state.fence.alive_from(partition).max(state.first)
    }

    /// The container that holds `offset`, or else the first behind it that has the partition, and up to `items_max`
    /// of its items from there on.
    pub async fn items_from(
        &self,
        partition: PartitionId,
        offset: Offset,
        items_max: usize,
    ) -> Result<Option<(Rc<Sealed>, Vec<Item>)>, IndexError> {
        let mut from = self.last_that_begins(partition, offset).await?;
        while let Some((number, sealed)) = self.next(partition, from, i64::MIN) {
            let items = sealed.index.items_from(partition, offset, items_max).await?;
            if !items.is_empty() {
                return Ok(Some((sealed, items)));
            }
            from = number + 1;
        }
        Ok(None)
    }

    /// The last container in the fence where the partition begins at or below `offset`, or one before it.
    async fn last_that_begins(&self, partition: PartitionId, offset: Offset) -> Result<u64, IndexError> {
        let around = {
            let state = self.0.borrow();
            let range: Range<u64> = state.first..state.entered;
            state.fence.around(partition, offset, &range)
        };
        let (mut low, mut high) = (0, around.len());
        while low < high {
            let middle = low + (high - low) / 2;
            // One that was deleted meanwhile began below all that is asked for.
            let first = match self.container(around[middle]) {
                Some(sealed) => sealed.index.facts(partition).await?.map(|facts| facts.first_offset),
                None => Some(Offset(i64::MIN)),
            };
            if first.is_some_and(|first| first <= offset) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low.checked_sub(1).map_or(0, |at| around[at]))
    }
}

#[cfg(test)]
#[path = "catalog_tests.rs"]
mod tests;
