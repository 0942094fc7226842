//! `hard-state`: the term, the vote and the bounds that recovery judges by.
//!
//! ```text
//! block 0            1                2                3
//! | even gen, copy 0 | even, copy 1   | odd, copy 0    | odd, copy 1 |
//! ```
//! Generation g goes to slot g mod 2, both copies in one write of two blocks. While one slot is
//! being written the other holds the generation before; a rotten block leaves its twin, so that
//! it never brings back an older vote. Version 1 ends before `opened`; it is read, and never
//! written any more.

use super::doubt_record::{Doubt, Hidden, Place};
use crate::disk::BLOCK;
use crate::entry::reader::Link;
use crate::framing::{FRAME_BYTES, FormatError, FormatFault, FrameKind};
use crate::ids::{Index, JournalIdentity, LogEnd, RaftId, Term};
use zerocopy::little_endian::{U32, U64, U128};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

pub const HARD_STATE_BYTES: usize = 4 * BLOCK;
pub const HARD_STATE_KIND: FrameKind = FrameKind { magic: *b"DURAMENH", version: 2 };

/// What a replica must not forget.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HardState {
    /// Counts writes, from 1.
    pub generation: u64,
    pub term: Term,
    /// Whom this replica voted for in `term`; 0 is nobody.
    pub vote: RaftId,
    /// A commit index known here, written lazily.
    pub commit: Index,
    pub synced: SyncedBound,
    /// The node's start in which its register last let this replica vote; 0 is none.
    pub opened: u64,
    /// What may have been acknowledged here and is not there any more.
    pub doubt: Option<Doubt>,
}

/// An entry that is known to have been synced here; index 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SyncedBound {
    pub index: Index,
    pub term: Term,
    /// The header checksum of that entry.
    pub checksum: u32,
}

/// The body of each block.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct HardStateBody {
    pub cluster: U128,
    pub journal: U64,
    pub generation: U64,
    pub term: U64,
    pub vote: U64,
    pub commit: U64,
    pub synced_index: U64,
    pub synced_term: U64,
    pub synced_checksum: U32,
    /// Zero.
    pub reserved: U32,
    /// From here on: version 2.
    pub opened: U64,
    pub good_index: U64,
    pub good_term: U64,
    pub good_checksum: U32,
    /// 1: something may have been acknowledged and is not there any more; 0: all below is zero.
    pub in_doubt: U32,
    pub end_index: U64,
    pub end_term: U64,
    pub first_term: U64,
    pub first_checksum: U32,
    /// Zero.
    pub reserved_2: U32,
    pub segment: U64,
    pub position: U64,
    pub bytes: U64,
}

// A sector is written whole or not at all: no write that is cut short leaves a bad copy.
const _: () = assert!(FRAME_BYTES + size_of::<HardStateBody>() <= 512);

/// What [`HardStateBody`] had in version 1.
const BODY_BYTES_1: usize = core::mem::offset_of!(HardStateBody, opened);

/// What the file says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HardStateRead {
    /// `None` when nothing was ever written, or all that was is bad (`bad_copies` tells).
    pub newest: Option<HardState>,
    pub bad_copies: u32,
    /// Both copies of one generation are bad: it may have been newer than `newest`. A write that was cut short
    /// does not look like that, since all that differs lies in the first 512 bytes of a block.
    pub hides_a_generation: bool,
}

impl HardStateRead {
    /// Something was written and all of it is lost.
    pub fn is_amnesia(&self) -> bool {
        self.newest.is_none() && self.bad_copies > 0
    }

    /// A vote may have been given that is not known any more.
    pub fn may_forget_a_vote(&self) -> bool {
        self.newest.is_none() || self.hides_a_generation
    }
}

impl HardState {
    /// One copy.
    pub fn encode_block(&self, identity: &JournalIdentity) -> [u8; BLOCK] {
        assert!(self.generation > 0, "generations count from 1");
        let doubt = self.doubt.unwrap_or_default();
        let body = HardStateBody {
            cluster: identity.cluster.0.into(),
            journal: identity.journal.0.into(),
            generation: self.generation.into(),
            term: self.term.0.into(),
            vote: self.vote.0.into(),
            commit: self.commit.0.into(),
            synced_index: self.synced.index.0.into(),
            synced_term: self.synced.term.0.into(),
            synced_checksum: self.synced.checksum.into(),
            reserved: 0.into(),
            opened: self.opened.into(),
            good_index: doubt.good.index.0.into(),
            good_term: doubt.good.term.0.into(),
            good_checksum: doubt.good.checksum.into(),
            in_doubt: u32::from(self.doubt.is_some()).into(),
            end_index: doubt.end.index.0.into(),
            end_term: doubt.end.term.0.into(),
            first_term: doubt.first.term.0.into(),
            first_checksum: doubt.first.checksum.into(),
            reserved_2: 0.into(),
            segment: doubt.place.segment.0.into(),
            position: doubt.place.position.into(),
            bytes: doubt.place.bytes.into(),
        };
        HARD_STATE_KIND.encode(identity.secret, body.as_bytes())
    }

    /// Both copies, and where in the file they go.
    pub fn encode_slot(&self, identity: &JournalIdentity) -> (u64, [u8; 2 * BLOCK]) {
        let mut slot = [0; 2 * BLOCK];
        let block = self.encode_block(identity);
        slot[..BLOCK].copy_from_slice(&block);
        slot[BLOCK..].copy_from_slice(&block);
        (self.generation % 2 * slot.len() as u64, slot)
    }

    /// The newest state in the file's bytes. Fails only for a newer format version.
    pub fn read(file: &str, bytes: &[u8], identity: &JournalIdentity) -> Result<HardStateRead, FormatError> {
        let mut read = HardStateRead::default();
        let (mut unwritten, mut bad) = ([0; 2], [0; 2]);
        let block = |number: usize| bytes.get(number * BLOCK..(number + 1) * BLOCK).unwrap_or_default();
        for number in 0..HARD_STATE_BYTES / BLOCK {
            let slot = number / 2;
            if block(number).iter().all(|byte| *byte == 0) {
                unwritten[slot] += 1;
                continue;
            }
            match Self::decode_block(block(number), identity) {
                Ok(state) if state.generation % 2 == slot as u64 => {
                    let newer = read.newest.is_none_or(|newest| newest.generation < state.generation);
                    read.newest = if newer { Some(state) } else { read.newest };
                }
                Err(fault @ FormatFault::Newer { .. }) => return Err(fault.of(file)),
                Ok(_) | Err(_) => bad[slot] += 1,
            }
        }
        read.bad_copies = bad.iter().sum();
        read.hides_a_generation = bad.contains(&2);
        let written = (0..HARD_STATE_BYTES / BLOCK).map(block).filter(|block| block.iter().any(|b| *b != 0));
        if let (None, Some(found)) = (read.newest, HARD_STATE_KIND.newer_in(written)) {
            return Err(FormatFault::Newer { found, known: HARD_STATE_KIND.version }.of(file));
        }
        read.bad_copies += wiped_copies(&read, unwritten);
        read.hides_a_generation |=
            unwritten.contains(&2) && read.newest.is_some_and(|newest| newest.generation > 1);
        Ok(read)
    }

    fn decode_block(block: &[u8], identity: &JournalIdentity) -> Result<Self, FormatFault> {
        let body = HARD_STATE_KIND.decode(identity.secret, block)?;
        let body = body_of(body).ok_or(FormatFault::Value { position: 24 })?;
        if body.cluster.get() != identity.cluster.0 || body.journal.get() != identity.journal.0 {
            return Err(FormatFault::Foreign { position: 24 });
        }
        Ok(Self {
            generation: body.generation.get(),
            term: Term(body.term.get()),
            vote: RaftId(body.vote.get()),
            commit: Index(body.commit.get()),
            synced: SyncedBound {
                index: Index(body.synced_index.get()),
                term: Term(body.synced_term.get()),
                checksum: body.synced_checksum.get(),
            },
            opened: body.opened.get(),
            doubt: body.doubt(),
        })
    }
}

/// The body of either version; what version 1 did not have is zero.
fn body_of(bytes: &[u8]) -> Option<HardStateBody> {
    let mut whole = [0; size_of::<HardStateBody>()];
    let known = bytes.len().min(whole.len());
    whole[..known].copy_from_slice(&bytes[..known]);
    (known >= BODY_BYTES_1).then(|| zerocopy::transmute!(whole))
}

impl HardStateBody {
    fn doubt(&self) -> Option<Doubt> {
        let doubt = Doubt {
            good: Link {
                index: Index(self.good_index.get()),
                term: Term(self.good_term.get()),
                checksum: self.good_checksum.get(),
            },
            end: LogEnd { term: Term(self.end_term.get()), index: Index(self.end_index.get()) },
            first: Hidden { term: Term(self.first_term.get()), checksum: self.first_checksum.get() },
            place: Place {
                segment: Index(self.segment.get()),
                position: self.position.get(),
                bytes: self.bytes.get(),
            },
        };
        (self.in_doubt.get() != 0).then_some(doubt)
    }
}

/// Zero blocks that cannot be honest: a slot is unwritten only before its first generation, so
/// generation 1 explains an even slot of zeros and nothing else does.
fn wiped_copies(read: &HardStateRead, unwritten: [u32; 2]) -> u32 {
    match read.newest {
        Some(newest) if newest.generation == 1 => unwritten[1],
        Some(_) => unwritten[0] + unwritten[1],
        None if read.bad_copies > 0 => unwritten.iter().filter(|blocks| **blocks == 1).sum(),
        None => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{ClusterId, JournalId};

    const IDENTITY: JournalIdentity =
        JournalIdentity { cluster: ClusterId(8), journal: JournalId(2), secret: 0xfeed };

    fn state(generation: u64) -> HardState {
        HardState {
            generation,
            term: Term(generation + 1),
            vote: RaftId(1),
            commit: Index(4),
            synced: SyncedBound { index: Index(4), term: Term(2), checksum: 77 },
            opened: 9,
            doubt: Some(Doubt {
                good: Link { index: Index(4), term: Term(2), checksum: 77 },
                end: LogEnd { term: Term(generation), index: Index(6) },
                first: Hidden { term: Term(2), checksum: 78 },
                place: Place { segment: Index(1), position: 8192, bytes: 4096 },
            }),
        }
    }

    fn file(generations: &[u64]) -> Vec<u8> {
        let mut file = vec![0; HARD_STATE_BYTES];
        for generation in generations {
            let (position, slot) = state(*generation).encode_slot(&IDENTITY);
            file[position as usize..][..slot.len()].copy_from_slice(&slot);
        }
        file
    }

    fn read(bytes: &[u8]) -> HardStateRead {
        HardState::read("hard-state", bytes, &IDENTITY).expect("this version")
    }

    #[test]
    fn the_newest_generation_counts() {
        assert_eq!(read(&file(&[])), HardStateRead::default());
        assert_eq!(read(&[]), HardStateRead::default());
        for last in 1..6 {
            let generations: Vec<u64> = (1..=last).collect();
            let expected = HardStateRead { newest: Some(state(last)), ..HardStateRead::default() };
            assert_eq!(read(&file(&generations)), expected);
        }
    }

    #[test]
    fn no_rotten_byte_brings_back_an_older_vote() {
        let good = file(&[4, 5]);
        for position in 0..good.len() {
            let mut bad = good.clone();
            bad[position] ^= 0x10;
            let expected =
                HardStateRead { newest: Some(state(5)), bad_copies: 1, ..HardStateRead::default() };
            assert_eq!(read(&bad), expected, "byte {position}");
        }
        let mut wiped = good.clone();
        wiped[2 * BLOCK..3 * BLOCK].fill(0);
        assert_eq!(
            read(&wiped),
            HardStateRead { newest: Some(state(5)), bad_copies: 1, ..HardStateRead::default() }
        );
    }

    #[test]
    fn a_generation_that_is_bad_in_both_copies_may_have_been_the_newest() {
        for slot in [0, 1] {
            for spoil in [|bytes: &mut [u8]| bytes[30] ^= 1, |bytes: &mut [u8]| bytes.fill(0)] {
                let mut bad = file(&[4, 5]);
                bad[2 * slot * BLOCK..].chunks_exact_mut(BLOCK).take(2).for_each(spoil);
                let expected = if slot == 0 { state(5) } else { state(4) };
                assert_eq!((read(&bad).newest, read(&bad).bad_copies), (Some(expected), 2));
                assert!(read(&bad).may_forget_a_vote(), "slot {slot}");
            }
        }
        assert!(!read(&file(&[1])).may_forget_a_vote(), "the other slot was never written");
    }

    #[test]
    fn all_bad_is_amnesia_and_foreign_is_bad() {
        let mut bad = file(&[1]);
        bad[2 * BLOCK + 30] ^= 1;
        bad[3 * BLOCK + 30] ^= 1;
        assert_eq!(read(&bad), HardStateRead { newest: None, bad_copies: 2, hides_a_generation: true });
        assert!(read(&bad).is_amnesia());
        let other = JournalIdentity { journal: JournalId(3), ..IDENTITY };
        let foreign = HardState::read("h", &file(&[1]), &other).expect("this version");
        assert!(foreign.is_amnesia());
    }

    #[test]
    fn version_1_is_read_and_knows_of_no_doubt() {
        let (position, block) = (2 * BLOCK, state(5).encode_block(&IDENTITY));
        let body = &HARD_STATE_KIND.decode(IDENTITY.secret, &block).expect("this version")[..BODY_BYTES_1];
        let old = FrameKind { version: 1, ..HARD_STATE_KIND };
        let mut file = vec![0; HARD_STATE_BYTES];
        for copy in [position, position + BLOCK] {
            file[copy..copy + BLOCK].copy_from_slice(&old.encode(IDENTITY.secret, body));
        }
        let expected = HardState { opened: 0, doubt: None, ..state(5) };
        assert_eq!(read(&file).newest, Some(expected));
        let short = old.encode(IDENTITY.secret, &body[..BODY_BYTES_1 - 1]);
        file[position..position + BLOCK].copy_from_slice(&short);
        file[position + BLOCK..position + 2 * BLOCK].copy_from_slice(&short);
        assert!(read(&file).is_amnesia(), "a body that is cut short is bad");
    }

    #[test]
    fn no_doubt_is_written_as_none() {
        let certain = HardState { doubt: None, ..state(3) };
        let (position, slot) = certain.encode_slot(&IDENTITY);
        let mut file = vec![0; HARD_STATE_BYTES];
        file[position as usize..][..slot.len()].copy_from_slice(&slot);
        assert_eq!(read(&file).newest, Some(certain));
    }

    #[test]
    fn a_newer_hard_state_is_refused_by_name() {
        let newer = FrameKind { version: 3, ..HARD_STATE_KIND }.encode(IDENTITY.secret, &[]);
        let error = HardState::read("x/hard-state", &newer, &IDENTITY);
        assert_eq!(error, Err(FormatFault::Newer { found: 3, known: 2 }.of("x/hard-state")));
    }
}
