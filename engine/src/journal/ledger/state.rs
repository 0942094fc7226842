//! What a journal's committed entries add up to: the fold, and in the meta journal the cluster's
//! metadata beside it.

use crate::codec::{Reader, Write};
use crate::control::{Command, CommandError, MetaState, Outcome};
use crate::entry::item::Item;
use crate::entry::layout::HEADER_BYTES;
use crate::entry::{EntryHeader, EntryKind};
use crate::ids::{Index, META_JOURNAL, Term};
use crate::journal::format::meta_record::JournalMeta;
use crate::partition::Fold;
use crate::raft::{Change, Membership};

/// Committed state up to `fold.applied`.
#[derive(Clone, Debug)]
pub struct State {
    pub fold: Fold,
    /// Only in the meta journal.
    pub meta: Option<MetaState>,
    pub members: Membership,
    /// The members before any change: a checkpoint says nothing of them.
    first_members: Membership,
}

/// What one entry brought.
#[derive(Debug, Default)]
pub struct Applied {
    pub items: Vec<Item>,
    /// One per command, in order.
    pub outcomes: Vec<Result<Outcome, CommandError>>,
    pub change: Option<Change>,
}

impl State {
    /// Before the first entry.
    pub fn new(record: &JournalMeta) -> Self {
        let meta = (record.journal == META_JOURNAL).then(MetaState::default);
        let members = Membership::first(&record.voters);
        Self { fold: Fold::default(), meta, first_members: members.clone(), members }
    }

    /// Folds the next committed entry. One that cannot be decoded changes nothing.
    pub fn apply(&mut self, header: &EntryHeader, head: &[u8]) -> Result<Applied, String> {
        let Decoded { commands, change } = decode(header, head)?;
        if !commands.is_empty() && self.meta.is_none() {
            return Err("a command outside the meta journal".into());
        }
        if let Some(change) = change {
            let index = header.index();
            let wrong = || format!("entry {index}: {change:?} does not fit the members {:?}", self.members);
            self.members = self.members.changed(change).ok_or_else(wrong)?;
        }
        let items = self.fold.apply(header, head).map_err(|error| error.to_string())?;
        let mut outcomes = Vec::new();
        if let Some(meta) = &mut self.meta {
            if items.iter().any(|item| matches!(item, Item::LossAccepted { .. })) {
                meta.skip_lost_numbers();
            }
            outcomes.extend(commands.iter().map(|command| meta.apply(header.index(), command)));
        }
        Ok(Applied { items, outcomes, change })
    }

    /// Passes over an entry that is lost.
    pub fn skip_lost(&mut self, index: Index, term: Option<Term>) {
        self.fold.skip_lost(index, term);
    }

    /// A checkpoint's body.
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Vec::new();
        to.sized(&self.fold.encode());
        if let Some(meta) = &self.meta {
            to.sized(&meta.encode());
        }
        if self.members != self.first_members {
            to.sized(&self.members.encode());
        }
        to
    }

    pub fn decode(record: &JournalMeta, body: &[u8]) -> Result<Self, String> {
        let (journal, first) = (record.journal, Membership::first(&record.voters));
        let mut from = Reader(body);
        let fold = from.sized().map_err(|error| format!("checkpoint body {error}"))?;
        let fold = Fold::decode(fold).map_err(|error| error.to_string())?;
        let meta = if journal == META_JOURNAL {
            let meta = from.sized().map_err(|error| format!("checkpoint body {error}"))?;
            Some(MetaState::decode(meta).map_err(|error| error.to_string())?)
        } else {
            None
        };
        let mut members = first.clone();
        if !from.is_empty() {
            let changed = from.sized().map_err(|error| format!("checkpoint body {error}"))?;
            members = Membership::decode(changed)?;
        }
        let state = Self { fold, meta, members, first_members: first };
        if from.is_empty() { Ok(state) } else { Err("checkpoint body is too long".into()) }
    }
}

/// What an entry says to the state beside the fold.
struct Decoded {
    commands: Vec<Command>,
    change: Option<Change>,
}

fn decode(header: &EntryHeader, head: &[u8]) -> Result<Decoded, String> {
    let said = &head[HEADER_BYTES..];
    let mut decoded = Decoded { commands: Vec::new(), change: None };
    match header.kind() {
        Some(EntryKind::Meta) => decoded.commands = decode_commands(said)?,
        Some(EntryKind::Membership) => decoded.change = Some(Change::decode(said)?),
        Some(EntryKind::Control) => drop(Item::decode_all(said).map_err(|error| error.to_string())?),
        _ => {}
    }
    Ok(decoded)
}

/// Whether this program understands what an entry says, given its head: a newer one may have written it.
/// Whoever does not understand it may keep it, but does not know what follows from it.
pub fn is_understood(header: &EntryHeader, head: &[u8]) -> bool {
    decode(header, head).is_ok()
}

/// The commands of a meta entry, each with its length before it.
pub fn decode_commands(items: &[u8]) -> Result<Vec<Command>, String> {
    let mut from = Reader(items);
    let mut commands = Vec::new();
    while !from.is_empty() {
        let bytes = from.sized().map_err(|error| format!("command {error}"))?;
        commands.push(Command::decode(bytes).map_err(|error| error.to_string())?);
    }
    Ok(commands)
}
