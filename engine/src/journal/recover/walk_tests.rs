//! Walks over segments in memory, and what is judged of them.

use super::scan::Scanner;
use super::walk::{Cut, Walk, Walked, cursor_after};
use crate::disk::memory::MemoryDisk;
use crate::disk::{BLOCK, BufferPool, DiskError};
use crate::entry::EntryKind;
use crate::entry::builder::{Stamp, head_only};
use crate::entry::reader::Link;
use crate::ids::{ClusterId, Index, JournalId, JournalIdentity, Term};
use crate::journal::format::hard_state::SyncedBound;

const IDENTITY: JournalIdentity = JournalIdentity { cluster: ClusterId(1), journal: JournalId(2), secret: 3 };
const BEGIN: Link = Link { index: Index(0), term: Term(0), checksum: 0 };

/// A segment of so many term starts, each a block; the last one knew `commit`.
fn segment(entries: u64, commit: u64) -> Vec<u8> {
    let (mut all, mut previous_checksum) = (Vec::new(), 0);
    for index in 1..=entries {
        let stamp = Stamp {
            cluster: IDENTITY.cluster,
            journal: IDENTITY.journal,
            secret: IDENTITY.secret,
            term: Term(1),
            index: Index(index),
            segment_base: Index(1),
            position: (index - 1) * BLOCK as u64,
            commit: Index(if index == entries { commit } else { 0 }),
            wall_ms: 0,
            previous_checksum,
        };
        let entry = head_only(&BufferPool::new(0), EntryKind::TermStart, 0, &[], &stamp);
        previous_checksum = entry.header().checksum.get();
        all.extend_from_slice(&entry.pieces()[0]);
    }
    all.resize(all.len() + 4 * BLOCK, 0);
    all
}

fn walk(bytes: Vec<u8>) -> Walk {
    let mut disk = MemoryDisk::new();
    let (io, pool) = (disk.io.clone(), disk.pool.clone());
    let walked = disk.run(async move {
        let file = io.create("s").await?;
        io.write(file, 0, pool.copy_of(&bytes)).await?;
        let bytes = bytes.len() as u64;
        let mut walk = Walk::new(IDENTITY, BEGIN, Index(0));
        let mut scanner = Scanner::new(io, pool, file, bytes);
        walk.segment(&mut scanner, Walked::new(Index(1), file, bytes)).await?;
        Ok::<_, DiskError>(walk)
    });
    walked.expect("the disk reads all")
}

fn bound(index: u64) -> SyncedBound {
    SyncedBound { index: Index(index), term: Term(1), checksum: 0 }
}

fn cut(first: u64) -> Cut {
    Cut { segment: 0, position: (first - 1) * BLOCK as u64, first: Index(first) }
}

#[test]
fn a_whole_log_is_clean_and_tells_what_its_last_head_knew() {
    let walk = walk(segment(5, 3));
    assert_eq!((walk.last().index, walk.commit, walk.heads.len()), (Index(5), Index(3), 5));
    assert!(walk.verdict(Index(0), bound(5)).is_clean());
    assert_eq!(walk.end(), cut(6));
    let cursor = cursor_after(&walk.segments[0].index, &walk.last());
    assert_eq!((cursor.next, cursor.position), (Index(6), 5 * BLOCK as u64));
}

#[test]
fn a_bad_entry_is_damage_at_or_below_a_bound_and_the_end_above_all() {
    let mut bytes = segment(5, 0);
    bytes[2 * BLOCK + 50] ^= 1;
    let mut walk = walk(bytes);
    assert_eq!((walk.last().index, walk.bad.len()), (Index(5), 1), "it goes on behind the third");
    let below = walk.verdict(Index(3), bound(0));
    assert_eq!((below.damage.len(), below.cut), (1, None));
    let above = walk.verdict(Index(0), bound(2));
    assert_eq!((above.damage.len(), above.cut), (0, Some(cut(3))));
    let before = walk.link_at(Index(2)).expect("the second is whole");
    walk.truncate(cut(3), before);
    assert_eq!((walk.last(), walk.heads.len(), walk.end()), (before, 2, cut(3)));
}

#[test]
fn what_is_missing_below_a_bound_is_lost_and_its_place_stays() {
    let mut walk = walk(segment(3, 0));
    let verdict = walk.verdict(Index(0), bound(5));
    assert!(verdict.missing && verdict.cut.is_none());
    walk.lose_end(verdict.bound, 7);
    assert_eq!((walk.last().index, walk.last().checksum, walk.heads.len()), (Index(5), 7, 5));
    assert!(walk.heads[3].known().is_none(), "nothing is known of it");
    walk.lose_one(Index(2), Term(1));
    assert!(walk.heads[1].known().is_none(), "another entry stands in its place");
}
