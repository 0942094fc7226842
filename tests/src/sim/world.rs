//! The world: virtual time, the nodes, and what is under way between them.
//!
//! It drives the engine's shards as `net` does, and carries out their disk operations over the
//! simulated disks. It knows no client and no rule; it reports what happened to its caller.

use super::carried::Step;
use super::carried::TransactionAnswer;
use super::counts::Counts;
use super::disk::{CutCounts, FaultKind, SimDisk};
use super::narrate::{self, step_name};
use super::network::{Network, Way};
use super::node::Node;
use super::parcel::Parcel;
use super::promises::Promises;
use super::schedule::Schedule;
use super::trace::Trace;
use engine::clock::Now;
use engine::control::View;
use engine::disk::{BufferPool, DiskErrorKind, DiskRequest, OpId};
use engine::groups;
use engine::ids::{JournalId, NodeId, Term};
use engine::port::{Entry, Event, Fatal, Input, Output, RequestId};
use engine::register::Register;
use engine::rng::Rng;
use std::collections::BTreeMap;
use std::sync::Arc;

const MS: u64 = 1_000_000;
const TICK_NS: u64 = 10 * MS;

#[derive(Clone, Copy, Debug)]
pub struct WorldOptions {
    pub seed: u64,
    pub nodes: usize,
    pub shards: u16,
    pub segment_bytes: u64,
    pub print: bool,
}

pub(super) enum Due {
    Disk { node: usize, run: u64, shard: u16, op: OpId },
    Tick { node: usize, run: u64, shard: u16 },
    Turn { node: usize, run: u64, shard: u16 },
    View { node: usize, run: u64, shard: u16, view: Arc<View> },
    Register { node: usize, run: u64, shard: u16, register: Arc<Register> },
    Enter { node: usize, run: u64, entry: Entry },
    Parcel(Parcel),
    Dial(Way),
    Hangup { node: usize, run: u64, peer: usize },
    Watch { way: Way, session: u64 },
    Groups { node: usize, run: u64, shard: u16 },
    GroupRequest { node: usize, run: u64, shard: u16, request: RequestId, body: groups::Request },
    Transactions { node: usize, run: u64, shard: u16, step: Step },
    Wake(u64),
}

/// What the world reports.
#[derive(Debug)]
pub enum Happening {
    /// A time that the caller asked to be woken at.
    Wake(u64),
    /// An answer to a client.
    Answer {
        node: usize,
        shard: u16,
        output: Output,
    },
    /// The same, of a coordinator of groups.
    GroupAnswer {
        node: usize,
        shard: u16,
        request: RequestId,
        answer: groups::Answer,
    },
    /// The same, of a coordinator of transactions.
    TransactionAnswer {
        node: usize,
        shard: u16,
        request: RequestId,
        answer: TransactionAnswer,
    },
    Event {
        node: usize,
        shard: u16,
        event: Event,
    },
    /// All shards of the node are ready.
    Ready {
        node: usize,
    },
    /// The process ended by itself.
    Ended {
        node: usize,
        fatal: Option<Fatal>,
    },
    /// A journal takes batches again.
    Room {
        node: usize,
        shard: u16,
    },
}

pub struct World {
    pub options: WorldOptions,
    pub now_ns: u64,
    pub nodes: Vec<Node>,
    pub trace: Trace,
    pub counts: Counts,
    pub network: Network,
    /// Nodes will lose their disks: what has one copy would be gone.
    pub loses_disks: bool,
    /// There are coordinators of transactions.
    pub transacts: bool,
    /// There are compacted topics.
    pub compacts: bool,
    /// The highest commit index that any leader told.
    pub(super) committed: BTreeMap<JournalId, u64>,
    pub(super) schedule: Schedule<Due>,
    pub(super) rng: Rng,
    pub(super) happened: Vec<Happening>,
}

impl World {
    pub fn new(options: WorldOptions) -> Self {
        Self {
            options,
            now_ns: 0,
            nodes: (0..options.nodes).map(Node::new).collect(),
            trace: Trace::new(options.print),
            counts: Counts::default(),
            network: Network::default(),
            loses_disks: false,
            transacts: false,
            compacts: false,
            committed: BTreeMap::new(),
            schedule: Schedule::default(),
            rng: Rng::new(options.seed ^ 0x0057_4f52_4c44),
            happened: Vec::new(),
        }
    }

    /// Asks to be told when this time has come.
    pub fn wake_after(&mut self, after_ns: u64, token: u64) {
        self.schedule.add(self.now_ns + after_ns, Due::Wake(token));
    }

    /// Lets the next thing happen; gives what a caller may want to know of.
    pub fn advance(&mut self) -> Vec<Happening> {
        let (at_ns, due) = self.schedule.pop().expect("ticks or wakes are always due");
        self.now_ns = self.now_ns.max(at_ns);
        match due {
            Due::Wake(token) => self.happened.push(Happening::Wake(token)),
            Due::Parcel(parcel) => self.arrive(parcel),
            Due::Dial(way) => self.dial(way),
            Due::Watch { way, session } => self.watched(way, session),
            Due::Disk { node, run, .. }
            | Due::Hangup { node, run, .. }
            | Due::Tick { node, run, .. }
            | Due::Turn { node, run, .. }
            | Due::View { node, run, .. }
            | Due::Register { node, run, .. }
            | Due::Enter { node, run, .. }
            | Due::Groups { node, run, .. }
            | Due::GroupRequest { node, run, .. }
            | Due::Transactions { node, run, .. }
                if self.nodes[node].run != run || !self.nodes[node].is_running() => {}
            Due::Disk { node, .. }
            | Due::Hangup { node, .. }
            | Due::Tick { node, .. }
            | Due::Turn { node, .. }
            | Due::View { node, .. }
            | Due::Register { node, .. }
            | Due::Enter { node, .. }
            | Due::Groups { node, .. }
            | Due::GroupRequest { node, .. }
            | Due::Transactions { node, .. }
                if self.nodes[node].paused_until_ns > self.now_ns =>
            {
                self.schedule.add(self.nodes[node].paused_until_ns, due);
            }
            Due::Disk { node, shard, op, .. } => self.disk_done(node, shard, op),
            Due::Tick { node, run, shard } => {
                self.schedule.add(self.now_ns + TICK_NS, Due::Tick { node, run, shard });
                self.input(node, shard, Input::Tick);
                self.tick_hosts(node, shard);
            }
            Due::Turn { node, shard, .. } => self.turn_end(node, shard),
            Due::View { node, shard, view, .. } => self.give_view(node, shard, view),
            Due::Register { node, shard, register, .. } => {
                self.input(node, shard, Input::Register(register));
            }
            Due::Enter { node, entry, .. } => self.input(node, 0, Input::Enter(entry)),
            Due::Hangup { node, peer, .. } => self.hang_up(node, peer),
            Due::Groups { node, shard, .. } => self.run_host::<groups::Groups>(node, shard),
            Due::Transactions { node, shard, step, .. } => self.do_step(node, shard, step),
            Due::GroupRequest { node, shard, request, body, .. } => {
                self.group_request(node, shard, request, body);
            }
        }
        std::mem::take(&mut self.happened)
    }

    /// What happened outside of [`World::advance`] since it was last asked.
    pub fn take_happened(&mut self) -> Vec<Happening> {
        std::mem::take(&mut self.happened)
    }

    /// Starts the node's process.
    pub fn start(&mut self, node: usize) {
        self.trace.line(self.now_ns, format_args!("n{node} start"));
        let WorldOptions { seed, nodes, shards, segment_bytes, .. } = self.options;
        self.nodes[node].boot(seed, nodes, shards, segment_bytes);
        self.dial_all(node);
        let run = self.nodes[node].run;
        for shard in 0..shards {
            self.schedule.add(self.now_ns + self.rng.below(TICK_NS), Due::Tick { node, run, shard });
            if self.nodes[node].run == run && self.nodes[node].is_running() {
                self.input(node, shard, Input::Start);
            }
        }
    }

    /// The power of the node fails.
    pub fn power_cut(&mut self, node: usize) -> CutCounts {
        self.trace.line(self.now_ns, format_args!("n{node} power cut"));
        let pools = self.end_process(node);
        self.peers_lost(node, false);
        let counts = self.nodes[node].disk.power_cut(&mut self.rng);
        self.check_pools(&pools);
        self.counts.add_many("disk: change lost", counts.lost);
        self.counts.add_many("disk: change kept", counts.kept);
        self.counts.add_many("disk: write torn", counts.torn);
        counts
    }

    /// The whole disk of a node that is down is lost; an empty one takes its place.
    pub fn wipe(&mut self, node: usize) {
        assert!(!self.nodes[node].is_running(), "a disk in use is not taken away");
        self.trace.line(self.now_ns, format_args!("n{node} wiped"));
        self.nodes[node].disk = SimDisk::new();
        self.forget_promises(node);
        self.nodes[node].wipes += 1;
        self.counts.add("whole disk lost");
    }

    /// Somebody changed what is on a node's disk: it is not held to what it said of it.
    pub(super) fn forget_promises(&mut self, node: usize) {
        self.nodes[node].promises = Promises::default();
    }

    /// Another disk takes the place of a node's; gives the one that it had. What was promised on one is
    /// not held against the other.
    pub fn swap_disk(&mut self, node: usize, disk: SimDisk) -> SimDisk {
        assert!(!self.nodes[node].is_running(), "a disk in use is not taken away");
        self.trace.line(self.now_ns, format_args!("n{node} has another disk"));
        self.forget_promises(node);
        core::mem::replace(&mut self.nodes[node].disk, disk)
    }

    /// The node's process is killed; its operating system lives on.
    pub fn kill(&mut self, node: usize) {
        self.trace.line(self.now_ns, format_args!("n{node} kill"));
        let pools = self.end_process(node);
        self.peers_lost(node, true);
        self.nodes[node].disk.kill(&mut self.rng);
        self.check_pools(&pools);
    }

    /// Asks the node's shards to stop.
    pub fn stop(&mut self, node: usize) {
        self.nodes[node].is_stopping = true;
        for shard in 0..self.nodes[node].shards.len() {
            if self.nodes[node].is_running() {
                self.stop_hosts(node, shard as u16);
            }
            if self.nodes[node].is_running() {
                self.input(node, shard as u16, Input::Stop);
            }
        }
    }

    fn end_process(&mut self, node: usize) -> Vec<BufferPool> {
        self.count_steps_in_flight(node);
        let journals = self.nodes[node].shards.iter().flat_map(|slot| slot.shard.metrics().journals);
        for journal in journals.collect::<Vec<_>>() {
            if journal.held_writes > 0 {
                self.counts.add_many("entry waited for zeros on their way", journal.held_writes);
            }
            if journal.held_back_ns > 0 {
                self.counts.add("producers held back for a follower");
            }
        }
        std::mem::take(&mut self.nodes[node].shards).into_iter().map(|slot| slot.pool).collect()
    }

    /// Neither the shards nor the operations that were in flight may hold a buffer any more.
    fn check_pools(&self, pools: &[BufferPool]) {
        for pool in pools {
            let left = pool.used_bytes();
            // Answers not yet taken by a client may hold buffers; a process holds none.
            assert!(left == 0 || !self.happened.is_empty(), "{left} bytes of buffers outlive their shard");
        }
    }

    /// Which steps of a recovery a crash interrupted.
    fn count_steps_in_flight(&mut self, node: usize) {
        let here = &self.nodes[node];
        let steps: Vec<String> = here
            .disk
            .in_flight()
            .map(|(owner, request)| {
                let phase = if here.shards[owner as usize].is_ready { "serving" } else { "recovering" };
                format!("crash while {phase}: {}", step_name(request, here.disk.subject(owner, request)))
            })
            .collect();
        steps.iter().for_each(|step| self.counts.add(step));
    }

    /// Gives an input to a shard, now.
    pub fn input(&mut self, node: usize, shard: u16, input: Input<'_>) {
        narrate::input(&mut self.trace, self.now_ns, (node, shard), &input);
        let mut out = Vec::new();
        let now = self.nodes[node].now(self.now_ns);
        let is_turn = matches!(input, Input::TurnEnd);
        self.nodes[node].shards[shard as usize].shard.step(now, input, &mut out);
        // Nothing that was asked for beside the end of the process is carried out.
        let fatal = out.iter().position(|output| matches!(output, Output::Fatal(_)));
        out.truncate(fatal.map_or(out.len(), |at| at + 1));
        let run = self.nodes[node].run;
        for output in out {
            if self.nodes[node].run != run || !self.nodes[node].is_running() {
                break;
            }
            self.output(node, shard, output);
        }
        if self.nodes[node].is_running() && self.nodes[node].run == run && !is_turn {
            self.make_turn_due(node, shard);
        }
    }

    fn make_turn_due(&mut self, node: usize, shard: u16) {
        let here = &mut self.nodes[node];
        let slot = &mut here.shards[shard as usize];
        if !slot.turn_is_due {
            slot.turn_is_due = true;
            let after_ns = if self.rng.one_in(3) { 0 } else { self.rng.below(150_000) };
            self.schedule.add(self.now_ns + after_ns, Due::Turn { node, run: here.run, shard });
        }
    }

    fn turn_end(&mut self, node: usize, shard: u16) {
        self.nodes[node].shards[shard as usize].turn_is_due = false;
        let run = self.nodes[node].run;
        self.input(node, shard, Input::TurnEnd);
        let here = &self.nodes[node];
        assert!(
            !(here.must_end && here.is_running() && here.run == run),
            "a write or sync failed and the process goes on"
        );
    }

    fn give_view(&mut self, node: usize, shard: u16, view: Arc<View>) {
        let slot = &mut self.nodes[node].shards[shard as usize];
        if view.version > slot.view.version {
            slot.view = Arc::clone(&view);
            self.wake_hosts(node, shard);
        }
        self.input(node, shard, Input::View(Arc::clone(&view)));
        if shard == 0 {
            self.write_down(node, &view);
        }
    }

    /// Nodes that the metadata names and the operator's list does not are written down, and then known.
    fn write_down(&mut self, node: usize, view: &View) {
        let here = &mut self.nodes[node];
        let named = view.nodes.keys().chain(view.invited.keys()).copied();
        let new: Vec<NodeId> = named.filter(|named| !here.knows(named.0 as usize)).collect();
        if new.is_empty() || !here.is_running() {
            return;
        }
        here.met.extend(new);
        let met = here.met.clone();
        for shard in 0..self.nodes[node].shards.len() as u16 {
            if self.nodes[node].is_running() {
                self.input(node, shard, Input::Peers(met.clone()));
            }
        }
    }

    fn disk_done(&mut self, node: usize, shard: u16, op: OpId) {
        let here = &mut self.nodes[node];
        let pool = here.shards[shard as usize].pool.clone();
        let result = here.disk.complete(shard, op, &pool, &mut self.rng);
        for kind in here.disk.faults.take_struck() {
            self.counts.add(match kind {
                FaultKind::Write => "fault: write error",
                FaultKind::Sync => "fault: sync error",
                FaultKind::Read => "fault: read error",
            });
        }
        if let Err(error) = &result {
            let is_kept = error.context.starts_with("write") || error.context.starts_with("sync");
            // From here on the process knows, and must end.
            here.must_end |= error.kind == DiskErrorKind::Io && is_kept;
            if error.kind == DiskErrorKind::NoSpace {
                self.counts.add("fault: no space");
            }
        }
        self.input(node, shard, Input::Disk { op, result });
    }

    fn output(&mut self, node: usize, shard: u16, output: Output) {
        narrate::output(&mut self.trace, self.now_ns, (node, shard), &output, &self.nodes[node].disk);
        match output {
            Output::Disk { op, request } => self.issue(node, shard, op, request),
            Output::View(view) => {
                let published = &mut self.nodes[node].published;
                *published = view.version.max(*published);
                self.spread_view(node, &view);
            }
            Output::Register(register) => self.spread_register(node, &register),
            Output::Enter(entry) => {
                let (run, after_ns) = (self.nodes[node].run, self.rng.below(MS));
                self.schedule.add(self.now_ns + after_ns, Due::Enter { node, run, entry });
            }
            Output::Ready => {
                self.nodes[node].shards[shard as usize].is_ready = true;
                if self.nodes[node].is_ready() {
                    self.nodes[node].was_ready = true;
                    self.happened.push(Happening::Ready { node });
                }
            }
            Output::Stopped => self.stopped(node, shard),
            Output::Event(event) => {
                if let Event::Leading { journal, term } = event {
                    self.leader_known(node, journal, term, Some(NodeId(node as u32)));
                }
                self.nodes[node].promises.reported(&event);
                self.happened.push(Happening::Event { node, shard, event });
            }
            Output::Fatal(fatal) => {
                self.kill(node);
                self.happened.push(Happening::Ended { node, fatal: Some(fatal) });
            }
            Output::Peer { to, lane, message } => {
                self.judge_promises(node, &message);
                self.send_message(node, to, lane, &message);
            }
            Output::Formation { to, report } => self.send_report(node, to, &report),
            Output::Leader { journal, term, leader, .. } => self.leader_known(node, journal, term, leader),
            Output::Errand { from, id, lane, errand } => {
                self.errand_of_peer(node, shard, (from, id), lane, errand);
            }
            Output::ErrandDone { id, answer } => self.errand_done(node, shard, id, answer),
            Output::Health(_) => {}
            Output::Room => self.happened.push(Happening::Room { node, shard }),
            Output::Marked { request, slot, answer }
                if self.is_marked(node, shard, request, slot, answer) => {}
            output if self.is_hosts(node, shard, &output) => {}
            answer @ (Output::Produced { .. }
            | Output::Fetched { .. }
            | Output::Answered { .. }
            | Output::Marked { .. }
            | Output::ControlDone { .. }) => {
                self.happened.push(Happening::Answer { node, shard, output: answer });
            }
        }
    }

    /// A shard learned who leads a journal, and so do all of its node.
    fn leader_known(&mut self, node: usize, journal: JournalId, term: Term, leader: Option<NodeId>) {
        self.nodes[node].learn(journal, term, leader);
        for shard in 0..self.nodes[node].shards.len() as u16 {
            self.wake_hosts(node, shard);
        }
    }

    fn stopped(&mut self, node: usize, shard: u16) {
        let here = &mut self.nodes[node];
        let busy = here.disk.in_flight().find(|(owner, _)| *owner == shard);
        assert!(busy.is_none(), "stopped with {busy:?} in flight");
        here.shards[shard as usize].is_stopped = true;
        if here.shards.iter().all(|slot| slot.is_stopped) {
            self.kill(node);
            self.counts.add("clean stop");
            self.happened.push(Happening::Ended { node, fatal: None });
        }
    }

    fn spread_view(&mut self, node: usize, view: &Arc<View>) {
        let run = self.nodes[node].run;
        for shard in 0..self.nodes[node].shards.len() as u16 {
            let after_ns = self.rng.below(MS);
            self.schedule.add(self.now_ns + after_ns, Due::View { node, run, shard, view: Arc::clone(view) });
        }
    }

    fn spread_register(&mut self, node: usize, register: &Arc<Register>) {
        let run = self.nodes[node].run;
        for shard in 1..self.nodes[node].shards.len() as u16 {
            let (register, after_ns) = (Arc::clone(register), self.rng.below(MS));
            self.schedule.add(self.now_ns + after_ns, Due::Register { node, run, shard, register });
        }
    }

    fn issue(&mut self, node: usize, shard: u16, op: OpId, request: DiskRequest) {
        let latency_ns = self.latency_ns(&request);
        let here = &mut self.nodes[node];
        here.promises.written(&here.disk, shard, &request);
        here.disk.issue(shard, op, request);
        let at_ns = (self.now_ns + latency_ns).max(here.stalled_until_ns);
        self.schedule.add(at_ns, Due::Disk { node, run: here.run, shard, op });
    }

    /// As measured on NVMe, roughly, with a long tail.
    fn latency_ns(&mut self, request: &DiskRequest) -> u64 {
        let usual_ns = match request {
            DiskRequest::Write { buffer, .. } => 30_000 + buffer.len() as u64 / 4,
            DiskRequest::Read { bytes, .. } => 60_000 + *bytes as u64 / 4,
            DiskRequest::Sync { .. } | DiskRequest::SyncDir { .. } => 150_000,
            _ => 20_000,
        };
        let spread_ns = self.rng.below(2 * usual_ns);
        usual_ns / 2 + if self.rng.one_in(64) { 20 * spread_ns } else { spread_ns }
    }

    /// The time of a clock that is right, as clients have it.
    pub fn true_wall_ms(&self) -> i64 {
        super::node::WALL_EPOCH_MS + (self.now_ns / MS) as i64
    }

    /// The clocks of a node, as it sees them.
    pub fn clock(&self, node: usize) -> Now {
        self.nodes[node].now(self.now_ns)
    }
}
