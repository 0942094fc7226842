//! A shard's coordinator within its surroundings: tells it which partitions of the offsets topic
//! the shard leads, brings its batches into the log and the log back to it, and moves log starts.
//!
//! `follow` looks at metadata and leaders, `append` keeps the order of batches and outcomes,
//! `read_back` reads partitions whole. It asks the shard for everything by [`Output`] and is told
//! by [`Input`]; like the coordinator it knows no clock, no socket and no disk.

mod append;
mod follow;
mod read_back;

pub use append::Append;

use super::coordinator::{self, Coordinator, Figures};
use super::offsets_partition::LoadReport;
use super::{Answer, GroupConfig, OFFSETS_TOPIC, Request};
use crate::clock::Now;
use crate::control::View;
use crate::ids::{Offset, PartitionId};
use crate::port::{self, FetchedPartition, QueryKind, Refusal, RequestId};
use append::Appends;
use read_back::ReadBack;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Names something that the shard was asked for, until it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// One input; each comes with its time.
#[derive(Debug)]
pub enum Input {
    Request {
        request: RequestId,
        body: Request,
    },
    /// What [`Host::next_append`] gave is committed at this offset, or is not.
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
    /// The node stops: all that wait are sent on, and nothing is led any more.
    Stop,
    /// Every 10 ms or so, and when the next timer is due.
    Tick,
}

#[derive(Debug)]
pub enum Output {
    Answer {
        request: RequestId,
        answer: Answer,
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
    /// A partition of the offsets topic was read back, and its groups are answered for.
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
}

/// See the head of this file.
pub struct Host {
    coordinator: Coordinator,
    /// By which it last told the coordinator.
    view: Arc<View>,
    stopped: bool,
    last_ticket: u64,
    appends: Appends,
    reading: ReadBack,
    /// Log starts on their way.
    trims: BTreeMap<Ticket, (i32, Offset)>,
}

impl Host {
    pub fn new(config: GroupConfig) -> Self {
        Self {
            coordinator: Coordinator::new(config),
            view: Arc::default(),
            stopped: false,
            last_ticket: 0,
            appends: Appends::default(),
            reading: ReadBack::default(),
            trims: BTreeMap::new(),
        }
    }

    /// For the metrics page.
    pub fn figures(&self) -> Figures {
        self.coordinator.figures()
    }

    /// When a tick is wanted at the latest.
    pub fn next_timer_ns(&self) -> Option<u64> {
        self.coordinator.next_timer_ns()
    }

    /// Takes one input and appends what follows from it; ask [`Host::next_append`] afterwards.
    pub fn step(&mut self, now: Now, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Request { request, body } => {
                self.coordinate(now, coordinator::Input::Request { request, body }, out);
            }
            Input::Produced { ticket, result } => {
                self.appends.outcome(ticket, result);
                self.tell_outcomes(now, out);
            }
            Input::Fetched { ticket, partition } => self.read(ticket, &partition, now, out),
            Input::Answered { ticket, result } => match self.trims.remove(&ticket) {
                Some((partition, before)) => {
                    out.push(Output::Trimmed { partition, before, refusal: result.err() });
                }
                None => self.read_bound(ticket, result, now, out),
            },
            Input::Stop => self.stop(now, out),
            Input::Tick => self.coordinate(now, coordinator::Input::Tick, out),
        }
        self.read_next(now, out);
    }

    fn coordinate(&mut self, now: Now, input: coordinator::Input<'_>, out: &mut Vec<Output>) {
        let mut outputs = Vec::new();
        self.coordinator.step(now, input, &mut outputs);
        for output in outputs {
            match output {
                coordinator::Output::Answer { request, answer } => {
                    out.push(Output::Answer { request, answer });
                }
                coordinator::Output::Append { append, batch } => self.appends.push(append, batch),
                coordinator::Output::Trim { partition, before } => self.trim(partition, before, out),
                coordinator::Output::Read { tenure } => self.reading.add(tenure, now),
                coordinator::Output::Loaded { partition, report } => {
                    out.push(Output::Loaded { partition, report });
                }
            }
        }
    }

    /// Frees what was written again.
    fn trim(&mut self, partition: i32, before: Offset, out: &mut Vec<Output>) {
        let Some(id) = self.partition_id(partition) else { return };
        let ticket = self.ticket();
        self.trims.insert(ticket, (partition, before));
        out.push(Output::Query { ticket, partition: id, kind: QueryKind::DeleteBefore(before.0) });
    }

    fn ticket(&mut self) -> Ticket {
        self.last_ticket += 1;
        Ticket(self.last_ticket)
    }

    /// What the shard knows a partition of the offsets topic by.
    fn partition_id(&self, partition: i32) -> Option<PartitionId> {
        let topic = self.view.topics.get(OFFSETS_TOPIC)?;
        Some(topic.partitions.get(usize::try_from(partition).ok()?)?.id)
    }
}
