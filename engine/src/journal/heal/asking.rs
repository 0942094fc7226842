//! A doubt is settled: the voters are asked what they have, and a leader's log is caught up with.
//!
//! ```text
//! start in doubt ─▶ no leader heard: term + 1, durable ─▶ ask all voters, again and again
//!      every voter without it, or heard ─▶ the end that counts is lower, or this log is whole
//!      a leader, elected with that end counted ─▶ its entries ─▶ this log reaches the end
//! ```
//! What an answer says stays true of what was acknowledged in the terms up to the one that this life
//! began with: an answerer that has made a later one durable acknowledges nothing of those any more.

use crate::clock::Now;
use crate::ids::{LogEnd, RaftId, Term};
use crate::peer::doubt::Answer;
use crate::rng::mix;
use std::collections::BTreeMap;

/// The questions of one life of a replica.
#[derive(Debug)]
pub struct Asking {
    /// Names this life.
    pub(in crate::journal) nonce: u64,
    /// The term that it began with: answers count that are of a later one.
    pub(in crate::journal) began_in: Term,
    pub(in crate::journal) answers: BTreeMap<RaftId, Answer>,
    pub(in crate::journal) asked_ns: u64,
    /// A leader was heard last, or this life began.
    pub(in crate::journal) heard_ns: u64,
    /// Where a leader's log ended when it was asked, and in which term.
    pub(in crate::journal) leader_end: Option<(Term, LogEnd)>,
}

impl Asking {
    pub fn new(seed: u64, began_in: Term, now: Now) -> Self {
        Self {
            nonce: mix(seed ^ 0x0064_6f75_6274),
            began_in,
            answers: BTreeMap::new(),
            asked_ns: 0,
            heard_ns: now.mono_ns,
            leader_end: None,
        }
    }
}
