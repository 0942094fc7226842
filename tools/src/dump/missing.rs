//! What `verify` says of segments that are not there, or are there and hold nothing.
//!
//! Deletion takes whole segments from the front, once all in them is dead and a checkpoint covers them. Everything
//! else that is gone was lost.

use super::index::IndexFile;
use super::journal::{Journal, Segment};
use super::names::Names;
use super::remark::{Remark, What};
use super::segment_check::{Finding, SegmentCheck};
use engine::folder::JournalFile;
use engine::ids::{Index, Offset, PartitionId};
use engine::journal::format::index_file::{PartitionRow, Section};
use engine::partition::Fold;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Where the data of each partition begins that is still there: the newest checkpoint's word, and what the entries
/// in the segments moved since.
pub struct LogStarts {
    from: BTreeMap<PartitionId, Offset>,
    /// Entries were accepted as lost: offsets have holes, and nothing can be said of them.
    has_holes: bool,
}

impl LogStarts {
    pub fn new(newest: Option<&Fold>, checks: &[(&Segment, SegmentCheck)]) -> Self {
        let mut from = BTreeMap::new();
        let mut has_holes = checks.iter().any(|(_, check)| check.skipped > 0);
        for (id, partition) in newest.iter().flat_map(|fold| fold.partitions()) {
            has_holes |= partition.skipped_below > Offset(0);
            if partition.log_start < partition.next_offset {
                from.insert(id, partition.log_start);
            }
        }
        for (_, check) in checks {
            for (id, log_start) in &check.log_starts {
                from.entry(*id).and_modify(|known| *known = (*known).max(*log_start));
            }
            check.dropped.iter().for_each(|id| {
                from.remove(id);
            });
        }
        Self { from, has_holes }
    }

    /// Whether offsets of a partition below this one are still kept.
    fn keep(&self, partition: PartitionId, next: Offset) -> bool {
        self.from.get(&partition).is_some_and(|from| *from < next)
    }
}

/// Indexes whose segments are not there. One at the front may be what a deletion left: the segment goes first.
pub fn orphans(journal: &Journal, starts: &LogStarts) -> Vec<Remark> {
    let first = journal.segments.first().map_or(Index(u64::MAX), |segment| segment.base);
    let lost = |(base, path): &&(Index, PathBuf)| {
        let Ok(Some(file)) = IndexFile::open(path, journal.identity, *base) else { return *base > first };
        let rows = file.rows::<PartitionRow>(Section::Partitions);
        let is_kept = |row: Result<(u64, PartitionRow), String>| {
            row.is_ok_and(|(_, row)| {
                starts.keep(PartitionId(row.partition.get()), Offset(row.next_offset.get()))
            })
        };
        *base > first || rows.into_iter().any(is_kept)
    };
    let remark = |(base, _): &(Index, PathBuf)| {
        let text = "missing: its index is there, and what it held is not deleted";
        Remark { index: Some(*base), ..of_segment(journal, *base, text) }
    };
    journal.orphans.iter().filter(lost).map(remark).collect()
}

fn of_segment(journal: &Journal, base: Index, text: impl Into<String>) -> Remark {
    let file = JournalFile::Segment(base).name();
    Remark::of_file(What::Damage, Some(journal.id().0), file, text)
}

/// Segments at the front whose records are still kept. On a replica with peers they may be what it was not sent: it
/// begins where the others began.
pub fn front(
    journal: &Journal,
    starts: &LogStarts,
    checks: &[(&Segment, SegmentCheck)],
    names: &Names,
) -> Option<Remark> {
    let (first, _) = checks.first()?;
    if !journal.is_lone || starts.has_holes || first.base == Index(1) {
        return None;
    }
    let mut firsts: BTreeMap<PartitionId, Offset> = BTreeMap::new();
    for (_, check) in checks {
        for (id, start) in &check.starts {
            firsts.entry(*id).or_insert(start.offset);
        }
    }
    let is_lost = |(id, from): &(&PartitionId, &Offset)| firsts.get(id).is_none_or(|first| first > *from);
    let (id, from) = starts.from.iter().find(is_lost)?;
    let partition = names.partition(*id);
    let text = format!("segments before it are missing: {partition} is kept from offset {from} on");
    Some(Remark { index: Some(Index(1)), ..of_segment(journal, first.base, text) })
}

/// A segment whose file is shorter than when it was sealed, or has no entry left. `next` is where the one behind it
/// begins, `bound` up to where entries were durable.
pub fn emptied(
    segment: &Segment,
    check: &SegmentCheck,
    next: Option<Index>,
    bound: Index,
) -> Option<Finding> {
    let sealed_bytes = check.sealed_bytes.filter(|bytes| *bytes > segment.file_bytes);
    let text = match (sealed_bytes, check.first, segment.file_bytes) {
        (Some(bytes), Some(_), found) => format!("cut to {found} bytes, {bytes} when it was sealed"),
        (Some(_), None, 0) => "emptied: 0 bytes".to_owned(),
        (_, None, _) if !check.findings.is_empty() => return None,
        (_, None, found) if segment.is_sealed() || next.is_some() || segment.base <= bound => match found {
            0 => "emptied: 0 bytes".to_owned(),
            found => format!("emptied: {found} bytes of zeros"),
        },
        _ => return None,
    };
    Some(certain(segment.name(), 0, segment.base, text))
}

/// The segments between two that are there do not join: those in between are gone, or the first one ends too early.
pub fn hole(before: &Segment, end: Index, base: Index) -> Finding {
    let last = base.0 - 1;
    let entries =
        if end.0 + 1 == last { format!("entry {last}") } else { format!("entries {} to {last}", end.next()) };
    if before.is_sealed() {
        let file = JournalFile::Segment(end.next()).name();
        return certain(file, 0, end.next(), format!("missing: {entries} are in no file"));
    }
    certain(before.name(), 0, end.next(), format!("it ends at entry {end}: {entries} are in no file"))
}

/// The last segments are gone: entries up to `bound` were durable.
pub fn end(last: Option<&Segment>, end: Index, bound: Index) -> Finding {
    let text = format!("the log ends at entry {end}, but entries up to {bound} were durable");
    match last {
        Some(last) if !last.is_sealed() => certain(last.name(), 0, end.next(), text),
        _ => certain(JournalFile::Segment(end.next()).name(), 0, end.next(), format!("missing: {text}")),
    }
}

pub fn certain(file: String, position: u64, index: Index, text: String) -> Finding {
    Finding { file, position, index, is_followed: true, is_tail: false, is_certain: true, text }
}
