//! All groups that one shard coordinates: finds the partition of the offsets topic for each
//! request, and carries leaderships, read-backs and outcomes to it.

use super::append::{AppendError, AppendId, Tenure};
use super::config::GroupConfig;
use super::error::GroupError;
use super::offsets_partition::{OffsetsPartition, Stage, refused};
use super::partition_of;
use super::request::{Answer, Listed, Request};
use crate::clock::Now;
use crate::groups::Figures;
use crate::groups::output::Output;
use crate::ids::{Offset, Term};
use crate::port::RequestId;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One input; each comes with its time.
#[derive(Debug)]
pub enum Input<'a> {
    Request {
        request: RequestId,
        body: Request,
    },
    /// How many partitions the offsets topic has; 0 while there is none.
    Partitions(i32),
    /// This shard leads a partition of the offsets topic: it is to be read back.
    Lead {
        partition: i32,
        term: Term,
    },
    /// It does not any more.
    Resign {
        partition: i32,
    },
    /// Whole batches, in order, from the partition's log start on.
    Read {
        tenure: Tenure,
        batches: &'a [u8],
    },
    /// All that was committed when the leadership began was read.
    Loaded {
        tenure: Tenure,
    },
    /// An append was committed at this offset, or was not. Outcomes come in the order of the
    /// appends.
    Appended {
        append: AppendId,
        result: Result<Offset, AppendError>,
    },
    TopicDeleted {
        topic: Arc<str>,
    },
    /// Every 10 ms or so, and when the next timer is due.
    Tick,
}

/// See the head of this file.
pub struct Coordinator {
    config: GroupConfig,
    /// Of the offsets topic.
    partitions: i32,
    led: BTreeMap<i32, OffsetsPartition>,
    /// Leaderships that ended by what an append was told: they do not come back.
    lost: BTreeMap<i32, Term>,
    tenures: u64,
    /// Bytes appended by all partitions of this shard, which share a journal.
    appended_bytes: u64,
}

/// What an append costs beside its bytes: the entry it is in is padded to this.
const APPEND_BYTES_MIN: u64 = 4096;

impl Coordinator {
    pub fn new(config: GroupConfig) -> Self {
        Self {
            config,
            partitions: 0,
            led: BTreeMap::new(),
            lost: BTreeMap::new(),
            tenures: 0,
            appended_bytes: 0,
        }
    }

    /// The leaderships that it has taken.
    pub fn led(&self) -> impl Iterator<Item = (i32, Term)> + '_ {
        self.led.iter().map(|(partition, led)| (*partition, led.term()))
    }

    /// Whether this stay is not over.
    pub fn is_current(&self, tenure: Tenure) -> bool {
        self.led.get(&tenure.partition).is_some_and(|led| led.tenure() == tenure)
    }

    /// What there is, for the metrics page.
    pub fn figures(&self) -> Figures {
        let mut figures = Figures::default();
        self.led.values().for_each(|led| led.count(&mut figures));
        figures
    }

    /// When a tick is wanted at the latest.
    pub fn next_timer_ns(&self) -> Option<u64> {
        self.led.values().filter_map(OffsetsPartition::next_timer_ns).min()
    }

    /// Takes one input and appends what follows from it.
    pub fn step(&mut self, now: Now, input: Input<'_>, out: &mut Vec<Output>) {
        let first = out.len();
        let mut stage = Stage { now, config: &self.config, out };
        match input {
            Input::Request { request, body } => self.request(request, body, now, out),
            Input::Partitions(partitions) => self.partitions = partitions,
            Input::Lead { partition, term } => self.lead(partition, term, now, out),
            Input::Resign { partition } => self.resign(partition, now, out),
            Input::Read { tenure, batches } => {
                let led = of_tenure(&mut self.led, tenure);
                led.into_iter().for_each(|led| led.load(batches, now));
            }
            Input::Loaded { tenure } => {
                if let Some(led) = of_tenure(&mut self.led, tenure) {
                    let report = led.loaded(self.appended_bytes, &mut stage);
                    out.push(Output::Loaded { partition: tenure.partition, report });
                }
            }
            Input::Appended { append, result } => self.appended(append, result, now, out),
            Input::TopicDeleted { topic } => {
                self.led.values_mut().for_each(|led| led.topic_deleted(&topic, &mut stage));
            }
            Input::Tick => self.led.values_mut().for_each(|led| led.tick(&mut stage)),
        }
        self.bound_histories(now, out);
        self.count_appends(&out[first..]);
    }

    fn request(&mut self, id: RequestId, body: Request, now: Now, out: &mut Vec<Output>) {
        let Some(group) = body.group() else {
            let mut listed = Listed { loading: false, groups: Vec::new() };
            self.led.values().for_each(|partition| partition.list(&mut listed));
            return out.push(Output::Answer { request: id, answer: Answer::Listed(listed) });
        };
        let partition = (self.partitions > 0).then(|| partition_of(group, self.partitions));
        match partition.and_then(|partition| self.led.get_mut(&partition)) {
            Some(led) => led.request(id, body, &mut Stage { now, config: &self.config, out }),
            None => {
                let answer = refused(&body, GroupError::NotCoordinator);
                out.push(Output::Answer { request: id, answer });
            }
        }
    }

    fn lead(&mut self, partition: i32, term: Term, now: Now, out: &mut Vec<Output>) {
        if self.lost.get(&partition).is_some_and(|lost| *lost >= term) {
            return;
        }
        self.resign(partition, now, out);
        self.tenures += 1;
        let tenure = Tenure { partition, number: self.tenures };
        self.led.insert(partition, OffsetsPartition::new(tenure, term));
        out.push(Output::Read { tenure });
    }

    fn resign(&mut self, partition: i32, now: Now, out: &mut Vec<Output>) {
        if let Some(led) = self.led.remove(&partition) {
            led.resign(&mut Stage { now, config: &self.config, out });
        }
    }

    fn appended(
        &mut self,
        append: AppendId,
        result: Result<Offset, AppendError>,
        now: Now,
        out: &mut Vec<Output>,
    ) {
        let Some(led) = of_tenure(&mut self.led, append.tenure) else { return };
        let (partition, term) = (append.tenure.partition, led.term());
        led.appended(append.number, result, &mut Stage { now, config: &self.config, out });
        if result == Err(AppendError::NotLeader) {
            self.lost.insert(partition, term);
            self.resign(partition, now, out);
        }
    }

    fn bound_histories(&mut self, now: Now, out: &mut Vec<Output>) {
        let shard_bytes = self.appended_bytes;
        let mut stage = Stage { now, config: &self.config, out };
        self.led.values_mut().for_each(|led| led.bound_history(shard_bytes, &mut stage));
    }

    fn count_appends(&mut self, outputs: &[Output]) {
        for output in outputs {
            if let Output::Append { batch, .. } = output {
                self.appended_bytes += APPEND_BYTES_MIN.max(batch.len() as u64);
            }
        }
    }
}

fn of_tenure(led: &mut BTreeMap<i32, OffsetsPartition>, tenure: Tenure) -> Option<&mut OffsetsPartition> {
    led.get_mut(&tenure.partition).filter(|led| led.tenure() == tenure)
}
