//! Who wrote a batch, and what shows that it may be part of a transaction.

use crate::ids::{ProducerId, Term};
use crate::partition::producers::TransactionVersion;

/// What a producer's state in a partition was when its coordinator was asked. A batch is only appended if it still is:
/// else the transaction may have been ended meanwhile, and the batch would stay open for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guard {
    pub(crate) producer: ProducerId,
    pub(crate) epoch: i16,
    pub(crate) term: Term,
    /// Markers of that producer in the partition.
    pub(crate) markers: u32,
}

/// Who wrote a batch, and by what right it is part of a transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BatchWriter {
    /// A client that writes no transactions.
    #[default]
    Client,
    /// One that may, under rules that its request's version tells. Where `Shard::guard_for` gave a guard, the
    /// coordinator said yes to it.
    Transactional { version: TransactionVersion, guard: Option<Guard> },
    /// A coordinator of this node, for one of its clients: sequences do not count.
    Coordinator { guard: Option<Guard> },
}

impl BatchWriter {
    pub fn guard(self) -> Option<Guard> {
        match self {
            BatchWriter::Client => None,
            BatchWriter::Transactional { guard, .. } | BatchWriter::Coordinator { guard } => guard,
        }
    }

    /// The first batch of a producer that nothing is known of must have sequence 0: each of its transactions begins anew.
    pub fn begins_at_zero(self) -> bool {
        matches!(self, BatchWriter::Transactional { version: TransactionVersion::Two, .. })
    }
}
