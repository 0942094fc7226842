//! Ends of transactions on their way to their partitions, as `net` sends them: rounds of the engine's making.

use super::carried::{AskedBy, End, Step, TransactionAnswer};
use super::coordinating::{Coordinating, HostInput, HostOutput};
use super::coordinators::Hosted;
use super::node::{Node, ShardSlot};
use super::world::{Due, Happening, World};
use engine::coordinator::host::Output as Asked;
use engine::coordinator::{StateMachine, Tenure};
use engine::ids::JournalId;
use engine::port::{Errand, ErrandAnswer, RequestId};
use engine::shard::Shard;
use engine::transactions::rounds::{Rounds, coordinator_epoch};
use engine::transactions::{Request, SendMarkers, TransactionalIds};

impl Hosted for TransactionalIds {
    const NAME: &'static str = "transactions";
    const FIRST: u64 = 1 << 61;

    fn beside_shard(slot: &mut ShardSlot) -> (&mut Coordinating<Self>, &Shard) {
        (&mut slot.transactions, &slot.shard)
    }

    fn due(node: usize, run: u64, shard: u16) -> Due {
        Due::Transactions { node, run, shard, step: Step::Turn }
    }

    fn output(world: &mut World, node: usize, shard: u16, output: HostOutput<Self>) {
        match output {
            Asked::Answer { request, answer } => {
                let line = format_args!("n{node}/s{shard} -> transactions {request:?} {answer:?}");
                world.trace.line(world.now_ns, line);
                if !world.is_errands(node, request, &answer) {
                    let answer = TransactionAnswer::Coordinator(answer);
                    world.happened.push(Happening::TransactionAnswer { node, shard, request, answer });
                }
            }
            Asked::Effect { tenure, effect } => world.begin_end(node, shard, tenure, effect),
            other => unreachable!("it is carried out for all hosts: {other:?}"),
        }
    }
}

impl World {
    pub(super) fn transaction_request(&mut self, node: usize, shard: u16, request: RequestId, body: Request) {
        let input = HostInput::<TransactionalIds>::Request { request, body };
        self.tell_host::<TransactionalIds>(node, shard, input);
        self.run_host::<TransactionalIds>(node, shard);
    }

    fn begin_end(&mut self, node: usize, shard: u16, tenure: Tenure, effect: SendMarkers) {
        let here = &mut self.nodes[node];
        let host = &here.shards[shard as usize].transactions.host;
        let Some(term) = host.term_of(tenure) else { return };
        let epoch = coordinator_epoch(&here.view(), TransactionalIds::TOPIC, tenure.partition, term);
        let rounds = Rounds::new(effect, epoch);
        let end = here.carried.number();
        here.carried.ends.0.insert(end, End { shard, tenure, rounds, knows_all: false });
        self.soon(node, shard, Step::Round { end });
    }

    pub(super) fn round(&mut self, node: usize, shard: u16, end: u64) {
        let here = &mut self.nodes[node];
        let view = here.view();
        let Some(one) = here.carried.ends.0.get_mut(&end) else { return };
        if here.shards[shard as usize].transactions.host.term_of(one.tenure).is_none() {
            here.carried.ends.0.remove(&end);
            return;
        }
        let asked = one.rounds.begin(&view, one.knows_all);
        let is_over = asked.is_empty();
        for (journal, markers) in asked {
            self.begin_errand(node, shard, journal, Errand::Mark(markers), AskedBy::End { end, journal });
        }
        if is_over {
            self.round_is_over(node, end);
        }
    }

    pub(super) fn end_answered(
        &mut self,
        node: usize,
        end: u64,
        journal: JournalId,
        answer: Option<ErrandAnswer>,
    ) {
        let ends = &mut self.nodes[node].carried.ends.0;
        let Some(one) = ends.get_mut(&end) else { return };
        if one.rounds.answered(journal, answer).is_err() {
            ends.remove(&end);
            return self.counts.add("transactions: a deposed coordinator's marker refused");
        }
        if one.rounds.is_over() {
            self.round_is_over(node, end);
        }
    }

    fn round_is_over(&mut self, node: usize, end: u64) {
        let published = self.nodes.iter().map(|node| node.published).max().unwrap_or_default();
        let here: &mut Node = &mut self.nodes[node];
        let view = here.view();
        let one = here.carried.ends.0.get_mut(&end).expect("its round is just over");
        if one.rounds.is_done() {
            let one = here.carried.ends.0.remove(&end).expect("just seen");
            let input = HostInput::<TransactionalIds>::Told { tenure: one.tenure, news: one.rounds.news() };
            return self.tell_host::<TransactionalIds>(node, one.shard, input);
        }
        one.knows_all = one.rounds.has_unknown(&view) && view.version >= published;
        let (shard, wait) = (one.shard, one.rounds.next_wait());
        self.counts.add("transactions: markers sent again");
        self.make_due(node, shard, wait.as_nanos() as u64, Step::Round { end });
    }
}
