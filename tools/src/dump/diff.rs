//! `diff`: the first index and byte at which two replicas' journals part.
//!
//! Compared up to the lower of the two known commits: behind it either may have a tail that the
//! other has not, or has differently, and that is no fault.

use super::bytes::SegmentBytes;
use super::out::Out;
use super::scan::{Entry, Scanner, Step};
use super::source::{Journal, Source};
use super::trouble::{Trouble, exit};
use crate::row;
use engine::ids::Index;
use std::ops::ControlFlow;

pub fn diff(a: &Source, b: &Source, out: &mut Out<'_>) -> Result<u8, Trouble> {
    let mut code = exit::CLEAN;
    for left in &a.journals {
        let Some(right) = b.journals.iter().find(|right| right.id() == left.id()) else {
            only_in(left, a, out)?;
            continue;
        };
        if left.identity != right.identity {
            let text = format!("journal {} is of two different clusters", left.id());
            return Err(Trouble::Usage(text));
        }
        if journals_part((a, left), (b, right), out)? {
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

fn only_in(journal: &Journal, source: &Source, out: &mut Out<'_>) -> Result<(), Trouble> {
    let text = format!("journal {} is only in {}", journal.id(), source.path.display());
    out.line(&text)
}

/// The highest commit that this side knows: its hard state's, its entries', its sealed segments'.
fn known_commit(source: &Source, journal: &Journal) -> Result<Index, Trouble> {
    let mut commit =
        journal.hard_state.and_then(|read| read.newest).map_or(Index::NONE, |state| state.commit);
    for segment in &journal.segments {
        let mut last = Index::NONE;
        let _ = super::walk::segment_entries(source, journal, segment, false, &mut |_, _, entry| {
            commit = commit.max(Index(entry.header().commit.get()));
            last = entry.header().index();
            Ok(ControlFlow::Continue(()))
        })?;
        if segment.is_sealed() || journal.hard_state.is_none() {
            commit = commit.max(last);
        }
    }
    Ok(commit)
}

fn journals_part(
    (a, left): (&Source, &Journal),
    (b, right): (&Source, &Journal),
    out: &mut Out<'_>,
) -> Result<bool, Trouble> {
    let commit = known_commit(a, left)?.min(known_commit(b, right)?);
    let first = |journal: &Journal| journal.segments.first().map_or(Index::NONE, |segment| segment.base);
    let from = first(left).max(first(right));
    let (left_files, right_files) = (Files::open(left)?, Files::open(right)?);
    let (mut lefts, mut rights) = (left_files.entries(left, from), right_files.entries(right, from));
    let mut compared = 0u64;
    loop {
        let (one, other) = (lefts.next(commit)?, rights.next(commit)?);
        let part = match (&one, &other) {
            (None, None) => break,
            (Some(one), Some(other)) => first_difference(one, other),
            // One of them lacks what both know to be committed.
            (Some(_), None) | (None, Some(_)) => Some(0),
        };
        if let Some(byte) = part {
            part_row(left, one.as_ref(), other.as_ref(), byte, out)?;
            return Ok(true);
        }
        compared += 1;
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

fn first_difference(one: &At<'_>, other: &At<'_>) -> Option<u64> {
    let (one, other) = (&one.entry.bytes, &other.entry.bytes);
    let differs = one.iter().zip(other.iter()).position(|(one, other)| one != other);
    let shorter = (one.len() != other.len()).then(|| one.len().min(other.len()));
    differs.or(shorter).map(|byte| byte as u64)
}

fn part_row(
    journal: &Journal,
    one: Option<&At<'_>>,
    other: Option<&At<'_>>,
    byte: u64,
    out: &mut Out<'_>,
) -> Result<(), Trouble> {
    let index = one.iter().chain(&other).map(|at| at.entry.header().index().0).min();
    let term = |at: Option<&At<'_>>| at.map(|at| at.entry.header().term().0);
    let file = |at: Option<&At<'_>>| at.map(|at| at.file.clone());
    let position = |at: Option<&At<'_>>| at.map(|at| at.entry.position + byte);
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

    fn entries<'a>(&'a self, journal: &'a Journal, from: Index) -> Entries<'a> {
        Entries { files: self.0.iter(), journal, scanner: None, from }
    }
}

struct At<'a> {
    file: String,
    entry: Entry<'a>,
}

/// The entries of a journal, file by file.
struct Entries<'a> {
    files: std::slice::Iter<'a, (Index, String, SegmentBytes)>,
    journal: &'a Journal,
    scanner: Option<(String, Scanner<'a>)>,
    from: Index,
}

impl<'a> Entries<'a> {
    /// The next good entry up to `commit`.
    fn next(&mut self, commit: Index) -> Result<Option<At<'a>>, Trouble> {
        loop {
            let Some((file, scanner)) = &mut self.scanner else {
                let Some((base, name, bytes)) = self.files.next() else { return Ok(None) };
                let scanner = Scanner::new(bytes, self.journal.identity, *base, true);
                self.scanner = Some((name.clone(), scanner));
                continue;
            };
            match scanner.step() {
                Some(Step::Entry(entry)) if entry.header().index() < self.from => {}
                Some(Step::Entry(entry)) if entry.header().index() > commit => return Ok(None),
                Some(Step::Entry(entry)) => return Ok(Some(At { file: file.clone(), entry })),
                Some(Step::Unreadable(text)) => {
                    return Err(Trouble::Unreadable(format!("{file}: {text}")));
                }
                Some(Step::Gap { .. } | Step::Tail { .. }) => {}
                None => self.scanner = None,
            }
        }
    }
}
