//! What findings say to people: one sentence each for what is so, what it means and what to do. Nothing
//! advised here can lose data.

use super::finding::{Finding, Kind, Topics, What};
use crate::ids::META_JOURNAL;
use core::fmt;

impl fmt::Display for Finding {
    /// What is so.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let node = self.node.map_or_else(|| "?".to_owned(), |node| node.to_string());
        write!(f, "{}", self.place())?;
        match self.what {
            What::NodeDown => write!(f, "node {node} is down: nothing is heard of it"),
            What::NoQuorum { heard, replicas } => {
                write!(
                    f,
                    "no quorum: nobody leads, {heard} of {replicas} replicas are on nodes that are heard"
                )
            }
            What::ReplicaCatchingUp { entries: 0 } => {
                write!(f, "the replica of node {node} does not count yet")
            }
            What::ReplicaCatchingUp { entries } => {
                write!(f, "the replica of node {node} catches up: {entries} entries to go")
            }
            What::ReplicaLacksRuns { runs, bytes: 0 } => {
                write!(f, "the replica of node {node} lacks {runs} run(s)")
            }
            What::ReplicaLacksRuns { runs, bytes } => {
                write!(
                    f,
                    "the replica of node {node} lacks {runs} run(s): {} MiB to go",
                    bytes.div_ceil(1 << 20)
                )
            }
            What::ReplicaBehind { entries } => {
                write!(f, "the replica of node {node} is behind: it lacks {entries} entries")
            }
            What::ReplicaSilent => {
                write!(f, "the replica of node {node} does not answer its leader, though the node is heard")
            }
            What::ReplicaFull => write!(f, "the disk of node {node} has no room for the next segment"),
            What::ReplicaDamaged { ranges } => {
                write!(
                    f,
                    "the replica of node {node} is damaged: {ranges} range(s) of entries cannot be read"
                )
            }
            What::ReplicaInDoubt { first, last } => write!(
                f,
                "the replica of node {node} is in doubt: entries {first} to {last} may have been acknowledged \
                 there, and cannot be read"
            ),
            What::ReplicaRefusing { ranges } => write!(
                f,
                "the replica of node {node} is damaged, nobody else has what it lost: {ranges} range(s) of entries"
            ),
            What::ReplicaQuarantined => {
                write!(f, "the replica of node {node} is quarantined: it neither votes nor acknowledges")
            }
            What::ReplicaNotMember => {
                write!(
                    f,
                    "the replica of node {node} is no member: the cluster knows that node by another one"
                )
            }
            What::DiskNearlyFull { free_bytes, total_bytes } => write!(
                f,
                "the disk of node {node} is nearly full: {} MiB of {} MiB are free",
                free_bytes >> 20,
                total_bytes >> 20
            ),
            What::StableOffsetStuck(open) => {
                write!(
                    f,
                    "readers of what is committed wait in partition {} at offset {}, for producer {}, which is silent \
                     with a transaction open",
                    open.number, open.first, open.producer.0
                )?;
                match open.partitions {
                    0 | 1 => Ok(()),
                    all => write!(f, "; so they do in {} more", all - 1),
                }
            }
            What::NotCompacted => {
                write!(f, "not compacted, though cleanup.policy says so: it was made without")
            }
            What::ClockDistrusted { drift_ms } => {
                write!(f, "the wall clock of node {node} jumped by {:.1} s", drift_ms as f64 / 1000.0)
            }
        }
    }
}

impl Finding {
    /// The journal, by what an operator knows of it.
    fn place(&self) -> String {
        match self.journal {
            None => String::new(),
            Some(META_JOURNAL) => format!("journal {META_JOURNAL} (the cluster's metadata): "),
            Some(journal) if self.topics.names.is_empty() => format!("journal {journal}: "),
            Some(journal) => format!("journal {journal} ({}): ", self.topics),
        }
    }

    pub fn meaning(&self) -> &'static str {
        match self.what {
            What::NodeDown => {
                "clients are served by the others; what has a replica there has one copy less, and one more node \
                 lost may stop it"
            }
            What::NoQuorum { .. } if self.journal == Some(META_JOURNAL) => {
                "topics, settings, groups and members cannot be changed until more than half of the nodes take part"
            }
            What::NoQuorum { heard, replicas } if heard > replicas / 2 => {
                "its topics take and give nothing: enough nodes are heard, but not enough of their replicas can vote"
            }
            What::NoQuorum { .. } => {
                "its topics take and give nothing until more than half of its replicas are there; nothing is lost"
            }
            What::ReplicaCatchingUp { .. } => {
                "until it has what the others have it is no copy: no other node may lose its disk"
            }
            What::ReplicaLacksRuns { .. } => {
                "it has neither these files nor what they were made of: it is no copy of what is in them"
            }
            What::ReplicaBehind { .. } => "what it lacks has one copy less; acks=all may wait for it",
            What::ReplicaSilent => "what is written has one copy less; it may still be reading its folder",
            What::ReplicaFull => "it takes no more batches: where it leads, clients are refused",
            What::ReplicaDamaged { .. } => {
                "it serves what it can read and fetches the rest from other replicas, if there are any"
            }
            What::ReplicaInDoubt { .. } => {
                "it stands for no election and votes only for a replica that has them; what was cut is in quarantine/"
            }
            What::ReplicaRefusing { .. } => "it takes no batches; what is not damaged can be read",
            What::ReplicaQuarantined => {
                "it may have lost what it acknowledged: it counts for nothing until it has that again"
            }
            What::ReplicaNotMember => {
                "its folder is from before the node got a new disk: it will never count again"
            }
            What::DiskNearlyFull { .. } => {
                "the segments after the next one have no place: produce will be refused"
            }
            What::StableOffsetStuck(_) => {
                "no coordinator let it be open for so long: they get nothing behind it, and nothing will end it by itself"
            }
            What::NotCompacted => {
                "its records lie with those of topics that are deleted: all of them are kept, and take room"
            }
            What::ClockDistrusted { .. } => {
                "nothing is deleted by time until it agrees with the steady clock again"
            }
        }
    }

    /// What is so once it no longer holds.
    pub fn over(&self) -> String {
        let node = self.node.map_or_else(|| "?".to_owned(), |node| node.to_string());
        let of_journal = self.place();
        match self.what.kind() {
            Kind::NodeDown => format!("node {node} is heard again"),
            Kind::NoQuorum => format!("{of_journal}quorum regained"),
            Kind::ReplicaNotMember => {
                format!("{of_journal}no more is said as one that is no member by node {node}")
            }
            Kind::ReplicaQuarantined => {
                format!("{of_journal}the replica of node {node} is no longer quarantined")
            }
            Kind::ReplicaInDoubt => format!("{of_journal}the replica of node {node} is no longer in doubt"),
            Kind::ReplicaDamaged => format!("{of_journal}the replica of node {node} is whole again"),
            Kind::ReplicaFull => format!("{of_journal}the disk of node {node} has room again"),
            Kind::ReplicaLacksRuns => format!("{of_journal}the replica of node {node} has all runs"),
            Kind::ReplicaBehind => format!("{of_journal}the replica of node {node} keeps up again"),
            Kind::ReplicaCatchingUp => format!("{of_journal}the replica of node {node} has caught up"),
            Kind::DiskNearlyFull => format!("the disk of node {node} is no longer nearly full"),
            Kind::StableOffsetStuck => format!("{of_journal}no transaction is open for too long any more"),
            Kind::NotCompacted => format!("{of_journal}nothing waits for compaction any more"),
            Kind::ClockDistrusted => format!("the wall clock of node {node} is trusted again"),
        }
    }

    pub fn remedy(&self) -> &'static str {
        match self.what {
            What::NodeDown => {
                "start it, or see its log and its network; if its disk is lost, start it with an empty folder"
            }
            What::NoQuorum { heard, replicas } if heard > replicas / 2 => {
                "see what else is told of its replicas, and the logs of their nodes"
            }
            What::NoQuorum { .. } => "start the nodes that are down, with the folders they had",
            What::ReplicaCatchingUp { .. } => "wait; --catch-up-rate is what it may take of the others",
            What::ReplicaLacksRuns { .. } => {
                "wait, and keep the other replicas running: it fetches them from whoever has them"
            }
            What::ReplicaBehind { .. } => "see its node's disk and network; a restart is safe",
            What::ReplicaSilent => "wait while the node starts; else see its log",
            What::ReplicaFull => {
                "free space where its data is, or delete topics and records; nothing else is needed"
            }
            What::ReplicaDamaged { .. } => {
                "see the node's log, and its disk; keep the other replicas running"
            }
            What::ReplicaInDoubt { .. } => {
                "start the other nodes with the folders they had: whoever has the entries settles it. Only if such a \
                 node is gone for good, --accept-loss with the journal's number gives them up"
            }
            What::ReplicaRefusing { .. } => {
                "bring the node's files back from a copy if there is one; else --accept-loss with the journal's number"
            }
            What::ReplicaQuarantined => {
                "keep the other replicas running: it is repaired from them; see the node's log"
            }
            What::ReplicaNotMember => {
                "stop the node, put the newer folder back, or an empty one in its place; keep the old one aside"
            }
            What::DiskNearlyFull { .. } => {
                "free space, or shorten retention; duramen-dump stats shows what takes it"
            }
            What::StableOffsetStuck(_) => {
                "`duramen txn find-hanging` says whether it hangs, and `duramen txn abort` with what it shows ends it"
            }
            What::NotCompacted => {
                "make another topic with cleanup.policy=compact and copy what is in this one; or set it to delete again"
            }
            What::ClockDistrusted { .. } => {
                "see the machine's time synchronisation; a restart takes the new time"
            }
        }
    }
}

impl fmt::Display for Topics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.names.iter().map(|name| &**name).collect();
        write!(f, "{}", names.join(", "))?;
        if self.more > 0 { write!(f, " and {} more", self.more) } else { Ok(()) }
    }
}
