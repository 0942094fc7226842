//! All partitions of one topic that a shard coordinates: finds the partition of each request, and
//! carries leaderships, read-backs and outcomes to it.

use super::append::{AppendError, AppendId, Tenure};
use super::led::{Led, Stage};
use super::machine::{StateMachine, Unready};
use super::output::{Figures, Output};
use super::partition_of;
use super::vocabulary::Vocabulary;
use crate::clock::Now;
use crate::control::View;
use crate::ids::{Offset, Term};
use crate::port::RequestId;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One input; each comes with its time.
#[derive(Debug)]
pub enum Input<'a, V: Vocabulary> {
    Request {
        request: RequestId,
        body: V::Request,
    },
    /// How many partitions the topic has; 0 while there is none.
    Partitions(i32),
    /// This shard leads a partition of the topic: it is to be read back.
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
    /// News for whoever leads this partition here.
    Heard {
        partition: i32,
        news: V::News,
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
    /// What this shard knows of the cluster now.
    Metadata(Arc<View>),
    /// What came of an effect, while its tenure lasts.
    Told {
        tenure: Tenure,
        news: V::News,
    },
    /// Every 10 ms or so, and when the next timer is due.
    Tick,
}

/// See the head of this file.
pub struct Coordinator<M: StateMachine> {
    config: <M::Words as Vocabulary>::Config,
    /// Of the topic.
    partitions: i32,
    led: BTreeMap<i32, Led<M>>,
    /// Leaderships that ended by what an append was told: they do not come back.
    lost: BTreeMap<i32, Term>,
    tenures: u64,
    /// Bytes appended by all partitions of this shard, which share a journal.
    appended_bytes: u64,
    view: Arc<View>,
    topics_version: u64,
}

/// What an append costs beside its bytes: the entry it is in is padded to this.
const APPEND_BYTES_MIN: u64 = 4096;

impl<M: StateMachine> Coordinator<M> {
    pub fn new(config: <M::Words as Vocabulary>::Config) -> Self {
        Self {
            config,
            partitions: 0,
            led: BTreeMap::new(),
            lost: BTreeMap::new(),
            tenures: 0,
            appended_bytes: 0,
            view: Arc::default(),
            topics_version: 0,
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
    pub fn figures(&self, now: Now) -> Figures<<M::Words as Vocabulary>::Figures> {
        let mut figures = Figures::default();
        self.led.values().for_each(|led| led.count(&mut figures, now));
        figures
    }

    /// When a tick is wanted at the latest.
    pub fn next_timer_ns(&self) -> Option<u64> {
        self.led.values().filter_map(Led::next_timer_ns).min()
    }

    /// Takes one input and appends what follows from it.
    pub fn step(&mut self, now: Now, input: Input<'_, M::Words>, out: &mut Vec<Output<M::Words>>) {
        let first = out.len();
        if let Input::Metadata(view) = input {
            return self.follow(view);
        }
        let (config, view, topics_version) = (&self.config, &self.view, self.topics_version);
        let mut stage = Stage { now, config, view, topics_version, out };
        match input {
            Input::Request { request, body } => self.request(request, body, now, out),
            Input::Partitions(partitions) => self.partitions = partitions,
            Input::Metadata(_) => unreachable!("taken above"),
            Input::Lead { partition, term } => self.lead(partition, term, out),
            Input::Resign { partition } => self.resign(partition, out),
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
                for led in self.led.values_mut() {
                    M::topic_deleted(&topic).into_iter().for_each(|news| led.told(news, &mut stage));
                }
            }
            Input::Heard { partition, news } => {
                if let Some(led) = self.led.get_mut(&partition) {
                    led.told(news, &mut stage);
                }
            }
            Input::Told { tenure, news } => {
                if let Some(led) = of_tenure(&mut self.led, tenure) {
                    led.told(news, &mut stage);
                }
            }
            Input::Tick => self.led.values_mut().for_each(|led| led.tick(&mut stage)),
        }
        self.bound_histories(now, out);
        self.count_appends(&out[first..]);
    }

    fn follow(&mut self, view: Arc<View>) {
        self.topics_version += u64::from(!self.view.has_topics_of(&view));
        self.view = view;
    }

    fn request(
        &mut self,
        id: RequestId,
        body: <M::Words as Vocabulary>::Request,
        now: Now,
        out: &mut Vec<Output<M::Words>>,
    ) {
        let Some(name) = M::name_in(&body) else {
            let led = self.led.values().map(Led::machine);
            return out.push(Output::Answer { request: id, answer: M::over_all(&body, led, now) });
        };
        let partition = (self.partitions > 0).then(|| partition_of(name, self.partitions));
        match partition.and_then(|partition| self.led.get_mut(&partition)) {
            Some(led) => {
                let (config, view, topics_version) = (&self.config, &self.view, self.topics_version);
                led.request(id, body, &mut Stage { now, config, view, topics_version, out });
            }
            None => {
                let answer = M::unready(&body, Unready::NotCoordinator);
                out.push(Output::Answer { request: id, answer });
            }
        }
    }

    fn lead(&mut self, partition: i32, term: Term, out: &mut Vec<Output<M::Words>>) {
        if self.lost.get(&partition).is_some_and(|lost| *lost >= term) {
            return;
        }
        self.resign(partition, out);
        self.tenures += 1;
        let tenure = Tenure { partition, number: self.tenures };
        self.led.insert(partition, Led::new(tenure, term));
        out.push(Output::Read { tenure });
    }

    fn resign(&mut self, partition: i32, out: &mut Vec<Output<M::Words>>) {
        if let Some(led) = self.led.remove(&partition) {
            led.resign(out);
        }
    }

    fn appended(
        &mut self,
        append: AppendId,
        result: Result<Offset, AppendError>,
        now: Now,
        out: &mut Vec<Output<M::Words>>,
    ) {
        let Some(led) = of_tenure(&mut self.led, append.tenure) else { return };
        let (partition, term) = (append.tenure.partition, led.term());
        let (config, view, topics_version) = (&self.config, &self.view, self.topics_version);
        led.appended(append.number, result, &mut Stage { now, config, view, topics_version, out });
        if result == Err(AppendError::NotLeader) {
            self.lost.insert(partition, term);
            self.resign(partition, out);
        }
    }

    fn bound_histories(&mut self, now: Now, out: &mut Vec<Output<M::Words>>) {
        let shard_bytes = self.appended_bytes;
        let (config, view, topics_version) = (&self.config, &self.view, self.topics_version);
        let mut stage = Stage { now, config, view, topics_version, out };
        self.led.values_mut().for_each(|led| led.bound_history(shard_bytes, &mut stage));
    }

    fn count_appends(&mut self, outputs: &[Output<M::Words>]) {
        for output in outputs {
            if let Output::Append { batch, .. } = output {
                self.appended_bytes += APPEND_BYTES_MIN.max(batch.len() as u64);
            }
        }
    }
}

fn of_tenure<M: StateMachine>(led: &mut BTreeMap<i32, Led<M>>, tenure: Tenure) -> Option<&mut Led<M>> {
    led.get_mut(&tenure.partition).filter(|led| led.tenure() == tenure)
}

#[cfg(test)]
#[path = "leading_tests.rs"]
mod tests;
