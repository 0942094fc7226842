//! What it costs to look at every record of a batch, on the way into an entry: beside the same
//! with `duramen.validate.records=header`. Rates are of keys and values, so 1 GB/s is a
//! core-second a GB.

use super::made::{learnt, placed, stamp};
use criterion::{BenchmarkId, Criterion, Throughput};
use engine::batch::{
    BatchBuilder, BatchHeader, Codec, NewRecord, Packing, RecordBounds, RecordWalk, check_records, repack,
};
use engine::disk::BufferPool;
use engine::entry::builder::{OpenEntry, Placed, Times};
use engine::entry::reader::Link;
use std::hint::black_box;

/// What a producer's batch has by default in librdkafka and is often set to in Java.
const BATCH_BYTES: usize = 256 << 10;
const ENTRY_BYTES: usize = 1 << 20;
const WORDS: [&str; 12] = [
    "\"user\":",
    "\"session\":",
    "\"path\":\"/",
    "index.html\",",
    "cart",
    "\"status\":200,",
    "\"ms\":",
    "Mozilla/5.0",
    "{\"time\":",
    "\"bytes\":",
    "\"referrer\":\"",
    "},",
];

/// Lines of a log: words that come again, and numbers that do not. They compress to about a third.
pub fn text(bytes: usize, rng: &mut fastrand::Rng) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes + 32);
    while text.len() < bytes {
        text.extend_from_slice(WORDS[rng.usize(..WORDS.len())].as_bytes());
        if rng.u8(..3) == 0 {
            text.extend_from_slice(rng.u32(..100_000_000).to_string().as_bytes());
        }
    }
    text.truncate(bytes);
    text
}

fn batch(codec: Codec, record_bytes: usize) -> Vec<u8> {
    let mut rng = fastrand::Rng::with_seed(7);
    let mut builder = BatchBuilder::new(1_750_000_000_000);
    builder.codec(codec);
    for at in 0..(BATCH_BYTES / record_bytes) as i64 {
        let value = text(record_bytes, &mut rng);
        builder.push(NewRecord { timestamp_ms: 1_750_000_000_000 + at, ..NewRecord::value(&value) });
    }
    builder.build()
}

fn times(batch: &[u8]) -> Times {
    let header = BatchHeader::of(batch).expect("a batch");
    match Codec::of(header.codec_number()) {
        Some(Codec::None) => Times::Walk(RecordWalk::new(header, RecordBounds::ANY)),
        _ => Times::Checked(check_records(batch, RecordBounds::ANY)),
    }
}

/// What a topic's `compression.type` costs its leader: a plain batch packed, and a packed one unpacked and packed again
/// with lz4.
pub fn recompression(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("recompression");
    group.throughput(Throughput::BytesDecimal(BATCH_BYTES as u64));
    let packed = Codec::ALL.into_iter().filter(|codec| *codec != Codec::None);
    let pairs = packed.clone().map(|to| (Codec::None, to));
    let between = packed.map(|from| (from, Codec::Lz4)).filter(|(from, to)| from != to);
    for (from, to) in pairs.chain(between) {
        let batch = batch(from, 1 << 10);
        let packing = Packing::usual(to);
        let bytes = repack(&batch, packing, u32::MAX).expect("a good batch").len();
        let name = format!("{from:?} to {to:?}, {} KiB to {} KiB", batch.len() >> 10, bytes >> 10);
        group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
            bencher.iter(|| repack(black_box(&batch), packing, u32::MAX).expect("a good batch").len())
        });
    }
    group.finish();
}

pub fn record_validation(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("records");
    let pool = BufferPool::new(8 << 20);
    let stamp = stamp(&Link::default(), 0);
    for record_bytes in [1 << 10, 100] {
        for codec in Codec::ALL {
            let batch = batch(codec, record_bytes);
            let hint = learnt(&pool, &batch);
            group.throughput(Throughput::BytesDecimal(BATCH_BYTES as u64));
            for looked_at in [false, true] {
                let by = if looked_at { "records" } else { "header" };
                let name = format!("{codec:?} {by} of {record_bytes} B, batch of {} KiB", batch.len() >> 10);
                // One batch into an entry that is sealed when it is full: the price is of the batch.
                let mut open = OpenEntry::new(&pool, hint, ENTRY_BYTES, batch.len());
                group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
                    bencher.iter(|| {
                        if !open.fits(batch.len()) {
                            let next = OpenEntry::new(&pool, hint, ENTRY_BYTES, batch.len());
                            black_box(std::mem::replace(&mut open, next).seal(&stamp));
                        }
                        let believed = placed(&batch, 1, 0);
                        let placed =
                            if looked_at { Placed { times: times(&batch), ..believed } } else { believed };
                        open.append(&pool, black_box(&batch), placed).expect("it is good");
                    })
                });
            }
        }
    }
    group.finish();
}
