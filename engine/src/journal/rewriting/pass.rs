//! A pass: sealed segments, and the run before, become one run.
//!
//! ```text
//! survey the containers ─ is it due? ─ for each partition: note keys, then write what stays ─ sync ─ rename ─ sync
//! ```
//! What it reads it holds, so that nothing of it is deleted meanwhile. Where it ends early it leaves nothing but a
//! temporary file, which it removes, or the next start does.

use super::gate::{Gate, GateClosed};
use super::plan::{PartPlan, Plan};
use super::survey::{self, Survey};
use crate::batch::BatchHeader;
use crate::disk::{DiskError, DiskErrorKind};
use crate::entry::run_made::{RUN_PARTS_MAX, RunMade, RunPart};
use crate::folder;
use crate::framing::TEMPORARY_SUFFIX;
use crate::ids::{FileId, Index, JournalIdentity, Offset, PartitionId};
use crate::journal::context::Context;
use crate::journal::read::catalog::{Catalog, Finder, ToEnter};
use crate::journal::read::cold::{self, Places, Shelf, gather_batches};
use crate::journal::read::container::Container;
use crate::journal::read::index::Spread;
use crate::journal::read::run::{OpenRun, RunError};
use crate::journal::read::sealed_index::IndexError;
use crate::journal::read::want::{Gathered, ReadFault, Want};
use crate::rewrite::{
    AbortedRanges, CompactionDue, Compactor, Fate, KeyMap, KeyScan, KeyScanned, PassCounts, PassRules,
    RewriteRule, RunInput, RunPlan, RunWriter, ScanRange,
};
use core::ops::Range;
use std::rc::Rc;

/// Gathered at a time, unless one batch is longer.
const STEP_BYTES: usize = 256 << 10;
/// Partitions entered, or asked of the catalog, at a time.
const AT_ONCE: u32 = 512;

/// How a pass ended.
pub enum Attempt {
    NotDue(NotDue),
    Made(MadeRun),
    Failed(PassFault),
}

/// Why nothing is rewritten, and how much could be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NotDue {
    pub clean_bytes: u64,
    pub dirty_bytes: u64,
}

/// A run that is durable under its name.
pub struct MadeRun {
    pub run: Rc<OpenRun>,
    pub made: RunMade,
    pub counts: PassCounts,
    /// Of the inputs' files.
    pub input_bytes: u64,
    pub why: CompactionDue,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PassFault {
    #[error("{0}")]
    Read(#[from] ReadFault),
    #[error("{0}")]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Ended(#[from] GateClosed),
    #[error("the journal has more than {RUN_PARTS_MAX} partitions")]
    TooManyPartitions,
    #[error("what was just written cannot be opened: {0}")]
    Opened(RunError),
}

impl From<IndexError> for PassFault {
    fn from(error: IndexError) -> Self {
        Self::Read(error.into())
    }
}

/// Surveys the containers and makes a run of them if one is due.
pub async fn attempt(context: Context, identity: JournalIdentity, plan: Plan, gate: Gate) -> Attempt {
    let surveyed = survey::survey(&context.io, &plan).await;
    let survey = match surveyed {
        Ok(survey) => survey,
        Err(error) => return Attempt::Failed(error.into()),
    };
    if survey.due == CompactionDue::No {
        let Survey { clean_bytes, dirty_bytes, .. } = survey;
        return Attempt::NotDue(NotDue { clean_bytes, dirty_bytes });
    }
    if plan.parts.len() > RUN_PARTS_MAX {
        return Attempt::Failed(PassFault::TooManyPartitions);
    }
    let path = folder::run_path(context.journal, plan.run);
    let temporary = format!("{path}{TEMPORARY_SUFFIX}");
    let file = match create(&context, &temporary, survey.file_bytes_max).await {
        Ok(file) => file,
        Err(error) => return Attempt::Failed(error.into()),
    };
    match make(&context, identity, &plan, &survey, (&gate, file)).await {
        Ok((made, counts)) => match publish(&context, identity, (file, &temporary, &path), &made).await {
            Ok(run) => {
                let (input_bytes, why) = (survey.file_bytes, survey.due);
                Attempt::Made(MadeRun { run: Rc::new(run), made, counts, input_bytes, why })
            }
            Err(fault) => Attempt::Failed(fault),
        },
        Err(fault) => match discard(&context, file, &temporary).await {
            Ok(()) => Attempt::Failed(fault),
            Err(error) => Attempt::Failed(error.into()),
        },
    }
}

/// All the space that it may need at once, so that a full disk is met here.
async fn create(context: &Context, temporary: &str, bytes: u64) -> Result<FileId, DiskError> {
    let io = &context.io;
    match io.remove(temporary).await {
        Err(error) if error.kind != DiskErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = io.create(temporary).await?;
    match io.allocate(file, bytes).await {
        Ok(()) => Ok(file),
        Err(error) => {
            discard(context, file, temporary).await?;
            Err(error)
        }
    }
}

async fn discard(context: &Context, file: FileId, temporary: &str) -> Result<(), DiskError> {
    context.io.close(file).await?;
    context.io.remove(temporary).await
}

/// Gives the file its length and its name, durably, and opens it as what it is.
async fn publish(
    context: &Context,
    identity: JournalIdentity,
    (file, temporary, path): (FileId, &str, &str),
    made: &RunMade,
) -> Result<OpenRun, PassFault> {
    let io = &context.io;
    io.truncate(file, made.file_bytes).await?;
    io.sync(file).await?;
    io.close(file).await?;
    io.rename(temporary, path).await?;
    io.sync_dir(&folder::journal_dir(context.journal)).await?;
    let expected = Some((made.file_bytes, made.checksum));
    // All is written: a medium that does not give it back spoils this pass, and nothing else.
    OpenRun::open((io, &context.blocks), identity, made.run, path, expected).await.map_err(PassFault::Opened)
}

/// What is shared by all partitions of a pass.
struct Pass<'p> {
    context: &'p Context,
    gate: &'p Gate,
    file: FileId,
    plan: &'p Plan,
    places: Rc<Places>,
    writer: RunWriter,
    parts: Vec<RunPart>,
    counts: PassCounts,
}

async fn make(
    context: &Context,
    identity: JournalIdentity,
    plan: &Plan,
    survey: &Survey,
    (gate, file): (&Gate, FileId),
) -> Result<(RunMade, PassCounts), PassFault> {
    let taken = &plan.containers[..survey.taken];
    let inputs: Vec<RunInput> = taken.iter().map(input_of).collect();
    let catalog = Catalog::new(
        taken.first().and_then(Container::run).cloned(),
        taken.iter().filter_map(|container| container.segment().cloned()),
    );
    enter_all(context, &catalog).await?;
    let run_plan = RunPlan { run: plan.run, applied: plan.applied, rule: RewriteRule::Compact, inputs };
    let writer = RunWriter::new(identity, run_plan.clone(), context.pool.clone());
    let places = Rc::new(places_of(identity, catalog.finder()));
    let (parts, counts) = (Vec::new(), PassCounts::default());
    let mut pass = Pass { context, gate, file, plan, places, writer, parts, counts };
    let mut last = None;
    loop {
        let round = catalog.partitions_behind(last, AT_ONCE as usize);
        let Some(behind) = round.last() else { break };
        last = Some(*behind);
        for partition in round {
            pass.partition(partition).await?;
        }
    }
    pass.finish(run_plan).await
}

fn input_of(container: &Container) -> RunInput {
    match container {
        Container::Segment(sealed) => RunInput::Segment { base: sealed.base, last: sealed.last },
        Container::Run(run) => RunInput::Run(run.id),
    }
}

fn places_of(identity: JournalIdentity, finder: Finder) -> Places {
    Places {
        identity,
        finder,
        memory: Vec::new(),
        markers: Vec::new(),
        not_durable: Vec::new(),
        memory_spread: Spread::default(),
        reader: Rc::new(()),
    }
}

async fn enter_all(context: &Context, catalog: &Catalog) -> Result<(), PassFault> {
    while let Some(ToEnter { number, container, first_row }) = catalog.to_enter() {
        let partitions = container.facts_from(first_row, AT_ONCE).await?;
        let is_last = first_row + partitions.len() as u32 == container.partitions();
        catalog.enter(number, &partitions, is_last);
        context.io.rest().await?;
    }
    Ok(())
}

/// Where batches of a partition come from, in the order of offsets.
struct Batches<'p> {
    partition: PartitionId,
    skipped_below: Offset,
    next: Offset,
    end: Offset,
    /// Whole batches one behind the other, and the newest time of each.
    bytes: Vec<u8>,
    times: std::vec::IntoIter<i64>,
    at: usize,
    pass: (&'p Context, &'p Gate, Rc<Places>),
}

impl Batches<'_> {
    /// The next batch and its time; none behind the last one.
    async fn next(&mut self) -> Result<Option<(Range<usize>, i64)>, PassFault> {
        if self.at == self.bytes.len() && !self.fill().await? {
            return Ok(None);
        }
        let header = BatchHeader::of(&self.bytes[self.at..]).expect("whole batches were read");
        let begin = self.at;
        self.at += header.declared_bytes() as usize;
        let time = self.times.next().expect("one for each batch");
        Ok(Some((begin..self.at, time)))
    }

    async fn fill(&mut self) -> Result<bool, PassFault> {
        if self.next >= self.end {
            return Ok(false);
        }
        let (context, gate, places) = &self.pass;
        let want = Want {
            partition: self.partition,
            offset: self.next,
            commit: Index(u64::MAX),
            end: self.end,
            with_aborted: false,
            bytes_max: STEP_BYTES,
            at_least_one: true,
            skipped_below: self.skipped_below,
            together: 1,
        };
        let gathered = Gathered { times: Some(Vec::new()), ..Gathered::default() };
        let gathered = gather_batches(context, places, want, &mut Shelf::default(), gathered).await;
        gate.spend(gathered.bytes).await?;
        context.io.rest().await?;
        // What precedes a fault comes first; then it is met again.
        if gathered.bytes == 0 {
            return gathered.fault.map_or(Ok(false), |fault| Err(fault.into()));
        }
        self.bytes.clear();
        gathered.slices.iter().for_each(|slice| self.bytes.extend_from_slice(slice));
        assert_eq!(self.bytes.len(), gathered.bytes, "partition {}: whole batches", self.partition);
        self.times = gathered.times.expect("they were asked for").into_iter();
        self.at = 0;
        self.next = gathered.next_offset.expect("there are batches");
        Ok(true)
    }
}

impl<'p> Pass<'p> {
    fn batches(&self, partition: PartitionId, part: &PartPlan, range: Range<Offset>) -> Batches<'p> {
        Batches {
            partition,
            skipped_below: part.skipped_below,
            next: range.start,
            end: range.end,
            bytes: Vec::new(),
            times: Vec::new().into_iter(),
            at: 0,
            pass: (self.context, self.gate, Rc::clone(&self.places)),
        }
    }

    /// Writes what stays of a partition.
    async fn partition(&mut self, partition: PartitionId) -> Result<(), PassFault> {
        let Some(part) = self.plan.parts.get(&partition) else { return Ok(()) };
        let (covered, input_bytes) = self.covered(partition, part.log_start).await?;
        if covered.is_empty() {
            return Ok(());
        }
        assert!(covered.end <= part.stable, "partition {partition}: {covered:?} above {}", part.stable);
        let from = part.clean_to.max(covered.start);
        let aborted = self.aborted(partition, part, from..covered.end).await?;
        let (map, horizon) = self.scan(partition, part, (from, covered.clone()), &aborted).await?;
        self.writer.begin(partition, covered.clone());
        let rules = PassRules {
            partition,
            horizon,
            takes_all_older: true,
            now_ms: self.plan.now_ms,
            delete_retention_ms: part.settings.delete_retention_ms,
            batch_bytes_max: part.settings.max_message_bytes,
        };
        let batches = self.batches(partition, part, covered.clone());
        self.write(batches, Compactor::new(rules, &map, &aborted)).await?;
        self.writer.end();
        let clean_to = if part.settings.compacts { horizon } else { covered.start };
        let (kept_bytes, checksum) = (0, 0);
        self.parts.push(RunPart { partition, covered, clean_to, input_bytes, kept_bytes, checksum });
        Ok(())
    }

    /// The offsets that the run will answer for, and how many bytes of batches the inputs have there.
    async fn covered(
        &self,
        partition: PartitionId,
        log_start: Offset,
    ) -> Result<(Range<Offset>, u64), PassFault> {
        let (mut from, mut covered, mut bytes) = (0, None, 0);
        while let Some((number, container)) = self.places.finder.next_entered(partition, from) {
            from = number + 1;
            let Some(facts) = container.facts(partition).await? else { continue };
            if facts.next_offset > log_start {
                let start = covered.map_or(facts.first_offset.max(log_start), |(start, _)| start);
                covered = Some((start, facts.next_offset));
                bytes += facts.batch_bytes;
            }
        }
        Ok((covered.map_or(log_start..log_start, |(start, end)| start..end), bytes))
    }

    /// The transactions that were aborted with records in these offsets.
    async fn aborted(
        &self,
        partition: PartitionId,
        part: &PartPlan,
        range: Range<Offset>,
    ) -> Result<AbortedRanges, PassFault> {
        if !part.has_transactions || range.is_empty() {
            return Ok(AbortedRanges::default());
        }
        let live = places_of(self.places.identity, self.plan.live.clone());
        let live = Places { markers: part.markers.clone(), ..live };
        let search = cold::aborted(&live, partition, range.start, range.end).await?;
        Ok(AbortedRanges::new(search.ranges()))
    }

    /// The newest offset of each key, and up to where that is known.
    async fn scan(
        &mut self,
        partition: PartitionId,
        part: &PartPlan,
        (from, covered): (Offset, Range<Offset>),
        aborted: &AbortedRanges,
    ) -> Result<(KeyMap, Offset), PassFault> {
        if !part.settings.compacts {
            return Ok((KeyMap::new(self.plan.secret, 0, 0), Offset(0)));
        }
        let records = (covered.end.0 - from.0).max(0) as u64;
        let mut map = KeyMap::new(self.plan.secret, self.plan.key_map_bytes, records);
        let range = ScanRange { partition, from, horizon: covered.end };
        let mut batches = self.batches(partition, part, from..covered.end);
        while let Some((at, _)) = batches.next().await? {
            let mut scan = KeyScan::begin(range, aborted, &batches.bytes[at]);
            loop {
                match scan.step(&mut map) {
                    None => self.context.io.rest().await?,
                    Some(KeyScanned::FullAt(offset)) => {
                        self.counts.maps_full += 1;
                        return Ok((map, offset));
                    }
                    Some(_) => break,
                }
            }
        }
        Ok((map, covered.end))
    }

    async fn write(
        &mut self,
        mut batches: Batches<'p>,
        mut compactor: Compactor<'_>,
    ) -> Result<(), PassFault> {
        let context = self.context;
        let mut last_time = -1;
        while let Some((at, time)) = batches.next().await? {
            let batch = &batches.bytes[at];
            last_time = time;
            let mut work = compactor.begin(batch);
            let fate = loop {
                match work.step() {
                    None => context.io.rest().await?,
                    Some(fate) => break fate,
                }
            };
            match fate {
                Fate::AsItIs => self.writer.push(batch, time),
                Fate::Again(again) => self.writer.push(&again, time_of(batch, &again, time)),
                Fate::Gone => {}
            }
            self.write_pieces().await?;
        }
        let (emptied, counts) = compactor.end();
        if let Some(emptied) = emptied {
            self.writer.push(&emptied, last_time);
            self.write_pieces().await?;
        }
        add_counts(&mut self.counts, &counts);
        Ok(())
    }

    async fn write_pieces(&mut self) -> Result<(), PassFault> {
        while let Some(piece) = self.writer.next_piece() {
            let bytes = piece.buffer.len();
            self.context.io.write(self.file, piece.position, piece.buffer).await?;
            self.gate.spend(bytes).await?;
        }
        Ok(())
    }

    async fn finish(mut self, plan: RunPlan) -> Result<(RunMade, PassCounts), PassFault> {
        self.writer.finish();
        self.write_pieces().await?;
        let rows = self.writer.rows();
        assert_eq!(rows.len(), self.parts.len(), "a row for each part");
        for (part, row) in self.parts.iter_mut().zip(rows) {
            assert_eq!(part.partition.0, row.partition.get(), "in one order");
            (part.kept_bytes, part.checksum) = (row.kept_bytes.get(), row.checksum.get());
        }
        let foot = self.writer.foot();
        let RunPlan { run, applied, rule, inputs } = plan;
        let (file_bytes, checksum) = (foot.file_bytes.get(), foot.partitions_sum.get());
        let made = RunMade { run, rule, applied, file_bytes, checksum, inputs, parts: self.parts };
        Ok((made, self.counts))
    }
}

/// The time that a batch counts with once it was written again: its own, unless it counted with a later one than it had.
fn time_of(before: &[u8], again: &[u8], time: i64) -> i64 {
    let own = |batch| BatchHeader::of(batch).expect("a whole batch").max_timestamp.get();
    if own(before) == time { own(again) } else { time }
}

pub fn add_counts(all: &mut PassCounts, counts: &PassCounts) {
    all.batches_kept += counts.batches_kept;
    all.batches_again += counts.batches_again;
    all.batches_gone += counts.batches_gone;
    all.superseded += counts.superseded;
    all.tombstones += counts.tombstones;
    all.aborted += counts.aborted;
    all.keyless += counts.keyless;
    all.markers += counts.markers;
    all.horizons_set += counts.horizons_set;
    all.undecodable += counts.undecodable;
    all.first_undecodable = all.first_undecodable.or(counts.first_undecodable);
    all.too_long += counts.too_long;
    all.maps_full += counts.maps_full;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::{BatchBuilder, NewRecord};

    #[test]
    fn a_batch_counts_with_its_own_time_or_as_late_as_it_did() {
        let batch = |time| BatchBuilder::new(time).push(NewRecord::value(b"v")).build();
        let (before, again) = (batch(50), batch(20));
        assert_eq!(time_of(&before, &again, 50), 20, "the record that made it 50 is gone");
        assert_eq!(time_of(&before, &again, 90), 90, "it had no time, and counts with that of its append");
    }

    #[test]
    fn the_first_batch_that_cannot_be_decoded_is_remembered() {
        let counts = |undecodable| PassCounts { undecodable, superseded: 2, ..PassCounts::default() };
        let mut all = counts(1);
        add_counts(&mut all, &counts(3));
        assert_eq!((all.undecodable, all.superseded), (4, 4));
    }
}
