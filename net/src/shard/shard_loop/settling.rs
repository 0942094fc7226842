//! When topics that were just made can be used on a shard: it knows who leads their partitions,
//! and those that it leads itself answer (a new journal's leader has yet to commit the first entry
//! of its term).

use crate::shard::completion::Slots;
use crate::shard::leaders::Leadership;
use crate::shard::mailbox::Mail;
use crate::shard::results::{Question, TICK};
use crate::shard::shard_loop::ShardLoop;
use engine::control::View;
use engine::control::view::PartitionView;
use engine::ids::{JournalId, ShardId, TopicId};
use engine::port::QueryKind;
use std::rc::Rc;
use std::sync::Arc;

impl ShardLoop {
    /// Waits until topics that were just made can be used on every shard of this node: each knows
    /// the leaders, and those led there answer; or until the deadline.
    pub async fn settle(self: &Rc<Self>, topics: &Arc<[TopicId]>, deadline_ns: u64) {
        let slots = Slots::new(usize::from(self.config.shards));
        let request = self.requests.borrow_mut().settle(Rc::clone(&slots));
        let wait_ns = deadline_ns.saturating_sub(self.now().mono_ns);
        for to in self.other_shards() {
            let mail = Mail::Settle { id: request.0, topics: Arc::clone(topics), wait_ns };
            self.with_mailbox(|mailbox| mailbox.send(to, mail));
        }
        settle_here(self, topics, deadline_ns).await;
        self.requests.borrow_mut().settled(request, self.shard());
        self.in_time(&slots, deadline_ns).await;
        self.requests.borrow_mut().cancel(request);
    }

    pub(super) fn settle_for(self: &Rc<Self>, from: ShardId, id: u64, topics: Arc<[TopicId]>, wait_ns: u64) {
        let this = Rc::clone(self);
        glommio::spawn_local(async move {
            let deadline_ns = this.now().mono_ns.saturating_add(wait_ns);
            settle_here(&this, &topics, deadline_ns).await;
            this.with_mailbox(|mailbox| mailbox.send(from, Mail::Settled { id }));
        })
        .detach();
    }
}

/// Waits for it on this shard, at most until the deadline.
async fn settle_here(shard: &Rc<ShardLoop>, topics: &[TopicId], deadline_ns: u64) {
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
