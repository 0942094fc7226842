//! What a coordinator asks for and answers.

use super::append::{AppendId, Tenure};
use super::vocabulary::Vocabulary;
use crate::ids::Offset;
use crate::port::{Guard, RequestId};

#[derive(Debug)]
pub enum Output<V: Vocabulary> {
    Answer {
        request: RequestId,
        answer: V::Answer,
    },
    /// Append this batch to the partition, after all before it.
    Append {
        append: AppendId,
        batch: Vec<u8>,
        guard: Option<Guard>,
    },
    /// Move the partition's log start here.
    Trim {
        partition: i32,
        before: Offset,
    },
    /// Read this partition back, from its log start to its high watermark of now.
    Read {
        tenure: Tenure,
    },
    /// It was read back, and is answered for.
    Loaded {
        partition: i32,
        report: LoadReport,
    },
    /// Something outside; what comes of it is told under this tenure.
    Effect {
        tenure: Tenure,
        effect: V::Effect,
    },
}

/// What a shard coordinates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures<F> {
    /// Partitions that are being read back.
    pub loading: u64,
    /// Bytes of their logs, from the log start on.
    pub history_bytes: u64,
    pub machine: F,
}

/// What reading back gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadReport {
    /// What the machine answers for: groups, say.
    pub kept: usize,
    pub records: u64,
    pub bad_records: u64,
}
