//! Runs written and read again: every look-up against a walk over what was written, every flipped bit found.

use super::*;
use crate::batch::{BatchBuilder, NewRecord};
use crate::disk::BufferPool;
use crate::ids::{ClusterId, Index, JournalId};
use crate::rewrite::check::{RunFault, check_run};
use crate::rewrite::run_writer::{RunWriter, whole_file};
use crate::rewrite::{check_chunk, span_of};
use futures_lite::future::block_on;
use proptest::prelude::*;

const IDENTITY: JournalIdentity =
    JournalIdentity { cluster: ClusterId(8), journal: JournalId(2), secret: 0xfeed };
const RUN: RunId = RunId(3);

/// Offset, records, time and bytes of a batch.
type Made = (i64, u32, i64, usize);

fn batch(&(base, records, time, bytes): &Made) -> Vec<u8> {
    let mut builder = BatchBuilder::new(time);
    builder.base_offset(base);
    for at in 0..records {
        builder.push(NewRecord::value(&vec![at as u8; bytes]));
    }
    builder.build()
}

fn run_of(partitions: &[(u64, Vec<Made>)]) -> Vec<u8> {
    let inputs = vec![RunInput::Segment { base: Index(1), last: Index(69) }, RunInput::Run(RunId(2))];
    let plan = RunPlan { run: RUN, applied: Index(70), rule: RewriteRule::Copy, inputs };
    let mut writer = RunWriter::new(IDENTITY, plan, BufferPool::new(1 << 20));
    for (partition, batches) in partitions {
        let end = batches.last().map_or(0, |(base, records, ..)| base + i64::from(*records)) + 3;
        writer.begin(PartitionId(*partition), Offset(0)..Offset(end));
        batches.iter().for_each(|made| writer.push(&batch(made), made.2));
        writer.end();
    }
    writer.finish();
    whole_file(&mut writer)
}

fn partitions() -> impl Strategy<Value = Vec<(u64, Vec<Made>)>> {
    let made = (0i64..4, 1u32..4, 0i64..1_000, prop_oneof![4 => 0usize..300, 1 => 0usize..40_000]);
    let batches = proptest::collection::vec(made, 0..20).prop_map(|steps| {
        let mut next = 0;
        let place = |(gap, records, time, bytes): Made| {
            let base = next + gap;
            next = base + i64::from(records);
            (base, records, time, bytes)
        };
        steps.into_iter().map(place).collect::<Vec<_>>()
    });
    proptest::collection::btree_map(0u64..200, batches, 0..120).prop_map(|map| map.into_iter().collect())
}

fn ends(made: &Made) -> i64 {
    made.0 + i64::from(made.1)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn every_look_up_finds_what_a_walk_finds(
        partitions in partitions(),
        wanted in 0u64..200,
        offset in 0i64..80,
        time in 0i64..1_000,
    ) {
        let file = run_of(&partitions);
        prop_assert_eq!(check_run(&file, &IDENTITY, RUN), Ok(()));
        let (head, index) = RunIndex::open_whole(&file, IDENTITY, RUN).unwrap();
        prop_assert_eq!(head.applied.get(), 70);
        prop_assert_eq!(block_on(index.inputs()).unwrap().len(), 2);
        prop_assert_eq!(block_on(index.partitions(0, u32::MAX)).unwrap().len(), partitions.len());
        for (partition, batches) in &partitions {
            let row = block_on(index.partition(PartitionId(*partition))).unwrap().unwrap();
            prop_assert_eq!(row.batches.get() as usize, batches.len());
        }
        let known = partitions.iter().find(|(partition, _)| *partition == wanted);
        let batches = known.map_or(&[][..], |(_, batches)| batches);
        let expected: Vec<Vec<u8>> =
            batches.iter().filter(|made| ends(made) > offset).map(batch).collect();
        let chunks = block_on(index.chunks_from(PartitionId(wanted), Offset(offset), 1_000)).unwrap();
        let mut found = Vec::new();
        let mut rest = &chunks[..];
        while let Some((span, count)) = span_of(rest, 100_000) {
            let bytes = &file[span.position as usize..][..span.bytes];
            for chunk in &rest[..count] {
                let bytes = &bytes[(chunk.position - span.position) as usize..][..chunk.bytes as usize];
                let ranges = check_chunk(&IDENTITY, chunk, bytes).unwrap();
                found.extend(ranges.into_iter().map(|range| bytes[range].to_vec()));
            }
            rest = &rest[count..];
        }
        // The first chunk may begin with batches that end before.
        let skipped = found.len() - expected.len();
        prop_assert_eq!(&found[skipped..], &expected[..]);
        prop_assert!(chunks.first().is_none_or(|chunk| chunk.next_offset.0 > offset));
        let at_time = block_on(index.first_at_time(PartitionId(wanted), time)).unwrap();
        let first = batches.iter().find(|made| made.2 >= time);
        prop_assert_eq!(at_time.is_some(), first.is_some());
        if let (Some(chunk), Some(made)) = (at_time, first) {
            prop_assert!(chunk.first_offset.0 <= made.0 && made.0 < chunk.next_offset.0);
        }
    }

    #[test]
    fn a_flipped_bit_is_always_found(
        partitions in partitions(),
        at in any::<prop::sample::Index>(),
        bit in 0u8..8,
    ) {
        let mut file = run_of(&partitions);
        let at = at.index(file.len());
        file[at] ^= 1 << bit;
        prop_assert!(check_run(&file, &IDENTITY, RUN).is_err(), "byte {at}");
    }
}

#[test]
fn every_byte_of_a_small_run_counts() {
    let file = run_of(&[(1, vec![(0, 1, 5, 20), (4, 2, 6, 20)]), (7, vec![])]);
    assert_eq!(check_run(&file, &IDENTITY, RUN), Ok(()));
    for at in 0..file.len() {
        let mut bad = file.clone();
        bad[at] ^= 1;
        assert!(check_run(&bad, &IDENTITY, RUN).is_err(), "byte {at}");
    }
    assert!(check_run(&file[..file.len() - BLOCK], &IDENTITY, RUN).is_err());
    assert!(check_run(&file, &IDENTITY, RunId(4)).is_err(), "another run's");
    let mut padded = file.clone();
    padded[BLOCK + 1_000] = 1;
    let fault = check_run(&padded, &IDENTITY, RUN).unwrap_err();
    assert_eq!(
        fault,
        RunFault { partition: None, fault: FormatFault::Value { position: BLOCK as u64 + 1_000 } }
    );
    padded = file;
    padded[BLOCK + 30] ^= 1;
    assert_eq!(check_run(&padded, &IDENTITY, RUN).unwrap_err().partition, Some(PartitionId(1)));
}

#[test]
fn thousands_of_partitions_are_found_through_the_fences() {
    let partitions: Vec<_> = (0..3_000u64).map(|at| (2 * at, vec![(0, 1, at as i64, 10)])).collect();
    let file = run_of(&partitions);
    let (_, index) = RunIndex::open_whole(&file, IDENTITY, RUN).unwrap();
    for at in [0, 1, 45, 46, 47, 2_000, 2_999] {
        let row = block_on(index.partition(PartitionId(2 * at))).unwrap();
        assert_eq!(row.map(|row| row.max_timestamp.get()), Some(at as i64));
        assert_eq!(block_on(index.partition(PartitionId(2 * at + 1))).unwrap(), None);
        let chunks = block_on(index.chunks_from(PartitionId(2 * at), Offset(0), 9)).unwrap();
        assert_eq!(chunks.len(), 1);
        assert_eq!(chunks[0].partition, PartitionId(2 * at));
    }
}
