//! A doubt: entries that this replica may have acknowledged and cannot show any more.
//!
//! ```text
//! good ... good | bad  bad  bad | never written
//!          good ┘ first         └ end (U)
//! ```
//! An entry above every bound that cannot be read was either never synced, or it was, and
//! acknowledged, and the disk lies now. Until that is settled the replica counts as one whose log
//! ends at `end`, though it can show no more than up to `good`: it grants votes as that log would
//! ([`crate::raft`], `floor`), and stands for no election. What was lost is never taken from another
//! replica's word alone: it comes back as any entry does, from a leader that was elected with that end
//! counted, and so has everything that was committed.
//!
//! Judged here, and asked for in [`super::asking`]: what the voters' answers come to.

use crate::ids::{LogEnd, RaftId};
use crate::journal::format::doubt_record::Doubt;
use crate::peer::doubt::{Answer, Voters};
use std::collections::{BTreeMap, BTreeSet};

/// What the answers so far come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judged {
    /// More must be heard.
    Open,
    /// Whole logs without the first bad entry meet every majority: it was never committed, nor was what
    /// followed it.
    NoMajorityHad,
    /// Every voter was heard. With fewer rotten disks than a majority whatever was committed is in one of
    /// their logs, and none ends further on than here.
    End(LogEnd),
}

/// Judges by the answers of this life, by who gave them. `own` are the members that the own log names.
pub fn judge(doubt: &Doubt, asker: RaftId, own: &[Voters], answers: &BTreeMap<RaftId, Answer>) -> Judged {
    let all = named(own, answers);
    let is_clean_without = |id: RaftId| {
        answers.get(&id).is_some_and(|answer| answer.floor.is_none() && doubt.is_without(answer.held))
    };
    if all.iter().all(|voters| voters.are_met_by(is_clean_without)) {
        return Judged::NoMajorityHad;
    }
    let mut others = all.iter().flat_map(Voters::ids).filter(|id| *id != asker);
    if others.all(|id| answers.contains_key(&id)) {
        let end = answers.values().map(|answer| answer.end).max();
        return Judged::End(end.unwrap_or_default());
    }
    Judged::Open
}

/// All voters that any log heard of names: those that are asked.
pub fn voters(own: &[Voters], answers: &BTreeMap<RaftId, Answer>) -> BTreeSet<RaftId> {
    named(own, answers).iter().flat_map(Voters::ids).collect()
}

fn named(own: &[Voters], answers: &BTreeMap<RaftId, Answer>) -> Vec<Voters> {
    own.iter().chain(answers.values().flat_map(|answer| &answer.voters)).cloned().collect()
}

#[cfg(test)]
#[path = "doubt_tests.rs"]
mod tests;
