//! What a start does with a segment, but for the disk: every head, chain and body checked.

use super::made::{BASE, IDENTITY, batch, segment};
use criterion::{BenchmarkId, Criterion, Throughput};
use engine::disk::io::{Io, Procedures};
use engine::disk::{Buffer, BufferPool, DiskDone, DiskRequest, IO_BYTES_MAX};
use engine::entry::reader::{Expect, Link, check_chain};
use engine::journal::recover::scan::{Scanned, Scanner};

/// A segment file in memory, in the pieces that it is read in.
struct File {
    chunks: Vec<Buffer>,
    bytes: u64,
}

impl File {
    fn new(pool: &BufferPool, batch_bytes: usize, batches: usize, entries: usize) -> Self {
        let batch = batch(batch_bytes);
        let entries = segment(pool, &batch, batches, 100, entries);
        let content: Vec<u8> = entries.iter().flat_map(|entry| entry.copy(0..entry.len())).collect();
        let chunks = content.chunks(IO_BYTES_MAX).map(|chunk| pool.copy_of(chunk)).collect();
        Self { chunks, bytes: content.len() as u64 }
    }

    /// Reads all of it as recovery does; gives the number of entries.
    fn scan(&self, pool: &BufferPool) -> u64 {
        let io = Io::new();
        let mut procedures = Procedures::new(io.clone());
        let scanner = Scanner::new(io.clone(), pool.clone(), io.file_id(), self.bytes);
        let mut ended = procedures.start(scan(scanner));
        while ended.is_none() {
            for (op, request) in io.take_issued() {
                let DiskRequest::Read { position, .. } = request else { panic!("{request:?}") };
                let chunk = &self.chunks[position as usize / IO_BYTES_MAX];
                ended = ended.or(procedures.complete(op, Ok(DiskDone::Read(chunk.clone()))).pop());
            }
        }
        ended.expect("the loop ends with it")
    }
}

async fn scan(mut scanner: Scanner) -> u64 {
    let (mut position, mut link) = (0, Link::default());
    loop {
        let expect = Expect { identity: IDENTITY, segment_base: BASE, position };
        match scanner.entry(&expect).await.expect("memory does not fail") {
            Scanned::Whole(entry) => {
                check_chain(entry.header(), &link).expect("a whole chain");
                (link, position) = (Link::of(entry.header()), position + entry.len() as u64);
            }
            Scanned::End => return link.index.0,
            other => panic!("{other:?}"),
        }
    }
}

pub fn recovery_scan(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("recovery scan");
    group.sample_size(20);
    let pool = BufferPool::new(64 << 20);
    for (name, batch_bytes, batches, entries) in
        [("32 MiB in large entries", 16 << 10, 56, 35), ("4 MiB in small entries", 1 << 10, 1, 1_000)]
    {
        let file = File::new(&pool, batch_bytes, batches, entries);
        group.throughput(Throughput::Bytes(file.bytes));
        group.bench_with_input(BenchmarkId::from_parameter(name), &file, |bencher, file| {
            bencher.iter(|| assert_eq!(file.scan(&pool), entries as u64))
        });
    }
    group.finish();
}
