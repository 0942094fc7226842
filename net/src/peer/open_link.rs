//! A link after its handshake: what waits to be sent, and when something was last heard and said.
//! Knows neither the other links nor what the frames mean.

use super::frame::FrameKind;
use super::handshake::Hello;
use super::link::{self, LinkError, Outgoing, Progress};
use crate::client::any_socket::AnySocket;
use crate::shard::completion::Waiters;
use engine::ids::LaneId;
use rustls::pki_types::CertificateDer;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// An end that sent nothing for this long says that it is there.
const ALIVE_INTERVAL: Duration = Duration::from_secs(1);
/// A link on which nothing came for this long is closed: several times the interval, and time
/// enough for a node that is busy, not gone.
const SILENCE_MAX: Duration = Duration::from_secs(5);
/// After this much work without a pause a reader lets the reactor poll (notes, G6).
const WORK_MAX: Duration = Duration::from_micros(100);
const REACTOR_PAUSE: Duration = Duration::from_micros(2);

/// What came over a link and went, bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    pub received_bytes: u64,
    pub sent_bytes: u64,
}

/// One end of an open link.
pub struct OpenLink {
    /// What the other end said of itself.
    pub theirs: Hello,
    /// The lanes of which the engine was told that they are up.
    pub told: RefCell<Vec<LaneId>>,
    /// The certificates that the other end showed, where the link is within TLS.
    pub chain: Option<Vec<CertificateDer<'static>>>,
    socket: Rc<AnySocket>,
    queue: RefCell<VecDeque<Outgoing>>,
    /// Bytes of the frames in the queue and of those being written.
    queued_bytes: Cell<usize>,
    queue_bytes_max: usize,
    changed: Waiters,
    closed: RefCell<Option<LinkError>>,
    is_closed: Cell<bool>,
    traffic: Cell<Traffic>,
    heard: Cell<Instant>,
    said: Cell<Instant>,
    /// When the reader last waited, and so let others run; none while it waits.
    rested: Cell<Option<Instant>>,
}

impl OpenLink {
    /// Takes over a socket whose handshake is done, and starts the task that writes to it.
    pub fn start(
        theirs: Hello,
        socket: Rc<AnySocket>,
        chain: Option<Vec<CertificateDer<'static>>>,
        queue_bytes_max: usize,
    ) -> Rc<Self> {
        let now = Instant::now();
        let link = Rc::new(Self {
            theirs,
            told: RefCell::default(),
            chain,
            socket,
            queue: RefCell::default(),
            queued_bytes: Cell::new(0),
            queue_bytes_max,
            changed: Waiters::default(),
            closed: RefCell::default(),
            is_closed: Cell::new(false),
            traffic: Cell::default(),
            heard: Cell::new(now),
            said: Cell::new(now),
            rested: Cell::new(Some(now)),
        });
        let writer = Rc::clone(&link);
        glommio::spawn_local(async move { writer.write().await }).detach();
        link
    }

    pub fn socket(&self) -> &AnySocket {
        &self.socket
    }

    pub fn traffic(&self) -> Traffic {
        self.traffic.get()
    }

    /// Bytes that wait to be sent.
    pub fn queued_bytes(&self) -> usize {
        self.queued_bytes.get()
    }

    /// Whether something was heard lately.
    pub fn is_alive(&self) -> bool {
        !self.is_closed.get() && self.heard.get().elapsed() < SILENCE_MAX
    }

    /// Sends without blocking, in order. What does not fit closes the link.
    pub fn push(&self, frame: Outgoing) {
        if self.is_closed.get() {
            return;
        }
        let queued_bytes = self.queued_bytes.get() + frame.bytes();
        if queued_bytes > self.queue_bytes_max {
            return self.close(LinkError::Full(queued_bytes));
        }
        self.queued_bytes.set(queued_bytes);
        self.queue.borrow_mut().push_back(frame);
        self.changed.notify();
    }

    /// Ends both tasks; the first reason counts. Nothing that waits is sent any more.
    pub fn close(&self, reason: LinkError) {
        if !self.is_closed.replace(true) {
            *self.closed.borrow_mut() = Some(reason);
            self.queue.take();
            self.socket.shutdown();
            self.changed.notify();
        }
    }

    /// Why it was closed from this side, else what the reader saw.
    pub fn reason(&self, seen: LinkError) -> LinkError {
        self.close(LinkError::Closed);
        match self.closed.take() {
            Some(LinkError::Closed) | None => seen,
            Some(reason) => reason,
        }
    }

    /// Looks at the time: says that this end is there, closes what is silent.
    pub fn tick(&self) {
        let silence = self.heard.get().elapsed();
        if silence > SILENCE_MAX {
            return self.close(LinkError::Silent(silence.as_millis() as u64));
        }
        if self.said.get().elapsed() > ALIVE_INTERVAL && self.queue.borrow().is_empty() {
            self.push(Outgoing::small(FrameKind::Alive, Vec::new()));
        }
    }

    async fn write(self: Rc<Self>) {
        loop {
            self.changed.until(|| self.is_closed.get() || !self.queue.borrow().is_empty()).await;
            if self.is_closed.get() {
                return;
            }
            // All that a turn left here, in one gather.
            let frames: Vec<Outgoing> = self.queue.take().into();
            let bytes: usize = frames.iter().map(Outgoing::bytes).sum();
            self.said.set(Instant::now());
            let went = |bytes: usize| {
                let traffic = self.traffic.get();
                self.traffic.set(Traffic { sent_bytes: traffic.sent_bytes + bytes as u64, ..traffic });
            };
            if let Err(error) = link::send(&self.socket, &frames, went).await {
                return self.close(error);
            }
            self.queued_bytes.set(self.queued_bytes.get() - bytes);
        }
    }

    /// Lets the reactor poll when the reader has long had something to do.
    pub async fn rest_if_due(&self) {
        if self.rested.get().is_some_and(|rested| rested.elapsed() > WORK_MAX) {
            glommio::timer::sleep(REACTOR_PAUSE).await;
            self.rested.set(Some(Instant::now()));
        }
    }
}

impl Progress for OpenLink {
    fn waits(&self) {
        self.rested.set(None);
    }

    fn came(&self, bytes: usize) {
        let (now, traffic) = (Instant::now(), self.traffic.get());
        self.heard.set(now);
        if self.rested.get().is_none() {
            self.rested.set(Some(now));
        }
        self.traffic.set(Traffic { received_bytes: traffic.received_bytes + bytes as u64, ..traffic });
    }
}
