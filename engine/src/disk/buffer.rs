//! Aligned memory for the disk: filled once, then shared and immutable, then recycled.
//!
//! Fresh memory is dear in a virtual machine (a page fault for each 4 KiB), so buffers return to
//! their pool when the last handle goes, and the steady state touches no fresh page.

use super::block::{BLOCK, IO_BYTES_MAX};
use core::cell::{Cell, RefCell};
use core::fmt;
use core::mem::ManuallyDrop;
use core::ops::Deref;
use glommio::io::{DmaBuffer, ReadResult};
use std::rc::Rc;

/// Capacities are powers of two from 4 KiB to 1 MiB.
const CLASSES: usize = (IO_BYTES_MAX / BLOCK).ilog2() as usize + 1;

/// Buffers from this size on are in pages of 2 MiB where the system has them: the kernel copies and
/// pins them at less cost. Smaller ones are not. Whoever touches a page first waits until the kernel
/// has found and cleared it, in a virtual machine some 12 µs for 4 KiB and 6 ms for 2 MiB, and as long
/// the whole shard stands still: with 40 MB/s of new memory in large pages eleven times a second.
const LARGE_PAGES_FROM_BYTES: usize = 256 << 10;
const LARGE_PAGE_BYTES: usize = 2 << 20;

struct PoolState {
    free: RefCell<[Vec<DmaBuffer>; CLASSES]>,
    /// Bytes in the free lists.
    free_bytes: Cell<usize>,
    /// Above this a returned buffer is given back to the allocator.
    free_bytes_max: usize,
    /// Bytes handed out and not yet returned.
    used_bytes: Cell<usize>,
}

/// The buffers of one shard. Clones share the free lists.
#[derive(Clone)]
pub struct BufferPool(Rc<PoolState>);

impl BufferPool {
    /// A pool that keeps at most `free_bytes_max` bytes for reuse.
    pub fn new(free_bytes_max: usize) -> Self {
        Self(Rc::new(PoolState {
            free: RefCell::default(),
            free_bytes: Cell::new(0),
            free_bytes_max,
            used_bytes: Cell::new(0),
        }))
    }

    /// A buffer of at least `bytes` (at most 1 MiB), its content undefined.
    pub fn take(&self, bytes: usize) -> BufferMut {
        let class = class_of(bytes);
        let capacity = BLOCK << class;
        let recycled = self.0.free.borrow_mut()[class].pop();
        let memory = match recycled {
            Some(memory) => {
                self.0.free_bytes.set(self.0.free_bytes.get() - capacity);
                memory
            }
            None => {
                let mut memory = glommio::allocate_dma_buffer_global(capacity);
                let bytes = memory.as_bytes_mut();
                if capacity >= LARGE_PAGES_FROM_BYTES {
                    ask_for_large_pages(bytes);
                }
                // glommio hands out uninitialised memory; a `&[u8]` over it needs a value.
                bytes.fill(0);
                memory
            }
        };
        debug_assert_eq!(memory.len(), capacity);
        self.0.used_bytes.set(self.0.used_bytes.get() + capacity);
        BufferMut { memory: Some(memory), pool: self.clone() }
    }

    /// A sealed copy of `bytes`, padded with zeros to a whole number of blocks.
    pub fn copy_of(&self, bytes: &[u8]) -> Buffer {
        let mut buffer = self.take(bytes.len());
        let padded = bytes.len().next_multiple_of(BLOCK);
        buffer[..bytes.len()].copy_from_slice(bytes);
        buffer[bytes.len()..padded].fill(0);
        buffer.seal(padded)
    }

    /// Bytes of capacity handed out and not yet returned.
    pub fn used_bytes(&self) -> usize {
        self.0.used_bytes.get()
    }

    /// Bytes of capacity kept for reuse.
    pub fn free_bytes(&self) -> usize {
        self.0.free_bytes.get()
    }

    fn give_back(&self, memory: DmaBuffer) {
        let capacity = memory.len();
        self.0.used_bytes.set(self.0.used_bytes.get() - capacity);
        let free_bytes = self.0.free_bytes.get() + capacity;
        if free_bytes <= self.0.free_bytes_max {
            self.0.free_bytes.set(free_bytes);
            self.0.free.borrow_mut()[class_of(capacity)].push(memory);
        }
    }
}

/// Before memory is touched. It shares its first and its last large page with what is beside it.
fn ask_for_large_pages(memory: &[u8]) {
    let from = memory.as_ptr().addr() / LARGE_PAGE_BYTES * LARGE_PAGE_BYTES;
    let to = (memory.as_ptr().addr() + memory.len()).next_multiple_of(LARGE_PAGE_BYTES);
    // SAFETY: a hint about addresses, which may be anyone's or nobody's: it changes no content, and
    // that it is refused changes nothing.
    unsafe { libc::madvise(core::ptr::without_provenance_mut(from), to - from, libc::MADV_HUGEPAGE) };
}

/// The smallest class that holds `bytes`.
fn class_of(bytes: usize) -> usize {
    assert!(bytes > 0 && bytes <= IO_BYTES_MAX, "{bytes} bytes in one buffer");
    (bytes.next_power_of_two().max(BLOCK) / BLOCK).ilog2() as usize
}

/// A buffer that is being filled; it has one owner.
pub struct BufferMut {
    /// `None` only while it is handed on.
    memory: Option<DmaBuffer>,
    pool: BufferPool,
}

impl BufferMut {
    /// Bytes it can hold.
    pub fn capacity(&self) -> usize {
        self.len()
    }

    /// Makes the first `bytes` of it immutable and shareable. `bytes` is a multiple of 4 KiB.
    pub fn seal(mut self, bytes: usize) -> Buffer {
        assert!(bytes > 0 && bytes.is_multiple_of(BLOCK), "{bytes} bytes cannot be written with O_DIRECT");
        let memory = self.memory.take().expect("a buffer is sealed once");
        // SAFETY: `whole` is a bitwise copy of `memory`, kept so that its full capacity can be
        // restored after `trim_to_size`. It is `ManuallyDrop` and never used while `memory`
        // lives; `Pooled::drop` ends exactly one of the two.
        let whole = ManuallyDrop::new(unsafe { core::ptr::read(&memory) });
        let mut memory = memory;
        memory.trim_to_size(bytes);
        let capacity = whole.len();
        let pooled = Pooled { memory: ManuallyDrop::new(Rc::new(memory)), whole, pool: self.pool.clone() };
        Buffer { storage: Rc::new(Storage::Pooled(pooled)), capacity }
    }
}

impl Deref for BufferMut {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        self.memory.as_ref().expect("not sealed").as_bytes()
    }
}

impl core::ops::DerefMut for BufferMut {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.memory.as_mut().expect("not sealed").as_bytes_mut()
    }
}

impl Drop for BufferMut {
    fn drop(&mut self) {
        if let Some(memory) = self.memory.take() {
            self.pool.give_back(memory);
        }
    }
}

impl fmt::Debug for BufferMut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BufferMut({} bytes)", self.capacity())
    }
}

struct Pooled {
    memory: ManuallyDrop<Rc<DmaBuffer>>,
    whole: ManuallyDrop<DmaBuffer>,
    pool: BufferPool,
}

impl Drop for Pooled {
    fn drop(&mut self) {
        // SAFETY: `memory` is taken here once and not used again.
        let memory = unsafe { ManuallyDrop::take(&mut self.memory) };
        match Rc::try_unwrap(memory) {
            Ok(trimmed) => {
                // The trimmed view ends here without freeing; the whole one goes on.
                core::mem::forget(trimmed);
                // SAFETY: the only other owner of this memory was forgotten the line above.
                let whole = unsafe { ManuallyDrop::take(&mut self.whole) };
                self.pool.give_back(whole);
            }
            // The kernel's side still holds it: its last owner frees it, the pool forgets it.
            Err(shared) => {
                let used = &self.pool.0.used_bytes;
                used.set(used.get() - self.whole.len());
                drop(shared);
            }
        }
    }
}

enum Storage {
    Pooled(Pooled),
    Read(ReadResult),
}

/// Sealed bytes: shared, immutable, aligned, a multiple of 4 KiB long (a read at the end of a
/// file may be shorter).
#[derive(Clone)]
pub struct Buffer {
    storage: Rc<Storage>,
    capacity: usize,
}

impl Buffer {
    /// Wraps what glommio read, in its own memory.
    pub fn from_read(read: ReadResult) -> Self {
        let capacity = read.len().next_power_of_two();
        Self { storage: Rc::new(Storage::Read(read)), capacity }
    }

    /// The memory that it pins, bytes: what budgets count.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The form in which glommio shares a buffer with a write; `None` for what was read.
    pub fn dma(&self) -> Option<Rc<DmaBuffer>> {
        match &*self.storage {
            Storage::Pooled(pooled) => Some(Rc::clone(&pooled.memory)),
            Storage::Read(_) => None,
        }
    }
}

impl Deref for Buffer {
    type Target = [u8];
    fn deref(&self) -> &[u8] {
        match &*self.storage {
            Storage::Pooled(pooled) => pooled.memory.as_bytes(),
            Storage::Read(read) => read,
        }
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_returns_to_its_pool_with_its_full_capacity() {
        let pool = BufferPool::new(1 << 20);
        let mut buffer = pool.take(10_000);
        assert_eq!(buffer.capacity(), 16_384);
        buffer[0] = 7;
        let sealed = buffer.seal(4096);
        let shared = sealed.clone();
        let first = sealed.as_ptr();
        assert_eq!((shared.len(), shared[0], pool.used_bytes()), (4096, 7, 16_384));
        drop(sealed);
        assert_eq!(pool.free_bytes(), 0, "a handle is left");
        drop(shared);
        assert_eq!((pool.free_bytes(), pool.used_bytes()), (16_384, 0));
        let again = pool.take(16_384);
        assert_eq!((again.as_ptr(), again.len()), (first, 16_384));
    }

    #[test]
    fn memory_the_kernel_still_holds_is_not_recycled() {
        let pool = BufferPool::new(1 << 20);
        let sealed = pool.copy_of(b"held");
        let held = sealed.dma().expect("pooled");
        drop(sealed);
        assert_eq!((pool.free_bytes(), pool.used_bytes()), (0, 0));
        assert_eq!(&held.as_bytes()[..5], b"held\0");
    }

    /// The flags of the mapping that holds `address`, as /proc tells them.
    fn mapping_flags(address: usize) -> String {
        let maps = std::fs::read_to_string("/proc/self/smaps").expect("there is a /proc");
        let hex = |text: &str| usize::from_str_radix(text, 16).ok();
        let mut inside = false;
        for line in maps.lines() {
            let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
            if let Some((from, to)) = first.split_once('-').and_then(|(a, b)| Some((hex(a)?, hex(b)?))) {
                inside = (from..to).contains(&address);
            } else if inside && first == "VmFlags:" {
                return rest.to_owned();
            }
        }
        panic!("{address:#x} is not mapped");
    }

    #[test]
    fn long_buffers_are_in_large_pages() {
        if !std::path::Path::new("/sys/kernel/mm/transparent_hugepage").exists() {
            eprintln!("skipped: this kernel has no large pages");
            return;
        }
        let buffer = BufferPool::new(0).take(IO_BYTES_MAX);
        let flags = mapping_flags(buffer.as_ptr().addr() + IO_BYTES_MAX / 2);
        assert!(flags.split(' ').any(|flag| flag == "hg"), "{flags}");
    }

    #[test]
    fn a_full_pool_gives_memory_back() {
        let pool = BufferPool::new(4096);
        let (one, two) = (pool.take(1), pool.take(1));
        drop(one);
        drop(two);
        assert_eq!(pool.free_bytes(), 4096);
    }
}
