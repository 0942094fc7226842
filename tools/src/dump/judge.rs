//! What `verify`'s findings in one journal come to: joins its segments, and tells torn from damaged.

use super::accepted::Accepted;
use super::journal::{Journal, Segment, file_name};
use super::missing::{self, LogStarts};
use super::names::Names;
use super::remark::{Remark, What};
use super::segment_check::{Continued, Finding, SegmentCheck, not_dense};
use super::state::{CheckpointFault, read_checkpoint};
use engine::disk::BLOCK;
use engine::entry::reader::{Link, check_chain};
use engine::folder::{self, NODE_META_KIND};
use engine::framing::FrameKind;
use engine::ids::{Index, PartitionId};
use engine::journal::format::hard_state::HARD_STATE_KIND;
use engine::journal::format::meta_record::JOURNAL_META_KIND;
use engine::partition::Fold;
use std::collections::BTreeMap;
use std::path::Path;

/// Totals over a journal, or over all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Totals {
    pub segments: u64,
    pub entries: u64,
    pub batches: u64,
    pub records: u64,
    pub bytes: u64,
}

impl Totals {
    pub fn add(&mut self, other: &Self) {
        self.segments += other.segments;
        self.entries += other.entries;
        self.batches += other.batches;
        self.records += other.records;
        self.bytes += other.bytes;
    }

    fn of(check: &SegmentCheck) -> Self {
        Self {
            segments: 1,
            entries: check.entries,
            batches: check.batches,
            records: check.records,
            bytes: check.bytes,
        }
    }
}

/// The verdict on a journal.
#[derive(Debug, Default)]
pub struct Judged {
    pub remarks: Vec<Remark>,
    pub totals: Totals,
}

impl Judged {
    /// Leaves what a second look, later, found too.
    pub fn confirmed_by(&mut self, later: &Self) {
        self.remarks.retain(|remark| later.remarks.iter().any(|again| again.is_same(remark)));
    }
}

/// Copies of a record that cannot be read, each with its place.
pub fn bad_copies(journal: Option<u64>, path: &Path, kind: FrameKind, seed: u64, count: u32) -> Vec<Remark> {
    if count == 0 {
        return Vec::new();
    }
    let bytes = std::fs::read(path).unwrap_or_default();
    let is_bad = |block: &&(usize, &[u8])| kind.decode(seed, block.1).is_err();
    let blocks: Vec<(usize, &[u8])> = bytes.chunks(BLOCK).enumerate().collect();
    let position = blocks.iter().find(is_bad).map_or(0, |(number, _)| (number * BLOCK) as u64);
    let text = format!("{count} of its copies cannot be read, the first of them here");
    vec![Remark { what: What::Damage, journal, file: file_name(path), position, index: None, text }]
}

/// The node's own record.
pub fn node_copies(data_folder: &Path, count: u32) -> Vec<Remark> {
    bad_copies(None, &data_folder.join(folder::NODE_META), NODE_META_KIND, 0, count)
}

/// Judges a journal by what its segments gave; on a live folder what is above both bounds is
/// being written.
pub fn judge(journal: &Journal, checks: Vec<Option<SegmentCheck>>, is_live: bool, names: &Names) -> Judged {
    let mut judged = Judged::default();
    let mut checks: Vec<_> =
        journal.segments.iter().zip(checks).filter_map(|(s, c)| c.map(|c| (s, c))).collect();
    checks.iter().for_each(|(_, check)| judged.totals.add(&Totals::of(check)));
    if journal.is_installing {
        return judged;
    }
    judged.remarks.extend(journal.lost.iter().cloned());
    judged.remarks.extend(copies(journal));
    let newest = checkpoints(journal, is_live, &mut judged.remarks);
    pass_over_leftovers(&mut checks);
    let bound = bound(journal, &checks);
    let mut findings = Vec::new();
    let end = join(journal, &checks, (bound, names), &mut findings);
    let is_unreadable = checks.iter().any(|(_, check)| check.unreadable.is_some());
    // A lone segment says nothing of the log's end.
    let is_named = findings.iter().any(|finding| finding.index == end.next());
    if journal.dir.is_some() && end < bound && !is_unreadable && !is_named {
        findings.push(missing::end(checks.last().map(|(segment, _)| *segment), end, bound));
    }
    let is_whole = findings.is_empty() && checks.iter().all(|(_, check)| check.findings.is_empty());
    let starts = LogStarts::new(newest.as_ref(), &checks);
    let orphans = missing::orphans(journal, &starts);
    // Where the middle is lost it is not known which partition begins where.
    if is_whole && orphans.is_empty() && !is_unreadable && journal.dir.is_some() {
        judged.remarks.extend(missing::front(journal, &starts, &checks, names));
    }
    // A segment that is missing is named once.
    findings.retain(|finding| orphans.iter().all(|orphan| orphan.file != finding.file));
    judged.remarks.extend(orphans);
    let accepted = Accepted::of(journal, checks.iter().map(|(_, check)| check));
    for (segment, check) in checks {
        findings.extend(check.findings);
        let unreadable = |text| Remark::of_file(What::Unreadable, Some(journal.id().0), segment.name(), text);
        judged.remarks.extend(check.unreadable.map(unreadable));
    }
    findings.retain(|finding| finding.is_certain || !accepted.contains(finding.index));
    let bounds = Bounds { bound, is_live };
    judged.remarks.extend(findings.into_iter().filter_map(|finding| bounds.remark(journal, finding)));
    judged
}

fn copies(journal: &Journal) -> Vec<Remark> {
    let Some(dir) = &journal.dir else { return Vec::new() };
    let id = Some(journal.id().0);
    let mut all =
        bad_copies(id, &dir.join(folder::JOURNAL_META), JOURNAL_META_KIND, 0, journal.meta_bad_copies);
    let bad = journal.hard_state.map_or(0, |read| read.bad_copies);
    let secret = journal.identity.secret;
    all.extend(bad_copies(id, &dir.join(folder::HARD_STATE), HARD_STATE_KIND, secret, bad));
    all
}

/// Notes what is wrong with checkpoints; gives the fold of the newest good one.
fn checkpoints(journal: &Journal, is_live: bool, remarks: &mut Vec<Remark>) -> Option<Fold> {
    let mut newest: Option<Fold> = None;
    for path in journal.checkpoints.iter().map(|(_, path)| path).chain(&journal.local_checkpoint) {
        let (what, position, text) = match read_checkpoint(path, journal) {
            Ok((_, fold)) => {
                newest = newest.filter(|newest| newest.applied > fold.applied).or(Some(fold));
                continue;
            }
            // One that is gone was replaced by a newer one since it was listed.
            Err(_) if is_live && !path.exists() => continue,
            Err(CheckpointFault::Newer(text)) => (What::Unreadable, 0, text),
            Err(CheckpointFault::Bad { position, text }) => (What::Damage, position, text),
        };
        let (journal, file) = (Some(journal.id().0), file_name(path));
        remarks.push(Remark { what, journal, file, position, index: None, text });
    }
    newest
}

struct Bounds {
    bound: Index,
    is_live: bool,
}

impl Bounds {
    /// `None` for what is being written just now.
    fn remark(&self, journal: &Journal, finding: Finding) -> Option<Remark> {
        let what = self.what(journal, &finding)?;
        Some(Remark {
            what,
            journal: Some(journal.id().0),
            file: finding.file,
            position: finding.position,
            index: Some(finding.index),
            text: finding.text,
        })
    }

    fn what(&self, journal: &Journal, finding: &Finding) -> Option<What> {
        let in_sealed = journal.segments.iter().any(|s| s.is_sealed() && s.name() == finding.file);
        let in_lone = journal.dir.is_none() && finding.is_followed;
        if finding.is_certain || in_sealed || in_lone || finding.index <= self.bound {
            Some(What::Damage)
        } else if self.is_live {
            None
        } else {
            Some(What::Torn)
        }
    }
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
    let orphan = journal.orphans.last().map_or(Index::NONE, |(base, _)| *base);
    let checkpoint = journal.checkpoints.last().map_or(Index::NONE, |(last, _)| *last);
    bound.max(orphan).max(checkpoint)
}

/// What a raft cut left behind the last entry of a segment that was rolled and is not sealed yet:
/// the log goes on in the next one.
fn pass_over_leftovers(checks: &mut [(&Segment, SegmentCheck)]) {
    for at in 1..checks.len() {
        let next = checks[at].1.first.as_ref().map(|first| first.index());
        let (segment, check) = &mut checks[at - 1];
        if next == Some(check.last.index.next()) && !segment.is_sealed() {
            check.findings.retain(|finding| !finding.is_tail);
        }
    }
}

/// Joins the segments: chain, indexes and offsets from each to the next. Gives the last index
/// there is, without holes counted.
fn join(
    journal: &Journal,
    checks: &[(&Segment, SegmentCheck)],
    (bound, names): (Index, &Names),
    findings: &mut Vec<Finding>,
) -> Index {
    let mut before: Option<Before<'_>> = None;
    let mut ends: BTreeMap<PartitionId, Continued> = BTreeMap::new();
    let mut skipped = 0;
    let mut end = Index::NONE;
    for (at, (segment, check)) in checks.iter().enumerate() {
        if !check_begin(journal, segment, check, before.as_ref(), findings) {
            ends.clear();
        }
        let next = checks.get(at + 1).map(|(next, _)| next.base);
        let emptied = missing::emptied(segment, check, next, bound).filter(|_| journal.dir.is_some());
        let is_whole = emptied.is_none() && check.findings.iter().all(|finding| finding.is_followed);
        findings.extend(emptied);
        end = if check.first.is_some() {
            check.last.index
        } else {
            end.max(Index(segment.base.0.saturating_sub(1)))
        };
        check_offsets(segment, check, (&ends, skipped, names), findings);
        if check.has_gap {
            ends.clear();
        }
        for (partition, continued) in &check.ends {
            ends.insert(*partition, Continued { skipped: continued.skipped + skipped, ..*continued });
        }
        skipped += check.skipped;
        before =
            Some(Before { segment, end: is_whole.then_some(end), link: check.first.map(|_| check.last) });
        check_synced(journal, segment, check, findings);
    }
    end
}

/// The segment before the one that is looked at.
struct Before<'a> {
    segment: &'a Segment,
    /// Its last entry, when nothing that is told already hides more of them.
    end: Option<Index>,
    link: Option<Link>,
}

/// A segment's first entry continues the segment before, or a checkpoint. False where entries between them are lost.
fn check_begin(
    journal: &Journal,
    segment: &Segment,
    check: &SegmentCheck,
    before: Option<&Before<'_>>,
    findings: &mut Vec<Finding>,
) -> bool {
    let base = segment.base;
    let Some(before) = before else {
        let is_covered = base <= Index(1) || journal.checkpoints.iter().any(|(last, _)| last.next() >= base);
        if !is_covered && journal.dir.is_some() {
            let text = format!("entries before {base} are not there and no checkpoint covers them");
            findings.push(missing::certain(segment.name(), 0, Index(1), text));
        }
        return true;
    };
    let Some(end) = before.end else { return false };
    if end.next() < base {
        findings.push(missing::hole(before.segment, end, base));
        return false;
    }
    let joined =
        check.first.as_ref().zip(before.link).map(|(first, link)| (first, check_chain(first, &link)));
    let Some((first, Err(fault))) = joined else { return true };
    findings.push(Finding {
        file: segment.name(),
        position: fault.position,
        index: first.index(),
        is_followed: true,
        is_tail: false,
        is_certain: false,
        text: fault.kind.to_string(),
    });
    true
}

fn check_offsets(
    segment: &Segment,
    check: &SegmentCheck,
    (ends, skipped, names): (&BTreeMap<PartitionId, Continued>, u64, &Names),
    findings: &mut Vec<Finding>,
) {
    for (partition, start) in &check.starts {
        let here = Continued { skipped: start.skipped + skipped, ..*start };
        let Some(text) = ends.get(partition).and_then(|before| not_dense(names, *partition, before, &here))
        else {
            continue;
        };
        findings.push(Finding {
            file: segment.name(),
            position: start.position,
            index: start.index,
            is_followed: true,
            is_tail: false,
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
        findings.push(missing::certain(segment.name(), 0, index, text));
    }
}
