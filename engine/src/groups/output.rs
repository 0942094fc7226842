//! What the coordinator asks for and answers.

use super::append::{AppendId, Tenure};
use crate::groups::request::Answer;
use crate::ids::Offset;
use crate::port::RequestId;

#[derive(Debug)]
pub enum Output {
    Answer {
        request: RequestId,
        answer: Answer,
    },
    /// Append this batch to the partition of the offsets topic, after all before it.
    Append {
        append: AppendId,
        batch: Vec<u8>,
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
    /// It was read back, and its groups are answered for.
    Loaded {
        partition: i32,
        report: LoadReport,
    },
}

/// What a shard coordinates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    pub groups: u64,
    pub members: u64,
    /// Partitions of the offsets topic that are being read back.
    pub loading: u64,
    /// Bytes of their logs, from the log start on.
    pub history_bytes: u64,
}

/// What reading back gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadReport {
    pub groups: usize,
    pub records: u64,
    pub bad_records: u64,
}
