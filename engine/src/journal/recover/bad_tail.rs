//! What a bad tail is, by the walk that found it: never synced, or perhaps acknowledged.

use super::walk::{BadRun, Cut, Walk};
use crate::ids::{Index, LogEnd, Term};
use crate::journal::format::doubt_record::{Doubt, Hidden, Place};

/// What is bad above every bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadTail {
    /// Nothing.
    None,
    /// The first bad entry was never synced: nothing from there on was acknowledged.
    Torn,
    /// It cannot be told.
    Doubt(Doubt),
}

/// Judges what a cut is about to take away. Acknowledgements wait for the term in the hard state: no
/// entry of a later one than `term` was acknowledged.
pub fn judge(walk: &Walk, cut: Cut, term: Term) -> BadTail {
    let runs: Vec<&BadRun> = walk.bad.iter().filter(|run| last_of(run) >= cut.first).collect();
    let first = match (runs.first(), walk.bad_end()) {
        (None, None) => return BadTail::None,
        (Some(run), _) => run.torn && run.first >= cut.first,
        (None, Some((_, torn))) => torn,
    };
    if first {
        return BadTail::Torn;
    }
    let base = &walk.segments[cut.segment];
    BadTail::Doubt(Doubt {
        good: walk.link_at(Index(cut.first.0 - 1)).unwrap_or(walk.first()),
        end: end(walk, &runs, cut.first, term),
        first: hidden(walk, &runs, cut.first),
        place: Place {
            segment: base.base,
            position: cut.position,
            bytes: base.content_end.saturating_sub(cut.position),
        },
    })
}

/// The last entry that a run loses.
fn last_of(run: &BadRun) -> Index {
    run.next.map_or(run.first, |next| Index(next.index.0 - 1))
}

/// Behind this nothing was acknowledged: exact where the last head that was synced is proven.
fn end(walk: &Walk, runs: &[&BadRun], first: Index, term: Term) -> LogEnd {
    // Acknowledgements are a prefix: they end before what was never written.
    let torn = runs.iter().find(|run| run.torn && run.first > first);
    let last = torn.map_or(walk.last().index, |run| Index(run.first.0 - 1));
    if let (None, Some((blocks, false))) = (torn, walk.bad_end()) {
        // Each entry takes a block at least.
        return LogEnd { term, index: Index(last.0 + blocks) };
    }
    let has_lost = |run: &&BadRun| run.body_only.is_none() && (run.first..=last_of(run)).contains(&last);
    match walk.link_at(last) {
        Some(link) if !runs.iter().any(has_lost) => LogEnd { term: link.term, index: last },
        _ => LogEnd { term, index: last },
    }
}

/// The first bad entry, when its head is whole.
fn hidden(walk: &Walk, runs: &[&BadRun], first: Index) -> Hidden {
    let whole = runs.first().filter(|run| run.body_only.is_some() && run.first == first);
    let link = whole.and_then(|_| walk.link_at(first));
    link.map_or(Hidden::default(), |link| Hidden { term: link.term, checksum: link.checksum })
}
