//! Runs: what they hold, and whether every byte of them is right. A run never changes, so its file is mapped.

use super::bytes::{SegmentBytes, first_difference};
use super::cli::RunTable;
use super::filter::Filter;
use super::journal::{Journal, file_name};
use super::names::Names;
use super::out::Out;
use super::remark::{Remark, What};
use super::source::Source;
use super::trouble::{Trouble, exit};
use crate::row;
use engine::framing::FormatFault;
use engine::ids::{Offset, PartitionId, RunId};
use engine::rewrite::run_file::{RunHead, RunPartitionRow};
use engine::rewrite::{RewriteRule, RunIndex, RunInput, WholeRun, check_run};
use futures_lite::future::block_on;
use std::io;
use std::path::Path;

/// A run's file, mapped.
pub struct RunFile(SegmentBytes);

impl RunFile {
    /// `None` when it was deleted since it was listed.
    pub fn open(path: &Path) -> Result<Option<Self>, Trouble> {
        match SegmentBytes::open(path, true) {
            Ok(bytes) => Ok(Some(Self(bytes))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Trouble::unreadable(path, error)),
        }
    }

    pub fn bytes(&self) -> &[u8] {
        // An empty file is no map, and a map is read whole without a copy.
        match &self.0 {
            SegmentBytes::Mapped(map) => map,
            SegmentBytes::File { .. } => &[],
        }
    }
}

/// Rows of the chosen table.
pub fn runs(
    source: &Source,
    table: RunTable,
    filter: &Filter,
    names: &Names,
    out: &mut Out<'_>,
) -> Result<u8, Trouble> {
    let mut code = exit::CLEAN;
    for journal in &source.journals {
        for (run, path) in &journal.runs {
            let Some(file) = RunFile::open(path)? else { continue };
            let shown = RunIndex::open_whole(file.bytes(), journal.identity, *run)
                .map_err(|fault| fault.of(path.display().to_string()));
            let opened = match shown {
                Ok(opened) => opened,
                Err(error) => {
                    super::trouble::complain(&error);
                    code = code.max(what_of(error.fault).exit_code());
                    continue;
                }
            };
            let shown = Shown { journal, path, filter, names };
            if let Err(fault) = shown.rows(table, &opened.0, &opened.1, out)? {
                super::trouble::complain(fault.of(path.display().to_string()));
                code = code.max(what_of(fault).exit_code());
            }
        }
    }
    Ok(code)
}

/// What a run that is bad, or newer, ends with.
pub fn exit_code_of(fault: FormatFault) -> u8 {
    what_of(fault).exit_code()
}

fn what_of(fault: FormatFault) -> What {
    if matches!(fault, FormatFault::Newer { .. }) { What::Unreadable } else { What::Damage }
}

/// A run whose rows are shown.
struct Shown<'a> {
    journal: &'a Journal,
    path: &'a Path,
    filter: &'a Filter,
    names: &'a Names,
}

impl Shown<'_> {
    /// The inner error is the run's.
    fn rows(
        &self,
        table: RunTable,
        head: &RunHead,
        index: &RunIndex<WholeRun<'_>>,
        out: &mut Out<'_>,
    ) -> Result<Result<(), FormatFault>, Trouble> {
        if table == RunTable::Runs {
            return match block_on(index.inputs()) {
                Ok(inputs) => self.run_row(head, index, &inputs, out).map(Ok),
                Err(fault) => Ok(Err(fault)),
            };
        }
        let rows = match block_on(index.partitions(0, u32::MAX)) {
            Ok(rows) => rows,
            Err(fault) => return Ok(Err(fault)),
        };
        for row in rows.iter().filter(|row| self.filter.takes_partition(PartitionId(row.partition.get()))) {
            if table == RunTable::Partitions {
                self.partition_row(row, out)?;
            } else if let Err(fault) = self.chunk_rows(index, row, out)? {
                return Ok(Err(fault));
            }
        }
        Ok(Ok(()))
    }

    fn run_row(
        &self,
        head: &RunHead,
        index: &RunIndex<WholeRun<'_>>,
        inputs: &[RunInput],
        out: &mut Out<'_>,
    ) -> Result<(), Trouble> {
        let foot = index.foot();
        let rule = match RewriteRule::of(head.rule) {
            Some(RewriteRule::Compact) => "compact",
            _ => "copy",
        };
        let name = |input: &RunInput| match input {
            RunInput::Segment { base, last } => format!("segment {base} to {last}"),
            RunInput::Run(run) => format!("run {run}"),
        };
        out.row(row! {
            "journal" => self.journal.id().0,
            "run" => head.run.get(),
            "rule" => rule,
            "applied" => head.applied.get(),
            "partitions" => foot.partitions.get(),
            "chunks" => foot.chunks.get(),
            "batches" => foot.batches.get(),
            "batch_bytes" => foot.body_bytes.get(),
            "file_bytes" => foot.file_bytes.get(),
            "sum" => format!("{:016x}", foot.partitions_sum.get()),
            "inputs" => inputs.iter().map(name).collect::<Vec<_>>().join(", "),
            "file" => file_name(self.path),
        })
    }

    fn partition_row(&self, row: &RunPartitionRow, out: &mut Out<'_>) -> Result<(), Trouble> {
        out.row(row! {
            "topic" => self.names.topic_partition(PartitionId(row.partition.get())),
            "covered_from" => row.covered_from.get(),
            "covered_to" => row.covered_to.get(),
            "first_offset" => row.first_offset.get(),
            "next_offset" => row.next_offset.get(),
            "batches" => row.batches.get(),
            "kept_bytes" => row.kept_bytes.get(),
            "max_timestamp" => row.max_timestamp.get(),
            "checksum" => format!("{:016x}", row.checksum.get()),
            "partition" => row.partition.get(),
            "journal" => self.journal.id().0,
            "file" => file_name(self.path),
            "position" => row.position.get(),
        })
    }

    fn chunk_rows(
        &self,
        index: &RunIndex<WholeRun<'_>>,
        row: &RunPartitionRow,
        out: &mut Out<'_>,
    ) -> Result<Result<(), FormatFault>, Trouble> {
        let partition = PartitionId(row.partition.get());
        let chunks = block_on(index.chunks_from(partition, Offset(row.first_offset.get()), usize::MAX));
        let chunks = match chunks {
            Ok(chunks) => chunks,
            Err(fault) => return Ok(Err(fault)),
        };
        for chunk in chunks {
            out.row(row! {
                "topic" => self.names.topic_partition(partition),
                "first_offset" => chunk.first_offset.0,
                "next_offset" => chunk.next_offset.0,
                "batches" => chunk.batches,
                "bytes" => chunk.bytes,
                "max_timestamp" => chunk.max_timestamp,
                "sum" => format!("{:016x}", chunk.sum),
                "partition" => partition.0,
                "journal" => self.journal.id().0,
                "file" => file_name(self.path),
                "position" => chunk.position,
            })?;
        }
        Ok(Ok(()))
    }
}

/// What is wrong with a journal's runs, every byte looked at.
pub fn remarks(journal: &Journal, names: &Names) -> Result<Vec<Remark>, Trouble> {
    let mut remarks = Vec::new();
    for (run, path) in &journal.runs {
        let Some(file) = RunFile::open(path)? else { continue };
        let Err(found) = check_run(file.bytes(), &journal.identity, *run) else { continue };
        let (what, text) = (what_of(found.fault), found.to_string());
        let text = match found.partition {
            Some(partition) => format!("{}: {text}", names.partition(partition)),
            None => text,
        };
        let journal = Some(journal.id().0);
        let position = found.fault.position();
        remarks.push(Remark { what, journal, file: file_name(path), position, index: None, text });
    }
    Ok(remarks)
}

/// A run that both have, and where its bytes differ.
pub struct Parted {
    pub run: RunId,
    pub file: String,
    pub position: u64,
}

/// Runs that both journals have, which are the same bytes unless one is damaged: how many, and which differ.
pub fn parted(left: &Journal, right: &Journal) -> Result<(u64, Vec<Parted>), Trouble> {
    let (mut compared, mut parted) = (0, Vec::new());
    for (run, path) in &left.runs {
        let Some((_, other)) = right.runs.iter().find(|(other, _)| other == run) else { continue };
        let (Some(one), Some(other)) = (RunFile::open(path)?, RunFile::open(other)?) else { continue };
        compared += 1;
        if let Some(position) = first_difference(one.bytes(), other.bytes()) {
            parted.push(Parted { run: *run, file: file_name(path), position });
        }
    }
    Ok((compared, parted))
}
