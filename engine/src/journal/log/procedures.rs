//! The long disk work of a running journal: making one, preparing the next segment, sealing a
//! rolled one, writing the hard state, deleting segments.

use crate::disk::io::Io;
use crate::disk::{BLOCK, BufferPool, DiskError, DiskErrorKind};
use crate::folder::{self, JournalFile};
use crate::framing::{TEMPORARY_SUFFIX, read_copies, replace_file};
use crate::ids::{FileId, Index, JournalId, JournalIdentity};
use crate::journal::context::Context;
use crate::journal::format::checkpoint_file::{self, Checkpoint};
use crate::journal::format::hard_state::{HARD_STATE_BYTES, HardState};
use crate::journal::format::index_encoder::IndexEncoder;
use crate::journal::format::meta_record::JournalMeta;
use crate::journal::heal::digest::{Digest, headers_sum};
use crate::journal::read::container::Sealed;
use crate::journal::read::index::ActiveIndex;
use crate::journal::read::sealed_index::{IndexError, SealedIndex};
use crate::journal::recover::recovery_error::RecoveryError;
use crate::journal::recover::survey::{is_as_made, set_aside, survey};
use crate::port::Fatal;
use crate::register::Registered;
use std::rc::Rc;

/// What came of making a journal's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Made {
    New {
        /// It took the place of what a crash left of an earlier try.
        again: bool,
        /// Where what was left of a lost replica is kept.
        aside: Option<String>,
    },
    /// Something stands there that nobody entered: it is left alone. `is_whole` when it could be
    /// this very journal.
    Occupied { is_whole: bool },
}

/// Makes a journal's folder: everything else first, the meta record last, so that a folder with
/// one is whole. What a crash left of an earlier try is removed, as long as it is that and no more.
pub async fn make(context: &Context, meta: &JournalMeta) -> Result<Made, DiskError> {
    let (io, pool) = (&context.io, &context.pool);
    let dir = folder::journal_dir(meta.journal);
    io.create_dir(folder::JOURNALS).await?;
    io.create_dir(&dir).await?;
    let entries = io.list(&dir).await?;
    if !is_as_made(io, meta, &entries).await? {
        let known = Some(Registered::new(meta.raft_id, 0));
        let found = survey(io, meta.journal, meta.cluster, known).await?;
        return Ok(Made::Occupied { is_whole: found.lost.is_none() });
    }
    let mut again = false;
    for entry in entries.iter().filter(|entry| !entry.is_dir) {
        io.remove(&format!("{dir}/{}", entry.name)).await?;
        again = true;
    }
    let segment = io.create(&folder::segment_path(meta.journal, Index(1))).await?;
    allocate_whole(io, segment, meta.segment_bytes).await?;
    io.close(segment).await?;
    let mut bytes = vec![0; HARD_STATE_BYTES];
    let first = HardState { generation: 1, ..HardState::default() };
    let (at, slot) = first.encode_slot(&meta.identity());
    bytes[at as usize..at as usize + slot.len()].copy_from_slice(&slot);
    replace_file(io, pool, &dir, &JournalFile::HardState.name(), &bytes).await?;
    replace_file(io, pool, &dir, &JournalFile::Meta.name(), &meta.encode()).await?;
    io.sync_dir(folder::JOURNALS).await?;
    io.sync_dir(".").await?;
    Ok(Made::New { again, aside: None })
}

/// Moves what is left of a lost replica to the folder `to`, and makes the one that takes its place.
pub async fn make_anew(context: &Context, meta: &JournalMeta, to: String) -> Result<Made, DiskError> {
    set_aside(&context.io, meta.journal, &to).await?;
    match make(context, meta).await? {
        Made::New { again, .. } => Ok(Made::New { again, aside: Some(to) }),
        occupied => Ok(occupied),
    }
}

/// Reads a journal's record; gives how many of its copies were bad. They are written again.
pub async fn read_meta(context: &Context) -> Result<(JournalMeta, u32), RecoveryError> {
    let (io, path) = (&context.io, folder::journal_meta_path(context.journal));
    let (meta, bad_copies) = JournalMeta::decode(&path, &read_copies(io, &path, 1 << 20).await?)?;
    if bad_copies > 0 {
        let dir = folder::journal_dir(context.journal);
        match replace_file(io, &context.pool, &dir, folder::JOURNAL_META, &meta.encode()).await {
            Err(error) if error.kind != DiskErrorKind::NoSpace => return Err(error.into()),
            // One good copy is enough where there is no room for another.
            _ => {}
        }
    }
    Ok((meta, bad_copies))
}

/// The name under which the next segment waits for its base. Each has its own: while one is being
/// renamed to its final name the one after it is already prepared.
pub fn prepared_name(journal: JournalId, file: FileId) -> String {
    format!("{}/next-{}{TEMPORARY_SUFFIX}", folder::journal_dir(journal), file.0)
}

/// Allocates the next segment whole, so that a full disk is met here and never by an entry.
/// Recovery removed what an earlier run left, so the name is free.
pub async fn prepare(io: Io, journal: JournalId, bytes: u64) -> Result<FileId, DiskError> {
    let file = io.file_id();
    let name = prepared_name(journal, file);
    io.create_as(file, &name).await?;
    match allocate_whole(&io, file, bytes).await {
        Ok(()) => Ok(file),
        Err(error) if error.kind == DiskErrorKind::NoSpace => {
            io.close(file).await?;
            io.remove(&name).await?;
            Err(error)
        }
        // The process ends of it at once.
        Err(error) => Err(error),
    }
}

pub(in crate::journal) async fn allocate_whole(io: &Io, file: FileId, bytes: u64) -> Result<(), DiskError> {
    io.allocate(file, bytes).await?;
    io.sync(file).await
}

/// Gives a segment its whole length again (recovery found no space for that).
pub async fn lengthen(io: Io, file: FileId, bytes: u64) -> Result<(), DiskError> {
    allocate_whole(&io, file, bytes).await
}

/// What a rolled segment needs to be sealed.
pub struct SealWork {
    pub identity: JournalIdentity,
    pub base: Index,
    pub last: Index,
    pub bytes: u64,
    pub file: FileId,
    pub index: Rc<ActiveIndex>,
    pub checkpoint: Checkpoint,
}

/// The index file's content, made in steps between which others have their turn.
async fn index_in_steps(io: &Io, work: &SealWork) -> Result<Vec<u8>, DiskError> {
    let mut encoder = IndexEncoder::new(&work.index, &work.identity);
    while encoder.step() {
        io.rest().await?;
    }
    Ok(encoder.finish())
}

/// A segment that was sealed.
pub struct SealDone {
    pub sealed: Rc<Sealed>,
    pub checkpoint: Index,
    pub checkpoint_bytes: u64,
    pub digest: Digest,
}

/// Why a segment could not be sealed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Index(#[from] IndexError),
}

impl SealError {
    /// Why the process must end: a write or a sync failed. Everything else is tried again: no
    /// space, and an index that cannot be read back is written anew.
    pub fn fatal(&self) -> Option<Fatal> {
        match self {
            Self::Disk(error) if error.kind != DiskErrorKind::NoSpace => Some(Fatal::Write(error.clone())),
            _ => None,
        }
    }
}

/// Cuts the file to its last entry, then writes index and checkpoint beside it.
pub async fn seal(context: Context, work: SealWork) -> Result<SealDone, SealError> {
    let (io, pool) = (&context.io, &context.pool);
    let dir = folder::journal_dir(context.journal);
    io.truncate(work.file, work.bytes).await?;
    io.sync(work.file).await?;
    let name = JournalFile::Index(work.base).name();
    let index = index_in_steps(io, &work).await?;
    replace_file(io, pool, &dir, &name, &index).await?;
    let path = folder::index_path(context.journal, work.base);
    let opened =
        SealedIndex::open(io.clone(), context.blocks.clone(), path, work.identity, work.base).await?;
    let name = JournalFile::Checkpoint(work.last).name();
    let stored = checkpoint_file::write(io, pool, &dir, &name, &work.identity, &work.checkpoint).await?;
    let digest = Digest {
        last: work.last,
        headers: headers_sum(work.index.checksums()),
        checkpoint: u64::from(stored.body_checksum),
    };
    let sealed = Sealed {
        base: work.base,
        last: work.last,
        bytes: work.bytes,
        file: work.file,
        index: Rc::new(opened),
        replaced: None,
    };
    Ok(SealDone { sealed: Rc::new(sealed), checkpoint: work.last, checkpoint_bytes: stored.bytes, digest })
}

/// Writes one generation of the hard state into its slot, both copies, and syncs.
pub async fn write_hard_state(
    io: Io,
    pool: BufferPool,
    file: FileId,
    identity: JournalIdentity,
    state: HardState,
) -> Result<HardState, DiskError> {
    let (position, slot) = state.encode_slot(&identity);
    debug_assert_eq!(slot.len(), 2 * BLOCK);
    io.write(file, position, pool.copy_of(&slot)).await?;
    io.sync(file).await?;
    Ok(state)
}

/// Removes a segment that a cut made void, by whichever of its names it has. Its file stays open
/// until the process ends: nothing is written to it any more.
pub async fn remove_stale(io: &Io, journal: JournalId, names: &[String; 2]) -> Result<(), DiskError> {
    for name in names {
        match io.remove(name).await {
            Err(error) if error.kind != DiskErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    io.sync_dir(&folder::journal_dir(journal)).await
}

/// Writes the checkpoint of a clean stop.
pub async fn write_local_checkpoint(
    context: Context,
    identity: JournalIdentity,
    checkpoint: Checkpoint,
) -> Result<u64, DiskError> {
    let dir = folder::journal_dir(context.journal);
    let name = JournalFile::LocalCheckpoint.name();
    let stored =
        checkpoint_file::write(&context.io, &context.pool, &dir, &name, &identity, &checkpoint).await?;
    Ok(stored.bytes)
}

/// Removes whole segments from the front, oldest first, and checkpoints that are not needed any
/// more. Each removal is durable before the next, so that a crash leaves no hole.
pub async fn delete(
    context: Context,
    segments: Vec<Rc<Sealed>>,
    checkpoints: Vec<Index>,
) -> Result<(), DiskError> {
    let io = &context.io;
    let dir = folder::journal_dir(context.journal);
    for segment in segments {
        io.remove(&folder::segment_path(context.journal, segment.base)).await?;
        io.sync_dir(&dir).await?;
        io.remove(&folder::index_path(context.journal, segment.base)).await?;
        io.close(segment.file).await?;
        for sealed in segment.with_replaced() {
            SealedIndex::clone(&sealed.index).close().await?;
        }
    }
    for last in checkpoints {
        io.remove(&folder::checkpoint_path(context.journal, last)).await?;
    }
    io.sync_dir(&dir).await
}
