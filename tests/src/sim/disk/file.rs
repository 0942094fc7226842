//! One simulated file: what programs see, what is durable, and the changes between the two.
//!
//! A change is in flight until it completes, then cached until a sync that was issued after its
//! completion completes. A power cut decides for each change that is not durable whether it is
//! lost, kept or torn; overlapping ones land in any order.

use super::content::{Block, Content, SECTORS_PER_BLOCK};
use engine::disk::BLOCK;
use engine::rng::Rng;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// Numbers changes and syncs; a disk-wide count.
pub type ChangeId = u64;

type Changes = Vec<(ChangeId, Change)>;

/// What a change does to a file.
#[derive(Clone)]
pub enum Change {
    Write {
        position: u64,
        blocks: Vec<Rc<Block>>,
    },
    /// The file becomes at least this long.
    Grow(u64),
    /// The file becomes exactly this long.
    Cut(u64),
}

/// What becomes of one change in a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Lost,
    Kept,
    /// Writes only: each sector for itself.
    Torn,
}

/// How a power cut treats what is not durable: moods make whole patterns likely that a coin for
/// each change hardly ever gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    LoseAll,
    KeepAll,
    TearAll,
    Mixed,
}

impl Mood {
    pub fn draw(rng: &mut Rng) -> Self {
        [Mood::LoseAll, Mood::KeepAll, Mood::TearAll, Mood::Mixed, Mood::Mixed][rng.below(5) as usize]
    }

    fn fate(self, rng: &mut Rng) -> Fate {
        match self {
            Mood::LoseAll => Fate::Lost,
            Mood::KeepAll => Fate::Kept,
            Mood::TearAll => Fate::Torn,
            Mood::Mixed => [Fate::Lost, Fate::Kept, Fate::Torn][rng.below(3) as usize],
        }
    }
}

/// What a power cut did, for the counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CutCounts {
    pub lost: u64,
    pub kept: u64,
    pub torn: u64,
}

#[derive(Clone, Default)]
pub struct SimFile {
    cached: Content,
    durable: Content,
    in_flight: BTreeMap<ChangeId, Change>,
    /// Completed and not durable, in the order of completion.
    completed: Changes,
    /// A write or sync failed on these: no later sync makes them durable (as a kernel does after a
    /// failed flush), a power cut may keep them.
    doubtful: Changes,
    /// Blocks that cannot be read until they are written again.
    unreadable: BTreeSet<u64>,
}

impl SimFile {
    pub fn len(&self) -> u64 {
        self.cached.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What would be there if all changes were lost now.
    pub fn durable(&self) -> &Content {
        &self.durable
    }

    pub fn is_busy(&self) -> bool {
        !self.in_flight.is_empty()
    }

    pub fn begin(&mut self, id: ChangeId, change: Change) {
        self.in_flight.insert(id, change);
    }

    /// The change completed: programs see it.
    pub fn complete(&mut self, id: ChangeId) {
        let change = self.in_flight.remove(&id).expect("a change completes once");
        if let Change::Write { position, blocks } = &change {
            let end = position + (blocks.len() * BLOCK) as u64;
            let first = position / BLOCK as u64;
            for number in first..first + blocks.len() as u64 {
                self.unreadable.remove(&number);
            }
            if end > self.cached.len() {
                self.cached.set_len(end);
                self.completed.push((id, Change::Grow(end)));
            }
        }
        apply(&mut self.cached, &change);
        self.completed.push((id, change));
    }

    /// The write failed: what of it landed is open, here and after a power cut.
    pub fn fail(&mut self, id: ChangeId, rng: &mut Rng) {
        let change = self.in_flight.remove(&id).expect("a change ends once");
        if matches!(change, Change::Write { .. }) {
            land(&mut self.cached, &change, Fate::Torn, rng);
            self.doubtful.push((id, change));
        } else if rng.one_in(2) {
            apply(&mut self.cached, &change);
            self.completed.push((id, change));
        }
    }

    /// What a sync that is issued now will make durable.
    pub fn sync_covers(&self) -> Vec<ChangeId> {
        self.completed.iter().map(|(id, _)| *id).collect()
    }

    pub fn synced(&mut self, covers: &[ChangeId]) {
        let (durable, rest) = self.split(covers);
        for (id, change) in &durable {
            apply(&mut self.durable, change);
            supersede(&mut self.doubtful, *id, change);
        }
        self.durable.drop_beyond_end();
        self.completed = rest;
    }

    /// The change was written through: it is durable, and so is whatever it lies upon.
    pub fn synced_through(&mut self, id: ChangeId) {
        let (position, bytes) = match self.completed.iter().find(|(of, _)| *of == id) {
            Some((_, Change::Write { position, blocks })) => (*position, blocks.len() * BLOCK),
            _ => panic!("only a write is written through"),
        };
        let covers = |(of, change): &(ChangeId, Change)| *of == id || overlaps(change, position, bytes);
        let covers: Vec<ChangeId> =
            self.completed.iter().filter(|change| covers(change)).map(|(of, _)| *of).collect();
        self.synced(&covers);
    }

    /// The sync failed: the writes it covered are in doubt for ever. A length stands in the file
    /// system's own journal, which the next sync may still write.
    pub fn sync_failed(&mut self, covers: &[ChangeId]) {
        let (covered, rest) = self.split(covers);
        let (doubtful, lengths): (Changes, Changes) =
            covered.into_iter().partition(|(_, change)| matches!(change, Change::Write { .. }));
        self.doubtful.extend(doubtful);
        self.completed = lengths.into_iter().chain(rest).collect();
    }

    fn split(&mut self, covers: &[ChangeId]) -> (Changes, Changes) {
        std::mem::take(&mut self.completed).into_iter().partition(|(id, _)| covers.contains(id))
    }

    /// Reads; `None` where a block cannot be read. What is in flight over the range shows or not,
    /// sector by sector.
    pub fn read(&self, position: u64, into: &mut [u8], rng: &mut Rng) -> Option<usize> {
        let first = position / BLOCK as u64;
        if self.unreadable.range(first..first + (into.len() / BLOCK) as u64).next().is_some() {
            return None;
        }
        if !self.in_flight.values().any(|change| overlaps(change, position, into.len())) {
            return Some(self.cached.read(position, into));
        }
        let mut mixed = self.cached.clone();
        for change in self.in_flight.values() {
            land(&mut mixed, change, Fate::Torn, rng);
        }
        Some(mixed.read(position, into))
    }

    /// The power fails.
    pub fn power_cut(&mut self, mood: Mood, rng: &mut Rng) -> CutCounts {
        let mut counts = CutCounts::default();
        for change in self.landing_order(rng) {
            let fate = mood.fate(rng);
            match fate {
                Fate::Lost => counts.lost += 1,
                Fate::Kept => counts.kept += 1,
                Fate::Torn => counts.torn += 1,
            }
            land(&mut self.durable, &change, fate, rng);
        }
        self.durable.drop_beyond_end();
        self.cached = self.durable.clone();
        counts
    }

    /// The process was killed: what it had handed over lands or was never seen; nothing becomes
    /// durable by that, and a power cut may still take it.
    pub fn killed(&mut self, rng: &mut Rng) {
        for id in self.in_flight.keys().copied().collect::<Vec<_>>() {
            if rng.one_in(2) {
                self.complete(id);
            } else {
                self.in_flight.remove(&id);
            }
        }
    }

    /// All that is not durable: writes in any order, but none passes a cut that completed.
    fn landing_order(&mut self, rng: &mut Rng) -> Vec<Change> {
        let mut order: Vec<Change> = Vec::new();
        let mut group_start = 0;
        for (_, change) in std::mem::take(&mut self.completed) {
            let is_cut = matches!(change, Change::Cut(_));
            if is_cut {
                shuffle(&mut order[group_start..], rng);
            }
            order.push(change);
            if is_cut {
                group_start = order.len();
            }
        }
        order.extend(std::mem::take(&mut self.doubtful).into_iter().map(|(_, change)| change));
        order.extend(std::mem::take(&mut self.in_flight).into_values());
        shuffle(&mut order[group_start..], rng);
        order
    }

    /// Turns one bit over, in the cache and on the medium alike.
    pub fn flip(&mut self, position: u64, bit: u8) {
        self.durable.flip(position, bit);
        self.cached.flip(position, bit);
    }

    /// Blocks that the disk said it had written, and never did: they are as new.
    pub fn erase(&mut self, first: u64, blocks: usize) {
        self.overwrite(first, &vec![0; blocks * BLOCK]);
    }

    /// A write that was meant for another place landed here.
    pub fn overwrite(&mut self, first: u64, bytes: &[u8]) {
        for (number, block) in (first..).zip(bytes.chunks_exact(BLOCK)) {
            let block = Rc::new(Block::try_from(block).expect("whole blocks"));
            self.durable.put(number, &block);
            self.cached.put(number, &block);
        }
    }

    /// Numbers of the blocks that cannot be read.
    pub fn unreadable(&self) -> impl Iterator<Item = u64> + '_ {
        self.unreadable.iter().copied()
    }

    /// Makes one block fail to read until it is written again.
    pub fn make_unreadable(&mut self, block: u64) {
        self.unreadable.insert(block);
    }

    /// Whether a power cut would leave these bytes as they are.
    pub fn is_durable(&self, bytes: core::ops::Range<u64>) -> bool {
        let (position, length) = (bytes.start, (bytes.end - bytes.start) as usize);
        let pending = self.completed.iter().chain(&self.doubtful).map(|(_, change)| change);
        bytes.end <= self.durable.len()
            && !self.in_flight.values().chain(pending).any(|change| overlaps(change, position, length))
    }

    /// True when everything that programs see is durable.
    pub fn is_clean(&self) -> bool {
        self.in_flight.is_empty() && self.completed.is_empty() && self.doubtful.is_empty()
    }
}

/// A durable change takes the place of doubtful writes before it: they can no longer land there.
fn supersede(doubtful: &mut Changes, durable: ChangeId, change: &Change) {
    let covered = match change {
        Change::Write { position, blocks } => *position..*position + (blocks.len() * BLOCK) as u64,
        Change::Cut(bytes) => *bytes..u64::MAX,
        Change::Grow(_) => return,
    };
    for (id, change) in std::mem::take(doubtful) {
        match change {
            Change::Write { position, blocks } if id < durable => {
                let places = (0..blocks.len()).map(|at| position + (at * BLOCK) as u64);
                let left = places.zip(blocks).filter(|(position, _)| !covered.contains(position));
                doubtful.extend(
                    left.map(|(position, block)| (id, Change::Write { position, blocks: vec![block] })),
                );
            }
            change => doubtful.push((id, change)),
        }
    }
}

fn overlaps(change: &Change, position: u64, bytes: usize) -> bool {
    match change {
        Change::Write { position: at, blocks } => {
            *at < position + bytes as u64 && position < at + (blocks.len() * BLOCK) as u64
        }
        Change::Grow(_) => false,
        Change::Cut(at) => *at < position + bytes as u64,
    }
}

fn apply(content: &mut Content, change: &Change) {
    match change {
        Change::Write { position, blocks } => {
            for (at, block) in blocks.iter().enumerate() {
                content.put(position / BLOCK as u64 + at as u64, block);
            }
        }
        Change::Grow(bytes) => content.set_len(content.len().max(*bytes)),
        Change::Cut(bytes) => content.set_len(*bytes),
    }
}

fn land(content: &mut Content, change: &Change, fate: Fate, rng: &mut Rng) {
    match (fate, change) {
        (Fate::Lost, _) => {}
        (Fate::Kept, _) => apply(content, change),
        (Fate::Torn, Change::Write { position, blocks }) => {
            for (at, block) in blocks.iter().enumerate() {
                let sectors = rng.next_u64() as u8;
                if sectors != 0 {
                    content.put_sectors(position / BLOCK as u64 + at as u64, block, sectors);
                }
            }
        }
        // A length is one number in an inode: it changes or it does not.
        (Fate::Torn, _) if rng.one_in(2) => apply(content, change),
        (Fate::Torn, _) => {}
    }
}

fn shuffle<T>(items: &mut [T], rng: &mut Rng) {
    for at in (1..items.len()).rev() {
        items.swap(at, rng.below(at as u64 + 1) as usize);
    }
}

const _: () = assert!(SECTORS_PER_BLOCK == u8::BITS as usize, "one bit per sector");
