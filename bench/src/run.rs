//! One run of load, from the topics that it needs to its result: threads are started, looked at
//! once a second, told to stop when it is time, and waited for until all is acked.

use crate::clock::{self, now_ns};
use crate::cluster::directory::{Directory, Identity};
use crate::cluster::offsets::{self, End};
use crate::cluster::{durability, topics};
use crate::consumer::Position;
use crate::consumer::load::Load;
use crate::interrupt;
use crate::options::From;
use crate::plan::Plan;
use crate::shared::Shared;
use crate::stats::result::{Moment, RunResult};
use crate::threads::{Work, Worker};
use crate::trouble::{Outcome, Trouble};
use crate::workload::Workload;
use std::sync::Arc;
use std::time::Duration;

/// Threads are up and connected to nobody yet; then all begin at once.
const HEAD_START: Duration = Duration::from_millis(100);
const SECOND: Duration = Duration::from_secs(1);
/// How often the main thread looks.
const LOOK: Duration = Duration::from_millis(10);
/// After a run, nothing more comes when nothing came for so long: the shorter time when consumers
/// have read all that was acked.
const QUIET_MS: u64 = 2_000;
const QUIET_ALL_READ_MS: u64 = 100;

/// Told about every second of a run.
pub trait Watcher {
    fn moment(&mut self, moment: &Moment);
}

/// Connects, makes topics, and runs the plan to its end.
pub fn execute(plan: Plan, watcher: &mut dyn Watcher) -> Outcome<RunResult> {
    let directory = Directory::new(plan.bootstrap.clone(), &plan.workload);
    if plan.produce {
        topics::prepare(&directory, &plan.workload)?;
    } else {
        topics::require(&directory, &plan.workload)?;
    }
    let fsync = durability::fsync_mode(&directory);
    let server = Arc::clone(&directory);
    let thread = std::thread::Builder::new().name("directory".into());
    let thread = thread
        .spawn(move || server.serve())
        .map_err(|error| Trouble::Cluster(format!("no thread for metadata: {error}")))?;
    let ran = prepared(plan, &directory, fsync, watcher);
    directory.stop();
    thread.join().expect("the directory does not panic");
    ran
}

fn prepared(
    plan: Plan,
    directory: &Arc<Directory>,
    fsync: String,
    watcher: &mut dyn Watcher,
) -> Outcome<RunResult> {
    let workload = &plan.workload;
    let producers = if plan.produce { identities(directory, workload)? } else { Vec::new() };
    let consumers = if plan.consume { positions(directory, workload, plan.to_the_end)? } else { Vec::new() };
    let start_ns = now_ns() + clock::ns(HEAD_START);
    let shared = Shared::new(workload.clone(), Arc::clone(directory), start_ns);
    let workers = start(&plan, &shared, producers, consumers)?;
    let mut result = RunResult::new(&plan, fsync);
    (result.measured_from_ns, result.measured_until_ns) = (start_ns, start_ns);
    watch(&plan, &shared, &workers, &mut result, watcher);
    shared.end();
    for worker in workers {
        // What was counted after the last look.
        let recorder = worker.recorder.clone();
        worker.join();
        result.totals.add(&recorder.take());
    }
    result.failure = shared.failure();
    Ok(result)
}

/// A producer id for each producer, when they are idempotent.
fn identities(directory: &Directory, workload: &Workload) -> Outcome<Vec<Identity>> {
    if !workload.idempotence {
        return Ok(vec![Identity::NONE; workload.producers as usize]);
    }
    let slots: Vec<_> = (0..workload.producers).map(|_| directory.request_identity()).collect();
    let deadline_ns = now_ns() + clock::seconds(30.0 + f64::from(workload.producers) / 100.0);
    loop {
        let got: Vec<Option<Identity>> =
            slots.iter().map(|slot| *slot.lock().expect("no thread panics while it holds this")).collect();
        if let Some(all) = got.iter().copied().collect() {
            return Ok(all);
        }
        if now_ns() > deadline_ns {
            return Err(Trouble::Cluster("the brokers give no producer ids: try --idempotence false".into()));
        }
        std::thread::sleep(LOOK);
    }
}

/// Each consumer's partitions and where it begins.
fn positions(directory: &Directory, workload: &Workload, to_the_end: bool) -> Outcome<Vec<Vec<Position>>> {
    let wait = Duration::from_secs_f64(workload.retry_seconds.min(1e6));
    let list = |end| offsets::list(directory, workload.partitions, end, wait);
    let begin = list(if workload.from == From::Latest { End::Latest } else { End::Earliest })?;
    let ends = if to_the_end { Some(list(End::Latest)?) } else { None };
    let mut consumers = vec![Vec::new(); workload.consumers as usize];
    for (partition, next_offset) in begin.into_iter().enumerate() {
        let end = ends.as_ref().map(|ends| ends[partition]);
        let position = Position { partition: partition as u32, leader: None, next_offset, end };
        consumers[partition % workload.consumers as usize].push(position);
    }
    Ok(consumers)
}

fn start(
    plan: &Plan,
    shared: &Arc<Shared>,
    producers: Vec<Identity>,
    consumers: Vec<Vec<Position>>,
) -> Outcome<Vec<Worker>> {
    let threads = plan.workload.threads;
    let sink = plan.sink.clone().unwrap_or_else(|| {
        let shared = Arc::clone(shared);
        Arc::new(move |recorder| Box::new(Load::new(&shared, recorder)))
    });
    let mut works: Vec<Work> = (0..threads)
        .map(|thread| Work {
            thread,
            producers: Vec::new(),
            consumers: Vec::new(),
            sink: Some(Arc::clone(&sink)),
            proving: plan.proving.clone(),
        })
        .collect();
    let mut turn = (0..threads as usize).cycle();
    for (number, identity) in producers.into_iter().enumerate() {
        works[turn.next().expect("it cycles")].producers.push((number as u32, identity));
    }
    for consumer in consumers {
        works[turn.next().expect("it cycles")].consumers.push(consumer);
    }
    let busy = works.into_iter().filter(|work| !work.producers.is_empty() || !work.consumers.is_empty());
    busy.map(|work| Worker::start(shared, work)).collect()
}

/// Looks once a second until everything is done.
fn watch(
    plan: &Plan,
    shared: &Shared,
    workers: &[Worker],
    result: &mut RunResult,
    watcher: &mut dyn Watcher,
) {
    let workload = &plan.workload;
    sleep_until(shared.start_ns);
    let measure_ns = shared.start_ns + clock::seconds(workload.warmup_seconds);
    let stop_ns = measure_ns.saturating_add(clock::seconds(workload.seconds));
    let mut watch = Watch { from_ns: shared.start_ns, cpu_ns: clock::cpu_ns(), measuring: false };
    let mut next_ns = shared.start_ns + clock::ns(SECOND);
    if workload.warmup_seconds == 0.0 {
        watch.begin(result, shared.start_ns);
    }
    loop {
        std::thread::sleep(LOOK);
        let now = now_ns();
        if !shared.is_stopping() && (now >= stop_ns || interrupt::is_asked()) {
            result.interrupted = interrupt::is_asked();
            shared.stop();
        }
        let finished = workers.iter().all(Worker::is_finished) || shared.is_ending();
        if now >= next_ns || finished || (!watch.measuring && now >= measure_ns) {
            watch.look(shared, workers, result, watcher);
            next_ns = now_ns() + clock::ns(SECOND);
        }
        if !watch.measuring && now >= measure_ns && !shared.is_stopping() {
            watch.begin(result, now);
        }
        if finished {
            // What came after the stop took its time; waiting for nothing did not.
            let stopped_ns = if shared.is_stopping() { shared.stopped_ns() } else { now };
            result.measured_until_ns = stopped_ns.max(shared.last_ns());
            return;
        }
        if shared.is_stopping() && plan.consume && (!plan.produce || is_quiet(shared)) {
            shared.end();
        }
    }
}

fn is_quiet(shared: &Shared) -> bool {
    let quiet_ms = now_ns().saturating_sub(shared.last_ns().max(shared.stopped_ns())) / 1_000_000;
    quiet_ms >= if shared.all_is_read() { QUIET_ALL_READ_MS } else { QUIET_MS }
}

struct Watch {
    from_ns: u64,
    cpu_ns: u64,
    measuring: bool,
}

impl Watch {
    /// The warm-up is over: what was counted so far counts no more.
    fn begin(&mut self, result: &mut RunResult, now_ns: u64) {
        self.measuring = true;
        result.totals = Default::default();
        result.measured_from_ns = now_ns;
        result.measured_until_ns = now_ns;
        result.cpu_ns = 0;
    }

    fn look(
        &mut self,
        shared: &Shared,
        workers: &[Worker],
        result: &mut RunResult,
        watcher: &mut dyn Watcher,
    ) {
        let (now, cpu) = (now_ns(), clock::cpu_ns());
        let mut interval = crate::stats::interval::Interval::default();
        for worker in workers {
            interval.add(&worker.recorder.take());
        }
        let moment = Moment {
            at_seconds: (now - shared.start_ns) as f64 / 1e9,
            seconds: (now - self.from_ns) as f64 / 1e9,
            warmup: !self.measuring,
            cpu_seconds: (cpu - self.cpu_ns) as f64 / 1e9,
            interval,
        };
        result.totals.add(&moment.interval);
        result.cpu_ns += cpu - self.cpu_ns;
        result.measured_until_ns = now;
        (self.from_ns, self.cpu_ns) = (now, cpu);
        watcher.moment(&moment);
    }
}

fn sleep_until(at_ns: u64) {
    std::thread::sleep(Duration::from_nanos(at_ns.saturating_sub(now_ns())));
}
