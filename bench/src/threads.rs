//! The threads that make load: each an executor with its share of producers and consumers.

use crate::batch::Maker;
use crate::batch::proof::Prover;
use crate::batch::template::Template;
use crate::cluster::directory::Identity;
use crate::consumer::{self, Consumer, Position, Sink};
use crate::producer::{self, Producer};
use crate::shared::Shared;
use crate::stats::interval::Recorder;
use crate::trouble::{Outcome, Trouble};
use crate::verify::acked::AckLog;
use glommio::{LocalExecutorBuilder, Placement};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Sockets need none of an executor's registered memory; this is as little as it takes.
const IO_MEMORY_BYTES: usize = 1 << 20;

/// Who proves instead of loading: which run, and where its acks go.
#[derive(Clone, Debug)]
pub struct Proving {
    pub run: u64,
    pub acks: AckLog,
}

/// Makes a sink for each consumer.
pub type SinkMaker = Arc<dyn Fn(&Recorder) -> Box<dyn Sink> + Send + Sync>;

/// What one thread is to do.
pub struct Work {
    pub thread: u32,
    pub producers: Vec<(u32, Identity)>,
    pub consumers: Vec<Vec<Position>>,
    pub sink: Option<SinkMaker>,
    pub proving: Option<Proving>,
}

/// A thread that runs.
pub struct Worker {
    pub recorder: Recorder,
    handle: JoinHandle<()>,
}

impl Worker {
    pub fn start(shared: &Arc<Shared>, work: Work) -> Outcome<Self> {
        let recorder = Recorder::default();
        let (shared, counted) = (Arc::clone(shared), recorder.clone());
        let failed = |error: &dyn std::fmt::Display| {
            Trouble::Cluster(format!(
                "no thread for load: {error}; io_uring must be allowed, and memory be lockable (ulimit -l)"
            ))
        };
        let name = format!("load-{}", work.thread);
        let builder = LocalExecutorBuilder::new(Placement::Unbound).name(&name).io_memory(IO_MEMORY_BYTES);
        // Made on its own thread: an executor stays where it is made.
        let (ready, is_ready) = std::sync::mpsc::channel();
        let body = move || match builder.make() {
            Ok(executor) => {
                let _ = ready.send(None);
                executor.run(run(shared, counted, work));
            }
            Err(error) => {
                let _ = ready.send(Some(error.to_string()));
            }
        };
        let handle = std::thread::Builder::new().name(name.clone()).spawn(body).map_err(|e| failed(&e))?;
        match is_ready.recv() {
            Ok(None) => Ok(Self { recorder, handle }),
            Ok(Some(error)) => Err(failed(&error)),
            Err(error) => Err(failed(&error)),
        }
    }

    pub fn is_finished(&self) -> bool {
        self.handle.is_finished()
    }

    pub fn join(self) {
        self.handle.join().expect("a load thread does not panic");
    }
}

/// glommio may sleep over a task that is ready; a timer that goes on wakes it.
const HEARTBEAT: Duration = Duration::from_millis(5);

async fn beat(over: Rc<Cell<bool>>) {
    while !over.get() {
        glommio::timer::sleep(HEARTBEAT).await;
    }
}

async fn run(shared: Arc<Shared>, recorder: Recorder, work: Work) {
    let mut tasks = Vec::new();
    let shape = shared.workload.shape();
    let template = work.proving.is_none() && !work.producers.is_empty();
    let common = template
        .then(|| Rc::new(RefCell::new(Maker::Template(Template::new(&shape, u64::from(work.thread))))));
    for (number, identity) in work.producers {
        let maker = match (&common, &work.proving) {
            (Some(maker), _) => Rc::clone(maker),
            (None, Some(proving)) => {
                Rc::new(RefCell::new(Maker::Prover(Prover::new(&shape, proving.run, number))))
            }
            (None, None) => unreachable!("a producer either loads or proves"),
        };
        let acks = work.proving.as_ref().map(|proving| proving.acks.clone());
        let producer = Producer::new(number, &shared, &recorder, maker, identity, acks);
        tasks.push(glommio::spawn_local(producer::driver::run(producer)));
    }
    for positions in work.consumers {
        let sink = work.sink.as_ref().expect("consumers come with a sink");
        let consumer = Consumer::new(&shared, &recorder, positions, sink(&recorder));
        tasks.push(glommio::spawn_local(consumer::task::run(consumer)));
    }
    let over = Rc::new(Cell::new(false));
    glommio::spawn_local(beat(Rc::clone(&over))).detach();
    for task in tasks {
        task.await;
    }
    over.set(true);
}
