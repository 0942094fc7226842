//! The connections of one shard and what they share: budgets, the handlers' context, time-outs.

use crate::budget::FrameBudget;
use crate::connection::Connection;
use crate::frame::{FRAME_BYTES_MAX, FrameBuffers};
use crate::kafka::context::Context;
use crate::kafka::versions::{self, Api};
use crate::shard_loop::ShardLoop;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

/// A frame of which nothing arrives for this long closes its connection.
const FRAME_PROGRESS_MAX: Duration = Duration::from_secs(30);
/// Kafka's `connections.max.idle.ms`.
const IDLE_MAX: Duration = Duration::from_secs(600);
/// What one fetch answer may always hold, however little memory is left.
const FETCH_BYTES_MIN: usize = 1 << 20;
/// Kafka's `fetch.max.bytes` of a broker.
const FETCH_BYTES_MAX: usize = 55 << 20;

pub struct Connections {
    pub shard: Rc<ShardLoop>,
    pub context: Context,
    pub apis: Vec<Api>,
    pub frames: FrameBudget,
    pub frame_buffers: FrameBuffers,
    /// Longer frames close their connection.
    pub frame_bytes_max: usize,
    /// Bytes of stored records that answers pin on their way to sockets.
    pub answer_bytes: Cell<usize>,
    answer_bytes_max: usize,
    open: RefCell<BTreeMap<u64, Rc<Connection>>>,
    next: Cell<u64>,
    stopping: Cell<bool>,
}

impl Connections {
    /// `memory_bytes` is the shard's whole budget. An eighth of it is for frames, a quarter is
    /// the reserve of one largest frame, an eighth is for answers; the engine has the other half.
    pub fn new(shard: Rc<ShardLoop>, memory_bytes: usize) -> Rc<Self> {
        let frame_bytes = memory_bytes / 8;
        shard.page.borrow_mut().memory_budget_bytes = memory_bytes as u64 / 2;
        Rc::new(Self {
            context: Context::new(Rc::clone(&shard)),
            shard,
            apis: versions::apis(),
            frames: FrameBudget::new(frame_bytes),
            frame_buffers: FrameBuffers::new(frame_bytes / 2),
            frame_bytes_max: FRAME_BYTES_MAX.min(memory_bytes / 4),
            answer_bytes: Cell::new(0),
            answer_bytes_max: memory_bytes / 8,
            open: RefCell::default(),
            next: Cell::new(0),
            stopping: Cell::new(false),
        })
    }

    pub fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    /// Bytes that a fetch may ask the engine for: half of what is left, so that many slow
    /// consumers get ever less each and none gets nothing.
    pub fn fetch_bytes_max(&self) -> usize {
        let left = self.answer_bytes_max.saturating_sub(self.answer_bytes.get());
        (left / 2).clamp(FETCH_BYTES_MIN, FETCH_BYTES_MAX)
    }

    pub fn add(&self, connection: &Rc<Connection>) -> u64 {
        self.next.set(self.next.get() + 1);
        self.open.borrow_mut().insert(self.next.get(), Rc::clone(connection));
        let mut page = self.shard.page.borrow_mut();
        page.connections_open += 1;
        page.connections_accepted += 1;
        self.next.get()
    }

    pub fn remove(&self, id: u64) {
        if self.open.borrow_mut().remove(&id).is_some() {
            self.shard.page.borrow_mut().connections_open -= 1;
        }
    }

    pub fn is_empty(&self) -> bool {
        self.open.borrow().is_empty()
    }

    /// Closes what is idle or makes no progress; called about every second.
    pub fn sweep(&self) {
        let now_ns = self.shard.now().mono_ns;
        let limit = |connection: &Connection| match connection.is_within_frame() {
            true => FRAME_PROGRESS_MAX,
            false => IDLE_MAX,
        };
        for connection in self.open.borrow().values() {
            let still_ns = now_ns.saturating_sub(connection.last_progress_ns());
            if u128::from(still_ns) > limit(connection).as_nanos() {
                tracing::debug!(peer = %connection.peer, "closed: no progress");
                self.shard.page.borrow_mut().connections_refused += 1;
                connection.close();
            }
        }
        let mut page = self.shard.page.borrow_mut();
        page.groups = self.context.groups.figures();
        page.memory_used_bytes = (self.frames.used_bytes() + self.answer_bytes.get()) as u64;
    }

    /// Takes no more requests; what is in flight is answered, parked fetches are not.
    pub fn stop(&self) {
        self.stopping.set(true);
        self.context.groups.stop();
        for connection in self.open.borrow().values() {
            connection.stop_reading();
        }
    }

    /// Ends all connections at once.
    pub fn close_all(&self) {
        for connection in self.open.borrow().values() {
            connection.close();
        }
    }
}
