//! What goes wrong in a run, and when: drawn from the seed before the run begins.

use engine::rng::Rng;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    PowerCut,
    Kill,
    /// Not a fault, but a way to end.
    CleanStop,
    WriteError,
    SyncError,
    ReadError,
    /// The disk has hardly any room for a while.
    DiskFull,
    /// Nothing completes on the disk for a while.
    Stall,
    /// The process gets no time for a while.
    Pause,
    WallJump,
    /// Clients rest while time goes on.
    Idle,
    /// A bit flips, or a block cannot be read any more, while the node is down.
    Rot,
    /// The power fails here or in the whole room, and what this node synced last cannot be read. It is one
    /// and the same node of a run.
    BadTail,
    /// The power of the whole room fails.
    PowerCutAll,
    /// A node hears nobody and nobody hears it, for a while.
    Isolated,
    /// It hears nobody.
    Deaf,
    /// Nobody hears it.
    Mute,
    /// Its messages take long, both ways.
    Slow,
    /// Its links break, and come up again.
    LinksBroken,
    /// It comes back with an empty disk. Only while all others have theirs: a quorum must live.
    DiskLost,
    /// Files or folders are missing when it starts again, or are not what they were.
    Tampered,
}

/// A fault and the number of client operations after which it comes.
#[derive(Clone, Copy, Debug)]
pub struct Planned {
    pub after_operations: u64,
    /// Then this many steps of the world, so that it falls anywhere within an operation.
    pub after_steps: u64,
    pub fault: Fault,
    /// Where it strikes.
    pub node: usize,
}

/// What each run goes through at least; crashes make it up where fewer were planned.
pub const FAULTS_MIN: u64 = 5;
const FAULTS_PLANNED_MIN: u64 = 3;
const FAULTS_MORE_MAX: u64 = 8;
/// Crashes are what this is about.
const LIKELY: [Fault; 16] = [
    Fault::PowerCut,
    Fault::PowerCut,
    Fault::PowerCut,
    Fault::PowerCut,
    Fault::PowerCut,
    Fault::Kill,
    Fault::Kill,
    Fault::CleanStop,
    Fault::WriteError,
    Fault::SyncError,
    Fault::ReadError,
    Fault::DiskFull,
    Fault::Stall,
    Fault::Pause,
    Fault::WallJump,
    Fault::Idle,
];

/// What besides goes wrong between nodes.
const BETWEEN_NODES: [Fault; 8] = [
    Fault::Isolated,
    Fault::Isolated,
    Fault::Deaf,
    Fault::Mute,
    Fault::Slow,
    Fault::LinksBroken,
    Fault::LinksBroken,
    Fault::PowerCutAll,
];
/// A cluster goes through more than a node.
const CLUSTER_FAULTS_MORE: u64 = 3;

/// The faults of a run, the first one last.
pub fn plan(rng: &mut Rng, operations: u64, nodes: usize) -> Vec<Planned> {
    let is_cluster = nodes > 1;
    let more = if is_cluster { CLUSTER_FAULTS_MORE } else { 0 };
    let count = FAULTS_PLANNED_MIN + more + rng.below(FAULTS_MORE_MAX);
    let rots = rng.one_in(if is_cluster { 2 } else { 6 });
    // With rot an entry may be whole on one node alone, and that node's disk must not go.
    let loses_disks = is_cluster && !rots && rng.one_in(2);
    // One disk lies about what it synced last; all others hold what they have.
    let has_bad_tails = is_cluster && !rots && !loses_disks;
    let mut plan: Vec<Planned> = (0..count)
        .map(|_| Planned {
            after_operations: rng.below(operations),
            after_steps: rng.below(200),
            fault: match LIKELY[rng.below(LIKELY.len() as u64) as usize] {
                Fault::PowerCut if rots && rng.one_in(2) => Fault::Rot,
                Fault::PowerCut | Fault::Kill if has_bad_tails && rng.one_in(2) => Fault::BadTail,
                _ if loses_disks && rng.one_in(4) => Fault::DiskLost,
                _ if is_cluster && rng.one_in(2) => {
                    BETWEEN_NODES[rng.below(BETWEEN_NODES.len() as u64) as usize]
                }
                other => other,
            },
            node: if is_cluster { rng.below(nodes as u64) as usize } else { 0 },
        })
        .collect();
    if has_bad_tails {
        let lies = rng.below(nodes as u64) as usize;
        let bad_tails = plan.iter_mut().filter(|planned| planned.fault == Fault::BadTail);
        bad_tails.for_each(|planned| planned.node = lies);
    }
    // Of numbers of their own, so that the rest of a seed stays as it is. Where rot is accepted by the operator
    // of a lone node, an old copy of that journal would be, too.
    let mut apart = Rng::new(rng.clone().next_u64());
    let gives_way = if is_cluster { Fault::DiskLost } else { Fault::Kill };
    let may_be = plan.iter_mut().filter(|planned| planned.fault == gives_way && (is_cluster || !rots));
    may_be.for_each(|planned| {
        if apart.below(3) > 0 {
            planned.fault = Fault::Tampered;
        }
    });
    plan.sort_by_key(|planned| std::cmp::Reverse(planned.after_operations));
    plan
}

/// Clusters in which topics get more copies while clients run.
const GROWS_ONE_IN: u64 = 4;

/// The numbers by which topics of this run get more copies, if they do: numbers of their own, so that the other seeds
/// stay as they are. What rots on a node, or was never written though it said so, may be the only copy that others are
/// to learn from.
pub fn growth(seed: u64, nodes: usize, plan: &[Planned]) -> Option<Rng> {
    let mut numbers = Rng::new(seed ^ 0x6772_6f77);
    let is_lost = |planned: &Planned| matches!(planned.fault, Fault::Rot | Fault::BadTail);
    (nodes > 1 && numbers.one_in(GROWS_ONE_IN) && !plan.iter().any(is_lost)).then_some(numbers)
}
