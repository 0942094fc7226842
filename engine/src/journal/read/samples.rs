//! Index files in memory, for tests.

use super::block_cache::BlockCache;
use super::catalog::Catalog;
use super::container::Sealed;
use super::index::ActiveIndex;
use super::sealed_index::SealedIndex;
use crate::disk::io::{Io, Procedures};
use crate::disk::{BufferPool, DiskDone, DiskRequest};
use crate::entry::layout::{ENTRY_MAGIC, EntryKind};
use crate::entry::{BatchDescriptor, EntryHeader};
use crate::ids::{ClusterId, FileId, Index, JournalId, JournalIdentity};
use std::collections::BTreeMap;
use std::rc::Rc;

pub const IDENTITY: JournalIdentity =
    JournalIdentity { cluster: ClusterId(1), journal: JournalId(2), secret: 0x5ec };

pub fn header(base: Index, index: Index, position: u64, batches: usize) -> EntryHeader {
    EntryHeader {
        magic: ENTRY_MAGIC,
        version: 1.into(),
        kind: if batches > 0 { EntryKind::Batches as u8 } else { EntryKind::TermStart as u8 },
        flags: 0,
        count: (batches as u32).into(),
        cluster: 1.into(),
        journal: 2.into(),
        term: (1 + index.0 / 500).into(),
        index: index.0.into(),
        segment_base: base.0.into(),
        position: position.into(),
        commit: 0.into(),
        wall_ms: 0.into(),
        entry_bytes: 8192.into(),
        head_bytes: 128.into(),
        body_position: 128.into(),
        body_bytes: (batches as u32 * 100).into(),
        previous_checksum: 0.into(),
        checksum: (index.0 as u32 * 31).into(),
        reserved: [0; 16],
    }
}

pub fn descriptor(partition: u64, base_offset: i64, epoch: i32, max_timestamp: i64) -> BatchDescriptor {
    BatchDescriptor {
        partition: partition.into(),
        base_offset: base_offset.into(),
        leader_epoch: epoch.into(),
        record_count: 3.into(),
        base_timestamp: 0.into(),
        max_timestamp: max_timestamp.into(),
        producer_id: (-1).into(),
        producer_epoch: (-1).into(),
        attributes: 0.into(),
        base_sequence: (-1).into(),
        position: 0.into(),
        bytes: 100.into(),
        crc: 0.into(),
        reserved: 0.into(),
    }
}

/// Runs a procedure against files that are only read.
pub fn on_files<T: 'static>(
    files: BTreeMap<String, Vec<u8>>,
    procedure: impl AsyncFn(Io) -> T + 'static,
) -> T {
    let io = Io::new();
    let pool = BufferPool::new(1 << 20);
    let mut procedures = Procedures::new(io.clone());
    let mut paths: BTreeMap<FileId, String> = BTreeMap::new();
    let mut ended = procedures.start({
        let io = io.clone();
        async move { procedure(io).await }
    });
    while ended.is_none() {
        for (op, request) in io.take_issued() {
            let done = match request {
                DiskRequest::Open { file, path, .. } => {
                    let bytes = files[&path].len() as u64;
                    paths.insert(file, path);
                    DiskDone::Opened { bytes }
                }
                DiskRequest::Read { file, position, bytes } => {
                    DiskDone::Read(pool.copy_of(&files[&paths[&file]][position as usize..][..bytes]))
                }
                DiskRequest::Close { .. } | DiskRequest::Rest => DiskDone::Done,
                other => panic!("{other:?}"),
            };
            ended = ended.or(procedures.complete(op, Ok(done)).pop());
        }
    }
    ended.expect("it ended")
}

/// A container of one entry, with batches of three records: (partition, base offset, time), as an index file.
fn index_of(entry: u64, batches: &[(u64, i64, i64)]) -> Vec<u8> {
    let mut index = ActiveIndex::new(Index(entry));
    let descriptors: Vec<_> =
        batches.iter().map(|(of, offset, time)| descriptor(*of, *offset, 1, *time)).collect();
    index.append(&header(Index(entry), Index(entry), 0, descriptors.len()), &descriptors);
    index.encode_sealed(&IDENTITY)
}

/// Runs a procedure with a catalog of containers, the first at entry 1, of which `entered` are in the fence.
pub fn on_containers<T: 'static>(
    containers: &[&[(u64, i64, i64)]],
    entered: usize,
    procedure: impl AsyncFn(Catalog) -> T + 'static,
) -> T {
    with_containers(containers, entered, async move |_, catalog| procedure(catalog).await)
}

/// The same, of one that does more with the disk.
pub fn with_containers<T: 'static>(
    containers: &[&[(u64, i64, i64)]],
    entered: usize,
    procedure: impl AsyncFn(Io, Catalog) -> T + 'static,
) -> T {
    let path = |entry: u64| format!("{entry}.idx");
    let files = (1..).zip(containers).map(|(entry, batches)| (path(entry), index_of(entry, batches)));
    let count = containers.len() as u64;
    on_files(files.collect(), async move |io| {
        let catalog = Catalog::default();
        for entry in 1..=count {
            let blocks = BlockCache::new(1 << 20);
            let opened = SealedIndex::open(io.clone(), blocks, path(entry), IDENTITY, Index(entry)).await;
            let index = Rc::new(opened.expect("a good file"));
            let (base, last, file) = (Index(entry), Index(entry), FileId(1000 + entry));
            catalog.push(Rc::new(Sealed { base, last, bytes: 8192, file, index, replaced: None }));
        }
        for _ in 0..entered {
            enter_one(&catalog).await;
        }
        procedure(io, catalog).await
    })
}

/// Enters the next container, row by row.
pub async fn enter_one(catalog: &Catalog) {
    let number = catalog.to_enter().expect("one is left").number;
    while let Some(to) = catalog.to_enter().filter(|to| to.number == number) {
        let facts = to.container.facts_from(to.first_row, 1).await.expect("a good file");
        let is_last = to.first_row + 1 == to.container.partitions();
        catalog.enter(number, &facts, is_last);
    }
}
