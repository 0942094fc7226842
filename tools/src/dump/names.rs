//! The cluster's metadata as the meta journal's files tell it, and topics' names from it.

use super::journal::{Journal, Segment};
use super::scan::{Entry, Scanner, Step};
use super::source::Source;
use super::trouble::Trouble;
use engine::codec::Reader;
use engine::control::config::Statics;
use engine::control::{Command, MetaState, View, ViewBuilder};
use engine::entry::EntryKind;
use engine::ids::{Index, META_JOURNAL, PartitionId};
use engine::journal::format::checkpoint_file::Checkpoint;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What is known of names; nothing where the meta journal is not at hand.
pub struct Names(Option<Arc<View>>);

impl Names {
    /// Reads the meta journal: its newest good checkpoint and the good entries behind it.
    pub fn read(source: &Source) -> Result<Self, Trouble> {
        Self::read_to(source, Index(u64::MAX))
    }

    /// What is known to be committed of it: later ones may never have been carried out.
    pub fn committed(source: &Source) -> Result<Self, Trouble> {
        match meta_journal(source) {
            Some(journal) => {
                // What a replica without peers has on its disk is committed.
                let synced = journal.hard_state.and_then(|read| read.newest).filter(|_| journal.is_lone);
                let synced = synced.map_or(Index::NONE, |state| state.synced.index);
                Self::read_to(source, known_commit(journal)?.max(synced))
            }
            None => Ok(Self(None)),
        }
    }

    fn read_to(source: &Source, to: Index) -> Result<Self, Trouble> {
        let Some(journal) = meta_journal(source) else { return Ok(Self(None)) };
        let mut state = newest_checkpoint(journal)?.unwrap_or_default();
        for segment in &journal.segments {
            good_entries(journal, segment, |entry| {
                let header = entry.header();
                let is_next = header.index() > state.applied() && header.index() <= to;
                if header.kind() != Some(EntryKind::Meta) || !is_next {
                    return Ok(());
                }
                apply(&mut state, header.index(), entry.items())
                    .map_err(|text| Trouble::unreadable(&segment.path, text))
            })?;
        }
        Ok(Self(Some(ViewBuilder::new(Statics::default()).view(&state))))
    }

    /// No names at all.
    pub fn none() -> Self {
        Self(None)
    }

    pub fn view(&self) -> Option<&View> {
        self.0.as_deref()
    }

    /// `topic-number`, as Kafka writes a partition's name.
    pub fn topic_partition(&self, partition: PartitionId) -> Option<String> {
        let at = self.0.as_ref()?.partitions.get(&partition)?;
        Some(format!("{}-{}", at.topic, at.number))
    }

    /// For a sentence: the name where there is one, and the id that rows have.
    pub fn partition(&self, id: PartitionId) -> String {
        match self.topic_partition(id) {
            Some(name) => format!("{name} (partition {id})"),
            None => format!("partition {id}"),
        }
    }

    /// The ids of a topic's partitions, or of one of them.
    pub fn partitions_of(&self, topic: &str, number: Option<u64>) -> Result<BTreeSet<PartitionId>, Trouble> {
        let view = self.view().ok_or_else(|| {
            Trouble::Usage("--topic needs the data folder: names are in the meta journal".to_owned())
        })?;
        let found = view.topics.get(topic);
        let found = found.ok_or_else(|| Trouble::Usage(format!("there is no topic '{topic}'")))?;
        let wanted = |at: &u64| number.is_none_or(|number| number == *at);
        let ids: BTreeSet<_> =
            (0..).zip(&found.partitions).filter(|(at, _)| wanted(at)).map(|(_, part)| part.id).collect();
        if ids.is_empty() {
            let text = format!("topic '{topic}' has {} partitions", found.partitions.len());
            return Err(Trouble::Usage(text));
        }
        Ok(ids)
    }
}

fn meta_journal(source: &Source) -> Option<&Journal> {
    source.journals.iter().find(|journal| journal.id() == META_JOURNAL)
}

/// The good entries of a segment; what is bad is told by whoever shows or judges it.
fn good_entries(
    journal: &Journal,
    segment: &Segment,
    mut visit: impl FnMut(&Entry<'_>) -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    let Some(bytes) = segment.open()? else { return Ok(()) };
    let mut scanner = Scanner::new(&bytes, journal.identity, segment.base, false);
    while let Some(step) = scanner.step() {
        match step {
            Step::Entry(entry) => visit(&entry)?,
            Step::Unreadable(text) => return Err(Trouble::unreadable(&segment.path, text)),
            Step::Gap { .. } | Step::Tail { .. } => {}
        }
    }
    Ok(())
}

/// The highest commit that a journal's files know: the hard state's, the entries', the sealed segments'.
pub fn known_commit(journal: &Journal) -> Result<Index, Trouble> {
    let state = journal.hard_state.and_then(|read| read.newest);
    let mut commit = state.map_or(Index::NONE, |state| state.commit);
    for segment in &journal.segments {
        let mut last = Index::NONE;
        good_entries(journal, segment, |entry| {
            commit = commit.max(Index(entry.header().commit.get()));
            last = entry.header().index();
            Ok(())
        })?;
        if segment.is_sealed() || journal.dir.is_none() {
            commit = commit.max(last);
        }
    }
    Ok(commit)
}

fn newest_checkpoint(journal: &Journal) -> Result<Option<MetaState>, Trouble> {
    let mut newest: Option<MetaState> = None;
    for path in journal.checkpoints.iter().map(|(_, path)| path).chain(&journal.local_checkpoint) {
        let Ok(bytes) = std::fs::read(path) else { continue };
        let Ok(checkpoint) = Checkpoint::decode("", &bytes, &journal.identity) else { continue };
        let state = meta_of(&checkpoint.body).map_err(|text| Trouble::unreadable(path, text))?;
        if newest.as_ref().is_none_or(|newest| newest.applied() < state.applied()) {
            newest = Some(state);
        }
    }
    Ok(newest)
}

/// The metadata in the meta journal's checkpoint: behind the fold.
fn meta_of(body: &[u8]) -> Result<MetaState, String> {
    let mut from = Reader(body);
    from.sized().map_err(|error| error.to_string())?;
    let meta = from.sized().map_err(|error| error.to_string())?;
    MetaState::decode(meta).map_err(|error| error.to_string())
}

/// The commands of a meta entry.
pub fn commands(items: &[u8]) -> Result<Vec<Command>, String> {
    let mut from = Reader(items);
    let mut commands = Vec::new();
    while !from.is_empty() {
        let bytes = from.sized().map_err(|error| error.to_string())?;
        commands.push(Command::decode(bytes).map_err(|error| error.to_string())?);
    }
    Ok(commands)
}

fn apply(state: &mut MetaState, index: Index, items: &[u8]) -> Result<(), String> {
    for command in commands(items)? {
        // A refused command changes nothing; its proposer was told.
        let _ = state.apply(index, &command);
    }
    Ok(())
}
