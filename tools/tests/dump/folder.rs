//! The golden data folder: a meta journal with one topic, and a data journal of two sealed
//! segments and an active one. It is committed as it is written now, v2, where made again it is
//! the same bytes; and as it was written by format version 1, v1, which is read.

use engine::batch::{BatchBuilder, Codec, NewRecord};
use engine::codec::Write;
use engine::control::Command;
use engine::control::life::Life;
use engine::disk::BufferPool;
use engine::entry::EntryBytes;
use engine::entry::builder::{Hint, OpenEntry, Placed, Stamp, head_only};
use engine::entry::item::Item;
use engine::entry::layout::{BatchDescriptor, ENTRY_BYTES_MAX, EntryKind};
use engine::folder::{
    NodeMeta, checkpoint_path, hard_state_path, index_path, journal_dir, journal_meta_path, segment_path,
};
use engine::ids::*;
use engine::journal::format::checkpoint_file::Checkpoint;
use engine::journal::format::hard_state::{HardState, SyncedBound};
use engine::journal::format::meta_record::JournalMeta;
use engine::journal::read::index::ActiveIndex;
use engine::partition::Fold;
use engine::register::{Met, NodeRecord, Register, Registered, opened_by};
use engine::shard::Advertised;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

pub const CLUSTER: ClusterId = ClusterId(0xc1);
pub const DATA: JournalId = JournalId(1);
pub const GROUPS: JournalId = JournalId(2);
pub const SEGMENT_BYTES: u64 = 20 << 10;
/// Entries of the data journal, a block each: 1..=5 and 6..=10 sealed, 11..=14 active.
pub const SEGMENT_ENTRIES: u64 = 5;
pub const LAST: u64 = 14;
/// The commit that the hard state knows; the entries' own is one below each.
pub const SYNCED: u64 = 12;
/// Starts of the node.
const START: u64 = 3;
/// What the records hold.
pub const VALUE: &str = "heartwood";

pub fn identity(journal: JournalId) -> JournalIdentity {
    JournalIdentity { cluster: CLUSTER, journal, secret: 0x5ec0 + journal.0 }
}

/// A leader change within the second segment.
fn term_of(index: u64) -> Term {
    Term(if index < 8 { 1 } else { 2 })
}

/// Makes a journal's entries.
struct Maker {
    identity: JournalIdentity,
    pool: BufferPool,
    base: u64,
    entries: Vec<EntryBytes>,
}

impl Maker {
    fn new(journal: JournalId) -> Self {
        Self { identity: identity(journal), pool: BufferPool::new(1 << 20), base: 1, entries: Vec::new() }
    }

    fn stamp(&self) -> Stamp {
        let index = self.entries.len() as u64 + 1;
        let last = self.entries.last().map(|entry| *entry.header());
        let position = match last {
            Some(last) if index != self.base => last.position.get() + last.entry_bytes() as u64,
            _ => 0,
        };
        Stamp {
            cluster: CLUSTER,
            journal: self.identity.journal,
            secret: self.identity.secret,
            term: term_of(index),
            index: Index(index),
            segment_base: Index(self.base),
            position,
            commit: Index(index.saturating_sub(4)),
            wall_ms: 1_750_000_000_000 + index as i64,
            previous_checksum: last.map_or(0, |last| last.checksum.get()),
        }
    }

    fn head(&mut self, kind: EntryKind, count: u32, items: &[u8]) {
        let entry = head_only(&self.pool, kind, count, items, &self.stamp());
        self.entries.push(entry);
    }

    fn batches(&mut self, partitions: &[(u64, i64)]) {
        let epoch = self.stamp().term.0 as i32;
        let mut open = OpenEntry::new(&self.pool, Hint::default(), ENTRY_BYTES_MAX, 1);
        for (partition, base_offset) in partitions {
            let (bytes, placed) = batch(*partition, *base_offset, epoch);
            open.append(&self.pool, &bytes, placed).expect("its CRC is right");
        }
        let entry = open.seal(&self.stamp()).0;
        self.entries.push(entry);
    }
}

/// Two records; those of partition 2 compressed.
fn batch(partition: u64, base_offset: i64, epoch: i32) -> (Vec<u8>, Placed) {
    let time = 1_750_000_000_000 + base_offset;
    let codec = if partition == 2 { Codec::Zstd } else { Codec::None };
    let mut builder = BatchBuilder::new(time);
    builder.producer(40 + partition as i64, 0, base_offset as i32).codec(codec);
    for key in [&b"k1"[..], b"k2"] {
        let headers = [("h", Some(&b"v"[..]))];
        builder.push(NewRecord { key: Some(key), headers: &headers, ..NewRecord::value(VALUE.as_bytes()) });
    }
    let bytes = builder.build();
    let placed = placed(partition, base_offset, epoch, &bytes);
    (bytes, placed)
}

fn placed(partition: u64, base_offset: i64, epoch: i32, bytes: &[u8]) -> Placed {
    let header = engine::batch::BatchHeader::of(bytes).expect("a batch");
    let descriptor = BatchDescriptor {
        partition: partition.into(),
        base_offset: base_offset.into(),
        leader_epoch: epoch.into(),
        record_count: (header.last_offset_delta.get() as u32 + 1).into(),
        base_timestamp: header.base_timestamp.get().into(),
        max_timestamp: header.max_timestamp.get().into(),
        producer_id: header.producer_id.get().into(),
        producer_epoch: header.producer_epoch.get().into(),
        attributes: header.attributes.get().into(),
        base_sequence: header.base_sequence.get().into(),
        position: 0.into(),
        bytes: (bytes.len() as u32).into(),
        crc: 0.into(),
        reserved: 0.into(),
    };
    Placed::as_it_is(descriptor)
}

fn commands(more: Vec<Command>) -> Vec<u8> {
    let mut commands = vec![
        Command::Form {
            cluster: CLUSTER,
            members: vec![(NodeId(0), Incarnation(9))],
            lanes: 1,
            segment_bytes: SEGMENT_BYTES,
            broker_ids: BrokerIds::default(),
        },
        Command::RegisterNode {
            node: NodeId(0),
            shards: 1,
            advertised: Advertised {
                host: "127.0.0.1".into(),
                first_port: 9092,
                rack: None,
                ..Advertised::default()
            },
        },
        Command::CreateTopic {
            name: "rings".into(),
            topic_id: TopicId(77),
            partitions: 2,
            replication_factor: 1,
            configs: vec![("retention.ms".into(), "1000".into())],
            life: Life::Finite,
            entropy: 5,
            by_hand: Vec::new(),
        },
    ];
    commands.extend(more);
    let mut items = Vec::new();
    commands.iter().for_each(|command| items.sized(&command.encode()));
    items
}

fn meta_entries(more: Vec<Command>) -> Maker {
    let mut maker = Maker::new(META_JOURNAL);
    maker.head(EntryKind::TermStart, 0, &[]);
    let count = 3 + more.len() as u32;
    maker.head(EntryKind::Meta, count, &commands(more));
    maker
}

/// `trimmed`: the last entry moves the begin of both partitions to behind the first segment.
fn data_entries(trimmed: bool) -> Maker {
    let mut maker = Maker::new(DATA);
    maker.head(EntryKind::TermStart, 0, &[]);
    let opened = |partition| Item::PartitionOpened {
        partition: PartitionId(partition),
        span: SpanNumber(0),
        first_offset: Offset(0),
        epoch_base: 0,
        producers: Vec::new(),
    };
    let mut items = Vec::new();
    [opened(1), opened(2)].iter().for_each(|item| item.encode(&mut items));
    maker.head(EntryKind::Control, 2, &items);
    for index in 3..=LAST {
        if (index - 1) % SEGMENT_ENTRIES == 0 {
            maker.base = index;
        }
        let offset = (index as i64 - 3) * 2;
        if trimmed && index == LAST {
            let mut items = Vec::new();
            for partition in [1, 2].map(PartitionId) {
                let log_start = Offset((SEGMENT_ENTRIES as i64 - 2) * 2);
                Item::LogStartMoved { partition, log_start, kept_bytes: 9 }.encode(&mut items);
            }
            maker.head(EntryKind::Control, 2, &items);
        } else {
            maker.batches(&[(1, offset), (2, offset)]);
        }
    }
    maker
}

/// The journal of the topic of committed offsets, whose one partition holds `records` in one batch.
fn group_entries(records: &[NewRecord<'_>]) -> Maker {
    let mut maker = Maker::new(GROUPS);
    maker.head(EntryKind::TermStart, 0, &[]);
    let mut items = Vec::new();
    let (partition, first_offset) = (PartitionId(3), Offset(0));
    Item::PartitionOpened {
        partition,
        span: SpanNumber(0),
        first_offset,
        epoch_base: 0,
        producers: Vec::new(),
    }
    .encode(&mut items);
    maker.head(EntryKind::Control, 1, &items);
    let mut builder = BatchBuilder::new(1_750_000_000_000);
    for record in records {
        builder.push(*record);
    }
    let bytes = builder.build();
    let placed = placed(3, 0, 1, &bytes);
    let mut open = OpenEntry::new(&maker.pool, Hint::default(), ENTRY_BYTES_MAX, 1);
    open.append(&maker.pool, &bytes, placed).expect("its CRC is right");
    let entry = open.seal(&maker.stamp()).0;
    maker.entries.push(entry);
    maker
}

/// A copy of the committed folder.
pub fn golden() -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    copy(&golden_path(), dir.path());
    fs::write(dir.path().join("lock"), b"").expect("a folder of our own");
    dir
}

pub fn golden_path() -> PathBuf {
    golden_of("v2")
}

pub fn golden_of(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(version)
}

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder of our own");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("a name");
        let (path, to) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &to)
        } else {
            fs::write(to, fs::read(path).expect("a file")).expect("ours")
        }
    }
}

/// Every file with its bytes, by its path within the folder.
pub fn contents(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("a name").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(root).expect("within").to_owned();
                all.insert(name, fs::read(path).expect("a file"));
            }
        }
    }
    all
}

/// Makes the folder at `path`.
pub fn make(path: &Path) {
    make_node(path);
    journal(path, &meta_entries(Vec::new()), 0);
    journal(path, &data_entries(false), 2);
}

/// The same, but that the first segment's records are deleted: the file may go.
pub fn trimmed() -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    make_node(dir.path());
    journal(dir.path(), &meta_entries(Vec::new()), 0);
    journal(dir.path(), &data_entries(true), 2);
    dir
}

/// The same with a partition of `__consumer_offsets`.
pub fn with_groups(records: &[NewRecord<'_>]) -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary folder");
    make_node(dir.path());
    let offsets = Command::CreateTopic {
        name: "__consumer_offsets".into(),
        topic_id: TopicId(78),
        partitions: 1,
        replication_factor: 1,
        configs: Vec::new(),
        life: Life::Internal,
        entropy: 6,
        by_hand: Vec::new(),
    };
    journal(dir.path(), &meta_entries(vec![offsets]), 0);
    journal(dir.path(), &data_entries(false), 2);
    journal(dir.path(), &group_entries(records), 0);
    dir
}

fn make_node(path: &Path) {
    let node = NodeMeta {
        node: NodeId(0),
        incarnation: Incarnation(9),
        cluster: CLUSTER,
        formation: vec![(NodeId(0), Incarnation(9))],
        is_final: true,
        lanes: 1,
        segment_bytes: SEGMENT_BYTES,
    };
    fs::create_dir_all(path).expect("a folder of our own");
    let entered = |journal| (journal, Registered::new(RaftId(1), START));
    let register = Register {
        start: START,
        is_complete: true,
        journals: [META_JOURNAL, DATA].map(entered).into(),
        met: vec![Met { node: NodeId(1), incarnation: Incarnation(8), run: Run { start: 2, nonce: 7 } }],
    };
    let record = NodeRecord { node, register };
    write(path, "node.meta", &record.encode());
}

fn journal(root: &Path, maker: &Maker, sealed: usize) {
    let identity = maker.identity;
    let id = identity.journal;
    fs::create_dir_all(root.join(journal_dir(id))).expect("a folder of our own");
    let meta = JournalMeta {
        journal: id,
        cluster: CLUSTER,
        secret: identity.secret,
        segment_bytes: SEGMENT_BYTES,
        batches_per_segment_max: 262_144,
        life: if id == META_JOURNAL { Life::Meta } else { Life::Finite },
        lane: LaneId(0),
        voters: vec![RaftId(1)],
        raft_id: RaftId(1),
    };
    write(root, &journal_meta_path(id), &meta.encode());
    let synced = maker.entries[maker.entries.len().min(SYNCED as usize) - 1].header();
    let bound = SyncedBound { index: synced.index(), term: synced.term(), checksum: synced.checksum.get() };
    let mut hard_state = vec![0; 4 * 4096];
    for generation in [1, 2] {
        let state = HardState {
            generation,
            term: Term(2),
            vote: RaftId(1),
            commit: Index(1),
            synced: bound,
            opened: opened_by(RaftId(1), START),
            ..HardState::default()
        };
        let (position, slot) = state.encode_slot(&identity);
        hard_state[position as usize..][..slot.len()].copy_from_slice(&slot);
    }
    write(root, &hard_state_path(id), &hard_state);
    segments(root, maker, sealed);
}

fn segments(root: &Path, maker: &Maker, sealed: usize) {
    let id = maker.identity.journal;
    let mut fold = Fold::default();
    for (number, entries) in maker.entries.chunks(SEGMENT_ENTRIES as usize).enumerate() {
        let base = entries[0].header().index();
        let mut bytes: Vec<u8> = entries.iter().flat_map(|entry| entry.copy(0..entry.len())).collect();
        for entry in entries {
            fold.apply(entry.header(), entry.head()).expect("known items");
        }
        if number < sealed {
            let mut index = ActiveIndex::new(base);
            entries.iter().for_each(|entry| index.append(entry.header(), entry.descriptors()));
            write(root, &index_path(id, base), &index.encode_sealed(&maker.identity));
            let mut body = Vec::new();
            body.sized(&fold.encode());
            let checkpoint = Checkpoint {
                last: index.last(),
                term: term_of(index.last().0),
                body: std::rc::Rc::new(body),
            };
            write(root, &checkpoint_path(id, index.last()), &checkpoint.encode(&maker.identity));
        } else {
            bytes.resize(SEGMENT_BYTES as usize, 0);
        }
        write(root, &segment_path(id, base), &bytes);
    }
}

fn write(root: &Path, name: &str, bytes: &[u8]) {
    fs::write(root.join(name), bytes).expect("a folder of our own");
}

/// The data journal's segment of `base`.
pub fn segment(root: &Path, base: u64) -> PathBuf {
    root.join(segment_path(DATA, Index(base)))
}

/// Where the data journal's entry `index` begins in its segment.
pub fn position_of(index: u64) -> u64 {
    data_entries(false).entries[index as usize - 1].header().position.get()
}

/// Changes one byte of a file.
pub fn flip(path: &Path, position: u64) {
    let mut bytes = fs::read(path).expect("it was made");
    bytes[position as usize] ^= 0x40;
    fs::write(path, bytes).expect("a folder of our own");
}
