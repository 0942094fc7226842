//! All links of one shard to shards of other nodes: whom to call, whom to let in, which link of a
//! pair counts, and what each brings. Knows nothing of raft or of the engine's inputs.

mod joining;

use super::addresses::Addresses;
use super::backoff::Backoff;
use super::frame::FrameKind;
use super::handshake::{Hello, Refused, VERSIONS};
use super::link::{self, Incoming, LinkError, Outgoing, refusal_text};
use super::open_link::{OpenLink, Traffic};
use super::roster::{Place, Roster};
use super::secure::{Secured, Security};
use crate::audit;
use crate::client::any_socket::AnySocket;
use crate::client::socket::{self, Socket};
use crate::shard::completion::Waiters;
use engine::control::View;
use engine::disk::BufferPool;
use engine::entry::EntryBytes;
use engine::formation::Report;
use engine::ids::{ClusterId, Incarnation, LaneId, NodeId, Run, ShardId};
use engine::peer::PeerMessage;
use engine::register::{Meeting, Met, Register};
use futures_lite::future::or;
use glommio::net::{TcpListener, TcpStream};
use rustls::pki_types::CertificateDer;
use serde_json::json;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A handshake takes two messages; a stopped process answers none.
const GREETING_MAX: Duration = Duration::from_secs(3);
/// Handshakes of callers under way; more are closed unheard.
const GREETINGS_MAX: usize = 64;
const CONNECT_MAX: Duration = Duration::from_secs(2);
/// A link that stood this long was a good one: the next try comes soon.
const STOOD_LONG: Duration = Duration::from_secs(1);
/// How long accepting rests when there are no descriptors left.
const NO_DESCRIPTORS_PAUSE: Duration = Duration::from_millis(100);
/// The same complaint about a caller is logged at most this often.
const COMPLAINT_INTERVAL: Duration = Duration::from_secs(1);

/// What the engine found in the data folder, or made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Zero until the cluster is formed.
    pub cluster: ClusterId,
    pub incarnation: Incarnation,
    /// This process.
    pub run: Run,
}

/// What the links bring.
#[derive(Debug)]
pub enum News {
    Message {
        from: NodeId,
        message: PeerMessage,
    },
    Formation(Report),
    /// A process of another node that is to be written down before it counts.
    Met(Met),
    /// Another node refused this one: it met a later process of this folder.
    OldCopy {
        by: NodeId,
        /// The start that it met.
        seen: u64,
    },
    /// The link of a lane came up, with this process at its other end, or broke.
    Link {
        node: NodeId,
        lane: LaneId,
        run: Option<Run>,
    },
}

/// Counters since the start and gauges of now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkStats {
    pub open: u64,
    /// Handshakes that came to nothing, of callers and of own calls.
    pub refused: u64,
    /// Links that ended.
    pub closed: u64,
    pub queued_bytes: u64,
    pub received_bytes: u64,
    pub sent_bytes: u64,
}

/// The other shard of a link.
type Other = (NodeId, ShardId);

pub struct Links {
    place: Place,
    /// Where links are within TLS, or may be.
    security: Option<Security>,
    addresses: Arc<Addresses>,
    roster: RefCell<Roster>,
    /// The newest metadata.
    view: RefCell<Arc<View>>,
    identity: Cell<Option<Identity>>,
    /// Which processes of other nodes were met, durably.
    register: RefCell<Option<Arc<Register>>>,
    pool: BufferPool,
    queue_bytes_max: usize,
    deliver: Box<dyn Fn(News)>,
    open: RefCell<BTreeMap<Other, Rc<OpenLink>>>,
    /// Whom a task calls whenever there is no link.
    called: RefCell<BTreeSet<Other>>,
    /// Sockets within their handshake, and since when.
    greeting: RefCell<Vec<(Rc<AnySocket>, Instant)>>,
    /// Sockets before it, that become secure.
    securing: Cell<usize>,
    /// Notified when a link opened or ended.
    changed: Waiters,
    refused: Cell<u64>,
    closed: Cell<u64>,
    /// Of the links that ended.
    past: Cell<Traffic>,
    /// What was last logged of each node that cannot be reached.
    complaints: RefCell<BTreeMap<Other, String>>,
    complained: Cell<Option<Instant>>,
}

impl Links {
    /// Links that neither call nor let in anybody before [`Links::introduce`]. `deliver` is given
    /// what they bring.
    pub fn new(
        place: Place,
        security: Option<Security>,
        addresses: Arc<Addresses>,
        pool: BufferPool,
        queue_bytes_max: usize,
        deliver: impl Fn(News) + 'static,
    ) -> Rc<Self> {
        Rc::new(Self {
            place,
            security,
            roster: RefCell::new(Roster::new(&addresses.nodes())),
            view: RefCell::default(),
            addresses,
            identity: Cell::new(None),
            register: RefCell::default(),
            pool,
            queue_bytes_max,
            deliver: Box::new(deliver),
            open: RefCell::default(),
            called: RefCell::default(),
            greeting: RefCell::default(),
            securing: Cell::new(0),
            changed: Waiters::default(),
            refused: Cell::new(0),
            closed: Cell::new(0),
            past: Cell::default(),
            complaints: RefCell::default(),
            complained: Cell::new(None),
        })
    }

    /// Lets others in from now on.
    pub fn listen(self: &Rc<Self>, address: SocketAddr) -> io::Result<()> {
        let (this, listener) = (Rc::clone(self), socket::listen(address)?);
        glommio::spawn_local(async move { this.accept(listener).await }).detach();
        Ok(())
    }

    /// Says who this node is: calls begin. Also when its cluster came to be formed.
    pub fn introduce(self: &Rc<Self>, identity: Identity) {
        self.identity.set(Some(identity));
        self.changed.notify();
        self.call_all();
    }

    /// What is durable of the processes that were met.
    pub fn learn_register(&self, register: Arc<Register>) {
        *self.register.borrow_mut() = Some(register);
        self.changed.notify();
    }

    /// What was last said of this node.
    pub fn identity(&self) -> Option<Identity> {
        self.identity.get()
    }

    /// New metadata: other nodes have shards, the cluster has lanes.
    pub fn follow(self: &Rc<Self>, view: &Arc<View>) {
        *self.view.borrow_mut() = Arc::clone(view);
        self.roster.borrow_mut().follow(view);
        self.call_all();
        let open: Vec<_> = self.open.borrow().values().cloned().collect();
        open.iter().for_each(|link| self.tell_lanes(link));
    }

    /// Other nodes are written down: they may be spoken to.
    pub fn learn_members(self: &Rc<Self>) {
        self.roster.borrow_mut().learn(&self.addresses.nodes());
        self.call_all();
    }

    pub fn addresses(&self) -> &Arc<Addresses> {
        &self.addresses
    }

    /// Whether each link is within TLS: then a node is who its certificate says.
    pub fn are_within_tls(&self) -> bool {
        self.security.as_ref().is_some_and(Security::is_required)
    }

    /// Sends without blocking; what has no link is lost.
    pub fn send(&self, to: NodeId, lane: LaneId, message: &PeerMessage) {
        let Some(link) = self.link(to, lane) else { return };
        let entry = message.entry().map(|entry| entry.pieces().iter().cloned().collect());
        let (body, entry) = (message.encode(), entry.unwrap_or_default());
        link.push(Outgoing { kind: FrameKind::Message, body, entry });
    }

    /// Sends a formation report; shards 0 do.
    pub fn report(&self, to: NodeId, report: &Report) {
        if let Some(link) = self.open.borrow().get(&(to, ShardId(0))) {
            link.push(Outgoing::small(FrameKind::Formation, report.encode()));
        }
    }

    fn link(&self, to: NodeId, lane: LaneId) -> Option<Rc<OpenLink>> {
        // A node's shards are as its handshakes say: the metadata may not know it yet.
        let open = self.open.borrow();
        let mut links = open.range((to, ShardId(0))..=(to, ShardId(u16::MAX))).map(|(_, link)| link);
        links.find(|link| lane.shard(link.theirs.shards) == link.theirs.shard).cloned()
    }

    /// Looks at the time; called on the shard's tick.
    pub fn tick(&self) {
        self.open.borrow().values().for_each(|link| link.tick());
        if self.security.as_ref().is_some_and(Security::has_changed) {
            self.close_distrusted();
        }
        for (socket, since) in self.greeting.borrow().iter() {
            if since.elapsed() > GREETING_MAX {
                socket.shutdown();
            }
        }
        if !self.greeting.borrow().is_empty() {
            // Those that wait for something else than their socket look at the time, too.
            self.changed.notify();
        }
    }

    /// Certificates changed: links that could not begin any more end.
    fn close_distrusted(&self) {
        let security = self.security.as_ref().expect("it changed");
        for link in self.open.borrow().values() {
            if let Some(Err(error)) = link.chain.as_deref().map(|chain| security.is_still_good(chain)) {
                link.close(error);
            }
        }
    }

    pub fn stats(&self) -> LinkStats {
        let (open, past) = (self.open.borrow(), self.past.get());
        let mut stats = LinkStats {
            open: open.len() as u64,
            refused: self.refused.get(),
            closed: self.closed.get(),
            queued_bytes: 0,
            received_bytes: past.received_bytes,
            sent_bytes: past.sent_bytes,
        };
        for link in open.values() {
            let traffic = link.traffic();
            stats.queued_bytes += link.queued_bytes() as u64;
            stats.received_bytes += traffic.received_bytes;
            stats.sent_bytes += traffic.sent_bytes;
        }
        stats
    }

    /// Starts calling those that this node calls: of two nodes the one with the lower id does.
    fn call_all(self: &Rc<Self>) {
        if self.identity.get().is_none() {
            return;
        }
        for other in self.wanted() {
            if self.place.node < other.0 && self.called.borrow_mut().insert(other) {
                let this = Rc::clone(self);
                glommio::spawn_local(async move { this.keep_calling(other).await }).detach();
            }
        }
    }

    /// Whom the metadata names and nobody wrote down yet is not spoken to.
    fn wanted(&self) -> Vec<Other> {
        let mut wanted = self.roster.borrow().wanted(self.place.shard, self.place.shards);
        wanted.retain(|(node, _)| self.addresses.is_listed(*node));
        wanted
    }

    async fn keep_calling(self: Rc<Self>, other: Other) {
        let [seed] = crate::process::entropy::random();
        let mut backoff = Backoff::new(seed);
        while self.wanted().contains(&other) {
            self.changed.until(|| !self.open.borrow().contains_key(&other)).await;
            let begin = Instant::now();
            match self.call(other).await {
                Ok(()) if begin.elapsed() > STOOD_LONG => backoff.reset(),
                Ok(()) => {}
                Err(error) => {
                    self.refused.set(self.refused.get() + 1);
                    self.addresses.failed();
                    self.complain(other, &error);
                }
            }
            glommio::timer::sleep(backoff.wait()).await;
        }
        self.called.borrow_mut().remove(&other);
    }

    /// Calls once, and serves the link until it ends.
    async fn call(self: &Rc<Self>, other: Other) -> Result<(), LinkError> {
        let address = self.address(other).ok_or(LinkError::NoAddress)?;
        let stream = TcpStream::connect_timeout(address, CONNECT_MAX).await;
        self.serve(stream.map_err(io::Error::from)?, Some(other)).await
    }

    /// Where a shard of another node listens, as far as that is known.
    fn address(&self, (node, shard): Other) -> Option<SocketAddr> {
        let first = self.addresses.of(node)?;
        Some(SocketAddr::new(first.ip(), first.port().checked_add(shard.0)?))
    }

    async fn accept(self: Rc<Self>, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok(_) if self.greeting.borrow().len() + self.securing.get() >= GREETINGS_MAX => {
                    self.refused.set(self.refused.get() + 1);
                }
                Ok(stream) => {
                    let this = Rc::clone(&self);
                    glommio::spawn_local(async move {
                        let from = stream.peer_addr().ok();
                        if let Err(error) = this.serve(stream, None).await {
                            this.refused.set(this.refused.get() + 1);
                            this.complain_of_caller(from, &error);
                        }
                    })
                    .detach();
                }
                Err(error) => {
                    tracing::warn!("a link was not accepted: {error}");
                    glommio::timer::sleep(NO_DESCRIPTORS_PAUSE).await;
                }
            }
        }
    }

    /// From the handshake to the end of the link; an error is a handshake that came to nothing.
    async fn serve(self: &Rc<Self>, stream: TcpStream, to: Option<Other>) -> Result<(), LinkError> {
        stream.set_nodelay(true).map_err(io::Error::from)?;
        let Secured { socket, chain } = self.secure(stream, to).await?;
        let socket = Rc::new(socket);
        self.greeting.borrow_mut().push((Rc::clone(&socket), Instant::now()));
        let greeted = self.greet(&socket, chain.as_deref(), to).await;
        self.greeting.borrow_mut().retain(|(greeting, _)| !Rc::ptr_eq(greeting, &socket));
        if let Err(LinkError::Joins(question)) = &greeted {
            return self.tell_members(&socket, chain.as_deref(), question).await;
        }
        let link = self.open(greeted?, socket, chain);
        let seen = self.read(&link).await;
        if let LinkError::OldCopyThere { seen, .. } = seen {
            (self.deliver)(News::OldCopy { by: link.theirs.node, seen });
        }
        let reason = link.reason(seen);
        self.ended(&link, &reason);
        Ok(())
    }

    /// TLS, where this node and the other one speak it.
    async fn secure(&self, stream: TcpStream, to: Option<Other>) -> Result<Secured, LinkError> {
        let Some(security) = &self.security else {
            return Ok(Secured { socket: AnySocket::Plain(Socket::new(stream)), chain: None });
        };
        self.securing.set(self.securing.get() + 1);
        let secured = async {
            match to {
                Some(other) => security.call(stream, other).await,
                None => security.answer(stream).await,
            }
        };
        let late = async {
            glommio::timer::sleep(GREETING_MAX).await;
            Err(LinkError::Silent(GREETING_MAX.as_millis() as u64))
        };
        let secured = or(secured, late).await;
        assert!(self.securing.get() > 0, "this one is counted");
        self.securing.set(self.securing.get() - 1);
        secured
    }

    async fn greet(
        &self,
        socket: &AnySocket,
        chain: Option<&[CertificateDer<'static>]>,
        to: Option<Other>,
    ) -> Result<Hello, LinkError> {
        // A caller may come before the folder was read.
        self.changed.until(|| self.identity.get().is_some()).await;
        let Identity { cluster, incarnation, run } = self.identity.get().expect("waited for");
        let Place { node, shard, shards } = self.place;
        let lanes = self.roster.borrow().lanes();
        let ours = Hello { versions: VERSIONS, cluster, node, incarnation, shard, shards, lanes, to, run };
        let is_listed = |node| self.addresses.is_listed(node);
        let theirs = link::greet(socket, &self.pool, &ours, is_listed).await;
        if let (Err(LinkError::OldCopyThere { seen, .. }), Some((by, _))) = (&theirs, to) {
            (self.deliver)(News::OldCopy { by, seen: *seen });
        }
        let theirs = theirs?;
        if let Some(Err(error)) = self.security.as_ref().map(|security| security.check(chain, theirs.node)) {
            link::refuse(socket, &error.to_string()).await;
            return Err(error);
        }
        let invited = self.view.borrow().invited.get(&theirs.node).map(|invited| invited.incarnation);
        if let Some(invited) = invited.filter(|invited| invited.0 != 0 && *invited != theirs.incarnation) {
            let refused = Refused::OtherLife { node: theirs.node, invited, theirs: theirs.incarnation };
            link::refuse(socket, &refused.to_string()).await;
            return Err(refused.into());
        }
        self.meet(socket, &theirs).await?;
        let other = (theirs.node, theirs.shard);
        let known = self.open.borrow().get(&other).cloned();
        if known.is_some_and(|link| link.theirs.incarnation != theirs.incarnation && link.is_alive()) {
            let duplicate = LinkError::Duplicate(theirs.node);
            link::refuse(socket, &duplicate.to_string()).await;
            return Err(duplicate);
        }
        Ok(theirs)
    }

    /// Lets in only what is written down: a process that was started earlier than one that was met
    /// runs on an older copy of its folder, and has forgotten what it promised.
    async fn meet(&self, socket: &AnySocket, theirs: &Hello) -> Result<(), LinkError> {
        let Hello { node, incarnation, run, .. } = *theirs;
        let (met, begin) = (Met { node, incarnation, run }, Instant::now());
        let meeting = || self.register.borrow().as_ref().map(|register| register.meet(&met));
        let is_late = || begin.elapsed() > GREETING_MAX;
        self.changed.until(|| meeting().is_some() || is_late()).await;
        if meeting() == Some(Meeting::New) {
            (self.deliver)(News::Met(met));
        }
        self.changed.until(|| meeting() != Some(Meeting::New) || is_late()).await;
        match meeting() {
            Some(Meeting::Old { seen }) => {
                let text = older_copy(node, seen, run.start);
                link::refuse_old(socket, seen, &text).await;
                Err(LinkError::OldCopy(text))
            }
            Some(Meeting::Known) => Ok(()),
            Some(Meeting::New) | None => Err(LinkError::Closed),
        }
    }

    /// The newest link of a pair counts.
    fn open(
        &self,
        theirs: Hello,
        socket: Rc<AnySocket>,
        chain: Option<Vec<CertificateDer<'static>>>,
    ) -> Rc<OpenLink> {
        let other = (theirs.node, theirs.shard);
        let before = self.open.borrow().get(&other).cloned();
        if let Some(before) = before {
            before.close(LinkError::Replaced);
            self.forget(&before);
        }
        let link = OpenLink::start(theirs, socket, chain, self.queue_bytes_max);
        self.open.borrow_mut().insert(other, Rc::clone(&link));
        self.complaints.borrow_mut().remove(&other);
        tracing::info!(
            shard = self.place.shard.0,
            node = other.0.0,
            their_shard = other.1.0,
            tls = link.chain.is_some(),
            "linked"
        );
        audit::tell(
            "peer linked",
            json!({"shard": self.place.shard.0, "peer": other.0.0, "peer_shard": other.1.0, "tls": link.chain.is_some()}),
        );
        self.tell_lanes(&link);
        link
    }

    fn tell_lanes(&self, link: &Rc<OpenLink>) {
        let Hello { node, shard, shards, run, .. } = link.theirs;
        for lane in self.roster.borrow().common_lanes(self.place, (shard, shards)) {
            if !link.told.borrow().contains(&lane) {
                link.told.borrow_mut().push(lane);
                (self.deliver)(News::Link { node, lane, run: Some(run) });
            }
        }
    }

    async fn read(&self, link: &Rc<OpenLink>) -> LinkError {
        loop {
            let taken = match link::receive(link.socket(), &self.pool, &**link).await {
                Ok(incoming) => take(&link.theirs, incoming),
                Err(error) => return error,
            };
            match taken {
                Ok(Some(news)) => (self.deliver)(news),
                Ok(None) => {}
                Err(error) => return error,
            }
            link.rest_if_due().await;
        }
    }

    fn ended(&self, link: &Rc<OpenLink>, reason: &LinkError) {
        let (node, their_shard) = (link.theirs.node.0, link.theirs.shard.0);
        let address = self.address((link.theirs.node, link.theirs.shard));
        let address = address.map_or_else(|| "unknown".to_owned(), |at| at.to_string());
        tracing::warn!(shard = self.place.shard.0, node, their_shard, %address, "link closed: {reason}");
        self.closed.set(self.closed.get() + 1);
        let (traffic, past) = (link.traffic(), self.past.get());
        self.past.set(Traffic {
            received_bytes: past.received_bytes + traffic.received_bytes,
            sent_bytes: past.sent_bytes + traffic.sent_bytes,
        });
        self.forget(link);
        self.changed.notify();
    }

    /// It is no longer the link of its pair; told once.
    fn forget(&self, link: &Rc<OpenLink>) {
        let other = (link.theirs.node, link.theirs.shard);
        let is_current = self.open.borrow().get(&other).is_some_and(|current| Rc::ptr_eq(current, link));
        if is_current {
            self.open.borrow_mut().remove(&other);
            for lane in link.told.take() {
                (self.deliver)(News::Link { node: other.0, lane, run: None });
            }
        }
    }

    /// Logs why another node cannot be reached, once as long as it is for the same reason.
    fn complain(&self, other: Other, error: &LinkError) {
        let text = error.to_string();
        if self.complaints.borrow().get(&other) != Some(&text) {
            let (node, their_shard) = (other.0.0, other.1.0);
            let address = self.address(other).map_or_else(|| "unknown".to_owned(), |at| at.to_string());
            tracing::warn!(shard = self.place.shard.0, node, their_shard, %address, "no link: {text}; trying on");
            self.complaints.borrow_mut().insert(other, text);
        }
    }

    fn complain_of_caller(&self, from: Option<SocketAddr>, error: &LinkError) {
        let is_due = self.complained.get().is_none_or(|last| last.elapsed() > COMPLAINT_INTERVAL);
        let (true, Some(from)) = (is_due, from) else { return };
        self.complained.set(Some(Instant::now()));
        tracing::warn!(shard = self.place.shard.0, %from, "a caller was refused: {error}");
        let fields =
            json!({"shard": self.place.shard.0, "address": from.to_string(), "reason": error.to_string()});
        audit::tell("peer refused", fields);
    }
}

fn older_copy(node: NodeId, seen: u64, start: u64) -> String {
    format!(
        "node {node} runs on an older copy of its data folder: this is its start {start}, and start {seen} was met. \
         Put the newest copy back, or start it again: it is taken in as a new replica and keeps what it has in \
         quarantine/"
    )
}

/// What a frame brings; an error ends its link.
fn take(theirs: &Hello, incoming: Incoming) -> Result<Option<News>, LinkError> {
    let from = theirs.node;
    match incoming.kind {
        FrameKind::Message => {
            let entry =
                if incoming.entry.is_empty() { None } else { Some(EntryBytes::received(incoming.entry)?) };
            let message = PeerMessage::decode(&incoming.body, entry)?;
            Ok(Some(News::Message { from, message }))
        }
        FrameKind::Formation => {
            let report = Report::decode(&incoming.body)?;
            if report.node != from {
                return Err(LinkError::ForeignReport { link: from, report: report.node });
            }
            Ok(Some(News::Formation(report)))
        }
        FrameKind::Alive => Ok(None),
        FrameKind::Refusal => Err(LinkError::RefusedThere(refusal_text(&incoming.body))),
        FrameKind::OldCopy => Err(link::old_copy(&incoming.body)),
        found @ (FrameKind::Hello | FrameKind::Join | FrameKind::Members) => {
            Err(LinkError::Unexpected { found, expected: "anything but a second beginning" })
        }
    }
}

#[cfg(test)]
#[path = "links_tests.rs"]
mod tests;
