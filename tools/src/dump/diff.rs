//! `diff`: the first index and byte at which two replicas' journals part.
//!
//! Compared up to the lower of the two known commits: behind it either may have a tail that the
//! other has not, or has differently, and that is no fault.

use super::bytes::{SegmentBytes, first_difference};
use super::journal::Journal;
use super::names::known_commit;
use super::out::Out;
use super::progress::Progress;
use super::runs;
use super::scan::{Scanner, Step};
use super::source::Source;
use super::trouble::{Trouble, exit};
use crate::row;
use engine::entry::EntryHeader;
use engine::ids::Index;
use std::borrow::Cow;

pub fn diff(a: &Source, b: &Source, out: &mut Out<'_>) -> Result<u8, Trouble> {
    let mut code = exit::CLEAN;
    let progress = Progress::over([a, b]);
    for left in &a.journals {
        let Some(right) = b.journals.iter().find(|right| right.id() == left.id()) else {
            only_in(left, a, out)?;
            continue;
        };
        if left.identity != right.identity {
            let text = format!("journal {} is of two different clusters", left.id());
            return Err(Trouble::Usage(text));
        }
        if journals_part(left, right, &progress, out)? | runs_part(left, right, out)? {
            code = exit::DAMAGE;
        }
    }
    for right in &b.journals {
        if !a.journals.iter().any(|left| left.id() == right.id()) {
            only_in(right, b, out)?;
        }
    }
    Ok(code)
}

/// Each run that both have, by the first byte at which it differs.
fn runs_part(left: &Journal, right: &Journal, out: &mut Out<'_>) -> Result<bool, Trouble> {
    let (compared, parted) = runs::parted(left, right)?;
    for part in &parted {
        out.row(row! {
            "journal" => left.id().0,
            "result" => "runs part",
            "run" => part.run.0,
            "file_a" => part.file.clone(),
            "position_a" => part.position,
        })?;
    }
    if compared > 0 && parted.is_empty() {
        out.row(row! { "journal" => left.id().0, "result" => "runs identical", "runs" => compared })?;
    }
    Ok(!parted.is_empty())
}

fn only_in(journal: &Journal, source: &Source, out: &mut Out<'_>) -> Result<(), Trouble> {
    out.row(row! {
        "journal" => journal.id().0,
        "result" => "only in",
        "path" => source.path.display().to_string(),
    })
}

fn journals_part(
    left: &Journal,
    right: &Journal,
    progress: &Progress,
    out: &mut Out<'_>,
) -> Result<bool, Trouble> {
    let commit = known_commit(left)?.min(known_commit(right)?);
    let first = |journal: &Journal| journal.segments.first().map_or(Index::NONE, |segment| segment.base);
    let from = first(left).max(first(right));
    let (left_files, right_files) = (Files::open(left)?, Files::open(right)?);
    let (mut lefts, mut rights) = (left_files.pieces(left, from), right_files.pieces(right, from));
    let mut compared = 0u64;
    loop {
        let (one, other) = (lefts.next(commit)?, rights.next(commit)?);
        let part = match (&one, &other) {
            (None, None) => break,
            (Some(one), Some(other)) => first_difference(&one.bytes, &other.bytes),
            // One of them lacks what both know to be committed.
            (Some(_), None) | (None, Some(_)) => Some(0),
        };
        if let Some(byte) = part {
            part_row(left, one.as_ref(), other.as_ref(), byte, out)?;
            return Ok(true);
        }
        compared += 1;
        progress.advance(one.map_or(0, |piece| piece.bytes.len()) as u64 * 2);
    }
    out.row(row! {
        "journal" => left.id().0,
        "result" => "identical",
        "from" => from.0,
        "to" => commit.0,
        "entries" => compared,
    })?;
    Ok(false)
}

fn part_row(
    journal: &Journal,
    one: Option<&Piece<'_>>,
    other: Option<&Piece<'_>>,
    byte: u64,
    out: &mut Out<'_>,
) -> Result<(), Trouble> {
    let index = one.iter().chain(&other).map(|piece| piece.index.0).min();
    let term = |piece: Option<&Piece<'_>>| piece?.header.map(|header| header.term().0);
    let file = |piece: Option<&Piece<'_>>| Some(piece?.file.clone());
    let position = |piece: Option<&Piece<'_>>| Some(piece?.position + byte);
    out.row(row! {
        "journal" => journal.id().0,
        "result" => "they part",
        "index" => index,
        "term_a" => term(one),
        "term_b" => term(other),
        "file_a" => file(one),
        "position_a" => position(one),
        "file_b" => file(other),
        "position_b" => position(other),
    })
}

/// What is compared of bytes that are no entry: the longest entry there is.
const LOST_BYTES_MAX: usize = engine::entry::layout::LARGE_ENTRY_BYTES_MAX;

/// A journal's segments, opened.
struct Files(Vec<(Index, String, SegmentBytes)>);

impl Files {
    fn open(journal: &Journal) -> Result<Self, Trouble> {
        let mut files = Vec::new();
        for segment in &journal.segments {
            if let Some(bytes) = segment.open()? {
                files.push((segment.base, segment.name(), bytes));
            }
        }
        Ok(Self(files))
    }

    fn pieces<'a>(&'a self, journal: &'a Journal, from: Index) -> Pieces<'a> {
        Pieces { files: self.0.iter(), journal, open: None, from, next: from }
    }
}

/// An entry, or bytes that should be some.
struct Piece<'a> {
    file: String,
    position: u64,
    /// The entry's, or that of the first one lost.
    index: Index,
    /// `None` when it is lost.
    header: Option<EntryHeader>,
    bytes: Cow<'a, [u8]>,
}

/// The entries of a journal, file by file.
struct Pieces<'a> {
    files: std::slice::Iter<'a, (Index, String, SegmentBytes)>,
    journal: &'a Journal,
    open: Option<(&'a str, &'a SegmentBytes, Scanner<'a>)>,
    from: Index,
    next: Index,
}

impl<'a> Pieces<'a> {
    /// The next piece up to `commit`.
    fn next(&mut self, commit: Index) -> Result<Option<Piece<'a>>, Trouble> {
        while self.next <= commit {
            let Some((file, bytes, scanner)) = &mut self.open else {
                let Some((base, name, bytes)) = self.files.next() else { return Ok(None) };
                let scanner = Scanner::new(bytes, self.journal.identity, *base, true);
                self.open = Some((name, bytes, scanner));
                continue;
            };
            let file = file.to_string();
            match scanner.step() {
                Some(Step::Entry(entry)) => {
                    let header = *entry.header();
                    let (position, index) = (entry.position, header.index());
                    self.next = self.next.max(index.next());
                    if index >= self.from {
                        let bytes = entry.bytes;
                        return Ok(Some(Piece { file, position, index, header: Some(header), bytes }));
                    }
                }
                // What a raft cut left in a segment that was rolled since.
                Some(Step::Tail { .. }) if self.files.len() > 0 => self.open = None,
                Some(Step::Gap { from: position, to, .. } | Step::Tail { from: position, to, .. }) => {
                    let found = bytes.read(position, LOST_BYTES_MAX.min((to - position) as usize));
                    let bytes = found.map_err(|error| Trouble::Unreadable(format!("{file}: {error}")))?;
                    return Ok(Some(Piece { file, position, index: self.next, header: None, bytes }));
                }
                Some(Step::Unreadable(text)) => {
                    return Err(Trouble::Unreadable(format!("{file}: {text}")));
                }
                None => self.open = None,
            }
        }
        Ok(None)
    }
}
