//! The shard's figures: what `net` turns into Prometheus text.

use super::scrub::ScrubCounts;
use crate::ids::JournalId;
use crate::journal::Journal;
use crate::journal::log::deleting::Why;
use crate::journal::log::stages::StageLatencies;
use crate::latency::Latency;
use crate::port::NotRewritten;

/// Counters since the start and gauges of now; `net` turns them into Prometheus text.
#[derive(Clone, Debug, Default)]
pub struct ShardMetrics {
    pub journals: Vec<JournalMetrics>,
    /// Journals that are here and cannot be opened.
    pub journals_closed: u64,
    pub parked_fetches: u64,
    /// Questions about time that run, and that wait for their turn.
    pub time_questions: (u64, u64),
    /// Replicas that this node is to have here and that do not count yet, or not for good.
    pub replicas_joining: u64,
    pub scrub: ScrubCounts,
    pub cache_bytes: u64,
    /// What the cache may take now: it grows as it is used.
    pub cache_bytes_max: u64,
    /// Held of checkpoints that come from other replicas.
    pub incoming_bytes: u64,
    pub pool_used_bytes: u64,
    pub pool_free_bytes: u64,
    /// Over all journals of the shard.
    pub stages: StageLatencies,
    /// Fetches of what is no longer in memory: from the first read issued to the last one done.
    pub read: Latency,
}

/// One journal's part.
#[derive(Clone, Debug, Default)]
pub struct JournalMetrics {
    pub journal: JournalId,
    pub term: u64,
    pub is_leader: bool,
    pub commit: u64,
    pub durable: u64,
    pub last: u64,
    pub entries: u64,
    pub entry_bytes: u64,
    pub batches: u64,
    pub batch_bytes: u64,
    pub syncs: u64,
    /// Entries made durable by those syncs.
    pub synced_entries: u64,
    /// Written ahead of small entries.
    pub zeroed_bytes: u64,
    /// Pieces of entries that waited for zeros on their way to the same blocks.
    pub held_writes: u64,
    /// For how long producers waited for a follower that nearly keeps up.
    pub held_back_ns: u64,
    pub duplicates: u64,
    /// Transactions that are open in its partitions.
    pub open_transactions: u64,
    /// Markers that this leader wrote: of aborts, and of commits.
    pub markers: [u64; 2],
    pub segments: u64,
    pub live_bytes: u64,
    /// Bytes of batches below a log start or of deleted partitions, in segments still there.
    pub dead_bytes: u64,
    /// Dead bytes in sealed segments that something alive in the same or an earlier segment keeps.
    pub pinned_bytes: u64,
    /// What the fence of the catalog takes in memory: which segments have which partitions.
    pub fence_bytes: u64,
    /// Why the first sealed segment stays.
    pub front_kept: Option<Why>,
    /// Passes of compaction that made a run, and that came to nothing.
    pub rewrite_passes: u64,
    pub rewrite_failed: u64,
    /// Bytes of the files that went into runs, and of the runs.
    pub rewrite_input_bytes: u64,
    pub rewrite_output_bytes: u64,
    /// Of those that went in: segments alone.
    pub rewrite_new_bytes: u64,
    /// Of a journal that is led here and has topics that ask for compaction.
    pub not_rewritten: Option<NotRewritten>,
    /// The run that is read.
    pub run_bytes: u64,
    pub bad_runs: u64,
    /// Of what compaction could take, as it was found last: what a pass left, and what came since.
    pub clean_bytes: u64,
    pub dirty_bytes: u64,
    pub full: bool,
    pub damaged_ranges: u64,
    /// Copies of small files that were bad when it was opened.
    pub bad_copies: u64,
    /// Checkpoints that cannot be read and are still there.
    pub bad_checkpoints: u64,
    /// Entries fetched from other replicas and written again, since the process began.
    pub repaired_entries: u64,
    /// It neither votes nor acknowledges until it is repaired.
    pub quarantined: bool,
    /// Sealed segments whose digest was compared with the leader's, and those where it differed.
    pub digests_compared: u64,
    pub digests_differing: u64,
    /// Times that this replica was elected.
    pub elections: u64,
    /// Messages of other replicas that were not believed.
    pub refused_messages: u64,
}

impl Journal {
    /// This journal's figures.
    pub fn metrics(&self) -> JournalMetrics {
        let counts = self.appender_counts();
        let place = self.standing();
        JournalMetrics {
            journal: self.id,
            term: place.term.0,
            is_leader: self.is_leader(),
            commit: place.commit.0,
            durable: place.durable.0,
            last: place.last.0,
            entries: counts.entries,
            entry_bytes: counts.entry_bytes,
            batches: self.counts.batches,
            batch_bytes: self.counts.batch_bytes,
            syncs: counts.syncs,
            synced_entries: counts.synced_entries,
            zeroed_bytes: counts.zeroed_bytes,
            held_writes: counts.held_writes,
            held_back_ns: self.counts.held_back_ns,
            duplicates: self.counts.duplicates,
            open_transactions: self.fold().open_transactions() as u64,
            markers: self.counts.markers,
            segments: place.segments,
            live_bytes: self.fold().kept_bytes(),
            dead_bytes: place.dead_bytes,
            pinned_bytes: place.pinned_bytes,
            fence_bytes: place.fence_bytes,
            front_kept: self.front_may_go().and_then(Result::err),
            rewrite_passes: self.rewriting().counts.passes,
            rewrite_failed: self.rewriting().counts.failed,
            rewrite_input_bytes: self.rewriting().counts.input_bytes,
            rewrite_output_bytes: self.rewriting().counts.output_bytes,
            rewrite_new_bytes: self.rewriting().counts.new_bytes,
            not_rewritten: None,
            run_bytes: self.run_bytes(),
            bad_runs: self.rewriting().bad_count() as u64,
            clean_bytes: self.rewriting().looked.clean_bytes,
            dirty_bytes: self.rewriting().looked.dirty_bytes,
            full: self.is_full(),
            damaged_ranges: place.damaged_ranges,
            bad_copies: u64::from(self.bad_copies()),
            bad_checkpoints: self.bad_checkpoints(),
            repaired_entries: self.repaired_entries(),
            quarantined: self.is_quarantined(),
            digests_compared: self.digests().compared,
            digests_differing: self.digests().differing,
            elections: self.counts.elections,
            refused_messages: self.counts.refused_messages,
        }
    }
}
