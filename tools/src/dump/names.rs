//! The cluster's metadata as the meta journal's files tell it, and topics' names from it.

use super::source::{Journal, Source};
use super::trouble::Trouble;
use engine::codec::Reader;
use engine::control::config::Statics;
use engine::control::{Command, MetaState, View, ViewBuilder};
use engine::entry::EntryKind;
use engine::ids::{Index, META_JOURNAL, PartitionId};
use engine::journal::checkpoint_file::Checkpoint;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

/// What is known of names; nothing where the meta journal is not at hand.
pub struct Names(Option<Arc<View>>);

impl Names {
    /// Reads the meta journal: its newest good checkpoint and the entries behind it.
    pub fn read(source: &Source) -> Result<Self, Trouble> {
        let Some(journal) = source.journals.iter().find(|journal| journal.id() == META_JOURNAL) else {
            return Ok(Self(None));
        };
        let mut state = newest_checkpoint(journal)?.unwrap_or_default();
        for segment in &journal.segments {
            let _ = super::walk::segment_entries(source, journal, segment, false, &mut |_, _, entry| {
                let header = entry.header();
                if header.kind() == Some(EntryKind::Meta) && header.index() > state.applied() {
                    apply(&mut state, header.index(), entry.items())
                        .map_err(|text| Trouble::unreadable(&segment.path, text))?;
                }
                Ok(ControlFlow::Continue(()))
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
