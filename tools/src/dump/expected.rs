//! Which journals a node's folder must have, and what is wrong with those that are not there.

use super::names::Names;
use super::remark::{Remark, What};
use super::source::Source;
use engine::control::View;
use engine::folder::{NODE_META, NodeMeta, journal_dir};
use engine::ids::{JournalId, META_JOURNAL};
use std::collections::BTreeSet;

/// The journals that were made here, as far as anything that is left says so. `committed` is what the meta journal's
/// committed entries come to.
pub fn journals(node: Option<&NodeMeta>, committed: &Names) -> BTreeSet<JournalId> {
    let mut expected = BTreeSet::new();
    // A final set is stored before the first journal is made.
    if node.is_some_and(|node| node.is_final) {
        expected.insert(META_JOURNAL);
    }
    expected.extend(committed.view().into_iter().flat_map(|view| of_view(node, view)));
    expected
}

/// Those of which the metadata places a replica on the node that this folder belongs to.
fn of_view(node: Option<&NodeMeta>, view: &View) -> Vec<JournalId> {
    let known = match node {
        Some(node) => view.nodes.get(&node.node),
        // Whose folder it is need not be said where there is only one.
        None => view.nodes.values().next().filter(|_| view.nodes.len() == 1),
    };
    let Some(known) = known else { return Vec::new() };
    // One that came in place of a lost disk is given its journals one by one.
    let is_here = |voters: &[_]| known.former.is_empty() || voters.contains(&known.raft_id);
    let journals = view.journals.values();
    let here = journals.filter(|journal| journal.replicas.contains(&known.node) && is_here(&journal.voters));
    here.map(|journal| journal.id).collect()
}

/// What of it is missing; and journals that are another cluster's.
pub fn remarks(source: &Source, committed: &Names) -> Vec<Remark> {
    let mut remarks = Vec::new();
    for id in journals(source.node.as_ref(), committed) {
        let is_listed = source.journals.iter().any(|journal| journal.id() == id);
        let is_told = source.lost.iter().any(|lost| lost.journal == Some(id.0));
        let dir = journal_dir(id);
        // One without its record and without anything that was ever written is made again at the next start.
        if !is_listed && !is_told && !source.path.join(&dir).exists() {
            let text = format!("missing: the folder of journal {id}{}", held(id, committed));
            remarks.push(Remark::of_file(What::Damage, Some(id.0), dir, text));
        }
    }
    let Some(node) = source.node.as_ref().filter(|node| node.cluster.0 != 0) else { return remarks };
    for journal in source.journals.iter().filter(|journal| journal.identity.cluster != node.cluster) {
        let text = format!("it belongs to another cluster than {NODE_META} names");
        remarks.push(Remark::of_file(What::Damage, Some(journal.id().0), journal_dir(journal.id()), text));
    }
    remarks
}

/// Whose records it had.
fn held(id: JournalId, committed: &Names) -> String {
    if id == META_JOURNAL {
        return ", which holds topics, settings and who is a member".to_owned();
    }
    let topics = committed.view().into_iter().flat_map(|view| view.topics.values());
    let here = topics.filter(|topic| {
        topic.partitions.iter().flat_map(|partition| &partition.spans).any(|span| span.journal == id)
    });
    let names: Vec<&str> = here.map(|topic| &*topic.name).collect();
    match names.as_slice() {
        [] => String::new(),
        [first, rest @ ..] if rest.len() < 3 => {
            format!(" with records of {}", [&[*first], rest].concat().join(", "))
        }
        [first, rest @ ..] => format!(" with records of {first} and {} more topics", rest.len()),
    }
}
