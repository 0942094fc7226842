//! A journal whose covering checkpoints are all bad cannot be opened: its entries are there, and what
//! those before them added up to is not. With peers it gets a checkpoint from one of them.
//!
//! ```text
//! ask each node for each checkpoint that ends a segment here ─▶ pieces ─▶ prove ─▶ recover anew
//!        └── none has one: whoever leads offers the start of its log, which begins behind all that is here
//! ```
//! Meanwhile the journal takes part in nothing. Any replica that is open may give.

use super::incoming::{Incoming, NoRoom, Reserved};
use crate::clock::Now;
use crate::ids::{Index, NodeId};
use crate::journal::format::checkpoint_file::Checkpoint;
use crate::journal::format::install_file::Install;
use crate::journal::format::meta_record::JournalMeta;
use crate::journal::ledger::state::State;
use crate::peer::PeerMessage;
use crate::peer::install::{InstallMessage, Offer, PIECE_BYTES_MAX};
use core::time::Duration;
use std::rc::Rc;

/// A piece that did not come in this time is asked for again, or another node is asked.
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// Once a piece came the same node is asked so often for the next.
const QUESTIONS_MAX: u32 = 5;
/// Of the newest segments: a node that lacks their checkpoints has sealed none of them yet.
const NEWEST: usize = 4;

/// What may be missing, as recovery saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoCheckpoint {
    pub meta: JournalMeta,
    /// First entries of the segments that are there, ascending.
    pub bases: Vec<Index>,
    /// How many checkpoints are there and bad.
    pub bad: u32,
}

/// Where a checkpoint comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Source {
    node: NodeId,
    last: Index,
    /// It takes the place of all that is here.
    install: Option<Install>,
}

/// A checkpoint that proved good.
#[derive(Debug)]
pub struct Fetched {
    pub last: Index,
    pub file: Vec<u8>,
    pub install: Option<Install>,
    _reserved: Reserved,
}

/// The search of one journal.
#[derive(Debug)]
pub struct CheckpointFetch {
    missing: NoCheckpoint,
    sources: Vec<Source>,
    /// The source that is asked now.
    at: usize,
    nodes: Vec<NodeId>,
    file: Vec<u8>,
    /// Its whole length, once its head is here.
    whole: Option<(u64, Reserved)>,
    asked_ns: Option<u64>,
    questions: u32,
    incoming: Rc<Incoming>,
}

/// What follows from a message.
#[derive(Debug)]
pub enum Next {
    Nothing,
    Ask(NodeId, PeerMessage),
    Whole(Fetched),
    /// The file is longer than this shard may hold.
    TooLong {
        bytes: u64,
        bytes_max: u64,
    },
}

impl CheckpointFetch {
    /// `nodes` have the other replicas.
    pub fn new(missing: NoCheckpoint, nodes: Vec<NodeId>, incoming: Rc<Incoming>) -> Self {
        let lasts = || missing.bases.iter().map(|base| Index(base.0 - 1)).filter(|last| *last > Index::NONE);
        let mut wanted: Vec<Index> = lasts().rev().take(NEWEST).collect();
        wanted.extend(lasts().next().filter(|first| !wanted.contains(first)));
        let of_node = |last: Index| nodes.iter().map(move |node| Source { node: *node, last, install: None });
        let sources = wanted.into_iter().flat_map(of_node).collect();
        let (file, whole) = (Vec::new(), None);
        Self { missing, sources, at: 0, nodes, file, whole, asked_ns: None, questions: 0, incoming }
    }

    /// About every 10 ms: what is asked now.
    pub fn tick(&mut self, now: Now) -> Vec<(NodeId, PeerMessage)> {
        let asked_ns = self.asked_ns.map(|asked_ns| asked_ns + ASK_AGAIN.as_nanos() as u64);
        if asked_ns.is_some_and(|due_ns| now.mono_ns < due_ns) {
            return Vec::new();
        }
        let mut messages = Vec::new();
        if self.asked_ns.is_some() && (self.file.is_empty() || self.questions >= QUESTIONS_MAX) {
            self.pass_on();
            if self.at == 0 {
                messages.extend(self.ask_for_offers());
            }
        }
        messages.extend(self.ask(now));
        messages
    }

    /// Whoever leads and has deleted this entry offers what its log begins behind.
    fn ask_for_offers(&self) -> impl Iterator<Item = (NodeId, PeerMessage)> + '_ {
        let index = self.last_base();
        let journal = self.missing.meta.journal;
        self.nodes.iter().map(move |node| (*node, PeerMessage::Read { journal, index, checksum: 0 }))
    }

    fn last_base(&self) -> Index {
        self.missing.bases.last().copied().unwrap_or(Index(1))
    }

    fn pass_on(&mut self) {
        self.at = if self.at + 1 < self.sources.len() { self.at + 1 } else { 0 };
        self.forget();
    }

    fn forget(&mut self) {
        (self.file, self.whole, self.questions) = (Vec::new(), None, 0);
    }

    fn ask(&mut self, now: Now) -> Option<(NodeId, PeerMessage)> {
        let source = self.sources.get(self.at)?;
        self.asked_ns = Some(now.mono_ns);
        self.questions += 1;
        let message = InstallMessage::Read { last: source.last, position: self.file.len() as u64 };
        Some((source.node, PeerMessage::Install { journal: self.missing.meta.journal, message }))
    }

    /// A leader's log begins behind a checkpoint.
    pub fn offered(&mut self, from: NodeId, offer: &Offer) {
        let last = offer.last;
        // All that is here lies in segments that begin at or below the last one there was: a log that begins
        // behind that holds none of it, and what was committed of it is in the checkpoint.
        let covers_all = last >= self.last_base();
        let is_wanted = offer.to == self.missing.meta.raft_id && covers_all && self.file.is_empty();
        let known = self.sources.iter().any(|source| source.last == last && source.node == from);
        if !is_wanted || known {
            return;
        }
        let (term, checksum) = (offer.last_term, offer.checksum);
        let install = Some(Install { last, term, checksum, keeps: false });
        self.sources.retain(|source| source.install.is_none());
        self.sources.push(Source { node: from, last, install });
    }

    /// A piece of a checkpoint came.
    pub fn piece(&mut self, from: NodeId, (last, position): (Index, u64), bytes: &[u8], now: Now) -> Next {
        let Some(source) = self.sources.get(self.at).copied() else { return Next::Nothing };
        let is_next = (from, last, position) == (source.node, source.last, self.file.len() as u64);
        if !is_next || bytes.is_empty() || bytes.len() > PIECE_BYTES_MAX {
            return Next::Nothing;
        }
        if self.whole.is_none() {
            let length = Checkpoint::file_bytes(bytes, &self.missing.meta.identity());
            match length.map(|bytes| (bytes, self.incoming.reserve(bytes))) {
                Some((length, Ok(reserved))) => self.whole = Some((length, reserved)),
                Some((bytes, Err(NoRoom::Ever { bytes_max }))) => {
                    self.pass_on();
                    return Next::TooLong { bytes, bytes_max };
                }
                // Asked again when what is under way has come.
                Some((_, Err(NoRoom::Now))) => return Next::Nothing,
                None => return self.go_on(now),
            }
        }
        let length = self.whole.as_ref().map_or(0, |(length, _)| *length);
        self.file.extend_from_slice(bytes);
        self.questions = 0;
        if (self.file.len() as u64) < length {
            return self.ask(now).map_or(Next::Nothing, |(node, message)| Next::Ask(node, message));
        }
        let whole = self.whole.take();
        let file = core::mem::take(&mut self.file);
        match whole {
            Some((_, reserved)) if self.is_good(&file, last) => {
                Next::Whole(Fetched { last, file, install: source.install, _reserved: reserved })
            }
            _ => self.go_on(now),
        }
    }

    /// This source has no good one.
    fn go_on(&mut self, now: Now) -> Next {
        self.pass_on();
        self.ask(now).map_or(Next::Nothing, |(node, message)| Next::Ask(node, message))
    }

    fn is_good(&self, file: &[u8], last: Index) -> bool {
        let meta = &self.missing.meta;
        Checkpoint::decode("checkpoint", file, &meta.identity()).is_ok_and(|checkpoint| {
            let state = State::decode(meta, &checkpoint.body);
            checkpoint.last == last && state.is_ok_and(|state| state.fold.applied == last)
        })
    }
}

#[cfg(test)]
#[path = "checkpoint_fetch_tests.rs"]
mod tests;
