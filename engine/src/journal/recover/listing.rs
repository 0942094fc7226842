//! The files of a journal's folder.

use crate::disk::DiskErrorKind;
use crate::disk::io::Io;
use crate::folder::JournalFile;
use crate::ids::{Index, RunId};
use crate::journal::recover::recovery_error::RecoveryError;
use crate::register::Amnesia;
use std::collections::BTreeMap;

/// The files of a journal's folder.
#[derive(Default)]
pub struct Listing {
    pub segments: BTreeMap<Index, u64>,
    pub indexes: Vec<Index>,
    pub checkpoints: Vec<Index>,
    pub runs: Vec<RunId>,
    pub local_checkpoint: bool,
    pub has_meta: bool,
    pub has_hard_state: bool,
    pub has_install: bool,
}

/// Lists the folder, and removes what a crash left half-written.
pub async fn list(io: &Io, dir: &str) -> Result<Listing, RecoveryError> {
    let mut listing = Listing::default();
    let entries = match io.list(dir).await {
        Err(error) if error.kind == DiskErrorKind::NotFound => {
            return Err(RecoveryError::Amnesia(Amnesia::FolderMissing));
        }
        other => other?,
    };
    for entry in entries {
        match JournalFile::parse(&entry.name) {
            Some(JournalFile::Segment(base)) => {
                listing.segments.insert(base, entry.bytes);
            }
            Some(JournalFile::Index(base)) => listing.indexes.push(base),
            Some(JournalFile::Checkpoint(last)) => listing.checkpoints.push(last),
            Some(JournalFile::LocalCheckpoint) => listing.local_checkpoint = true,
            Some(JournalFile::Meta) => listing.has_meta = true,
            Some(JournalFile::HardState) => listing.has_hard_state = true,
            Some(JournalFile::Install) => listing.has_install = true,
            // Half-written files, and the segment prepared for later: made again when needed.
            Some(JournalFile::Temporary) => io.remove(&format!("{dir}/{}", entry.name)).await?,
            // Whether one is named the journal tells, perhaps by entries that are still to come.
            Some(JournalFile::Run(run)) => listing.runs.push(run),
            Some(JournalFile::RunPart(..) | JournalFile::Quarantine) | None => {}
        }
    }
    listing.checkpoints.sort_unstable();
    Ok(listing)
}
