//! One run: a seed's world with its clients and faults, from the first start to the last check.

use super::carried::TransactionAnswer;
use super::cast::{Loads, add_compaction, add_groups, add_transactions, clients, let_grow};
use super::disk::{FaultKind, tamper::Copied};
use super::faults::{FAULTS_MIN, Fault, Planned, plan};
use super::node::Node;
use super::safety::{self, Safety};
use super::tamper::{self, OldCopy};
use super::world::{Happening, World, WorldOptions};
use super::{Counts, bad_tail, decay, events, faults, rot, runs};
use crate::check::Model;
use crate::workload::{Client, Ctx, Desk, Place};
use engine::groups;
use engine::ids::{Index, JournalId};
use engine::port::{Fatal, Output, RequestId};
use engine::rng::Rng;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
/// Client operations of a run before it settles.
const OPERATIONS_MIN: u64 = 500;
/// Virtual time in which everything must come to its end once faults cease.
const SETTLE_NS_MAX: u64 = 120 * SECOND;
/// A recovery of these small logs takes milliseconds, with stalls a few seconds.
const READY_NS_MAX: u64 = 60 * SECOND;

/// Things that may happen at one moment; more is a loop.
const STEPS_AT_ONCE_MAX: u64 = 100_000;
/// Groups take virtual time, and lone nodes have few coordinators to fail over to.
const LONE_NODES_PER_GROUPS: u64 = 8;
/// Batches that ask for no answer are on disk by then.
const REST_NS: u64 = 5 * SECOND;

/// Wakes from here on are of a node: 16 for each.
const WAKE_NODE: u64 = 1 << 32;
const WAKES_PER_NODE: u64 = 16;
const WAKE_START: u64 = 0;
const WAKE_LIFT_CAPACITY: u64 = 1;
pub(super) const WAKE_WALL_BACK: u64 = 2;
pub(super) const WAKE_HEAL: u64 = 3;

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub seed: u64,
    pub trace_hash: u64,
    pub trace_lines: u64,
    pub operations: u64,
    pub faults: u64,
    /// How long the seed took in its own time.
    pub virtual_ns: u64,
    pub counts: Counts,
}

pub(super) struct Run {
    pub(super) world: World,
    pub(super) model: Model,
    desk: Desk,
    pub(super) rng: Rng,
    clients: Vec<Box<dyn Client>>,
    plan: Vec<Planned>,
    /// Steps until a fault that is due strikes.
    due: Option<(u64, usize, Fault)>,
    /// Crashes during recovery that may still follow one another.
    recovery_crashes: u64,
    pub(super) idle_until_ns: u64,
    faults: u64,
    view_seen: Index,
    /// When a lone node was last started, or became unready.
    down_since_ns: u64,
    safety: Safety,
    operations_max: u64,
    steps_at_once: u64,
    rot_is_due: bool,
    /// What nodes' folders were once.
    old_copies: Vec<Option<OldCopy>>,
    /// Nodes whose folder is not what it was: they may end for it, and are started again.
    tampered: Vec<bool>,
    /// What a lone node's folder was before.
    put_back: Option<Copied>,
    is_tampered_with: bool,
    /// Topics get more copies while it runs.
    pub(super) is_growing: bool,
    /// What the operator says to a node's next start.
    pub(super) accepts: Vec<Vec<JournalId>>,
}

/// Runs a seed with so many nodes; panics with the first property that is violated.
pub fn run(seed: u64, nodes: usize, print: bool) -> Outcome {
    run_with(seed, nodes, print, Loads::default())
}

/// The same; with more to carry it is another run.
pub fn run_with(seed: u64, nodes: usize, print: bool, loads: Loads) -> Outcome {
    let mut run = Run::new(seed, nodes, print, loads);
    (0..nodes).for_each(|node| run.world.start(node));
    run.work();
    run.work_of_groups();
    run.settle();
    run.verify();
    run.until("replicas agree", |run| run.world.nodes.len() == 1 || safety::replicas_agree(&run.world));
    run.heal();
    run.until("all have the runs", |run| runs::are_everywhere(&run.world));
    safety::replicas_are_identical(&mut run.world);
    runs::are_identical(&mut run.world);
    run.world.counts.add_many("several bad tails", run.safety.several_bad_tails);
    run.stop_and_verify_again();
    run.world.counts.add(if nodes == 1 { "run" } else { "run of a cluster" });
    Outcome {
        seed,
        trace_hash: run.world.trace.hash(),
        trace_lines: run.world.trace.lines(),
        operations: run.desk.operations,
        faults: run.faults,
        virtual_ns: run.world.now_ns,
        counts: run.world.counts,
    }
}

impl Run {
    fn new(seed: u64, nodes: usize, print: bool, loads: Loads) -> Self {
        let mut rng = Rng::new(seed ^ 0x5eed_0000);
        let options = WorldOptions {
            seed,
            nodes,
            shards: 1 + rng.below(3) as u16,
            segment_bytes: (64 << 10) << rng.below(3),
            print,
        };
        let operations_max = OPERATIONS_MIN + rng.below(200);
        let mut world = World::new(options);
        let plan = plan(&mut rng, operations_max, nodes);
        let mut clients = clients(&mut rng);
        let growth = faults::growth(seed, nodes, &plan);
        let is_growing = growth.is_some();
        if let Some(numbers) = growth {
            let_grow(&mut clients, numbers);
        }
        // What rots in a lone node may be what groups were promised.
        let rots = plan.iter().any(|planned| planned.fault == Fault::Rot);
        if !rots && (nodes > 1 || rng.one_in(LONE_NODES_PER_GROUPS)) {
            add_groups(&mut clients, &mut rng);
        }
        // What was transacted may rot away, too.
        if loads.transactions && (nodes > 1 || !rots) {
            world.transacts = true;
            add_transactions(&mut clients, &mut rng);
        }
        if loads.compaction && (nodes > 1 || !rots) {
            world.compacts = true;
            add_compaction(&mut clients, &mut rng);
        }
        (0..clients.len()).for_each(|client| world.wake_after(rng.below(MS), client as u64));
        let is_tampered_with = plan.iter().any(|planned| planned.fault == Fault::Tampered);
        let loses = |planned: &Planned| matches!(planned.fault, Fault::DiskLost | Fault::Tampered);
        world.loses_disks = nodes > 1 && plan.iter().any(loses);
        Self {
            world,
            model: Model::new(nodes > 1),
            desk: Desk::default(),
            plan,
            rng,
            clients,
            due: None,
            recovery_crashes: 0,
            idle_until_ns: 0,
            faults: 0,
            view_seen: Index::NONE,
            down_since_ns: 0,
            safety: Safety::default(),
            operations_max,
            steps_at_once: 0,
            rot_is_due: false,
            old_copies: vec![None; nodes],
            tampered: vec![false; nodes],
            put_back: None,
            is_tampered_with,
            is_growing,
            accepts: vec![Vec::new(); nodes],
        }
    }

    fn work(&mut self) {
        loop {
            let is_worked = self.desk.operations >= self.operations_max;
            if is_worked && self.plan.is_empty() && self.due.is_none() {
                if self.faults >= FAULTS_MIN {
                    break;
                }
                let node = self.rng.below(self.world.nodes.len() as u64) as usize;
                self.due = Some((self.rng.below(200), node, Fault::PowerCut));
            }
            self.step();
            self.faults_due();
            let waited_ns = self.world.now_ns - self.down_since_ns;
            let is_alone = self.world.nodes.len() == 1;
            let is_up = !is_alone || self.world.nodes[0].is_ready() || !self.world.nodes[0].is_running();
            assert!(is_up || waited_ns < READY_NS_MAX, "not ready after {} ms", waited_ns / MS);
        }
    }

    fn settle(&mut self) {
        self.desk.is_settling = true;
        self.idle_until_ns = 0;
        self.world.network.heal();
        for here in &mut self.world.nodes {
            here.disk.set_capacity(None);
            here.disk.faults.disarm();
            here.wall_offset_ms = 0;
            here.paused_until_ns = 0;
            here.stalled_until_ns = 0;
        }
        self.accept_losses();
        let last = self.clients.len() - 1;
        self.until("the clients are done", |run| {
            let are_done = run.clients[..last].iter().all(|client| client.is_settled());
            run.all_serve() && are_done && run.model.groups.are_whole()
        });
        if self.is_growing {
            self.end_growth();
        }
        self.rest(REST_NS);
    }

    pub(super) fn all_serve(&self) -> bool {
        self.world.nodes.iter().all(Node::is_serving)
    }

    fn verify(&mut self) {
        self.desk.is_verifying = true;
        self.model.groups.look_again();
        self.model.transactions.look_again();
        self.model.compaction.look_again();
        self.until("all logs are read", |run| run.clients.last().expect("the verifier").is_settled());
        self.until("committed offsets are looked at", |run| run.model.groups.are_looked_at());
        self.until("transactions are looked at", |run| {
            !run.world.transacts || run.model.transactions.is_read()
        });
        self.until("compacted partitions are read whole", |run| {
            !run.world.compacts || run.model.compaction.is_read()
        });
        self.desk.is_verifying = false;
    }

    /// What rotted in sealed segments is found by the scrub, and mended from other replicas.
    fn heal(&mut self) {
        let mut seconds = 0;
        while !self.model.damage.repairable.is_empty()
            && let Err(text) = safety::sealed_that_differ(&self.world)
        {
            self.rest(SECOND);
            seconds += 1;
            assert!(seconds < SETTLE_NS_MAX / SECOND, "after {seconds} s replicas are not healed: {text}");
        }
    }

    /// Once more, from what the disks hold; in a cluster perhaps under other leaders.
    fn stop_and_verify_again(&mut self) {
        let is_stop = self.rng.one_in(2);
        let stops = self.safety.stops + self.world.nodes.len();
        let all: Vec<usize> = (0..self.world.nodes.len()).collect();
        for node in all {
            if is_stop {
                self.world.stop(node);
            } else {
                self.crash(node, true);
            }
        }
        if is_stop {
            self.until("the nodes stopped", |run| run.safety.stops >= stops);
        }
        self.until("the nodes are ready again", Self::all_serve);
        self.restart_verifier();
        self.verify();
    }

    /// The verifier begins again even when no request of it was under way.
    fn restart_verifier(&mut self) {
        let verifier = self.clients.len() - 1;
        if self.world.nodes.len() > 1 {
            self.with_client(verifier, |client, ctx| client.lost(ctx));
        }
    }

    pub(super) fn until(&mut self, what: &str, mut is_done: impl FnMut(&Self) -> bool) {
        let limit_ns = self.world.now_ns + SETTLE_NS_MAX;
        while !is_done(self) {
            self.step();
            assert!(
                self.world.now_ns < limit_ns,
                "{} s after the last fault, not yet: {what}",
                SETTLE_NS_MAX / SECOND
            );
        }
    }

    /// Lets what is under way come to its end.
    pub(super) fn rest(&mut self, rest_ns: u64) {
        let until_ns = self.world.now_ns + rest_ns;
        while self.world.now_ns < until_ns {
            self.step();
        }
    }

    /// Lets one thing happen.
    pub(super) fn step(&mut self) {
        let before_ns = self.world.now_ns;
        for happening in self.world.advance() {
            self.happened(happening);
        }
        self.steps_at_once = if self.world.now_ns == before_ns { self.steps_at_once + 1 } else { 0 };
        assert!(self.steps_at_once < STEPS_AT_ONCE_MAX, "time stands still");
        for node in 0..self.world.nodes.len() {
            let view = self.world.nodes[node].view();
            if view.version > self.view_seen {
                self.view_seen = view.version;
                self.model.saw_view(&view);
            }
        }
    }

    fn happened(&mut self, happening: Happening) {
        match happening {
            Happening::Wake(token) if token >= WAKE_NODE => {
                let of_node = token - WAKE_NODE;
                self.wake_node((of_node / WAKES_PER_NODE) as usize, of_node % WAKES_PER_NODE);
            }
            Happening::Wake(client) => self.wake(client as usize),
            Happening::Answer { output, .. } => self.answer(output),
            Happening::GroupAnswer { node, shard, request, answer } => {
                self.group_answer(Place { node, shard }, request, answer);
            }
            Happening::TransactionAnswer { node, shard, request, answer } => {
                self.transaction_answer(Place { node, shard }, request, answer);
            }
            Happening::Event { node, event, .. } => {
                self.safety.event(node, &event);
                self.judge_growth(node, &event);
                runs::judge(&mut self.world, node, &event);
                events::check(&event, &mut self.model, &mut self.world.counts);
            }
            Happening::Ready { .. } => self.world.counts.add("recovered and ready"),
            Happening::Ended { node, fatal } => self.ended(node, fatal),
            Happening::Room { .. } => self.world.counts.add("room again"),
        }
    }

    fn wake_node(&mut self, node: usize, why: u64) {
        match why {
            WAKE_START if !self.world.nodes[node].is_running() => self.start(node),
            WAKE_START => {}
            WAKE_LIFT_CAPACITY => self.world.nodes[node].disk.set_capacity(None),
            WAKE_WALL_BACK => self.world.nodes[node].wall_offset_ms = 0,
            WAKE_HEAL => self.world.network.heal(),
            other => unreachable!("nobody asked for wake {other}"),
        }
    }

    pub(super) fn wake_node_after(&mut self, node: usize, after_ns: u64, why: u64) {
        self.world.wake_after(after_ns, WAKE_NODE + node as u64 * WAKES_PER_NODE + why);
    }

    fn start(&mut self, node: usize) {
        self.down_since_ns = self.world.now_ns;
        if self.world.nodes.len() == 1 {
            self.model.damage.read_failed = false;
            self.view_seen = Index::NONE;
        }
        self.world.nodes[node].accept_loss = self.accepted_losses(node);
        if std::mem::take(&mut self.rot_is_due) {
            if self.world.nodes.len() == 1 {
                rot::strike(&mut self.world, &mut self.model, &mut self.rng);
            } else {
                decay::strike(&mut self.world, &mut self.model, node, &mut self.rng);
            }
        }
        self.world.start(node);
    }

    fn wake(&mut self, client: usize) {
        let again_ns = self.rng.below(3 * MS / 2);
        self.world.wake_after(again_ns, client as u64);
        if self.world.now_ns < self.idle_until_ns && self.clients[client].may_rest() {
            return;
        }
        self.with_client(client, |client, ctx| client.wake(ctx));
    }

    fn answer(&mut self, output: Output) {
        // Answers to requests of an earlier process have nobody to go to.
        if let Some(client) = self.desk.client_of(&output) {
            self.with_client(client, |client, ctx| client.answer(ctx, output));
        }
    }

    fn group_answer(&mut self, from: Place, request: RequestId, answer: groups::Answer) {
        if let Some(client) = self.desk.answered(request) {
            self.with_client(client, |client, ctx| client.group_answer(ctx, from, request, answer));
        }
    }

    fn transaction_answer(&mut self, from: Place, request: RequestId, answer: TransactionAnswer) {
        if let Some(client) = self.desk.answered(request) {
            self.with_client(client, |client, ctx| client.transaction_answer(ctx, from, request, answer));
        }
    }

    fn with_client(&mut self, client: usize, act: impl FnOnce(&mut dyn Client, &mut Ctx<'_>)) {
        let mut ctx = Ctx {
            world: &mut self.world,
            model: &mut self.model,
            desk: &mut self.desk,
            rng: &mut self.rng,
            client,
        };
        act(&mut *self.clients[client], &mut ctx);
    }

    fn ended(&mut self, node: usize, fatal: Option<Fatal>) {
        match &fatal {
            Some(Fatal::Write(_)) => {
                // A tail that cannot be read again cannot be written again: a start may end of it.
                let here = &self.world.nodes[node];
                let start_failed = self.model.damage.read_failed && !here.was_ready;
                assert!(here.must_end || start_failed, "{fatal:?} and no write failed");
                let why = if start_failed {
                    "start ended: tail unreadable"
                } else {
                    "process ended after a failed write"
                };
                self.world.counts.add(why);
            }
            Some(Fatal::Data(text)) => self.refused(node, text),
            None => self.safety.stops += 1,
        }
        self.process_is_gone(node);
    }

    fn refused(&mut self, node: usize, text: &str) {
        assert!(self.tampered[node], "the data is refused: {text}");
        self.world.counts.add("folder refused");
        if let Some(whole) = self.put_back.take() {
            assert!(text.contains("othing was changed"), "{text}");
            self.world.nodes[node].disk.power_cut(&mut self.rng);
            self.world.nodes[node].disk.replace_all("", &whole);
            self.tampered[node] = false;
        }
    }

    fn process_is_gone(&mut self, node: usize) {
        let waited = self.desk.forget_node(node);
        let is_alone = self.world.nodes.len() == 1;
        for client in (0..self.clients.len()).filter(|client| is_alone || waited.contains(client)) {
            self.with_client(client, |client, ctx| client.lost(ctx));
        }
        let here = &mut self.world.nodes[node];
        here.wall_offset_ms = 0;
        here.stalled_until_ns = 0;
        here.paused_until_ns = 0;
        // In a cluster the others go on without it for a while.
        let is_long = !is_alone && !self.desk.is_settling && self.rng.one_in(2);
        let after_ns = self.rng.below(if is_long { 3 * SECOND } else { 20 * MS });
        self.wake_node_after(node, after_ns, WAKE_START);
    }

    fn crash(&mut self, node: usize, with_power: bool) {
        // What was answered before the crash may have reached the client.
        for happening in self.world.take_happened() {
            self.happened(happening);
        }
        if !self.world.nodes[node].is_running() {
            return;
        }
        if with_power {
            self.world.power_cut(node);
            if self.is_tampered_with {
                tamper::keep_old(&self.world, node, &mut self.old_copies[node]);
            }
            self.world.counts.add("crash: power cut");
        } else {
            self.world.kill(node);
            self.world.counts.add("crash: kill");
        }
        self.process_is_gone(node);
    }

    pub(super) fn faults_due(&mut self) {
        if let Some((steps, node, fault)) = self.due.take() {
            match steps {
                0 => self.strike(node, fault),
                _ => self.due = Some((steps - 1, node, fault)),
            }
            return;
        }
        let is_recovering = |node: &Node| node.is_running() && !node.is_ready();
        if self.recovery_crashes > 0
            && let Some(node) = self.world.nodes.iter().position(is_recovering)
        {
            self.recovery_crashes -= 1;
            let fault = if self.rng.one_in(3) { Fault::Kill } else { Fault::PowerCut };
            self.due = Some((self.rng.below(120), node, fault));
            return;
        }
        if self.plan.last().is_some_and(|planned| planned.after_operations <= self.desk.operations) {
            let planned = self.plan.pop().expect("there is a last");
            self.due = Some((planned.after_steps, planned.node, planned.fault));
        }
    }

    pub(super) fn strike(&mut self, node: usize, fault: Fault) {
        let may_be = match fault {
            Fault::DiskLost => safety::may_lose_disk(&self.world, node),
            Fault::Tampered => tamper::may_strike(&self.world, node),
            _ => true,
        };
        self.faults += u64::from(may_be);
        self.world.trace.line(self.world.now_ns, format_args!("fault: {fault:?} at n{node}"));
        self.world.counts.add(&format!("struck: {fault:?}"));
        match fault {
            Fault::PowerCut | Fault::Kill | Fault::Rot => {
                self.rot_is_due |= fault == Fault::Rot;
                self.recovery_crashes = if self.rng.one_in(2) { self.rng.below(4) } else { 0 };
                self.crash(node, fault != Fault::Kill);
            }
            Fault::BadTail => {
                let is_everywhere = self.rng.below(3) > 0;
                let all = 0..self.world.nodes.len();
                let struck = all.filter(|other| is_everywhere || *other == node).collect::<Vec<_>>();
                struck.into_iter().for_each(|node| self.crash(node, true));
                bad_tail::strike(&mut self.world, &mut self.model, node, &mut self.rng);
            }
            Fault::PowerCutAll => (0..self.world.nodes.len()).for_each(|node| self.crash(node, true)),
            Fault::DiskLost if may_be => {
                self.crash(node, true);
                self.world.wipe(node);
            }
            Fault::Tampered if may_be => self.tamper(node),
            Fault::DiskLost | Fault::Tampered => self.put_off(node, fault),
            Fault::CleanStop => self.world.stop(node),
            Fault::WriteError => self.arm(node, FaultKind::Write),
            Fault::SyncError => self.arm(node, FaultKind::Sync),
            Fault::ReadError => {
                self.model.damage.read_failed = true;
                self.arm(node, FaultKind::Read);
            }
            Fault::DiskFull => {
                let room = self.rng.below(300_000);
                let disk = &mut self.world.nodes[node].disk;
                disk.set_capacity(Some(disk.used_bytes() + room));
                let after_ns = 20 * MS + self.rng.below(500 * MS);
                self.wake_node_after(node, after_ns, WAKE_LIFT_CAPACITY);
            }
            Fault::Stall => {
                let until_ns = self.world.now_ns + MS + self.rng.below(2 * SECOND);
                self.world.nodes[node].stalled_until_ns = until_ns;
            }
            Fault::Pause => {
                let until_ns = self.world.now_ns + MS + self.rng.below(5 * SECOND);
                self.world.nodes[node].paused_until_ns = until_ns;
            }
            Fault::WallJump => self.jump(node),
            Fault::Idle => self.idle_until_ns = self.world.now_ns + self.rng.below(30 * SECOND),
            Fault::Isolated | Fault::Deaf | Fault::Mute | Fault::Slow | Fault::LinksBroken => {
                self.strike_network(node, fault);
            }
        }
    }

    fn tamper(&mut self, node: usize) {
        self.crash(node, true);
        if self.world.nodes.len() == 1 {
            self.put_back = Some(self.world.nodes[node].disk.copy_of(""));
        }
        self.tampered[node] = true;
        tamper::strike(&mut self.world, node, self.old_copies[node].as_ref(), &mut self.rng);
    }

    /// Another disk is not made good yet: this one is lost later.
    fn put_off(&mut self, node: usize, fault: Fault) {
        const OPERATIONS: u64 = 15;
        self.world.counts.add("disk loss put off: another is not made good yet");
        let after_operations = self.desk.operations + OPERATIONS;
        if after_operations < self.operations_max {
            let planned = Planned { after_operations, after_steps: self.rng.below(200), fault, node };
            let at = self.plan.partition_point(|other| other.after_operations > after_operations);
            self.plan.insert(at, planned);
        }
    }

    fn arm(&mut self, node: usize, kind: FaultKind) {
        let skip = self.rng.below(6);
        self.world.nodes[node].disk.faults.arm(kind, skip);
    }
}
