//! What compaction costs, reading and writing left out: keys noted, then what stays packed again. Rates are of keys and
//! values that go in. Keys are drawn, so that most batches lose some records; beside it batches of which all stays, which are
//! copied.

use super::records::text;
use criterion::{BenchmarkId, Criterion, Throughput};
use engine::batch::{BatchBuilder, Codec, NewRecord};
use engine::ids::{Offset, PartitionId};
use engine::rewrite::{AbortedRanges, Compactor, Fate, KEY_MAP_BYTES, KeyMap, KeyScan, PassRules, ScanRange};
use std::hint::black_box;

const BATCHES: i64 = 64;
const RECORDS: i64 = 256;
const RECORD_BYTES: usize = 1 << 10;
const PARTITION: PartitionId = PartitionId(1);

/// Batches one behind the other whose keys are drawn from so many, or are all different.
fn batches(codec: Codec, keys: Option<i64>) -> Vec<Vec<u8>> {
    let mut rng = fastrand::Rng::with_seed(7);
    let values: Vec<Vec<u8>> = (0..32).map(|_| text(RECORD_BYTES, &mut rng)).collect();
    let batch = |number: i64| {
        let mut builder = BatchBuilder::new(1_750_000_000_000);
        builder.codec(codec).base_offset(number * RECORDS);
        for at in number * RECORDS..(number + 1) * RECORDS {
            let key = format!("key-{}", keys.map_or(at, |keys| rng.i64(0..keys)));
            let (key, value) = (Some(key.as_bytes()), Some(&values[at as usize % values.len()][..]));
            builder.push(NewRecord { key, value, ..NewRecord::default() });
        }
        builder.build()
    };
    (0..BATCHES).map(batch).collect()
}

/// A pass over them; the bytes that stay.
fn pass(batches: &[Vec<u8>]) -> usize {
    let (aborted, end) = (AbortedRanges::default(), Offset(BATCHES * RECORDS));
    let mut map = KeyMap::new(0x5eed, KEY_MAP_BYTES, (BATCHES * RECORDS) as u64);
    let range = ScanRange { partition: PARTITION, from: Offset(0), horizon: end };
    for batch in batches {
        let mut scan = KeyScan::begin(range, &aborted, batch);
        while scan.step(&mut map).is_none() {}
    }
    let rules = PassRules {
        partition: PARTITION,
        horizon: end,
        takes_all_older: true,
        now_ms: 1_750_000_000_000,
        delete_retention_ms: 86_400_000,
        batch_bytes_max: 1 << 20,
    };
    let mut compactor = Compactor::new(rules, &map, &aborted);
    let mut bytes = 0;
    for batch in batches {
        let mut work = compactor.begin(batch);
        let fate = loop {
            if let Some(fate) = work.step() {
                break fate;
            }
        };
        bytes += match fate {
            Fate::AsItIs => batch.len(),
            Fate::Again(again) => again.len(),
            Fate::Gone => 0,
        };
    }
    let (emptied, counts) = compactor.end();
    assert_eq!(counts.undecodable, 0, "they were made here");
    bytes + emptied.map_or(0, |batch| batch.len())
}

pub fn compaction(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("compaction");
    group.sample_size(10);
    group.throughput(Throughput::BytesDecimal((BATCHES * RECORDS) as u64 * RECORD_BYTES as u64));
    for codec in [Codec::None, Codec::Lz4, Codec::Zstd] {
        for (keys, what) in [(Some(BATCHES * RECORDS / 4), "a quarter stays"), (None, "all stays")] {
            let batches = batches(codec, keys);
            let bytes = batches.iter().map(Vec::len).sum::<usize>();
            let name = format!("{codec:?}, {what}, {} to {} KiB", bytes >> 10, pass(&batches) >> 10);
            group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
                bencher.iter(|| pass(black_box(&batches)))
            });
        }
    }
    group.finish();
}
