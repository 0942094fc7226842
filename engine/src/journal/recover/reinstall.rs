//! Recovery's part of an installation: what `install` says is made true, and what it made void is
//! removed. May be done again from the begin, wherever a crash ends it.

use super::listing::Listing;
use super::recovery::RecoveryError;
use crate::disk::{DiskError, DiskErrorKind};
use crate::folder::{self, JournalFile};
use crate::framing::{read_file, replace_file};
use crate::ids::{FileId, Index, RaftId};
use crate::journal::context::Context;
use crate::journal::format::checkpoint_file::{CHECKPOINT_BYTES_MAX, Checkpoint};
use crate::journal::format::hard_state::{HardState, SyncedBound};
use crate::journal::format::install_file::{INSTALL_BYTES, Install};
use crate::journal::format::meta_record::JournalMeta;
use crate::journal::log::procedures::{allocate_whole, write_hard_state};

/// Ends an installation that is begun; the listing and the hard state are then as after a stop.
pub(in crate::journal) async fn finish(
    context: &Context,
    meta: &JournalMeta,
    listing: &mut Listing,
    (hard_state_file, hard_state): (FileId, HardState),
) -> Result<HardState, RecoveryError> {
    let (io, pool, identity) = (&context.io, &context.pool, meta.identity());
    let (path, dir) = (folder::install_path(meta.journal), folder::journal_dir(meta.journal));
    let bytes = read_file(io, &path, INSTALL_BYTES as u64 + CHECKPOINT_BYTES_MAX).await?;
    let install = Install::decode(&path, &bytes, &identity)?;
    let file = bytes.get(INSTALL_BYTES..).unwrap_or_default();
    Checkpoint::decode(&path, file, &identity)?;
    for name in take_void(listing, &install) {
        remove(context, &format!("{dir}/{name}")).await?;
    }
    let checkpoint = JournalFile::Checkpoint(install.last).name();
    replace_file(io, pool, &dir, &checkpoint, file).await?;
    let first = install.last.next();
    if !install.keeps {
        begin_segment(context, meta, first).await?;
        listing.segments.insert(first, meta.segment_bytes);
    }
    // All that is left covers more.
    listing.checkpoints.insert(0, install.last);
    let synced = SyncedBound { index: install.last, term: install.term, checksum: install.checksum };
    let generation = hard_state.generation + 1;
    let mut state = HardState { generation, commit: install.last, synced, ..hard_state };
    if install.keeps {
        state.commit = state.commit.max(hard_state.commit);
        state.synced = if hard_state.synced.index > install.last { hard_state.synced } else { synced };
    }
    if install.term > hard_state.term {
        // One that was quarantined heard of no newer term, and cast no vote in it.
        (state.term, state.vote) = (install.term, RaftId(0));
    }
    let state = write_hard_state(io.clone(), pool.clone(), hard_state_file, identity, state).await?;
    io.sync_dir(&dir).await?;
    io.remove(&folder::install_path(meta.journal)).await?;
    io.sync_dir(&dir).await?;
    Ok(state)
}

/// The segment that the log goes on in.
async fn begin_segment(context: &Context, meta: &JournalMeta, first: Index) -> Result<(), DiskError> {
    let io = &context.io;
    let path = folder::segment_path(meta.journal, first);
    let segment = io.create(&path).await?;
    let allocated = allocate_whole(io, segment, meta.segment_bytes).await;
    io.close(segment).await?;
    if allocated.is_err() {
        remove(context, &path).await?;
    }
    allocated
}

/// Takes from the listing everything that holds entries, or what they add up to, but for what is kept. The
/// names of the files that go: the checkpoint itself is replaced.
fn take_void(listing: &mut Listing, install: &Install) -> Vec<String> {
    let is_void = |base: Index| !install.keeps || base <= install.last;
    let segments = listing.segments.extract_if(.., |base, _| is_void(*base));
    let indexes = listing.indexes.extract_if(.., |base| is_void(*base));
    let checkpoints = listing.checkpoints.extract_if(.., |covered| is_void(*covered));
    let segments = segments.map(|(base, _)| JournalFile::Segment(base).name());
    let indexes = indexes.map(|base| JournalFile::Index(base).name());
    let others = checkpoints.filter(|covered| *covered != install.last);
    let others = others.map(|covered| JournalFile::Checkpoint(covered).name());
    let local = core::mem::take(&mut listing.local_checkpoint).then(|| JournalFile::LocalCheckpoint.name());
    segments.chain(indexes).chain(others).chain(local).collect()
}

async fn remove(context: &Context, path: &str) -> Result<(), DiskError> {
    match context.io.remove(path).await {
        Err(error) if error.kind != DiskErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
