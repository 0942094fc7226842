//! `segments`, `entries` and `batches`: what the heads tell.

use super::cli::Common;
use super::filter::{Filter, oldest_ms};
use super::journal::{Journal, Segment};
use super::names::Names;
use super::out::{Out, Row};
use super::progress::Progress;
use super::scan::{Entry, Scanner, Step};
use super::source::Source;
use super::trouble::{Trouble, exit};
use crate::row;
use engine::batch::{Codec, Ending};
use engine::entry::item::Item;
use engine::entry::{BatchDescriptor, EntryKind, MarkerFields};
use engine::raft::Change;
use std::ops::ControlFlow;

/// Counts rows up to `--limit`.
pub struct Limit(Option<u64>);

impl Limit {
    pub fn new(common: &Common) -> Self {
        Self(common.limit)
    }

    /// `Break` once the limit is used up.
    pub fn count(&mut self) -> ControlFlow<()> {
        match &mut self.0 {
            Some(0 | 1) => ControlFlow::Break(()),
            Some(left) => {
                *left -= 1;
                ControlFlow::Continue(())
            }
            None => ControlFlow::Continue(()),
        }
    }
}

/// One segment, added up.
#[derive(Debug, Default)]
struct Sums {
    entries: u64,
    batches: u64,
    records: u64,
    bytes: u64,
    batch_bytes: u64,
    head_bytes: u64,
    last: u64,
    times: Option<(i64, i64)>,
    gaps: u64,
    has_tail: bool,
}

impl Sums {
    /// Batches, records and times are those that pass the filter; the rest is the file's.
    fn add(&mut self, entry: &Entry<'_>, filter: &Filter) {
        let header = entry.header();
        self.entries += 1;
        self.bytes += header.entry_bytes() as u64;
        self.head_bytes += header.head_bytes() as u64;
        self.batch_bytes += u64::from(header.body_bytes.get());
        self.last = header.index().0;
        for batch in entry.descriptors().iter().filter(|batch| filter.takes(batch)) {
            self.batches += 1;
            self.records += u64::from(batch.record_count.get());
            let (first, last) = self.times.unwrap_or((i64::MAX, i64::MIN));
            self.times = Some((first.min(oldest_ms(batch)), last.max(batch.max_timestamp.get())));
        }
    }
}

/// Gives the exit code that the segments' states come to.
pub fn segments(source: &Source, common: &Common, filter: &Filter, out: &mut Out<'_>) -> Result<u8, Trouble> {
    let mut code = exit::CLEAN;
    let mut limit = Limit::new(common);
    let progress = Progress::beside_rows(source);
    for journal in &source.journals {
        for segment in &journal.segments {
            let Some(bytes) = segment.open()? else { continue };
            let mut sums = Sums::default();
            let mut scanner = Scanner::new(&bytes, journal.identity, segment.base, false);
            while let Some(step) = scanner.step() {
                match step {
                    Step::Entry(entry) => sums.add(&entry, filter),
                    Step::Gap { .. } => sums.gaps += 1,
                    Step::Tail { .. } => sums.has_tail = true,
                    Step::Unreadable(text) => return Err(Trouble::unreadable(&segment.path, text)),
                }
            }
            progress.advance(segment.file_bytes);
            if sums.batches == 0 && !filter.is_open() {
                continue;
            }
            let state = state(source, segment, &sums);
            code = code.max(state.exit_code());
            out.row(segment_row(journal, segment, &sums, state))?;
            if limit.count().is_break() {
                return Ok(code);
            }
        }
    }
    Ok(code)
}

#[derive(Clone, Copy)]
enum State {
    Sealed,
    Active,
    BeingWritten,
    Torn,
    Damaged,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            Self::Sealed => "sealed",
            Self::Active => "active",
            Self::BeingWritten => "being written",
            Self::Torn => "torn tail",
            Self::Damaged => "damaged",
        }
    }

    fn exit_code(self) -> u8 {
        match self {
            Self::Sealed | Self::Active | Self::BeingWritten => exit::CLEAN,
            Self::Torn => exit::TORN,
            Self::Damaged => exit::DAMAGE,
        }
    }
}

/// A sealed one ends with its last entry.
fn state(source: &Source, segment: &Segment, sums: &Sums) -> State {
    match (sums.gaps, sums.has_tail, segment.is_sealed()) {
        (1.., _, _) | (0, true, true) => State::Damaged,
        (0, false, true) if sums.bytes != segment.file_bytes || sums.entries == 0 => State::Damaged,
        (0, true, false) if source.is_live => State::BeingWritten,
        (0, true, false) => State::Torn,
        (0, false, true) => State::Sealed,
        (0, false, false) => State::Active,
    }
}

fn segment_row(journal: &Journal, segment: &Segment, sums: &Sums, state: State) -> Row {
    row! {
        "journal" => journal.id().0,
        "file" => segment.name(),
        "base" => segment.base.0,
        "last" => (sums.entries > 0).then_some(sums.last),
        "entries" => sums.entries,
        "batches" => sums.batches,
        "records" => sums.records,
        "bytes" => sums.bytes,
        "file_bytes" => segment.file_bytes,
        "padding_bytes" => sums.bytes - sums.batch_bytes - sums.head_bytes,
        "first_time" => sums.times.map(|(first, _)| first),
        "last_time" => sums.times.map(|(_, last)| last),
        "state" => state.name(),
    }
}

pub fn kind_name(kind: Option<EntryKind>) -> &'static str {
    match kind {
        Some(EntryKind::Batches) => "batches",
        Some(EntryKind::Control) => "control",
        Some(EntryKind::TermStart) => "term start",
        Some(EntryKind::Membership) => "membership",
        Some(EntryKind::Meta) => "meta",
        Some(EntryKind::Rewrite) => "rewrite",
        None => "unknown",
    }
}

pub fn entries(
    source: &Source,
    common: &Common,
    filter: &Filter,
    names: &Names,
    out: &mut Out<'_>,
) -> Result<u8, Trouble> {
    let mut limit = Limit::new(common);
    super::walk::entries(source, false, &Progress::beside_rows(source), |journal, segment, entry| {
        if !filter.is_open() && !entry.descriptors().iter().any(|batch| filter.takes(batch)) {
            return Ok(ControlFlow::Continue(()));
        }
        out.row(entry_row(journal, segment, entry, names))?;
        Ok(limit.count())
    })
}

fn entry_row(journal: &Journal, segment: &Segment, entry: &Entry<'_>, names: &Names) -> Row {
    let header = entry.header();
    let records: u64 = entry.descriptors().iter().map(|batch| u64::from(batch.record_count.get())).sum();
    row! {
        "journal" => journal.id().0,
        "file" => segment.name(),
        "position" => entry.position,
        "index" => header.index().0,
        "term" => header.term().0,
        "kind" => kind_name(header.kind()),
        "count" => header.count.get(),
        "records" => records,
        "entry_bytes" => header.entry_bytes(),
        "head_bytes" => header.head_bytes(),
        "body_position" => header.body_position.get(),
        "body_bytes" => header.body_bytes.get(),
        "commit" => header.commit.get(),
        "wall_ms" => header.wall_ms.get(),
        "checksum" => format!("{:08x}", header.checksum.get()),
        "previous" => format!("{:08x}", header.previous_checksum.get()),
        "items" => items_text(entry, names),
    }
}

/// Control items, or a change of members, in words.
fn items_text(entry: &Entry<'_>, names: &Names) -> Option<String> {
    match entry.header().kind() {
        Some(EntryKind::Membership) => {
            return Some(
                Change::decode(entry.items()).map_or_else(|text| text, |change| format!("{change:?}")),
            );
        }
        Some(EntryKind::Control) => {}
        _ => return None,
    }
    let text = match Item::decode_all(entry.items()) {
        Ok(items) => items.iter().map(|item| item_text(item, names)).collect::<Vec<_>>().join("; "),
        Err(error) => error.to_string(),
    };
    Some(text)
}

fn item_text(item: &Item, names: &Names) -> String {
    match item {
        Item::PartitionOpened { partition, first_offset, epoch_base, producers, span } => format!(
            "{} opened at offset {first_offset}, span {span}, epoch base {epoch_base}, {} producer(s)",
            names.partition(*partition),
            producers.len()
        ),
        Item::LogStartMoved { partition, log_start, kept_bytes } => {
            format!(
                "{} begins at offset {log_start} now, {kept_bytes} bytes kept",
                names.partition(*partition)
            )
        }
        Item::SpanSealed { partition, end_offset } => {
            format!("{} goes on elsewhere at offset {end_offset}", names.partition(*partition))
        }
        Item::PartitionDropped { partition } => format!("{} deleted", names.partition(*partition)),
        Item::SegmentDigest { segment_base, last, headers, checkpoint } => {
            format!("segment {segment_base} to {last}: headers {headers:016x}, checkpoint {checkpoint:016x}")
        }
        Item::LossAccepted { first, last, skip } => {
            format!("loss of entries {first} to {last} accepted, offsets move on by {skip}")
        }
        Item::RunMade(made) => format!(
            "run {} made of {} file(s) at entry {}: {} bytes, {} partition(s), sum {:016x}",
            made.run,
            made.inputs.len(),
            made.applied,
            made.file_bytes,
            made.parts.len(),
            made.checksum
        ),
        Item::RunSettled { run } => format!("run {run} is read from now on"),
        Item::RunVoided { run } => format!("run {run} is void"),
    }
}

pub fn codec_name(attributes: i16) -> String {
    let number = (attributes & 7) as u8;
    Codec::of(number).map_or(format!("codec {number}"), |codec| format!("{codec:?}").to_lowercase())
}

pub fn batches(
    source: &Source,
    common: &Common,
    filter: &Filter,
    names: &Names,
    out: &mut Out<'_>,
) -> Result<u8, Trouble> {
    let mut limit = Limit::new(common);
    super::walk::entries(source, true, &Progress::beside_rows(source), |journal, segment, entry| {
        for batch in entry.descriptors().iter().filter(|batch| filter.takes(batch)) {
            out.row(batch_row(journal, segment, entry, batch, names))?;
            if limit.count().is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    })
}

/// How a marker ends its producer's transaction, and where that began here.
fn ending(marker: MarkerFields) -> String {
    let ending = if marker.ending == Ending::Commit { "commit" } else { "abort" };
    format!("{ending} from {}, coordinator epoch {}", marker.first_offset, marker.coordinator_epoch)
}

fn batch_row(
    journal: &Journal,
    segment: &Segment,
    entry: &Entry<'_>,
    batch: &BatchDescriptor,
    names: &Names,
) -> Row {
    let attributes = batch.attributes.get();
    row! {
        "damaged" => entry.is_damaged,
        "topic" => names.topic_partition(batch.partition()),
        "base_offset" => batch.base_offset().0,
        "records" => batch.record_count.get(),
        "bytes" => batch.bytes.get(),
        "leader_epoch" => batch.leader_epoch().0,
        "base_timestamp" => oldest_ms(batch),
        "max_timestamp" => batch.max_timestamp.get(),
        "producer_id" => batch.producer_id().0,
        "producer_epoch" => batch.producer_epoch.get(),
        "base_sequence" => if batch.is_marker() { -1 } else { batch.base_sequence.get() },
        "compression" => codec_name(attributes),
        "transactional" => attributes & engine::batch::header::attribute::TRANSACTIONAL != 0,
        "marker" => batch.marker().map_or(String::new(), ending),
        "crc" => format!("{:08x}", batch.crc.get()),
        "partition" => batch.partition().0,
        "journal" => journal.id().0,
        "file" => segment.name(),
        "position" => entry.position + u64::from(batch.position.get()),
        "index" => entry.header().index().0,
    }
}
