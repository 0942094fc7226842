//! The model: what clients were promised, and the checks that every answer must pass.
//!
//! It knows nothing of journals and disks. A check that fails panics with the property that was
//! violated; the panic names the seed.

pub mod attempts;
pub mod compaction;
pub mod damage;
pub mod groups;
pub mod partition;
#[cfg(test)]
mod tests;
pub mod topics;
pub mod transactions;

pub use attempts::{Attempt, Attempts, Uid};
pub use compaction::CompactionModel;
pub use damage::{DamageLedger, Hole};
pub use groups::GroupsModel;
pub use partition::{Fetched, PartitionModel};
pub use topics::Topics;
pub use transactions::TransactionsModel;

use engine::control::View;
use engine::ids::{JournalId, PartitionId, Term};
use std::collections::BTreeMap;

/// All that clients know.
#[derive(Default)]
pub struct Model {
    pub attempts: Attempts,
    pub partitions: BTreeMap<PartitionId, PartitionModel>,
    pub topics: Topics,
    pub damage: DamageLedger,
    pub groups: GroupsModel,
    pub transactions: TransactionsModel,
    pub compaction: CompactionModel,
    /// The newest term that each journal was led in.
    pub newest_terms: BTreeMap<JournalId, Term>,
    /// Answers come from several nodes.
    pub has_replicas: bool,
    producer_ids: std::collections::BTreeSet<i64>,
}

impl Model {
    pub fn new(has_replicas: bool) -> Self {
        Self { has_replicas, ..Self::default() }
    }

    /// New metadata: which partitions belong to topics that lose records by time, size or
    /// deletion.
    pub fn saw_view(&mut self, view: &View) {
        let broken = self.damage.broken.clone();
        let lost_heads = |journal| broken.iter().any(|broken| broken.journal == journal && broken.head);
        for (id, name) in &view.topic_ids {
            let Some(topic) = self.topics.by_id.get(id) else { continue };
            let (has_retention, is_deleted) = (topic.has_retention(), topic.delete_asked);
            for partition in &view.topics[name].partitions {
                let model = self.partition(partition.id);
                model.has_retention |= has_retention;
                model.is_deleted |= is_deleted;
                model.is_lossy |= partition.spans.iter().any(|span| lost_heads(span.journal));
            }
        }
    }

    /// A producer id is given once.
    pub fn producer_id_given(&mut self, id: i64) {
        assert!(self.producer_ids.insert(id), "producer id {id} was given twice");
    }

    pub fn partition(&mut self, partition: PartitionId) -> &mut PartitionModel {
        let has_replicas = self.has_replicas;
        self.partitions.entry(partition).or_insert_with(|| PartitionModel::new(partition, has_replicas))
    }
}
