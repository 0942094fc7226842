//! A running shard: one `step` takes each input to the journal, the procedure or the peer that it is for.

mod closed;
mod draining;
mod elect;
mod fetches;
mod forming;
mod health;
mod joining;

mod met;
mod opening;
mod peers;
mod procedures;
mod publish;
mod registry;
mod reopen;
mod rewriting;
mod scrub;
mod transactions;

use super::identity::forming::Forming;
use super::identity::registry::Registry;
use super::slot::Slot;
use crate::clock::Now;
use crate::control::config::statics::Statics;
use crate::control::view_builder::ViewBuilder;
use crate::control::{Command, ControlRefusal, View};
use crate::disk::io::{Io, Procedures};
use crate::disk::{BufferPool, DiskResult, OpId};
use crate::formation::Input as Told;
use crate::ids::{JournalId, META_JOURNAL, PartitionId};
use crate::journal::Journal;
use crate::journal::effects::{Done, Effects};
use crate::journal::heal::incoming::Incoming;
use crate::journal::ledger::asker::Asker;
use crate::journal::log::stages::StageLatencies;
use crate::journal::quorum::lead::FollowerStanding;
use crate::journal::quorum::pace::Pace;
use crate::journal::read::block_cache::BlockCache;
use crate::journal::read::cache::CacheShare;
use crate::journal::running::produce::Room;
use crate::journal::running::serve::Asked;
use crate::port::{Answer, Input, Output, Produce, Query, Refusal};
use crate::register::Register;
use crate::rng::Rng;
use crate::shard::elect::Asking;
use crate::shard::fetches::Fetches;
use crate::shard::health::Health;
use crate::shard::lifecycle::Lifecycle;
use crate::shard::peers::Peers;
use crate::shard::rewriting::Rewrite;
use crate::shard::scrub::Scrub;
use crate::shard::times::{Times, Turn};
use crate::shard::{JournalMetrics, ShardConfig, ShardMetrics, heartbeats};
use core::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// Of a shard's memory, the part that blocks of sealed indexes may take: one in so many.
const INDEX_SHARE: usize = 16;
/// The part of it that entries may take which are kept for readers and followers. A quarter is for
/// buffers that wait to be used again; the rest for indexes, folds and what is being read.
const CACHE_SHARE: (usize, usize) = (3, 5);

/// The state of one shard. `step` is its only way to change.
pub struct Shard {
    config: ShardConfig,
    pool: BufferPool,
    io: Io,
    blocks: BlockCache,
    procedures: Procedures<Done>,
    journals: BTreeMap<JournalId, Slot>,
    view: Arc<View>,
    views: ViewBuilder,
    fetches: Fetches,
    times: Times,
    lifecycle: Lifecycle,
    peers: Peers,
    forming: Option<Forming>,
    /// The first shard's.
    registry: Option<Registry>,
    /// What is durable of what this node has, as far as this shard was told.
    register: Option<Arc<Register>>,
    health: Health,
    /// Entries repaired in journals before they were opened anew.
    repaired: BTreeMap<JournalId, u64>,
    scrub: Scrub,
    rewrite: Rewrite,
    rng: Rng,
    retention_ns: u64,
    /// Coordinators end what is open for longer.
    transaction_timeout_max_ms: i64,
    /// The time of the first input.
    started: Now,
    cache: CacheShare,
    pace: Rc<Pace>,
    incoming: Rc<Incoming>,
    /// Somebody was told to wait for room.
    waits_for_room: Cell<bool>,
}

impl Shard {
    /// A shard that has done nothing yet; its first input is [`Input::Start`].
    pub fn new(config: ShardConfig, pool: BufferPool) -> Self {
        let io = Io::new();
        let statics = Statics::new(&config.kafka).expect("settings are checked before a shard is made");
        let settings = crate::control::config::effective::BrokerSettings::effective(&statics);
        let seed = config
            .entropy
            .iter()
            .fold(u64::from(config.shard.0), |seed, word| crate::rng::mix(seed ^ crate::rng::mix(*word)));
        Self {
            procedures: Procedures::new(io.clone()),
            blocks: BlockCache::new(config.memory_bytes / INDEX_SHARE),
            journals: BTreeMap::new(),
            view: Arc::default(),
            views: ViewBuilder::new(statics),
            fetches: Fetches::default(),
            times: Times::new(config.memory_bytes),
            lifecycle: Lifecycle::default(),
            peers: Peers::default(),
            forming: None,
            registry: None,
            register: None,
            health: Health::default(),
            repaired: BTreeMap::new(),
            scrub: Scrub::default(),
            rewrite: Rewrite::default(),
            rng: Rng::new(seed),
            started: Now { mono_ns: 0, wall_ms: 0 },
            transaction_timeout_max_ms: i64::from(settings.transactions.timeout_max_ms),
            retention_ns: settings.retention_check_interval_ms.max(1) * 1_000_000,
            cache: CacheShare::new(config.memory_bytes / CACHE_SHARE.1 * CACHE_SHARE.0),
            pace: Rc::new(Pace::new(config.catch_up_bytes_per_s)),
            incoming: Incoming::new(config.memory_bytes),
            waits_for_room: Cell::new(false),
            config,
            pool,
            io,
        }
    }

    /// Takes one input and appends what follows from it. Never blocks, never awaits.
    pub fn step(&mut self, now: Now, input: Input<'_>, out: &mut Vec<Output>) {
        let mut fx = Effects { out: core::mem::take(out), ..Effects::default() };
        self.pass_gap(now, &mut fx);
        match input {
            Input::Start => {
                self.started = now;
                self.begin(&mut fx);
            }
            Input::Disk { op, result } => self.disk(op, result, now, &mut fx),
            Input::Produce(produce) => self.produce(&produce, now, &mut fx),
            Input::Fetch(fetch) => self.fetch(fetch, now, &mut fx),
            Input::Markers(markers) => self.mark(&markers, now, &mut fx),
            Input::Query(query) => self.query(&query, now, &mut fx),
            Input::Cancel { request } => {
                self.fetches.cancel(request);
                self.times.cancel(request);
            }
            Input::Control { request, command } => self.ask(Asker::Client(request), &command, now, &mut fx),
            Input::Elect { journal } => self.elect(journal, Asking::Operator, now, &mut fx),
            Input::View(view) => self.take_view(view, now, &mut fx),
            Input::Peers(nodes) => self.learn_peers(&nodes, now, &mut fx),
            Input::Register(register) => self.take_register(register, now, &mut fx),
            Input::Enter(entry) => self.enter(entry, now, &mut fx),
            Input::OldCopy { by, seen } => self.told_old(by, seen, now, &mut fx),
            Input::Peer { from, message } => {
                self.health.heard(from, now);
                self.peer(from, message, now, &mut fx);
            }
            Input::Formation(report) => {
                self.health.heard(report.node, now);
                self.forming_step(Told::Received(report), now, &mut fx);
            }
            Input::Link { node, lane, run } => {
                if run.is_some() {
                    self.health.heard(node, now);
                }
                self.link(node, lane, run, now, &mut fx);
            }
            Input::Space { free_bytes, total_bytes } => self.health.space = Some((free_bytes, total_bytes)),
            Input::Tick => self.tick(now, &mut fx),
            Input::TurnEnd => self.turn_end(now, &mut fx),
            Input::Drain => self.begin_to_drain(now, &mut fx),
            Input::Stop => self.lifecycle.stopping = true,
        }
        self.settle(now, &mut fx);
        for (op, request) in self.io.take_issued() {
            fx.out.push(Output::Disk { op, request });
        }
        heartbeats::gather(&mut fx.out);
        *out = fx.out;
    }

    /// Runs what the step set off until nothing more follows without the disk.
    fn settle(&mut self, now: Now, fx: &mut Effects) {
        loop {
            for procedure in core::mem::take(&mut fx.procedures) {
                if let Some(done) = self.procedures.start(procedure) {
                    self.done(done, now, fx);
                }
            }
            for raised in core::mem::take(&mut fx.raised) {
                self.fetches.raise(raised);
            }
            if core::mem::take(&mut fx.leaders_changed) {
                self.tell_leaders(now, fx);
                self.fetches.wake_all();
            }
            for (asker, result) in core::mem::take(&mut fx.commands) {
                self.tell_asker(asker, result, fx);
            }
            if core::mem::take(&mut fx.metadata_changed) {
                self.publish(now, fx);
                self.answer_behind(fx);
            }
            if core::mem::take(&mut fx.partitions_changed) {
                self.partitions_changed(now, fx);
            }
            for fetch in self.fetches.take_woken() {
                self.fetch(fetch, now, fx);
            }
            for query in core::mem::take(&mut fx.time_questions) {
                self.ask_journal(&query, now, fx);
            }
            if fx.procedures.is_empty()
                && fx.raised.is_empty()
                && !fx.metadata_changed
                && !fx.partitions_changed
                && !fx.leaders_changed
                && fx.commands.is_empty()
                && fx.time_questions.is_empty()
            {
                break;
            }
        }
        self.check_ready(fx);
        self.check_stop(now, fx);
    }

    fn disk(&mut self, op: OpId, result: DiskResult, now: Now, fx: &mut Effects) {
        if self.procedures.owns(op) {
            for done in self.procedures.complete(op, result) {
                self.done(done, now, fx);
            }
        } else if !self.io.completed_abandoned(op) {
            for journal in self.journals.values_mut().filter_map(Slot::journal_mut) {
                if journal.disk(op, &result, now, fx) {
                    break;
                }
            }
        }
        if self.waits_for_room.take() {
            fx.out.push(Output::Room);
        }
    }

    /// The running journal that has the newest span of a partition.
    fn route(&mut self, partition: PartitionId) -> Result<&mut Journal, Refusal> {
        let id = self.journal_of(partition)?;
        match self.journals.get_mut(&id) {
            Some(Slot::Running(journal)) => Ok(journal),
            Some(Slot::Closed(_)) => Err(Refusal::Storage),
            // It is on its way here; who leads it meanwhile has what is asked for.
            Some(Slot::Opening { .. } | Slot::Lost { .. }) => {
                let leader = self.peers.known.get(&id).and_then(|known| known.leader);
                let is_led_elsewhere = leader.is_some_and(|leader| leader != self.config.node);
                Err(if is_led_elsewhere { Refusal::NotLeader } else { Refusal::NotReady })
            }
            None => Err(Refusal::NotLeader),
        }
    }

    fn journal_of(&self, partition: PartitionId) -> Result<JournalId, Refusal> {
        let (_, partition) = self.view.partition(partition).ok_or(Refusal::UnknownPartition)?;
        Ok(partition.spans.last().ok_or(Refusal::NotReady)?.journal)
    }

    fn produce(&mut self, produce: &Produce<'_>, now: Now, fx: &mut Effects) {
        let settings = self.view.partition(produce.partition).map(|(topic, _)| topic.settings);
        let result = match (settings, self.lifecycle.stopping) {
            (_, true) => Err(Refusal::Stopping),
            (None, _) => Err(Refusal::UnknownPartition),
            (Some(settings), _) => self.route(produce.partition).map(|journal| (journal, settings)),
        };
        match result {
            Ok((journal, settings)) => journal.produce(produce, &settings, now, fx),
            Err(refusal) => {
                let (request, slot) = (produce.request, produce.slot);
                fx.out.push(Output::Produced { request, slot, result: Err(refusal) });
            }
        }
    }

    fn query(&mut self, query: &Query, now: Now, fx: &mut Effects) {
        let turn = if Times::concerns(query.kind) { self.times.begin(query) } else { Turn::Now };
        match turn {
            Turn::Now => self.ask_journal(query, now, fx),
            Turn::Waits => {}
            Turn::Refused => {
                let (request, slot) = (query.request, query.slot);
                // Clients ask again, and look for no other leader.
                fx.out.push(Output::Answered { request, slot, result: Err(Refusal::OffsetNotAvailable) });
            }
        }
    }

    /// A question about time is answered: the next one runs. One that needs no disk, and so is
    /// answered at once, gives its place to the one behind it.
    fn time_ended(&mut self, fx: &mut Effects) {
        if self.lifecycle.stopping {
            self.times.refuse_waiting(Refusal::Stopping, fx);
        }
        if let Some(next) = self.times.ended() {
            fx.time_questions.push(next);
        }
    }

    fn ask_journal(&mut self, query: &Query, now: Now, fx: &mut Effects) {
        let compacted =
            self.view.partition(query.partition).is_some_and(|(topic, _)| topic.settings.compacted);
        let asked = match self.route(query.partition) {
            Ok(journal) => journal.query(query, compacted, now, fx),
            Err(refusal) => Asked::Now(Err(refusal)),
        };
        if let Asked::Now(mut result) = asked {
            if let Ok(Answer::Described(status)) = &mut result {
                let topic = self.view.partition(query.partition);
                let is_asked = topic.is_some_and(|(topic, _)| topic.settings.compacts);
                let journal = self.journal(status.journal);
                status.rewriting = journal.and_then(|journal| self.rewrite_status(journal, is_asked));
            }
            fx.out.push(Output::Answered { request: query.request, slot: query.slot, result });
            if Times::concerns(query.kind) {
                self.time_ended(fx);
            }
        }
    }

    /// A command for the meta journal: carried out here where that one leads, or sent there. What
    /// another node sent goes no further.
    fn ask(&mut self, asker: Asker, command: &Command, now: Now, fx: &mut Effects) {
        let meta = self.journals.get_mut(&META_JOURNAL).and_then(Slot::journal_mut);
        let refusal = match meta {
            Some(meta) if meta.is_settled() && meta.is_full_for_commands() => ControlRefusal::Storage,
            Some(meta) if meta.is_settled() && !self.lifecycle.stopping => {
                return meta.queue_command(asker, command.encode());
            }
            _ => ControlRefusal::NotController,
        };
        match asker {
            Asker::Client(request) if self.has_peers() => drop(self.forward(Some(request), command, now, fx)),
            Asker::Shard if self.has_peers() => drop(self.forward(None, command, now, fx)),
            _ => fx.commands.push((asker, Err(refusal))),
        }
    }

    fn tick(&mut self, now: Now, fx: &mut Effects) {
        let (view, retention_ns) = (Arc::clone(&self.view), self.retention_ns);
        for journal in self.journals.values_mut().filter_map(Slot::journal_mut) {
            journal.tick(&view, retention_ns, now, fx);
        }
        self.tick_peers(now, fx);
        self.tick_drain(now, fx);
        self.forming_step(Told::Tick, now, fx);
        self.tick_register(now, fx);
        self.begin_again(now, fx);
        self.retry_opening(now, fx);
        self.tick_closed(now, fx);
        self.reopen_repaired(now, fx);
        self.tick_scrub(now, fx);
        self.tick_rewriting(now, fx);
        self.fetches.expire(now);
        self.cache.settle(now);
        self.tick_health(now, fx);
    }

    fn turn_end(&mut self, now: Now, fx: &mut Effects) {
        for journal in self.journals.values_mut().filter_map(Slot::journal_mut) {
            journal.turn_end(now, fx);
        }
        self.trim_cache();
        self.fetches.expire(now);
    }

    /// Keeps the cache within its bound: the oldest entry goes first, of whichever journal.
    fn trim_cache(&mut self) {
        while self.cache.is_over() {
            let journals = self.journals.values_mut().filter_map(Slot::journal_mut);
            let oldest = journals.filter_map(|journal| Some((journal.oldest_cached()?, journal)));
            let Some((_, journal)) = oldest.min_by_key(|(came, _)| *came) else { break };
            journal.evict_oldest();
        }
    }

    /// Whether a batch of `bytes` for this partition can be taken now. When not, hold the request
    /// and stop reading from that producer until [`Output::Room`].
    pub fn room_for(&self, partition: PartitionId, bytes: usize) -> bool {
        let Ok(journal) = self.journal_of(partition) else { return true };
        let Some(journal) = self.journals.get(&journal).and_then(Slot::journal) else { return true };
        let has_room = journal.room_for(bytes) != Room::Wait;
        if !has_room {
            self.waits_for_room.set(true);
        }
        has_room
    }

    /// A running journal, for those who look on.
    pub fn journal(&self, id: JournalId) -> Option<&Journal> {
        self.journals.get(&id).and_then(Slot::journal)
    }

    /// How far the followers of the journals led here are, for the metrics page.
    pub fn followers(&self, now: Now) -> Vec<(JournalId, FollowerStanding)> {
        let journals = self.journals.values().filter_map(Slot::journal);
        let standings = |journal: &Journal| (journal.id, journal.follower_standings(now.mono_ns));
        let all = journals.map(standings);
        all.flat_map(|(id, followers)| followers.into_iter().map(move |one| (id, one))).collect()
    }

    fn journal_metrics(&self, journal: &Journal) -> JournalMetrics {
        let mut metrics = journal.metrics();
        metrics.repaired_entries += self.repaired.get(&journal.id).copied().unwrap_or(0);
        let is_asked = self.health.awaiting_compaction.1.contains_key(&journal.id);
        metrics.not_rewritten = self.rewrite_status(journal, is_asked).map(|status| status.why_not);
        metrics
    }

    /// The shard's figures, for the metrics page.
    pub fn metrics(&self) -> ShardMetrics {
        let journals = self.journals.values().filter_map(Slot::journal);
        let mut stages = StageLatencies::default();
        journals.clone().for_each(|journal| stages.add(journal.stages()));
        ShardMetrics {
            stages,
            read: self.fetches.read_latency.clone(),
            cache_bytes: self.cache.bytes() as u64,
            cache_bytes_max: self.cache.kept() as u64,
            journals: journals.map(|journal| self.journal_metrics(journal)).collect(),
            scrub: self.scrub_counts(),
            replicas_joining: self.replicas_joining(),
            time_questions: (self.times.running() as u64, self.times.waiting() as u64),
            parked_fetches: self.fetches.parked() as u64,
            journals_closed: self.journals_closed(),
            incoming_bytes: self.incoming.bytes(),
            pool_used_bytes: self.pool.used_bytes() as u64,
            pool_free_bytes: self.pool.free_bytes() as u64,
        }
    }
}
