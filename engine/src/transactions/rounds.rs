//! A transaction's end on its way to the leaders of its partitions: one request for each journal with all partitions
//! there, round after round, until each partition has its marker or is gone. Who carries the requests, and waits
//! between two rounds, is the caller's business.

use super::request::TopicPartition;
use super::words::{SendMarkers, TransactionNews};
use crate::control::View;
use crate::ids::{JournalId, PartitionId, ProducerId, Term};
use crate::port::{ErrandAnswer, MarkerAnswer, Markers, RequestId};
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Between two rounds, doubling.
const AGAIN_MIN: Duration = Duration::from_millis(5);
const AGAIN_MAX: Duration = Duration::from_millis(500);

/// The leader epoch of a partition of `topic`, as clients see it, where it is led in this term.
pub fn coordinator_epoch(view: &View, topic: &str, partition: i32, term: Term) -> i32 {
    let topic = view.topics.get(topic);
    let partition = topic.and_then(|topic| topic.partitions.get(usize::try_from(partition).ok()?));
    let base = partition.and_then(|partition| partition.spans.last()).map_or(0, |span| span.epoch_base);
    base.saturating_add(i32::try_from(term.0).unwrap_or(i32::MAX))
}

/// A newer coordinator wrote: nothing will come of this one's markers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fenced;

/// See the head of this file.
///
/// Invariant: a partition is in `left` or `asked`, or it has its marker, or is gone.
#[derive(Debug)]
pub struct Rounds {
    effect: SendMarkers,
    coordinator_epoch: i32,
    left: Vec<TopicPartition>,
    asked: BTreeMap<JournalId, Vec<(PartitionId, TopicPartition)>>,
    wait: Duration,
    /// Ended there by a marker that is not this coordinator's.
    ended_by_others: Vec<TopicPartition>,
}

impl Rounds {
    pub fn new(effect: SendMarkers, coordinator_epoch: i32) -> Self {
        let left = effect.partitions.clone();
        let (asked, ended_by_others) = (BTreeMap::new(), Vec::new());
        Self { effect, coordinator_epoch, left, asked, wait: AGAIN_MIN, ended_by_others }
    }

    /// Begins a round: what to ask the leader of each journal. Where the view has all that was decided when the
    /// round before was over, what it does not know is gone.
    pub fn begin(&mut self, view: &View, knows_all: bool) -> Vec<(JournalId, Markers)> {
        assert!(self.asked.is_empty(), "one round at a time");
        for one in core::mem::take(&mut self.left) {
            match place(view, &one) {
                Some((journal, id)) => self.asked.entry(journal).or_default().push((id, one)),
                None if knows_all => {}
                None => self.left.push(one),
            }
        }
        self.asked.iter().map(|(journal, partitions)| (*journal, self.markers(partitions))).collect()
    }

    fn markers(&self, partitions: &[(PartitionId, TopicPartition)]) -> Markers {
        Markers {
            request: RequestId(0),
            producer: ProducerId(self.effect.producer.id),
            epoch: self.effect.producer.epoch,
            version: self.effect.version,
            coordinator_epoch: self.coordinator_epoch,
            ending: self.effect.ending,
            partitions: partitions.iter().map(|(partition, _)| *partition).collect(),
        }
    }

    /// What the leader of a journal answered; none when nobody did in time.
    pub fn answered(&mut self, journal: JournalId, answer: Option<ErrandAnswer>) -> Result<(), Fenced> {
        let partitions = self.asked.remove(&journal).expect("an answer of who was asked");
        let answers = match answer {
            Some(ErrandAnswer::Marked(answers)) if answers.len() == partitions.len() => answers,
            _ => vec![MarkerAnswer::Moved; partitions.len()],
        };
        for ((_, one), answer) in partitions.into_iter().zip(answers) {
            match answer {
                MarkerAnswer::Done => {}
                MarkerAnswer::Moved | MarkerAnswer::Full => self.left.push(one),
                MarkerAnswer::OldEpoch => self.ended_by_others.push(one),
                MarkerAnswer::OldCoordinator => return Err(Fenced),
            }
        }
        Ok(())
    }

    /// Whether all that were asked in this round have answered.
    pub fn is_over(&self) -> bool {
        self.asked.is_empty()
    }

    /// Whether each partition has its marker, or is gone.
    pub fn is_done(&self) -> bool {
        self.left.is_empty() && self.asked.is_empty()
    }

    /// Partitions that this metadata does not know are left.
    pub fn has_unknown(&self, view: &View) -> bool {
        self.left.iter().any(|one| place(view, one).is_none())
    }

    /// How long to wait before the next round.
    pub fn next_wait(&mut self) -> Duration {
        let wait = self.wait;
        self.wait = (2 * wait).min(AGAIN_MAX);
        wait
    }

    /// Partitions in which it can only be that somebody ended the transaction by hand.
    pub fn ended_by_others(&self) -> &[TopicPartition] {
        &self.ended_by_others
    }

    /// What the coordinator is told when it is done.
    pub fn news(&self) -> TransactionNews {
        let (transactional_id, producer) = (Arc::clone(&self.effect.transactional_id), self.effect.producer);
        TransactionNews::Marked { transactional_id, producer }
    }
}

/// Where a partition is, if this node knows it.
fn place(view: &View, (topic, number): &TopicPartition) -> Option<(JournalId, PartitionId)> {
    let partition = view.topics.get(topic)?.partitions.get(usize::try_from(*number).ok()?)?;
    Some((partition.spans.last()?.journal, partition.id))
}

#[cfg(test)]
mod tests {
    use super::super::request::ProducerEpoch;
    use super::*;
    use crate::batch::Ending;
    use crate::control::config::Statics;
    use crate::control::life::TopicSettings;
    use crate::control::view::{PartitionView, SpanView, TopicView};
    use crate::ids::TopicId;
    use crate::port::TransactionVersion;

    /// Topic `t` with a partition in each of these journals.
    fn view(journals: &[u64]) -> View {
        let partition = |(number, journal): (u64, &u64)| {
            let span = SpanView { journal: JournalId(*journal), first_offset: 0, epoch_base: 3 };
            PartitionView { id: PartitionId(number), spans: vec![span] }
        };
        let topic = TopicView {
            name: "t".into(),
            id: TopicId(1),
            replication_factor: 1,
            partitions: (0..).zip(journals).map(partition).collect(),
            configs: BTreeMap::new(),
            settings: TopicSettings::effective(&BTreeMap::new(), &BTreeMap::new(), &Statics::default()),
        };
        let mut view = View::default();
        view.topics.insert("t".into(), Arc::new(topic));
        view
    }

    fn rounds(partitions: i32) -> Rounds {
        let effect = SendMarkers {
            transactional_id: "x".into(),
            producer: ProducerEpoch { id: 7, epoch: 2 },
            version: TransactionVersion::Two,
            ending: Ending::Commit,
            partitions: (0..partitions).map(|number| ("t".into(), number)).collect(),
        };
        Rounds::new(effect, 9)
    }

    fn marked(answers: &[MarkerAnswer]) -> Option<ErrandAnswer> {
        Some(ErrandAnswer::Marked(answers.to_vec()))
    }

    #[test]
    fn each_journal_is_asked_at_once_and_again_for_what_is_left() {
        let (view, mut rounds) = (view(&[5, 6, 5]), rounds(3));
        let asked = rounds.begin(&view, false);
        let of = |journal, partitions: &[u64]| {
            let partitions: Vec<_> = partitions.iter().map(|one| PartitionId(*one)).collect();
            (JournalId(journal), partitions)
        };
        let told: Vec<_> = asked.iter().map(|(journal, one)| (*journal, one.partitions.clone())).collect();
        assert_eq!(told, [of(5, &[0, 2]), of(6, &[1])]);
        assert_eq!((asked[0].1.epoch, asked[0].1.coordinator_epoch), (2, 9));
        assert_eq!(rounds.answered(JournalId(5), marked(&[MarkerAnswer::Done, MarkerAnswer::Moved])), Ok(()));
        assert!(!rounds.is_over() && !rounds.is_done());
        assert_eq!(rounds.answered(JournalId(6), None), Ok(()));
        assert!(rounds.is_over() && !rounds.is_done());
        let again: Vec<_> = rounds.begin(&view, false).into_iter().map(|(_, one)| one.partitions).collect();
        assert_eq!(again, [[PartitionId(2)], [PartitionId(1)]]);
        assert_eq!(rounds.answered(JournalId(5), marked(&[MarkerAnswer::OldEpoch])), Ok(()));
        assert_eq!(rounds.answered(JournalId(6), marked(&[MarkerAnswer::Done])), Ok(()));
        assert!(rounds.is_done());
        assert_eq!(rounds.ended_by_others(), [("t".into(), 2)]);
        assert_eq!(rounds.next_wait() * 2, rounds.next_wait());
    }

    #[test]
    fn what_metadata_do_not_know_is_gone_once_they_have_all() {
        let mut rounds = rounds(1);
        let none = View::default();
        assert!(rounds.begin(&none, false).is_empty());
        assert!(rounds.is_over() && !rounds.is_done() && rounds.has_unknown(&none));
        assert!(rounds.begin(&none, true).is_empty());
        assert!(rounds.is_done());
    }

    #[test]
    fn a_newer_coordinator_ends_it_and_its_epoch_is_that_of_its_partition() {
        let (view, mut rounds) = (view(&[5]), rounds(1));
        rounds.begin(&view, false);
        assert_eq!(rounds.answered(JournalId(5), marked(&[MarkerAnswer::OldCoordinator])), Err(Fenced));
        assert_eq!(coordinator_epoch(&view, "t", 0, Term(4)), 7);
        assert_eq!(coordinator_epoch(&view, "t", 1, Term(4)), 4);
    }
}
