//! What all threads of a run share: the workload, the directory, and when to stop.

use crate::cluster::directory::Directory;
use crate::workload::Workload;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

#[derive(Debug)]
pub struct Shared {
    pub workload: Workload,
    pub directory: Arc<Directory>,
    /// When the load begins, by the monotonic clock.
    pub start_ns: u64,
    /// Since then no new records are made; what is under way is finished. 0: they are.
    stopped_ns: AtomicU64,
    /// Nothing is finished any more.
    ending: AtomicBool,
    why: Mutex<Option<String>>,
    /// Records that consumers have read, for a bound on them, and of those that were acked.
    records_read: AtomicU64,
    records_acked: AtomicU64,
    /// When an answer last brought something.
    last_ns: AtomicU64,
}

impl Shared {
    pub fn new(workload: Workload, directory: Arc<Directory>, start_ns: u64) -> Arc<Self> {
        Arc::new(Self {
            workload,
            directory,
            start_ns,
            stopped_ns: AtomicU64::new(0),
            ending: AtomicBool::new(false),
            why: Mutex::default(),
            records_read: AtomicU64::new(0),
            records_acked: AtomicU64::new(0),
            last_ns: AtomicU64::new(0),
        })
    }

    /// Something was acked or read.
    pub fn note(&self, acked: u64, read: u64, now_ns: u64) {
        self.records_acked.fetch_add(acked, Ordering::Relaxed);
        self.records_read.fetch_add(read, Ordering::Relaxed);
        self.last_ns.fetch_max(now_ns, Ordering::Relaxed);
    }

    pub fn last_ns(&self) -> u64 {
        self.last_ns.load(Ordering::Relaxed)
    }

    pub fn records_read(&self) -> u64 {
        self.records_read.load(Ordering::Relaxed)
    }

    /// Consumers have all that was acked.
    pub fn all_is_read(&self) -> bool {
        self.records_read() >= self.records_acked.load(Ordering::Relaxed)
    }

    pub fn is_stopping(&self) -> bool {
        self.stopped_ns() > 0
    }

    pub fn stopped_ns(&self) -> u64 {
        self.stopped_ns.load(Ordering::Relaxed)
    }

    pub fn stop(&self) {
        let now_ns = crate::clock::now_ns();
        let _ = self.stopped_ns.compare_exchange(0, now_ns, Ordering::Relaxed, Ordering::Relaxed);
    }

    pub fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }

    pub fn end(&self) {
        self.stop();
        self.ending.store(true, Ordering::Relaxed);
    }

    /// Ends the run for a reason; the first one is kept.
    pub fn fail(&self, why: String) {
        self.why.lock().expect("no thread panics while it holds this").get_or_insert(why);
        self.end();
    }

    pub fn failure(&self) -> Option<String> {
        self.why.lock().expect("no thread panics while it holds this").clone()
    }
}
