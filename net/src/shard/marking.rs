//! Sends a transaction's end to the leaders of its partitions: one errand for each journal with all partitions there,
//! again until each partition has its marker, is gone, or this coordinator is none any more.

use super::errands::ErrandTicket;
use super::hosting::Hosting;
use super::shard_loop::ShardLoop;
use engine::control::{Command, View};
use engine::coordinator::{StateMachine, Tenure};
use engine::ids::{JournalId, PartitionId, ProducerId, Term};
use engine::port::{Errand, ErrandAnswer, MarkerAnswer, Markers, RequestId};
use engine::transactions::request::TopicPartition;
use engine::transactions::{SendMarkers, TransactionNews, TransactionalIds};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Between two rounds, doubling.
const AGAIN_MIN: Duration = Duration::from_millis(5);
const AGAIN_MAX: Duration = Duration::from_millis(500);

/// Starts a task that lasts until all markers are written or the leadership is over.
pub fn start(
    shard: &Rc<ShardLoop>,
    hosting: &Rc<Hosting<TransactionalIds>>,
    tenure: Tenure,
    effect: SendMarkers,
) {
    let Some(term) = hosting.term_of(tenure) else { return };
    let marking = Marking {
        shard: Rc::clone(shard),
        hosting: Rc::clone(hosting),
        tenure,
        coordinator_epoch: coordinator_epoch(&shard.view(), tenure.partition, term),
        effect,
    };
    glommio::spawn_local(marking.run()).detach();
}

/// The leader epoch of the coordinator's partition, as clients see it.
fn coordinator_epoch(view: &View, partition: i32, term: Term) -> i32 {
    let topic = view.topics.get(TransactionalIds::TOPIC);
    let partition = topic.and_then(|topic| topic.partitions.get(usize::try_from(partition).ok()?));
    let base = partition.and_then(|partition| partition.spans.last()).map_or(0, |span| span.epoch_base);
    base.saturating_add(i32::try_from(term.0).unwrap_or(i32::MAX))
}

struct Marking {
    shard: Rc<ShardLoop>,
    hosting: Rc<Hosting<TransactionalIds>>,
    tenure: Tenure,
    coordinator_epoch: i32,
    effect: SendMarkers,
}

/// Whether a newer coordinator wrote.
struct Fenced;

impl Marking {
    async fn run(self) {
        let mut left = self.effect.partitions.clone();
        let (mut wait, mut knows_all) = (AGAIN_MIN, false);
        while self.hosting.term_of(self.tenure).is_some() {
            let Ok(rest) = self.round(left, knows_all).await else { return };
            if rest.is_empty() {
                return self.done();
            }
            // What this node's metadata does not know is gone only if they are new enough.
            knows_all = self.has_unknown(&rest) && self.learn_metadata().await;
            left = rest;
            glommio::timer::sleep(wait).await;
            wait = (2 * wait).min(AGAIN_MAX);
        }
    }

    fn done(self) {
        let (id, producer) = (Arc::clone(&self.effect.transactional_id), self.effect.producer);
        self.hosting.tell(self.tenure, TransactionNews::Marked { transactional_id: id, producer });
    }

    fn has_unknown(&self, partitions: &[TopicPartition]) -> bool {
        let view = self.shard.view();
        partitions.iter().any(|one| place(&view, one).is_none())
    }

    /// Any command that is carried out: its answer comes when this node has all that was decided before.
    async fn learn_metadata(&self) -> bool {
        let ticket = self.shard.begin_control(Command::AllocateProducerIds { count: 1 });
        self.shard.end_control(ticket, self.shard.now().plus(AGAIN_MAX * 10)).await.is_ok()
    }

    /// Asks all leaders; gives the partitions that are to be asked again.
    async fn round(
        &self,
        partitions: Vec<TopicPartition>,
        knows_all: bool,
    ) -> Result<Vec<TopicPartition>, Fenced> {
        let view = self.shard.view();
        let mut by_journal: BTreeMap<JournalId, Vec<(PartitionId, TopicPartition)>> = BTreeMap::new();
        let mut rest = Vec::new();
        for one in partitions {
            match place(&view, &one) {
                Some((journal, partition)) => by_journal.entry(journal).or_default().push((partition, one)),
                None if knows_all => {}
                None => rest.push(one),
            }
        }
        // All at once: each takes the time of a commit.
        let mut begun = Vec::with_capacity(by_journal.len());
        for (journal, partitions) in by_journal {
            begun.push((self.ask(journal, &partitions), partitions));
        }
        for (ticket, partitions) in begun {
            let answer = match ticket {
                Some(ticket) => self.shard.end_errand(ticket).await,
                None => None,
            };
            rest.extend(self.judge(partitions, answer)?);
        }
        Ok(rest)
    }

    fn ask(&self, journal: JournalId, partitions: &[(PartitionId, TopicPartition)]) -> Option<ErrandTicket> {
        let markers = Markers {
            request: RequestId(0),
            producer: ProducerId(self.effect.producer.id),
            epoch: self.effect.producer.epoch,
            version: self.effect.version,
            coordinator_epoch: self.coordinator_epoch,
            ending: self.effect.ending,
            partitions: partitions.iter().map(|(partition, _)| *partition).collect(),
        };
        self.shard.begin_errand(journal, Errand::Mark(markers))
    }

    /// The partitions that are to be asked again.
    fn judge(
        &self,
        partitions: Vec<(PartitionId, TopicPartition)>,
        answer: Option<ErrandAnswer>,
    ) -> Result<Vec<TopicPartition>, Fenced> {
        let answers = match answer {
            Some(ErrandAnswer::Marked(answers)) if answers.len() == partitions.len() => answers,
            _ => vec![MarkerAnswer::Moved; partitions.len()],
        };
        let mut rest = Vec::new();
        for ((_, one), answer) in partitions.into_iter().zip(answers) {
            match answer {
                MarkerAnswer::Done => {}
                MarkerAnswer::Moved | MarkerAnswer::Full => rest.push(one),
                // It can only be that somebody ended it there by hand.
                MarkerAnswer::OldEpoch => {
                    let (id, producer) = (&self.effect.transactional_id, self.effect.producer);
                    tracing::warn!(id = &**id, ?producer, ?one, "a transaction was ended by another marker");
                }
                MarkerAnswer::OldCoordinator => return Err(Fenced),
            }
        }
        Ok(rest)
    }
}

/// Where a partition is, if this node knows it.
fn place(view: &View, (topic, number): &TopicPartition) -> Option<(JournalId, PartitionId)> {
    let partition = view.topics.get(topic)?.partitions.get(usize::try_from(*number).ok()?)?;
    Some((partition.spans.last()?.journal, partition.id))
}
