//! What a replica reads batches from: its containers, oldest first, and which partitions each has.
//!
//! The log (entries, for raft, followers and recovery) is another view of the same files. What a container has is
//! entered into the fence in the background, oldest first; one that is not entered yet may have any partition, and
//! is looked into.

use super::container::{Container, Sealed};
use super::fence::{Fence, Leg};
use super::index::{Item, PartitionFacts};
use super::run::OpenRun;
use super::sealed_index::IndexError;
use crate::ids::{Index, Offset, PartitionId, RunId};
use crate::rewrite::RunChunk;
use core::cell::RefCell;
use core::ops::Range;
use std::collections::VecDeque;
use std::rc::Rc;

/// A container, and what of it is alive.
struct Held {
    container: Container,
    /// Partitions that have something alive in it.
    alive: u32,
    /// Bytes of batches of partitions that have nothing alive in it.
    dead_bytes: u64,
}

/// Invariants:
/// - A run comes before all segments, and stands for all that were before them.
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
    pub number: u64,
    pub container: Container,
    pub first_row: u32,
}

/// Where some of a partition's batches are.
pub enum FoundIn {
    Items(Rc<Sealed>, Vec<Item>),
    Chunks(Rc<OpenRun>, Vec<RunChunk>),
}

/// Some of a container's partitions, as its index has them.
pub struct Entering {
    pub number: u64,
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
    /// A run, if there is one, and sealed segments that follow one another, none of them entered yet. Of the segments those
    /// count that the run does not stand for.
    pub fn new(run: Option<Rc<OpenRun>>, sealed: impl IntoIterator<Item = Rc<Sealed>>) -> Self {
        let catalog = Self::default();
        let rewritten = run.as_ref().map_or(Index::NONE, |run| run.rewritten);
        run.into_iter().for_each(|run| catalog.add(Container::Run(run)));
        let sealed = sealed.into_iter().filter(|sealed| sealed.base > rewritten);
        sealed.for_each(|sealed| catalog.add(Container::Segment(sealed)));
        catalog
    }

    fn add(&self, container: Container) {
        let held = Held { container, alive: 0, dead_bytes: 0 };
        self.0.borrow_mut().held.push_back(held);
    }

    pub fn finder(&self) -> Finder {
        Finder(Rc::clone(&self.0))
    }

    /// A segment behind all others was sealed; one that a run stands for is none of them.
    pub fn push(&self, sealed: Rc<Sealed>) {
        if sealed.last <= self.rewritten() {
            return;
        }
        let mut state = self.0.borrow_mut();
        let last = state.held.back().map(|held| held.container.last());
        assert!(last.is_none_or(|last| last.next() == sealed.base), "containers follow one another");
        state.held.push_back(Held { container: Container::Segment(sealed), alive: 0, dead_bytes: 0 });
        state.check();
    }

    /// Whether there are containers up to the last entry that the run stands for.
    pub fn reaches(&self, run: &OpenRun) -> bool {
        self.0.borrow().held.back().is_some_and(|held| held.container.last() >= run.rewritten)
    }

    /// The run is read from now on in the place of all up to its last input; gives the run whose place it took. All
    /// containers are entered anew, under numbers that none had: what is told of older ones afterwards says nothing.
    pub fn switch(&self, run: Rc<OpenRun>) -> Option<Rc<OpenRun>> {
        let mut state = self.0.borrow_mut();
        let first = state.end();
        let before = core::mem::take(&mut *state);
        let replaced = before.held.front().and_then(|held| held.container.run().cloned());
        let rewritten = run.rewritten;
        let kept = before.held.into_iter().filter(|held| held.container.last() > rewritten);
        let kept = kept.map(|held| held.container);
        let containers = core::iter::once(Container::Run(run)).chain(kept);
        let held: VecDeque<_> =
            containers.map(|container| Held { container, alive: 0, dead_bytes: 0 }).collect();
        let follows = held.get(1).and_then(|held| held.container.segment());
        assert!(follows.is_none_or(|next| next.base == rewritten.next()), "containers follow one another");
        *state = State { first, held, entered: first, dead_up_to: first, ..State::default() };
        state.check();
        replaced
    }

    /// The run that is read.
    pub fn run(&self) -> Option<Rc<OpenRun>> {
        self.0.borrow().held.front().and_then(|held| held.container.run().cloned())
    }

    /// Segments up to this entry are read no more.
    pub fn rewritten(&self) -> Index {
        let state = self.0.borrow();
        state.held.front().and_then(|held| held.container.run()).map_or(Index::NONE, |run| run.rewritten)
    }

    /// All of them, oldest first.
    pub fn containers(&self) -> Vec<Container> {
        self.0.borrow().held.iter().map(|held| held.container.clone()).collect()
    }

    /// The same segment with an index that was made again.
    pub fn replace(&self, new: &Rc<Sealed>) {
        let mut state = self.0.borrow_mut();
        let at = state.held.partition_point(|held| held.container.last() < new.last);
        let held = state.held.get_mut(at).filter(|held| held.container.last() == new.last);
        // A run may have taken its place meanwhile.
        if let Some(held) = held.filter(|held| held.container.segment().is_some()) {
            held.container = Container::Segment(Rc::clone(new));
        }
    }

    /// The oldest container goes, which is a segment. All in it must be dead.
    pub fn pop_front(&self) -> Rc<Sealed> {
        let mut state = self.0.borrow_mut();
        assert!(state.first < state.dead_up_to, "container {} is alive", state.first);
        let held = state.held.pop_front().expect("what is dead is there");
        let Container::Segment(sealed) = held.container else { panic!("a run is rewritten, and never dies") };
        state.first += 1;
        state.dead_bytes -= held.dead_bytes;
        state.dead_front_bytes -= held.dead_bytes;
        state.check();
        sealed
    }

    /// The oldest container that is not entered yet.
    pub fn to_enter(&self) -> Option<ToEnter> {
        let state = self.0.borrow();
        let held = state.at(state.entered)?;
        let (number, container) = (state.entered, held.container.clone());
        Some(ToEnter { number, container, first_row: state.entered_rows })
    }

    /// More of what [`Self::to_enter`] named, the last of it when `is_last`. What a run took the place of meanwhile is
    /// entered no more.
    pub fn enter(&self, number: u64, partitions: &[PartitionFacts], is_last: bool) {
        let mut state = self.0.borrow_mut();
        if number < state.first {
            return;
        }
        assert_eq!(number, state.entered, "containers are entered one after the other");
        let held = state.at_mut(number);
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
        if container < state.first {
            return;
        }
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

    /// Whether the oldest container is a segment that is dead whole.
    pub fn is_front_dead(&self) -> bool {
        let state = self.0.borrow();
        let is_segment = |held: &Held| held.container.segment().is_some();
        state.dead_up_to > state.first && state.held.front().is_some_and(is_segment)
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
    /// The run that is read now.
    pub fn run(&self) -> Option<RunId> {
        self.0.borrow().held.front().and_then(|held| held.container.run()).map(|run| run.id)
    }

    /// The first container from `from` on that may have records of the partition at or after `time`.
    pub fn next(&self, partition: PartitionId, from: u64, time: i64) -> Option<(u64, Container)> {
        let state = self.0.borrow();
        let fenced = state.fence.next(partition, from.max(state.first)..state.entered, time);
        let number = fenced.unwrap_or(from.max(state.entered));
        state.at(number).map(|held| (number, held.container.clone()))
    }

    /// As [`Self::next`], of the containers in the fence alone.
    pub fn next_entered(&self, partition: PartitionId, from: u64) -> Option<(u64, Container)> {
        let state = self.0.borrow();
        let number = state.fence.next(partition, from.max(state.first)..state.entered, i64::MIN)?;
        state.at(number).map(|held| (number, held.container.clone()))
    }

    /// The next step of a walk that looks for the newest time behind `offset`.
    pub fn leg(&self, partition: PartitionId, from: u64, offset: Offset) -> Option<Leg> {
        let state = self.0.borrow();
        let fenced = state.fence.leg(partition, from.max(state.first)..state.entered, offset);
        let open = from.max(state.entered);
        fenced.or_else(|| state.at(open).map(|_| Leg::One(open)))
    }

    pub fn container(&self, number: u64) -> Option<Container> {
        self.0.borrow().at(number).map(|held| held.container.clone())
    }

    /// The first container that may have something alive of the partition.
    pub fn alive_from(&self, partition: PartitionId) -> u64 {
        let state = self.0.borrow();
        state.fence.alive_from(partition).max(state.first)
    }

    /// The container that holds `offset`, or else the first behind it that has the partition, and up to `items_max`
    /// of its items, or chunks, from there on.
    pub async fn items_from(
        &self,
        partition: PartitionId,
        offset: Offset,
        items_max: usize,
    ) -> Result<Option<FoundIn>, IndexError> {
        let mut from = self.last_that_begins(partition, offset).await?;
        while let Some((number, container)) = self.next(partition, from, i64::MIN) {
            match container {
                Container::Segment(sealed) => {
                    let items = sealed.index.items_from(partition, offset, items_max).await?;
                    if !items.is_empty() {
                        return Ok(Some(FoundIn::Items(sealed, items)));
                    }
                }
                Container::Run(run) => {
                    let chunks = run.chunks_from(partition, offset, items_max).await?;
                    if !chunks.is_empty() {
                        return Ok(Some(FoundIn::Chunks(run, chunks)));
                    }
                }
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
                Some(container) => container.facts(partition).await?.map(|facts| facts.first_offset),
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
