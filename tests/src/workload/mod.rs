//! The clients: each a small state machine that wakes now and then, asks, and hands the answer to
//! the model.

pub mod admin;
pub mod apart;
pub mod batches;
pub mod compaction;
pub mod coordinators;
pub mod fetcher;
pub mod groups;
pub mod producer;
pub mod transactions;
pub mod verifier;

use crate::check::Model;
use crate::sim::World;
use crate::sim::carried::TransactionAnswer;
use engine::control::View;
use engine::groups::{Answer, Request};
use engine::ids::PartitionId;
use engine::port::{Input, Output, RequestId};
use engine::rng::{Rng, mix};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A client asks another node after this long.
const HOME_NS: u64 = 500_000_000;

/// What a client may touch while it acts.
pub struct Ctx<'a> {
    pub world: &'a mut World,
    pub model: &'a mut Model,
    pub desk: &'a mut Desk,
    pub rng: &'a mut Rng,
    /// This client's number.
    pub client: usize,
}

/// Requests under way and how many there were.
#[derive(Default)]
pub struct Desk {
    next: u64,
    /// Which client asked, and which node.
    asked: BTreeMap<RequestId, (usize, usize)>,
    /// Client operations so far.
    pub operations: u64,
    /// Nothing new begins: what is unanswered is brought to its end.
    pub is_settling: bool,
    /// All is quiet: the logs are read whole.
    pub is_verifying: bool,
}

/// A client.
pub trait Client {
    /// Acts, when it wants to. Called again and again.
    fn wake(&mut self, ctx: &mut Ctx<'_>);
    /// The answer to one of its requests.
    fn answer(&mut self, ctx: &mut Ctx<'_>, output: Output);
    /// The same of a coordinator of groups.
    fn group_answer(&mut self, _: &mut Ctx<'_>, _: Place, request: RequestId, answer: Answer) {
        panic!("{request:?} was answered {answer:?}, which nobody asked for");
    }
    /// The same of a coordinator of transactions.
    fn transaction_answer(
        &mut self,
        _: &mut Ctx<'_>,
        _: Place,
        request: RequestId,
        answer: TransactionAnswer,
    ) {
        panic!("{request:?} was answered {answer:?}, which nobody asked for");
    }
    /// The node ended: answers will not come.
    fn lost(&mut self, ctx: &mut Ctx<'_>);
    /// Whether it does nothing while clients rest.
    fn may_rest(&self) -> bool {
        true
    }
    /// Nothing is left to be done.
    fn is_settled(&self) -> bool;
}

impl Ctx<'_> {
    /// A request's number; its answer comes to this client.
    pub fn request(&mut self) -> RequestId {
        self.desk.next += 1;
        self.desk.operations += 1;
        let request = RequestId(self.desk.next);
        self.desk.asked.insert(request, (self.client, 0));
        request
    }

    /// A number for what is no operation of the run, which would be shorter for it.
    pub fn number(&mut self, to: Place) -> RequestId {
        self.desk.next += 1;
        let request = RequestId(self.desk.next);
        self.desk.asked.insert(request, (self.client, to.node));
        request
    }

    /// Asks a coordinator of groups.
    pub fn ask_group(&mut self, to: Place, body: Request) -> RequestId {
        let request = self.number(to);
        self.world.ask_group(to.node, to.shard, request, body);
        request
    }

    /// Sends the newest request.
    pub fn send(&mut self, to: Place, input: Input<'_>) {
        if let Some((_, node)) = self.desk.asked.get_mut(&RequestId(self.desk.next)) {
            *node = to.node;
        }
        self.world.input(to.node, to.shard, input);
    }

    /// The node that this client asks: another one now and then, when there are several.
    fn home(&self) -> Option<usize> {
        let nodes = &self.world.nodes;
        let ready: Vec<usize> = (0..nodes.len()).filter(|node| nodes[*node].is_ready()).collect();
        let turn = mix(self.client as u64 ^ (self.world.now_ns / HOME_NS) << 16);
        (!ready.is_empty()).then(|| ready[turn as usize % ready.len()])
    }

    /// The metadata of a node that answers.
    pub fn view(&self) -> Option<Arc<View>> {
        self.home().map(|node| self.world.nodes[node].view())
    }

    /// The shard that leads a partition, as the node asked believes.
    pub fn leader(&self, partition: PartitionId) -> Option<Place> {
        let home = self.home()?;
        let view = self.world.nodes[home].view();
        let (_, at) = view.partition(partition)?;
        let journal = view.journals.get(&at.spans.last()?.journal)?;
        let node = if self.world.nodes.len() == 1 {
            home
        } else {
            self.world.nodes[home].leaders.get(&journal.id)?.1?.0 as usize
        };
        let here = &self.world.nodes[node];
        here.is_ready().then(|| Place { node, shard: journal.lane.shard(here.shards.len() as u16).0 })
    }

    /// A shard that takes commands for the meta journal.
    pub fn controller(&self) -> Option<Place> {
        self.home().map(|node| Place { node, shard: 0 })
    }

    /// One of the partitions there are.
    pub fn any_partition(&mut self) -> Option<PartitionId> {
        let view = self.view()?;
        let all: Vec<PartitionId> = view
            .topics
            .values()
            .filter(|topic| !apart::is_apart(&topic.name))
            .flat_map(|topic| topic.partitions.iter().map(|partition| partition.id))
            .collect();
        (!all.is_empty()).then(|| all[self.rng.below(all.len() as u64) as usize])
    }
}

/// A shard of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    pub node: usize,
    pub shard: u16,
}

impl Desk {
    /// Whose request an answer is for. Produce answers come one by one; the others end it.
    pub fn client_of(&self, output: &Output) -> Option<usize> {
        self.asked.get(&request_of(output)?).map(|(client, _)| *client)
    }

    /// Whose request it is; there is no other answer to it.
    pub fn answered(&mut self, request: RequestId) -> Option<usize> {
        self.asked.remove(&request).map(|(client, _)| client)
    }

    /// A node is gone: clients that wait for it wait for nothing any more, and are given.
    pub fn forget_node(&mut self, node: usize) -> BTreeSet<usize> {
        let waits = self.asked.values().filter(|(_, asked)| *asked == node);
        let clients: BTreeSet<usize> = waits.map(|(client, _)| *client).collect();
        self.asked.retain(|_, (client, _)| !clients.contains(client));
        clients
    }
}

fn request_of(output: &Output) -> Option<RequestId> {
    match output {
        Output::Produced { request, .. }
        | Output::Fetched { request, .. }
        | Output::Answered { request, .. }
        | Output::Marked { request, .. }
        | Output::ControlDone { request, .. } => Some(*request),
        _ => None,
    }
}
