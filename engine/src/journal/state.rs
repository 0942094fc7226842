//! What a journal's committed entries add up to: the fold, and in the meta journal the cluster's
//! metadata beside it.

use crate::codec::{Reader, Write};
use crate::control::{Command, CommandError, MetaState, Outcome};
use crate::entry::item::Item;
use crate::entry::layout::HEADER_BYTES;
use crate::entry::{EntryHeader, EntryKind};
use crate::ids::{Index, JournalId, META_JOURNAL, Term};
use crate::partition::Fold;

/// Committed state up to `fold.applied`.
#[derive(Clone, Debug)]
pub struct State {
    pub fold: Fold,
    /// Only in the meta journal.
    pub meta: Option<MetaState>,
}

/// What one entry brought.
#[derive(Debug, Default)]
pub struct Applied {
    pub items: Vec<Item>,
    /// One per command, in order.
    pub outcomes: Vec<Result<Outcome, CommandError>>,
}

impl State {
    /// Before the first entry.
    pub fn new(journal: JournalId) -> Self {
        let meta = (journal == META_JOURNAL).then(MetaState::default);
        Self { fold: Fold::default(), meta }
    }

    /// Folds the next committed entry.
    pub fn apply(&mut self, header: &EntryHeader, head: &[u8]) -> Result<Applied, String> {
        let items = self.fold.apply(header, head).map_err(|error| error.to_string())?;
        let mut outcomes = Vec::new();
        if header.kind() == Some(EntryKind::Meta) {
            let meta = self.meta.as_mut().ok_or("a command outside the meta journal")?;
            for command in decode_commands(&head[HEADER_BYTES..])? {
                outcomes.push(meta.apply(header.index(), &command));
            }
        }
        Ok(Applied { items, outcomes })
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
        to
    }

    pub fn decode(journal: JournalId, body: &[u8]) -> Result<Self, String> {
        let mut from = Reader(body);
        let fold = from.sized().map_err(|error| format!("checkpoint body {error}"))?;
        let fold = Fold::decode(fold).map_err(|error| error.to_string())?;
        let meta = if journal == META_JOURNAL {
            let meta = from.sized().map_err(|error| format!("checkpoint body {error}"))?;
            Some(MetaState::decode(meta).map_err(|error| error.to_string())?)
        } else {
            None
        };
        if from.is_empty() { Ok(Self { fold, meta }) } else { Err("checkpoint body is too long".into()) }
    }
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
