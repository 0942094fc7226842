//! Reads records back and judges them against what was acked.

use super::acked::Acked;
use super::seen::{Place, Seen};
use crate::batch::proof::{Proof, Unproven};
use crate::consumer::Sink;
use crate::stats::interval::Recorder;
use net::kafka::client::batch::{BatchHeader, Records, batch_crc};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Batches are decompressed up to this.
const BATCH_BYTES_MAX: usize = 256 << 20;
/// Of each kind so many are told in full.
const EXAMPLES: usize = 10;

/// What was found, in records.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Findings {
    pub acked: u64,
    pub present: u64,
    /// Acked and not there.
    pub lost: u64,
    /// There more than once.
    pub duplicated: u64,
    /// Behind a later one of the same producer.
    pub reordered: u64,
    /// There, but at another offset than the ack said.
    pub moved: u64,
    /// Damaged, or in a partition that is not theirs.
    pub corrupt: u64,
    /// There, though never acked: no fault, the ack may have been lost on its way.
    pub unacked: u64,
    /// Not of this run.
    pub foreign: u64,
    pub examples: Vec<String>,
}

impl Findings {
    /// Nothing is wrong; duplicates only count where producers are idempotent.
    pub fn is_clean(&self, idempotence: bool) -> bool {
        let duplicated = if idempotence { self.duplicated } else { 0 };
        self.lost + duplicated + self.reordered + self.moved + self.corrupt == 0
    }
}

/// What a value turned out to be.
type Value = Result<Proof, Unproven>;

/// All that was read.
#[derive(Debug, Default)]
pub struct Readback {
    /// By partition and producer.
    seen: BTreeMap<(u32, u32), Seen>,
    findings: Findings,
    told: BTreeMap<&'static str, usize>,
}

impl Readback {
    fn tell(&mut self, kind: &'static str, what: impl FnOnce() -> String) {
        let told = self.told.entry(kind).or_default();
        *told += 1;
        if *told <= EXAMPLES {
            self.findings.examples.push(format!("{kind}: {}", what()));
        }
    }

    fn take(&mut self, run: u64, partition: u32, batch: &[u8]) {
        let header = BatchHeader::of(batch).expect("the caller found a whole batch");
        let (base, count) = (header.base_offset.get(), header.record_count.get().max(0));
        if header.is_control() {
            return;
        }
        if header.crc.get() != batch_crc(batch) {
            self.findings.corrupt += count as u64;
            self.tell("corrupt", || format!("partition {partition}: the CRC of the batch at offset {base}"));
            return;
        }
        let records = Records::open(batch, BATCH_BYTES_MAX);
        let values: Result<Vec<(i64, Value)>, String> = match &records {
            Err(error) => Err(error.to_string()),
            Ok(records) => records
                .iter()
                .map(|record| {
                    let record = record.map_err(|error| error.to_string())?;
                    Ok((record.offset, Proof::read(record.value.unwrap_or_default())))
                })
                .collect(),
        };
        match values {
            Ok(values) => values.into_iter().for_each(|(offset, value)| {
                self.record(run, partition, offset, value);
            }),
            Err(error) => {
                self.findings.corrupt += count as u64;
                self.tell("corrupt", || format!("partition {partition}: batch at offset {base}: {error}"));
            }
        }
    }

    fn record(&mut self, run: u64, partition: u32, offset: i64, value: Value) {
        let proof = match value {
            Ok(proof) if proof.run == run => proof,
            Ok(_) | Err(Unproven::Foreign) => {
                self.findings.foreign += 1;
                return;
            }
            Err(Unproven::Corrupt) => {
                self.findings.corrupt += 1;
                self.tell("corrupt", || format!("partition {partition}: the record at offset {offset}"));
                return;
            }
        };
        let Proof { producer, number, .. } = proof;
        let which =
            || format!("partition {partition}, producer {producer}, record {number} at offset {offset}");
        if proof.partition != partition {
            self.findings.corrupt += 1;
            self.tell("corrupt", || format!("{} belongs to partition {}", which(), proof.partition));
            return;
        }
        match self.seen.entry((partition, producer)).or_default().add(number, offset) {
            Place::InOrder => {}
            Place::Late => {
                self.findings.reordered += 1;
                self.tell("reordered", which);
            }
            Place::Again => {
                self.findings.duplicated += 1;
                self.tell("duplicated", which);
            }
        }
    }

    /// The judgement.
    pub fn judge(mut self, acked: &[Acked]) -> Findings {
        let none = Seen::default();
        let mut present = 0;
        let seen = std::mem::take(&mut self.seen);
        for one in acked {
            let Acked { producer, partition, first, count, offset } = *one;
            let seen = seen.get(&(partition, producer)).unwrap_or(&none);
            let (mut lost, mut moved) = (0, 0);
            for at in 0..u64::from(count) {
                match seen.offset_of(first + at) {
                    None => lost += 1,
                    Some(found) if offset >= 0 && found != offset + at as i64 => moved += 1,
                    Some(_) => {}
                }
            }
            let last = first + u64::from(count) - 1;
            let which = || {
                format!(
                    "partition {partition}, producer {producer}, records {first} to {last}, acked at offset {offset}"
                )
            };
            if lost > 0 {
                self.tell("lost", || format!("{lost} of {}", which()));
            }
            if moved > 0 {
                self.tell("moved", || format!("{moved} of {}", which()));
            }
            self.findings.acked += u64::from(count);
            self.findings.lost += lost;
            self.findings.moved += moved;
            present += u64::from(count) - lost;
        }
        self.findings.present = seen.values().map(|seen| seen.records).sum();
        self.findings.unacked = self.findings.present - present;
        self.findings
    }
}

/// Takes what a consumer reads.
pub struct Reader {
    pub run: u64,
    /// Of a value, for the progress line alone.
    pub record_bytes: usize,
    pub recorder: Recorder,
    pub readback: Arc<Mutex<Readback>>,
}

impl Sink for Reader {
    fn take(&mut self, partition: u32, batch: &[u8]) {
        let mut readback = self.readback.lock().expect("no thread panics while it judges");
        readback.take(self.run, partition, batch);
        let records = BatchHeader::of(batch).map_or(0, |header| header.record_count.get().max(0) as u64);
        let consumed = &mut self.recorder.lock().consumed;
        consumed.records += records;
        consumed.record_bytes += records * self.record_bytes as u64;
        consumed.batches += 1;
        consumed.batch_bytes += batch.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: u64 = 9;

    fn proof(number: u64) -> Result<Proof, Unproven> {
        Ok(Proof { run: RUN, producer: 1, partition: 2, number })
    }

    fn acked(first: u64, count: u32, offset: i64) -> Acked {
        Acked { producer: 1, partition: 2, first, count, offset }
    }

    fn read(numbers: &[u64]) -> Readback {
        let mut readback = Readback::default();
        for (offset, number) in numbers.iter().enumerate() {
            readback.record(RUN, 2, offset as i64, proof(*number));
        }
        readback
    }

    #[test]
    fn what_was_acked_and_is_there_is_clean_and_more_is_no_fault() {
        let findings = read(&[0, 1, 2, 3]).judge(&[acked(0, 2, 0), acked(3, 1, 3)]);
        assert!(findings.is_clean(true), "{findings:?}");
        assert_eq!((findings.acked, findings.present, findings.unacked), (3, 4, 1));
    }

    #[test]
    fn every_fault_is_found() {
        assert_eq!(read(&[0, 1]).judge(&[acked(0, 4, 0)]).lost, 2);
        let findings = read(&[0, 1, 1]).judge(&[acked(0, 2, 0)]);
        assert!(findings.duplicated == 1 && !findings.is_clean(true) && findings.is_clean(false));
        assert_eq!(read(&[0, 2, 1]).judge(&[]).reordered, 1);
        assert_eq!(read(&[0, 1]).judge(&[acked(0, 2, 7)]).moved, 2);
        let mut readback = read(&[]);
        readback.record(RUN, 2, 0, Err(Unproven::Corrupt));
        readback.record(RUN, 3, 0, proof(0));
        readback.record(RUN + 1, 2, 0, proof(0));
        let findings = readback.judge(&[]);
        assert_eq!((findings.corrupt, findings.foreign), (2, 1));
    }
}
