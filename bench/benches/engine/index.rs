//! Where an offset is: in the index of the segment being written, and in a sealed one's file with
//! its blocks in the cache.

use super::made::{BASE, IDENTITY, batch, segment};
use criterion::Criterion;
use engine::disk::io::{Io, Procedures};
use engine::disk::{BufferPool, DiskDone, DiskRequest};
use engine::ids::{Offset, PartitionId};
use engine::journal::read::block_cache::BlockCache;
use engine::journal::read::index::ActiveIndex;
use engine::journal::read::sealed_index::SealedIndex;
use std::hint::black_box;

const PARTITIONS: u64 = 1_000;
const ENTRIES: usize = 2_000;
const BATCHES_PER_ENTRY: usize = 50;
/// Each partition has so many records: a batch holds one.
const OFFSETS: u64 = (ENTRIES * BATCHES_PER_ENTRY) as u64 / PARTITIONS;
/// Far above the file: look-ups, not eviction, are measured.
const CACHE_BYTES: usize = 64 << 20;

fn index() -> ActiveIndex {
    let pool = BufferPool::new(256 << 20);
    let mut index = ActiveIndex::new(BASE);
    for entry in segment(&pool, &batch(1 << 10), BATCHES_PER_ENTRY, PARTITIONS, ENTRIES) {
        index.append(entry.header(), entry.descriptors());
    }
    index
}

/// Look-ups all over the segment, in an order that the branch predictor does not learn.
struct Questions(u64);

impl Questions {
    fn next(&mut self) -> (PartitionId, Offset) {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let random = self.0 >> 33;
        (PartitionId(random % PARTITIONS), Offset((random / PARTITIONS % OFFSETS) as i64))
    }
}

/// Runs a procedure, its reads answered from `file`.
fn run<T: 'static>(
    procedures: &mut Procedures<T>,
    io: &Io,
    file: &[u8],
    pool: &BufferPool,
    procedure: impl Future<Output = T> + 'static,
) -> T {
    let mut ended = procedures.start(procedure);
    while ended.is_none() {
        for (op, request) in io.take_issued() {
            let done = match request {
                DiskRequest::Open { .. } => DiskDone::Opened { bytes: file.len() as u64 },
                DiskRequest::Read { position, bytes, .. } => {
                    let from = position as usize;
                    DiskDone::Read(pool.copy_of(&file[from..file.len().min(from + bytes)]))
                }
                other => panic!("{other:?}"),
            };
            ended = ended.or(procedures.complete(op, Ok(done)).pop());
        }
    }
    ended.expect("the loop ends with it")
}

pub fn index_look_up(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("index look-up");
    let index = index();
    let mut questions = Questions(1);
    group.bench_function("active, 1,000 partitions, 100,000 batches", |bencher| {
        bencher.iter(|| {
            let (partition, offset) = questions.next();
            black_box(index.find(partition, offset).expect("it is there"))
        })
    });
    let pool = BufferPool::new(64 << 20);
    let file = index.encode_sealed(&IDENTITY);
    let io = Io::new();
    let open =
        SealedIndex::open(io.clone(), BlockCache::new(CACHE_BYTES), "index".to_owned(), IDENTITY, BASE);
    let sealed = run(&mut Procedures::new(io.clone()), &io, &file, &pool, open).expect("a good file");
    let mut finding = Procedures::new(io.clone());
    group.bench_function("sealed, the same in cached blocks", |bencher| {
        bencher.iter(|| {
            let (partition, offset) = questions.next();
            let sealed = sealed.clone();
            let find = async move { sealed.find(partition, offset).await };
            run(&mut finding, &io, &file, &pool, find).expect("a good file").expect("it is there")
        })
    });
    group.finish();
}
