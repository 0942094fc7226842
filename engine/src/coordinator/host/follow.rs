//! Tells the coordinator what it has to know of the world: which partitions of the topic
//! this shard leads, and which topics are gone.

use super::super::leading::Input;
use super::Host;
use super::seam::Output;
use crate::clock::Now;
use crate::control::View;
use crate::control::view::{PartitionView, TopicView};
use crate::coordinator::StateMachine;
use crate::ids::{JournalId, Term};
use std::collections::BTreeMap;
use std::sync::Arc;

impl<M: StateMachine> Host<M> {
    /// Metadata or leaders may have changed; `term_led` says in which term this shard leads a
    /// journal, if it does, as far as it knows.
    pub fn follow(
        &mut self,
        now: Now,
        view: &Arc<View>,
        term_led: impl Fn(JournalId) -> Option<Term>,
        out: &mut Vec<Output<M::Words>>,
    ) {
        let before = core::mem::replace(&mut self.view, Arc::clone(view));
        let topic = view.topics.get(M::TOPIC).filter(|_| !self.stopped);
        let count = topic.map_or(0, |topic| topic.partitions.len());
        let count = i32::try_from(count).expect("bounded by the metadata's rules");
        if !Arc::ptr_eq(&before, view) {
            self.coordinate(now, Input::Metadata(Arc::clone(view)), out);
        }
        self.coordinate(now, Input::Partitions(count), out);
        self.follow_leaders(now, topic.map(|topic| led_of(topic, term_led)).unwrap_or_default(), out);
        if !Arc::ptr_eq(&before, view) {
            for topic in deleted(&before, view) {
                self.coordinate(now, Input::TopicDeleted { topic }, out);
            }
        }
        self.read_next(now, out);
    }

    fn follow_leaders(&mut self, now: Now, led: BTreeMap<i32, Term>, out: &mut Vec<Output<M::Words>>) {
        let known: BTreeMap<i32, Term> = self.coordinator.led().collect();
        for partition in known.keys().filter(|partition| !led.contains_key(partition)) {
            self.coordinate(now, Input::Resign { partition: *partition }, out);
        }
        for (partition, term) in led {
            if known.get(&partition) != Some(&term) {
                self.coordinate(now, Input::Lead { partition, term }, out);
            }
        }
    }

    pub(super) fn stop(&mut self, now: Now, out: &mut Vec<Output<M::Words>>) {
        self.stopped = true;
        self.coordinate(now, Input::Partitions(0), out);
        self.follow_leaders(now, BTreeMap::new(), out);
    }
}

/// The partitions whose journal this shard leads.
fn led_of(topic: &TopicView, term: impl Fn(JournalId) -> Option<Term>) -> BTreeMap<i32, Term> {
    let one =
        |(number, partition): (i32, &PartitionView)| Some((number, term(partition.spans.last()?.journal)?));
    (0..).zip(&topic.partitions).filter_map(one).collect()
}

/// Topics that are gone, or were made anew under the same name.
fn deleted(before: &View, now: &View) -> Vec<Arc<str>> {
    let same = |name: &str, topic: &TopicView| now.topics.get(name).is_some_and(|now| now.id == topic.id);
    let gone = before.topics.iter().filter(|(name, topic)| !same(name, topic));
    gone.map(|(name, _)| Arc::clone(name)).collect()
}
