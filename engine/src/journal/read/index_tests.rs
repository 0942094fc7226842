//! The sealed file answers every look-up as the index in memory does, and both as a plain list.

use crate::disk::BLOCK;
use crate::disk::io::Io;
use crate::journal::read::block_cache::BlockCache;
use crate::journal::read::index::*;
use crate::journal::read::samples::{IDENTITY, descriptor, header, on_files};
use crate::journal::read::sealed_index::{IndexError, SealedIndex};

const BASE: Index = Index(100);

/// `entries` entries with batches of some of `partitions`, timestamps going up and down.
fn index_of(entries: u64, partitions: u64) -> ActiveIndex {
    let mut index = ActiveIndex::new(BASE);
    let mut next = vec![10i64; partitions as usize];
    for number in 0..entries {
        let mut descriptors = Vec::new();
        for batch in 0..number % 7 {
            let partition = (number * 13 + batch * batch) % partitions;
            let time = 1000 + (number as i64 * 37) % 400 + number as i64;
            let offset = &mut next[partition as usize];
            descriptors.push(descriptor(partition, *offset, 5 + (number / 900) as i32, time));
            // Now and then an accepted loss leaves a gap.
            *offset += if number % 50 == 49 { 13 } else { 3 };
        }
        index.append(&header(BASE, index.last().next(), number * 8192, descriptors.len()), &descriptors);
    }
    index
}

/// Runs a procedure against one file's bytes.
fn on_file<T: 'static>(bytes: &[u8], procedure: impl AsyncFn(Io) -> T + 'static) -> T {
    on_files([("x.idx".to_owned(), bytes.to_vec())].into(), procedure)
}

fn facts_of(index: &ActiveIndex) -> Vec<PartitionFacts> {
    let facts = |summary: PartitionSummary| PartitionFacts {
        partition: summary.partition,
        first_offset: summary.first_offset,
        next_offset: summary.next_offset,
        max_timestamp: summary.max_timestamp,
        batch_bytes: summary.batch_bytes,
    };
    index.partitions().into_iter().map(facts).collect()
}

async fn open(io: Io) -> Result<SealedIndex, IndexError> {
    SealedIndex::open(io, BlockCache::new(0), "x.idx".to_owned(), IDENTITY, BASE).await
}

#[test]
fn the_sealed_file_answers_as_the_index_in_memory() {
    for (entries, partitions) in [(1, 1), (40, 3), (3000, 1), (3000, 700)] {
        let active = index_of(entries, partitions);
        let file = active.encode_sealed(&IDENTITY);
        on_file(&file.clone(), async move |io| {
            let sealed = open(io).await.expect("a good file");
            assert_eq!((sealed.last(), sealed.totals()), (active.last(), active.totals()));
            assert_eq!(sealed.facts_from(0, u32::MAX).await, Ok(facts_of(&active)));
            assert_eq!(
                sealed.facts_from(1, 1).await,
                Ok(facts_of(&active).into_iter().skip(1).take(1).collect())
            );
            for index in (BASE.0 - 2..=active.last().0 + 2).step_by(7) {
                assert_eq!(sealed.entry(Index(index)).await, Ok(active.entry(Index(index))));
            }
            for partition in (0..partitions + 1).step_by(1 + partitions as usize / 20).map(PartitionId) {
                assert_eq!(sealed.partition(partition).await, Ok(active.partition(partition)));
                let end = active.partition(partition).map_or(0, |summary| summary.next_offset.0);
                for offset in (0..end + 3).step_by(1 + end as usize / 100).map(Offset) {
                    let items: Vec<Item> = active.items_from(partition, offset).take(100).collect();
                    assert_eq!(sealed.items_from(partition, offset, 100).await, Ok(items));
                    assert_eq!(sealed.find(partition, offset).await, Ok(active.find(partition, offset)));
                }
                for time in (990..5000).step_by(97) {
                    let expected = active.first_at_time(partition, time);
                    assert_eq!(sealed.first_at_time(partition, time).await, Ok(expected));
                }
            }
        });
    }
}

#[test]
fn an_item_holds_its_offset_and_its_time() {
    let index = index_of(500, 5);
    let partition = PartitionId(3);
    let items: Vec<Item> = index.items_from(partition, Offset(0)).collect();
    assert!(items.len() > 50);
    for pair in items.windows(2) {
        assert_eq!(index.find(partition, pair[0].first_offset), Some(pair[0]));
        let before = index.find(partition, Offset(pair[1].first_offset.0 - 1));
        let gap = pair[0].entry.0 % 50 == 49;
        assert!(before == Some(pair[0]) || gap && before == Some(pair[1]));
        let later = pair[1].max_timestamp > pair[0].max_timestamp;
        let found = index.first_at_time(partition, pair[1].max_timestamp);
        assert_eq!(found.map(|item| item.entry) == Some(pair[1].entry), later);
    }
    let end = index.partition(partition).expect("there").next_offset;
    assert_eq!(index.find(partition, end), None);
    assert_eq!(index.find(PartitionId(99), Offset(0)), None);
}

#[test]
fn a_cut_index_is_as_if_the_rest_had_never_come() {
    for keep in [0, 1, 6, 899, 901, 950] {
        let (mut cut, shorter) = (index_of(1000, 9), index_of(keep, 9));
        cut.truncate_from(Index(BASE.0 + keep));
        assert_eq!(cut.last(), shorter.last());
        assert_eq!(cut.totals(), shorter.totals());
        assert_eq!(cut.partitions(), shorter.partitions());
        if keep > 0 {
            assert_eq!(cut.encode_sealed(&IDENTITY), shorter.encode_sealed(&IDENTITY));
        }
    }
}

#[test]
fn a_flip_in_any_block_is_a_typed_error() {
    let active = index_of(300, 40);
    let good = active.encode_sealed(&IDENTITY);
    assert!(good.len() / BLOCK >= 6);
    let expected = active.partitions();
    let facts = facts_of(&active);
    for position in (0..good.len()).step_by(211) {
        let mut bad = good.clone();
        bad[position] ^= 1;
        let (expected, facts) = (expected.clone(), facts.clone());
        let last = active.last();
        let fails = on_file(&bad, async move |io| {
            let Ok(sealed) = open(io).await else { return true };
            let mut fails = sealed.facts_from(0, u32::MAX).await != Ok(facts.clone());
            for index in BASE.0..=last.0 {
                fails |= sealed.entry(Index(index)).await.is_err();
            }
            for summary in &expected {
                fails |= sealed.partition(summary.partition).await != Ok(Some(summary.clone()));
                fails |= sealed.items_from(summary.partition, Offset(0), 1000).await.is_err();
                fails |= sealed.find(summary.partition, Offset(summary.next_offset.0 - 1)).await.is_err();
            }
            fails
        });
        // One fence block of one row is never asked for: a partition's items begin in it.
        assert!(fails || position / BLOCK == 4, "byte {position}, block {}", position / BLOCK);
    }
}

#[test]
fn a_file_of_another_segment_or_length_is_refused() {
    let good = index_of(10, 2).encode_sealed(&IDENTITY);
    let other = on_file(&good, async |io| {
        let opened = SealedIndex::open(io, BlockCache::new(0), "x.idx".to_owned(), IDENTITY, Index(1)).await;
        opened.err()
    });
    assert!(matches!(other, Some(IndexError::Format(error)) if error.to_string().contains("x.idx")));
    let short = on_file(&good[..good.len() - BLOCK], async |io| open(io).await.err());
    assert!(matches!(short, Some(IndexError::Format(_))));
}
