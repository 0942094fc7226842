//! The clients: each a small state machine that wakes now and then, asks, and hands the answer to
//! the model.

pub mod admin;
pub mod batches;
pub mod fetcher;
pub mod producer;
pub mod verifier;

use crate::check::Model;
use crate::sim::World;
use engine::control::View;
use engine::ids::PartitionId;
use engine::rng::Rng;
use engine::shard::{Input, Output, RequestId};
use std::collections::BTreeMap;
use std::sync::Arc;

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
    asked: BTreeMap<RequestId, usize>,
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
    /// The node ended: answers will not come.
    fn lost(&mut self, ctx: &mut Ctx<'_>);
    /// Nothing is left to be done.
    fn is_settled(&self) -> bool;
}

impl Ctx<'_> {
    /// A request's number; its answer comes to this client.
    pub fn request(&mut self) -> RequestId {
        self.desk.next += 1;
        self.desk.operations += 1;
        let request = RequestId(self.desk.next);
        self.desk.asked.insert(request, self.client);
        request
    }

    pub fn send(&mut self, to: Place, input: Input<'_>) {
        self.world.input(to.node, to.shard, input);
    }

    /// The newest metadata of a node that answers.
    pub fn view(&self) -> Option<Arc<View>> {
        self.world.nodes.iter().find(|node| node.is_ready()).map(|node| node.view())
    }

    /// The shard that leads a partition.
    pub fn leader(&self, partition: PartitionId) -> Option<Place> {
        let (node, here) = self.world.nodes.iter().enumerate().find(|(_, node)| node.is_ready())?;
        let view = here.view();
        let (_, at) = view.partition(partition)?;
        let journal = view.journals.get(&at.spans.last()?.journal)?;
        Some(Place { node, shard: journal.lane.shard(here.shards.len() as u16).0 })
    }

    /// The shard that leads the meta journal.
    pub fn controller(&self) -> Option<Place> {
        let node = self.world.nodes.iter().position(|node| node.is_ready())?;
        Some(Place { node, shard: 0 })
    }

    /// One of the partitions there are.
    pub fn any_partition(&mut self) -> Option<PartitionId> {
        let view = self.view()?;
        let all: Vec<PartitionId> = view
            .topics
            .values()
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
        self.asked.get(&request_of(output)?).copied()
    }

    pub fn forget_all(&mut self) {
        self.asked.clear();
    }
}

fn request_of(output: &Output) -> Option<RequestId> {
    match output {
        Output::Produced { request, .. }
        | Output::Fetched { request, .. }
        | Output::Answered { request, .. }
        | Output::ControlDone { request, .. } => Some(*request),
        _ => None,
    }
}
