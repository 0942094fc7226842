//! A disk that takes long: told once when that begins and once when it is over, not per operation.

use engine::disk::OpId;
use engine::ids::ShardId;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// A write with its sync takes milliseconds; a disk that is busy with others', some hundreds.
const SLOW: Duration = Duration::from_secs(1);
/// It is over when nothing took long for this long.
const OVER_AFTER: Duration = Duration::from_secs(10);

/// What a shard's disk is doing.
#[derive(Debug, Default)]
pub struct SlowDisk {
    in_flight: BTreeMap<OpId, Instant>,
    episode: Option<Episode>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Episode {
    since: Instant,
    /// When something was seen to take long last.
    last: Instant,
    /// The longest operation so far.
    pub longest: Duration,
}

/// What is to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    Began(Duration),
    Over(Episode),
}

impl SlowDisk {
    pub fn begun(&mut self, op: OpId, now: Instant) {
        self.in_flight.insert(op, now);
    }

    pub fn done(&mut self, op: OpId, now: Instant) {
        let Some(begun) = self.in_flight.remove(&op) else { return };
        let took = now.duration_since(begun);
        if let Some(episode) = self.episode.as_mut().filter(|_| took >= SLOW) {
            (episode.last, episode.longest) = (now, episode.longest.max(took));
        }
    }

    /// Looks at what is in flight.
    fn judge(&mut self, now: Instant) -> Option<Told> {
        let oldest = self.in_flight.values().map(|begun| now.duration_since(*begun)).max();
        let slow = oldest.filter(|took| *took >= SLOW);
        match (&mut self.episode, slow) {
            (None, Some(took)) => {
                self.episode = Some(Episode { since: now, last: now, longest: took });
                Some(Told::Began(took))
            }
            (Some(episode), Some(took)) => {
                (episode.last, episode.longest) = (now, episode.longest.max(took));
                None
            }
            (Some(episode), None) if now.duration_since(episode.last) >= OVER_AFTER => {
                let over = *episode;
                self.episode = None;
                Some(Told::Over(over))
            }
            _ => None,
        }
    }

    /// The same, into the log.
    pub fn look(&mut self, shard: ShardId, folder: &Path, now: Instant) {
        let (shard, folder) = (shard.0, folder.display());
        match self.judge(now) {
            Some(Told::Began(took)) => tracing::warn!(
                shard,
                %folder,
                ms = took.as_millis() as u64,
                "slow disk: an operation takes more than a second; what waits for it waits, too"
            ),
            Some(Told::Over(Episode { since, last, longest })) => tracing::info!(
                shard,
                %folder,
                longest_ms = longest.as_millis() as u64,
                seconds = last.duration_since(since).as_secs(),
                "the disk is no longer slow"
            ),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_disk_is_told_once_until_it_was_fast_for_a_while() {
        let (mut disk, begin) = (SlowDisk::default(), Instant::now());
        let at = |ms| begin + Duration::from_millis(ms);
        disk.begun(OpId(1), at(0));
        assert_eq!(disk.judge(at(900)), None);
        assert_eq!(disk.judge(at(1100)), Some(Told::Began(Duration::from_millis(1100))));
        assert_eq!(disk.judge(at(2100)), None);
        disk.done(OpId(1), at(2500));
        for second in 3..12 {
            disk.begun(OpId(second), at(second * 1000));
            disk.done(OpId(second), at(second * 1000 + 5));
            assert_eq!(disk.judge(at(second * 1000 + 10)), None);
        }
        let Some(Told::Over(over)) = disk.judge(at(12_600)) else { panic!("it is over") };
        assert_eq!(over.longest, Duration::from_millis(2500));
        assert_eq!(disk.judge(at(30_000)), None);
    }
}
