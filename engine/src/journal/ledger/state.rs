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
use crate::partition::fold_bytes::Taking;
use crate::raft::{Change, Membership};

/// Of the length before the fold.
const SIZE_BYTES: usize = 4;

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
        self.encode_rest(&mut to);
        to
    }

    /// Begins the checkpoint at a segment's last entry, where producers that are silent for too long go.
    pub fn begin_checkpoint(&mut self) -> Taking {
        Taking::new(&mut self.fold, vec![0; SIZE_BYTES])
    }

    /// Its body, when the last step is done.
    pub fn end_checkpoint(&self, taking: Taking) -> Vec<u8> {
        let mut to = taking.finish();
        let bytes = u32::try_from(to.len() - SIZE_BYTES).expect("below 4 GiB");
        to[..SIZE_BYTES].copy_from_slice(&bytes.to_le_bytes());
        self.encode_rest(&mut to);
        to
    }

    /// What stands behind the fold.
    fn encode_rest(&self, to: &mut Vec<u8>) {
        if let Some(meta) = &self.meta {
            to.sized(&meta.encode());
        }
        if self.members != self.first_members {
            to.sized(&self.members.encode());
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Offset, RaftId};
    use crate::journal::samples::{PARTITION, batches, change, head, opening, record};

    const ADD: Change = Change::AddLearner(RaftId(2));

    fn applied() -> State {
        let mut state = State::new(&record(&[1]));
        let log =
            [opening(Index(1), Term(1)), batches(Index(2), Term(1), 0, 10), change(Index(3), Term(2), ADD)];
        for head in &log {
            let (header, bytes) = head.known().expect("it is not lost");
            state.apply(header, bytes).expect("it is understood");
        }
        state
    }

    #[test]
    fn a_body_gives_back_the_fold_and_members_that_changed() {
        let state = applied();
        let read = State::decode(&record(&[1]), &state.encode()).expect("a body");
        assert_eq!((read.fold.applied, &read.members), (Index(3), &state.members));
        assert_eq!(read.fold.partition(PARTITION).map(|one| one.next_offset), Some(Offset(10)));
        let body = state.encode();
        assert!(
            (0..body.len())
                .all(|end| State::decode(&record(&[1]), &body[..end]).is_err() || end == fold_end(&body))
        );
        let long = [&body[..], &[0]].concat();
        assert!(State::decode(&record(&[1]), &long).is_err());
    }

    /// A body that ends there is that of a journal whose members never changed.
    fn fold_end(body: &[u8]) -> usize {
        SIZE_BYTES + u32::from_le_bytes(body[..SIZE_BYTES].try_into().expect("four")) as usize
    }

    #[test]
    fn in_steps_the_body_is_the_same() {
        let mut state = applied();
        let mut taking = state.begin_checkpoint();
        while !taking.step(&mut state.fold) {}
        assert_eq!(state.end_checkpoint(taking), state.encode());
    }

    #[test]
    fn what_is_not_understood_changes_nothing() {
        let mut state = applied();
        let before = state.encode();
        let newer = head(4, 2, EntryKind::Membership, 1, b"\x09\0");
        let twice = change(Index(4), Term(2), ADD);
        for head in [newer, twice] {
            let (header, bytes) = head.known().expect("it is not lost");
            assert!(state.apply(header, bytes).is_err());
            assert_eq!(state.encode(), before);
        }
    }
}
