//! `quarantine/`: what a cut takes away is kept aside, whoever made the cut and why.

use crate::disk::{BLOCK, DiskError, DiskErrorKind, IO_BYTES_MAX};
use crate::folder;
use crate::ids::{FileId, Index, Term};
use crate::journal::context::Context;
use crate::journal::recover::scan::Scanner;
use core::ops::Range;

/// Names for pieces of one place and term: a cut that is made again after a crash, mostly.
const NAMES_MAX: u32 = 9;

/// A segment that something is cut from.
#[derive(Clone, Copy, Debug)]
pub(in crate::journal) struct Segment {
    pub base: Index,
    pub file: FileId,
    pub file_bytes: u64,
}

/// Where a piece of a segment goes: nothing is there yet.
pub(in crate::journal) async fn path(
    context: &Context,
    base: Index,
    position: u64,
    term: Term,
) -> Result<String, DiskError> {
    let dir = folder::quarantine_dir(context.journal);
    context.io.create_dir(&dir).await?;
    let there = context.io.list(&dir).await?;
    let first = folder::quarantine_path(context.journal, base, position, term.0);
    let names = (2..=NAMES_MAX).map(|number| format!("{first}.{number}"));
    let is_free = |path: &String| !there.iter().any(|entry| path.ends_with(&format!("/{}", entry.name)));
    let free = core::iter::once(first.clone()).chain(names).find(is_free);
    Ok(free.unwrap_or(first))
}

/// Copies a range of a segment into `quarantine/`; gives the copy's path, or none where the disk is full.
pub(in crate::journal) async fn keep(
    context: &Context,
    segment: Segment,
    range: Range<u64>,
    term: Term,
) -> Result<Option<String>, DiskError> {
    let kept = copy(context, segment, range, term).await;
    match kept {
        Err(error) if error.kind == DiskErrorKind::NoSpace => Ok(None),
        other => other.map(Some),
    }
}

async fn copy(
    context: &Context,
    segment: Segment,
    range: Range<u64>,
    term: Term,
) -> Result<String, DiskError> {
    let io = &context.io;
    let path = path(context, segment.base, range.start, term).await?;
    match io.remove(&path).await {
        Err(error) if error.kind != DiskErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut scanner = Scanner::new(io.clone(), context.pool.clone(), segment.file, segment.file_bytes);
    let file = io.create(&path).await?;
    let mut position = range.start;
    while position < range.end {
        let bytes = ((range.end - position) as usize).min(IO_BYTES_MAX).next_multiple_of(BLOCK);
        let piece = scanner.piece(position, bytes).await?.seal(bytes);
        match io.write(file, position - range.start, piece).await {
            Err(error) if error.kind == DiskErrorKind::NoSpace => {
                io.close(file).await?;
                io.remove(&path).await?;
                return Err(error);
            }
            other => other?,
        }
        position += bytes as u64;
    }
    io.sync(file).await?;
    io.close(file).await?;
    io.sync_dir(&folder::quarantine_dir(context.journal)).await?;
    Ok(path)
}
