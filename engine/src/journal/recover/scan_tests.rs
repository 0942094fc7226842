//! Segments read from a disk in memory, whole and with bits turned over.

use super::scan::{Scanned, Scanner};
use crate::disk::memory::MemoryDisk;
use crate::disk::{BLOCK, DiskError};
use crate::entry::reader::{Expect, Link};
use crate::entry::samples::entry;
use crate::ids::{ClusterId, Index, JournalId, JournalIdentity, Term};

const IDENTITY: JournalIdentity = JournalIdentity { cluster: ClusterId(1), journal: JournalId(2), secret: 3 };
const VALUE_BYTES: usize = 5000;

/// A segment of three entries, and where each begins.
fn segment() -> (Vec<u8>, [u64; 3]) {
    let bytes = entry(1, 1, 0, VALUE_BYTES).len() as u64;
    let places = [0, bytes, 2 * bytes];
    let mut all = Vec::new();
    for (at, position) in places.iter().enumerate() {
        let entry = entry(at as u64 + 1, 1, *position, VALUE_BYTES);
        entry.pieces().iter().for_each(|piece| all.extend_from_slice(piece));
    }
    all.resize(all.len() + 4 * BLOCK, 0);
    (all, places)
}

fn expect(position: u64) -> Expect {
    Expect { identity: IDENTITY, segment_base: Index(1), position }
}

/// What stands at each place, and where the next head behind the second entry's first block is.
fn scan(bytes: Vec<u8>, places: [u64; 3]) -> Result<(Vec<String>, Option<u64>, u64), DiskError> {
    let mut disk = MemoryDisk::new();
    let (io, pool) = (disk.io.clone(), disk.pool.clone());
    disk.run(async move {
        let file = io.create("s").await?;
        io.write(file, 0, pool.copy_of(&bytes)).await?;
        let mut scanner = Scanner::new(io, pool, file, bytes.len() as u64);
        let mut found = Vec::new();
        for position in places.into_iter().chain([bytes.len() as u64]) {
            found.push(match scanner.entry(&expect(position)).await? {
                Scanned::Whole(entry) => format!("whole {}", entry.header().index()),
                Scanned::BadBody(entry, _) => format!("bad body {}", entry.header().index()),
                Scanned::BadHead(_) => "bad head".to_owned(),
                Scanned::End => "end".to_owned(),
            });
        }
        let before = Link { index: Index(1), term: Term(1), checksum: 0 };
        let next = scanner.next_head(expect(places[1] + BLOCK as u64), &before).await?;
        Ok((found, next.map(|(position, _)| position), scanner.content_end()))
    })
}

#[test]
fn a_whole_segment_is_its_entries() {
    let (bytes, places) = segment();
    let content_end = bytes.len() as u64 - 4 * BLOCK as u64;
    let (found, next, end) = scan(bytes, places).expect("the disk reads all");
    assert_eq!(found, ["whole 1", "whole 2", "whole 3", "end"]);
    assert_eq!((next, end <= content_end), (Some(places[2]), true));
}

#[test]
fn a_bit_in_a_body_and_one_in_a_head_are_told_apart_and_the_next_head_is_found() {
    let (mut bytes, places) = segment();
    bytes[places[0] as usize + BLOCK + 5] ^= 1;
    bytes[places[1] as usize + 50] ^= 1;
    let (found, next, _) = scan(bytes, places).expect("the disk reads all");
    assert_eq!(found, ["bad body 1", "bad head", "whole 3", "end"]);
    assert_eq!(next, Some(places[2]));
}

#[test]
fn an_entry_that_the_file_cuts_short_is_a_bad_head_and_nothing_follows() {
    let (mut bytes, places) = segment();
    bytes.truncate(places[2] as usize + BLOCK);
    let (found, next, _) = scan(bytes, places).expect("the disk reads all");
    assert_eq!(found[2], "bad head");
    assert_eq!(next, Some(places[2]), "its head is whole all the same");
}
