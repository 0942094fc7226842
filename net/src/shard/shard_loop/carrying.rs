//! Errands on their way: from a shard that asks, by the node's shard of a journal's lane, to the shard that leads
//! the journal, on this node or another; and the answers back. A link may lose either: whoever asks waits for a time.

use super::ShardLoop;
use crate::shard::completion::Slots;
use crate::shard::errands::{Answering, Doer, ERRAND_WAIT, ErrandTicket, Origin};
use crate::shard::mailbox::Mail;
use engine::ids::{JournalId, LaneId, NodeId, ShardId};
use engine::peer::PeerMessage;
use engine::port::{Errand, ErrandAnswer};
use std::rc::Rc;

impl ShardLoop {
    /// Who does the errands that come to this shard.
    pub fn does_errands(&self, doer: Doer) {
        self.errands.borrow_mut().set_doer(doer);
    }

    /// Asks the leader of a journal and waits for the answer; none when nobody leads it, or none came in time.
    pub async fn errand(self: &Rc<Self>, journal: JournalId, errand: Errand) -> Option<ErrandAnswer> {
        self.end_errand(self.begin_errand(journal, errand)?).await
    }

    /// Asks the leader of a journal, if it is known.
    pub fn begin_errand(self: &Rc<Self>, journal: JournalId, errand: Errand) -> Option<ErrandTicket> {
        let lane = self.view.borrow().journals.get(&journal)?.lane;
        let node = self.leaders.borrow().get(journal)?.leader?;
        let slots = Slots::new(1);
        let until_ns = self.now().plus(ERRAND_WAIT);
        let shard = lane.shard(self.config.shards);
        if shard == self.shard() {
            self.pass_on(Origin::Here(Rc::clone(&slots)), node, lane, errand);
        } else {
            let id = self.errands.borrow_mut().add(Origin::Here(Rc::clone(&slots)), until_ns);
            self.with_mailbox(|mailbox| mailbox.send(shard, Mail::Errand { id, node, lane, errand }));
        }
        Some(ErrandTicket { slots, until_ns })
    }

    /// The answer; none when there was none in time.
    pub async fn end_errand(&self, ticket: ErrandTicket) -> Option<ErrandAnswer> {
        let ErrandTicket { slots, until_ns } = ticket;
        self.in_time(&slots, until_ns).await.then(|| slots.take().pop().expect("one slot"))
    }

    /// This shard has the journal's lane: it does the errand, or sends it to the node.
    fn pass_on(self: &Rc<Self>, origin: Origin, node: NodeId, lane: LaneId, errand: Errand) {
        if node == self.config.node {
            return self.do_errand(origin, errand);
        }
        let until_ns = self.now().plus(ERRAND_WAIT);
        let id = self.errands.borrow_mut().add(origin, until_ns);
        self.send_to_peer(node, lane, &PeerMessage::Errand { id, lane, errand });
    }

    fn do_errand(self: &Rc<Self>, origin: Origin, errand: Errand) {
        // Before the shard serves there is nobody: whoever asks asks again.
        let Some(doer) = self.errands.borrow().doer() else { return };
        let this = Rc::clone(self);
        doer(errand, Answering::new(move |answer| this.answer_errand(origin, answer)));
    }

    fn answer_errand(&self, origin: Origin, answer: ErrandAnswer) {
        match origin {
            // Nobody waits for it twice: a slot is filled by one answer.
            Origin::Here(slots) => {
                slots.fill(0, answer);
            }
            Origin::Shard(shard, id) => {
                self.with_mailbox(|mailbox| mailbox.send(shard, Mail::ErrandDone { id, answer }));
            }
            Origin::Peer(node, lane, id) => {
                self.send_to_peer(node, lane, &PeerMessage::ErrandDone { id, answer });
            }
        }
    }

    pub(super) fn errand_of_shard(
        self: &Rc<Self>,
        (from, id): (ShardId, u64),
        node: NodeId,
        lane: LaneId,
        errand: Errand,
    ) {
        self.pass_on(Origin::Shard(from, id), node, lane, errand);
    }

    pub(super) fn errand_of_peer(self: &Rc<Self>, (from, id): (NodeId, u64), lane: LaneId, errand: Errand) {
        self.do_errand(Origin::Peer(from, lane, id), errand);
    }

    /// An answer came from another shard or node; one that nobody waits for any more is for nobody.
    pub(super) fn errand_done(&self, id: u64, answer: ErrandAnswer) {
        let origin = self.errands.borrow_mut().remove(id);
        if let Some(origin) = origin {
            self.answer_errand(origin, answer);
        }
    }

    pub(super) fn expire_errands(&self) {
        self.errands.borrow_mut().expire(self.now().mono_ns);
    }
}
