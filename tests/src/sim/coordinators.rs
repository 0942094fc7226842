//! The world's side of coordinators: every shard has its hosts of groups and of transactions, as in a broker, and
//! what a host asks of its shard is carried out a moment later.

use super::coordinating::{Coordinating, HostInput, HostOutput};
use super::node::ShardSlot;
use super::world::{Due, Happening, World};
use engine::coordinator::StateMachine;
use engine::coordinator::host::{Append, Output as Asked, Ticket};
use engine::groups::{Groups, Request};
use engine::ids::NodeId;
use engine::port::{Fetch, FetchPartition, Input, Isolation, Output, Produce, Query, RequestId};
use engine::shard::Shard;
use engine::transactions::TransactionalIds;
use std::collections::VecDeque;
use std::sync::Arc;

/// A task that is woken runs this much later at most.
pub(super) const WAKE_NS_MAX: u64 = 100_000;
/// A client's request is on its way for this long at most.
pub(super) const TRAVEL_NS_MAX: u64 = 400_000;

/// A kind of coordinator that a simulated shard has.
pub(super) trait Hosted: StateMachine + Sized {
    /// For the counters.
    const NAME: &'static str;
    /// Requests of its hosts have numbers from here on, below twice as much, and no client has.
    const FIRST: u64;

    /// A slot's, and the shard that it asks for room.
    fn beside_shard(slot: &mut ShardSlot) -> (&mut Coordinating<Self>, &Shard);

    fn of(slot: &mut ShardSlot) -> &mut Coordinating<Self> {
        Self::beside_shard(slot).0
    }

    /// Its turn.
    fn due(node: usize, run: u64, shard: u16) -> Due;
    /// What only this kind asks for: answers and effects.
    fn output(world: &mut World, node: usize, shard: u16, output: HostOutput<Self>);
}

impl Hosted for Groups {
    const NAME: &'static str = "groups";
    const FIRST: u64 = 1 << 62;

    fn beside_shard(slot: &mut ShardSlot) -> (&mut Coordinating<Self>, &Shard) {
        (&mut slot.groups, &slot.shard)
    }

    fn due(node: usize, run: u64, shard: u16) -> Due {
        Due::Groups { node, run, shard }
    }

    fn output(world: &mut World, node: usize, shard: u16, output: HostOutput<Self>) {
        match output {
            Asked::Answer { request, answer } => {
                let line = format_args!("n{node}/s{shard} -> group {request:?} {answer:?}");
                world.trace.line(world.now_ns, line);
                world.happened.push(Happening::GroupAnswer { node, shard, request, answer });
            }
            Asked::Effect { effect, .. } => match effect {},
            other => unreachable!("it is carried out for all hosts: {other:?}"),
        }
    }
}

impl World {
    /// A client asks a node's coordinator; an answer comes as [`Happening::GroupAnswer`].
    pub fn ask_group(&mut self, node: usize, shard: u16, request: RequestId, body: Request) {
        self.trace.line(self.now_ns, format_args!("n{node}/s{shard} <- group {request:?} {body:?}"));
        let run = self.nodes[node].run;
        let at_ns = self.now_ns + self.rng.below(TRAVEL_NS_MAX);
        self.schedule.add(at_ns, Due::GroupRequest { node, run, shard, request, body });
    }

    pub(super) fn group_request(&mut self, node: usize, shard: u16, request: RequestId, body: Request) {
        self.tell_host::<Groups>(node, shard, HostInput::<Groups>::Request { request, body });
        self.run_host::<Groups>(node, shard);
    }

    /// Whether this answer is for one of the shard's own hosts, which then gets it.
    pub(super) fn is_hosts(&mut self, node: usize, shard: u16, output: &Output) -> bool {
        self.is_of::<Groups>(node, shard, output) || self.is_of::<TransactionalIds>(node, shard, output)
    }

    fn is_of<M: Hosted>(&mut self, node: usize, shard: u16, output: &Output) -> bool {
        let ticket = |request: &RequestId| {
            (M::FIRST..2 * M::FIRST).contains(&request.0).then(|| Ticket(request.0 - M::FIRST))
        };
        let input = match output {
            Output::Produced { request, result, .. } => ticket(request).map(|ticket| {
                HostInput::<M>::Produced { ticket, result: result.map(|produced| produced.base_offset) }
            }),
            Output::Fetched { request, partitions } => ticket(request)
                .map(|ticket| HostInput::<M>::Fetched { ticket, partition: partitions[0].clone() }),
            Output::Answered { request, result, .. } => {
                ticket(request).map(|ticket| HostInput::<M>::Answered { ticket, result: result.clone() })
            }
            _ => None,
        };
        let Some(input) = input else { return false };
        self.tell_host::<M>(node, shard, input);
        true
    }

    pub(super) fn tell_host<M: Hosted>(&mut self, node: usize, shard: u16, input: HostInput<M>) {
        M::of(&mut self.nodes[node].shards[shard as usize]).inputs.push_back(input);
        self.wake_host::<M>(node, shard);
    }

    /// Their turns come soon.
    pub(super) fn wake_hosts(&mut self, node: usize, shard: u16) {
        self.wake_host::<Groups>(node, shard);
        if self.transacts {
            self.wake_host::<TransactionalIds>(node, shard);
        }
    }

    fn wake_host<M: Hosted>(&mut self, node: usize, shard: u16) {
        let here = &mut self.nodes[node];
        let coordinating = M::of(&mut here.shards[shard as usize]);
        if !coordinating.is_due {
            coordinating.is_due = true;
            let at_ns = self.now_ns + self.rng.below(WAKE_NS_MAX);
            self.schedule.add(at_ns, M::due(node, here.run, shard));
        }
    }

    pub(super) fn tick_hosts(&mut self, node: usize, shard: u16) {
        if self.nodes[node].is_ready() {
            self.tell_host::<Groups>(node, shard, HostInput::<Groups>::Tick);
            if self.transacts {
                self.tell_host::<TransactionalIds>(node, shard, HostInput::<TransactionalIds>::Tick);
            }
        }
    }

    pub(super) fn stop_hosts(&mut self, node: usize, shard: u16) {
        self.stop_host::<Groups>(node, shard);
        if self.transacts && self.nodes[node].is_running() {
            self.stop_host::<TransactionalIds>(node, shard);
        }
    }

    fn stop_host<M: Hosted>(&mut self, node: usize, shard: u16) {
        self.tell_host::<M>(node, shard, HostInput::<M>::Stop);
        self.run_host::<M>(node, shard);
    }

    /// Follows what changed and gives the host all that came; carries out what it asks for.
    pub(super) fn run_host<M: Hosted>(&mut self, node: usize, shard: u16) {
        let now = self.nodes[node].now(self.now_ns);
        let mut out = Vec::new();
        let inputs = self.follow_with_host::<M>(node, shard, &mut out);
        let coordinating = M::of(&mut self.nodes[node].shards[shard as usize]);
        for input in inputs {
            coordinating.host.step(now, input, &mut out);
        }
        let run = self.nodes[node].run;
        loop {
            for output in std::mem::take(&mut out) {
                if self.nodes[node].run == run && self.nodes[node].is_running() {
                    self.host_output::<M>(node, shard, output);
                }
            }
            if self.nodes[node].run != run || !self.nodes[node].is_running() {
                return;
            }
            match self.next_append::<M>(node, shard, &mut out) {
                Some(append) => self.host_appends::<M>(node, shard, &append),
                None if out.is_empty() => return,
                None => {}
            }
        }
    }

    fn next_append<M: Hosted>(
        &mut self,
        node: usize,
        shard: u16,
        out: &mut Vec<HostOutput<M>>,
    ) -> Option<Append> {
        let now = self.nodes[node].now(self.now_ns);
        let (coordinating, engine) = M::beside_shard(&mut self.nodes[node].shards[shard as usize]);
        let room = |partition, bytes| engine.room_for(partition, bytes);
        coordinating.host.next_append(now, room, out)
    }

    fn follow_with_host<M: Hosted>(
        &mut self,
        node: usize,
        shard: u16,
        out: &mut Vec<HostOutput<M>>,
    ) -> VecDeque<HostInput<M>> {
        let now = self.nodes[node].now(self.now_ns);
        let (shards, own) = (self.options.shards, NodeId(node as u32));
        let here = &mut self.nodes[node];
        let (leaders, changes) = (&here.leaders, here.leader_changes);
        let slot = &mut here.shards[shard as usize];
        let view = Arc::clone(&slot.view);
        let coordinating = M::of(slot);
        coordinating.is_due = false;
        if !Arc::ptr_eq(&coordinating.followed.0, &view) || coordinating.followed.1 != changes {
            coordinating.followed = (Arc::clone(&view), changes);
            let led = |journal| {
                let lane = view.journals.get(&journal)?.lane;
                let (term, leader) = leaders.get(&journal).copied()?;
                (lane.shard(shards).0 == shard && leader == Some(own)).then_some(term)
            };
            coordinating.host.follow(now, &view, led, out);
        }
        std::mem::take(&mut coordinating.inputs)
    }

    fn host_appends<M: Hosted>(&mut self, node: usize, shard: u16, append: &Append) {
        let Append { ticket, partition, acks, batch, writer } = append;
        let request = RequestId(M::FIRST + ticket.0);
        let (partition, acks) = (*partition, *acks);
        let produce =
            Produce { request, slot: 0, partition, acks, records: batch, checked: None, writer: *writer };
        self.input(node, shard, Input::Produce(produce));
    }

    fn host_output<M: Hosted>(&mut self, node: usize, shard: u16, output: HostOutput<M>) {
        let name = M::NAME;
        match output {
            Asked::Fetch { ticket, partition, offset, bytes_max, deadline_ns } => {
                let wanted = FetchPartition {
                    partition,
                    offset,
                    max_bytes: bytes_max,
                    leader_epoch: -1,
                    last_fetched_epoch: -1,
                };
                let request = RequestId(M::FIRST + ticket.0);
                let partitions = vec![wanted];
                let fetch = Fetch {
                    request,
                    partitions,
                    isolation: Isolation::default(),
                    min_bytes: 1,
                    max_bytes: bytes_max,
                    deadline_ns,
                };
                self.input(node, shard, Input::Fetch(fetch));
            }
            Asked::Query { ticket, partition, kind } => {
                let request = RequestId(M::FIRST + ticket.0);
                let query = Query { request, slot: 0, partition, leader_epoch: -1, kind };
                self.input(node, shard, Input::Query(query));
            }
            Asked::Loaded { report, .. } => {
                assert_eq!(report.bad_records, 0, "records that nobody can read");
                if report.kept > 0 {
                    self.counts.add(&format!("{name}: coordinator read its {name} back"));
                }
            }
            Asked::NotLoaded { .. } => self.counts.add(&format!("{name}: reading back is tried again")),
            Asked::Trimmed { refusal: None, .. } => self.counts.add(&format!("{name}: history freed")),
            Asked::Trimmed { .. } => self.counts.add(&format!("{name}: history not freed")),
            other @ (Asked::Answer { .. } | Asked::Effect { .. }) => M::output(self, node, shard, other),
        }
    }
}
