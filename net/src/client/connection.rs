//! One client connection: a task that reads frames and hands requests on in order, and one that
//! writes the answers in the same order.
//!
//! Produce requests are handed to the engine one after the other and answered when they are
//! durable; a fetch may be parked meanwhile. A client that does not read its answers fills its
//! own queue and stops only itself. An idle connection holds no buffer.

use crate::client::answer::Answer;
use crate::client::any_socket::AnySocket;
use crate::client::budget::Share;
use crate::client::connections::{Connections, OpenConnection, WaitsFor};
use crate::client::frame::Frame;
use crate::client::login::{Login, LoginAnswer};
use crate::client::shard_tls;
use crate::kafka::admission;
use crate::kafka::api::{API_VERSIONS, FETCH, PRODUCE, SASL_AUTHENTICATE};
use crate::kafka::apis::api_versions;
use crate::kafka::codec::cursor::Malformed;
use crate::kafka::codec::header::{self, Opened, RequestHeader};
use crate::kafka::codec::other_protocol::OtherProtocol;
use crate::kafka::codec::outgoing::Outgoing;
use crate::kafka::codec::wire::{Bytes, DECODED_TIMES_HELD, WireError};
use crate::kafka::hot::fetch;
use crate::kafka::hot::produce::{self, Begun};
use crate::kafka::listener::Listener;
use crate::kafka::request_context::RequestContext;
use crate::kafka::versions;
use crate::process::descriptors::ClientPlace;
use crate::shard::completion::Waiters;
use crate::shard::pace::{self, WORK_MAX};
use engine::port::RequestId;
use futures_lite::future::or;
use glommio::net::TcpStream;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

mod handshake;

/// Requests of one connection that are read and not yet answered; then reading rests. Above what
/// clients have in flight (Java and librdkafka: 5, unless told otherwise).
const REQUESTS_IN_FLIGHT_MAX: usize = 128;

/// Bytes of answers of one connection that wait to be written; then reading rests. More than one
/// answer may be longer, and is there alone.
const ANSWER_BYTES_WAITING_MAX: usize = 1 << 20;
/// What a request that was handed on takes of the budget until it is answered, when it is longer
/// than this: what waits for minutes is short, and has its own bounds (see `engine::groups`).
const BODY_BYTES_FREE: usize = 64 << 10;

struct Queued {
    answer: Answer,
    api_key: i16,
    received_ns: u64,
}

pub struct Connection {
    /// Who is at its other end.
    login: Login,
    address: SocketAddr,
    /// What the client called itself last.
    client_id: RefCell<Rc<str>>,
    socket: AnySocket,
    _place: ClientPlace,
    shared: Rc<Connections>,
    queue: RefCell<VecDeque<Queued>>,
    /// Bytes of the answers without records, those in the queue and the one that is written.
    answer_bytes: Cell<usize>,
    /// Fetches read and not yet written: one, so that a slow consumer pins one answer at most.
    fetches: Cell<usize>,
    /// Notified when the queue or one of the flags below changed.
    changed: Waiters,
    /// No further request comes: answers that are on their way are still written.
    reading_ended: Cell<bool>,
    closed: Cell<bool>,
    /// The engine's name for this connection's batches with acks=0.
    silent: Cell<Option<RequestId>>,
    within_frame: Cell<bool>,
    /// A whole request is being handed on.
    handling: Cell<bool>,
    last_progress_ns: Cell<u64>,
    /// No request is read or handed on before: a quota was exceeded.
    muted_until_ns: Cell<u64>,
    /// When the reader last waited, and so let others run.
    last_rest_ns: Cell<u64>,
}

/// Starts a connection's two tasks.
pub fn serve(stream: TcpStream, listener: &Arc<Listener>, place: ClientPlace, shared: &Rc<Connections>) {
    // Answers are whole messages: waiting for more to send would only delay them.
    let options = stream.set_nodelay(true).and_then(|()| stream.peer_addr());
    let Ok(address) = options else { return };
    if let Err(why) = shared.admits(address.ip()) {
        tracing::debug!(peer = %address, "closed: {why}");
        return;
    }
    let Some(socket) = shard_tls::socket(stream, listener, shared.tls.as_ref()) else { return };
    let now_ns = shared.shard.now().mono_ns;
    let connection = Rc::new(Connection {
        login: Login::new(address, listener, shared),
        address,
        client_id: RefCell::new("".into()),
        socket,
        _place: place,
        shared: Rc::clone(shared),
        queue: RefCell::default(),
        answer_bytes: Cell::new(0),
        fetches: Cell::new(0),
        changed: Waiters::default(),
        reading_ended: Cell::new(false),
        closed: Cell::new(false),
        silent: Cell::new(None),
        within_frame: Cell::new(false),
        handling: Cell::new(false),
        last_progress_ns: Cell::new(now_ns),
        muted_until_ns: Cell::new(0),
        last_rest_ns: Cell::new(now_ns),
    });
    let id = shared.add(Rc::clone(&connection) as Rc<dyn OpenConnection>);
    let writer = Rc::clone(&connection);
    glommio::spawn_local(async move {
        if let Err(error) = writer.write_answers().await {
            tracing::debug!(peer = %writer.address, "connection lost: {error}");
        }
        writer.close();
        writer.drop_answers();
        writer.shared.remove(id);
    })
    .detach();
    glommio::spawn_local(async move { connection.read_requests().await }).detach();
}

impl OpenConnection for Connection {
    fn peer(&self) -> SocketAddr {
        self.address
    }

    fn waits_for(&self) -> WaitsFor {
        if self.handling.get() || !self.queue.borrow().is_empty() {
            WaitsFor::Answer
        } else if self.within_frame.get() {
            WaitsFor::RestOfFrame
        } else {
            WaitsFor::Request
        }
    }

    fn last_progress_ns(&self) -> u64 {
        self.last_progress_ns.get()
    }

    fn ends_ns(&self) -> Option<u64> {
        self.login.ends_ns()
    }

    fn close(&self) {
        if !self.closed.replace(true) {
            self.socket.shutdown();
            self.changed.notify();
            self.shared.shard.changes.notify();
        }
    }

    fn stop_reading(&self) {
        self.reading_ended.set(true);
        self.changed.notify();
    }

    fn answer_bytes(&self) -> usize {
        self.answer_bytes.get()
    }
}

impl Connection {
    fn progress(&self) -> u64 {
        let now_ns = self.shared.shard.now().mono_ns;
        self.last_progress_ns.set(now_ns);
        now_ns
    }

    async fn read_requests(self: Rc<Self>) {
        if !self.shake_hands().await {
            self.close();
            return;
        }
        let mut last_bytes = 0;
        while !self.reading_ended.get() && !self.closed.get() {
            self.rest_while_muted().await;
            match self.read_frame(last_bytes).await {
                Ok(Some(frame)) => {
                    last_bytes = frame.len();
                    self.handling.set(true);
                    let taken = self.take_request(frame).await;
                    self.handling.set(false);
                    if let Err(malformed) = taken {
                        tracing::info!(peer = %self.address, "closed: {malformed}");
                        self.shared.shard.page.borrow_mut().connections_refused += 1;
                        break;
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    tracing::debug!(peer = %self.address, "connection lost: {error}");
                    break;
                }
            }
            self.rest_if_due().await;
        }
        self.stop_reading();
    }

    /// Lets the reactor poll when this task has long had something to do.
    async fn rest_if_due(&self) {
        let now_ns = self.shared.shard.now().mono_ns;
        if u128::from(now_ns.saturating_sub(self.last_rest_ns.get())) > WORK_MAX.as_nanos() {
            pace::rest().await;
            self.last_rest_ns.set(self.shared.shard.now().mono_ns);
        }
    }

    fn mute(&self, throttle: Duration) {
        if throttle > Duration::ZERO {
            let until_ns = self.shared.shard.now().plus(throttle);
            self.muted_until_ns.set(self.muted_until_ns.get().max(until_ns));
            self.shared.shard.page.borrow_mut().throttled += 1;
        }
    }

    /// The answer that exceeded a quota goes out meanwhile: only reading waits.
    async fn rest_while_muted(&self) {
        let over = || self.shared.shard.now().mono_ns >= self.muted_until_ns.get();
        if !over() {
            self.shared.shard.changes.until(|| over() || self.closed.get() || self.reading_ended.get()).await;
            self.progress();
        }
    }

    /// The next frame; `None` when the client ended between two frames.
    async fn read_frame(&self, last_bytes: usize) -> io::Result<Option<Frame>> {
        let mut length = [0; 4];
        let mut filled = 0;
        while filled < length.len() {
            match self.read(&mut length[filled..]).await? {
                0 if filled == 0 => return Ok(None),
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                bytes => filled += bytes,
            }
            self.within_frame.set(true);
        }
        let bytes = usize::try_from(i32::from_be_bytes(length)).unwrap_or(usize::MAX);
        let allowed = self.login.frame_bytes(&self.shared);
        if !allowed.contains(&bytes) {
            match OtherProtocol::of(length) {
                Some(other) => tracing::info!(peer = %self.address, "closed: {}", other.client()),
                None => {
                    let (bytes, least, most) = (i32::from_be_bytes(length), allowed.start(), allowed.end());
                    tracing::info!(peer = %self.address, "closed: a frame of {bytes} bytes, allowed are {least} to {most}");
                }
            }
            self.shared.shard.page.borrow_mut().connections_refused += 1;
            return Ok(None);
        }
        let frame = self.read_body(bytes, last_bytes).await?;
        self.within_frame.set(false);
        self.shared.shard.page.borrow_mut().received_bytes += bytes as u64 + 4;
        Ok(Some(frame))
    }

    async fn read_body(&self, bytes: usize, last_bytes: usize) -> io::Result<Frame> {
        let shared = &self.shared;
        let mut frame = Frame::begin(bytes, &shared.frame_buffers, shared.frames.begin());
        while !frame.is_whole() {
            let trusted = if shared.frames.is_ample() { last_bytes } else { 0 };
            if !frame.make_room(trusted) {
                let room = || frame.make_room(0) || self.closed.get();
                shared.shard.changes.until(room).await;
                // It was the broker that waited, not the client.
                self.progress();
            }
            if self.closed.get() {
                return Err(io::ErrorKind::ConnectionAborted.into());
            }
            match self.read(frame.unfilled()).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                bytes => frame.advance(bytes),
            }
        }
        Ok(frame)
    }

    /// Reads what is there. A wait between two frames ends when reading does.
    async fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        let waits = || self.last_rest_ns.set(u64::MAX);
        let between_frames = !self.within_frame.get();
        let over = || self.closed.get() || (between_frames && self.reading_ended.get());
        let read = self.socket.read(into, waits);
        let ended = async {
            self.changed.until(over).await;
            Ok(0)
        };
        let bytes = or(read, ended).await?;
        let now_ns = self.progress();
        if self.last_rest_ns.get() == u64::MAX {
            self.last_rest_ns.set(now_ns);
        }
        Ok(bytes)
    }

    /// Hands one request on; its answer is queued, there already or not.
    async fn take_request(self: &Rc<Self>, frame: Frame) -> Result<(), Malformed> {
        let received_ns = self.last_progress_ns.get();
        // The answer to a fetch may have muted it while this request was on its way.
        self.rest_while_muted().await;
        let has_place = || {
            let is_short = self.queue.borrow().len() < REQUESTS_IN_FLIGHT_MAX;
            is_short && self.answer_bytes.get() < ANSWER_BYTES_WAITING_MAX
        };
        self.changed.until(|| has_place() || self.closed.get()).await;
        if self.login.awaits_raw() {
            let answer = self.login.take_raw(&self.shared, &frame, || self.closed.get()).await?;
            return self.push_login(answer, SASL_AUTHENTICATE, received_ns);
        }
        let (header, body) = match header::open(&frame, &self.shared.apis)? {
            Opened::Request { header, body } => (header, body),
            Opened::UnknownApiVersions { correlation } => {
                let answer = api_versions::unsupported(correlation, &self.shared.apis);
                self.push(Answer::Ready(Outgoing::of(answer)), API_VERSIONS, received_ns);
                return Ok(());
            }
        };
        if let Some(answer) = self.login.take(&self.shared, &header, body, || self.closed.get()).await? {
            return self.push_login(answer, header.api_key, received_ns);
        }
        let asked = self.request_context(&header, body.len(), received_ns).await?;
        let answer = match asked.api {
            PRODUCE => match self.take_produce(&asked, body).await? {
                Begun::Answered(work) => {
                    self.mute(work.throttle);
                    Answer::Produce(work)
                }
                Begun::Silent { refused, throttle } => {
                    self.mute(throttle);
                    self.count(PRODUCE, received_ns, u64::from(refused));
                    if refused {
                        tracing::debug!(peer = %self.address, "closed: a batch with acks=0 was refused");
                        self.close();
                    }
                    return Ok(());
                }
            },
            FETCH => self.take_fetch(&asked, body).await?,
            API_VERSIONS => {
                Answer::Ready(Outgoing::of(api_versions::answer(header, body, &self.shared.apis)?))
            }
            _ => {
                let body = Bytes::copy_from_slice(body);
                // Some answers take minutes (a group's rebalance): the frame's memory does not.
                drop(frame);
                Answer::Ready(self.take_other(&asked, body).await?)
            }
        };
        self.push(answer, asked.api, received_ns);
        Ok(())
    }

    async fn take_produce(self: &Rc<Self>, asked: &RequestContext, body: &[u8]) -> Result<Begun, Malformed> {
        let closed = || self.closed.get();
        produce::begin(&self.shared.context, asked, body, closed, || self.silent_request()).await
    }

    /// The request under which all batches with acks=0 go: an error to it closes the connection.
    fn silent_request(self: &Rc<Self>) -> RequestId {
        if let Some(request) = self.silent.get() {
            return request;
        }
        let this = Rc::downgrade(self);
        let request = self.shared.shard.begin_silent(Rc::new(move || {
            if let Some(this) = this.upgrade() {
                this.close();
            }
        }));
        self.silent.set(Some(request));
        request
    }

    async fn take_fetch(&self, asked: &RequestContext, body: &[u8]) -> Result<Answer, Malformed> {
        self.changed.until(|| self.fetches.get() == 0 || self.closed.get()).await;
        let bytes_max = self.shared.fetch_bytes_max();
        let work = fetch::begin(&self.shared.context, asked, body, bytes_max)?;
        self.fetches.set(self.fetches.get() + 1);
        Ok(Answer::Fetch(work))
    }

    async fn take_other(&self, asked: &RequestContext, body: Bytes) -> Result<Outgoing, Malformed> {
        let bytes = body.len();
        let decoded = || {
            let rest = if bytes > BODY_BYTES_FREE { DECODED_TIMES_HELD * bytes } else { 0 };
            asked.memory.iter().for_each(|memory| memory.shrink_to(rest));
            self.shared.shard.changes.notify();
        };
        let handled = versions::handle(&self.shared.context, asked, body, decoded);
        let closed = async {
            self.changed.until(|| self.closed.get()).await;
            None
        };
        let Some(handled) = or(async { Some(handled.await) }, closed).await else {
            return Err(Malformed("nobody waits for its answer"));
        };
        let answered = handled.expect("the surface was checked").map_err(|error| {
            let &RequestContext { api, version, .. } = asked;
            match error {
                WireError::Request(_) | WireError::Named(_) => tracing::debug!(api, version, "{error}"),
                WireError::Answer(_) => tracing::error!(api, version, "{error}"),
            }
            Malformed("it has no answer")
        })?;
        let mut answer = header::begin_answer(asked.correlation);
        answer.extend_from_slice(&answered);
        header::seal(&mut answer, 0);
        Ok(Outgoing::of(answer))
    }

    /// What is known of a request, with the memory that it may take reserved; waits until there is room for it, and
    /// for its answer.
    async fn request_context(
        &self,
        header: &RequestHeader<'_>,
        body_bytes: usize,
        received_ns: u64,
    ) -> Result<RequestContext, Malformed> {
        let RequestHeader { api_key: api, version, correlation, client_id } = *header;
        let memory = match admission::memory_estimate(api, body_bytes) {
            0 => None,
            bytes => Some(Rc::new(self.reserve(bytes, body_bytes).await?)),
        };
        let (peer, client_id) = (self.login.peer(), self.client_id(client_id.unwrap_or_default()));
        Ok(RequestContext { peer, client_id, api, version, correlation, received_ns, memory })
    }

    async fn reserve(&self, bytes: usize, body_bytes: usize) -> Result<Share, Malformed> {
        if body_bytes > self.shared.body_bytes_max {
            return Err(Malformed("it is too long for a request without records"));
        }
        let share = self.shared.decoding.begin();
        let has_room = || share.grow_to(bytes) && self.shared.has_room_for_answers();
        if !has_room() {
            self.shared.shard.changes.until(|| has_room() || self.closed.get()).await;
            self.progress();
        }
        Ok(share)
    }

    /// A client says the same in each request.
    fn client_id(&self, said: &str) -> Rc<str> {
        let mut kept = self.client_id.borrow_mut();
        if **kept != *said {
            *kept = said.into();
        }
        Rc::clone(&kept)
    }

    fn text_made(&self, bytes: usize) {
        self.answer_bytes.set(self.answer_bytes.get() + bytes);
        self.shared.text_bytes.set(self.shared.text_bytes.get() + bytes);
    }

    fn text_gone(&self, bytes: usize) {
        self.answer_bytes.set(self.answer_bytes.get() - bytes);
        self.shared.text_bytes.set(self.shared.text_bytes.get() - bytes);
    }

    /// Who is told that it did not get in is told nothing else.
    fn push_login(&self, answer: LoginAnswer, api_key: i16, received_ns: u64) -> Result<(), Malformed> {
        self.progress();
        self.push(Answer::Ready(Outgoing::of(answer.frame)), api_key, received_ns);
        answer.ends.map_or(Ok(()), Err)
    }

    fn push(&self, answer: Answer, api_key: i16, received_ns: u64) {
        self.text_made(answer.ready_bytes());
        self.queue.borrow_mut().push_back(Queued { answer, api_key, received_ns });
        self.shared.shard.page.borrow_mut().requests_in_flight += 1;
        self.changed.notify();
    }

    /// Writes answers in order until the connection ends or all requests are answered.
    async fn write_answers(&self) -> io::Result<()> {
        loop {
            let ended = || self.closed.get() || self.reading_ended.get();
            self.changed.until(|| !self.queue.borrow().is_empty() || ended()).await;
            if self.closed.get() || self.queue.borrow().is_empty() {
                return Ok(());
            }
            if !self.wait_for_front().await {
                return Ok(());
            }
            let queued = self.queue.borrow_mut().pop_front().expect("it was there");
            self.shared.shard.page.borrow_mut().requests_in_flight -= 1;
            self.changed.notify();
            self.write(queued).await?;
        }
    }

    /// Waits for the oldest request's answer; false when nobody needs it any more.
    async fn wait_for_front(&self) -> bool {
        let ready = || self.queue.borrow()[0].answer.is_complete();
        if ready() {
            return true;
        }
        let parked_fetch = matches!(self.queue.borrow()[0].answer, Answer::Fetch(_));
        // A parked fetch of a client that sends nothing more is not waited for.
        let over = || self.closed.get() || (parked_fetch && self.reading_ended.get());
        let completion = self.queue.borrow()[0].answer.completion();
        or(completion, self.changed.until(over)).await;
        ready() && !self.closed.get()
    }

    async fn write(&self, queued: Queued) -> io::Result<()> {
        let context = &self.shared.context;
        let is_fetch = matches!(queued.answer, Answer::Fetch(_));
        let text_bytes = queued.answer.ready_bytes();
        let (outgoing, errors) = match queued.answer {
            Answer::Ready(outgoing) => (outgoing, 0),
            Answer::Produce(work) => work.finish(context, &self.login.peer().listener),
            Answer::Fetch(work) => {
                let (outgoing, errors, throttle) = work.finish(context, &self.login.peer().listener);
                self.mute(throttle);
                (outgoing, errors)
            }
        };
        self.count(queued.api_key, queued.received_ns, errors);
        // Those that are made only now are counted from now on.
        let bytes = outgoing.bytes() - text_bytes;
        self.shared.answer_bytes.set(self.shared.answer_bytes.get() + bytes);
        let result = self.send(&outgoing).await;
        self.shared.answer_bytes.set(self.shared.answer_bytes.get() - bytes);
        self.text_gone(text_bytes);
        if is_fetch {
            self.fetches.set(self.fetches.get() - 1);
        }
        self.changed.notify();
        result
    }

    async fn send(&self, outgoing: &Outgoing) -> io::Result<()> {
        let pieces: smallvec::SmallVec<[&[u8]; 8]> = outgoing.pieces().collect();
        let progress = |bytes| {
            self.progress();
            self.shared.shard.page.borrow_mut().sent_bytes += bytes as u64;
        };
        self.socket.write_all(&pieces, progress).await
    }

    fn count(&self, api_key: i16, received_ns: u64, errors: u64) {
        let now_ns = self.shared.shard.now().mono_ns;
        let mut page = self.shared.shard.page.borrow_mut();
        let api = page.apis.entry(api_key).or_default();
        api.latency.record(now_ns.saturating_sub(received_ns));
        api.errors += errors;
    }

    /// The client is gone: what is parked for it is forgotten.
    fn drop_answers(&self) {
        if let Some(request) = self.silent.take() {
            self.shared.shard.cancel(request);
        }
        for queued in self.queue.take() {
            self.text_gone(queued.answer.ready_bytes());
            self.shared.shard.page.borrow_mut().requests_in_flight -= 1;
            if let Answer::Fetch(work) = queued.answer {
                work.cancel(&self.shared.context);
            }
        }
    }
}
