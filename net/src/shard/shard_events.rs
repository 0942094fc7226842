//! The engine's events as log lines: with the names that an operator knows.

use crate::process::system;
use engine::control::View;
use engine::health::{Finding, Kind, Severity};
use engine::ids::{Index, JournalId, NodeId, ShardId};
use engine::peer::Space;
use engine::port::{Cutting, Damage, Event, RecoveryReport, Rewrote, Settled};
use engine::raft::Change;
use engine::shard::ShardConfig;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use tracing::{debug, error, info, warn};

pub fn log(shard: ShardId, event: &Event, view: &View, folder: &Path) {
    let shard = shard.0;
    let topics = |journal: &JournalId| {
        let topics = view.topics_of(*journal);
        (!topics.names.is_empty()).then(|| topics.to_string())
    };
    match event {
        Event::Recovered(report) => recovered(shard, report, topics(&report.journal)),
        Event::Leading { journal, term } => {
            info!(shard, journal = journal.0, term = term.0, topics = topics(journal), "leads");
        }
        Event::NotOpened { journal, why, fetches } => not_opened(shard, *journal, why, *fetches),
        Event::LeadsNoMore { journal, term } => {
            info!(shard, journal = journal.0, term = term.0, topics = topics(journal), "leads no more");
        }
        Event::HealthBegan(findings) => health_began(shard, findings, folder),
        Event::HealthEnded(findings) => health_ended(shard, findings),
        Event::SegmentRolled { .. }
        | Event::SegmentSealed { .. }
        | Event::IndexRebuilt { .. }
        | Event::SegmentDeleted { .. }
        | Event::CheckpointWritten { .. }
        | Event::CheckpointBad { .. }
        | Event::DigestAgrees { .. } => segments(shard, event, &topics),
        Event::Rewriting { journal, what } => rewriting(shard, *journal, what, topics(journal)),
        Event::Damaged(damage) => damaged(shard, damage, topics(&damage.journal)),
        Event::DigestDiffers { journal, base, last, entries } => {
            digest_differs(shard, *journal, (*base, *last), *entries)
        }
        Event::Repaired { journal, first, last } => {
            warn!(
                shard,
                journal = journal.0,
                topics = topics(journal),
                first = first.0,
                last = last.0,
                "damage repaired: the entries of other replicas were written in its place"
            );
        }
        // What holds for a while is told when it begins and ends, by the findings.
        Event::DiskFull { journal } => debug!(shard, journal = journal.0, "disk full"),
        Event::DiskRoom { journal } => debug!(shard, journal = journal.0, "there is room again"),
        Event::FollowerSpace { journal, node, space } => follower_space(shard, *journal, *node, *space),
        Event::ClockDistrusted { drift_ms } => debug!(shard, drift_ms, "the wall clock jumped"),
        Event::ClockTrusted => debug!(shard, "the wall clock is trusted again"),
        Event::HandsOver { journal, to, why } => {
            info!(shard, journal = journal.0, to = to.0, topics = topics(journal), "hands over: {why}");
        }
        Event::LogCut { journal, from, last } => {
            warn!(
                shard,
                journal = journal.0,
                topics = topics(journal),
                from = from.0,
                last = last.0,
                "the leader's log goes on without these entries: they were cut and kept aside"
            );
        }
        Event::DoubtMoved { journal, end, raised } => {
            let (term, index) = (end.term.0, end.index.0);
            info!(
                shard,
                journal = journal.0,
                term,
                index,
                raised,
                "every voter was heard: until this replica has that entry it votes only for who has it"
            );
        }
        Event::DoubtSettled { journal, first, last, settled } => {
            let (journal, first, last) = (journal.0, first.0, last.0);
            warn!(shard, journal, first, last, "perhaps acked, and settled: {}", settled_as(*settled));
        }
        Event::MessageRefused { journal, from, why } => {
            warn!(
                shard,
                journal = journal.0,
                from = from.0,
                why,
                topics = topics(journal),
                "a peer's messages are refused"
            );
        }
        Event::ReplicaLost { .. }
        | Event::SetAside { .. }
        | Event::MadeAgain { .. }
        | Event::Renewed { .. }
        | Event::OldCopy { .. } => forgotten(shard, event),
        Event::Quarantined { journal, why } => {
            let topics = topics(journal);
            error!(
                shard,
                journal = journal.0,
                why,
                topics,
                "this replica neither votes nor acknowledges any more"
            );
        }
        Event::Forming { unheard, undecided } => forming(shard, unheard, undecided),
        Event::FormationRefused { why } => warn!(shard, why, "a node cannot take part in the formation"),
        Event::MembersChanged { .. }
        | Event::Installing { .. }
        | Event::Installed { .. }
        | Event::InstallRefused { .. }
        | Event::InstallTooLong { .. }
        | Event::NothingToInstall { .. }
        | Event::Rejoining { .. }
        | Event::Rejoined { .. } => replacement(shard, event),
        Event::Formed { nodes } => info!(shard, nodes, "the cluster is formed"),
    }
}

/// One line for each kind and node: a node that is lost may be that of hundreds of journals.
fn health_began(shard: u16, findings: &[Finding], folder: &Path) {
    for alike in by_kind_and_node(findings) {
        let (finding, what) = (alike[0], alike[0].what.kind().name());
        let (journals, disk) = (journals(&alike), disk(finding, folder));
        let (meaning, remedy) = (finding.meaning(), finding.remedy());
        match finding.what.kind().severity() {
            Severity::Error => error!(shard, what, "{finding}{journals}{disk}; {meaning}; {remedy}"),
            Severity::Warning => warn!(shard, what, "{finding}{journals}{disk}; {meaning}; {remedy}"),
        }
    }
}

fn health_ended(shard: u16, findings: &[Finding]) {
    for alike in by_kind_and_node(findings) {
        let (over, journals, what) = (alike[0].over(), journals(&alike), alike[0].what.kind().name());
        info!(shard, what, "{over}{journals}");
    }
}

fn by_kind_and_node(findings: &[Finding]) -> Vec<Vec<&Finding>> {
    let mut groups: BTreeMap<(Kind, Option<NodeId>), Vec<&Finding>> = BTreeMap::new();
    for finding in findings {
        groups.entry((finding.what.kind(), finding.node)).or_default().push(finding);
    }
    groups.into_values().collect()
}

/// Journals in a line beyond the first.
const JOURNALS_NAMED_MAX: usize = 20;

fn journals(alike: &[&Finding]) -> String {
    let others: Vec<String> = alike[1..].iter().filter_map(|one| Some(one.journal?.to_string())).collect();
    if others.is_empty() {
        return String::new();
    }
    let named = others[..others.len().min(JOURNALS_NAMED_MAX)].join(", ");
    format!("; the same of {} more journal(s): {named}", others.len())
}

/// Where the room is missing, and how much there is.
fn disk(finding: &Finding, folder: &Path) -> String {
    if !matches!(finding.what.kind(), Kind::ReplicaFull | Kind::DiskNearlyFull) {
        return String::new();
    }
    let space = File::open(folder).and_then(|folder| system::file_system(&folder));
    space.map_or_else(
        |_| String::new(),
        |space| {
            let folder = folder.display();
            format!("; {folder}: {} bytes of {} are free here", space.free_bytes, space.total_bytes)
        },
    )
}

fn follower_space(shard: u16, journal: JournalId, node: NodeId, space: Space) {
    debug!(shard, journal = journal.0, node = node.0, ?space, "a follower tells of its disk");
}

/// What becomes of compaction.
fn rewriting(shard: u16, journal: JournalId, what: &Rewrote, topics: Option<String>) {
    let journal = journal.0;
    match what {
        Rewrote::Made { run, input_bytes, bytes, partitions, counts } => info!(
            shard,
            journal,
            topics,
            run = run.0,
            input_bytes,
            bytes,
            partitions,
            superseded = counts.superseded,
            tombstones = counts.tombstones,
            aborted = counts.aborted,
            markers = counts.markers,
            undecodable = counts.undecodable,
            "compacted: a run was made"
        ),
        Rewrote::Read { run } => {
            info!(shard, journal, topics, run = run.0, "the run is read in the place of its inputs");
        }
        Rewrote::Lost { run } => {
            warn!(shard, journal, topics, run = run.0, "nobody can give the run: what it was made of stays");
        }
        Rewrote::Deleted { run } => info!(shard, journal, topics, run = run.0, "an older run was deleted"),
        Rewrote::Damaged { run, why } => {
            error!(
                shard,
                journal,
                topics,
                run = run.0,
                why,
                "a run is damaged: what it holds cannot be served"
            );
        }
        Rewrote::Fetching { run, from, bytes } => {
            info!(shard, journal, topics, run = run.0, from, bytes, "a run is fetched from other replicas");
        }
        Rewrote::Fetched { run, bytes } => {
            info!(shard, journal, topics, run = run.0, bytes, "a run is here, whole");
        }
        Rewrote::PieceBad { run, position } => {
            warn!(
                shard,
                journal,
                topics,
                run = run.0,
                position,
                "a piece of a run is bad and is fetched again"
            );
        }
        Rewrote::Mended { run } => {
            info!(shard, journal, topics, run = run.0, "a damaged run was mended from other replicas");
        }
        Rewrote::Failed { why } => {
            warn!(shard, journal, topics, why, "compaction came to nothing and is tried again");
        }
    }
}

/// What becomes of segments and what is beside them.
fn segments(shard: u16, event: &Event, topics: &dyn Fn(&JournalId) -> Option<String>) {
    match event {
        Event::SegmentRolled { journal, base } => {
            debug!(shard, journal = journal.0, base = base.0, "segment rolled");
        }
        Event::SegmentSealed { journal, base, last, bytes } => {
            debug!(shard, journal = journal.0, base = base.0, last = last.0, bytes, "segment sealed");
        }
        Event::IndexRebuilt { journal, base } => {
            warn!(
                shard,
                journal = journal.0,
                topics = topics(journal),
                base = base.0,
                "a segment's index was bad and was made again"
            );
        }
        Event::SegmentDeleted { journal, base, bytes } => {
            info!(
                shard,
                journal = journal.0,
                topics = topics(journal),
                base = base.0,
                bytes,
                "segment deleted"
            );
        }
        Event::CheckpointWritten { journal, index, bytes } => {
            debug!(shard, journal = journal.0, index = index.0, bytes, "checkpoint written");
        }
        Event::CheckpointBad { journal, index } => {
            let (index, topics) = (index.0, topics(journal));
            let journal = journal.0;
            error!(
                shard,
                journal, index, topics, "a checkpoint is bad: what only it would cover is not deleted"
            );
        }
        Event::DigestAgrees { journal, base } => {
            debug!(shard, journal = journal.0, base = base.0, "a sealed segment is the same as the leader's");
        }
        other => unreachable!("{other:?} is logged by the caller"),
    }
}

/// What this node's brokers are called, once the metadata says so.
pub fn log_broker_ids(config: &ShardConfig, view: &View) {
    let (shards, stride) = (config.shards.min(view.lanes), view.broker_ids.stride());
    let first = view.broker_ids.of(config.node, ShardId(0)).expect("shard 0 is a broker");
    info!(first, last = first + i32::from(shards) - 1, stride, "the broker ids of this node");
    if let Some(asked) = config.broker_ids.filter(|asked| *asked != view.broker_ids) {
        let asked = asked.stride();
        warn!(asked, stride, "--broker-id-stride has no effect: the cluster was formed with another one");
    }
}

/// On the way of what has forgotten its promises.
fn forgotten(shard: u16, event: &Event) {
    match event {
        Event::ReplicaLost { journal, why } => error!(
            shard,
            journal = journal.0,
            %why,
            "this replica does not know any more what it promised: it takes no part, and is made anew from \
             the others where there are any"
        ),
        Event::SetAside { journal, to } => {
            warn!(shard, journal = journal.0, %to, "what was left of a replica is kept aside");
        }
        Event::MadeAgain { journal } => {
            info!(shard, journal = journal.0, "a journal whose making was cut short is made again");
        }
        Event::Renewed { journal, raft_id } => info!(
            shard,
            journal = journal.0,
            raft_id = raft_id.0,
            "a lost replica is made anew; it gets everything from the others"
        ),
        Event::OldCopy { by, seen, start } => error!(
            shard,
            node = by.0,
            seen,
            start,
            "this data folder is an older copy: another node met a later process of it"
        ),
        other => unreachable!("{other:?} is logged by the caller"),
    }
}

/// On the way of a replica that takes another one's place, or begins anew.
fn replacement(shard: u16, event: &Event) {
    match event {
        Event::MembersChanged { journal, change, node } => members(shard, *journal, *change, *node),
        Event::Installing { journal, from, last, bytes } => info!(
            shard,
            journal = journal.0,
            from = from.0,
            last = last.0,
            bytes,
            "too far behind the leader's log: fetches the checkpoint at its start"
        ),
        Event::Installed { journal, last } => {
            info!(shard, journal = journal.0, last = last.0, "begins anew behind the checkpoint");
        }
        Event::InstallTooLong { journal, from, bytes, bytes_max } => error!(
            shard,
            journal = journal.0,
            from = from.0,
            bytes,
            bytes_max,
            "the checkpoint of another node does not fit a quarter of this shard's memory: start this node with \
             more --memory"
        ),
        Event::InstallRefused { journal, last } => {
            warn!(shard, journal = journal.0, last = last.0, "a checkpoint that came was not good");
        }
        Event::NothingToInstall { journal, last } => error!(
            shard,
            journal = journal.0,
            last = last.0,
            "a replica needs the checkpoint at the log's start, and it cannot be read here"
        ),
        Event::Rejoining { asked: Some(node) } => {
            info!(shard, controller = node.0, "this folder is new in a formed cluster: asks to be taken in");
        }
        Event::Rejoining { asked: None } => {
            warn!(shard, "this folder is new in a formed cluster: waits for a controller to be taken in");
        }
        Event::Rejoined { raft_id } => {
            info!(
                shard,
                raft_id = raft_id.0,
                "taken in as a new replica; it gets everything from the others"
            );
        }
        other => unreachable!("{other:?} is logged by the caller"),
    }
}

fn not_opened(shard: u16, journal: JournalId, why: &str, fetches: bool) {
    let journal = journal.0;
    if fetches {
        warn!(shard, journal, why, "a journal cannot be opened: what it lacks is fetched from other nodes");
    } else {
        error!(
            shard,
            journal,
            why,
            "a journal cannot be opened, and nothing of it is served or changed; the others are. Put the files that \
             are named back as a backup of this data folder has them, and start this node again"
        );
    }
}

fn digest_differs(shard: u16, journal: JournalId, (base, last): (Index, Index), entries: bool) {
    let (journal, base, last) = (journal.0, base.0, last.0);
    if entries {
        error!(
            shard,
            journal,
            base,
            last,
            "a sealed segment has other entries than the leader's; where they part is looked for"
        );
    } else {
        error!(
            shard,
            journal, base, last, "the checkpoint behind a sealed segment differs from the leader's"
        );
    }
}

fn members(shard: u16, journal: JournalId, change: Change, node: Option<NodeId>) {
    let (journal, node) = (journal.0, node.map(|node| node.0));
    match change {
        Change::AddLearner(id) => info!(shard, journal, node, raft_id = id.0, "a new replica is to catch up"),
        Change::RemoveLearner(id) => info!(shard, journal, node, raft_id = id.0, "a replica was lost again"),
        Change::Swap { out, into } => {
            info!(shard, journal, node, out = out.0, into = into.0, "a replica that caught up is swapped in");
        }
        Change::Grow { one, other } => {
            info!(shard, journal, one = one.0, other = other.0, "two replicas that caught up become voters");
        }
        Change::Shrink { one, other } => {
            info!(shard, journal, one = one.0, other = other.0, "two replicas are voters no more");
        }
        Change::Leave => info!(shard, journal, "the members have changed"),
    }
}

fn forming(shard: u16, unheard: &[NodeId], undecided: &[NodeId]) {
    let list = |nodes: &[NodeId]| nodes.iter().map(NodeId::to_string).collect::<Vec<_>>().join(", ");
    let node = |nodes: &[NodeId]| if nodes.len() == 1 { "node" } else { "nodes" };
    if !unheard.is_empty() {
        let nodes = list(unheard);
        info!(shard, "forming the cluster: waits for {} {nodes}, not heard yet", node(unheard));
    } else if !undecided.is_empty() {
        let nodes = list(undecided);
        info!(shard, "forming the cluster: waits for {} {nodes} to store who is there", node(undecided));
    }
}

fn recovered(shard: u16, report: &RecoveryReport, topics: Option<String>) {
    info!(
        shard,
        journal = report.journal.0,
        created = report.created,
        term = report.term.0,
        segments = report.segments,
        checkpoint = report.checkpoint.0,
        first = report.first.0,
        last = report.last.0,
        commit = report.commit.0,
        scanned_entries = report.scanned_entries,
        scanned_bytes = report.scanned_bytes,
        indexes_rebuilt = report.indexes_rebuilt,
        checkpoints_skipped = report.checkpoints_skipped,
        hard_state_bad_copies = report.hard_state_bad_copies,
        elapsed_us = report.elapsed_us,
        "journal recovered"
    );
    if let Some(torn) = &report.torn {
        let (from, file, position) = (torn.from.0, &torn.file, torn.position);
        let (bytes, kept_as) = (torn.bytes, &torn.kept_as);
        warn!(
            shard,
            journal = report.journal.0,
            from,
            %file,
            position,
            bytes,
            %kept_as,
            "{}",
            cut_as(torn.why)
        );
    }
    let (journal, meta, state) = (report.journal.0, report.meta_bad_copies, report.hard_state_bad_copies);
    if meta > 0 {
        warn!(shard, journal, copies = meta, "a copy of journal.meta was bad: it was written again");
    }
    if state > 0 && !report.amnesia {
        warn!(shard, journal, copies = state, "copies of the hard state were bad: the others say the same");
    }
    if report.amnesia {
        warn!(shard, journal = report.journal.0, "every copy of the hard state was bad");
    }
    for damage in &report.damage {
        damaged(shard, damage, topics.clone());
    }
}

/// What is known of a tail that was cut, and what follows from it.
fn cut_as(why: Cutting) -> &'static str {
    match why {
        Cutting::ProvenTorn => "proven torn: a tail that was never written whole was cut and kept aside",
        Cutting::PerhapsAcked => {
            "perhaps acked: a tail that cannot be read was cut and kept aside; until the other replicas say \
             what became of it this one stands for no election and votes only for who may have it"
        }
        Cutting::Unsynced => {
            "a tail that cannot be read was cut and kept aside; whether it had been acknowledged nobody can tell"
        }
    }
}

fn settled_as(settled: Settled) -> &'static str {
    match settled {
        Settled::Healed => "the leader's log has them, and so has this replica again",
        Settled::ReplacedByLeader => "a leader was elected without them, so they never were committed",
        Settled::NoVoterHas => "no voter has it that this replica has not, so it never was committed",
        Settled::Accepted => "the loss was accepted with --accept-loss",
    }
}

fn damaged(shard: u16, damage: &Damage, topics: Option<String>) {
    error!(
        shard,
        journal = damage.journal.0,
        topics,
        first = damage.first.0,
        last = damage.last.0,
        file = %damage.file,
        position = damage.position,
        bytes = damage.bytes,
        kind = ?damage.kind,
        "damage in what had been durable"
    );
}
