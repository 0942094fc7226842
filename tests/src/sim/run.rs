//! One run: a seed's world with its clients and faults, from the first start to the last check.

use super::disk::FaultKind;
use super::events;
use super::faults::{Fault, Planned, plan};
use super::world::{Happening, World, WorldOptions};
use super::{Counts, rot};
use crate::check::Model;
use crate::workload::admin::Admin;
use crate::workload::fetcher::Fetcher;
use crate::workload::producer::Producer;
use crate::workload::verifier::Verifier;
use crate::workload::{Client, Ctx, Desk};
use engine::ids::Index;
use engine::rng::Rng;
use engine::shard::{Acks, Fatal, Output};

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
/// Batches that ask for no answer are on disk by then.
const REST_NS: u64 = 5 * SECOND;

const WAKE_START: u64 = 1 << 32;
const WAKE_LIFT_CAPACITY: u64 = WAKE_START + 1;
const WAKE_WALL_BACK: u64 = WAKE_START + 2;

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub seed: u64,
    pub trace_hash: u64,
    pub trace_lines: u64,
    pub operations: u64,
    pub faults: u64,
    pub counts: Counts,
}

struct Run {
    world: World,
    model: Model,
    desk: Desk,
    rng: Rng,
    clients: Vec<Box<dyn Client>>,
    plan: Vec<Planned>,
    /// Steps until a fault that is due strikes.
    due: Option<(u64, Fault)>,
    /// Crashes during recovery that may still follow one another.
    recovery_crashes: u64,
    idle_until_ns: u64,
    faults: u64,
    view_seen: Index,
    /// When the node was last started, or became unready.
    down_since_ns: u64,
    operations_max: u64,
    steps_at_once: u64,
    rot_is_due: bool,
}

/// Runs a seed; panics with the first property that is violated.
pub fn run(seed: u64, print: bool) -> Outcome {
    let mut run = Run::new(seed, print);
    run.world.start(0);
    run.work();
    run.settle();
    run.verify();
    run.stop_and_verify_again();
    run.world.counts.add("run");
    Outcome {
        seed,
        trace_hash: run.world.trace.hash(),
        trace_lines: run.world.trace.lines(),
        operations: run.desk.operations,
        faults: run.faults,
        counts: run.world.counts,
    }
}

impl Run {
    fn new(seed: u64, print: bool) -> Self {
        let mut rng = Rng::new(seed ^ 0x5eed_0000);
        let options = WorldOptions {
            seed,
            nodes: 1,
            shards: 1 + rng.below(3) as u16,
            segment_bytes: (64 << 10) << rng.below(3),
            print,
        };
        let operations_max = OPERATIONS_MIN + rng.below(200);
        let mut world = World::new(options);
        let clients = clients(&mut rng);
        (0..clients.len()).for_each(|client| world.wake_after(rng.below(MS), client as u64));
        Self {
            world,
            model: Model::default(),
            desk: Desk::default(),
            plan: plan(&mut rng, operations_max),
            rng,
            clients,
            due: None,
            recovery_crashes: 0,
            idle_until_ns: 0,
            faults: 0,
            view_seen: Index::NONE,
            down_since_ns: 0,
            operations_max,
            steps_at_once: 0,
            rot_is_due: false,
        }
    }

    fn work(&mut self) {
        while self.desk.operations < self.operations_max || !self.plan.is_empty() || self.due.is_some() {
            self.step();
            self.faults_due();
            let waited_ns = self.world.now_ns - self.down_since_ns;
            let is_up = self.world.nodes[0].is_ready() || !self.world.nodes[0].is_running();
            assert!(is_up || waited_ns < READY_NS_MAX, "not ready after {} ms", waited_ns / MS);
        }
    }

    fn settle(&mut self) {
        self.desk.is_settling = true;
        self.idle_until_ns = 0;
        let here = &mut self.world.nodes[0];
        here.disk.set_capacity(None);
        here.disk.faults.disarm();
        here.wall_offset_ms = 0;
        here.paused_until_ns = 0;
        here.stalled_until_ns = 0;
        self.accept_losses();
        let last = self.clients.len() - 1;
        self.until("the clients are done", |run| {
            run.world.nodes[0].is_serving() && run.clients[..last].iter().all(|client| client.is_settled())
        });
        self.rest(REST_NS);
    }

    /// A journal that lost descriptors takes batches again only once the operator says so.
    fn accept_losses(&mut self) {
        self.until("the node is ready", |run| run.world.nodes[0].is_serving());
        let accepted =
            |run: &Self| run.world.nodes[0].accept_loss.len() == run.model.damage.heads_reported.len();
        if !accepted(self) {
            self.world.stop(0);
            self.until("the loss is accepted", |run| run.world.nodes[0].is_serving() && accepted(run));
        }
    }

    fn verify(&mut self) {
        self.desk.is_verifying = true;
        self.until("all logs are read", |run| run.clients.last().expect("the verifier").is_settled());
        self.desk.is_verifying = false;
    }

    fn stop_and_verify_again(&mut self) {
        if self.rng.one_in(2) {
            self.world.stop(0);
            self.until("the node stopped", |run| !run.world.nodes[0].is_running());
        } else {
            self.crash(true);
        }
        self.until("the node is ready again", |run| run.world.nodes[0].is_serving());
        self.verify();
    }

    fn until(&mut self, what: &str, mut is_done: impl FnMut(&Self) -> bool) {
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
    fn rest(&mut self, rest_ns: u64) {
        let until_ns = self.world.now_ns + rest_ns;
        while self.world.now_ns < until_ns {
            self.step();
        }
    }

    /// Lets one thing happen.
    fn step(&mut self) {
        let before_ns = self.world.now_ns;
        for happening in self.world.advance() {
            self.happened(happening);
        }
        self.steps_at_once = if self.world.now_ns == before_ns { self.steps_at_once + 1 } else { 0 };
        assert!(self.steps_at_once < STEPS_AT_ONCE_MAX, "time stands still");
        let view = self.world.nodes[0].view();
        if view.version > self.view_seen {
            self.view_seen = view.version;
            self.model.saw_view(&view);
        }
    }

    fn happened(&mut self, happening: Happening) {
        match happening {
            Happening::Wake(WAKE_START) => {
                if !self.world.nodes[0].is_running() {
                    self.start();
                }
            }
            Happening::Wake(WAKE_LIFT_CAPACITY) => self.world.nodes[0].disk.set_capacity(None),
            Happening::Wake(WAKE_WALL_BACK) => self.world.nodes[0].wall_offset_ms = 0,
            Happening::Wake(client) => self.wake(client as usize),
            Happening::Answer { output, .. } => self.answer(output),
            Happening::Event { event, .. } => events::check(&event, &mut self.model, &mut self.world.counts),
            Happening::Ready { .. } => self.world.counts.add("recovered and ready"),
            Happening::Ended { fatal, .. } => self.ended(fatal),
            Happening::Room { .. } => self.world.counts.add("room again"),
        }
    }

    fn start(&mut self) {
        self.down_since_ns = self.world.now_ns;
        self.model.damage.read_failed = false;
        self.view_seen = Index::NONE;
        let reported = &self.model.damage.heads_reported;
        self.world.nodes[0].accept_loss = reported.iter().copied().collect();
        if std::mem::take(&mut self.rot_is_due) {
            rot::strike(&mut self.world, &mut self.model, &mut self.rng);
        }
        self.world.start(0);
    }

    fn wake(&mut self, client: usize) {
        let again_ns = self.rng.below(3 * MS / 2);
        self.world.wake_after(again_ns, client as u64);
        if self.world.now_ns < self.idle_until_ns {
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

    fn ended(&mut self, fatal: Option<Fatal>) {
        match &fatal {
            Some(Fatal::Write(_)) => {
                // A tail that cannot be read again cannot be written again: a start may end of it.
                let start_failed = self.model.damage.read_failed && !self.world.nodes[0].was_ready;
                assert!(self.world.nodes[0].must_end || start_failed, "{fatal:?} and no write failed");
                let why = if start_failed {
                    "start ended: tail unreadable"
                } else {
                    "process ended after a failed write"
                };
                self.world.counts.add(why);
            }
            Some(Fatal::Data(text)) => panic!("the data is refused: {text}"),
            None => {}
        }
        self.process_is_gone();
    }

    fn process_is_gone(&mut self) {
        self.desk.forget_all();
        for client in 0..self.clients.len() {
            self.with_client(client, |client, ctx| client.lost(ctx));
        }
        let here = &mut self.world.nodes[0];
        here.wall_offset_ms = 0;
        here.stalled_until_ns = 0;
        here.paused_until_ns = 0;
        let after_ns = self.rng.below(20 * MS);
        self.world.wake_after(after_ns, WAKE_START);
    }

    fn crash(&mut self, with_power: bool) {
        // What was answered before the crash may have reached the client.
        for happening in self.world.take_happened() {
            self.happened(happening);
        }
        if !self.world.nodes[0].is_running() {
            return;
        }
        if with_power {
            self.world.power_cut(0);
            self.world.counts.add("crash: power cut");
        } else {
            self.world.kill(0);
            self.world.counts.add("crash: kill");
        }
        self.process_is_gone();
    }

    fn faults_due(&mut self) {
        if let Some((steps, fault)) = self.due.take() {
            match steps {
                0 => self.strike(fault),
                _ => self.due = Some((steps - 1, fault)),
            }
            return;
        }
        let is_recovering = self.world.nodes[0].is_running() && !self.world.nodes[0].is_ready();
        if is_recovering && self.recovery_crashes > 0 {
            self.recovery_crashes -= 1;
            let fault = if self.rng.one_in(3) { Fault::Kill } else { Fault::PowerCut };
            self.due = Some((self.rng.below(120), fault));
            return;
        }
        if self.plan.last().is_some_and(|planned| planned.after_operations <= self.desk.operations) {
            let planned = self.plan.pop().expect("there is a last");
            self.due = Some((planned.after_steps, planned.fault));
        }
    }

    fn strike(&mut self, fault: Fault) {
        self.faults += 1;
        self.world.trace.line(self.world.now_ns, format_args!("fault: {fault:?}"));
        self.world.counts.add(&format!("struck: {fault:?}"));
        match fault {
            Fault::PowerCut | Fault::Kill | Fault::Rot => {
                self.rot_is_due |= fault == Fault::Rot;
                self.recovery_crashes = if self.rng.one_in(2) { self.rng.below(4) } else { 0 };
                self.crash(fault != Fault::Kill);
            }
            Fault::CleanStop => self.world.stop(0),
            Fault::WriteError => self.arm(FaultKind::Write),
            Fault::SyncError => self.arm(FaultKind::Sync),
            Fault::ReadError => {
                self.model.damage.read_failed = true;
                self.arm(FaultKind::Read);
            }
            Fault::DiskFull => {
                let room = self.rng.below(300_000);
                let disk = &mut self.world.nodes[0].disk;
                disk.set_capacity(Some(disk.used_bytes() + room));
                let after_ns = 20 * MS + self.rng.below(500 * MS);
                self.world.wake_after(after_ns, WAKE_LIFT_CAPACITY);
            }
            Fault::Stall => {
                let until_ns = self.world.now_ns + MS + self.rng.below(2 * SECOND);
                self.world.nodes[0].stalled_until_ns = until_ns;
            }
            Fault::Pause => {
                let until_ns = self.world.now_ns + MS + self.rng.below(5 * SECOND);
                self.world.nodes[0].paused_until_ns = until_ns;
            }
            Fault::WallJump => self.jump(),
            Fault::Idle => self.idle_until_ns = self.world.now_ns + self.rng.below(30 * SECOND),
        }
    }

    fn arm(&mut self, kind: FaultKind) {
        let skip = self.rng.below(6);
        self.world.nodes[0].disk.faults.arm(kind, skip);
    }

    /// Back less than the hour that a topic lets a batch be ahead of the broker; forward any.
    fn jump(&mut self) {
        const MINUTE_MS: i64 = 60_000;
        let forward = [11 * MINUTE_MS, 300 * MINUTE_MS, 30 * 24 * 60 * MINUTE_MS];
        let offset_ms = match self.rng.below(5) {
            0 => -(1 + self.rng.below(50) as i64) * MINUTE_MS,
            1 => 1 + self.rng.below(5_000) as i64,
            other => forward[other as usize - 2],
        };
        self.world.nodes[0].wall_offset_ms = offset_ms;
        let after_ns = 20 * MS + self.rng.below(SECOND);
        self.world.wake_after(after_ns, WAKE_WALL_BACK);
    }
}

/// The clients of a run; the verifier is the last.
fn clients(rng: &mut Rng) -> Vec<Box<dyn Client>> {
    let mut clients: Vec<Box<dyn Client>> = vec![Box::new(Admin::default())];
    for _ in 0..1 + rng.below(3) {
        clients.push(Box::new(Producer::new(Acks::All, true)));
    }
    for _ in 0..1 + rng.below(3) {
        let acks = [Acks::All, Acks::Leader, Acks::None][rng.below(3) as usize];
        clients.push(Box::new(Producer::new(acks, false)));
    }
    for _ in 0..1 + rng.below(3) {
        clients.push(Box::new(Fetcher::default()));
    }
    clients.push(Box::new(Verifier::default()));
    clients
}
