//! The world's side of errands, as `net` carries them: from the shard that asks to the one that leads a journal, on
//! this node or over the links to another, and the answers back. A link may lose either: who asks waits for a time.

use super::carried::{AskedBy, From, Marking, Step};
use super::coordinating::HostInput;
use super::coordinators::WAKE_NS_MAX;
use super::world::{Due, World};
use engine::groups::words::GroupNews;
use engine::groups::{Groups, OFFSETS_TOPIC};
use engine::ids::{JournalId, LaneId, NodeId};
use engine::peer::PeerMessage;
use engine::port::{
    Errand, ErrandAnswer, Input, JoinRefusal, JoinTransaction, MarkerAnswer, Markers, RequestId,
    TransactionVersion,
};
use engine::transactions::request::AddPartitions;
use engine::transactions::{Answer, ProducerEpoch, Request, TransactionError, TransactionalIds};

const MS: u64 = 1_000_000;
/// Who asked asks again after this: longer than what takes its time, shorter than a run's faults.
const ERRAND_NS_MAX: u64 = 1_000 * MS;
/// Requests that shards are given to do errands have numbers from here on, below twice as much.
const DONE_FIRST: u64 = 1 << 60;

impl World {
    pub(super) fn make_due(&mut self, node: usize, shard: u16, after_ns: u64, step: Step) {
        let run = self.nodes[node].run;
        self.schedule.add(self.now_ns + after_ns, Due::Transactions { node, run, shard, step });
    }

    pub(super) fn soon(&mut self, node: usize, shard: u16, step: Step) {
        let after_ns = self.rng.below(WAKE_NS_MAX);
        self.make_due(node, shard, after_ns, step);
    }

    pub(super) fn do_step(&mut self, node: usize, shard: u16, step: Step) {
        match step {
            Step::Turn => self.run_host::<TransactionalIds>(node, shard),
            Step::Request { request, body } => self.transaction_request(node, shard, request, body),
            Step::Batch { request, batch } => self.batch_arrived(node, shard, request, batch),
            Step::Offsets { request, offsets } => self.offsets_arrived(node, shard, request, offsets),
            Step::Errand { from, errand } => self.do_errand(node, shard, from, errand),
            Step::Answer { id, answer } => self.errand_answered(node, id, answer),
            Step::Round { end } => self.round(node, shard, end),
            Step::Join { join } => self.join(node, join),
        }
    }

    /// Asks the leader of a journal, if it is known; there is an answer in any case.
    pub(super) fn begin_errand(
        &mut self,
        node: usize,
        shard: u16,
        journal: JournalId,
        errand: Errand,
        by: AskedBy,
    ) {
        let here = &mut self.nodes[node];
        let id = here.carried.number();
        here.carried.asked.insert(id, by);
        let lane = here.view().journals.get(&journal).map(|journal| journal.lane);
        let leader = here.leaders.get(&journal).and_then(|(_, leader)| *leader);
        let (Some(lane), Some(leader)) = (lane, leader) else {
            return self.soon(node, shard, Step::Answer { id, answer: None });
        };
        self.make_due(node, shard, ERRAND_NS_MAX, Step::Answer { id, answer: None });
        if leader == NodeId(node as u32) {
            let shard = lane.shard(self.options.shards).0;
            return self.soon(node, shard, Step::Errand { from: From::Here(id), errand });
        }
        self.counts.add("transactions: errand to another node");
        self.send_message(node, leader, lane, &PeerMessage::Errand { id, lane, errand });
    }

    /// Another node asks; the shard takes it up a moment later.
    pub(super) fn errand_of_peer(
        &mut self,
        node: usize,
        shard: u16,
        (from, id): (NodeId, u64),
        lane: LaneId,
        errand: Errand,
    ) {
        self.soon(node, shard, Step::Errand { from: From::Peer { node: from, lane, id }, errand });
    }

    fn do_errand(&mut self, node: usize, shard: u16, from: From, errand: Errand) {
        if !self.nodes[node].is_ready() {
            // Nobody is there yet.
            return;
        }
        let request = RequestId(DONE_FIRST + self.nodes[node].carried.number());
        match errand {
            Errand::Mark(markers) => {
                let answers = vec![None; markers.partitions.len()];
                let marking = Marking { from, markers: markers.clone(), answers };
                self.nodes[node].carried.marks.insert(request, marking);
                self.input(node, shard, Input::Markers(Markers { request, ..markers }));
            }
            Errand::Join(join) => {
                self.nodes[node].carried.joined.insert(request, (from, join.partitions.len()));
                let input =
                    HostInput::<TransactionalIds>::Request { request, body: asked_of_coordinator(join) };
                self.tell_host::<TransactionalIds>(node, shard, input);
            }
        }
    }

    /// A marker has its outcome; none of a client's.
    pub(super) fn is_marked(
        &mut self,
        node: usize,
        shard: u16,
        request: RequestId,
        slot: u32,
        answer: MarkerAnswer,
    ) -> bool {
        let Some(marking) = self.nodes[node].carried.marks.get_mut(&request) else { return false };
        let before = marking.answers[slot as usize].replace(answer);
        assert_eq!(before, None, "slot {slot} of {request:?} was answered twice");
        if marking.answers.iter().all(Option::is_some) {
            let marking = self.nodes[node].carried.marks.remove(&request).expect("just seen");
            let answers: Vec<_> = marking.answers.into_iter().flatten().collect();
            self.tell_groups(node, shard, &marking.markers, &answers);
            self.answer_errand(node, marking.from, ErrandAnswer::Marked(answers));
        }
        true
    }

    /// Groups hear which transactions were ended in their partitions, before their coordinator does.
    fn tell_groups(&mut self, node: usize, shard: u16, markers: &Markers, answers: &[MarkerAnswer]) {
        let view = self.nodes[node].view();
        let Some(offsets) = view.topics.get(OFFSETS_TOPIC) else { return };
        for (partition, answer) in markers.partitions.iter().zip(answers) {
            self.counts.add(&format!("transactions: marker {answer:?}"));
            let number = (0..).zip(&offsets.partitions).find(|(_, one)| one.id == *partition);
            if let (Some((number, _)), MarkerAnswer::Done) = (number, answer) {
                let (producer, epoch, ending) = (markers.producer.0, markers.epoch, markers.ending);
                let news = GroupNews::TransactionEnded { producer, epoch, ending };
                self.tell_host::<Groups>(node, shard, HostInput::<Groups>::Heard { partition: number, news });
            }
        }
    }

    /// An answer of the coordinator to an errand, which then is not a client's.
    pub(super) fn is_errands(&mut self, node: usize, request: RequestId, answer: &Answer) -> bool {
        let Some((from, partitions)) = self.nodes[node].carried.joined.remove(&request) else { return false };
        let results = match answer {
            Answer::Added(Ok(results)) => results.iter().map(|one| one.map_err(join_refusal)).collect(),
            Answer::Added(Err(error)) => vec![Err(join_refusal(*error)); partitions],
            other => panic!("partitions were answered with {other:?}"),
        };
        self.answer_errand(node, from, ErrandAnswer::Joined(results));
        true
    }

    fn answer_errand(&mut self, node: usize, from: From, answer: ErrandAnswer) {
        match from {
            From::Here(id) => self.soon(node, 0, Step::Answer { id, answer: Some(answer) }),
            From::Peer { node: to, lane, id } => {
                self.send_message(node, to, lane, &PeerMessage::ErrandDone { id, answer });
            }
        }
    }

    /// An answer came from another node.
    pub(super) fn errand_done(&mut self, node: usize, shard: u16, id: u64, answer: ErrandAnswer) {
        self.soon(node, shard, Step::Answer { id, answer: Some(answer) });
    }

    fn errand_answered(&mut self, node: usize, id: u64, answer: Option<ErrandAnswer>) {
        // One that nobody waits for any more is for nobody.
        match self.nodes[node].carried.asked.remove(&id) {
            None => {}
            Some(AskedBy::End { end, journal }) => self.end_answered(node, end, journal, answer),
            Some(AskedBy::Join { join }) => self.join_answered(node, join, answer),
        }
    }
}

fn asked_of_coordinator(join: JoinTransaction) -> Request {
    Request::Add(AddPartitions {
        transactional_id: join.transactional_id,
        producer: ProducerEpoch { id: join.producer.0, epoch: join.epoch },
        partitions: join.partitions,
        verify_only: !join.adds,
        version: if join.adds { TransactionVersion::Two } else { TransactionVersion::One },
    })
}

fn join_refusal(error: TransactionError) -> JoinRefusal {
    match error {
        TransactionError::ConcurrentTransactions => JoinRefusal::Concurrent,
        TransactionError::ProducerFenced => JoinRefusal::OldEpoch,
        TransactionError::InvalidProducerIdMapping => JoinRefusal::OtherProducer,
        TransactionError::CoordinatorLoadInProgress
        | TransactionError::CoordinatorNotAvailable
        | TransactionError::NotCoordinator => JoinRefusal::Unavailable,
        _ => JoinRefusal::NotInTransaction,
    }
}
