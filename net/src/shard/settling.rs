//! When topics that were just made can be used on a shard: it knows who leads their partitions,
//! and those that it leads itself answer (a new journal's leader has yet to commit the first entry
//! of its term).

use crate::shard::leaders::Leadership;
use crate::shard::shard_loop::{Question, ShardLoop, TICK};
use engine::control::View;
use engine::control::view::PartitionView;
use engine::ids::{JournalId, TopicId};
use engine::port::QueryKind;
use std::rc::Rc;

/// Waits for it on this shard, at most until the deadline.
pub async fn settle_here(shard: &Rc<ShardLoop>, topics: &[TopicId], deadline_ns: u64) {
    let over = || shard.now().mono_ns >= deadline_ns;
    shard.changes.until(|| over() || leaders_are_known(shard, topics)).await;
    while !over() {
        let view = shard.view();
        let questions: Vec<Question> = partitions(&view, topics)
            .filter(|partition| journal(partition).is_some_and(|journal| shard.term_led(journal).is_some()))
            .map(|one| Question { partition: one.id, leader_epoch: -1, kind: QueryKind::Latest })
            .collect();
        if shard.query(&questions).await.iter().all(Result::is_ok) {
            return;
        }
        let next_ns = shard.now().plus(TICK);
        shard.changes.until(|| shard.now().mono_ns >= next_ns).await;
    }
}

fn leaders_are_known(shard: &ShardLoop, topics: &[TopicId]) -> bool {
    let (view, leaders) = (shard.view(), shard.leaders.borrow());
    let reaches = |known: &Leadership| known.leader.is_some_and(|leader| shard.is_reachable(&view, leader));
    let is_led = |journal| leaders.get(journal).is_some_and(reaches);
    let known = |partition: &PartitionView| journal(partition).is_some_and(is_led);
    partitions(&view, topics).all(known)
}

/// Of the topics that there still are.
fn partitions<'a>(view: &'a View, topics: &'a [TopicId]) -> impl Iterator<Item = &'a PartitionView> {
    let named = topics.iter().filter_map(|id| view.topics.get(view.topic_ids.get(id)?));
    named.flat_map(|topic| &topic.partitions)
}

/// Where the partition takes batches.
fn journal(partition: &PartitionView) -> Option<JournalId> {
    partition.spans.last().map(|span| span.journal)
}
