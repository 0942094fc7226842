//! How a process ends, and for what reason.

use crate::observe::status::Status;
use engine::port::Fatal;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::{Duration, Instant};

/// A clean stop takes at most this long; then the process ends all the same.
const STOP_TIME_MAX: Duration = Duration::from_secs(9);
/// How often the main thread looks whether a stop was asked for.
const STOP_LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// Why a node ended other than by being asked to.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The system refused something that the checks before the start had found in order.
    #[error("{0}")]
    Environment(String),
    #[error(transparent)]
    Fatal(#[from] Fatal),
}

impl NodeError {
    /// The exit code that the README lists.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Environment(_) => 2,
            Self::Fatal(Fatal::Data(_)) => 3,
            Self::Fatal(Fatal::Write(_)) => 4,
        }
    }
}

/// How the shards' threads tell the main one of their end.
#[derive(Default)]
pub struct End {
    state: Mutex<EndState>,
    changed: Condvar,
    recovered: AtomicU16,
}

#[derive(Default)]
struct EndState {
    error: Option<NodeError>,
    shards_ended: u16,
}

impl End {
    /// The node cannot go on; the first reason counts.
    pub fn fail(&self, error: NodeError) {
        self.state.lock().expect("a panic aborts").error.get_or_insert(error);
        self.changed.notify_all();
    }

    pub fn shard_ended(&self) {
        self.state.lock().expect("a panic aborts").shards_ended += 1;
        self.changed.notify_all();
    }

    pub fn shard_recovered(&self) {
        self.recovered.fetch_add(1, Ordering::AcqRel);
    }

    /// Shards whose recovery is over.
    pub fn recovered(&self) -> u16 {
        self.recovered.load(Ordering::Acquire)
    }

    /// Waits until all shards ended, one failed, or a stop takes too long.
    pub fn wait(&self, shards: u16, status: &Status) -> Result<(), NodeError> {
        let mut state = self.state.lock().expect("a panic aborts");
        let mut stopping_since: Option<Instant> = None;
        while state.shards_ended < shards {
            if let Some(error) = state.error.take() {
                return Err(error);
            }
            if status.stopping() && stopping_since.get_or_insert_with(Instant::now).elapsed() > STOP_TIME_MAX
            {
                tracing::error!("not all shards stopped in time: the next start recovers");
                return Ok(());
            }
            state = self.changed.wait_timeout(state, STOP_LOOK_INTERVAL).expect("a panic aborts").0;
        }
        state.error.take().map_or(Ok(()), Err)
    }
}
