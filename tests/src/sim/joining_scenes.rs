//! Nodes that come to a cluster later, while a client writes: one that was alone becomes three, three become five.

use super::cluster::{Cluster, SECOND};
use engine::control::nodes::Advertised;
use engine::control::{Command, ControlRefusal};
use engine::ids::{Incarnation, JournalId, META_JOURNAL, NodeId, PartitionId, RaftId};
use engine::port::Output;
use engine::rng::Rng;

const SEGMENT_BYTES: u64 = 64 << 10;

/// A lone node, two that are invited, and a topic of one copy that gets three; at each step some process may be
/// killed and start again. What was acknowledged is on all three in the end, and outlives the founder.
pub fn one_becomes_three(seed: u64) {
    let mut rng = Rng::new(seed ^ 0x006a_6f69);
    let mut cluster = Cluster::new(seed, 3, 1, SEGMENT_BYTES);
    cluster.world.nodes[0].listed = Some(Vec::new());
    cluster.world.start(0);
    cluster.expect("the first node is ready", 20 * SECOND, |cluster| cluster.world.nodes[0].is_ready());
    let partition = cluster.create_topic(0, "t", 1, 1)[0];
    let journal = cluster.journal_of(partition);
    write(&mut cluster, partition, &mut rng);
    for node in [1, 2] {
        come(&mut cluster, node, &[0]);
        write(&mut cluster, partition, &mut rng);
        perhaps_kill(&mut cluster, &mut rng, node + 1);
    }
    cluster.expect("all nodes are ready", 60 * SECOND, |cluster| {
        cluster.world.nodes.iter().all(|node| node.is_ready())
    });
    let topic_id = cluster.newest_view().partition(partition).expect("it was made").0.id;
    carry_out(&mut cluster, &Command::AlterReplication { topic_id, replication_factor: 3 });
    write(&mut cluster, partition, &mut rng);
    perhaps_kill(&mut cluster, &mut rng, 3);
    for id in [META_JOURNAL, journal] {
        cluster.expect("it has three voters", 60 * SECOND, |cluster| voters(cluster, id) == [3; 3]);
    }
    write(&mut cluster, partition, &mut rng);
    cluster.check(&[partition]);
    cluster.kill(0, true);
    cluster.expect("the others lead", 20 * SECOND, |cluster| {
        [META_JOURNAL, journal].iter().all(|id| cluster.leader(*id).is_some_and(|leader| leader != 0))
    });
    write(&mut cluster, partition, &mut rng);
    cluster.world.start(0);
    cluster.check(&[partition]);
}

/// Three that formed a cluster, two that are invited, and a topic of three copies that gets five; what was acknowledged
/// outlives two of the founders.
pub fn three_become_five(seed: u64) {
    let mut rng = Rng::new(seed ^ 0x6669_7665);
    let mut cluster = Cluster::new(seed, 5, 1, SEGMENT_BYTES);
    for node in 0..3 {
        cluster.world.nodes[node].listed = Some([0, 1, 2].map(NodeId).to_vec());
        cluster.world.start(node);
    }
    cluster.expect("the founders are ready", 20 * SECOND, |cluster| {
        cluster.world.nodes[..3].iter().all(|node| node.is_ready())
    });
    let partition = cluster.create_topic(0, "t", 1, 3)[0];
    let journal = cluster.journal_of(partition);
    for node in [3, 4] {
        come(&mut cluster, node, &[0, 1, 2]);
        write(&mut cluster, partition, &mut rng);
        perhaps_kill(&mut cluster, &mut rng, node + 1);
    }
    cluster.expect("all nodes are ready", 60 * SECOND, |cluster| {
        cluster.world.nodes.iter().all(|node| node.is_ready())
    });
    let topic_id = cluster.newest_view().partition(partition).expect("it was made").0.id;
    carry_out(&mut cluster, &Command::AlterReplication { topic_id, replication_factor: 5 });
    write(&mut cluster, partition, &mut rng);
    perhaps_kill(&mut cluster, &mut rng, 5);
    for id in [META_JOURNAL, journal] {
        cluster.expect("it has five voters", 60 * SECOND, |cluster| voters(cluster, id) == [5; 5]);
    }
    [0, 1].into_iter().for_each(|node| cluster.kill(node, true));
    cluster.expect("the others lead", 20 * SECOND, |cluster| {
        [META_JOURNAL, journal].iter().all(|id| cluster.leader(*id).is_some_and(|leader| leader > 1))
    });
    write(&mut cluster, partition, &mut rng);
    [0, 1].into_iter().for_each(|node| cluster.world.start(node));
    cluster.check(&[partition]);
}

/// A node is invited, and comes with an empty folder and a list of these members.
fn come(cluster: &mut Cluster, node: usize, members: &[u32]) {
    let (id, advertised) =
        (NodeId(node as u32), Advertised { host: "sim".into(), first_port: 9092, ..Advertised::default() });
    carry_out(cluster, &Command::AddNode { node: id, incarnation: Incarnation(0), advertised });
    let here = &mut cluster.world.nodes[node];
    let listed = members.iter().copied().map(NodeId).chain([id]);
    (here.listed, here.joins) = (Some(listed.collect()), true);
    cluster.world.start(node);
}

/// Has the first node carry out a command that changes nothing when it comes twice: asks again while nobody leads.
fn carry_out(cluster: &mut Cluster, command: &Command) {
    const ATTEMPTS: usize = 50;
    for _ in 0..ATTEMPTS {
        match cluster.command(0, command.clone()) {
            Output::ControlDone { result: Ok(_), .. } => return,
            Output::ControlDone { result: Err(ControlRefusal::Command(error)), .. } => panic!("{error}"),
            _ => cluster.run_for(SECOND / 2),
        }
    }
    panic!("{command:?} was not carried out");
}

/// The voters of a journal, as each node knows them.
fn voters(cluster: &Cluster, id: JournalId) -> Vec<usize> {
    let of_node = |node: usize| {
        let mut shards = cluster.world.nodes[node].shards.iter();
        let journal = shards.find_map(|slot| slot.shard.journal(id))?;
        let members = journal.membership();
        let is_settled = !members.is_joint() && members.learners.is_empty();
        let ids: &[RaftId] = if is_settled { &members.voters } else { &[] };
        Some(ids.len())
    };
    (0..cluster.nodes()).filter_map(of_node).collect()
}

/// A second of batches.
fn write(cluster: &mut Cluster, partition: PartitionId, rng: &mut Rng) {
    for _ in 0..10 + rng.below(10) {
        cluster.produce(partition);
        cluster.run_for(SECOND / 20);
    }
}

/// One of the first so many nodes is killed, or its power fails, and starts again.
fn perhaps_kill(cluster: &mut Cluster, rng: &mut Rng, nodes: usize) {
    cluster.run_for(rng.below(2 * SECOND));
    if rng.one_in(2) {
        let node = rng.below(nodes as u64) as usize;
        if cluster.world.nodes[node].is_running() {
            cluster.kill(node, rng.one_in(2));
            cluster.run_for(rng.below(SECOND));
            cluster.world.start(node);
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn one_node_becomes_three_whatever_is_killed_meanwhile() {
        (0..6).for_each(super::one_becomes_three);
    }

    #[test]
    fn three_nodes_become_five_whatever_is_killed_meanwhile() {
        (0..4).for_each(super::three_become_five);
    }
}
