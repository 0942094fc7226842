//! What the first shard tells about every journal, for those who ask whether a node may stop.

use super::ShardLoop;
use crate::observe::may_stop::{KnownJournal, KnownJournals};
use engine::ids::{META_JOURNAL, NodeId, ShardId};
use std::time::Instant;

impl ShardLoop {
    /// On the first shard, about once a second.
    pub(super) fn publish_standing(&self) {
        if self.shard() != ShardId(0) {
            return;
        }
        let (view, own, now) = (self.view(), self.config.node, Instant::now());
        let (mut book, leaders) = (self.link_book.borrow_mut(), self.leaders.borrow());
        book.learn_topics(&view);
        let engine = self.engine.borrow();
        let voters = engine.journal(META_JOURNAL).and_then(|meta| meta.voter_nodes());
        let stands = |node: &&NodeId| **node == own || book.stands(**node, now);
        let journals = view.journals.values().map(|journal| {
            let known = leaders.get(journal.id);
            let in_sync = known.map_or(&[][..], |known| &known.in_sync);
            // Of the metadata some members only learn: their copies are no part of a majority.
            let voters = voters.as_ref().filter(|_| journal.id == META_JOURNAL);
            let replicas = voters.unwrap_or(&journal.replicas);
            KnownJournal {
                journal: journal.id.0,
                topics: book.topics_of(journal.id),
                replicas: replicas.iter().map(|node| node.0).collect(),
                leader: known.and_then(|known| known.leader).map(|leader| leader.0),
                whole: in_sync.iter().filter(stands).map(|node| node.0).collect(),
            }
        });
        let nodes = view.nodes.keys().map(|node| node.0).collect();
        self.status.publish_standing(KnownJournals { node: own.0, nodes, journals: journals.collect() });
    }
}
