//! A batch's envelope, which the leader checks, and its CRC, which the builder takes on the way.

use super::made::batch;
use criterion::{BenchmarkId, Criterion, Throughput};
use engine::batch::{CRC_REGION_START, EnvelopeLimits, check_envelope};
use std::hint::black_box;

const LIMITS: EnvelopeLimits = EnvelopeLimits {
    batch_bytes_max: 16 << 20,
    log_append_time: false,
    transactional: true,
    trusts_header: false,
    timestamp_before_max_ms: i64::MAX,
    timestamp_after_max_ms: 3_600_000,
    wall_ms: 1_750_000_000_000,
};

pub fn batch_validation(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("batch validation");
    let small = batch(16 << 10);
    group.bench_function("envelope", |bencher| {
        bencher.iter(|| check_envelope(black_box(&small), &LIMITS).expect("a good batch").record_count)
    });
    for bytes in [1 << 10, 16 << 10, 1 << 20] {
        let batch = batch(bytes);
        group.throughput(Throughput::Bytes(batch.len() as u64));
        group.bench_with_input(BenchmarkId::new("envelope and CRC", bytes), &batch, |bencher, batch| {
            bencher.iter(|| {
                let header = check_envelope(black_box(batch), &LIMITS).expect("a good batch");
                assert_eq!(header.crc.get(), crc32c::crc32c(&batch[CRC_REGION_START..]));
            })
        });
    }
    group.finish();
}
