//! What a load consumer does with batches: counts them, and takes the time since they were to be
//! sent.

use super::Sink;
use crate::batch::stamp::Stamp;
use crate::clock;
use crate::options::From;
use crate::shared::Shared;
use crate::stats::interval::Recorder;
use crate::stats::spread::Intended;
use net::kafka::client::batch::{BatchHeader, Codec, Records};
use std::sync::Arc;

pub struct Load {
    shared: Arc<Shared>,
    recorder: Recorder,
    /// Old records' times say nothing of the path they take now.
    timed: bool,
}

impl Load {
    pub fn new(shared: &Arc<Shared>, recorder: &Recorder) -> Self {
        let timed = shared.workload.from == From::Latest;
        Self { shared: Arc::clone(shared), recorder: recorder.clone(), timed }
    }
}

impl Sink for Load {
    fn take(&mut self, _: u32, batch: &[u8]) {
        let header = BatchHeader::of(batch).expect("the caller found a whole batch");
        let count = header.record_count.get().max(0) as u32;
        let workload = &self.shared.workload;
        let now_ns = clock::now_ns();
        let mut counted = self.recorder.lock();
        let consumed = &mut counted.consumed;
        consumed.records += u64::from(count);
        consumed.record_bytes += u64::from(count) * (workload.record_bytes + workload.key_bytes) as u64;
        consumed.batches += 1;
        consumed.batch_bytes += batch.len() as u64;
        if self.timed && count > 0 {
            match stamp(header, batch) {
                Some(Stamp { first_ns, last_ns }) => {
                    let intended = Intended { first_ns, last_ns, count };
                    counted.end_to_end.record_batch(intended, now_ns);
                }
                None => {
                    let sent_ms = header.base_timestamp.get();
                    let age_ms = clock::wall_ms().saturating_sub(sent_ms).max(0) as u64;
                    counted.end_to_end.record(age_ms * 1_000_000, u64::from(count));
                    counted.end_to_end_coarse += u64::from(count);
                }
            }
        }
        drop(counted);
        self.shared.note(0, u64::from(count), now_ns);
        // With producers in the same run, these keep the bound.
        if self.shared.workload.records.is_some_and(|bound| self.shared.records_read() >= bound) {
            self.shared.stop();
        }
    }
}

/// In the first record, where it lies uncompressed.
fn stamp(header: &BatchHeader, batch: &[u8]) -> Option<Stamp> {
    if header.codec_number() != Codec::None as u8 {
        return None;
    }
    let records = Records::open(batch, 0).ok()?;
    let first = records.iter().next()?.ok()?;
    Stamp::read(first.value?)
}
