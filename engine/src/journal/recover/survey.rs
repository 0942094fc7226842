//! What is there of a journal that was made here, looked at before anything of it is opened: a
//! replica of which something is missing, foreign or older than it was must not take part.
//!
//! Nothing is changed by looking. What a good folder holds is recovery's to judge.

use crate::disk::io::Io;
use crate::disk::{BLOCK, DirEntry, DiskError, DiskErrorKind};
use crate::folder::{self, JournalFile};
use crate::framing::{FormatFault, read_blocks, read_copies};
use crate::ids::{ClusterId, FileId, Index, JournalId, RaftId};
use crate::journal::format::hard_state::{HARD_STATE_BYTES, HardState};
use crate::journal::format::meta_record::JournalMeta;
use crate::register::{Amnesia, Registered, opener_of};

/// A journal's record is two blocks; what a damaged length says is not believed.
const META_BYTES_MAX: u64 = 1 << 20;

/// What the folder of a journal says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Surveyed {
    /// As `journal.meta` has it.
    pub raft_id: Option<RaftId>,
    pub lost: Option<Amnesia>,
}

/// The names in a journal's folder; none when it is not there.
pub(in crate::journal) async fn names(
    io: &Io,
    journal: JournalId,
) -> Result<Option<Vec<DirEntry>>, DiskError> {
    match io.list(&folder::journal_dir(journal)).await {
        Ok(entries) => Ok(Some(entries)),
        Err(error) if error.kind == DiskErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Looks at a journal that is to be whole; `known` is what the register says of it, if it does.
pub async fn survey(
    io: &Io,
    journal: JournalId,
    cluster: ClusterId,
    known: Option<Registered>,
) -> Result<Surveyed, DiskError> {
    let lost = |why| Ok(Surveyed { raft_id: None, lost: Some(why) });
    let Some(entries) = names(io, journal).await? else { return lost(Amnesia::FolderMissing) };
    let files: Vec<JournalFile> =
        entries.iter().filter(|entry| !entry.is_dir).filter_map(|e| JournalFile::parse(&e.name)).collect();
    if !files.contains(&JournalFile::Meta) {
        let nothing = files.iter().all(|file| *file == JournalFile::Temporary);
        return lost(if nothing { Amnesia::FolderMissing } else { Amnesia::MetaMissing });
    }
    let path = folder::journal_meta_path(journal);
    let meta = match JournalMeta::decode(&path, &read_copies(io, &path, META_BYTES_MAX).await?) {
        Ok((meta, _)) => meta,
        // Recovery refuses it by name.
        Err(error) if matches!(error.fault, FormatFault::Newer { .. }) => {
            return Ok(Surveyed { raft_id: known.map(|known| known.raft_id), lost: None });
        }
        Err(_) => return lost(Amnesia::MetaBad),
    };
    let raft_id = Some(meta.raft_id);
    let is_other = known.is_some_and(|known| known.raft_id != meta.raft_id);
    if meta.journal != journal || meta.cluster != cluster || is_other {
        return Ok(Surveyed { raft_id: None, lost: Some(Amnesia::MetaForeign) });
    }
    let lost = forgotten(io, &meta, &files, known.unwrap_or(Registered::new(meta.raft_id, 0))).await?;
    Ok(Surveyed { raft_id, lost })
}

/// What a folder with a record of its own has lost.
async fn forgotten(
    io: &Io,
    meta: &JournalMeta,
    files: &[JournalFile],
    known: Registered,
) -> Result<Option<Amnesia>, DiskError> {
    if !files.contains(&JournalFile::HardState) {
        return Ok(Some(Amnesia::HardStateMissing));
    }
    let path = folder::hard_state_path(meta.journal);
    let (file, bytes) = io.open(&path).await?;
    let bytes = read_hard_state(io, file, bytes).await;
    io.close(file).await?;
    match HardState::read(&path, &bytes, &meta.identity()) {
        // Recovery refuses it by name.
        Err(_) => return Ok(None),
        // Whether one that hides a vote matters is recovery's to say: alone, a vote counts for nothing.
        Ok(read) => {
            let opened = read.newest.map_or(0, |newest| newest.opened);
            let (replica, start) = opener_of(opened);
            if opened != 0 && replica != meta.raft_id {
                return Ok(Some(Amnesia::HardStateForeign));
            }
            if read.newest.is_some() && start < known.opened {
                return Ok(Some(Amnesia::FolderOld));
            }
        }
    }
    // What an installation begins anew it makes itself.
    let installs = files.contains(&JournalFile::Install);
    let has_segment = files.iter().any(|file| matches!(file, JournalFile::Segment(_)));
    Ok((!installs && !has_segment).then_some(Amnesia::SegmentsMissing))
}

/// The blocks of a hard state; those that are not there are as bad as those that cannot be read.
pub(in crate::journal) async fn read_hard_state(io: &Io, file: FileId, bytes: u64) -> Vec<u8> {
    let mut blocks = read_blocks(io, file, bytes.min(HARD_STATE_BYTES as u64)).await;
    blocks.resize(HARD_STATE_BYTES, 0xFF);
    blocks
}

/// Whether a folder holds nothing but what making this journal leaves: it may be made again, since
/// nobody can have counted on it.
pub(in crate::journal) async fn is_as_made(
    io: &Io,
    meta: &JournalMeta,
    entries: &[DirEntry],
) -> Result<bool, DiskError> {
    for entry in entries.iter().filter(|entry| !entry.is_dir) {
        let path = format!("{}/{}", folder::journal_dir(meta.journal), entry.name);
        let is_as_made = match JournalFile::parse(&entry.name) {
            Some(JournalFile::Temporary) => true,
            Some(JournalFile::Segment(Index(1))) => has_no_entry(io, &path).await?,
            Some(JournalFile::HardState) => {
                let bytes = read_copies(io, &path, HARD_STATE_BYTES as u64).await?;
                let read = HardState::read(&path, &bytes, &meta.identity());
                // One bad copy hides no vote: whoever was told of one has it in two.
                let first = read.ok().filter(|read| read.bad_copies <= 1).and_then(|read| read.newest);
                first.is_some_and(|state| (state.term.0, state.vote.0, state.commit.0) == (0, 0, 0))
            }
            Some(JournalFile::Meta) => {
                let bytes = read_copies(io, &path, META_BYTES_MAX).await?;
                JournalMeta::decode(&path, &bytes).is_ok_and(|(found, _)| found == *meta)
            }
            _ => false,
        };
        if !is_as_made {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn has_no_entry(io: &Io, path: &str) -> Result<bool, DiskError> {
    let (file, bytes) = io.open(path).await?;
    let first = if bytes == 0 { None } else { Some(io.read(file, 0, BLOCK).await) };
    io.close(file).await?;
    Ok(match first {
        None => true,
        Some(Ok(block)) => block.iter().all(|byte| *byte == 0),
        Some(Err(_)) => false,
    })
}

/// Moves all that is left of a journal into a folder beside the journals, and deletes nothing.
/// May be done again from the begin, wherever a crash ends it.
pub async fn set_aside(io: &Io, journal: JournalId, to: &str) -> Result<(), DiskError> {
    let dir = folder::journal_dir(journal);
    let Some(mut entries) = names(io, journal).await? else { return Ok(()) };
    if entries.iter().all(|entry| entry.is_dir && entry.name != folder::QUARANTINE) {
        return Ok(());
    }
    io.create_dir(folder::QUARANTINE).await?;
    io.create_dir(to).await?;
    // Without its record, which goes first, what is left in its place is no journal to anybody.
    entries.sort_by_key(|entry| entry.name != folder::JOURNAL_META);
    for entry in entries {
        let from = format!("{dir}/{}", entry.name);
        if !entry.is_dir {
            io.rename(&from, &format!("{to}/{}", entry.name)).await?;
        } else if entry.name == folder::QUARANTINE {
            for piece in io.list(&from).await?.iter().filter(|piece| !piece.is_dir) {
                io.rename(&format!("{from}/{}", piece.name), &format!("{to}/{}", piece.name)).await?;
            }
            io.sync_dir(&from).await?;
        }
    }
    for dir in [to, folder::QUARANTINE, &dir, "."] {
        io.sync_dir(dir).await?;
    }
    Ok(())
}
