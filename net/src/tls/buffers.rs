//! The buffers of one shard's TLS connections: taken while something is under way, given back when it is not, so that a
//! connection on which nothing happens holds none.

use std::cell::RefCell;

/// The longest record: 16 KiB of plaintext, what its encryption adds, and its head.
pub const RECORD_BYTES_MAX: usize = 17 << 10;
/// Plaintext of one record.
pub const PLAIN_BYTES_MAX: usize = 16 << 10;
/// What a record adds to its plaintext in either version of TLS, at most: head, nonce and tag; and once in a while a
/// record before it that changes the keys.
pub const RECORD_OVERHEAD_MAX: usize = 96;
/// What is sealed before it is sent: four records.
pub const SEALED_BYTES_MAX: usize = 4 * (PLAIN_BYTES_MAX + RECORD_OVERHEAD_MAX);
/// Kept for the next one: what many connections take at once, not what they ever took.
const KEPT_MAX: usize = 64;

#[derive(Default)]
pub struct TlsBuffers {
    incoming: RefCell<Vec<Vec<u8>>>,
    sealed: RefCell<Vec<Vec<u8>>>,
}

impl TlsBuffers {
    /// One for what arrives: as long as the longest record.
    pub fn take_incoming(&self) -> Vec<u8> {
        self.incoming.borrow_mut().pop().unwrap_or_else(|| vec![0; RECORD_BYTES_MAX])
    }

    pub fn give_incoming(&self, buffer: Vec<u8>) {
        // One that grew for a long handshake is not kept.
        keep(&self.incoming, buffer, RECORD_BYTES_MAX);
    }

    /// One for records that are to be sent.
    pub fn take_sealed(&self) -> Vec<u8> {
        self.sealed.borrow_mut().pop().unwrap_or_else(|| vec![0; SEALED_BYTES_MAX])
    }

    pub fn give_sealed(&self, buffer: Vec<u8>) {
        keep(&self.sealed, buffer, SEALED_BYTES_MAX);
    }
}

fn keep(kept: &RefCell<Vec<Vec<u8>>>, buffer: Vec<u8>, bytes: usize) {
    let mut kept = kept.borrow_mut();
    if buffer.len() == bytes && kept.len() < KEPT_MAX {
        kept.push(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_is_taken_again_and_not_without_bound() {
        let buffers = TlsBuffers::default();
        let taken: Vec<_> = (0..KEPT_MAX + 9).map(|_| buffers.take_incoming()).collect();
        taken.into_iter().for_each(|buffer| buffers.give_incoming(buffer));
        assert_eq!(buffers.incoming.borrow().len(), KEPT_MAX);
        buffers.give_incoming(vec![0; RECORD_BYTES_MAX + 1]);
        assert!(buffers.incoming.borrow().iter().all(|buffer| buffer.len() == RECORD_BYTES_MAX));
        let sealed = buffers.take_sealed();
        buffers.give_sealed(sealed);
        assert_eq!((buffers.take_sealed().len(), buffers.sealed.borrow().len()), (SEALED_BYTES_MAX, 0));
    }
}
