//! Blocks of index files in memory: one cache per shard, bounded in bytes, least recently used
//! out first.

use crate::collections::Map;
use crate::disk::BLOCK;
use crate::ids::FileId;
use core::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Which block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BlockKey {
    /// The index file as it was opened: one that was made anew shares nothing with the bad one.
    pub file: FileId,
    pub number: u32,
}

pub type Block = Rc<[u8; BLOCK]>;

#[derive(Default)]
struct State {
    blocks: Map<BlockKey, (Block, u64)>,
    /// Use order: the lowest is the next to go.
    used: BTreeMap<u64, BlockKey>,
    uses: u64,
    blocks_max: usize,
}

/// Clones share the blocks.
#[derive(Clone)]
pub struct BlockCache(Rc<RefCell<State>>);

impl BlockCache {
    /// A cache of at most `bytes_max`, but of at least 16 blocks: what one look-up walks.
    pub fn new(bytes_max: usize) -> Self {
        let blocks_max = (bytes_max / BLOCK).max(16);
        Self(Rc::new(RefCell::new(State { blocks_max, ..State::default() })))
    }

    pub fn get(&self, key: BlockKey) -> Option<Block> {
        let state = &mut *self.0.borrow_mut();
        let (block, used) = state.blocks.get_mut(&key)?;
        state.used.remove(used);
        state.uses += 1;
        *used = state.uses;
        state.used.insert(state.uses, key);
        Some(Rc::clone(block))
    }

    pub fn put(&self, key: BlockKey, block: Block) {
        let state = &mut *self.0.borrow_mut();
        state.uses += 1;
        if let Some((_, used)) = state.blocks.insert(key, (block, state.uses)) {
            state.used.remove(&used);
        }
        state.used.insert(state.uses, key);
        while state.blocks.len() > state.blocks_max {
            let (_, oldest) = state.used.pop_first().expect("each block has its use");
            state.blocks.remove(&oldest);
        }
        assert_eq!(state.blocks.len(), state.used.len());
    }

    /// Forgets the blocks of a file that is closed.
    pub fn forget(&self, file: FileId) {
        let state = &mut *self.0.borrow_mut();
        let State { blocks, used, .. } = state;
        blocks.retain(|key, (_, use_number)| {
            let stays = key.file != file;
            if !stays {
                used.remove(use_number);
            }
            stays
        });
    }

    pub fn bytes(&self) -> usize {
        self.0.borrow().blocks.len() * BLOCK
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u32) -> BlockKey {
        BlockKey { file: FileId(u64::from(number % 2 + 1)), number }
    }

    #[test]
    fn the_least_recently_used_goes_first() {
        let cache = BlockCache::new(0);
        for number in 0..16 {
            cache.put(key(number), Rc::new([number as u8; BLOCK]));
        }
        assert_eq!(cache.get(key(0)).map(|block| block[0]), Some(0));
        cache.put(key(16), Rc::new([16; BLOCK]));
        assert_eq!(cache.bytes(), 16 * BLOCK);
        assert!(cache.get(key(1)).is_none());
        assert!(cache.get(key(0)).is_some() && cache.get(key(16)).is_some());
        cache.put(key(0), Rc::new([99; BLOCK]));
        assert_eq!(cache.get(key(0)).map(|block| block[0]), Some(99));
        cache.forget(FileId(1));
        assert!(cache.get(key(0)).is_none() && cache.get(key(3)).is_some());
        assert_eq!(cache.bytes(), 7 * BLOCK);
    }
}
