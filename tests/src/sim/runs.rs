//! The runs of a cluster's compacted journals: in the end all replicas have those that the journal names, the same bytes
//! everywhere, and no others.

use super::node::Node;
use super::world::World;
use engine::folder::{self, JournalFile};
use engine::ids::{JournalId, RunId};
use engine::journal::Journal;
use engine::port::{Event, Rewrote};
use engine::raft::Change;
use std::collections::{BTreeMap, BTreeSet};

fn journals(node: &Node) -> impl Iterator<Item = &Journal> {
    let ids = node.shards.iter().flat_map(|slot| slot.shard.metrics().journals);
    let ids: BTreeSet<JournalId> = ids.map(|journal| journal.journal).collect();
    ids.into_iter().filter_map(|id| node.shards.iter().find_map(|slot| slot.shard.journal(id)))
}

/// The runs in a journal's folder.
fn on_disk(node: &Node, journal: JournalId) -> BTreeSet<RunId> {
    let dir = format!("{}/", folder::journal_dir(journal));
    let names = node.disk.files().filter_map(|(path, _)| path.strip_prefix(&dir));
    let run = |name| match JournalFile::parse(name) {
        Some(JournalFile::Run(run)) => Some(run),
        _ => None,
    };
    names.filter_map(run).collect()
}

/// Every replica reads from the run that its journal names, and has no other.
pub fn are_everywhere(world: &World) -> bool {
    !world.compacts
        || world.nodes.iter().all(|node| {
            journals(node).all(|journal| {
                let runs = journal.fold().runs();
                let named: BTreeSet<RunId> = runs.settled().iter().map(|made| made.run).collect();
                let all_are_good = named.iter().all(|run| journal.run_file(*run).is_some());
                runs.made().is_none() && all_are_good && on_disk(node, journal.id) == named
            })
        })
}

/// Runs of one name have the same bytes.
pub fn are_identical(world: &mut World) {
    let mut all: BTreeMap<String, (usize, Vec<u8>)> = BTreeMap::new();
    let (mut compared, mut merged) = (0, 0);
    for (number, node) in world.nodes.iter().enumerate() {
        for journal in journals(node) {
            for made in journal.fold().runs().settled() {
                merged += u64::from(made.input_runs().next().is_some());
            }
        }
        for (path, file) in node.disk.files().filter(|(path, _)| path.ends_with(".run")) {
            let mut bytes = vec![0; file.durable().len() as usize];
            file.durable().read(0, &mut bytes);
            let (other, theirs) = all.entry(path.to_owned()).or_insert_with(|| (number, bytes.clone()));
            assert!(*theirs == bytes, "{path} is not the same on nodes {other} and {number}");
            compared += u64::from(*other != number);
        }
    }
    world.counts.add_many("runs compared", compared);
    world.counts.add_many("run made of a run", merged);
}

/// What an event says of runs is so: one that is read in the place of its inputs is on a majority of disks, and who
/// becomes a voter lacks none.
pub fn judge(world: &mut World, node: usize, event: &Event) {
    match event {
        Event::Rewriting { journal, what: Rewrote::Read { run } } => {
            is_on_majority(world, node, *journal, *run)
        }
        Event::MembersChanged { journal, change: Change::Swap { .. } | Change::Grow { .. }, .. } => {
            voters_lack_none(world, node, *journal);
        }
        _ => {}
    }
}

fn is_on_majority(world: &mut World, node: usize, journal: JournalId, run: RunId) {
    let view = world.nodes[node].view();
    let Some(replicas) = view.journals.get(&journal).map(|journal| &journal.replicas) else { return };
    // A disk that had it may be gone by now.
    if world.loses_disks {
        return;
    }
    // Others may have gone on to a run that took its place: what went of their disks is in that.
    let went_on = |node: &Node| {
        let mut shards = node.shards.iter().filter_map(|slot| slot.shard.journal(journal));
        shards.any(|here| here.fold().runs().settled().last().is_some_and(|newest| newest.run > run))
    };
    let has_it = |node: &Node| on_disk(node, journal).contains(&run) || went_on(node);
    let holders = replicas.iter().filter(|one| has_it(&world.nodes[one.0 as usize]));
    let holders = holders.count();
    assert!(
        holders > replicas.len() / 2,
        "n{node} reads run {run} of journal {journal} in the place of its inputs: {holders} of {} disks have it",
        replicas.len()
    );
    world.counts.add("run that is read is on a majority");
}

fn voters_lack_none(world: &mut World, node: usize, journal: JournalId) {
    let view = world.nodes[node].view();
    let find = |node: &Node| node.shards.iter().any(|slot| slot.shard.journal(journal).is_some());
    let Some(leader) = world.nodes[node].shards.iter().find_map(|slot| slot.shard.journal(journal)) else {
        return;
    };
    let (voters, named) = (&leader.membership().voters, leader.fold().runs().settled().len());
    let Some(of_journal) = view.journals.get(&journal) else { return };
    for one in &of_journal.replicas {
        let (id, here) = (of_journal.raft_id_of(&view.nodes[one]), &world.nodes[one.0 as usize]);
        if !voters.contains(&id) || !here.is_ready() || !find(here) {
            continue;
        }
        let replica = here.shards.iter().find_map(|slot| slot.shard.journal(journal)).expect("just seen");
        let lacks = replica.lacks_runs();
        assert!(lacks == 0, "n{one} becomes a voter of journal {journal} and lacks {lacks} runs");
    }
    if named > 0 {
        world.counts.add("voters changed beside runs");
    }
}
