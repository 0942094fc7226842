//! The units of the disk.

/// All positions and lengths of reads and writes are multiples of this.
pub const BLOCK: usize = 4096;

/// One read or write moves at most this much; larger entries go in pieces.
pub const IO_BYTES_MAX: usize = 1 << 20;
