//! Tells the coordinator what it has to know of the world: which partitions of the offsets topic
//! this shard leads, which topics are gone, and the time.

use super::Groups;
use engine::control::View;
use engine::control::view::TopicView;
use engine::groups::{Input, OFFSETS_TOPIC};
use engine::ids::{JournalId, Term};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// What the coordinator was told last.
#[derive(Default)]
pub struct Followed {
    view: Arc<View>,
    leader_changes: u64,
    stopped: bool,
}

impl Groups {
    /// Runs for ever: the shard's `changes` come with every tick at least.
    pub(super) async fn follow(self: Rc<Self>) {
        loop {
            let mut notified = false;
            self.shard.changes.until(|| core::mem::replace(&mut notified, true)).await;
            self.follow_now();
            self.step(Input::Tick);
        }
    }

    pub(super) fn follow_now(self: &Rc<Self>) {
        let view = self.shard.view();
        let leader_changes = self.shard.leaders.borrow().changes();
        let now = Followed { view: Arc::clone(&view), leader_changes, stopped: self.stopped.get() };
        let before = self.followed.replace(now);
        let is_new_view = !Arc::ptr_eq(&before.view, &view);
        if !is_new_view && before.leader_changes == leader_changes && before.stopped == self.stopped.get() {
            return;
        }
        self.follow_leaders(&view);
        if is_new_view {
            for topic in deleted(&before.view, &view) {
                self.step(Input::TopicDeleted { topic });
            }
        }
    }

    fn follow_leaders(self: &Rc<Self>, view: &View) {
        let topic = view.topics.get(OFFSETS_TOPIC).filter(|_| !self.stopped.get());
        let count = topic.map_or(0, |topic| topic.partitions.len());
        self.step(Input::Partitions(i32::try_from(count).expect("bounded by the metadata's rules")));
        let term = |journal| self.shard.term_led(journal);
        let led = topic.map(|topic| led_of(topic, term)).unwrap_or_default();
        let known: BTreeMap<i32, Term> = self.coordinator.borrow().led().collect();
        for partition in known.keys().filter(|partition| !led.contains_key(partition)) {
            self.step(Input::Resign { partition: *partition });
        }
        for (partition, term) in led {
            if known.get(&partition) != Some(&term) {
                self.step(Input::Lead { partition, term });
            }
        }
    }
}

/// The partitions whose journal this shard leads.
fn led_of(topic: &TopicView, term: impl Fn(JournalId) -> Option<Term>) -> BTreeMap<i32, Term> {
    let one = |(number, partition): (i32, &engine::control::view::PartitionView)| {
        Some((number, term(partition.spans.last()?.journal)?))
    };
    (0..).zip(&topic.partitions).filter_map(one).collect()
}

/// Topics that are gone, or were made anew under the same name.
fn deleted(before: &View, now: &View) -> Vec<Arc<str>> {
    let same = |name: &str, topic: &TopicView| now.topics.get(name).is_some_and(|now| now.id == topic.id);
    let gone = before.topics.iter().filter(|(name, topic)| !same(name, topic));
    gone.map(|(name, _)| Arc::clone(name)).collect()
}
