//! The scan of a journal's tail at start: what is whole, what is bad, and where.
//!
//! The walk only looks. It accepts entries that continue the chain; where one is bad it looks for
//! the next whole head with a higher index and goes on there. What a bad stretch is, a torn tail
//! or damage, is judged afterwards ([`Walk::verdict`]) by two bounds: writes are several deep, so
//! a bad entry followed by good ones can be an honest unsynced tail.

use super::scan::{Scanned, Scanner};
use crate::disk::{BLOCK, DiskError};
use crate::entry::EntryBytes;
use crate::entry::layout::EntryHeader;
use crate::entry::reader::{Expect, Link, check_chain};
use crate::entry::torn::body_was_never_written;
use crate::ids::{FileId, Index, JournalIdentity, Term};
use crate::journal::format::hard_state::SyncedBound;
use crate::journal::ledger::heads::Head;
use crate::journal::log::cursor::Cursor;
use crate::journal::read::index::ActiveIndex;
use crate::planted::{Bug, is_planted};
use core::ops::Range;

/// One segment as the walk left it.
#[derive(Debug)]
pub struct Walked {
    pub base: Index,
    pub file: FileId,
    pub file_bytes: u64,
    /// Where what is not zero ends, as far as the walk looked behind the last good entry.
    pub content_end: u64,
    pub index: ActiveIndex,
}

impl Walked {
    pub fn new(base: Index, file: FileId, file_bytes: u64) -> Self {
        Self { base, file, file_bytes, content_end: 0, index: ActiveIndex::new(base) }
    }
}

/// Entries that are bad or missing, up to the next good one.
#[derive(Clone, Debug)]
pub struct BadRun {
    /// Number of the segment in the walk, and where in it the run begins.
    pub segment: usize,
    pub position: u64,
    pub first: Index,
    /// The good entry that follows.
    pub next: Option<NextGood>,
    /// The head is whole and only the body is bad: the run is this one entry.
    pub body_only: Option<Term>,
    /// What stands where its first entry should was never written whole.
    pub torn: bool,
    pub bytes: u64,
}

/// Where the log goes on behind a bad run: a whole head, or the first place of a segment.
#[derive(Clone, Copy, Debug)]
pub struct NextGood {
    pub index: Index,
    pub term: Option<Term>,
    /// Its position in the segment that the run is in; `None` in a later one.
    pub position: Option<u64>,
}

/// What the walk found.
pub struct Walk {
    identity: JournalIdentity,
    pub segments: Vec<Walked>,
    /// Heads of all entries above `keep_above`, lost ones included, ascending without gaps.
    pub heads: Vec<Head>,
    keep_above: Index,
    pub bad: Vec<BadRun>,
    link: Link,
    /// The link it began with, and whether the checksum in it is known.
    first: Link,
    any_checksum: bool,
    /// The last entry of a segment is lost, and with it the checksum that the next one names.
    lost_checksum: bool,
    end_position: u64,
    /// The same of what stands behind the last entry.
    end_torn: bool,
    /// The highest commit index that a whole head told.
    pub commit: Index,
    pub entries: u64,
    pub read_bytes: u64,
}

/// Where the log is made to end: `first` is the first entry that is no longer in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    pub segment: usize,
    pub position: u64,
    pub first: Index,
}

/// What to do about the bad runs.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// The highest entry that is known to have been durable.
    pub bound: Index,
    /// Runs at or below the bound: they stay.
    pub damage: Vec<BadRun>,
    /// The first run above it: it and all behind it is cut.
    pub cut: Option<Cut>,
    /// The log ends before the bound.
    pub missing: bool,
}

impl Verdict {
    /// Nothing is bad or missing.
    pub fn is_clean(&self) -> bool {
        self.damage.is_empty() && self.cut.is_none() && !self.missing
    }
}

impl Walk {
    /// A walk that begins behind `link`, and keeps the heads of entries above `keep_above`.
    pub fn new(identity: JournalIdentity, link: Link, keep_above: Index) -> Self {
        Self {
            identity,
            segments: Vec::new(),
            heads: Vec::new(),
            keep_above,
            bad: Vec::new(),
            link,
            first: link,
            any_checksum: false,
            lost_checksum: false,
            end_position: 0,
            end_torn: false,
            commit: Index::NONE,
            entries: 0,
            read_bytes: 0,
        }
    }

    /// The checksum before the first entry is not known: any will do.
    pub fn any_first(&mut self) {
        self.any_checksum = true;
    }

    /// The link that the walk began with.
    pub fn first(&self) -> Link {
        self.first
    }

    /// Walks one segment; segments come in order.
    pub async fn segment(&mut self, scanner: &mut Scanner, walked: Walked) -> Result<(), DiskError> {
        let base = walked.base;
        if base > self.link.index.next() {
            let (position, torn) = (self.end_position, self.end_torn);
            self.lose_up_to(base, None, position..position + self.bad_tail_bytes(), torn);
        }
        self.segments.push(walked);
        let mut position = 0;
        self.end_torn = false;
        loop {
            let expect = Expect { identity: self.identity, segment_base: base, position };
            let search_from = match scanner.entry(&expect).await? {
                Scanned::End => break,
                Scanned::Whole(entry) if self.continues(entry.header()) => {
                    self.accept(&entry);
                    position += entry.len() as u64;
                    continue;
                }
                Scanned::BadBody(entry, _) if self.continues(entry.header()) => {
                    self.note_bad_body(&entry, position);
                    self.accept(&entry);
                    position += entry.len() as u64;
                    continue;
                }
                // A whole head of a later entry: those between are missing.
                Scanned::Whole(_) | Scanned::BadBody(..) => position,
                Scanned::BadHead(_) => position + BLOCK as u64,
            };
            // A whole head that continues nothing is of a tail that raft cut: what was to take its place
            // was never written.
            let torn = search_from == position || scanner.is_torn_head(&expect).await?;
            let search = Expect { position: search_from, ..expect };
            let Some((next, header)) = scanner.next_head(search, &self.link).await? else {
                self.end_torn = torn;
                break;
            };
            self.lose_up_to(header.index(), Some(&header), position..next, torn);
            position = next;
        }
        self.end_position = position;
        let walked = self.segments.last_mut().expect("pushed above");
        walked.content_end = scanner.content_end().max(position);
        self.read_bytes += scanner.read_bytes;
        Ok(())
    }

    /// True when this head follows the last accepted entry.
    fn continues(&self, header: &EntryHeader) -> bool {
        let mut link = self.link;
        if self.any_checksum && link.index == self.first.index || self.lost_checksum {
            link.checksum = header.previous_checksum.get();
        }
        if is_planted(Bug::StaleTailTaken) {
            return header.index() == link.index.next();
        }
        check_chain(header, &link).is_ok()
    }

    fn accept(&mut self, entry: &EntryBytes) {
        let header = entry.header();
        self.link = Link::of(header);
        self.lost_checksum = false;
        self.commit = self.commit.max(Index(header.commit.get()));
        self.entries += 1;
        let segment = self.segments.last_mut().expect("the walk is in a segment");
        segment.index.append(header, entry.descriptors());
        if header.index() > self.keep_above {
            self.heads.push(Head::Bytes(entry.head().into()));
        }
    }

    fn note_bad_body(&mut self, entry: &EntryBytes, position: u64) {
        let header = entry.header();
        self.bad.push(BadRun {
            segment: self.segments.len() - 1,
            position,
            first: header.index(),
            next: None,
            body_only: Some(header.term()),
            torn: body_was_never_written(entry),
            bytes: entry.len() as u64,
        });
    }

    /// The entries up to `next`, whose header follows at once if it is given, are lost: they lay
    /// in `place`.
    fn lose_up_to(&mut self, next: Index, header: Option<&EntryHeader>, place: Range<u64>, torn: bool) {
        let (position, bytes) = (place.start, place.end - place.start);
        let known_term = header.map(EntryHeader::term).filter(|term| *term == self.link.term);
        let goes_on = NextGood {
            index: next,
            term: header.map(EntryHeader::term),
            position: header.map(|_| place.end),
        };
        self.bad.push(BadRun {
            segment: self.segments.len().saturating_sub(1),
            position,
            first: self.link.index.next(),
            next: Some(goes_on),
            body_only: None,
            torn,
            bytes,
        });
        self.lose(next, known_term, bytes);
        self.lost_checksum = header.is_none();
        if let Some(header) = header {
            self.link.checksum = header.previous_checksum.get();
        }
    }

    fn lose(&mut self, next: Index, term: Option<Term>, bytes: u64) {
        let lost = next.0 - self.link.index.0 - 1;
        for number in 0..lost {
            let index = Index(self.link.index.0 + 1 + number);
            if index > self.keep_above {
                self.heads.push(Head::Lost { index, term });
            }
            // The last of them takes what is left: the place of the next good entry is known.
            let before = (number * BLOCK as u64).min(bytes);
            let entry_bytes =
                if number + 1 == lost { bytes - before } else { (BLOCK as u64).min(bytes - before) };
            if let Some(segment) = self.segments.last_mut() {
                segment.index.append_lost(self.link.term, entry_bytes as u32);
            }
        }
        self.link.index = Index(next.0 - 1);
    }

    /// Entries up to `last` had been durable and are gone from the end of the log. What lies in
    /// their place stays: the log goes on behind it.
    pub fn lose_end(&mut self, last: Index, checksum: u32) {
        let bytes = self.bad_tail_bytes();
        self.lose(last.next(), None, bytes);
        self.link.checksum = checksum;
        self.lost_checksum = false;
        self.end_position += bytes;
    }

    /// The entry that stands at `index` is not the log's: it is as lost.
    pub fn lose_one(&mut self, index: Index, term: Term) {
        if let Some(head) = self.heads.iter_mut().find(|head| head.index() == index) {
            *head = Head::Lost { index, term: Some(term) };
        }
    }

    /// What is not zero behind the last good entry of the last segment, in whole blocks.
    fn bad_tail_bytes(&self) -> u64 {
        let content_end = self.segments.last().map_or(0, |segment| segment.content_end);
        content_end.next_multiple_of(BLOCK as u64).saturating_sub(self.end_position)
    }

    /// What stands behind the last entry: whether it is there, and was never written whole. In blocks.
    pub fn bad_end(&self) -> Option<(u64, bool)> {
        let bytes = self.bad_tail_bytes();
        (bytes > 0).then_some((bytes / BLOCK as u64, self.end_torn))
    }

    /// The last entry that is there.
    pub fn last(&self) -> Link {
        self.link
    }

    /// Tells torn from damaged: at or below what is known to have been committed or synced a bad
    /// entry is damage, above both the first bad one ends the log.
    pub fn verdict(&self, known_commit: Index, synced: SyncedBound) -> Verdict {
        let bound = known_commit.max(self.commit).max(synced.index);
        let mut verdict = Verdict { bound, ..Verdict::default() };
        for run in &self.bad {
            if run.first > bound || is_planted(Bug::DamageCut) {
                verdict.cut = Some(Cut { segment: run.segment, position: run.position, first: run.first });
                return verdict;
            }
            if let Some(next) = run.next.filter(|next| next.index.0 - 1 > bound.0) {
                // What follows the bound is no part of the log; what precedes it had been durable
                // and is never cut: the log goes on behind it.
                let position = next.position.unwrap_or(run.position + run.bytes);
                verdict.cut = Some(Cut { segment: run.segment, position, first: bound.next() });
                let next = Some(NextGood { index: bound.next(), ..next });
                verdict.damage.push(BadRun { next, ..run.clone() });
                return verdict;
            }
            verdict.damage.push(run.clone());
        }
        verdict.missing = self.link.index < bound;
        verdict
    }

    /// Where the log ends when nothing is cut.
    pub fn end(&self) -> Cut {
        let segment = self.segments.len() - 1;
        Cut { segment, position: self.end_position, first: self.link.index.next() }
    }

    /// Forgets the entries from the cut on. The link is the one before it.
    pub fn truncate(&mut self, cut: Cut, before: Link) {
        self.heads.retain(|head| head.index() < cut.first);
        self.segments.truncate(cut.segment + 1);
        if let Some(segment) = self.segments.last_mut()
            && segment.base <= cut.first
        {
            segment.index.truncate_from(cut.first);
            segment.index.reach(cut.position);
        }
        self.link = before;
        self.end_position = cut.position;
    }

    /// The link to an entry that the walk accepted, or to the one that it began behind.
    pub fn link_at(&self, index: Index) -> Option<Link> {
        let at = self.segments.iter().find_map(|segment| segment.index.entry(index));
        at.map(|at| Link { index, term: at.term, checksum: at.checksum })
    }
}

/// The cursor behind the last entry of a segment, given the link to it.
pub fn cursor_after(index: &ActiveIndex, link: &Link) -> Cursor {
    let totals = index.totals();
    Cursor {
        next: link.index.next(),
        segment_base: index.base(),
        position: totals.data_bytes,
        batches: totals.batches as u32,
        previous_checksum: link.checksum,
        previous_term: link.term,
    }
}
