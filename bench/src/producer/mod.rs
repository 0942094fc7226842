//! Producers: `pace` makes records, `book` keeps their batches, `link` sends them, `answers`
//! takes what comes back, `driver` keeps time.

pub mod answers;
pub mod book;
pub mod chooser;
pub mod driver;
pub mod link;
pub mod pace;
pub mod partition;

#[cfg(test)]
mod book_tests;
pub mod in_flight;

use crate::batch::Maker;
use crate::batch::spec::Spec;
use crate::clock;
use crate::cluster::directory::Identity;
use crate::shared::Shared;
use crate::stats::interval::Recorder;
use crate::verify::acked::AckLog;
use crate::wake::Bell;
use book::{Book, Bounds};
use in_flight::Link;
use pace::Pace;
use partition::Batch;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

/// One producer; all of its tasks are on one thread, and none borrows across an await.
pub struct Producer {
    pub number: u32,
    pub shared: Arc<Shared>,
    pub recorder: Recorder,
    pub book: RefCell<Book>,
    pub links: RefCell<Vec<Rc<Link>>>,
    pub pace: RefCell<Pace>,
    /// Producers of a thread share their prebuilt records.
    pub maker: Rc<RefCell<Maker>>,
    pub acks: Option<AckLog>,
    /// Wakes the driver.
    pub bell: Bell,
    /// Links end.
    pub over: Cell<bool>,
}

impl Producer {
    pub fn new(
        number: u32,
        shared: &Arc<Shared>,
        recorder: &Recorder,
        maker: Rc<RefCell<Maker>>,
        identity: Identity,
        acks: Option<AckLog>,
    ) -> Rc<Self> {
        let workload = &shared.workload;
        let linger_ns = workload.linger_ns();
        let bounds = Bounds::new(&workload.shape(), workload.request_bytes, workload.buffer_bytes, linger_ns);
        Rc::new(Self {
            number,
            shared: Arc::clone(shared),
            recorder: recorder.clone(),
            book: RefCell::new(Book::new(workload.all_partitions(), bounds, identity)),
            links: RefCell::default(),
            pace: RefCell::new(Pace::new(workload, number, shared.start_ns)),
            maker,
            acks,
            bell: Bell::default(),
            over: Cell::new(false),
        })
    }

    /// Makes the records that are due now.
    pub fn make_due(&self, now_ns: u64) {
        if !self.shared.is_stopping() {
            self.pace.borrow_mut().make(&mut self.book.borrow_mut(), now_ns);
        }
    }

    /// What a batch is to look like when it is sent now.
    fn spec(&self, batch: &Batch) -> Spec {
        let book = self.book.borrow();
        let partition = book.partition(batch.partition);
        Spec {
            partition: batch.partition,
            count: batch.count,
            record: batch.record,
            producer_id: partition.identity.id,
            producer_epoch: partition.identity.epoch,
            sequence: partition.sequence(batch.record),
            wall_ms: clock::wall_ms(),
            first_ns: batch.first_ns,
            last_ns: batch.last_ns,
        }
    }
}
