//! The disk's part in fetching runs: a file that grows under another name, is proven, and then takes its own; and the
//! pieces that are read of one for others.
//!
//! Everything opens its file by name, for the little that it does, so that no run is held open by a fetch that rests.
//! Invariant: below every multiple of `SYNC_BYTES` that the file has grown beyond, it is durable.

use crate::disk::io::Io;
use crate::disk::{BLOCK, Buffer, BufferPool, DiskError, DiskErrorKind, IO_BYTES_MAX};
use crate::folder::{self, JournalFile};
use crate::framing::FormatFault;
use crate::ids::{FileId, JournalIdentity, RunId};
use crate::journal::heal::run_fetch::{PiecePlace, RunChecked, WantedRun};
use crate::peer::run::{RUN_PIECE_BYTES, RunName};
use crate::rewrite::check::{RunBytes, check_all};
use crate::rewrite::run_file::RunFoot;
use crate::rewrite::{ReadSpan, RunBlocks, RunIndex};
use core::cell::RefCell;

/// As much as is fetched again after a crash, at most.
pub const SYNC_BYTES: u64 = 4 << 20;
const _: () = assert!(SYNC_BYTES.is_multiple_of(RUN_PIECE_BYTES as u64));

/// Blocks of the index that are kept while a file is checked: the path to a row is a few.
const BLOCKS_KEPT: usize = 8;

/// What a journal's runs are read from and written to.
#[derive(Clone)]
pub struct RunFiles {
    pub io: Io,
    pub pool: BufferPool,
    pub identity: JournalIdentity,
}

impl RunFiles {
    fn part_path(&self, name: RunName) -> String {
        folder::run_part_path(self.identity.journal, name.run, name.sum)
    }

    fn path(&self, run: RunId) -> String {
        folder::run_path(self.identity.journal, run)
    }

    fn dir(&self) -> String {
        folder::journal_dir(self.identity.journal)
    }
}

/// How much of the run's file is here from before, and durable: all of it where it has its name already, as after a
/// start that did not know yet that the journal names it.
pub async fn resume(files: RunFiles, wanted: WantedRun) -> Result<u64, DiskError> {
    if is_here(&files, wanted).await? {
        return Ok(wanted.bytes);
    }
    let (io, path) = (&files.io, files.part_path(wanted.name));
    let bytes = match io.open(&path).await {
        Ok((file, bytes)) => {
            io.close(file).await?;
            bytes
        }
        Err(error) if error.kind == DiskErrorKind::NotFound => {
            let file = io.create(&path).await?;
            io.close(file).await?;
            io.sync_dir(&files.dir()).await?;
            0
        }
        Err(error) => return Err(error),
    };
    Ok(bytes.min(wanted.bytes).saturating_sub(1) / SYNC_BYTES * SYNC_BYTES)
}

/// Writes a piece of a run, and makes durable what comes to a multiple of `SYNC_BYTES` with it.
pub async fn write_piece(files: RunFiles, place: PiecePlace, bytes: Vec<u8>) -> Result<(), DiskError> {
    let io = &files.io;
    let path = if place.mends { files.path(place.name.run) } else { files.part_path(place.name) };
    let (file, _) = io.open(&path).await?;
    let end = place.position + bytes.len() as u64;
    let written = write(&files, file, &place, &bytes).await;
    let synced = match written {
        Ok(()) if place.mends || end.is_multiple_of(SYNC_BYTES) => io.sync(file).await,
        other => other,
    };
    match synced {
        // The process ends of this: nothing else is begun.
        Err(error) if error.kind == DiskErrorKind::Io => Err(error),
        other => io.close(file).await.and(other),
    }
}

async fn write(files: &RunFiles, file: FileId, place: &PiecePlace, bytes: &[u8]) -> Result<(), DiskError> {
    assert!(bytes.len().is_multiple_of(BLOCK), "{} bytes at {place:?} are not whole blocks", bytes.len());
    if !place.mends {
        // Space first, so that a full disk is met before anything is half written.
        files.io.allocate(file, place.position + bytes.len() as u64).await?;
    }
    files.io.write(file, place.position, files.pool.copy_of(bytes)).await
}

/// All pieces are written: the file takes its name if it is what the journal says.
pub async fn finish(files: RunFiles, wanted: WantedRun) -> Result<RunChecked, DiskError> {
    if is_here(&files, wanted).await? {
        return Ok(RunChecked::Good);
    }
    let (io, part) = (&files.io, files.part_path(wanted.name));
    let (file, bytes) = io.open(&part).await?;
    assert!(wanted.bytes >= 2 * BLOCK as u64, "{wanted:?} is no run");
    if bytes > wanted.bytes {
        io.truncate(file, wanted.bytes).await?;
    }
    io.sync(file).await?;
    let checked = check_file(io, file, &files.identity, wanted).await;
    io.close(file).await?;
    if let Err(position) = checked? {
        return Ok(RunChecked::Bad { position });
    }
    io.rename(&part, &files.path(wanted.name.run)).await?;
    io.sync_dir(&files.dir()).await?;
    Ok(RunChecked::Good)
}

/// Whether the whole run is here under its name. What is there and bad stays until a good one takes its place.
async fn is_here(files: &RunFiles, wanted: WantedRun) -> Result<bool, DiskError> {
    match check_here(files.clone(), wanted).await {
        Ok(checked) => Ok(checked == RunChecked::Good),
        Err(error) if error.kind == DiskErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Looks at a run that has its name.
pub async fn check_here(files: RunFiles, wanted: WantedRun) -> Result<RunChecked, DiskError> {
    let (file, bytes) = files.io.open(&files.path(wanted.name.run)).await?;
    let checked = match bytes == wanted.bytes {
        true => check_file(&files.io, file, &files.identity, wanted).await,
        // A file that was cut short is written whole again, from there on.
        false => Ok(Err(bytes.min(wanted.bytes - 1))),
    };
    files.io.close(file).await?;
    Ok(checked?.map_or_else(|position| RunChecked::Bad { position }, |()| RunChecked::Good))
}

/// Where an open file is not the run that it is to be, if anywhere.
pub async fn check_file(
    io: &Io,
    file: FileId,
    identity: &JournalIdentity,
    wanted: WantedRun,
) -> Result<Result<(), u64>, DiskError> {
    let last = wanted.bytes - BLOCK as u64;
    let run = wanted.name.run;
    let foot = match readable(io.read(file, last, BLOCK).await, last) {
        Ok(block) => RunFoot::decode(&block, identity, run, wanted.bytes).ok(),
        Err(RunReadError::Format(_)) => None,
        Err(RunReadError::Disk(error)) => return Err(error),
    };
    let Some(foot) = foot.filter(|foot| foot.partitions_sum.get() == wanted.name.sum) else {
        return Ok(Err(last));
    };
    let blocks = RunOnDisk { io: io.clone(), file, kept: RefCell::default() };
    match check_all(&RunIndex::new(blocks, *identity, run, foot), identity, run).await {
        Ok(()) => Ok(Ok(())),
        Err(fault) => match fault.fault {
            RunReadError::Format(fault) => Ok(Err(fault.position())),
            RunReadError::Disk(error) => Err(error),
        },
    }
}

/// A run's file that is open.
struct RunOnDisk {
    io: Io,
    file: FileId,
    kept: RefCell<Vec<(u32, Buffer)>>,
}

/// Why a run's bytes were not given.
#[derive(Clone, Debug, thiserror::Error)]
enum RunReadError {
    #[error("{0}")]
    Format(#[from] FormatFault),
    #[error("{0}")]
    Disk(#[from] DiskError),
}

/// What the medium does not give is as bad as what it gives otherwise: it is fetched again.
fn readable(read: Result<Buffer, DiskError>, position: u64) -> Result<Buffer, RunReadError> {
    read.map_err(|error| match error.kind {
        DiskErrorKind::Io => FormatFault::Value { position }.into(),
        _ => error.into(),
    })
}

impl RunBlocks for RunOnDisk {
    type Block = Buffer;
    type Error = RunReadError;

    async fn block(&self, number: u32) -> Result<Buffer, RunReadError> {
        let known =
            self.kept.borrow().iter().find(|(known, _)| *known == number).map(|(_, block)| block.clone());
        if let Some(block) = known {
            return Ok(block);
        }
        let position = u64::from(number) * BLOCK as u64;
        let block = readable(self.io.read(self.file, position, BLOCK).await, position)?;
        if block.len() < BLOCK {
            return Err(FormatFault::Short { found: block.len() as u64, expected: BLOCK as u64 }
                .at(position)
                .into());
        }
        let mut kept = self.kept.borrow_mut();
        if kept.len() >= BLOCKS_KEPT {
            kept.remove(0);
        }
        kept.push((number, block.clone()));
        Ok(block)
    }
}

impl RunBytes for RunOnDisk {
    type Bytes = Vec<u8>;

    async fn bytes(&self, span: ReadSpan) -> Result<Vec<u8>, RunReadError> {
        let mut bytes = Vec::with_capacity(span.bytes);
        while bytes.len() < span.bytes {
            let at = span.position + bytes.len() as u64;
            let wanted = IO_BYTES_MAX.min(span.bytes - bytes.len());
            let piece = readable(self.io.read(self.file, at, wanted).await, at)?;
            if piece.is_empty() {
                break;
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }
}

/// Reads a piece of a run for another replica; none when there is no such file, or it ends before.
pub async fn lend_piece(files: RunFiles, run: RunId, position: u64) -> Result<Option<Vec<u8>>, DiskError> {
    let io = &files.io;
    let (file, bytes) = match io.open(&files.path(run)).await {
        Err(error) if error.kind == DiskErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let wanted = bytes.saturating_sub(position).min(RUN_PIECE_BYTES as u64) as usize;
    let read = match wanted {
        0 => None,
        _ => io.read(file, position, wanted.next_multiple_of(BLOCK)).await.ok(),
    };
    io.close(file).await?;
    Ok(read.map(|read| read[..wanted.min(read.len())].to_vec()))
}

/// Removes what was fetched in part of runs that nobody wants any more.
pub async fn sweep(files: RunFiles, wanted: Vec<RunName>) -> Result<(), DiskError> {
    let (io, dir) = (&files.io, files.dir());
    for entry in io.list(&dir).await? {
        if let Some(JournalFile::RunPart(run, sum)) = JournalFile::parse(&entry.name)
            && !wanted.contains(&RunName { run, sum })
        {
            io.remove(&format!("{dir}/{}", entry.name)).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "run_disk_tests.rs"]
mod tests;
