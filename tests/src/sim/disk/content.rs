//! The bytes of one simulated file: sparse 4 KiB blocks, shared until written.
//!
//! A block that is absent reads as zeros. Blocks are reference-counted, so that the cached and the
//! durable content of a file, and the writes between the two, share their memory.

use engine::disk::BLOCK;
use std::collections::BTreeMap;
use std::rc::Rc;

/// The unit in which a power cut tears a write.
pub const SECTOR: usize = 512;
pub const SECTORS_PER_BLOCK: usize = BLOCK / SECTOR;

pub type Block = [u8; BLOCK];

/// A file's bytes and length.
#[derive(Clone, Default)]
pub struct Content {
    blocks: BTreeMap<u64, Rc<Block>>,
    bytes: u64,
}

impl Content {
    pub fn len(&self) -> u64 {
        self.bytes
    }

    pub fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// Sets the length. What a cut takes away reads as zeros when the file grows again.
    pub fn set_len(&mut self, bytes: u64) {
        if bytes < self.bytes {
            let whole = bytes.div_ceil(BLOCK as u64);
            self.blocks.split_off(&whole);
            let rest = (bytes % BLOCK as u64) as usize;
            if rest > 0
                && let Some(block) = self.blocks.get_mut(&(bytes / BLOCK as u64))
            {
                Rc::make_mut(block)[rest..].fill(0);
            }
        }
        self.bytes = bytes;
    }

    /// Puts one block. It may lie behind the length; then it shows when the file grows over it,
    /// and [`Content::drop_beyond_end`] forgets it.
    pub fn put(&mut self, number: u64, block: &Rc<Block>) {
        self.blocks.insert(number, Rc::clone(block));
    }

    /// Puts some of a block's sectors.
    pub fn put_sectors(&mut self, number: u64, block: &Rc<Block>, sectors: u8) {
        if sectors == u8::MAX {
            return self.put(number, block);
        }
        let here = self.blocks.entry(number).or_insert_with(|| Rc::new([0; BLOCK]));
        let here = Rc::make_mut(here);
        for sector in (0..SECTORS_PER_BLOCK).filter(|sector| sectors >> sector & 1 == 1) {
            let range = sector * SECTOR..(sector + 1) * SECTOR;
            here[range.clone()].copy_from_slice(&block[range]);
        }
    }

    pub fn drop_beyond_end(&mut self) {
        self.blocks.split_off(&self.bytes.div_ceil(BLOCK as u64));
    }

    /// Fills `into` from `position`, which is a multiple of a block; gives how many bytes of it
    /// lie within the file.
    pub fn read(&self, position: u64, into: &mut [u8]) -> usize {
        let inside = self.bytes.saturating_sub(position).min(into.len() as u64) as usize;
        for (at, part) in into[..inside].chunks_mut(BLOCK).enumerate() {
            match self.blocks.get(&(position / BLOCK as u64 + at as u64)) {
                Some(block) => part.copy_from_slice(&block[..part.len()]),
                None => part.fill(0),
            }
        }
        inside
    }

    /// Turns one bit over.
    pub fn flip(&mut self, position: u64, bit: u8) {
        assert!(position < self.bytes && bit < 8);
        let block = self.blocks.entry(position / BLOCK as u64).or_insert_with(|| Rc::new([0; BLOCK]));
        Rc::make_mut(block)[(position % BLOCK as u64) as usize] ^= 1 << bit;
    }

    /// The blocks that were written, within the length.
    pub fn written(&self) -> impl Iterator<Item = (u64, &Block)> {
        self.blocks.range(..self.bytes.div_ceil(BLOCK as u64)).map(|(number, block)| (*number, &**block))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_cut_took_reads_as_zeros_after_growing() {
        let mut content = Content::default();
        content.set_len(2 * BLOCK as u64);
        content.put(0, &Rc::new([1; BLOCK]));
        content.put(1, &Rc::new([2; BLOCK]));
        content.set_len(100);
        content.set_len(2 * BLOCK as u64);
        let mut bytes = vec![9; 2 * BLOCK];
        assert_eq!(content.read(0, &mut bytes), 2 * BLOCK);
        assert!(bytes[..100].iter().all(|byte| *byte == 1) && bytes[100..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn sectors_are_put_one_by_one() {
        let mut content = Content::default();
        content.set_len(BLOCK as u64);
        content.put(0, &Rc::new([1; BLOCK]));
        content.put_sectors(0, &Rc::new([2; BLOCK]), 0b0000_0101);
        let mut bytes = vec![0; BLOCK];
        content.read(0, &mut bytes);
        let sectors: Vec<u8> = bytes.chunks(SECTOR).map(|sector| sector[0]).collect();
        assert_eq!(sectors, [2, 1, 2, 1, 1, 1, 1, 1]);
    }

    #[test]
    fn copies_share_blocks_until_one_is_written() {
        let mut content = Content::default();
        content.set_len(BLOCK as u64);
        content.put(0, &Rc::new([1; BLOCK]));
        let before = content.clone();
        content.flip(7, 0);
        let (mut new, mut old) = (vec![0; BLOCK], vec![0; BLOCK]);
        content.read(0, &mut new);
        before.read(0, &mut old);
        assert_eq!((new[7], old[7]), (0, 1));
    }
}
