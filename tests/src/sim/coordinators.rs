//! The world's side of consumer groups: every shard has its host of groups, as in a broker, and
//! what the host asks of its shard is carried out a moment later.

use super::coordinating::{HostInput, HostOutput};
use super::node::ShardSlot;
use super::world::{Due, Happening, World};
use engine::coordinator::host::{Append, Ticket};
use engine::groups::Request;
use engine::port::{Fetch, FetchPartition, Input, Isolation, Output, Produce, Query, RequestId};
use std::collections::VecDeque;
use std::sync::Arc;

/// Requests of hosts have numbers from here on, and no client has.
const HOSTS_FIRST: u64 = 1 << 62;
/// A task that is woken runs this much later at most.
const WAKE_NS_MAX: u64 = 100_000;
/// A client's request is on its way for this long at most.
const TRAVEL_NS_MAX: u64 = 400_000;

impl World {
    /// A client asks a node's coordinator; an answer comes as [`Happening::GroupAnswer`].
    pub fn ask_group(&mut self, node: usize, shard: u16, request: RequestId, body: Request) {
        self.trace.line(self.now_ns, format_args!("n{node}/s{shard} <- group {request:?} {body:?}"));
        let run = self.nodes[node].run;
        let at_ns = self.now_ns + self.rng.below(TRAVEL_NS_MAX);
        self.schedule.add(at_ns, Due::GroupRequest { node, run, shard, request, body });
    }

    pub(super) fn group_request(&mut self, node: usize, shard: u16, request: RequestId, body: Request) {
        self.tell_host(node, shard, HostInput::Request { request, body });
        self.run_host(node, shard);
    }

    /// Whether this answer is for the shard's own host, which then gets it.
    pub(super) fn is_hosts(&mut self, node: usize, shard: u16, output: &Output) -> bool {
        let ticket = |request: &RequestId| request.0.checked_sub(HOSTS_FIRST).map(Ticket);
        let input =
            match output {
                Output::Produced { request, result, .. } => ticket(request).map(|ticket| {
                    HostInput::Produced { ticket, result: result.map(|produced| produced.base_offset) }
                }),
                Output::Fetched { request, partitions } => ticket(request)
                    .map(|ticket| HostInput::Fetched { ticket, partition: partitions[0].clone() }),
                Output::Answered { request, result, .. } => {
                    ticket(request).map(|ticket| HostInput::Answered { ticket, result: result.clone() })
                }
                _ => None,
            };
        let Some(input) = input else { return false };
        self.tell_host(node, shard, input);
        true
    }

    fn tell_host(&mut self, node: usize, shard: u16, input: HostInput) {
        self.nodes[node].shards[shard as usize].groups.inputs.push_back(input);
        self.wake_host(node, shard);
    }

    /// Its turn comes soon.
    pub(super) fn wake_host(&mut self, node: usize, shard: u16) {
        let here = &mut self.nodes[node];
        let groups = &mut here.shards[shard as usize].groups;
        if !groups.is_due {
            groups.is_due = true;
            let at_ns = self.now_ns + self.rng.below(WAKE_NS_MAX);
            self.schedule.add(at_ns, Due::Groups { node, run: here.run, shard });
        }
    }

    pub(super) fn tick_host(&mut self, node: usize, shard: u16) {
        if self.nodes[node].is_ready() {
            self.tell_host(node, shard, HostInput::Tick);
        }
    }

    pub(super) fn stop_host(&mut self, node: usize, shard: u16) {
        self.tell_host(node, shard, HostInput::Stop);
        self.run_host(node, shard);
    }

    /// Follows what changed and gives the host all that came; carries out what it asks for.
    pub(super) fn run_host(&mut self, node: usize, shard: u16) {
        let now = self.nodes[node].now(self.now_ns);
        let mut out = Vec::new();
        let inputs = self.follow_with_host(node, shard, &mut out);
        let groups = &mut self.nodes[node].shards[shard as usize].groups;
        for input in inputs {
            groups.host.step(now, input, &mut out);
        }
        let run = self.nodes[node].run;
        loop {
            for output in std::mem::take(&mut out) {
                if self.nodes[node].run == run && self.nodes[node].is_running() {
                    self.host_output(node, shard, output);
                }
            }
            if self.nodes[node].run != run || !self.nodes[node].is_running() {
                return;
            }
            let ShardSlot { shard: engine, groups, .. } = &mut self.nodes[node].shards[shard as usize];
            let room = |partition, bytes| engine.room_for(partition, bytes);
            match groups.host.next_append(now, room, &mut out) {
                Some(append) => self.host_appends(node, shard, &append),
                None if out.is_empty() => return,
                None => {}
            }
        }
    }

    fn follow_with_host(
        &mut self,
        node: usize,
        shard: u16,
        out: &mut Vec<HostOutput>,
    ) -> VecDeque<HostInput> {
        let now = self.nodes[node].now(self.now_ns);
        let (shards, own) = (self.options.shards, engine::ids::NodeId(node as u32));
        let here = &mut self.nodes[node];
        let (leaders, changes) = (&here.leaders, here.leader_changes);
        let ShardSlot { groups, view, .. } = &mut here.shards[shard as usize];
        groups.is_due = false;
        if !Arc::ptr_eq(&groups.followed.0, view) || groups.followed.1 != changes {
            groups.followed = (Arc::clone(view), changes);
            let led = |journal| {
                let lane = view.journals.get(&journal)?.lane;
                let (term, leader) = leaders.get(&journal).copied()?;
                (lane.shard(shards).0 == shard && leader == Some(own)).then_some(term)
            };
            groups.host.follow(now, view, led, out);
        }
        std::mem::take(&mut groups.inputs)
    }

    fn host_appends(&mut self, node: usize, shard: u16, append: &Append) {
        let Append { ticket, partition, acks, batch, writer } = append;
        let request = RequestId(HOSTS_FIRST + ticket.0);
        let (partition, acks) = (*partition, *acks);
        let produce =
            Produce { request, slot: 0, partition, acks, records: batch, checked: None, writer: *writer };
        self.input(node, shard, Input::Produce(produce));
    }

    fn host_output(&mut self, node: usize, shard: u16, output: HostOutput) {
        match output {
            HostOutput::Answer { request, answer } => {
                self.trace
                    .line(self.now_ns, format_args!("n{node}/s{shard} -> group {request:?} {answer:?}"));
                self.happened.push(Happening::GroupAnswer { node, shard, request, answer });
            }
            HostOutput::Fetch { ticket, partition, offset, bytes_max, deadline_ns } => {
                let wanted = FetchPartition {
                    partition,
                    offset,
                    max_bytes: bytes_max,
                    leader_epoch: -1,
                    last_fetched_epoch: -1,
                };
                let request = RequestId(HOSTS_FIRST + ticket.0);
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
            HostOutput::Query { ticket, partition, kind } => {
                let request = RequestId(HOSTS_FIRST + ticket.0);
                let query = Query { request, slot: 0, partition, leader_epoch: -1, kind };
                self.input(node, shard, Input::Query(query));
            }
            HostOutput::Loaded { report, .. } => {
                assert_eq!(report.bad_records, 0, "records that nobody can read");
                if report.kept > 0 {
                    self.counts.add("groups: coordinator read its groups back");
                }
            }
            HostOutput::NotLoaded { .. } => self.counts.add("groups: reading back is tried again"),
            HostOutput::Trimmed { refusal: None, .. } => self.counts.add("groups: history freed"),
            HostOutput::Effect { effect, .. } => match effect {},
            HostOutput::Trimmed { .. } => self.counts.add("groups: history not freed"),
        }
    }
}
