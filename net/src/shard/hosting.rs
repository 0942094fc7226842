//! A coordinator of one shard (consumer groups, say): carries the engine's host, which decides, and
//! does what it asks for: appends, reads, questions, answers.

use super::results::{Question, TICK};
use crate::shard::completion::Slots;
use crate::shard::shard_loop::ShardLoop;
use engine::control::View;
use engine::coordinator::host::{Append, Input, Output, Ticket as HostTicket};
use engine::coordinator::{Figures, Host, StateMachine, Tenure, Vocabulary};
use engine::ids::{Offset, PartitionId, Term};
use engine::port::{Fetch, FetchPartition, Isolation, Produce, QueryKind, RequestId};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

type Words<M> = <M as StateMachine>::Words;
type Request<M> = <Words<M> as Vocabulary>::Request;
type Effect<M> = <Words<M> as Vocabulary>::Effect;
type Answer<M> = <Words<M> as Vocabulary>::Answer;

type Outside<M> = Box<dyn Fn(&Rc<Hosting<M>>, Tenure, Effect<M>)>;

/// One per shard and kind of coordinator. Shared by tasks of one executor; no borrow is held across an await.
pub struct Hosting<M: StateMachine> {
    shard: Rc<ShardLoop>,
    host: RefCell<Host<M>>,
    /// Requests without an answer. Each is a connection's, which has one at a time.
    waiting: RefCell<BTreeMap<RequestId, Rc<Slots<Answer<M>>>>>,
    last: Cell<u64>,
    /// What the host followed last: metadata, and the count of changes of leaders.
    followed: RefCell<(Arc<View>, u64)>,
    /// Carries out what the machine wants done outside.
    outside: Outside<M>,
    /// The timer that is waited for by itself; `u64::MAX` while none is.
    awaited_ns: Cell<u64>,
}

/// Timers that are so near are one: a coordinator wakes its shard at most so often.
const TIMER_STEP_NS: u64 = 500_000;

impl<M: StateMachine + 'static> Hosting<M> {
    /// Starts the task that keeps it going.
    pub fn start(
        shard: Rc<ShardLoop>,
        config: <Words<M> as Vocabulary>::Config,
        outside: impl Fn(&Rc<Self>, Tenure, Effect<M>) + 'static,
    ) -> Rc<Self> {
        let hosting = Rc::new(Self {
            shard,
            host: RefCell::new(Host::new(config)),
            waiting: RefCell::default(),
            last: Cell::new(0),
            followed: RefCell::default(),
            outside: Box::new(outside),
            awaited_ns: Cell::new(u64::MAX),
        });
        let following = Rc::clone(&hosting);
        glommio::spawn_local(async move { following.follow().await }).detach();
        hosting
    }

    /// Starts a request; the answer comes into the slot.
    pub fn begin(self: &Rc<Self>, body: Request<M>) -> Ticket<M> {
        self.last.set(self.last.get() + 1);
        let request = RequestId(self.last.get());
        let slots = Slots::new(1);
        self.waiting.borrow_mut().insert(request, Rc::clone(&slots));
        self.step(Input::Request { request, body });
        Ticket { hosting: Rc::clone(self), request, slots }
    }

    /// Asks and waits for the answer.
    pub async fn ask(self: &Rc<Self>, body: Request<M>) -> Answer<M> {
        self.begin(body).answer().await
    }

    /// For the metrics page.
    pub fn figures(&self) -> Figures<<Words<M> as Vocabulary>::Figures> {
        self.host.borrow().figures(self.shard.now())
    }

    /// What came of an effect.
    pub fn tell(self: &Rc<Self>, tenure: Tenure, news: <Words<M> as Vocabulary>::News) {
        self.step(Input::Told { tenure, news });
    }

    /// News for whoever leads this partition here, if anybody does.
    pub fn hear(self: &Rc<Self>, partition: i32, news: <Words<M> as Vocabulary>::News) {
        self.step(Input::Heard { partition, news });
    }

    /// In which term this stay leads its partition, while it lasts.
    pub fn term_of(&self, tenure: Tenure) -> Option<Term> {
        self.host.borrow().term_of(tenure)
    }

    /// All that wait are sent on, and nothing is led any more: the node stops.
    pub fn stop(self: &Rc<Self>) {
        self.step(Input::Stop);
    }

    /// Runs for ever: the shard's `changes` come with every tick at least.
    async fn follow(self: Rc<Self>) {
        loop {
            let mut notified = false;
            self.shard.changes.until(|| core::mem::replace(&mut notified, true)).await;
            self.follow_now();
            self.step(Input::Tick);
        }
    }

    fn follow_now(self: &Rc<Self>) {
        let view = self.shard.view();
        let leader_changes = self.shard.leaders.borrow().changes();
        let before = self.followed.replace((Arc::clone(&view), leader_changes));
        if Arc::ptr_eq(&before.0, &view) && before.1 == leader_changes {
            return;
        }
        let mut outputs = Vec::new();
        let term_led = |journal| self.shard.term_led(journal);
        self.host.borrow_mut().follow(self.shard.now(), &view, term_led, &mut outputs);
        self.carry_out(outputs);
    }

    fn step(self: &Rc<Self>, input: Input<Words<M>>) {
        let mut outputs = Vec::new();
        self.host.borrow_mut().step(self.shard.now(), input, &mut outputs);
        self.carry_out(outputs);
        self.await_timer();
    }

    /// The shard's tick is too coarse for what is due before the next one: that is waited for by itself. A shard
    /// without timers is woken no more often.
    fn await_timer(self: &Rc<Self>) {
        let Some(due_ns) = self.host.borrow().next_timer_ns() else { return };
        let now_ns = self.shard.now().mono_ns;
        let at_ns = due_ns.max(now_ns).next_multiple_of(TIMER_STEP_NS);
        if at_ns >= self.awaited_ns.get() || at_ns >= now_ns + TICK.as_nanos() as u64 {
            return;
        }
        self.awaited_ns.set(at_ns);
        let this = Rc::clone(self);
        glommio::spawn_local(async move {
            glommio::timer::sleep(Duration::from_nanos(at_ns - now_ns)).await;
            // One that came sooner is waited for by another.
            if this.awaited_ns.get() == at_ns {
                this.awaited_ns.set(u64::MAX);
            }
            this.step(Input::Tick);
        })
        .detach();
    }

    /// Does what was asked for, and gives the engine the batches that it has room for.
    fn carry_out(self: &Rc<Self>, mut outputs: Vec<Output<Words<M>>>) {
        loop {
            outputs.drain(..).for_each(|output| self.carry_out_one(output));
            let room = |partition, bytes| self.shard.room_for(partition, bytes);
            let next = self.host.borrow_mut().next_append(self.shard.now(), room, &mut outputs);
            match next {
                Some(append) => self.append(append),
                None if outputs.is_empty() => return,
                None => {}
            }
        }
    }

    fn carry_out_one(self: &Rc<Self>, output: Output<Words<M>>) {
        let (shard, topic) = (self.shard.shard().0, M::TOPIC);
        match output {
            Output::Answer { request, answer } => {
                if let Some(slots) = self.waiting.borrow_mut().remove(&request) {
                    slots.fill(0, answer);
                }
            }
            Output::Fetch { ticket, partition, offset, bytes_max, deadline_ns } => {
                self.fetch(ticket, partition, (offset, bytes_max, deadline_ns));
            }
            Output::Query { ticket, partition, kind } => self.query(ticket, partition, kind),
            Output::Loaded { partition, report } => {
                let (kept, records, bad) = (report.kept, report.records, report.bad_records);
                if bad > 0 {
                    tracing::warn!(shard, topic, partition, bad, "records that cannot be read");
                }
                if records > 0 {
                    tracing::info!(
                        shard,
                        topic,
                        partition,
                        kept,
                        records,
                        "a coordinator's partition is read back"
                    );
                }
            }
            Output::NotLoaded { partition, refusal } => {
                tracing::debug!(
                    shard,
                    topic,
                    partition,
                    ?refusal,
                    "a coordinator's partition is not read back yet"
                );
            }
            Output::Effect { tenure, effect } => (self.outside)(self, tenure, effect),
            Output::Trimmed { partition, before, refusal: None } => {
                tracing::debug!(shard, topic, partition, before = before.0, "a coordinator's history freed");
            }
            Output::Trimmed { partition, refusal, .. } => {
                tracing::warn!(shard, topic, partition, ?refusal, "a coordinator's history not freed");
            }
        }
    }

    fn append(self: &Rc<Self>, append: Append) {
        let (request, slots) = self.shard.begin_produce(1, u64::MAX);
        let Append { ticket, partition, acks, batch, writer } = append;
        let (slot, records, checked) = (0, &batch[..], None);
        self.shard.produce(Produce { request, slot, partition, acks, records, checked, writer });
        let this = Rc::clone(self);
        glommio::spawn_local(async move {
            let result = slots.wait().await.pop().expect("one slot");
            let result = result.map(|produced| produced.base_offset);
            this.step(Input::Produced { ticket, result });
        })
        .detach();
    }

    fn fetch(
        self: &Rc<Self>,
        ticket: HostTicket,
        partition: PartitionId,
        (offset, max_bytes, deadline_ns): (Offset, u32, u64),
    ) {
        let wanted =
            FetchPartition { partition, offset, max_bytes, leader_epoch: -1, last_fetched_epoch: -1 };
        let fetching = self.shard.fetch(|request| Fetch {
            request,
            partitions: vec![wanted],
            isolation: Isolation::ReadUncommitted,
            min_bytes: 1,
            max_bytes,
            deadline_ns,
        });
        let this = Rc::clone(self);
        glommio::spawn_local(async move {
            let fetched = fetching.slots.wait().await.pop().and_then(|mut partitions| partitions.pop());
            this.step(Input::Fetched { ticket, partition: fetched.expect("one partition") });
        })
        .detach();
    }

    fn query(self: &Rc<Self>, ticket: HostTicket, partition: PartitionId, kind: QueryKind) {
        let this = Rc::clone(self);
        glommio::spawn_local(async move {
            let question = Question { partition, leader_epoch: -1, kind };
            let result = this.shard.query(&[question]).await.pop().expect("one question");
            this.step(Input::Answered { ticket, result });
        })
        .detach();
    }
}

/// A request on its way; dropped when nobody waits for it any more.
pub struct Ticket<M: StateMachine> {
    hosting: Rc<Hosting<M>>,
    request: RequestId,
    slots: Rc<Slots<Answer<M>>>,
}

impl<M: StateMachine> Ticket<M> {
    pub async fn answer(self) -> Answer<M> {
        Rc::clone(&self.slots).wait().await.pop().expect("one slot")
    }
}

impl<M: StateMachine> Drop for Ticket<M> {
    fn drop(&mut self) {
        self.hosting.waiting.borrow_mut().remove(&self.request);
    }
}
