//! Every file and folder of a data folder, missing, empty, cut short, of another node, of another
//! cluster, and an old copy put back: on a node on its own and on one of three. Nothing that was
//! acknowledged is lost, nothing is deleted, and nobody votes who has forgotten.

use engine::folder::{JOURNALS, NODE_META, QUARANTINE, hard_state_path, journal_dir, journal_meta_path};
use engine::ids::{JournalId, META_JOURNAL, PartitionId, RaftId};
use engine::port::{Event, Fatal};
use tests::sim::cluster::{Cluster, MS, SECOND};
use tests::sim::disk::tamper::Copied;

const SEGMENT_BYTES: u64 = 1 << 20;
const DATA: JournalId = JournalId(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    NodeMeta,
    JournalMeta(JournalId),
    HardState(JournalId),
    Segments(JournalId),
    Folder(JournalId),
    Journals,
    All,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    Missing,
    Empty,
    Truncated,
    OtherNode,
    OtherCluster,
    Old,
}

/// What a node on its own does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Alone {
    Serves,
    /// Exit code 3, with this in the text, and nothing changed.
    Refuses(&'static str),
    /// It starts, and says what is damaged.
    Damaged,
}

use Alone::{Damaged, Refuses, Serves};
use How::{Empty, Missing, Old, OtherCluster, OtherNode, Truncated};

/// A cluster with a topic on all nodes and batches in it; gives its only partition.
fn with_topic(seed: u64, nodes: usize) -> (Cluster, PartitionId) {
    let mut cluster = Cluster::new(seed, nodes, 2, SEGMENT_BYTES);
    cluster.start_all();
    let partition = cluster.create_topic(0, "t", 1, nodes as i16)[0];
    assert_eq!(cluster.journal_of(partition), DATA);
    produce(&mut cluster, partition, 20);
    (cluster, partition)
}

fn produce(cluster: &mut Cluster, partition: PartitionId, batches: usize) {
    for _ in 0..batches {
        cluster.produce(partition);
        cluster.run_for(MS);
    }
    // The bounds in the hard state are written when a journal is idle; what is above them is a matter
    // of the tail.
    cluster.run_for(3 * SECOND);
}

fn segments(cluster: &Cluster, node: usize, journal: JournalId) -> Vec<String> {
    let files = cluster.world.nodes[node].disk.files_under(&journal_dir(journal));
    files.into_iter().map(|(path, _)| path).filter(|path| path.ends_with(".seg")).collect()
}

fn paths(cluster: &Cluster, node: usize, what: What) -> Vec<String> {
    match what {
        What::NodeMeta => vec![NODE_META.to_owned()],
        What::JournalMeta(journal) => vec![journal_meta_path(journal)],
        What::HardState(journal) => vec![hard_state_path(journal)],
        What::Segments(journal) => segments(cluster, node, journal),
        What::Folder(journal) => vec![journal_dir(journal)],
        What::Journals => vec![JOURNALS.to_owned()],
        What::All => vec![String::new()],
    }
}

/// Does it to a node that is down; `elsewhere` is what is put in.
fn tamper(cluster: &mut Cluster, node: usize, (what, how): (What, How), elsewhere: &Copied) {
    for path in paths(cluster, node, what) {
        let disk = &mut cluster.world.nodes[node].disk;
        match how {
            Missing => disk.remove_all(&path),
            Empty => disk.empty_all(&path),
            Truncated => disk.halve_all(&path),
            OtherNode | OtherCluster | Old => disk.replace_all(&path, elsewhere),
        }
    }
}

fn sizes(cluster: &Cluster, node: usize) -> Vec<(String, u64)> {
    cluster.world.nodes[node].disk.files_under("")
}

/// The rows of a node on its own; hard state cut in the middle may leave either generation.
fn alone() -> Vec<(What, How, Alone)> {
    let mut rows = vec![
        (What::NodeMeta, Missing, Refuses("node.meta is missing or bad")),
        (What::NodeMeta, Empty, Refuses("node.meta is missing or bad")),
        (What::NodeMeta, Truncated, Serves),
        (What::NodeMeta, OtherCluster, Refuses("of another node, another cluster")),
        (What::NodeMeta, Old, Serves),
        (What::Journals, Missing, Refuses("its folder is missing")),
        (What::Journals, Empty, Refuses("both copies in journal.meta are bad")),
        (What::Journals, OtherCluster, Refuses("of another node, another cluster")),
        (What::Journals, Old, Refuses("its folder is an older copy")),
    ];
    for journal in [META_JOURNAL, DATA] {
        rows.extend([
            (What::JournalMeta(journal), Missing, Refuses("journal.meta is missing")),
            (What::JournalMeta(journal), Empty, Refuses("both copies in journal.meta are bad")),
            (What::JournalMeta(journal), Truncated, Serves),
            (What::JournalMeta(journal), OtherCluster, Refuses("of another node, another cluster")),
            (What::JournalMeta(journal), Old, Serves),
            (What::HardState(journal), Missing, Refuses("hard-state is missing")),
            (What::HardState(journal), Empty, Serves),
            (What::HardState(journal), Truncated, Serves),
            (What::HardState(journal), OtherCluster, Serves),
            (What::HardState(journal), Old, Refuses("its folder is an older copy")),
            (What::Segments(journal), Missing, Refuses("no segment is there")),
            (What::Segments(journal), Empty, Damaged),
            (What::Segments(journal), OtherCluster, Damaged),
            (What::Segments(journal), Old, Damaged),
            (What::Folder(journal), Missing, Refuses("its folder is missing")),
            (What::Folder(journal), Empty, Refuses("both copies in journal.meta are bad")),
            (What::Folder(journal), OtherCluster, Refuses("of another node, another cluster")),
            (What::Folder(journal), Old, Refuses("its folder is an older copy")),
        ]);
    }
    rows
}

#[test]
fn a_node_on_its_own_serves_what_is_whole_or_refuses_and_changes_nothing() {
    let (mut donor, _) = with_topic(900, 1);
    donor.kill(0, true);
    let foreign = donor.world.nodes[0].disk.copy_of("");
    for (number, (what, how, expected)) in alone().into_iter().enumerate() {
        let row = format!("{what:?} {how:?}");
        let (mut cluster, partition) = with_topic(number as u64, 1);
        cluster.kill(0, true);
        let old = cluster.world.nodes[0].disk.copy_of("");
        cluster.start_all();
        produce(&mut cluster, partition, 20);
        cluster.kill(0, true);
        let whole = cluster.world.nodes[0].disk.copy_of("");
        let elsewhere = if how == Old { &old } else { &foreign };
        tamper(&mut cluster, 0, (what, how), elsewhere);
        let before = sizes(&cluster, 0);
        cluster.may_end = true;
        cluster.world.start(0);
        cluster
            .run_until(5 * SECOND, |cluster| cluster.world.nodes[0].is_ready() || !cluster.ended.is_empty());
        let text = cluster.ended.pop().map(|(_, fatal)| match fatal {
            Fatal::Data(text) => text,
            Fatal::Write(error) => panic!("{row}: {error}"),
        });
        match (expected, &text) {
            (Serves, None) => cluster.check(&[partition]),
            (Damaged, None) => {
                let is_said =
                    |event: &Event| matches!(event, Event::Recovered(report) if !report.damage.is_empty());
                assert!(cluster.count(is_said) > 0, "{row}: nothing is said");
                continue;
            }
            (Refuses(what), Some(text)) if text.contains(what) => {
                assert!(text.contains("Nothing was changed"), "{row}: {text}");
                assert_eq!(sizes(&cluster, 0), before, "{row}: what is there changed");
                accepted_or_put_back(&mut cluster, partition, &whole, text, &row);
            }
            _ => panic!("{row}: {expected:?}, and it came to {text:?}"),
        }
    }
}

/// Both ways on: the loss is accepted, and nothing is deleted; or what is missing is put back.
fn accepted_or_put_back(
    cluster: &mut Cluster,
    partition: PartitionId,
    whole: &Copied,
    text: &str,
    row: &str,
) {
    let broken = cluster.world.nodes[0].disk.copy_of("");
    let is_entry = |path: &str| path.ends_with(".seg");
    let entries = broken.iter().filter(|(path, _)| is_entry(path)).count();
    let named = [META_JOURNAL, DATA].into_iter().filter(|id| text.contains(&format!("--accept-loss {id}")));
    cluster.world.nodes[0].accept_loss = named.collect();
    if !cluster.world.nodes[0].accept_loss.is_empty() {
        cluster.world.start(0);
        cluster
            .run_until(10 * SECOND, |cluster| cluster.world.nodes[0].is_ready() || !cluster.ended.is_empty());
        assert!(cluster.ended.is_empty(), "{row}: accepted, and {:?}", cluster.ended);
        cluster.run_for(SECOND);
        let kept = sizes(cluster, 0);
        let kept = kept.iter().filter(|(path, _)| is_entry(path)).count();
        assert!(kept >= entries, "{row}: {entries} segments before, {kept} after");
        cluster.kill(0, true);
    }
    cluster.world.nodes[0].accept_loss.clear();
    cluster.world.nodes[0].disk.remove_all("");
    cluster.world.nodes[0].disk.put(whole);
    cluster.world.start(0);
    cluster.check(&[partition]);
}

/// The rows of one of three nodes.
fn of_three() -> Vec<(What, How)> {
    let mut rows = vec![
        (What::NodeMeta, Missing),
        (What::NodeMeta, Empty),
        (What::NodeMeta, Truncated),
        (What::NodeMeta, Old),
        (What::Journals, Missing),
        (What::Journals, Empty),
        (What::Journals, OtherNode),
        (What::Journals, Old),
        (What::All, Missing),
        (What::All, Old),
    ];
    for journal in [META_JOURNAL, DATA] {
        let of_journal = [
            What::JournalMeta(journal),
            What::HardState(journal),
            What::Segments(journal),
            What::Folder(journal),
        ];
        for what in of_journal {
            rows.extend([Missing, Empty, Truncated, OtherNode, OtherCluster, Old].map(|how| (what, how)));
        }
    }
    rows
}

fn is_whole(cluster: &Cluster) -> bool {
    cluster.world.nodes.iter().all(|node| {
        let view = node.view();
        node.is_ready()
            && !view.journals.is_empty()
            && view.journals.values().all(|journal| {
                let mut wanted: Vec<RaftId> =
                    journal.replicas.iter().map(|node| journal.raft_id_of(&view.nodes[node])).collect();
                wanted.sort_unstable();
                let mut here = node.shards.iter().filter_map(|slot| slot.shard.journal(journal.id));
                here.next().is_some_and(|replica| {
                    let members = replica.membership();
                    members.voters == wanted && !members.is_joint() && members.learners.is_empty()
                })
            })
    })
}

#[test]
fn one_of_three_never_votes_with_what_it_forgot_and_is_made_whole_by_the_others() {
    let (mut donor, _) = with_topic(901, 3);
    (0..3).for_each(|node| donor.kill(node, true));
    let mut healed = 0;
    for (number, (what, how)) in of_three().into_iter().enumerate() {
        let row = format!("{what:?} {how:?}");
        let (mut cluster, partition) = with_topic(100 + number as u64, 3);
        cluster.may_end = true;
        let leader = cluster.leader(DATA).expect("somebody leads");
        let (broken, asleep) = ((leader + 1) % 3, (leader + 2) % 3);
        cluster.kill(broken, true);
        let old = cluster.world.nodes[broken].disk.copy_of("");
        cluster.world.start(broken);
        cluster.check(&[partition]);
        // An older copy is caught by those that met the later start: the third did, here.
        cluster.expect("the third node met this start", 10 * SECOND, |cluster| {
            cluster.world.nodes[asleep].has_met(&cluster.world.nodes[broken])
        });
        // One never gets what the other two acknowledge.
        cluster.kill(asleep, true);
        cluster.expect("somebody leads", 20 * SECOND, |cluster| cluster.leader(DATA).is_some());
        let acked = cluster.acked.len();
        produce(&mut cluster, partition, 20);
        assert!(cluster.acked.len() > acked, "{row}: nothing was acknowledged by two");
        let up: Vec<usize> = (0..3).filter(|node| *node != asleep).collect();
        up.iter().for_each(|node| cluster.kill(*node, true));
        let other = cluster.world.nodes[(broken + 1) % 3].disk.copy_of("");
        let foreign = donor.world.nodes[broken].disk.copy_of("");
        let elsewhere = match how {
            Old => &old,
            OtherNode => &other,
            _ => &foreign,
        };
        tamper(&mut cluster, broken, (what, how), elsewhere);
        println!("{row}");
        cluster.world.start(asleep);
        cluster.world.start(broken);
        cluster.run_for(3 * SECOND);
        cluster.start_ended();
        cluster.run_for(2 * SECOND);
        cluster.world.start((0..3).find(|node| *node != asleep && *node != broken).expect("one of three"));
        cluster.run_until(60 * SECOND, |cluster| is_whole(cluster) || !cluster.ended.is_empty());
        cluster.start_ended();
        cluster.expect(&format!("{row}: every journal has its replicas again"), 60 * SECOND, is_whole);
        cluster.check(&[partition]);
        healed += cluster.count(|event| matches!(event, Event::ReplicaLost { .. } | Event::OldCopy { .. }));
        let kept = sizes(&cluster, broken);
        let aside = kept.iter().any(|(path, _)| path.starts_with(QUARANTINE));
        let was_aside = cluster.count(|event| matches!(event, Event::SetAside { .. })) > 0;
        assert!(!was_aside || aside || what == What::All || how == Missing, "{row}: nothing is kept aside");
    }
    assert!(healed > 30, "{healed}");
}
