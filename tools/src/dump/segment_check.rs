//! Checks one segment by itself; what spans segments is left to [`super::verify`].

use super::journal::{Journal, Segment};
use super::names::Names;
use super::scan::{Entry, Scanner, Step};
use super::trouble::Trouble;
use engine::batch::BatchHeader;
use engine::batch::records::Records;
use engine::disk::BLOCK;
use engine::entry::item::Item;
use engine::entry::reader::{Link, check_body_pieces, check_chain};
use engine::entry::{BatchDescriptor, EntryHeader, EntryKind};
use engine::ids::{Index, Offset, PartitionId};
use engine::journal::format::index_file::IndexHeader;
use engine::journal::read::index::ActiveIndex;
use std::collections::{BTreeMap, BTreeSet};

/// Something that is not as it should be.
#[derive(Clone, Debug)]
pub struct Finding {
    pub file: String,
    /// Byte in the file.
    pub position: u64,
    /// The first entry concerned: the bounds decide by it between torn and damaged.
    pub index: Index,
    /// Good entries follow in this segment.
    pub is_followed: bool,
    /// Bytes behind the last good entry.
    pub is_tail: bool,
    /// Damage whatever the bounds say.
    pub is_certain: bool,
    pub text: String,
}

/// How a partition's offsets continue from one segment to the next.
#[derive(Clone, Copy, Debug)]
pub struct Continued {
    pub offset: Offset,
    /// Offsets that accepted losses had skipped in this segment until then.
    pub skipped: u64,
    pub index: Index,
    pub position: u64,
}

/// What one segment gave.
#[derive(Default)]
pub struct SegmentCheck {
    pub findings: Vec<Finding>,
    /// It cannot be read, or a newer version wrote it.
    pub unreadable: Option<String>,
    pub first: Option<EntryHeader>,
    pub last: Link,
    pub max_commit: Index,
    pub entries: u64,
    pub batches: u64,
    pub records: u64,
    pub bytes: u64,
    /// Each partition's first batch, unless something before it is lost.
    pub starts: BTreeMap<PartitionId, Continued>,
    /// Where each partition's next batch must begin.
    pub ends: BTreeMap<PartitionId, Continued>,
    pub has_gap: bool,
    pub skipped: u64,
    /// Where control items moved the begin of partitions to, and which were deleted.
    pub log_starts: BTreeMap<PartitionId, Offset>,
    pub dropped: BTreeSet<PartitionId>,
    /// The file's length when it was sealed, as its index says.
    pub sealed_bytes: Option<u64>,
    /// Entries whose loss was accepted, as an entry here says.
    pub accepted: Vec<(Index, Index)>,
    /// The header checksum of the entry at the synced bound, when it is here.
    pub synced_checksum: Option<u32>,
}

/// What to check it for.
#[derive(Clone, Copy)]
pub struct Depth<'a> {
    pub strict: bool,
    /// Decompressed bytes of one batch.
    pub decompressed_bytes_max: usize,
    /// What its partitions are called.
    pub names: &'a Names,
}

/// Checks a segment; `progress` is told of bytes done. `None` when it was deleted meanwhile.
pub fn check(
    journal: &Journal,
    segment: &Segment,
    depth: Depth<'_>,
    progress: &dyn Fn(u64),
) -> Result<Option<SegmentCheck>, Trouble> {
    let Some(bytes) = segment.open()? else { return Ok(None) };
    let mut check = Checking {
        segment,
        depth,
        synced: journal.hard_state.and_then(|read| read.newest).map(|state| state.synced.index),
        link: None,
        index: Some(ActiveIndex::new(segment.base)),
        result: SegmentCheck::default(),
    };
    let mut scanner = Scanner::new(&bytes, journal.identity, segment.base, true);
    let mut done = 0;
    while let Some(step) = scanner.step() {
        check.step(step);
        progress(scanner.position() - done);
        done = scanner.position();
    }
    progress(bytes.len().saturating_sub(done));
    check.compare_index(journal);
    Ok(Some(check.result))
}

struct Checking<'a> {
    segment: &'a Segment,
    depth: Depth<'a>,
    synced: Option<Index>,
    /// The entry before, when it is good.
    link: Option<Link>,
    /// Made again from the heads; `None` once a head is lost.
    index: Option<ActiveIndex>,
    result: SegmentCheck,
}

impl Checking<'_> {
    fn step(&mut self, step: Step<'_>) {
        match step {
            Step::Entry(entry) => self.entry(&entry),
            Step::Gap { from, to, fault } => {
                self.lost();
                let text = format!("{fault}; bytes {from} to {to} are no entry, good ones follow");
                self.finding(from, self.next_index(), true, text);
            }
            Step::Tail { from, to, fault } => {
                let text = format!("{fault}; bytes {from} to {to} are no entry, none follows");
                self.finding(from, self.next_index(), false, text);
                self.result.findings.last_mut().expect("it was pushed just now").is_tail = true;
            }
            Step::Unreadable(text) => self.result.unreadable = Some(text),
        }
    }

    fn next_index(&self) -> Index {
        self.result.last.index.max(Index(self.segment.base.0 - 1)).next()
    }

    fn finding(&mut self, position: u64, index: Index, is_followed: bool, text: String) {
        let file = self.segment.name();
        let (is_tail, is_certain) = (false, false);
        self.result.findings.push(Finding { file, position, index, is_followed, is_tail, is_certain, text });
    }

    /// What comes next cannot be compared with what came before.
    fn lost(&mut self) {
        self.link = None;
        self.index = None;
        self.result.has_gap = true;
        self.result.ends.clear();
    }

    fn entry(&mut self, entry: &Entry<'_>) {
        let header = entry.header();
        // What was found before is followed by this one.
        self.result.findings.iter_mut().for_each(|finding| finding.is_followed = true);
        if let Some(Err(fault)) = self.link.map(|link| check_chain(header, &link)) {
            self.lost();
            self.finding(fault.position, header.index(), true, fault.kind.to_string());
        }
        if let Err(fault) = check_body_pieces(entry.head(), [&*entry.bytes]) {
            self.finding(fault.position, header.index(), false, fault.kind.to_string());
        } else if self.depth.strict {
            self.batches(entry);
        }
        self.items(entry);
        self.offsets(entry);
        self.add_up(entry);
    }

    fn add_up(&mut self, entry: &Entry<'_>) {
        let header = entry.header();
        let result = &mut self.result;
        result.first.get_or_insert(*header);
        result.last = Link::of(header);
        result.max_commit = result.max_commit.max(Index(header.commit.get()));
        result.entries += 1;
        result.bytes += header.entry_bytes() as u64;
        result.batches += entry.descriptors().len() as u64;
        result.records +=
            entry.descriptors().iter().map(|batch| u64::from(batch.record_count.get())).sum::<u64>();
        if Some(header.index()) == self.synced {
            result.synced_checksum = Some(header.checksum.get());
        }
        self.link = Some(result.last);
        match &mut self.index {
            Some(index) if index.last().next() == header.index() => index.append(header, entry.descriptors()),
            _ => self.index = None,
        }
    }

    fn items(&mut self, entry: &Entry<'_>) {
        if entry.header().kind() != Some(EntryKind::Control) {
            return;
        }
        let index = entry.header().index();
        let at =
            |offset: Offset, skipped: u64| Continued { offset, skipped, index, position: entry.position };
        match Item::decode_all(entry.items()) {
            Ok(items) => {
                for item in items {
                    match item {
                        Item::LossAccepted { first, last, skip } => {
                            self.result.skipped += skip;
                            self.result.accepted.push((first, last));
                        }
                        Item::PartitionOpened { partition, first_offset, .. } => {
                            let skipped = self.result.skipped;
                            self.result.ends.insert(partition, at(first_offset, skipped));
                        }
                        Item::LogStartMoved { partition, log_start, .. } => {
                            let known = self.result.log_starts.entry(partition).or_insert(log_start);
                            *known = log_start.max(*known);
                        }
                        Item::PartitionDropped { partition } => {
                            self.result.dropped.insert(partition);
                        }
                        _ => {}
                    }
                }
            }
            Err(error) => {
                let text = format!("control items: {error}");
                self.finding(entry.position + 128, index, false, text);
            }
        }
    }

    /// Offsets are dense: each batch begins where the partition's one before it ended.
    fn offsets(&mut self, entry: &Entry<'_>) {
        let index = entry.header().index();
        for batch in entry.descriptors() {
            let position = entry.position + u64::from(batch.position.get());
            let skipped = self.result.skipped;
            let here = Continued { offset: batch.base_offset(), skipped, index, position };
            let next = Continued { offset: batch.next_offset(), ..here };
            let before = self.result.ends.insert(batch.partition(), next);
            match before {
                Some(before) => {
                    if let Some(text) = not_dense(self.depth.names, batch.partition(), &before, &here) {
                        self.finding(position, index, false, text);
                    }
                }
                None if !self.result.has_gap => {
                    self.result.starts.insert(batch.partition(), here);
                }
                None => {}
            }
        }
    }

    /// `--strict`: records against header, header against descriptor.
    fn batches(&mut self, entry: &Entry<'_>) {
        for batch in entry.descriptors() {
            let bytes = entry.batch(batch).expect("the whole entry was read");
            if let Err(text) = check_records(batch, bytes, self.depth.decompressed_bytes_max) {
                let position = entry.position + u64::from(batch.position.get());
                self.finding(position, entry.header().index(), false, text);
            }
        }
    }

    /// A sealed segment's index file is what its entries give.
    fn compare_index(&mut self, journal: &Journal) {
        let Some(path) = &self.segment.index_path else { return };
        let file = super::journal::file_name(path);
        let found = match std::fs::read(path) {
            Ok(found) => found,
            Err(error) => {
                self.result.unreadable = Some(format!("{}: {error}", path.display()));
                return;
            }
        };
        let mut finding = |position: u64, text: String| {
            let index = self.segment.base;
            let (is_followed, is_tail, is_certain) = (true, false, true);
            self.result.findings.push(Finding {
                file: file.clone(),
                position,
                index,
                is_followed,
                is_tail,
                is_certain,
                text,
            });
        };
        match IndexHeader::decode(&found, &journal.identity, self.segment.base) {
            Err(fault @ engine::framing::FormatFault::Newer { .. }) => {
                self.result.unreadable = Some(format!("{}: {fault}", path.display()));
            }
            Err(fault) => finding(fault.position(), format!("index header: {fault}")),
            // With a head lost, or the end cut off, there is nothing to compare with.
            Ok(header) => {
                self.result.sealed_bytes = Some(sealed_bytes(&header));
                if sealed_bytes(&header) > self.segment.file_bytes {
                    return;
                }
                let Some(index) = self.index.as_ref().filter(|index| !index.is_empty()) else { return };
                if let Some(position) = first_difference(&found, &index.encode_sealed(&journal.identity)) {
                    let block = position / BLOCK as u64;
                    finding(position, format!("index block {block} is not what the segment gives"));
                }
            }
        }
    }
}

fn first_difference(found: &[u8], expected: &[u8]) -> Option<u64> {
    let differs = found.iter().zip(expected).position(|(found, expected)| found != expected);
    let shorter = (found.len() != expected.len()).then(|| found.len().min(expected.len()));
    differs.or(shorter).map(|position| position as u64)
}

/// Why `here` does not continue `before`, both counted from the same begin of skips.
pub fn not_dense(
    names: &Names,
    partition: PartitionId,
    before: &Continued,
    here: &Continued,
) -> Option<String> {
    let expected = before.offset.0.saturating_add_unsigned(here.skipped - before.skipped);
    (here.offset.0 != expected).then(|| {
        let partition = names.partition(partition);
        format!("{partition}: a batch begins at offset {}, expected {expected}", here.offset)
    })
}

fn check_records(batch: &BatchDescriptor, bytes: &[u8], bytes_max: usize) -> Result<(), String> {
    let header = BatchHeader::of(bytes).ok_or("the batch is shorter than its header")?;
    let says_others = batch.is_marker();
    let same = (says_others || header.base_timestamp.get() == batch.base_timestamp.get())
        // Later where a record has no time of its own: that one counts from the append's clock.
        && header.max_timestamp.get() <= batch.max_timestamp.get()
        && header.producer_id.get() == batch.producer_id.get()
        && header.producer_epoch.get() == batch.producer_epoch.get()
        && (says_others || header.base_sequence.get() == batch.base_sequence.get())
        && header.attributes.get() == batch.attributes.get()
        && i64::from(header.last_offset_delta.get()) + 1 == i64::from(batch.record_count.get());
    if !same {
        return Err("the batch's header and its descriptor differ".to_owned());
    }
    let records = Records::open(bytes, bytes_max).map_err(|error| error.to_string())?;
    let mut last = header.base_offset.get() - 1;
    for record in records.iter() {
        let record = record.map_err(|error| error.to_string())?;
        if record.offset <= last || record.offset >= batch.next_offset().0 {
            return Err(format!("record offset {} after {last}", record.offset));
        }
        last = record.offset;
    }
    Ok(())
}

/// The segment's length when it was sealed, as its index says.
pub fn sealed_bytes(header: &IndexHeader) -> u64 {
    header.data_bytes.get()
}
