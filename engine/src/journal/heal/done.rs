//! How the disk work of healing ended, a replica's own and what it does for others.

use super::lending::Asked;
use super::mending::Judged;
use crate::disk::DiskError;
use crate::entry::EntryBytes;
use crate::ids::{Index, NodeId, RaftId};
use crate::journal::read::want::ReadFault;

/// What a leader can offer: the checksum before its first entry, and the checkpoint's length.
pub type Offered = Option<(u32, u64)>;

pub enum HealDone {
    /// A leader looked at its log's start, to offer it.
    Offered { to: RaftId, first: Index, result: Offered },
    /// A piece of a checkpoint was read for another replica, unless it is not there.
    PieceRead { to: NodeId, last: Index, position: u64, bytes: Option<Vec<u8>> },
    /// An entry was read for another replica.
    Lent { asked: Asked, bytes: usize, result: Box<Result<EntryBytes, ReadFault>> },
    /// What is known here of an entry to be repaired.
    Judged(Judged),
    /// An entry was written again: its header checksum and that of the one before it.
    Mended { checksums: (u32, u32), result: Result<bool, DiskError> },
}
