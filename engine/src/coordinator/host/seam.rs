//! What the host is told and asks for.

use crate::coordinator::{LoadReport, Tenure, Vocabulary};
use crate::ids::{Offset, PartitionId};
use crate::port::{self, Acks, BatchWriter, FetchedPartition, QueryKind, Refusal, RequestId};

/// Names something that the shard was asked for, until it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// One input; each comes with its time.
#[derive(Debug)]
pub enum Input<V: Vocabulary> {
    Request {
        request: RequestId,
        body: V::Request,
    },
    /// What [`super::Host::next_append`] gave is committed at this offset, or is not.
    Produced {
        ticket: Ticket,
        result: Result<Offset, Refusal>,
    },
    Fetched {
        ticket: Ticket,
        partition: FetchedPartition,
    },
    Answered {
        ticket: Ticket,
        result: Result<port::Answer, Refusal>,
    },
    /// What came of an effect.
    Told {
        tenure: Tenure,
        news: V::News,
    },
    /// News for whoever leads this partition here.
    Heard {
        partition: i32,
        news: V::News,
    },
    /// The node stops: all that wait are sent on, and nothing is led any more.
    Stop,
    /// Every 10 ms or so, and when the next timer is due.
    Tick,
}

#[derive(Debug)]
pub enum Output<V: Vocabulary> {
    Answer {
        request: RequestId,
        answer: V::Answer,
    },
    /// Read whole batches of a partition from an offset on.
    Fetch {
        ticket: Ticket,
        partition: PartitionId,
        offset: Offset,
        bytes_max: u32,
        /// It is answered at once, or by then.
        deadline_ns: u64,
    },
    Query {
        ticket: Ticket,
        partition: PartitionId,
        kind: QueryKind,
    },
    /// A partition of the topic was read back, and is answered for.
    Loaded {
        partition: i32,
        report: LoadReport,
    },
    /// It was not, and is tried again.
    NotLoaded {
        partition: i32,
        refusal: Refusal,
    },
    /// History below this offset was freed; what was not is freed the next time.
    Trimmed {
        partition: i32,
        before: Offset,
        refusal: Option<Refusal>,
    },
    /// What the machine wants done outside; what comes of it is [`Input::Told`].
    Effect {
        tenure: Tenure,
        effect: V::Effect,
    },
}

/// A batch for the shard; its outcome is due as [`super::seam::Input::Produced`].
#[derive(Debug)]
pub struct Append {
    pub ticket: Ticket,
    pub partition: PartitionId,
    pub acks: Acks,
    pub batch: Vec<u8>,
    pub writer: BatchWriter,
}
