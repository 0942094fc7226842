//! What a journal does beside serving: the next segment, sealing, retention, bounds, the stop.

use crate::clock::Now;
use crate::ids::Index;
use crate::journal::keep::sweep::Sweep;
use crate::journal::log::deleting::Deleting;

/// A wall clock that moves this far against the monotonic one is distrusted.
pub(in crate::journal) const DRIFT_MS_MAX: i64 = 10 * 60 * 1000;

/// State of the background work.
#[derive(Debug)]
pub struct Upkeep {
    pub active_short: bool,
    /// A batch waits for the next segment, which nothing else has asked for yet.
    pub wants_next: core::cell::Cell<bool>,
    pub(in crate::journal) lengthening: bool,
    pub(in crate::journal) retry_ns: u64,
    pub(in crate::journal) sealing: bool,
    pub(in crate::journal) seal_retry_ns: u64,
    pub checkpoints: Vec<Index>,
    /// Partitions are looked at.
    pub(in crate::journal) visiting: bool,
    pub(in crate::journal) last_pass_ns: u64,
    pub(in crate::journal) sweep: Sweep,
    /// A container's partitions are read, to be entered into the catalog.
    pub(in crate::journal) entering: bool,
    pub deleting: Deleting,
    pub(in crate::journal) rebuilding: bool,
    /// Of those that leaders' ticks come in, the last one.
    pub(in crate::journal) beat: u64,
    pub(in crate::journal) last_append: (Index, u64),
    pub settled: bool,
    pub reported_full: bool,
    /// An entry found no place since the disk is full.
    pub turned_away: bool,
    /// Monotonic and wall milliseconds at which the two agreed.
    pub(in crate::journal) clock: (i64, i64),
    pub trusts_clock: bool,
    pub(in crate::journal) stop_checkpoint: StopCheckpoint,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::journal) enum StopCheckpoint {
    NotYet,
    Writing,
    Written,
}

fn mono_ms(now: Now) -> i64 {
    (now.mono_ns / 1_000_000) as i64
}

impl Upkeep {
    pub fn new(checkpoints: Vec<Index>, active_short: bool, started: Now, now: Now) -> Self {
        Self {
            active_short,
            wants_next: core::cell::Cell::new(false),
            lengthening: false,
            retry_ns: 0,
            sealing: false,
            seal_retry_ns: 0,
            checkpoints,
            visiting: false,
            last_pass_ns: now.mono_ns,
            // Segments may have been dead when the node stopped.
            sweep: Sweep::of_all(),
            entering: false,
            deleting: Deleting::default(),
            rebuilding: false,
            beat: 0,
            last_append: (Index::NONE, now.mono_ns),
            settled: false,
            reported_full: false,
            turned_away: false,
            clock: (mono_ms(started), started.wall_ms),
            trusts_clock: true,
            stop_checkpoint: StopCheckpoint::NotYet,
        }
    }

    /// What the wall clock moved against the monotonic one.
    pub fn drift_ms(&self, now: Now) -> i64 {
        let (mono, wall) = self.clock;
        (now.wall_ms - wall) - (mono_ms(now) - mono)
    }

    /// The wall clock as it would be had it not moved against the monotonic one.
    pub fn steady_wall_ms(&self, now: Now) -> i64 {
        now.wall_ms - self.drift_ms(now)
    }

    /// Whether this reading of the wall clock may go into an entry: a jump counts at once, not
    /// only when the next tick notices.
    pub fn trusts(&self, now: Now) -> bool {
        self.trusts_clock && self.drift_ms(now).abs() <= DRIFT_MS_MAX
    }

    pub fn is_busy(&self) -> bool {
        self.sealing
            || self.deleting.is_under_way
            || self.deleting.writes_covering
            || self.rebuilding
            || self.visiting
            || self.entering
            || self.lengthening
    }
}
