//! Holds the layout in code, the page `FORMAT.md` and the golden files together: what changes in
//! one must change in all three. `DURAMEN_BLESS=1` writes the golden files anew.

use core::mem::offset_of;
use engine::batch::header::{attribute, batch_crc};
use engine::batch::{BatchBuilder, BatchHeader, EndMarker, Ending, NewRecord};
use engine::control::life::Life;
use engine::disk::BufferPool;
use engine::entry::builder::{Hint, OpenEntry, Placed, Stamp, head_only};
use engine::entry::item::{Item, ProducerSnapshot};
use engine::entry::layout::{BatchDescriptor, ENTRY_BYTES_MAX, EntryHeader, EntryKind, descriptors_of};
use engine::entry::reader::{Expect, Link, check_body, check_chain, check_head};
use engine::entry::run_made::{RunMade, RunPart};
use engine::entry::{EntryBytes, MarkerFields};
use engine::folder::{NodeMeta, NodeMetaBody, NodeMetaMember};
use engine::framing::FrameHeader;
use engine::ids::*;
use engine::journal::format::checkpoint_file::{Checkpoint, CheckpointHeader};
use engine::journal::format::doubt_record::{Doubt, Hidden, Place};
use engine::journal::format::hard_state::{HardState, HardStateBody, SyncedBound};
use engine::journal::format::index_file::*;
use engine::journal::format::install_file::{Install, InstallBody};
use engine::journal::format::meta_record::{JournalMeta, JournalMetaBody};
use engine::journal::read::index::ActiveIndex;
use engine::partition::Fold;
use engine::raft::Change;
use engine::register::{Amnesia, Met, MetRow, NodeRecord, Register, RegisterBody, Registered, RegisteredRow};
use engine::rewrite::run_file::*;
use engine::rewrite::run_writer::whole_file;
use engine::rewrite::{RewriteRule, RunIndex, RunInput, RunPlan, RunWriter, check_run};
use std::collections::BTreeMap;
use zerocopy::FromBytes;

/// (field, offset, bytes), in order.
type Layout = Vec<(String, usize, usize)>;

macro_rules! layouts {
    ($($name:ident { $($field:ident),* })*) => {
        BTreeMap::from([$((stringify!($name).to_owned(), {
            let fields: Layout = vec![$((
                stringify!($field).to_owned(),
                offset_of!($name, $field),
                bytes_of(|layout: &$name| size_of_val(&layout.$field)),
            )),*];
            let bytes: usize = fields.iter().map(|(_, _, bytes)| bytes).sum();
            assert_eq!(bytes, size_of::<$name>(), "{}: a field is not listed", stringify!($name));
            fields
        })),*])
    };
}

fn bytes_of<T: zerocopy::FromZeros>(measure: impl Fn(&T) -> usize) -> usize {
    measure(&T::new_zeroed())
}

fn layouts_in_code() -> BTreeMap<String, Layout> {
    layouts! {
        EntryHeader {
            magic, version, kind, flags, count, cluster, journal, term, index, segment_base, position,
            commit, wall_ms, entry_bytes, head_bytes, body_position, body_bytes, previous_checksum,
            checksum, reserved
        }
        BatchDescriptor {
            partition, base_offset, leader_epoch, record_count, base_timestamp, max_timestamp,
            producer_id, producer_epoch, attributes, base_sequence, position, bytes, crc, reserved
        }
        FrameHeader { magic, version, reserved, body_bytes, checksum, reserved_2 }
        IndexHeader {
            cluster, journal, base, last, last_term, last_checksum, markers, data_bytes, batches,
            batch_bytes, partitions, items, epochs, entries
        }
        IndexBlockHeader { checksum, number, section, reserved, rows, base_low }
        PartitionRow {
            partition, first_offset, next_offset, batch_bytes, max_timestamp, batches, first_epoch,
            last_epoch, first_item, items, first_epoch_row, epoch_rows, markers
        }
        InstallBody { cluster, journal, last, term, checksum, keeps }
        FenceRow { partition, first_offset, max_timestamp }
        ItemRow { partition, first_offset, max_timestamp, entry, position, entry_bytes, offsets }
        EpochRow { partition, start_offset, epoch, reserved }
        EntryRow { position, term, entry_bytes, checksum }
        MarkerRow { partition, offset, producer_id, first_offset, stable, aborts, reserved }
        HardStateBody {
            cluster, journal, generation, term, vote, commit, synced_index, synced_term,
            synced_checksum, reserved, opened, good_index, good_term, good_checksum, in_doubt, end_index,
            end_term, first_term, first_checksum, reserved_2, segment, position, bytes
        }
        CheckpointHeader { cluster, journal, last, last_term, body_bytes, body_checksum, reserved }
        JournalMetaBody {
            cluster, journal, secret, segment_bytes, raft_id, batches_per_segment_max, lane, life,
            reserved, voters, reserved_2
        }
        NodeMetaBody {
            incarnation, cluster, segment_bytes, node, lanes, is_final, reserved, members, reserved_2
        }
        NodeMetaMember { incarnation, node, reserved }
        RegisterBody { start, journals, met, is_complete, reserved }
        RegisteredRow { journal, raft_id, opened, lost, reserved, reserved_2, reserved_3 }
        MetRow { incarnation, start, nonce, node, reserved }
        RunHead { cluster, journal, run, applied, rule, reserved, reserved_2, reserved_3 }
        RunFoot {
            cluster, journal, run, file_bytes, body_bytes, batches, partitions_sum, inputs, partitions,
            chunks, reserved
        }
        RunBlockHeader { checksum, number, section, reserved, rows, run_low }
        RunInputRow { first, last, kind, reserved }
        RunPartitionRow {
            partition, covered_from, covered_to, first_offset, next_offset, max_timestamp, kept_bytes,
            position, checksum, batches, first_chunk, chunks, reserved
        }
        RunFenceRow { partition, first_offset, max_timestamp }
        RunChunkRow { partition, first_offset, next_offset, max_timestamp, position, sum, bytes, batches }
    }
}

/// The tables of the page whose first columns are `offset` and `bytes`, by the heading above.
fn layouts_on_page() -> BTreeMap<String, Layout> {
    let mut layouts = BTreeMap::new();
    let (mut heading, mut in_table) = (String::new(), false);
    for line in include_str!("../FORMAT.md").lines() {
        if let Some(text) = line.strip_prefix("### ") {
            heading = text.to_owned();
        }
        if line.starts_with("| offset | bytes | field |") {
            in_table = true;
            layouts.insert(heading.clone(), Layout::new());
        } else if !line.starts_with('|') {
            in_table = false;
        } else if in_table && !line.starts_with("|---") {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let number = |cell: &str| cell.parse().unwrap_or_else(|_| panic!("{heading}: {line}"));
            let row = (cells[3].to_owned(), number(cells[1]), number(cells[2]));
            layouts.get_mut(&heading).expect("a table has a heading").push(row);
        }
    }
    layouts
}

#[test]
fn the_page_says_what_the_code_does() {
    let (code, page) = (layouts_in_code(), layouts_on_page());
    for (name, layout) in &code {
        assert_eq!(page.get(name), Some(layout), "{name}: FORMAT.md and the code differ");
    }
    assert_eq!(page.len(), code.len(), "FORMAT.md has a table that this test does not know");
}

const IDENTITY: JournalIdentity = JournalIdentity {
    cluster: ClusterId(0xd02a_3e17_0000_0000_0000_0000_0000_0001),
    journal: JournalId(5),
    secret: 0x0123_4567_89ab_cdef,
};

fn stamp(index: u64, term: u64, position: u64, previous_checksum: u32) -> Stamp {
    Stamp {
        cluster: IDENTITY.cluster,
        journal: IDENTITY.journal,
        secret: IDENTITY.secret,
        term: Term(term),
        index: Index(index),
        segment_base: Index(1),
        position,
        commit: Index(index - 1),
        wall_ms: 1_750_000_000_000 + index as i64,
        previous_checksum,
    }
}

fn items() -> Vec<u8> {
    let partition = PartitionId(11);
    let producer = ProducerSnapshot {
        producer: ProducerId(7),
        epoch: 2,
        last_sequence: 9,
        last_offset: Offset(40),
        last_wall_ms: 5,
    };
    let all = [
        Item::PartitionOpened {
            partition,
            span: SpanNumber(0),
            first_offset: Offset(0),
            epoch_base: 0,
            producers: vec![producer],
        },
        Item::LogStartMoved { partition, log_start: Offset(10), kept_bytes: 99 },
        Item::SpanSealed { partition, end_offset: Offset(50) },
        Item::PartitionDropped { partition: PartitionId(12) },
        Item::SegmentDigest { segment_base: Index(1), last: Index(5), headers: 6, checkpoint: 7 },
        Item::LossAccepted { first: Index(2), last: Index(3), skip: 1 << 33 },
    ];
    let mut bytes = Vec::new();
    all.iter().for_each(|item| item.encode(&mut bytes));
    bytes
}

/// A batch of two records of partition `partition`, its place in `placed`.
fn batch(partition: u64, base_offset: i64, epoch: i32) -> (Vec<u8>, Placed) {
    let mut builder = BatchBuilder::new(1_750_000_000_000);
    builder.producer(7, 2, base_offset as i32);
    for value in [&b"heartwood"[..], b"sapwood"] {
        builder.push(NewRecord { key: Some(b"key"), ..NewRecord::value(value) });
    }
    let bytes = builder.build();
    let descriptor = BatchDescriptor {
        partition: partition.into(),
        base_offset: base_offset.into(),
        leader_epoch: epoch.into(),
        record_count: 2.into(),
        base_timestamp: 1_750_000_000_000.into(),
        max_timestamp: 1_750_000_000_000.into(),
        producer_id: 7.into(),
        producer_epoch: 2.into(),
        attributes: 0.into(),
        base_sequence: (base_offset as i32).into(),
        position: 0.into(),
        bytes: (bytes.len() as u32).into(),
        crc: 0.into(),
        reserved: 0.into(),
    };
    (bytes, Placed::as_it_is(descriptor))
}

/// Four entries: term start, control items, batches of two partitions, and a later term's.
fn entries() -> Vec<EntryBytes> {
    let pool = BufferPool::new(1 << 20);
    let mut entries = vec![head_only(&pool, EntryKind::TermStart, 0, &[], &stamp(1, 1, 0, 0))];
    let previous = |entries: &[EntryBytes]| {
        let header = *entries[entries.len() - 1].header();
        (header.position.get() + header.entry_bytes() as u64, header.checksum.get())
    };
    let (position, checksum) = previous(&entries);
    entries.push(head_only(&pool, EntryKind::Control, 6, &items(), &stamp(2, 1, position, checksum)));
    for (index, term) in [(3, 1), (4, 2)] {
        let mut open = OpenEntry::new(&pool, Hint::default(), ENTRY_BYTES_MAX, 1);
        for partition in [11, 13, 11] {
            let base_offset = (index - 3) * 4 + open.descriptors().len() as i64 / 2 * 2;
            let (bytes, placed) = batch(partition, base_offset, term as i32);
            open.append(&pool, &bytes, placed).expect("its CRC is right");
        }
        let (position, checksum) = previous(&entries);
        entries.push(open.seal(&stamp(index as u64, term, position, checksum)).0);
    }
    entries
}

/// A partition's first span sealed, and its third opened.
fn later_span() -> (EntryHeader, Vec<u8>) {
    let partition = PartitionId(11);
    let producer = ProducerSnapshot {
        producer: ProducerId(7),
        epoch: 2,
        last_sequence: 9,
        last_offset: Offset(40),
        last_wall_ms: 5,
    };
    let (first_offset, epoch_base) = (Offset(0), 0);
    let all = [
        Item::PartitionOpened { partition, span: SpanNumber(0), first_offset, epoch_base, producers: vec![] },
        Item::SpanSealed { partition, end_offset: Offset(50) },
        Item::PartitionOpened {
            partition,
            span: SpanNumber(2),
            first_offset: Offset(70),
            epoch_base: 3,
            producers: vec![producer],
        },
    ];
    let mut bytes = Vec::new();
    all.iter().for_each(|item| item.encode(&mut bytes));
    let pool = BufferPool::new(0);
    let entry = head_only(&pool, EntryKind::Control, all.len() as u32, &bytes, &stamp(1, 1, 0, 0));
    (*entry.header(), entry.copy(0..entry.len()))
}

fn later_span_folded() -> Fold {
    let (header, entry) = later_span();
    let mut fold = Fold::default();
    fold.apply(&header, &entry[..header.head_bytes()]).expect("known items");
    fold
}

/// Two producers' transactions in one partition, and the marker that aborts one of them.
fn transactions() -> (EntryHeader, Vec<u8>) {
    let pool = BufferPool::new(1 << 20);
    let mut open = OpenEntry::new(&pool, Hint::default(), ENTRY_BYTES_MAX, 1);
    for (base_offset, producer) in [(0, 7), (2, 8)] {
        let (mut bytes, mut placed) = batch(11, base_offset, 1);
        let header = BatchHeader::mut_from_prefix(&mut bytes).expect("a whole header").0;
        header.attributes.set(attribute::TRANSACTIONAL);
        header.producer_id.set(producer);
        let crc = batch_crc(&bytes);
        BatchHeader::mut_from_prefix(&mut bytes).expect("a whole header").0.crc.set(crc);
        placed.descriptor.attributes.set(attribute::TRANSACTIONAL);
        placed.descriptor.producer_id.set(producer);
        open.append(&pool, &bytes, placed).expect("its CRC is right");
    }
    let marker = EndMarker { producer: 7, epoch: 3, ending: Ending::Abort, coordinator_epoch: 5 };
    let bytes = marker.encode(1_750_000_000_000);
    let header = BatchHeader::of(&bytes).expect("a whole header");
    let mut descriptor = header.descriptor(PartitionId(11), Offset(4), LeaderEpoch(1), 0);
    let (ending, coordinator_epoch) = (marker.ending, marker.coordinator_epoch);
    let (first_offset, stable) = (Offset(0), Some(Offset(2)));
    descriptor.set_marker(&MarkerFields { ending, coordinator_epoch, first_offset, stable });
    open.append(&pool, &bytes, Placed::as_it_is(descriptor)).expect("its CRC is right");
    let entry = open.seal(&stamp(1, 1, 0, 0)).0;
    (*entry.header(), entry.copy(0..entry.len()))
}

fn transactions_index() -> Vec<u8> {
    let (header, bytes) = transactions();
    let descriptors = descriptors_of(&bytes, header.count.get()).expect("a whole head");
    let mut index = ActiveIndex::new(Index(1));
    index.append(&header, descriptors);
    index.encode_sealed(&IDENTITY)
}

fn transactions_folded() -> Fold {
    let (header, entry) = transactions();
    let opened = Item::PartitionOpened {
        partition: PartitionId(11),
        span: SpanNumber(0),
        first_offset: Offset(0),
        epoch_base: 0,
        producers: vec![],
    };
    let mut bytes = Vec::new();
    opened.encode(&mut bytes);
    let opening = head_only(&BufferPool::new(0), EntryKind::Control, 1, &bytes, &stamp(1, 1, 0, 0));
    let mut fold = Fold::default();
    fold.apply(opening.header(), opening.head()).expect("known items");
    let header = EntryHeader { index: 2.into(), ..header };
    fold.apply(&header, &entry[..header.head_bytes()]).expect("batches");
    fold
}

/// A run that is read from, and one made of it.
fn runs_folded() -> Fold {
    let made = |run, inputs, kept_bytes| {
        let part = RunPart {
            partition: PartitionId(11),
            covered: Offset(0)..Offset(9),
            clean_to: Offset(9),
            input_bytes: 900,
            kept_bytes,
            checksum: 77,
        };
        let rule = RewriteRule::Compact;
        let (applied, file_bytes, checksum, parts) = (Index(1), 12_288, 99, vec![part]);
        RunMade { run: RunId(run), rule, applied, file_bytes, checksum, inputs, parts }
    };
    let first = made(1 << 32 | 1, vec![RunInput::Segment { base: Index(1), last: Index(1) }], 300);
    let inputs = vec![RunInput::Run(first.run), RunInput::Segment { base: Index(2), last: Index(2) }];
    let second = made(1 << 32 | 2, inputs, 200);
    let settled = Item::RunSettled { run: first.run };
    let mut fold = transactions_folded();
    for (index, item) in (3..).zip([Item::RunMade(first.into()), settled, Item::RunMade(second.into())]) {
        let mut bytes = Vec::new();
        item.encode(&mut bytes);
        let entry = head_only(&BufferPool::new(0), EntryKind::Control, 1, &bytes, &stamp(index, 1, 0, 0));
        fold.apply(entry.header(), entry.head()).expect("known items");
    }
    fold
}

fn install() -> Install {
    Install { last: Index(4), term: Term(2), checksum: 0xdead_beef, keeps: false }
}

/// An entry that changes the members, in a segment of its own.
fn membership() -> Vec<u8> {
    let change = Change::Swap { out: RaftId(3), into: RaftId(4) };
    let pool = BufferPool::new(0);
    let entry = head_only(&pool, EntryKind::Membership, 1, &change.encode(), &stamp(1, 1, 0, 0));
    entry.copy(0..entry.len())
}

fn segment() -> Vec<u8> {
    entries().iter().flat_map(|entry| entry.copy(0..entry.len())).collect()
}

fn index() -> Vec<u8> {
    let mut index = ActiveIndex::new(Index(1));
    entries().iter().for_each(|entry| index.append(entry.header(), entry.descriptors()));
    index.encode_sealed(&IDENTITY)
}

fn hard_state() -> Vec<u8> {
    let mut file = vec![0; 4 * 4096];
    for generation in [6, 7] {
        let state = HardState {
            generation,
            term: Term(2),
            vote: RaftId(1),
            commit: Index(3),
            synced: SyncedBound { index: Index(4), term: Term(2), checksum: 0xdead_beef },
            opened: 12,
            doubt: Some(Doubt {
                good: Link { index: Index(4), term: Term(2), checksum: 0xdead_beef },
                end: LogEnd { term: Term(2), index: Index(6) },
                first: Hidden { term: Term(2), checksum: 0xfeed_f00d },
                place: Place { segment: Index(1), position: 16384, bytes: 8192 },
            }),
        };
        let (position, slot) = state.encode_slot(&IDENTITY);
        file[position as usize..][..slot.len()].copy_from_slice(&slot);
    }
    file
}

fn journal_meta() -> JournalMeta {
    JournalMeta {
        journal: IDENTITY.journal,
        cluster: IDENTITY.cluster,
        secret: IDENTITY.secret,
        segment_bytes: 1 << 20,
        batches_per_segment_max: 262_144,
        life: Life::Finite,
        lane: LaneId(1),
        voters: vec![RaftId(1), RaftId(2)],
        raft_id: RaftId(1),
    }
}

fn node_meta() -> NodeMeta {
    NodeMeta {
        node: NodeId(3),
        incarnation: Incarnation(0xabc),
        cluster: IDENTITY.cluster,
        formation: vec![(NodeId(3), Incarnation(0xabc))],
        is_final: true,
        lanes: 2,
        segment_bytes: 1 << 20,
    }
}

fn node_record() -> NodeRecord {
    let mut register = Register { start: 4, is_complete: true, ..Register::default() };
    register.journals.insert(JournalId(0), Registered::new(RaftId(3), 4));
    let lost = Registered { lost: Some(Amnesia::MetaMissing), ..Registered::new(RaftId(3), 2) };
    register.journals.insert(JournalId(5), lost);
    let run = Run { start: 6, nonce: 0x0102_0304_0506_0708 };
    register.remember(Met { node: NodeId(1), incarnation: Incarnation(0xdef), run });
    NodeRecord { node: node_meta(), register }
}

fn checkpoint() -> Checkpoint {
    Checkpoint { last: Index(4), term: Term(2), body: std::rc::Rc::new(b"the fold's bytes".to_vec()) }
}

/// Two partitions, one of which has no batch left.
fn run() -> Vec<u8> {
    let inputs = vec![RunInput::Segment { base: Index(1), last: Index(4) }, RunInput::Run(RunId(2))];
    let plan = RunPlan { run: RunId(6), applied: Index(9), rule: RewriteRule::Compact, inputs };
    let mut writer = RunWriter::new(IDENTITY, plan, BufferPool::new(0));
    writer.begin(PartitionId(11), Offset(0)..Offset(8));
    for base_offset in [0, 5] {
        let mut builder = BatchBuilder::new(1_750_000_000_000);
        builder.base_offset(base_offset).producer(7, 2, base_offset as i32);
        builder.push(NewRecord { key: Some(b"key"), ..NewRecord::value(b"heartwood") });
        writer.push(&builder.build(), 1_750_000_000_000);
    }
    writer.end();
    writer.begin(PartitionId(13), Offset(3)..Offset(4));
    writer.end();
    writer.finish();
    whole_file(&mut writer)
}

/// Compares with the golden file, or writes it.
fn golden(name: &str, bytes: &[u8]) {
    let path = format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("DURAMEN_BLESS").is_some() {
        std::fs::write(&path, bytes).expect("the golden folder is there");
    }
    let kept = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let differs = kept.iter().zip(bytes).position(|(kept, now)| kept != now);
    assert_eq!(differs, None, "{name} differs at this byte");
    assert_eq!(kept.len(), bytes.len(), "{name}");
}

#[test]
fn the_golden_files_are_what_is_written_today() {
    golden("segment.seg", &segment());
    golden("segment.idx", &index());
    golden("hard-state", &hard_state());
    golden("journal.meta", &journal_meta().encode());
    golden("node.meta", &node_record().encode());
    golden("membership.seg", &membership());
    golden("later-span.seg", &later_span().1);
    golden("later-span.fold", &later_span_folded().encode());
    golden("transactions.seg", &transactions().1);
    golden("transactions.idx", &transactions_index());
    golden("transactions.fold", &transactions_folded().encode());
    golden("runs.fold", &runs_folded().encode());
    golden("install", &install().encode(&IDENTITY));
    golden("6.run", &run());
    golden("checkpoint.ckpt", &checkpoint().encode(&IDENTITY));
}

#[test]
fn the_golden_segment_is_read_by_its_layout() {
    let bytes = segment();
    let (mut position, mut link) = (0, Link::default());
    for entry in entries() {
        let expect = Expect { identity: IDENTITY, segment_base: Index(1), position };
        let header = check_head(&bytes[position as usize..], &expect).expect("a good head");
        assert_eq!(header, entry.header());
        check_body(&entry).expect("a good body");
        check_chain(header, &link).expect("a whole chain");
        link = Link::of(header);
        position += header.entry_bytes() as u64;
    }
    assert_eq!(position, bytes.len() as u64);
}

#[test]
fn the_golden_entry_of_transactions_is_read_and_of_version_2() {
    let (header, bytes) = transactions();
    let expect = Expect { identity: IDENTITY, segment_base: Index(1), position: 0 };
    assert_eq!(check_head(&bytes, &expect), Ok(&header));
    assert_eq!((header.version.get(), entries()[2].header().version.get()), (2, 1));
}

#[test]
fn the_other_golden_files_are_read() {
    let read = |name: &str| {
        std::fs::read(format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"))).expect("a golden file")
    };
    assert_eq!(NodeRecord::decode(&read("node.meta")), Ok((node_record(), 0)));
    let before = NodeRecord { register: Register::default(), ..node_record() };
    assert_eq!(NodeRecord::decode(&read("node.meta-1")), Ok((before, 0)));
    assert_eq!(JournalMeta::decode("j", &read("journal.meta")), Ok((journal_meta(), 0)));
    assert_eq!(Install::decode("i", &read("install"), &IDENTITY), Ok(install()));
    assert_eq!(Checkpoint::decode("c", &read("checkpoint.ckpt"), &IDENTITY), Ok(checkpoint()));
    let file = read("6.run");
    assert_eq!(check_run(&file, &IDENTITY, RunId(6)), Ok(()));
    let (head, index) = RunIndex::open_whole(&file, IDENTITY, RunId(6)).expect("this version");
    assert_eq!((head.applied.get(), head.rule), (9, RewriteRule::Compact as u8));
    assert_eq!((index.foot().partitions.get(), index.foot().batches.get()), (2, 2));
    let fold = Fold::decode(&read("later-span.fold")).expect("this version");
    let partition = fold.partition(PartitionId(11)).expect("opened");
    assert_eq!((partition.span, partition.next_offset), (SpanNumber(2), Offset(70)));
    let fold = Fold::decode(&read("transactions.fold")).expect("this version");
    let partition = fold.partition(PartitionId(11)).expect("opened");
    assert_eq!((partition.first_unstable(), fold.open_transactions()), (Some(Offset(2)), 1));
    let fold = Fold::decode(&read("runs.fold")).expect("this version");
    assert_eq!(fold.runs().settled()[0].parts[0].kept_bytes, 300);
    assert_eq!(fold.runs().made().map(|made| made.run), Some(RunId(1 << 32 | 2)));
    assert_eq!((fold.runs().rewritten(), fold.open_transactions()), (Index(1), 1));
    let state = HardState::read("h", &read("hard-state"), &IDENTITY).expect("this version");
    let newest = state.newest.expect("two good generations");
    assert_eq!((newest.generation, newest.opened), (7, 12));
    let old = HardState::read("h", &read("hard-state-1"), &IDENTITY).expect("an older version");
    assert_eq!(old.newest, Some(HardState { opened: 0, doubt: None, ..newest }));
}
