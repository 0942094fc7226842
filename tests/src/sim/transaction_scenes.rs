//! Transactions of several producers in partitions of one journal, drawn at random; leaders end, segments roll. The
//! model knows of each batch whether it is committed, aborted or open, and what readers of committed records are shown
//! must be just that, in order, up to the first that is open.

use super::cluster::{Cluster, SECOND};
use super::transacting::Transactor;
use engine::batch::Ending;
use engine::ids::{Offset, PartitionId};
use engine::port::{MarkerAnswer, Refusal, TransactionVersion};
use engine::rng::Rng;
use std::collections::BTreeMap;

/// So small that a few hundred entries of one block fill several.
const SEGMENT_BYTES: u64 = 1 << 17;
const STEPS: u64 = 150;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Committed,
    Aborted,
    Open,
}

struct Client {
    who: Transactor,
    /// Batches of its open transaction, and its next sequence in each partition.
    open: Vec<(PartitionId, Offset)>,
    sequences: BTreeMap<PartitionId, i32>,
}

/// By partition and base offset.
type Fates = BTreeMap<(PartitionId, Offset), Fate>;

/// Acts one seed.
pub fn decided(seed: u64, nodes: usize) {
    let mut rng = Rng::new(seed ^ 0x7472_616e_7361_6374);
    let (mut cluster, partitions) = together(seed, nodes, 2);
    let mut fates = Fates::new();
    let version = if rng.one_in(3) { TransactionVersion::One } else { TransactionVersion::Two };
    let new = |producer| Client {
        who: Transactor { producer, epoch: 0, version },
        open: Vec::new(),
        sequences: BTreeMap::new(),
    };
    let mut clients: Vec<Client> = (70..74).map(new).collect();
    for _ in 0..STEPS {
        let (at, partition) = (rng.below(4) as usize, partitions[rng.below(2) as usize]);
        match rng.below(20) {
            0..=10 => append(&mut cluster, &mut clients[at], partition, &mut fates),
            11..=14 => end(&mut cluster, &mut clients[at], &mut rng, &mut fates),
            15..=17 => plain(&mut cluster, partition, &mut fates),
            18 => look(&mut cluster, partition, &fates, &mut rng),
            _ if rng.one_in(4) => change_leader(&mut cluster, partition, &mut rng),
            _ => cluster.run_for(SECOND / 50),
        }
    }
    for partition in &partitions {
        check(&mut cluster, *partition, Offset(0), &fates);
    }
    // What is not in memory any more is told by the files alone.
    change_leader(&mut cluster, partitions[0], &mut rng);
    partitions.iter().for_each(|partition| check(&mut cluster, *partition, Offset(0), &fates));
    clients.iter_mut().for_each(|client| end(&mut cluster, client, &mut rng, &mut fates));
    partitions.iter().for_each(|partition| check(&mut cluster, *partition, Offset(0), &fates));
    assert!(fates.values().all(|fate| *fate != Fate::Open));
    cluster.check(&partitions);
}

/// A cluster, and so many partitions of one journal.
pub fn together(seed: u64, nodes: usize, partitions: i32) -> (Cluster, Vec<PartitionId>) {
    let mut cluster = Cluster::new(seed, nodes, 1, SEGMENT_BYTES);
    cluster.start_all();
    let all = cluster.create_topic(0, "t", partitions * nodes as i32, nodes as i16);
    let journal = cluster.journal_of(all[0]);
    let together: Vec<_> = all.into_iter().filter(|one| cluster.journal_of(*one) == journal).collect();
    assert_eq!(together.len(), partitions as usize, "partitions are spread evenly");
    (cluster, together)
}

fn append(cluster: &mut Cluster, client: &mut Client, partition: PartitionId, fates: &mut Fates) {
    let sequence = client.sequences.entry(partition).or_insert(0);
    let batch = client.who.batch(*sequence, 1);
    let offset = cluster.transact(&client.who, partition, &batch).expect("its coordinator says so");
    *sequence += 1;
    client.open.push((partition, offset));
    fates.insert((partition, offset), Fate::Open);
}

fn end(cluster: &mut Cluster, client: &mut Client, rng: &mut Rng, fates: &mut Fates) {
    let mut partitions: Vec<_> = client.open.iter().map(|(partition, _)| *partition).collect();
    partitions.sort_unstable();
    partitions.dedup();
    if partitions.is_empty() {
        return;
    }
    let (ending, fate) =
        if rng.one_in(2) { (Ending::Abort, Fate::Aborted) } else { (Ending::Commit, Fate::Committed) };
    let answers = cluster.mark(client.who.end(ending, &partitions));
    assert!(answers.iter().all(|answer| *answer == MarkerAnswer::Done), "{answers:?}");
    for batch in client.open.drain(..) {
        fates.insert(batch, fate);
    }
    if client.who.version == TransactionVersion::Two {
        let late = client.who.batch(client.sequences[&partitions[0]], 1);
        let refused = cluster.transact(&client.who, partitions[0], &late);
        assert_eq!(refused, Err(Refusal::InvalidProducerEpoch), "a batch of an epoch that was ended");
        client.who.epoch += 1;
        client.sequences.clear();
    }
}

fn plain(cluster: &mut Cluster, partition: PartitionId, fates: &mut Fates) {
    let who = Transactor { producer: -1, epoch: -1, version: TransactionVersion::One };
    let sent = cluster.send(partition, &who.plain(-1), engine::port::BatchWriter::Client);
    fates.insert((partition, sent.expect("there is room")), Fate::Committed);
}

/// One fetch from anywhere.
fn look(cluster: &mut Cluster, partition: PartitionId, fates: &Fates, rng: &mut Rng) {
    let stable = cluster.read_committed(partition, Offset(0)).last_stable;
    if stable > Offset(0) {
        check(cluster, partition, Offset(rng.below(stable.0 as u64) as i64), fates);
    }
}

fn check(cluster: &mut Cluster, partition: PartitionId, from: Offset, fates: &Fates) {
    let of = |offset| (partition, offset);
    let batches = || fates.range(of(from)..=of(Offset(i64::MAX)));
    let first_open = fates.range(of(Offset(0))..=of(Offset(i64::MAX))).find(|(_, fate)| **fate == Fate::Open);
    let end = first_open.map_or(Offset(i64::MAX), |((_, offset), _)| *offset);
    let is_shown = |offset: Offset, fate: Fate| offset < end && fate == Fate::Committed;
    let expected: Vec<_> = batches()
        .filter(|((_, offset), fate)| is_shown(*offset, **fate))
        .map(|((_, offset), _)| *offset)
        .collect();
    let shown = cluster.all_committed(partition, from);
    assert_eq!(shown, expected, "{partition} from {from}, where the first open one is at {end}");
}

/// Whoever leads is killed and comes back; on a lone node that is the same one.
fn change_leader(cluster: &mut Cluster, partition: PartitionId, rng: &mut Rng) {
    let journal = cluster.journal_of(partition);
    let Some(before) = cluster.leader(journal) else { return };
    cluster.kill(before, rng.one_in(2));
    if cluster.nodes() > 1 {
        cluster.run_for(SECOND / 10);
    }
    cluster.world.start(before);
    cluster.expect("somebody leads and has folded all", 30 * SECOND, |cluster| cluster.is_settled(journal));
}
