//! The consumer groups of one shard: drives the engine's coordinator, which decides, and does
//! what it asks for: appends, reads back, moves log starts, answers.
//!
//! `follow` tells the coordinator what this shard leads, `append` brings its batches into the
//! log, `read_back` the log to it.

mod append;
mod follow;
mod read_back;

use crate::completion::{Slots, Waiters};
use crate::shard_loop::{Question, ShardLoop};
use append::Appends;
use engine::collections::Map;
use engine::groups::{
    Answer, Coordinator, Figures, GroupConfig, Input, OFFSETS_TOPIC, Output, Request, Tenure,
};
use engine::ids::{Offset, PartitionId};
use engine::shard::{QueryKind, RequestId};
use follow::Followed;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

/// One per shard. Shared by tasks of one executor; no borrow is held across an await.
pub struct Groups {
    shard: Rc<ShardLoop>,
    coordinator: RefCell<Coordinator>,
    /// Requests without an answer. Each is a connection's, which has one at a time.
    waiting: RefCell<Map<RequestId, Rc<Slots<Answer>>>>,
    last: Cell<u64>,
    appends: RefCell<Appends>,
    /// Partitions to be read back, and whom to tell of one more.
    to_read: RefCell<VecDeque<Tenure>>,
    changed: Waiters,
    followed: RefCell<Followed>,
    stopped: Cell<bool>,
}

impl Groups {
    /// Starts the tasks that keep it going.
    pub fn start(shard: Rc<ShardLoop>, config: GroupConfig) -> Rc<Self> {
        let groups = Rc::new(Self {
            shard,
            coordinator: RefCell::new(Coordinator::new(config)),
            waiting: RefCell::default(),
            last: Cell::new(0),
            appends: RefCell::default(),
            to_read: RefCell::default(),
            changed: Waiters::default(),
            followed: RefCell::default(),
            stopped: Cell::new(false),
        });
        let (following, appending, reading) = (Rc::clone(&groups), Rc::clone(&groups), Rc::clone(&groups));
        glommio::spawn_local(async move { following.follow().await }).detach();
        glommio::spawn_local(async move { appending.await_outcomes().await }).detach();
        glommio::spawn_local(async move { reading.read_all_back().await }).detach();
        groups
    }

    /// Starts a request; the answer comes into the slot.
    pub fn begin(self: &Rc<Self>, body: Request) -> Ticket {
        self.last.set(self.last.get() + 1);
        let request = RequestId(self.last.get());
        let slots = Slots::new(1);
        self.waiting.borrow_mut().insert(request, Rc::clone(&slots));
        self.step(Input::Request { request, body });
        Ticket { groups: Rc::clone(self), request, slots }
    }

    /// Asks and waits for the answer.
    pub async fn ask(self: &Rc<Self>, body: Request) -> Answer {
        self.begin(body).answer().await
    }

    /// For the metrics page.
    pub fn figures(&self) -> Figures {
        self.coordinator.borrow().figures()
    }

    /// All that wait are sent on, and nothing is led any more: the node stops.
    pub fn stop(self: &Rc<Self>) {
        self.stopped.set(true);
        self.follow_now();
    }

    fn step(self: &Rc<Self>, input: Input<'_>) {
        let mut outputs = Vec::new();
        self.coordinator.borrow_mut().step(self.shard.now(), input, &mut outputs);
        for output in outputs {
            self.carry_out(output);
        }
        self.send_appends();
    }

    fn carry_out(self: &Rc<Self>, output: Output) {
        match output {
            Output::Answer { request, answer } => {
                if let Some(slots) = self.waiting.borrow_mut().remove(&request) {
                    slots.fill(0, answer);
                }
            }
            Output::Append { append, batch } => self.appends.borrow_mut().push(append, batch),
            Output::Trim { partition, before } => self.trim(partition, before),
            Output::Read { tenure } => {
                self.to_read.borrow_mut().push_back(tenure);
                self.changed.notify();
            }
            Output::Loaded { partition, report } => {
                let shard = self.shard.shard().0;
                let (groups, records, bad) = (report.groups, report.records, report.bad_records);
                if bad > 0 {
                    tracing::warn!(shard, partition, bad, "records of the offsets topic that cannot be read");
                }
                if records > 0 {
                    tracing::info!(shard, partition, groups, records, "groups are read back");
                }
            }
        }
    }

    /// Frees what was written again.
    fn trim(self: &Rc<Self>, partition: i32, before: Offset) {
        let Some(id) = self.partition_id(partition) else { return };
        let this = Rc::clone(self);
        glommio::spawn_local(async move {
            let kind = QueryKind::DeleteBefore(before.0);
            let question = Question { partition: id, leader_epoch: -1, kind };
            let result = this.shard.query(&[question]).await.pop().expect("one question");
            // What is not freed now is freed with what is written again the next time.
            match result {
                Ok(_) => tracing::debug!(partition, before = before.0, "history of groups freed"),
                Err(refusal) => tracing::warn!(partition, ?refusal, "history of groups not freed"),
            }
        })
        .detach();
    }

    /// What the engine knows a partition of the offsets topic by.
    fn partition_id(&self, partition: i32) -> Option<PartitionId> {
        let view = self.shard.view();
        let topic = view.topics.get(OFFSETS_TOPIC)?;
        Some(topic.partitions.get(usize::try_from(partition).ok()?)?.id)
    }
}

/// A request on its way; dropped when nobody waits for it any more.
pub struct Ticket {
    groups: Rc<Groups>,
    request: RequestId,
    slots: Rc<Slots<Answer>>,
}

impl Ticket {
    pub async fn answer(self) -> Answer {
        Rc::clone(&self.slots).wait().await.pop().expect("one slot")
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.groups.waiting.borrow_mut().remove(&self.request);
    }
}
