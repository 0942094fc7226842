//! `keys`: what a run kept of each partition, record by record, and why.

use super::cli::{Common, Format};
use super::filter::Filter;
use super::journal::{Journal, file_name};
use super::list::Limit;
use super::names::Names;
use super::out::Out;
use super::records::{DECOMPRESSED_BYTES_MAX, Show};
use super::runs::{RunFile, exit_code_of};
use super::source::Source;
use super::trouble::{Trouble, complain, exit};
use crate::row;
use engine::batch::BatchHeader;
use engine::batch::records::Records;
use engine::framing::FormatFault;
use engine::ids::{Offset, PartitionId};
use engine::rewrite::run_file::RunPartitionRow;
use engine::rewrite::{RewriteRule, RunChunk, RunIndex, WholeRun, check_chunk};
use futures_lite::future::block_on;
use std::collections::HashMap;
use std::path::Path;

/// Rows of all runs.
pub fn keys(
    source: &Source,
    common: &Common,
    format: Format,
    filter: &Filter,
    names: &Names,
    out: &mut Out<'_>,
) -> Result<u8, Trouble> {
    let (mut code, mut limit) = (exit::CLEAN, Limit::new(common));
    let show = Show { format, redact: common.redact };
    for journal in &source.journals {
        for (run, path) in &journal.runs {
            let Some(file) = RunFile::open(path)? else { continue };
            let shown =
                RunIndex::open_whole(file.bytes(), journal.identity, *run).and_then(|(head, index)| {
                    let rule = RewriteRule::of(head.rule).unwrap_or(RewriteRule::Copy);
                    let rows = block_on(index.partitions(0, u32::MAX))?;
                    Ok((rule, index, rows))
                });
            let shown = match shown {
                Ok((rule, index, rows)) => {
                    let run =
                        ShownRun { journal, path, bytes: file.bytes(), index: &index, rule, names, show };
                    let wanted =
                        |row: &&RunPartitionRow| filter.takes_partition(PartitionId(row.partition.get()));
                    rows.iter().filter(wanted).try_for_each(|row| run.partition(row, filter, &mut limit, out))
                }
                Err(fault) => Err(Stopped::Fault(fault)),
            };
            match shown {
                Ok(()) => {}
                Err(Stopped::Enough) => return Ok(code),
                Err(Stopped::Trouble(trouble)) => return Err(trouble),
                Err(Stopped::Fault(fault)) => {
                    complain(fault.of(path.display().to_string()));
                    code = code.max(exit_code_of(fault));
                }
            }
        }
    }
    Ok(code)
}

/// Why no more of a run is shown.
enum Stopped {
    /// The limit is reached.
    Enough,
    Fault(FormatFault),
    Trouble(Trouble),
}

impl From<FormatFault> for Stopped {
    fn from(fault: FormatFault) -> Self {
        Self::Fault(fault)
    }
}

struct ShownRun<'a> {
    journal: &'a Journal,
    path: &'a Path,
    bytes: &'a [u8],
    index: &'a RunIndex<WholeRun<'a>>,
    rule: RewriteRule,
    names: &'a Names,
    show: Show,
}

impl ShownRun<'_> {
    fn partition(
        &self,
        row: &RunPartitionRow,
        filter: &Filter,
        limit: &mut Limit,
        out: &mut Out<'_>,
    ) -> Result<(), Stopped> {
        let partition = PartitionId(row.partition.get());
        let from = Offset(row.first_offset.get());
        let chunks = block_on(self.index.chunks_from(partition, from, usize::MAX))?;
        let mut newest = Newest::new();
        for chunk in &chunks {
            self.batches(chunk)?.into_iter().for_each(|batch| note_keys(batch, &mut newest));
        }
        for chunk in &chunks {
            for kept in self.batches(chunk)?.into_iter().flat_map(|batch| kept_of(batch, self.rule, &newest))
            {
                if filter.takes_record(kept.offset, kept.timestamp_ms) {
                    self.row(partition, &kept, out).map_err(Stopped::Trouble)?;
                    if limit.count().is_break() {
                        return Err(Stopped::Enough);
                    }
                }
            }
        }
        Ok(())
    }

    /// A chunk's batches, proven.
    fn batches(&self, chunk: &RunChunk) -> Result<Vec<&[u8]>, FormatFault> {
        let short = FormatFault::Short { found: self.bytes.len() as u64, expected: chunk.end() };
        let bytes = self.bytes.get(chunk.position as usize..chunk.end() as usize).ok_or(short)?;
        let ranges = check_chunk(&self.journal.identity, chunk, bytes)?;
        Ok(ranges.into_iter().map(|range| &bytes[range]).collect())
    }

    fn row(&self, partition: PartitionId, kept: &Kept, out: &mut Out<'_>) -> Result<(), Trouble> {
        out.row(row! {
            "topic" => self.names.topic_partition(partition),
            "offset" => kept.offset,
            "timestamp" => kept.timestamp_ms,
            "what" => kept.what,
            "key" => self.show.bytes(kept.key.as_deref()),
            "why" => kept.why.clone(),
            "goes_from" => kept.goes_from,
            "partition" => partition.0,
            "journal" => self.journal.id().0,
            "file" => file_name(self.path),
        })
    }
}

/// The newest offset of each key that a run has of a partition.
type Newest = HashMap<Vec<u8>, i64>;

/// What is said of one record, or of a batch that has none.
#[derive(Debug, PartialEq, Eq)]
struct Kept {
    offset: i64,
    timestamp_ms: i64,
    what: &'static str,
    key: Option<Vec<u8>>,
    why: String,
    /// Its delete horizon.
    goes_from: Option<i64>,
}

fn note_keys(batch: &[u8], newest: &mut Newest) {
    let is_control = BatchHeader::of(batch).is_some_and(BatchHeader::is_control);
    if let (false, Ok(records)) = (is_control, Records::open(batch, DECOMPRESSED_BYTES_MAX)) {
        for record in records.iter().flatten() {
            if let Some(key) = record.key {
                newest.insert(key.to_vec(), record.offset);
            }
        }
    }
}

/// Of each record of a batch, or of the batch where it has none that can be read.
fn kept_of(batch: &[u8], rule: RewriteRule, newest: &Newest) -> Vec<Kept> {
    let header = BatchHeader::of(batch).expect("its chunk was proven");
    let last = header.base_offset.get() + i64::from(header.last_offset_delta.get());
    let whole = |what, why: &str| Kept {
        offset: last,
        timestamp_ms: header.max_timestamp.get(),
        what,
        key: None,
        why: why.to_owned(),
        goes_from: header.delete_horizon_ms(),
    };
    if header.is_control() {
        return vec![whole("marker", "it ends a transaction whose records may be here or before")];
    }
    let Ok(records) = Records::open(batch, DECOMPRESSED_BYTES_MAX) else {
        return vec![whole("undecodable", "it cannot be decoded: it is as it came")];
    };
    let records: Vec<_> = records.iter().collect();
    if records.is_empty() {
        return vec![whole(
            "emptied",
            "it is the last batch of a pass, or a producer's: readers arrive at its end",
        )];
    }
    let mut all = Vec::new();
    for record in records {
        let Ok(record) = record else {
            all.push(whole("undecodable", "a record in it cannot be decoded: it is as it came"));
            break;
        };
        let (what, goes_from) = match record.value {
            Some(_) => ("record", None),
            None => ("tombstone", header.delete_horizon_ms()),
        };
        let why = match (rule, record.key.and_then(|key| newest.get(key))) {
            (RewriteRule::Copy, _) => "runs of this rule keep all".to_owned(),
            (RewriteRule::Compact, None) => "it has no key, and was not compared".to_owned(),
            (RewriteRule::Compact, Some(newest)) if *newest > record.offset => {
                format!("it was not compared yet; offset {newest} has its key, too")
            }
            (RewriteRule::Compact, Some(_)) => "the newest of its key".to_owned(),
        };
        let key = record.key.map(<[u8]>::to_vec);
        let (offset, timestamp_ms) = (record.offset, record.timestamp_ms);
        all.push(Kept { offset, timestamp_ms, what, key, why, goes_from });
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::batch::{BatchBuilder, NewRecord};

    #[test]
    fn each_record_says_why_it_is_there() {
        let batch = |base, keys: &[(&'static str, Option<&'static [u8]>)]| {
            let mut builder = BatchBuilder::new(1_000);
            builder.base_offset(base);
            for (key, value) in keys {
                builder.push(NewRecord { key: Some(key.as_bytes()), value: *value, ..NewRecord::value(b"") });
            }
            builder.build()
        };
        let (first, second) = (batch(3, &[("a", Some(b"1")), ("b", None)]), batch(9, &[("a", Some(b"2"))]));
        let mut newest = Newest::new();
        [&first, &second].into_iter().for_each(|batch| note_keys(batch, &mut newest));
        let said = |batch: &[u8], rule| {
            let kept = kept_of(batch, rule, &newest).into_iter();
            kept.map(|kept| (kept.offset, kept.what, kept.why)).collect::<Vec<_>>()
        };
        let of_first = said(&first, RewriteRule::Compact);
        assert_eq!((of_first[0].0, of_first[0].1), (3, "record"));
        assert!(of_first[0].2.contains("offset 9"), "{of_first:?}");
        assert_eq!((of_first[1].1, &*of_first[1].2), ("tombstone", "the newest of its key"));
        assert_eq!(said(&second, RewriteRule::Compact)[0].2, "the newest of its key");
        assert_eq!(said(&second, RewriteRule::Copy)[0].2, "runs of this rule keep all");
        let emptied = said(&batch(20, &[]), RewriteRule::Compact);
        assert_eq!((emptied.len(), emptied[0].1), (1, "emptied"));
    }
}
