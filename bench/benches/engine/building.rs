//! Entries of about 1 MiB, from batches of several sizes: copied once, summed on the way, sealed.

use super::made::{batch, entry, learnt, stamp};
use criterion::{BenchmarkId, Criterion, Throughput};
use engine::disk::BufferPool;
use engine::entry::reader::Link;

pub fn entry_building(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("entry building");
    // A sealed entry gives its buffer back when it is dropped, as a written one does.
    let pool = BufferPool::new(8 << 20);
    let stamp = stamp(&Link::default(), 0);
    for bytes in [1 << 10, 16 << 10, 256 << 10, 900 << 10] {
        let batch = batch(bytes);
        let hint = learnt(&pool, &batch);
        let entry_bytes = entry(&pool, hint, &batch, 0, &stamp).0.len();
        group.throughput(Throughput::Bytes(entry_bytes as u64));
        group.bench_with_input(BenchmarkId::new("batches of", bytes), &batch, |bencher, batch| {
            bencher.iter(|| entry(&pool, hint, batch, 0, &stamp).0.len())
        });
    }
    group.finish();
}
