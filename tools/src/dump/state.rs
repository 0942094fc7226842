//! `hard-state` and `checkpoint`: what a journal keeps beside its segments.

use super::filter::Filter;
use super::journal::{Journal, file_name};
use super::names::Names;
use super::out::{Out, Row};
use super::source::Source;
use super::trouble::{Trouble, exit};
use crate::row;
use engine::codec::Reader;
use engine::disk::BLOCK;
use engine::folder;
use engine::framing::FormatFault;
use engine::journal::format::checkpoint_file::Checkpoint;
use engine::journal::format::hard_state::{HARD_STATE_BYTES, HardState, HardStateRead};
use engine::partition::Fold;
use std::path::Path;

pub fn hard_state(source: &Source, out: &mut Out<'_>) -> Result<(), Trouble> {
    for journal in &source.journals {
        let Some(dir) = &journal.dir else {
            return Err(Trouble::Usage(
                "a segment file alone has no hard state: give the journal's folder".into(),
            ));
        };
        let path = dir.join(folder::HARD_STATE);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Trouble::unreadable(&path, error)),
        };
        let newest = journal.hard_state.and_then(|read| read.newest);
        for position in (0..HARD_STATE_BYTES).step_by(BLOCK) {
            let copy = one_copy(&bytes, position, journal);
            out.row(copy_row(journal, position, &copy, newest))?;
        }
    }
    Ok(())
}

/// One block judged alone, in its place.
fn one_copy(bytes: &[u8], position: usize, journal: &Journal) -> HardStateRead {
    let mut alone = vec![0; HARD_STATE_BYTES];
    let copy = bytes.get(position..position + BLOCK).unwrap_or_default();
    alone[position..position + copy.len()].copy_from_slice(copy);
    HardState::read("", &alone, &journal.identity).unwrap_or_default()
}

fn copy_row(journal: &Journal, position: usize, copy: &HardStateRead, newest: Option<HardState>) -> Row {
    let state = copy.newest;
    let doubt = state.and_then(|state| state.doubt);
    let status = match (state, copy) {
        (None, copy) if copy.bad_copies > 0 => "bad",
        (None, _) => "unwritten",
        (state, _) if state == newest => "newest",
        _ => "older",
    };
    row! {
        "journal" => journal.id().0,
        "file" => folder::HARD_STATE,
        "position" => position,
        "status" => status,
        "generation" => state.map(|state| state.generation),
        "term" => state.map(|state| state.term.0),
        "vote" => state.map(|state| state.vote.0),
        "commit" => state.map(|state| state.commit.0),
        "synced_index" => state.map(|state| state.synced.index.0),
        "synced_term" => state.map(|state| state.synced.term.0),
        "synced_checksum" => state.map(|state| format!("{:08x}", state.synced.checksum)),
        "opened" => state.map(|state| state.opened),
        "doubt_good" => doubt.map(|doubt| doubt.good.index.0),
        "doubt_end" => doubt.map(|doubt| doubt.end.index.0),
        "doubt_end_term" => doubt.map(|doubt| doubt.end.term.0),
        "doubt_segment" => doubt.map(|doubt| doubt.place.segment.0),
        "doubt_position" => doubt.map(|doubt| doubt.place.position),
        "doubt_bytes" => doubt.map(|doubt| doubt.place.bytes),
    }
}

/// A checkpoint's file, framing and fold checked.
pub fn read_checkpoint(path: &Path, journal: &Journal) -> Result<(Checkpoint, Fold), CheckpointFault> {
    let unreadable = |error: std::io::Error| CheckpointFault::Bad { position: 0, text: error.to_string() };
    let bytes = std::fs::read(path).map_err(unreadable)?;
    let checkpoint = Checkpoint::decode(&file_name(path), &bytes, &journal.identity).map_err(|error| {
        match error.fault {
            FormatFault::Newer { .. } => CheckpointFault::Newer(error.fault.to_string()),
            fault => CheckpointFault::Bad { position: fault.position(), text: fault.to_string() },
        }
    })?;
    let bad = |error: &dyn std::fmt::Display| CheckpointFault::Bad {
        position: BLOCK as u64,
        text: error.to_string(),
    };
    let fold = Reader(&checkpoint.body).sized().map_err(|error| bad(&error))?.to_vec();
    let fold = Fold::decode(&fold).map_err(|error| bad(&error))?;
    Ok((checkpoint, fold))
}

#[derive(Debug)]
pub enum CheckpointFault {
    Newer(String),
    Bad { position: u64, text: String },
}

/// Gives the exit code that the checkpoints come to.
pub fn checkpoint(source: &Source, filter: &Filter, names: &Names, out: &mut Out<'_>) -> Result<u8, Trouble> {
    let mut code = exit::CLEAN;
    for journal in &source.journals {
        for path in journal.checkpoints.iter().map(|(_, path)| path).chain(&journal.local_checkpoint) {
            match read_checkpoint(path, journal) {
                Ok((checkpoint, fold)) => {
                    out.row(checkpoint_row(journal, path, &checkpoint, &fold))?;
                    partition_rows(journal, path, &fold, filter, names, out)?;
                }
                // Replaced by a newer one since it was listed.
                Err(_) if source.is_live && !path.exists() => {}
                Err(CheckpointFault::Newer(text)) => return Err(Trouble::unreadable(path, text)),
                Err(CheckpointFault::Bad { text, .. }) => {
                    code = exit::DAMAGE;
                    let file = file_name(path);
                    out.row(row! { "journal" => journal.id().0, "file" => file, "status" => text })?;
                }
            }
        }
    }
    Ok(code)
}

fn checkpoint_row(journal: &Journal, path: &Path, checkpoint: &Checkpoint, fold: &Fold) -> Row {
    row! {
        "journal" => journal.id().0,
        "file" => file_name(path),
        "status" => "good",
        "last" => checkpoint.last.0,
        "term" => checkpoint.term.0,
        "body_bytes" => checkpoint.body.len(),
        "partitions" => fold.len(),
        "terms" => fold.terms().len(),
    }
}

fn partition_rows(
    journal: &Journal,
    path: &Path,
    fold: &Fold,
    filter: &Filter,
    names: &Names,
    out: &mut Out<'_>,
) -> Result<(), Trouble> {
    let mut partitions: Vec<_> = fold.partitions().filter(|(id, _)| filter.takes_partition(*id)).collect();
    partitions.sort_unstable_by_key(|(id, _)| *id);
    for (id, partition) in partitions {
        out.row(row! {
            "topic" => names.topic_partition(id),
            "partition" => id.0,
            "journal" => journal.id().0,
            "file" => file_name(path),
            "log_start" => partition.log_start.0,
            "next_offset" => partition.next_offset.0,
            "epoch_base" => partition.epoch_base,
            "kept_bytes" => partition.kept_bytes,
            "sealed" => partition.sealed,
            "epochs" => partition.epochs.len(),
            "producers" => partition.producers.len(),
        })?;
    }
    Ok(())
}
