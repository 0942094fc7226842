//! The connections of one shard and what they share: budgets, the handlers' context, time-outs.

use crate::client::budget::FrameBudget;
use crate::client::connection_rates::ConnectionRates;
use crate::client::frame::{FRAME_BYTES_MAX, FrameBuffers};
use crate::client::sasl::shard_sasl::{SaslSetup, ShardSasl};
use crate::client::shard_tls::ShardTls;
use crate::kafka::api::Api;
use crate::kafka::codec::wire::BODY_BYTES_MAX;
use crate::kafka::context::Context;
use crate::kafka::versions;
use crate::process::descriptors::{ClientPlace, Descriptors};
use crate::shard::shard_loop::ShardLoop;
use crate::tls::live::LiveTls;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// A frame of which nothing arrives for this long closes its connection.
const FRAME_PROGRESS_MAX: Duration = Duration::from_secs(30);
/// The same of a client that takes none of its answers while others wait for the memory.
const PRESSED_PROGRESS_MAX: Duration = Duration::from_secs(5);
/// A client that takes no answer for this long is gone, however long it may be idle otherwise. Above
/// what answers are waited for.
const ANSWER_PROGRESS_MAX: Duration = Duration::from_secs(600);
/// What one fetch answer may always hold, however little memory is left.
const FETCH_BYTES_MIN: usize = 1 << 20;

/// What a connection's next progress is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitsFor {
    Request,
    RestOfFrame,
    Answer,
}

/// A connection, as those that share its shard see it.
pub trait OpenConnection {
    fn peer(&self) -> SocketAddr;
    fn waits_for(&self) -> WaitsFor;
    fn last_progress_ns(&self) -> u64;
    /// When it ends however much it does: its client is not known, or not for longer.
    fn ends_ns(&self) -> Option<u64>;
    /// Bytes of its answers without records.
    fn answer_bytes(&self) -> usize;
    /// Takes no further request; closes when those in flight are answered.
    fn stop_reading(&self);
    /// Ends it at once, whatever is under way.
    fn close(&self);
}

pub struct Connections {
    pub shard: Rc<ShardLoop>,
    pub context: Context,
    pub sasl: ShardSasl,
    /// Where a listener is within TLS.
    pub tls: Option<ShardTls>,
    pub apis: Vec<Api>,
    pub frames: FrameBudget,
    pub frame_buffers: FrameBuffers,
    /// Longer frames close their connection.
    pub frame_bytes_max: usize,
    /// Off the hot path longer requests close their connection.
    pub body_bytes_max: usize,
    /// What such requests take decoded.
    pub decoding: FrameBudget,
    /// Bytes of answers without records, from when they are made until they are written.
    pub text_bytes: Cell<usize>,
    text_bytes_max: usize,
    /// Bytes of the answers that are being written, stored records that they pin included.
    pub answer_bytes: Cell<usize>,
    answer_bytes_max: usize,
    open: RefCell<BTreeMap<u64, Rc<dyn OpenConnection>>>,
    by_address: RefCell<BTreeMap<IpAddr, usize>>,
    rates: RefCell<ConnectionRates>,
    descriptors: Arc<Descriptors>,
    next: Cell<u64>,
    stopping: Cell<bool>,
}

impl Connections {
    /// `memory_bytes` is the shard's whole budget. An eighth of it is for frames, a quarter of that
    /// for batches that are written again with the topic's codec; a quarter of the whole is
    /// the reserve of one largest frame or of one request that grows as it is decoded, an eighth is
    /// for answers; the engine has the other half. Half of what frames may take is also enough for
    /// the requests that are decoded: their frames are gone by then.
    pub fn new(
        shard: Rc<ShardLoop>,
        memory_bytes: usize,
        (sasl, tls): (SaslSetup, Option<Arc<LiveTls>>),
        descriptors: Arc<Descriptors>,
    ) -> Rc<Self> {
        let recompress_bytes = memory_bytes / 32;
        let frame_bytes = memory_bytes / 8 - recompress_bytes;
        shard.page.borrow_mut().memory_budget_bytes = memory_bytes as u64 / 2;
        let context = Context::new(Rc::clone(&shard), recompress_bytes);
        let request_bytes_max = (context.settings.request_bytes_max as usize).min(FRAME_BYTES_MAX);
        let sasl = ShardSasl::new(sasl, &context.settings.sasl);
        Rc::new(Self {
            context,
            sasl,
            shard,
            tls: tls.map(ShardTls::new),
            apis: versions::apis(),
            frames: FrameBudget::new(frame_bytes),
            frame_buffers: FrameBuffers::new(frame_bytes / 2),
            frame_bytes_max: request_bytes_max.min(memory_bytes / 4),
            body_bytes_max: BODY_BYTES_MAX.min(memory_bytes / 128),
            decoding: FrameBudget::new(memory_bytes / 16),
            text_bytes: Cell::new(0),
            text_bytes_max: memory_bytes / 16,
            answer_bytes: Cell::new(0),
            answer_bytes_max: memory_bytes / 8,
            open: RefCell::default(),
            by_address: RefCell::default(),
            rates: RefCell::default(),
            descriptors,
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
        (left / 2).max(FETCH_BYTES_MIN).min(self.context.settings.fetch_max_bytes as usize)
    }

    /// Waits until one more client can be served; `None` when the shard stops before.
    pub async fn place(&self) -> Option<ClientPlace> {
        let open_max = self.context.settings.connections_max as usize;
        let mut place = None;
        let found = || {
            if place.is_none() && self.open.borrow().len() < open_max {
                place = self.descriptors.take();
            }
            place.is_some() || self.is_stopping()
        };
        self.shard.changes.until(found).await;
        place.filter(|_| !self.is_stopping())
    }

    /// Whether a client of this address may have one more connection, or why not. Kafka closes it then,
    /// too: others that wait must not wait for it.
    pub fn admits(&self, address: IpAddr) -> Result<(), &'static str> {
        let here = self.by_address.borrow().get(&address).copied().unwrap_or(0);
        let now_ns = self.shard.now().mono_ns;
        let admitted = if here >= self.context.settings.connections_per_ip_max as usize {
            Err("as many connections from its address as max.connections.per.ip")
        } else if !self.rates.borrow_mut().admits(&self.context.view().quotas, address, now_ns) {
            Err("more new connections from its address than its connection_creation_rate")
        } else {
            return Ok(());
        };
        self.shard.page.borrow_mut().connections_refused += 1;
        admitted
    }

    /// Whether an answer of any length may be made now. Those with records are not counted here: how
    /// long they get is chosen by what is left (see [`Self::fetch_bytes_max`]).
    pub fn has_room_for_answers(&self) -> bool {
        self.text_bytes.get() < self.text_bytes_max
    }

    pub fn add(&self, connection: Rc<dyn OpenConnection>) -> u64 {
        *self.by_address.borrow_mut().entry(connection.peer().ip()).or_default() += 1;
        self.next.set(self.next.get() + 1);
        self.open.borrow_mut().insert(self.next.get(), connection);
        let mut page = self.shard.page.borrow_mut();
        page.connections_open += 1;
        page.connections_accepted += 1;
        self.next.get()
    }

    pub fn remove(&self, id: u64) {
        let Some(connection) = self.open.borrow_mut().remove(&id) else { return };
        self.shard.page.borrow_mut().connections_open -= 1;
        let mut by_address = self.by_address.borrow_mut();
        let here = by_address.get_mut(&connection.peer().ip()).expect("it was counted");
        *here -= 1;
        if *here == 0 {
            by_address.remove(&connection.peer().ip());
        }
    }

    pub fn is_empty(&self) -> bool {
        self.open.borrow().is_empty()
    }

    /// Closes what is idle or makes no progress; called about every second.
    pub fn sweep(&self) {
        let now_ns = self.shard.now().mono_ns;
        let idle_max = Duration::from_millis(self.context.settings.connection_idle_max_ms);
        let limit = |connection: &dyn OpenConnection| match connection.waits_for() {
            WaitsFor::Request => idle_max,
            WaitsFor::RestOfFrame => idle_max.min(FRAME_PROGRESS_MAX),
            // Others wait for the memory that its answers take.
            WaitsFor::Answer if connection.answer_bytes() > 0 && !self.has_room_for_answers() => {
                idle_max.min(PRESSED_PROGRESS_MAX)
            }
            WaitsFor::Answer => idle_max.max(ANSWER_PROGRESS_MAX),
        };
        for connection in self.open.borrow().values() {
            let still_ns = now_ns.saturating_sub(connection.last_progress_ns());
            let is_over = connection.ends_ns().is_some_and(|ends_ns| now_ns >= ends_ns);
            if is_over || u128::from(still_ns) > limit(&**connection).as_nanos() {
                let why = if is_over { "its client is not known, or not any more" } else { "no progress" };
                tracing::debug!(peer = %connection.peer(), "closed: {why}");
                self.shard.page.borrow_mut().connections_refused += 1;
                connection.close();
            }
        }
        self.make_room_for_files();
        let mut page = self.shard.page.borrow_mut();
        page.groups = self.context.groups.figures();
        page.transactions = self.context.transactions.figures();
        let used_bytes = self.frames.used_bytes()
            + self.context.recompressor.used_bytes()
            + self.decoding.used_bytes()
            + self.answer_bytes.get()
            + self.text_bytes.get();
        page.memory_used_bytes = used_bytes as u64;
    }

    /// Closes the clients that were still for longest where files need their descriptors.
    fn make_room_for_files(&self) {
        let too_many = self.descriptors.too_many_clients().div_ceil(usize::from(self.shard.config.shards));
        if too_many == 0 {
            return;
        }
        let open = self.open.borrow();
        let mut by_progress: Vec<_> = open.values().collect();
        by_progress.sort_by_key(|connection| {
            (connection.waits_for() != WaitsFor::Request, connection.last_progress_ns())
        });
        for connection in by_progress.into_iter().take(too_many) {
            tracing::info!(peer = %connection.peer(), "closed: its descriptor is needed for a file");
            self.shard.page.borrow_mut().connections_refused += 1;
            connection.close();
        }
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
