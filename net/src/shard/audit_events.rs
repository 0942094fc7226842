//! Those of the engine's events that the audit log has: elections, members, and what became of replicas' data.

use engine::control::View;
use engine::ids::{JournalId, NodeId, ShardId};
use engine::port::{Damage, Event, RecoveryReport};
use engine::raft::Change;
use serde_json::{Value, json};

/// Tells of an event where it is one for the audit log.
pub fn tell(shard: ShardId, event: &Event, view: &View) {
    if crate::audit::is_on()
        && let Some((name, mut fields, journal)) = entry(event)
    {
        assert!(fields.is_object(), "{event:?} has fields");
        assert!(fields.get("shard").is_none(), "whose it is stands once: {fields}");
        fields["shard"] = json!(shard.0);
        if let Some(journal) = journal {
            let topics = view.topics_of(journal);
            fields["journal"] = json!(journal.0);
            fields["topics"] = json!((!topics.names.is_empty()).then(|| topics.to_string()));
        }
        crate::audit::tell(name, fields);
    }
}

type Entry = (&'static str, Value, Option<JournalId>);

fn entry(event: &Event) -> Option<Entry> {
    let (name, fields, journal) = match event {
        Event::Leading { journal, term } => {
            ("election", json!({"what": "leads", "term": term.0}), Some(*journal))
        }
        Event::LeadsNoMore { journal, term } => {
            ("election", json!({"what": "leads no more", "term": term.0}), Some(*journal))
        }
        Event::HandsOver { journal, to, why } => {
            ("election", json!({"what": "hands over", "to": to.0, "why": why.to_string()}), Some(*journal))
        }
        Event::Formed { nodes } => {
            ("membership", json!({"what": "the cluster is formed", "nodes": nodes}), None)
        }
        Event::MembersChanged { journal, change, node } => {
            ("membership", members(*change, *node), Some(*journal))
        }
        Event::Rejoining { asked } => {
            let controller = asked.map(|node| node.0);
            ("membership", json!({"what": "asks to be taken in", "controller": controller}), None)
        }
        Event::Rejoined { raft_id } => {
            ("membership", json!({"what": "taken in as a new replica", "raft_id": raft_id.0}), None)
        }
        Event::Renewed { journal, raft_id } => {
            let what = "a lost replica is made anew";
            ("membership", json!({"what": what, "raft_id": raft_id.0}), Some(*journal))
        }
        Event::OldCopy { by, seen, start } => {
            let what = "this data folder is an older copy";
            ("membership", json!({"what": what, "by": by.0, "seen": seen, "start": start}), None)
        }
        Event::FormationRefused { why } => {
            let what = "a node cannot take part in the formation";
            ("membership", json!({"what": what, "why": why.to_string()}), None)
        }
        other => return replication(other),
    };
    Some((name, fields, journal))
}

fn members(change: Change, node: Option<NodeId>) -> Value {
    let node = node.map(|node| node.0);
    match change {
        Change::AddLearner(id) => json!({"what": "a replica is added", "of": node, "raft_id": id.0}),
        Change::RemoveLearner(id) => json!({"what": "a replica is lost", "of": node, "raft_id": id.0}),
        Change::Swap { out, into } => {
            json!({"what": "a replica is swapped in", "of": node, "old": out.0, "new": into.0})
        }
        Change::Grow { one, other } => {
            json!({"what": "two replicas that caught up become voters", "raft_ids": [one.0, other.0]})
        }
        Change::Shrink { one, other } => {
            json!({"what": "two replicas are voters no more", "raft_ids": [one.0, other.0]})
        }
        Change::Leave => json!({"what": "the members have changed"}),
    }
}

/// What was damaged, differs, is not believed, and what was done about it.
fn replication(event: &Event) -> Option<Entry> {
    let (what, mut fields, journal) = match event {
        Event::Damaged(damage) => ("damage", damaged(damage), damage.journal),
        Event::Recovered(report) => return recovered(report),
        Event::Repaired { journal, first, last } => {
            ("damage repaired", json!({"first": first.0, "last": last.0}), *journal)
        }
        Event::DigestDiffers { journal, base, last, entries } => {
            let fields = json!({"first": base.0, "last": last.0, "entries": entries});
            ("a segment differs from the leader's", fields, *journal)
        }
        Event::CheckpointBad { journal, index } => {
            ("a checkpoint is bad", json!({"last": index.0}), *journal)
        }
        Event::LogCut { journal, from, last } => {
            let what = "entries that the leader has not were cut and kept aside";
            (what, json!({"first": from.0, "last": last.0}), *journal)
        }
        Event::DoubtSettled { journal, first, last, settled } => {
            let fields = json!({"first": first.0, "last": last.0, "settled": format!("{settled:?}")});
            ("perhaps acked, and settled", fields, *journal)
        }
        Event::MessageRefused { journal, from, why } => {
            ("a peer's messages are refused", json!({"from": from.0, "why": why.to_string()}), *journal)
        }
        Event::Quarantined { journal, why } => {
            ("neither votes nor acknowledges any more", json!({"why": why.to_string()}), *journal)
        }
        Event::ReplicaLost { journal, why } => {
            ("a replica does not know what it promised", json!({"why": why.to_string()}), *journal)
        }
        Event::SetAside { journal, to } => {
            ("what was left of a replica is kept aside", json!({"to": to.to_string()}), *journal)
        }
        Event::NotOpened { journal, why, .. } => {
            ("a journal cannot be opened", json!({"why": why.to_string()}), *journal)
        }
        Event::Installed { journal, last } => {
            ("begins anew behind a checkpoint", json!({"last": last.0}), *journal)
        }
        Event::InstallRefused { journal, last } => {
            ("a checkpoint that came was not good", json!({"last": last.0}), *journal)
        }
        _ => return None,
    };
    assert!(fields.is_object() && fields.get("what").is_none(), "{what}: {fields}");
    fields["what"] = json!(what);
    Some(("replication", fields, Some(journal)))
}

fn damaged(damage: &Damage) -> Value {
    json!({
        "first": damage.first.0, "last": damage.last.0, "file": damage.file.to_string(),
        "position": damage.position, "bytes": damage.bytes, "kind": format!("{:?}", damage.kind),
    })
}

/// A start is told where it found something; what it found damaged is told one by one.
fn recovered(report: &RecoveryReport) -> Option<Entry> {
    let torn = report.torn.as_ref().map(|torn| {
        json!({
            "first": torn.from.0, "file": torn.file.to_string(), "position": torn.position,
            "bytes": torn.bytes, "kept_as": torn.kept_as.to_string(), "why": format!("{:?}", torn.why),
        })
    });
    let damage: Vec<Value> = report.damage.iter().map(damaged).collect();
    if torn.is_none() && damage.is_empty() && !report.amnesia {
        return None;
    }
    let fields = json!({
        "what": "found at the start", "cut": torn, "damage": damage, "promises_lost": report.amnesia,
    });
    Some(("replication", fields, Some(report.journal)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::ids::{Index, Term};

    #[test]
    fn elections_and_repairs_are_told_and_what_is_everyday_is_not() {
        let journal = JournalId(4);
        let (name, fields, of) = entry(&Event::Leading { journal, term: Term(7) }).expect("told");
        assert_eq!((name, of), ("election", Some(journal)));
        assert_eq!(fields, json!({"what": "leads", "term": 7}));
        let repaired = Event::Repaired { journal, first: Index(1), last: Index(2) };
        let (name, fields, _) = entry(&repaired).expect("told");
        assert_eq!((name, &fields["what"]), ("replication", &json!("damage repaired")));
        assert!(entry(&Event::SegmentRolled { journal, base: Index(1) }).is_none());
        assert!(entry(&Event::ClockTrusted).is_none());
    }
}
