//! Every fault of the simulated disk, each by a narrow test.

use super::*;
use engine::disk::{DirEntry, DiskDone, DiskErrorKind};

struct Bench {
    disk: SimDisk,
    pool: BufferPool,
    rng: Rng,
    op: u64,
}

const FILE: FileId = FileId(1);

impl Bench {
    /// A disk with one file, `f`, its name durable.
    fn new(seed: u64) -> Self {
        let mut bench =
            Self { disk: SimDisk::new(), pool: BufferPool::new(1 << 20), rng: Rng::new(seed), op: 0 };
        bench.run(DiskRequest::Open { file: FILE, path: "f".into(), create: true });
        bench.run(DiskRequest::SyncDir { path: "".into() });
        bench
    }

    fn issue(&mut self, request: DiskRequest) -> OpId {
        self.op += 1;
        self.disk.issue(0, OpId(self.op), request);
        OpId(self.op)
    }

    fn complete(&mut self, op: OpId) -> DiskResult {
        self.disk.complete(0, op, &self.pool, &mut self.rng)
    }

    fn result(&mut self, request: DiskRequest) -> DiskResult {
        let op = self.issue(request);
        self.complete(op)
    }

    fn run(&mut self, request: DiskRequest) -> DiskDone {
        self.result(request).expect("no fault was ordered")
    }

    fn write(&self, file: FileId, block: u64, blocks: usize, value: u8) -> DiskRequest {
        let buffer = self.pool.copy_of(&vec![value; blocks * BLOCK]);
        DiskRequest::Write { file, position: block * BLOCK as u64, buffer, through: false }
    }

    fn put_through(&mut self, block: u64, value: u8) {
        let mut request = self.write(FILE, block, 1, value);
        if let DiskRequest::Write { through, .. } = &mut request {
            *through = true;
        }
        self.run(request);
    }

    fn put(&mut self, block: u64, value: u8) {
        let request = self.write(FILE, block, 1, value);
        self.run(request);
    }

    fn sync(&mut self) {
        self.run(DiskRequest::Sync { file: FILE });
    }

    fn allocated(seed: u64, blocks: u64) -> Self {
        let mut bench = Self::new(seed);
        bench.run(DiskRequest::Allocate { file: FILE, bytes: blocks * BLOCK as u64 });
        bench.sync();
        bench
    }

    /// Power fails and comes back; the file is open again, when it is there.
    fn power_cut(&mut self) -> Option<u64> {
        self.disk.power_cut(&mut self.rng);
        match self.result(DiskRequest::Open { file: FILE, path: "f".into(), create: false }) {
            Ok(DiskDone::Opened { bytes }) => Some(bytes),
            _ => None,
        }
    }

    /// The first byte of each sector of a block.
    fn sectors(&mut self, block: u64) -> [u8; 8] {
        match self.run(DiskRequest::Read { file: FILE, position: block * BLOCK as u64, bytes: BLOCK }) {
            DiskDone::Read(buffer) => std::array::from_fn(|sector| buffer[sector * content::SECTOR]),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_synced_write_is_there_after_a_power_cut() {
    for seed in 0..64 {
        let mut bench = Bench::allocated(seed, 2);
        bench.put(1, 7);
        bench.sync();
        assert_eq!(bench.power_cut(), Some(2 * BLOCK as u64));
        assert_eq!((bench.sectors(0), bench.sectors(1)), ([0; 8], [7; 8]));
    }
}

#[test]
fn a_write_through_is_there_after_a_power_cut_whatever_it_lies_upon_and_covers_no_other() {
    let mut lost = 0;
    for seed in 0..64 {
        let mut bench = Bench::allocated(seed, 2);
        bench.put(0, 5);
        bench.put(1, 6);
        bench.put_through(1, 7);
        bench.power_cut();
        assert_eq!(bench.sectors(1), [7; 8]);
        lost += u32::from(bench.sectors(0) != [5; 8]);
    }
    assert!(lost > 10, "{lost}");
}

#[test]
fn an_unsynced_write_is_lost_kept_or_torn_at_512_bytes() {
    let (mut lost, mut kept, mut torn) = (0, 0, 0);
    for seed in 0..200 {
        let mut bench = Bench::allocated(seed, 1);
        bench.put(0, 7);
        bench.power_cut();
        match bench.sectors(0) {
            [0, 0, 0, 0, 0, 0, 0, 0] => lost += 1,
            [7, 7, 7, 7, 7, 7, 7, 7] => kept += 1,
            sectors => {
                assert!(sectors.iter().all(|value| *value == 0 || *value == 7));
                torn += 1;
            }
        }
    }
    assert!(lost > 20 && kept > 20 && torn > 20, "{lost} {kept} {torn}");
}

#[test]
fn writes_in_flight_over_one_another_land_in_any_order() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..200 {
        let mut bench = Bench::allocated(seed, 1);
        let (first, second) = (bench.write(FILE, 0, 1, 1), bench.write(FILE, 0, 1, 2));
        bench.issue(first);
        bench.issue(second);
        bench.power_cut();
        seen.insert(bench.sectors(0));
    }
    assert!(seen.contains(&[1; 8]) && seen.contains(&[2; 8]) && seen.contains(&[0; 8]));
}

#[test]
fn a_sync_covers_only_its_file() {
    let mut lost = 0;
    for seed in 0..100 {
        let mut bench = Bench::allocated(seed, 1);
        bench.run(DiskRequest::Open { file: FileId(2), path: "g".into(), create: true });
        bench.put(0, 7);
        bench.run(DiskRequest::Sync { file: FileId(2) });
        bench.power_cut();
        lost += u32::from(bench.sectors(0) == [0; 8]);
    }
    assert!(lost > 10);
}

#[test]
fn a_sync_covers_only_what_had_completed_when_it_was_issued() {
    let mut lost = 0;
    for seed in 0..100 {
        let mut bench = Bench::allocated(seed, 2);
        bench.put(0, 7);
        let late = bench.write(FILE, 1, 1, 8);
        let late = bench.issue(late);
        let sync = bench.issue(DiskRequest::Sync { file: FILE });
        bench.complete(late).expect("no fault");
        bench.complete(sync).expect("no fault");
        bench.power_cut();
        assert_eq!(bench.sectors(0), [7; 8]);
        lost += u32::from(bench.sectors(1) == [0; 8]);
    }
    assert!(lost > 10);
}

#[test]
fn an_unsynced_length_may_be_lost_and_a_synced_one_stays() {
    let mut lengths = std::collections::BTreeSet::new();
    for seed in 0..100 {
        let mut bench = Bench::allocated(seed, 4);
        bench.run(DiskRequest::Truncate { file: FILE, bytes: BLOCK as u64 });
        lengths.insert(bench.power_cut().expect("the name is durable"));
    }
    assert_eq!(lengths, [BLOCK as u64, 4 * BLOCK as u64].into());
}

#[test]
fn a_lost_cut_brings_back_what_it_cut() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..100 {
        let mut bench = Bench::allocated(seed, 1);
        bench.put(0, 7);
        bench.sync();
        bench.run(DiskRequest::Truncate { file: FILE, bytes: 0 });
        bench.run(DiskRequest::Allocate { file: FILE, bytes: BLOCK as u64 });
        assert_eq!(bench.sectors(0), [0; 8]);
        if bench.power_cut() == Some(BLOCK as u64) {
            seen.insert(bench.sectors(0));
        }
    }
    assert_eq!(seen, [[0; 8], [7; 8]].into());
}

#[test]
fn a_file_whose_name_was_not_synced_may_vanish() {
    let (mut there, mut gone) = (0, 0);
    for seed in 0..100 {
        let mut bench = Bench::new(seed);
        bench.run(DiskRequest::Remove { path: "f".into() });
        bench.run(DiskRequest::SyncDir { path: "".into() });
        bench.run(DiskRequest::Close { file: FILE });
        bench.run(DiskRequest::Open { file: FILE, path: "f".into(), create: true });
        bench.put(0, 7);
        bench.sync();
        if bench.power_cut().is_some() { there += 1 } else { gone += 1 }
    }
    assert!(there > 10 && gone > 10);
}

#[test]
fn a_removed_file_may_come_back_with_its_bytes() {
    let mut back = 0;
    for seed in 0..100 {
        let mut bench = Bench::allocated(seed, 1);
        bench.put(0, 7);
        bench.sync();
        bench.run(DiskRequest::Close { file: FILE });
        bench.run(DiskRequest::Remove { path: "f".into() });
        if bench.power_cut().is_some() {
            assert_eq!(bench.sectors(0), [7; 8]);
            back += 1;
        }
    }
    assert!(back > 10);
}

#[test]
fn a_kill_keeps_what_was_written_and_a_later_power_cut_may_take_it() {
    let mut lost = 0;
    for seed in 0..100 {
        let mut bench = Bench::allocated(seed, 1);
        bench.put(0, 7);
        bench.disk.kill(&mut bench.rng);
        bench.run(DiskRequest::Open { file: FILE, path: "f".into(), create: false });
        assert_eq!(bench.sectors(0), [7; 8]);
        bench.power_cut();
        lost += u32::from(bench.sectors(0) == [0; 8]);
    }
    assert!(lost > 10);
}

#[test]
fn after_a_failed_sync_no_later_one_makes_the_writes_durable() {
    let mut lost = 0;
    for seed in 0..100 {
        let mut bench = Bench::allocated(seed, 1);
        bench.put(0, 7);
        bench.disk.faults.arm(FaultKind::Sync, 0);
        let failed = bench.result(DiskRequest::Sync { file: FILE });
        assert_eq!(failed.expect_err("ordered").kind, DiskErrorKind::Io);
        bench.sync();
        bench.power_cut();
        lost += u32::from(bench.sectors(0) == [0; 8]);
    }
    assert!(lost > 10);
}

#[test]
fn a_failed_write_may_have_landed_in_part() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..100 {
        let mut bench = Bench::allocated(seed, 1);
        bench.disk.faults.arm(FaultKind::Write, 1);
        bench.put(0, 1);
        let second = bench.write(FILE, 0, 1, 2);
        assert_eq!(bench.result(second).expect_err("ordered").kind, DiskErrorKind::Io);
        assert_eq!(bench.disk.faults.take_struck(), [FaultKind::Write]);
        seen.insert(bench.sectors(0));
    }
    assert!(seen.len() > 10);
}

#[test]
fn an_unreadable_block_fails_until_it_is_written() {
    let mut bench = Bench::allocated(1, 2);
    bench.disk.file_mut("f").expect("there").make_unreadable(1);
    let read = |block: u64| DiskRequest::Read { file: FILE, position: block * BLOCK as u64, bytes: BLOCK };
    assert_eq!(bench.result(read(1)).expect_err("unreadable").kind, DiskErrorKind::Io);
    assert!(bench.result(read(0)).is_ok());
    bench.put(1, 3);
    assert_eq!(bench.sectors(1), [3; 8]);
    bench.disk.faults.arm(FaultKind::Read, 0);
    assert!(bench.result(read(0)).is_err() && bench.result(read(0)).is_ok());
}

#[test]
fn a_flipped_bit_shows_now_and_after_a_power_cut() {
    let mut bench = Bench::allocated(1, 1);
    bench.disk.file_mut("f").expect("there").flip(512, 3);
    assert_eq!(bench.sectors(0), [0, 8, 0, 0, 0, 0, 0, 0]);
    bench.power_cut();
    assert_eq!(bench.sectors(0), [0, 8, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn a_full_disk_refuses_to_grow_and_removing_makes_room() {
    let mut bench = Bench::allocated(1, 4);
    bench.disk.set_capacity(Some(5 * BLOCK as u64));
    bench.put(3, 1);
    bench.run(DiskRequest::Open { file: FileId(2), path: "g".into(), create: true });
    let grow = || DiskRequest::Allocate { file: FileId(2), bytes: 2 * BLOCK as u64 };
    assert_eq!(bench.result(grow()).expect_err("full").kind, DiskErrorKind::NoSpace);
    let extend = bench.write(FileId(2), 1, 1, 1);
    assert_eq!(bench.result(extend).expect_err("full").kind, DiskErrorKind::NoSpace);
    bench.run(DiskRequest::Close { file: FILE });
    bench.run(DiskRequest::Remove { path: "f".into() });
    bench.run(grow());
    assert_eq!(bench.disk.used_bytes(), 2 * BLOCK as u64);
}

#[test]
fn a_read_over_a_write_in_flight_sees_any_mixture() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..50 {
        let mut bench = Bench::allocated(seed, 1);
        let write = bench.write(FILE, 0, 1, 7);
        let write = bench.issue(write);
        seen.insert(bench.sectors(0));
        bench.complete(write).expect("no fault");
        assert_eq!(bench.sectors(0), [7; 8]);
    }
    assert!(seen.len() > 10);
}

#[test]
fn names_open_list_and_rename_as_the_seam_says() {
    let mut bench = Bench::new(1);
    let open = |create| DiskRequest::Open { file: FileId(2), path: "f".into(), create };
    assert_eq!(bench.result(open(true)).expect_err("there").kind, DiskErrorKind::Exists);
    let absent = DiskRequest::Open { file: FileId(2), path: "d/x".into(), create: true };
    assert_eq!(bench.result(absent).expect_err("no folder").kind, DiskErrorKind::NotFound);
    bench.run(DiskRequest::CreateDir { path: "d".into() });
    bench.run(DiskRequest::CreateDir { path: "d".into() });
    bench.run(DiskRequest::Rename { from: "f".into(), to: "d/x".into() });
    assert_eq!(bench.result(open(false)).expect_err("renamed").kind, DiskErrorKind::NotFound);
    match bench.run(DiskRequest::List { path: "d".into() }) {
        DiskDone::Listed(entries) => {
            assert_eq!(entries, [DirEntry { name: "x".into(), bytes: 0, is_dir: false }]);
        }
        other => panic!("{other:?}"),
    }
    assert!(bench.result(DiskRequest::List { path: "e".into() }).is_err());
}

#[test]
#[should_panic(expected = "no multiple")]
fn an_unaligned_read_is_a_bug() {
    let mut bench = Bench::allocated(1, 1);
    bench.issue(DiskRequest::Read { file: FILE, position: 0, bytes: 100 });
}

#[test]
#[should_panic(expected = "is closed with")]
fn closing_a_busy_file_is_a_bug() {
    let mut bench = Bench::allocated(1, 1);
    let write = bench.write(FILE, 0, 1, 1);
    bench.issue(write);
    bench.issue(DiskRequest::Close { file: FILE });
}
