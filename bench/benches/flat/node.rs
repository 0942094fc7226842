//! A lone node of one shard, driven as `net` does it: each step is timed by the thread's processor time, so that
//! what else runs on the machine does not count.

use super::disk::Disk;
use engine::clock::Now;
use engine::control::View;
use engine::disk::BufferPool;
use engine::ids::{NodeId, ShardId};
use engine::port::{Entry, INPUT_NAMES, Input, Output};
use engine::register::Register;
use engine::shard::{Advertised, Shard, ShardConfig};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

const MS: u64 = 1_000_000;
const WALL_EPOCH_MS: i64 = 1_767_225_600_000;
/// Small: what is old is read from the disk in both journals.
const MEMORY_BYTES: usize = 8 << 20;
const SEGMENT_BYTES: u64 = 64 << 10;

/// What steps cost since the count was begun.
#[derive(Clone, Copy, Default)]
pub struct Cost {
    pub total: Duration,
    pub longest: Duration,
    /// What came in at the longest step.
    pub input: &'static str,
    pub steps: u64,
}

impl Cost {
    fn note(&mut self, input: &'static str, took: Duration) {
        self.total += took;
        self.steps += 1;
        if took > self.longest {
            (self.longest, self.input) = (took, input);
        }
    }
}

/// What a step asked for that comes back as an input.
enum Due {
    Disk(engine::disk::OpId, engine::disk::DiskRequest),
    View(Arc<View>),
    Register(Arc<Register>),
    Enter(Entry),
}

pub struct Node {
    pub shard: Shard,
    pool: BufferPool,
    disk: Disk,
    due: VecDeque<Due>,
    pub now: Now,
    pub cost: Cost,
    pub view: Arc<View>,
    /// What was said beside what the driver itself carries out.
    pub said: Vec<Output>,
}

impl Node {
    pub fn new(disk: Disk, now: Now) -> Self {
        let pool = BufferPool::new(4 << 20);
        Self {
            shard: Shard::new(config(), pool.clone()),
            pool,
            disk,
            due: VecDeque::new(),
            now,
            cost: Cost::default(),
            view: Arc::default(),
            said: Vec::new(),
        }
    }

    pub fn begin() -> Now {
        Now { mono_ns: MS, wall_ms: WALL_EPOCH_MS }
    }

    /// Starts, up to where clients are answered.
    pub fn start(&mut self) {
        self.step(Input::Start);
        self.until(|said| matches!(said, Output::Ready));
    }

    /// Stops; gives the disk for the next process.
    pub fn stop(mut self) -> (Disk, Now, Cost) {
        self.cost = Cost::default();
        self.step(Input::Stop);
        self.until(|said| matches!(said, Output::Stopped));
        self.disk.close_all();
        (self.disk, self.now, self.cost)
    }

    /// Ticks until something is said.
    pub fn until(&mut self, is_it: impl Fn(&Output) -> bool) {
        for _ in 0..1_000_000 {
            if self.said.iter().any(&is_it) {
                return;
            }
            self.tick();
        }
        panic!("it is never said; said was {:?}", self.said);
    }

    pub fn tick(&mut self) {
        self.now.mono_ns += 10 * MS;
        self.now.wall_ms += 10;
        self.step(Input::Tick);
        self.settle();
    }

    /// One input, as one step.
    pub fn step(&mut self, input: Input<'_>) {
        let name = INPUT_NAMES[input.number()];
        let mut out = Vec::new();
        let began = processor_time();
        self.shard.step(self.now, input, &mut out);
        self.cost.note(name, processor_time() - began);
        for output in out {
            match output {
                Output::Disk { op, request } => self.due.push_back(Due::Disk(op, request)),
                Output::View(view) => self.due.push_back(Due::View(view)),
                Output::Register(register) => self.due.push_back(Due::Register(register)),
                Output::Enter(entry) => self.due.push_back(Due::Enter(entry)),
                Output::Fatal(fatal) => panic!("{fatal}"),
                other => self.said.push(other),
            }
        }
    }

    /// Ends the turn, and gives back what the disk has done until nothing is under way.
    pub fn settle(&mut self) {
        self.step(Input::TurnEnd);
        while let Some(due) = self.due.pop_front() {
            match due {
                Due::Disk(op, request) => {
                    let result = self.disk.perform(request, &self.pool);
                    self.step(Input::Disk { op, result });
                }
                Due::View(view) => {
                    self.view = Arc::clone(&view);
                    self.step(Input::View(view));
                }
                Due::Register(register) => self.step(Input::Register(register)),
                Due::Enter(entry) => self.step(Input::Enter(entry)),
            }
            if self.due.is_empty() {
                self.step(Input::TurnEnd);
            }
        }
    }
}

fn config() -> ShardConfig {
    ShardConfig {
        node: NodeId(0),
        peers: Vec::new(),
        has_met_others: false,
        joins: false,
        shard: ShardId(0),
        shards: 1,
        lanes: 1,
        memory_bytes: MEMORY_BYTES,
        segment_bytes: SEGMENT_BYTES,
        broker_ids: None,
        scrub_bytes_per_second: 0,
        rewrite_bytes_per_second: 0,
        key_map_bytes: engine::rewrite::KEY_MAP_BYTES,
        catch_up_bytes_per_s: 8 << 20,
        raft_window_entries: 4096,
        entropy: [1, 2, 3, 4],
        nonce: 1,
        accept_loss: Vec::new(),
        kafka: Vec::new(),
        advertised: Advertised { host: "flat".into(), first_port: 9092, ..Advertised::default() },
    }
}

/// What this thread computed so far.
pub fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
