//! A request's bytes: buffers that are used again, and how large the next one is to be.

use crate::client::budget::Share;
use std::cell::RefCell;
use std::ops::Deref;
use std::rc::Rc;

/// A frame longer than this closes its connection, as in Kafka (`socket.request.max.bytes`).
pub const FRAME_BYTES_MAX: usize = 100 << 20;
/// Memory is reserved in steps of at least this.
pub const STEP_BYTES: usize = 64 << 10;
/// The shortest buffer: most requests that carry no records fit.
const BUFFER_BYTES_MIN: usize = 4 << 10;
/// A frame may begin with a buffer as long as the last one of its connection, up to this.
const FIRST_BUFFER_BYTES_MAX: usize = 1 << 20;
/// Longer buffers are not kept: they are rare, and few of them would fill the free list.
const KEPT_BUFFER_BYTES_MAX: usize = 4 << 20;

const KEPT_CLASSES: usize = KEPT_BUFFER_BYTES_MAX.ilog2() as usize + 1;

/// The free buffers of one shard, by size.
#[derive(Clone, Default)]
pub struct FrameBuffers(Rc<RefCell<Free>>);

#[derive(Default)]
struct Free {
    /// Lengths are powers of two; by their logarithm.
    by_class: [Vec<Vec<u8>>; KEPT_CLASSES],
    bytes: usize,
    bytes_max: usize,
}

impl FrameBuffers {
    /// Keeps at most `bytes_max` for reuse.
    pub fn new(bytes_max: usize) -> Self {
        Self(Rc::new(RefCell::new(Free { bytes_max, ..Free::default() })))
    }

    fn take(&self, bytes: usize) -> Vec<u8> {
        let bytes = bytes.next_power_of_two();
        let mut free = self.0.borrow_mut();
        match free.by_class.get_mut(bytes.ilog2() as usize).and_then(Vec::pop) {
            Some(buffer) => {
                free.bytes -= bytes;
                buffer
            }
            // Zeroed pages come from the kernel untouched: a long buffer costs what arrives.
            None => vec![0; bytes],
        }
    }

    fn give_back(&self, buffer: Vec<u8>) {
        let mut free = self.0.borrow_mut();
        let bytes = buffer.len();
        if bytes > 0 && bytes <= KEPT_BUFFER_BYTES_MAX && free.bytes + bytes <= free.bytes_max {
            free.bytes += bytes;
            free.by_class[bytes.ilog2() as usize].push(buffer);
        }
    }
}

/// A frame that is being received, and then is whole.
pub struct Frame {
    buffer: Vec<u8>,
    filled: usize,
    /// The whole frame, as declared.
    bytes: usize,
    buffers: FrameBuffers,
    share: Share,
}

impl Frame {
    pub fn begin(bytes: usize, buffers: &FrameBuffers, share: Share) -> Self {
        Self { buffer: Vec::new(), filled: 0, bytes, buffers: buffers.clone(), share }
    }

    pub fn is_whole(&self) -> bool {
        self.filled == self.bytes
    }

    /// Makes room for the next bytes; false when the budget has none now. `last_bytes` is the
    /// length of the connection's last frame when that may be trusted again, else 0.
    pub fn make_room(&mut self, last_bytes: usize) -> bool {
        if self.filled < self.buffer.len() {
            return true;
        }
        let first = last_bytes.clamp(STEP_BYTES, FIRST_BUFFER_BYTES_MAX);
        let wanted = if self.filled == 0 { first } else { 2 * self.filled };
        let length = wanted.min(self.bytes).max(BUFFER_BYTES_MIN).next_power_of_two();
        if !self.share.grow_to(length) {
            return false;
        }
        let mut longer = self.buffers.take(length);
        longer[..self.filled].copy_from_slice(&self.buffer[..self.filled]);
        self.buffers.give_back(core::mem::replace(&mut self.buffer, longer));
        true
    }

    /// Where the next bytes go.
    pub fn unfilled(&mut self) -> &mut [u8] {
        let end = self.bytes.min(self.buffer.len());
        &mut self.buffer[self.filled..end]
    }

    pub fn advance(&mut self, bytes: usize) {
        self.filled += bytes;
        assert!(self.filled <= self.bytes);
    }
}

impl Deref for Frame {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        &self.buffer[..self.filled]
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        self.buffers.give_back(core::mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::budget::FrameBudget;

    #[test]
    fn memory_follows_the_bytes_that_arrive_and_not_the_length_declared() {
        let (budget, buffers) = (FrameBudget::new(1 << 30), FrameBuffers::new(1 << 20));
        let mut frame = Frame::begin(FRAME_BYTES_MAX, &buffers, budget.begin());
        assert!(frame.make_room(0));
        assert_eq!((budget.used_bytes(), frame.unfilled().len()), (STEP_BYTES, STEP_BYTES));
        frame.advance(1);
        assert!(frame.make_room(0));
        assert_eq!(budget.used_bytes(), STEP_BYTES);
        frame.advance(STEP_BYTES - 1);
        assert!(frame.make_room(0));
        assert_eq!(budget.used_bytes(), 2 * STEP_BYTES);
        drop(frame);
        assert_eq!(budget.used_bytes(), 0);
    }

    #[test]
    fn a_frame_keeps_its_bytes_as_it_grows_and_its_buffer_is_used_again() {
        let (budget, buffers) = (FrameBudget::new(1 << 30), FrameBuffers::new(16 << 20));
        let receive = |last_bytes: usize| {
            let mut frame = Frame::begin(300_000, &buffers, budget.begin());
            let mut byte = 0u8;
            while !frame.is_whole() {
                assert!(frame.make_room(last_bytes));
                for place in frame.unfilled() {
                    *place = byte;
                    byte = byte.wrapping_add(1);
                }
                let filled = frame.unfilled().len();
                frame.advance(filled);
            }
            assert!(frame.iter().enumerate().all(|(at, byte)| *byte == at as u8));
            frame.as_ptr()
        };
        let first = receive(0);
        assert_eq!(receive(300_000), first);
    }
}
