//! What must hold of a cluster whatever happens: one leader a term, and replicas that agree byte
//! for byte on what is committed.

use super::node::Node;
use super::world::World;
use engine::ids::{JournalId, NodeId, RaftId, Term};
use engine::port::{Cutting, Event, RecoveryReport};
use std::collections::{BTreeMap, BTreeSet};

/// What was seen of the cluster so far.
#[derive(Debug, Default)]
pub struct Safety {
    leaders: BTreeMap<(JournalId, Term), usize>,
    /// Processes that stopped when they were asked to.
    pub stops: usize,
    in_doubt: BTreeSet<(JournalId, usize)>,
    /// Times that a second replica of a journal came to be in doubt.
    pub several_bad_tails: u64,
}

impl Safety {
    pub fn event(&mut self, node: usize, event: &Event) {
        if let Event::Leading { journal, term } = event {
            let leader = *self.leaders.entry((*journal, *term)).or_insert(node);
            assert_eq!(leader, node, "journal {journal} has two leaders in term {term}");
        }
        match event {
            Event::Recovered(RecoveryReport { journal, torn: Some(torn), .. })
                if torn.why == Cutting::PerhapsAcked =>
            {
                self.in_doubt.insert((*journal, node));
                let doubts = self.in_doubt.iter().filter(|(of, _)| of == journal).count();
                self.several_bad_tails += u64::from(doubts > 1);
            }
            Event::DoubtSettled { journal, .. } => drop(self.in_doubt.remove(&(*journal, node))),
            _ => {}
        }
    }
}

/// Whether a quorum of every journal lives on without this node's disk: all replicas are the ones
/// that the nodes now have, as far as any of them knows, none is on its way in or out, and a crash
/// makes nobody forget that.
pub fn may_lose_disk(world: &World, node: usize) -> bool {
    let newest = world.nodes.iter().map(Node::view).max_by_key(|view| view.version);
    let Some(view) = newest.filter(|_| world.nodes.iter().all(Node::is_ready)) else { return false };
    let node = NodeId(node as u32);
    let mut of_node = view.journals.values().filter(|journal| journal.replicas.contains(&node));
    of_node.all(|journal| {
        let mut wanted: Vec<RaftId> =
            journal.replicas.iter().map(|node| journal.raft_id_of(&view.nodes[node])).collect();
        wanted.sort_unstable();
        journal.replicas.len() > 1
            && journal.replicas.iter().all(|node| {
                let mut shards = world.nodes[node.0 as usize].shards.iter();
                let replica = shards.find_map(|slot| slot.shard.journal(journal.id));
                replica.is_some_and(|replica| {
                    let members = replica.membership();
                    let is_settled = !members.is_joint() && members.learners.is_empty();
                    is_settled
                        && members.voters == wanted
                        && replica.keeps_members()
                        && !replica.is_quarantined()
                })
            })
    })
}

/// Every replica of a journal knows the same commit, and has all up to it.
pub fn replicas_agree(world: &World) -> bool {
    let mut commits: BTreeMap<JournalId, u64> = BTreeMap::new();
    let journals =
        world.nodes.iter().flat_map(|node| &node.shards).flat_map(|slot| slot.shard.metrics().journals);
    journals.into_iter().all(|journal| {
        let commit = *commits.entry(journal.journal).or_insert(journal.commit);
        journal.commit == commit && journal.durable == commit && journal.last == commit
    })
}

/// The first segment that is sealed on two nodes and has other bytes on one of them.
pub fn sealed_that_differ(world: &World) -> Result<u64, String> {
    let mut sealed: BTreeMap<String, (usize, Vec<u8>)> = BTreeMap::new();
    let mut compared = 0;
    for (number, node) in world.nodes.iter().enumerate() {
        for (path, bytes) in sealed_segments(node) {
            let Some((other, theirs)) = sealed.get(&path) else {
                sealed.insert(path, (number, bytes));
                continue;
            };
            let at = theirs.iter().zip(&bytes).position(|(a, b)| a != b);
            if theirs.len() != bytes.len() || at.is_some() {
                let (here, there) = (bytes.len(), theirs.len());
                return Err(format!(
                    "{path}: {there} bytes on node {other}, {here} on node {number}, first difference at {at:?}"
                ));
            }
            compared += 1;
        }
    }
    Ok(compared)
}

/// Segments that are sealed on two nodes have the same bytes.
pub fn replicas_are_identical(world: &mut World) {
    match sealed_that_differ(world) {
        Ok(compared) => world.counts.add_many("sealed segments compared", compared),
        Err(text) => panic!("{text}"),
    }
}

/// Segments that have their index: path and durable bytes.
fn sealed_segments(node: &Node) -> Vec<(String, Vec<u8>)> {
    let files: BTreeMap<_, _> = node.disk.files().collect();
    let sealed = files.iter().filter(|(path, _)| {
        path.strip_suffix(".seg").is_some_and(|stem| files.contains_key(format!("{stem}.idx").as_str()))
    });
    sealed
        .map(|(path, file)| {
            let mut bytes = vec![0; file.durable().len() as usize];
            file.durable().read(0, &mut bytes);
            ((*path).to_owned(), bytes)
        })
        .collect()
}
