//! One shard's loop: gives the engine its inputs, carries out what it asks for, and brings its
//! answers back to those who asked.
//!
//! Whatever steps the engine within a turn of the executor wakes the turn task; that one runs
//! after the tasks that are runnable now and ends the turn, which is when entries are sealed.

mod carrying;
mod members;
pub mod peers;
mod settling;
mod standing;

use crate::observe::slow_disk::SlowDisk;
use crate::observe::stats::ShardPage;
use crate::observe::status::Status;
use crate::peer::links::Links;
use crate::process::end::NodeError;
use crate::process::system::{self, FileSystem};
use crate::shard::completion::{Slots, Waiters};
use crate::shard::errands::Errands;
use crate::shard::just_deleted::JustDeleted;
use crate::shard::leaders::{Leaders, Leadership};
use crate::shard::link_book::LinkBook;
use crate::shard::mailbox::{Mail, Mailbox};
use crate::shard::pace::Pace;
use crate::shard::publication::Publication;
use crate::shard::requests::{Asker, Refused, Requests};
use crate::shard::results::{ControlResult, ProduceResult, QueryResult, Question};
use crate::shard::written_members::WrittenMembers;
use crate::shard::{audit_events, shard_events};
use engine::clock::Now;
use engine::control::{Command, ControlRefusal, View};
use engine::disk::glommio_disk::GlommioDisk;
use engine::ids::{NodeId, PartitionId, ShardId};
use engine::port::{
    Event, Fatal, Fetch, FetchedPartition, Guard, Input, MarkerAnswer, Markers, Output, Produce, Query,
    RequestId,
};
use engine::shard::{Shard, ShardConfig};
use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::fs::File;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The shard that leads the meta journal: its lane is 0.
const META_SHARD: ShardId = ShardId(0);

/// A shard's engine with all that it needs around it. Shared by the tasks of one executor; no
/// borrow is held across an await.
pub struct ShardLoop {
    pub config: ShardConfig,
    pub status: Arc<Status>,
    /// What connections count; the engine's part is added when a page is published.
    pub page: RefCell<ShardPage>,
    /// Notified when a condition that requests wait for may have come true: room in a journal,
    /// memory, a leader, the tick.
    pub changes: Waiters,
    /// The newest metadata here, and who leads which journal.
    view: RefCell<Arc<View>>,
    /// Topics that clients shall not make again by asking for their metadata.
    pub just_deleted: RefCell<JustDeleted>,
    pub leaders: RefCell<Leaders>,
    /// The other nodes that this one is linked to.
    living: RefCell<BTreeSet<NodeId>>,
    link_book: RefCell<LinkBook>,
    /// None on a node that is a cluster of its own.
    links: RefCell<Option<Rc<Links>>>,
    members: RefCell<WrittenMembers>,
    engine: RefCell<Shard>,
    disk: Rc<GlommioDisk>,
    slow_disk: RefCell<SlowDisk>,
    mailbox: RefCell<Option<Mailbox>>,
    requests: RefCell<Requests>,
    errands: RefCell<Errands>,
    /// Commands that were carried out in this turn.
    done: RefCell<Vec<(RequestId, ControlResult)>>,
    publication: RefCell<Publication<(Asker, ControlResult)>>,
    /// Something was stepped since the last turn's end.
    turn_open: Cell<bool>,
    turns: Waiters,
    pub phase: Cell<ShardPhase>,
    started: Instant,
    on_fatal: Box<dyn Fn(NodeError)>,
}

/// How far this shard is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ShardPhase {
    Recovering,
    Ready,
    Stopped,
    /// The engine said that the node cannot go on: nothing is stepped any more.
    Failed,
}

impl ShardLoop {
    pub fn new(
        config: ShardConfig,
        engine: Shard,
        disk: GlommioDisk,
        status: Arc<Status>,
        on_fatal: Box<dyn Fn(NodeError)>,
    ) -> Rc<Self> {
        Rc::new(Self {
            publication: RefCell::new(Publication::new(config.shards)),
            config,
            status,
            page: RefCell::default(),
            changes: Waiters::default(),
            view: RefCell::default(),
            just_deleted: RefCell::default(),
            leaders: RefCell::default(),
            living: RefCell::default(),
            link_book: RefCell::default(),
            links: RefCell::default(),
            members: RefCell::default(),
            engine: RefCell::new(engine),
            disk: Rc::new(disk),
            slow_disk: RefCell::default(),
            mailbox: RefCell::default(),
            requests: RefCell::default(),
            errands: RefCell::default(),
            done: RefCell::default(),
            turn_open: Cell::new(false),
            turns: Waiters::default(),
            phase: Cell::new(ShardPhase::Recovering),
            started: Instant::now(),
            on_fatal,
        })
    }

    /// The time, as the engine sees it.
    pub fn now(&self) -> Now {
        let mono_ns = u64::try_from(self.started.elapsed().as_nanos()).expect("under 584 years");
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { mono_ns, wall_ms: i64::try_from(wall.as_millis()).unwrap_or(i64::MAX) }
    }

    pub fn view(&self) -> Arc<View> {
        Arc::clone(&self.view.borrow())
    }

    /// The data folder.
    pub fn folder(&self) -> &std::path::Path {
        self.disk.folder()
    }

    pub fn shard(&self) -> ShardId {
        self.config.shard
    }

    /// Connects the mailbox and starts the turn task, then the engine's recovery. Only then may
    /// mail arrive: another shard may have sent the first view already.
    pub fn start(self: &Rc<Self>, ends: crate::shard::mailbox::Ends) {
        let (mailbox, incoming) = Mailbox::connect(ends);
        *self.mailbox.borrow_mut() = Some(mailbox);
        let this = Rc::clone(self);
        glommio::spawn_local(async move { this.end_turns().await }).detach();
        self.step(Input::Start);
        let this = Rc::clone(self);
        incoming.deliver_to(move |from, mail| this.receive(from, mail));
    }

    async fn end_turns(self: Rc<Self>) {
        loop {
            self.turns.until(|| self.turn_open.get()).await;
            self.turn_open.set(false);
            self.step_now(Input::TurnEnd);
        }
    }

    /// The engine's tick and what goes with it; the caller keeps the time.
    pub fn tick(self: &Rc<Self>) {
        self.step(Input::Tick);
        self.with_mailbox(Mailbox::flush);
        self.tick_links();
        self.requests.borrow_mut().expire(self.now().mono_ns);
        self.expire_errands();
        self.changes.notify();
    }

    /// Gives the engine one input and carries out what follows; the turn ends later.
    pub fn step(self: &Rc<Self>, input: Input<'_>) {
        if !self.turn_open.replace(true) {
            self.turns.notify();
        }
        self.step_now(input);
    }

    fn step_now(self: &Rc<Self>, input: Input<'_>) {
        if self.phase.get() >= ShardPhase::Stopped {
            return;
        }
        let ends_turn = matches!(input, Input::TurnEnd);
        let mut outputs = Vec::new();
        let (number, now) = (input.number(), self.now());
        self.engine.borrow_mut().step(now, input, &mut outputs);
        let took_ns = self.now().mono_ns - now.mono_ns;
        self.page.borrow_mut().steps.record(number, took_ns);
        for output in outputs {
            self.carry_out(output);
        }
        // A command is answered after the view that includes it went out; the engine makes that
        // at the turn's end at the latest.
        if ends_turn {
            for (request, result) in self.done.take() {
                self.control_done(request, result);
            }
        }
    }

    fn carry_out(self: &Rc<Self>, output: Output) {
        match output {
            Output::Disk { op, request } => {
                let this = Rc::clone(self);
                self.page.borrow_mut().disk_in_flight += 1;
                self.slow_disk.borrow_mut().begun(op, Instant::now());
                glommio::spawn_local(async move {
                    let result = this.disk.perform(request).await;
                    this.page.borrow_mut().disk_in_flight -= 1;
                    this.slow_disk.borrow_mut().done(op, Instant::now());
                    this.step(Input::Disk { op, result });
                })
                .detach();
            }
            Output::Produced { request, slot, result } => {
                let refused = self.requests.borrow_mut().produced(request, slot, result);
                if let Some(tell) = refused {
                    tell();
                }
            }
            Output::Fetched { request, partitions } => {
                self.requests.borrow_mut().fetched(request, partitions);
            }
            Output::Answered { request, slot, result } => {
                self.requests.borrow_mut().answered(request, slot, result);
            }
            Output::Marked { request, slot, answer } => {
                self.requests.borrow_mut().marked(request, slot, answer);
            }
            Output::ControlDone { request, result } => self.done.borrow_mut().push((request, result)),
            Output::View(view) => self.publish_view(view),
            Output::Register(register) => self.spread_register(register),
            Output::Enter(entry) => {
                self.with_mailbox(|mailbox| mailbox.send(META_SHARD, Mail::Enter(entry)));
            }
            Output::Peer { to, lane, message } => self.send_to_peer(to, lane, &message),
            Output::Formation { to, report } => self.report_to_peer(to, &report),
            Output::Errand { from, id, lane, errand } => self.errand_of_peer((from, id), lane, errand),
            Output::ErrandDone { id, answer } => self.errand_done(id, answer),
            Output::Leader { journal, term, leader, in_sync } => {
                self.learn_leader(journal, Leadership { term, leader, in_sync });
            }
            Output::Room => self.changes.notify(),
            Output::Ready => {
                self.phase.set(ShardPhase::Ready);
                self.changes.notify();
            }
            Output::Stopped => {
                self.phase.set(ShardPhase::Stopped);
                self.changes.notify();
            }
            Output::Health(findings) => self.status.publish_findings(self.shard(), findings),
            Output::Event(event) => self.event(&event),
            Output::Fatal(fatal) => self.fail(fatal),
        }
    }

    fn fail(&self, fatal: Fatal) {
        tracing::error!(shard = self.shard().0, "{fatal}");
        self.phase.set(ShardPhase::Failed);
        (self.on_fatal)(NodeError::Fatal(fatal));
    }

    fn event(&self, event: &Event) {
        if self.config.joins && matches!(event, Event::Forming { .. }) {
            return self.log_that_it_waits();
        }
        let view = self.view();
        shard_events::log(self.shard(), event, &view, self.folder());
        audit_events::tell(self.shard(), event, &view);
    }

    fn publish_view(self: &Rc<Self>, view: Arc<View>) {
        let number = self.publication.borrow_mut().publish();
        for to in self.other_shards() {
            let view = Arc::clone(&view);
            self.with_mailbox(|mailbox| mailbox.send(to, Mail::View { number, view }));
        }
        self.apply_view(view);
        self.view_applied(self.shard(), number);
    }

    fn apply_view(self: &Rc<Self>, view: Arc<View>) {
        let before = self.view.replace(Arc::clone(&view));
        if self.shard() == META_SHARD && !before.is_formed() {
            shard_events::log_broker_ids(&self.config, &view);
        }
        self.just_deleted.borrow_mut().learn(&view, self.now());
        self.links_follow(&view);
        self.step(Input::View(view));
        self.changes.notify();
    }

    fn view_applied(&self, shard: ShardId, number: u64) {
        let answers = self.publication.borrow_mut().applied(shard, number);
        for (asker, result) in answers {
            self.answer_control(asker, result);
        }
    }

    fn control_done(&self, request: RequestId, result: ControlResult) {
        let Some(asker) = self.requests.borrow_mut().control_done(request) else { return };
        let answer = match result {
            Ok(_) => self.publication.borrow_mut().hold((asker, result)),
            Err(_) => Some((asker, result)),
        };
        if let Some((asker, result)) = answer {
            self.answer_control(asker, result);
        }
    }

    fn answer_control(&self, asker: Asker, result: ControlResult) {
        match asker {
            Asker::Here(slots) => {
                slots.fill(0, result);
            }
            Asker::Shard { shard, id } => {
                self.with_mailbox(|mailbox| mailbox.send(shard, Mail::ControlDone { id, result }));
            }
        }
    }

    fn receive(self: &Rc<Self>, from: ShardId, mail: Mail) {
        match mail {
            Mail::Control { id, command } => {
                let asker = Asker::Shard { shard: from, id };
                let request = self.requests.borrow_mut().control(asker);
                self.step(Input::Control { request, command });
            }
            Mail::ControlDone { id, result } => {
                let asker = self.requests.borrow_mut().control_done(RequestId(id));
                if let Some(asker) = asker {
                    self.answer_control(asker, result);
                }
            }
            Mail::View { number, view } => {
                self.apply_view(view);
                self.with_mailbox(|mailbox| mailbox.send(from, Mail::ViewApplied { number }));
            }
            Mail::ViewApplied { number } => self.view_applied(from, number),
            Mail::Settle { id, topics, wait_ns } => self.settle_for(from, id, topics, wait_ns),
            Mail::Settled { id } => self.requests.borrow_mut().settled(RequestId(id), from),
            Mail::Leader { journal, leadership } => {
                self.leaders.borrow_mut().learn(journal, leadership);
                self.changes.notify();
            }
            Mail::Errand { id, node, lane, errand } => self.errand_of_shard((from, id), node, lane, errand),
            Mail::ErrandDone { id, answer } => self.errand_done(id, answer),
            Mail::Elect { journal } => self.step(Input::Elect { journal }),
            Mail::Living { nodes } => self.learn_living(nodes),
            Mail::Members { nodes } => self.learn_members(nodes),
            Mail::Identity(identity) => self.learn_identity(identity),
            Mail::Register(register) => self.learn_register(register),
            Mail::Enter(entry) => self.step(Input::Enter(entry)),
            Mail::OldCopy { by, seen } => self.step(Input::OldCopy { by, seen }),
        }
    }

    fn other_shards(&self) -> impl Iterator<Item = ShardId> + use<> {
        let own = self.shard();
        (0..self.config.shards).map(ShardId).filter(move |shard| *shard != own)
    }

    fn with_mailbox(&self, send: impl FnOnce(&Mailbox)) {
        // Nothing is sent before `start`: only the engine's outputs send.
        send(self.mailbox.borrow().as_ref().expect("the mailbox is connected first"));
    }

    /// Starts a command wherever the meta journal is led; the answer comes into the slot when every
    /// shard of the node has the view that includes it. Those begun in one turn share an entry.
    pub fn begin_control(self: &Rc<Self>, command: Command) -> ControlTicket {
        let slots = Slots::new(1);
        let request = self.requests.borrow_mut().control(Asker::Here(Rc::clone(&slots)));
        if self.shard() == META_SHARD {
            self.step(Input::Control { request, command });
        } else {
            self.with_mailbox(|mailbox| mailbox.send(META_SHARD, Mail::Control { id: request.0, command }));
        }
        ControlTicket { request, slots }
    }

    /// The command's result, or that there was none in time: then nobody waits for it any more.
    pub async fn end_control(&self, ticket: ControlTicket, deadline_ns: u64) -> ControlResult {
        if !self.in_time(&ticket.slots, deadline_ns).await {
            self.requests.borrow_mut().cancel(ticket.request);
            return Err(ControlRefusal::TimedOut);
        }
        ticket.slots.take().pop().expect("one slot")
    }

    /// Waits for the slots; false when they were not complete in time.
    async fn in_time<T>(&self, slots: &Rc<Slots<T>>, deadline_ns: u64) -> bool {
        let over = self.changes.until(|| self.now().mono_ns >= deadline_ns);
        futures_lite::future::or(Rc::clone(slots).completed(), over).await;
        slots.is_complete()
    }

    /// Asks about partitions that this shard leads.
    pub async fn query(self: &Rc<Self>, questions: &[Question]) -> Vec<QueryResult> {
        if questions.is_empty() {
            return Vec::new();
        }
        let slots = Slots::new(questions.len());
        let request = self.requests.borrow_mut().query(Rc::clone(&slots));
        // Dropped when the client is gone: then what waits for its turn is forgotten.
        let _asked = Asked { shard: self, request };
        let mut pace = Pace::begin();
        for (slot, question) in questions.iter().enumerate() {
            pace.rest_if_due().await;
            self.step(Input::Query(Query {
                request,
                slot: slot as u32,
                partition: question.partition,
                leader_epoch: question.leader_epoch,
                kind: question.kind,
            }));
        }
        slots.wait().await
    }

    /// Starts a produce of `batches` batches, which follow by [`Self::produce`].
    /// What is not answered at `deadline_ns` is answered [`engine::port::Refusal::TimedOut`].
    pub fn begin_produce(&self, batches: usize, deadline_ns: u64) -> (RequestId, Rc<Slots<ProduceResult>>) {
        let slots = Slots::new(batches);
        (self.requests.borrow_mut().produce(Rc::clone(&slots), deadline_ns), slots)
    }

    /// A request for all batches with acks=0 of a connection, until it is cancelled.
    pub fn begin_silent(&self, refused: Refused) -> RequestId {
        self.requests.borrow_mut().silent(refused)
    }

    /// Forgets a produce all of whose batches were refused before the engine saw them.
    pub fn forget_if_complete(&self, request: RequestId, slots: &Slots<ProduceResult>) {
        if slots.is_complete() {
            self.requests.borrow_mut().cancel(request);
        }
    }

    /// Hands one batch to the engine, with what is known of its records.
    pub fn produce(self: &Rc<Self>, produce: Produce<'_>) {
        self.step(Input::Produce(produce));
    }

    /// What a batch's coordinator must confirm before it comes: see [`Shard::guard_for`].
    pub fn guard_for(&self, partition: PartitionId, records: &[u8], is_sequenced: bool) -> Option<Guard> {
        self.engine.borrow().guard_for(partition, records, is_sequenced)
    }

    /// Ends a transaction in partitions that are led here; each has its answer in the slot of its place.
    pub fn mark(
        self: &Rc<Self>,
        partitions: usize,
        markers: impl FnOnce(RequestId) -> Markers,
    ) -> MarkersTicket {
        let slots = Slots::new(partitions);
        let request = self.requests.borrow_mut().markers(Rc::clone(&slots));
        let markers = markers(request);
        assert_eq!(markers.partitions.len(), partitions, "an answer for each partition");
        self.step(Input::Markers(markers));
        MarkersTicket { request, slots }
    }

    pub fn room_for(&self, partition: PartitionId, bytes: usize) -> bool {
        self.phase.get() >= ShardPhase::Stopped || self.engine.borrow().room_for(partition, bytes)
    }

    /// Starts a fetch; the answer comes into the slot.
    pub fn fetch(self: &Rc<Self>, fetch: impl FnOnce(RequestId) -> Fetch) -> FetchTicket {
        let slots = Slots::new(1);
        let request = self.requests.borrow_mut().fetch(Rc::clone(&slots));
        self.step(Input::Fetch(fetch(request)));
        FetchTicket { request, slots }
    }

    /// The requester is gone.
    pub fn cancel(self: &Rc<Self>, request: RequestId) {
        if self.requests.borrow_mut().cancel(request) {
            self.step(Input::Cancel { request });
        }
    }

    /// Whether a journal is on its way from here to another node.
    pub fn hands_over(&self) -> bool {
        self.phase.get() < ShardPhase::Stopped && self.engine.borrow().hands_over()
    }

    /// Looks at the disk, about once a second: how long it takes, and what room it has. The latter is a
    /// look into the kernel's tables, not at the disk: it does not hold up the shard.
    pub fn look_at_disk(self: &Rc<Self>) {
        self.slow_disk.borrow_mut().look(self.shard(), self.folder(), Instant::now());
        let space = File::open(self.folder()).and_then(|folder| system::file_system(&folder));
        if let Ok(FileSystem { free_bytes, total_bytes, .. }) = space {
            self.step(Input::Space { free_bytes, total_bytes });
        }
    }

    /// Copies this shard's figures to where the HTTP thread reads them.
    pub fn publish_page(&self) {
        let mut page = self.page.borrow().clone();
        page.engine = self.engine.borrow().metrics();
        page.followers = self.engine.borrow().followers(self.now());
        page.links = self.links.borrow().as_ref().map(|links| links.stats()).unwrap_or_default();
        self.status.publish(self.shard(), page);
        self.publish_standing();
    }
}

/// A request for as long as somebody waits for it.
struct Asked<'a> {
    shard: &'a Rc<ShardLoop>,
    request: RequestId,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.shard.cancel(self.request);
    }
}

/// A command on its way.
pub struct ControlTicket {
    request: RequestId,
    slots: Rc<Slots<ControlResult>>,
}

/// Markers on their way. Who waits no longer cancels the request.
pub struct MarkersTicket {
    pub request: RequestId,
    pub slots: Rc<Slots<MarkerAnswer>>,
}

/// A fetch on its way.
pub struct FetchTicket {
    pub request: RequestId,
    pub slots: Rc<Slots<Vec<FetchedPartition>>>,
}
