//! `verify`: every segment by itself on several threads, then what spans them, then the verdict.

use super::out::Out;
use super::records::DECOMPRESSED_BYTES_MAX;
use super::segment_check::{Continued, Depth, Finding, SegmentCheck, check, not_dense};
use super::source::{Journal, Segment, Source};
use super::state::{CheckpointFault, read_checkpoint};
use super::trouble::{Trouble, exit};
use crate::row;
use engine::entry::reader::{Link, check_chain};
use engine::folder;
use engine::ids::{Index, PartitionId};
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::BTreeMap;
use std::num::NonZero;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a finding comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Verdict {
    /// Above both bounds on a live folder: being written.
    Live,
    Torn,
    Damage,
}

/// Totals over everything.
#[derive(Default)]
struct Totals {
    segments: u64,
    entries: u64,
    batches: u64,
    records: u64,
    bytes: u64,
}

pub fn verify(
    source: &Source,
    strict: bool,
    threads: Option<usize>,
    out: &mut Out<'_>,
) -> Result<u8, Trouble> {
    let depth = Depth { strict, decompressed_bytes_max: DECOMPRESSED_BYTES_MAX };
    let checks = check_all(source, depth, threads)?;
    let mut report = Report { source, out, code: exit::CLEAN, unreadable: false, totals: Totals::default() };
    if source.node_bad_copies > 0 {
        let text = format!("{} of 2 copies cannot be read", source.node_bad_copies);
        report.damage(None, folder::NODE_META, 0, &text)?;
    }
    let mut checks = checks.into_iter();
    for journal in &source.journals {
        let own: Vec<_> = checks.by_ref().take(journal.segments.len()).collect();
        report.journal(journal, own)?;
    }
    report.end()
}

/// What a thread found of one segment, once it is done.
type Slot = Mutex<Option<Result<Option<SegmentCheck>, Trouble>>>;

/// All segments, in order; each is checked by one of the threads.
fn check_all(
    source: &Source,
    depth: Depth,
    threads: Option<usize>,
) -> Result<Vec<Option<SegmentCheck>>, Trouble> {
    let work: Vec<(&Journal, &Segment)> =
        source.journals.iter().flat_map(|j| j.segments.iter().map(move |segment| (j, segment))).collect();
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let threads = threads.unwrap_or(cores).clamp(1, work.len().max(1));
    let bar = progress_bar(work.iter().map(|(_, segment)| segment.file_bytes).sum());
    let next = AtomicUsize::new(0);
    let results: Vec<Slot> = work.iter().map(|_| Mutex::new(None)).collect();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((at, (journal, segment))) = take(&next, &work) {
                    let result = check(journal, segment, depth, &|bytes| bar.inc(bytes));
                    *results[at].lock().expect("no thread panicked") = Some(result);
                }
            });
        }
    });
    bar.finish_and_clear();
    let result =
        |slot: Mutex<Option<_>>| slot.into_inner().expect("no thread panicked").expect("each is done");
    results.into_iter().map(result).collect()
}

fn take<'w, T>(next: &AtomicUsize, work: &'w [T]) -> Option<(usize, &'w T)> {
    let at = next.fetch_add(1, Ordering::Relaxed);
    work.get(at).map(|work| (at, work))
}

/// On stderr, and only when that is a terminal.
fn progress_bar(bytes: u64) -> ProgressBar {
    let style = "{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}";
    ProgressBar::new(bytes).with_style(ProgressStyle::with_template(style).expect("a valid template"))
}

struct Report<'a, 'o> {
    source: &'a Source,
    out: &'a mut Out<'o>,
    code: u8,
    unreadable: bool,
    totals: Totals,
}

impl Report<'_, '_> {
    fn journal(&mut self, journal: &Journal, checks: Vec<Option<SegmentCheck>>) -> Result<(), Trouble> {
        let id = Some(journal.id().0);
        if journal.meta_bad_copies > 0 {
            let text = format!("{} of 2 copies cannot be read", journal.meta_bad_copies);
            self.damage(id, folder::JOURNAL_META, 0, &text)?;
        }
        let bad_copies = journal.hard_state.map_or(0, |read| read.bad_copies);
        if bad_copies > 0 {
            self.damage(id, folder::HARD_STATE, 0, &format!("{bad_copies} of 4 copies cannot be read"))?;
        }
        self.checkpoints(journal)?;
        let mut findings = Vec::new();
        let checks: Vec<_> =
            journal.segments.iter().zip(checks).filter_map(|(s, c)| c.map(|c| (s, c))).collect();
        let bound = bound(journal, &checks);
        let end = join(journal, &checks, &mut findings);
        if self.lacks_durable(journal, end, bound) {
            let file = checks.last().map_or(folder::HARD_STATE.to_owned(), |(segment, _)| segment.name());
            let text = format!("the log ends at entry {end}, but entries up to {bound} were durable");
            findings.push(certain(file, 0, end.next(), text));
        }
        for (segment, check) in checks {
            self.totals.add(&check);
            findings.extend(check.findings);
            if let Some(text) = check.unreadable {
                self.unreadable = true;
                self.row("unreadable", id, &segment.name(), 0, None, &text)?;
            }
        }
        for finding in findings {
            self.finding(journal, bound, &finding)?;
        }
        Ok(())
    }

    /// A lone segment and a damaged one say nothing of the log's end.
    fn lacks_durable(&self, journal: &Journal, end: Index, bound: Index) -> bool {
        journal.dir.is_some() && end < bound && !self.unreadable
    }

    fn checkpoints(&mut self, journal: &Journal) -> Result<(), Trouble> {
        let id = Some(journal.id().0);
        for path in journal.checkpoints.iter().map(|(_, path)| path).chain(&journal.local_checkpoint) {
            // One that is gone was replaced by a newer one since it was listed.
            if self.source.is_live && !path.exists() {
                continue;
            }
            let name = super::source::file_name(path);
            match read_checkpoint(path, journal) {
                Ok(_) => {}
                Err(CheckpointFault::Newer(text)) => {
                    self.unreadable = true;
                    self.row("unreadable", id, &name, 0, None, &text)?;
                }
                Err(CheckpointFault::Bad(text)) => self.damage(id, &name, 0, &text)?,
            }
        }
        Ok(())
    }

    fn finding(&mut self, journal: &Journal, bound: Index, finding: &Finding) -> Result<(), Trouble> {
        let verdict = self.verdict(journal, bound, finding);
        let name = match verdict {
            Verdict::Live => return Ok(()),
            Verdict::Torn => "torn",
            Verdict::Damage => "damage",
        };
        let code = if verdict == Verdict::Torn { exit::TORN } else { exit::DAMAGE };
        self.code = self.code.max(code);
        let index = Some(finding.index.0);
        self.row(name, Some(journal.id().0), &finding.file, finding.position, index, &finding.text)
    }

    fn verdict(&self, journal: &Journal, bound: Index, finding: &Finding) -> Verdict {
        let in_sealed = journal.segments.iter().any(|s| s.is_sealed() && s.name() == finding.file);
        let is_lone = journal.dir.is_none();
        if finding.is_certain || in_sealed || finding.index <= bound || (is_lone && finding.is_followed) {
            Verdict::Damage
        } else if self.source.is_live {
            Verdict::Live
        } else {
            Verdict::Torn
        }
    }

    fn damage(&mut self, journal: Option<u64>, file: &str, position: u64, text: &str) -> Result<(), Trouble> {
        self.code = self.code.max(exit::DAMAGE);
        self.row("damage", journal, file, position, None, text)
    }

    fn row(
        &mut self,
        what: &str,
        journal: Option<u64>,
        file: &str,
        position: u64,
        index: Option<u64>,
        text: &str,
    ) -> Result<(), Trouble> {
        self.out.row(row! {
            "what" => what,
            "journal" => journal,
            "file" => file,
            "position" => position,
            "index" => index,
            "text" => text,
        })
    }

    fn end(self) -> Result<u8, Trouble> {
        let code = if self.unreadable { exit::UNREADABLE } else { self.code };
        let result = match code {
            exit::CLEAN => "clean",
            exit::TORN => "torn tail",
            exit::DAMAGE => "damaged",
            _ => "unreadable",
        };
        let totals = self.totals;
        self.out.row(row! {
            "result" => result,
            "live" => self.source.is_live,
            "journals" => self.source.journals.len(),
            "segments" => totals.segments,
            "entries" => totals.entries,
            "batches" => totals.batches,
            "records" => totals.records,
            "bytes" => totals.bytes,
        })?;
        Ok(code)
    }
}

impl Totals {
    fn add(&mut self, check: &SegmentCheck) {
        self.segments += 1;
        self.entries += check.entries;
        self.batches += check.batches;
        self.records += check.records;
        self.bytes += check.bytes;
    }
}

fn certain(file: String, position: u64, index: Index, text: String) -> Finding {
    Finding { file, position, index, is_followed: true, is_certain: true, text }
}

/// Up to here everything was durable: the known commit, the synced bound, sealed segments and
/// checkpoints say so. A lone segment has none.
fn bound(journal: &Journal, checks: &[(&Segment, SegmentCheck)]) -> Index {
    if journal.dir.is_none() {
        return Index::NONE;
    }
    let state = journal.hard_state.and_then(|read| read.newest).unwrap_or_default();
    let mut bound = state.commit.max(state.synced.index);
    for (segment, check) in checks {
        bound = bound.max(check.max_commit);
        if segment.is_sealed() {
            bound = bound.max(check.last.index);
        }
    }
    journal.checkpoints.last().map_or(bound, |(last, _)| bound.max(*last))
}

/// Joins the segments: chain, indexes and offsets from each to the next. Gives the last index
/// there is, without holes counted.
fn join(journal: &Journal, checks: &[(&Segment, SegmentCheck)], findings: &mut Vec<Finding>) -> Index {
    let mut link: Option<Link> = None;
    let mut ends: BTreeMap<PartitionId, Continued> = BTreeMap::new();
    let mut skipped = 0;
    let mut end = Index::NONE;
    for (segment, check) in checks {
        if let Some(first) = &check.first {
            check_begin(journal, segment, first, link, end, findings);
            end = check.last.index;
        }
        check_offsets(segment, check, &ends, skipped, findings);
        if check.has_gap {
            ends.clear();
        }
        for (partition, continued) in &check.ends {
            ends.insert(*partition, Continued { skipped: continued.skipped + skipped, ..*continued });
        }
        skipped += check.skipped;
        let ends_whole = check.first.is_some() && check.findings.iter().all(|finding| finding.is_followed);
        link = ends_whole.then_some(check.last);
        check_synced(journal, segment, check, findings);
    }
    end
}

/// A segment's first entry continues the segment before, or a checkpoint.
fn check_begin(
    journal: &Journal,
    segment: &Segment,
    first: &engine::entry::EntryHeader,
    link: Option<Link>,
    end: Index,
    findings: &mut Vec<Finding>,
) {
    let base = segment.base;
    let file = segment.name();
    if let Some(Err(fault)) = link.map(|link| check_chain(first, &link)) {
        let text = fault.kind.to_string();
        findings.push(Finding {
            file,
            position: fault.position,
            index: first.index(),
            is_followed: true,
            is_certain: false,
            text,
        });
    } else if end == Index::NONE && base > Index(1) && journal.dir.is_some() {
        let is_covered = journal.checkpoints.iter().any(|(last, _)| last.next() >= base);
        if !is_covered {
            let text = format!("entries before {base} are not there and no checkpoint covers them");
            findings.push(certain(file, 0, Index(1), text));
        }
    }
}

fn check_offsets(
    segment: &Segment,
    check: &SegmentCheck,
    ends: &BTreeMap<PartitionId, Continued>,
    skipped: u64,
    findings: &mut Vec<Finding>,
) {
    for (partition, start) in &check.starts {
        let here = Continued { skipped: start.skipped + skipped, ..*start };
        let Some(text) = ends.get(partition).and_then(|before| not_dense(*partition, before, &here)) else {
            continue;
        };
        findings.push(Finding {
            file: segment.name(),
            position: start.position,
            index: start.index,
            is_followed: true,
            is_certain: false,
            text,
        });
    }
}

/// The entry at the synced bound is the one that the bound names.
fn check_synced(journal: &Journal, segment: &Segment, check: &SegmentCheck, findings: &mut Vec<Finding>) {
    let Some(state) = journal.hard_state.and_then(|read| read.newest) else { return };
    if check.synced_checksum.is_some_and(|checksum| checksum != state.synced.checksum) {
        let index = state.synced.index;
        let text = format!("entry {index} is not the one that the synced bound names");
        findings.push(certain(segment.name(), 0, index, text));
    }
}
