//! The journal's part in settling a doubt: it asks, answers, and ends what is settled.

use super::Journal;
use crate::clock::Now;
use crate::ids::{Index, LogEnd, NodeId, RaftId, Term};
use crate::journal::effects::Effects;
use crate::journal::format::doubt_record::Doubt;
use crate::journal::heal::doubt::{self, Judged};
use crate::journal::phase::Phase;
use crate::peer::PeerMessage;
use crate::peer::doubt::{Answer, DoubtMessage, Held, Question, Voters};
use crate::port::{Event, Output, Settled};
use crate::raft::guard::TERM_MAX;
use crate::raft::{ELECTION_TICKS, Membership, TICK};
use core::time::Duration;

/// Questions are repeated: a link may lose one, and whoever was down comes back.
const ASK_AGAIN: Duration = Duration::from_millis(300);

/// Who hears no leader for so long takes it that there is none: links come up sooner, and one that is there
/// need not be deposed.
const UNHEARD: Duration = Duration::from_millis(2 * ELECTION_TICKS as u64 * TICK.as_millis() as u64);

impl Journal {
    /// What this replica may have acknowledged and cannot show.
    pub fn doubt(&self) -> Option<Doubt> {
        self.heal.doubt
    }

    /// About every 10 ms.
    pub(super) fn tick_doubt(&mut self, now: Now, fx: &mut Effects) {
        let Some(doubt) = self.heal.doubt else { return };
        if self.phase != Phase::Running || self.settle_by_log(doubt, fx) {
            return;
        }
        let heard = self.quorum.replica.leader().is_some();
        if heard {
            self.heal.asking.heard_ns = now.mono_ns;
        }
        let unheard_ns = now.mono_ns.saturating_sub(self.heal.asking.heard_ns);
        let wanted = self.heal.asking.began_in.next();
        if unheard_ns >= UNHEARD.as_nanos() as u64 && self.quorum.replica.term() < wanted {
            self.quorum.replica.raise_term(wanted);
            self.pump(now, fx);
        }
        let may_ask = heard || self.log.votes.durable().term >= wanted;
        if may_ask && now.mono_ns.saturating_sub(self.heal.asking.asked_ns) >= ASK_AGAIN.as_nanos() as u64 {
            self.heal.asking.asked_ns = now.mono_ns;
            self.ask_voters(doubt, wanted, fx);
        }
    }

    fn ask_voters(&self, doubt: Doubt, term: Term, fx: &mut Effects) {
        let own = self.quorum.replica.id();
        for to in doubt::voters(&self.named_voters(), &self.heal.asking.answers) {
            let last = self.quorum.replica.last_index();
            let (from, nonce, index) = (own, self.heal.asking.nonce, doubt.asked_for());
            if to != own {
                self.tell_doubt(to, DoubtMessage::Ask(Question { from, to, nonce, term, last, index }), fx);
            }
        }
    }

    fn tell_doubt(&self, to: RaftId, message: DoubtMessage, fx: &mut Effects) {
        if let Some(to) = self.node_of(to) {
            let (journal, lane) = (self.id, self.meta.lane);
            fx.out.push(Output::Peer { to, lane, message: PeerMessage::Doubt { journal, message } });
        }
    }

    /// Takes a question of a replica that is in doubt, or an answer to one of this replica.
    pub fn doubt_message(&mut self, from: NodeId, message: DoubtMessage, now: Now, fx: &mut Effects) {
        if !matches!(self.phase, Phase::Running | Phase::Stopping) {
            return;
        }
        let (sender, to) = match &message {
            DoubtMessage::Ask(question) => (question.from, question.to),
            DoubtMessage::Answer(answer) => (answer.from, answer.to),
        };
        self.quorum.members.hear(from, sender, self.quorum.replica.members());
        if to != self.quorum.replica.id() || self.node_of(sender) != Some(from) {
            return;
        }
        match message {
            DoubtMessage::Ask(question) => self.take_question(question, now, fx),
            DoubtMessage::Answer(answer) => self.take_answer(answer, fx),
        }
    }

    fn take_question(&mut self, question: Question, now: Now, fx: &mut Effects) {
        if question.term > TERM_MAX || !self.quorum.replica.members().contains(question.from) {
            return;
        }
        self.quorum.replica.forget_beyond(question.from, question.last);
        if self.log.votes.durable().term < question.term && self.phase == Phase::Running {
            // What it asks for is durable when it asks again. Where a leader is heard it will be, too.
            self.quorum.replica.raise_term(question.term);
        }
        self.pump(now, fx);
        let answer = Answer {
            from: self.quorum.replica.id(),
            to: question.from,
            nonce: question.nonce,
            term: self.log.votes.durable().term,
            end: self.quorum.replica.log_end(),
            held: self.held(question.index),
            floor: self.quorum.replica.floor(),
            leads: self.is_leader() && self.log.votes.durable().term == self.quorum.replica.term(),
            voters: self.named_voters(),
        };
        self.tell_doubt(question.from, DoubtMessage::Answer(answer), fx);
    }

    fn held(&self, index: Index) -> Held {
        if index < self.log.segments.first() {
            return Held::Passed;
        }
        let in_memory = || self.log.segments.in_memory(index)?.2.entry(index).map(|at| at.checksum);
        match self.quorum.replica.term_at(index) {
            Some(term) => Held::Entry { term, checksum: in_memory().unwrap_or(0) },
            None => Held::Nothing,
        }
    }

    /// Who decides, by all that this log says of members.
    fn named_voters(&self) -> Vec<Voters> {
        let voters =
            |members: &Membership| Voters { now: members.voters.clone(), before: members.outgoing.clone() };
        let mut members = self.quorum.replica.members().clone();
        let mut all = vec![voters(&members)];
        for change in self.ledger.heads.iter().filter_map(|head| head.change()?.ok()) {
            if let Some(changed) = members.changed(change) {
                members = changed;
                all.push(voters(&members));
            }
        }
        all
    }

    fn take_answer(&mut self, answer: Answer, fx: &mut Effects) {
        let Some(doubt) = self.heal.doubt.filter(|_| answer.nonce == self.heal.asking.nonce) else { return };
        if answer.leads && answer.term >= doubt.end.term {
            self.heal.asking.leader_end = Some((answer.term, answer.end));
        }
        if answer.term <= self.heal.asking.began_in {
            return;
        }
        self.heal.asking.answers.insert(answer.from, answer);
        let own = self.named_voters();
        match doubt::judge(&doubt, self.quorum.replica.id(), &own, &self.heal.asking.answers) {
            Judged::Open => {}
            Judged::NoMajorityHad => self.settle(Settled::NoVoterHas, fx),
            Judged::End(end) if end <= self.quorum.replica.log_end() => self.settle(Settled::NoVoterHas, fx),
            Judged::End(end) if end != doubt.end => {
                self.change_doubt(Some(Doubt { end, ..doubt }), fx);
                let (journal, raised) = (self.id, end > doubt.end);
                fx.out.push(Output::Event(Event::DoubtMoved { journal, end, raised }));
            }
            Judged::End(_) => {}
        }
    }

    /// What another node said before its link broke may be a former life's.
    pub(super) fn forget_answers_of(&mut self, node: NodeId) {
        let members = &self.quorum.members;
        self.heal.asking.answers.retain(|id, _| members.node_of(*id) != Some(node));
    }

    /// The own log, as far as it is durable, is what this replica counts as; or all that a leader had.
    fn settle_by_log(&mut self, doubt: Doubt, fx: &mut Effects) -> bool {
        let durable = self.log.appender.durable();
        let durable = LogEnd { term: durable.term, index: durable.index };
        let has_all = |(term, end): (Term, LogEnd)| {
            let leads_still = self.quorum.replica.leader().is_some() && self.quorum.replica.term() == term;
            leads_still
                && durable.index >= end.index
                && self.quorum.replica.term_at(end.index) == Some(end.term)
        };
        if durable < doubt.end && !self.heal.asking.leader_end.is_some_and(has_all) {
            return false;
        }
        let settled = match self.held(doubt.asked_for()) {
            Held::Entry { term, checksum } if !doubt.may_be(term, checksum) => Settled::ReplacedByLeader,
            Held::Nothing => Settled::ReplacedByLeader,
            _ => Settled::Healed,
        };
        self.settle(settled, fx);
        true
    }

    fn settle(&mut self, settled: Settled, fx: &mut Effects) {
        let Some(doubt) = self.heal.doubt else { return };
        self.change_doubt(None, fx);
        let (journal, first, last) = (self.id, doubt.asked_for(), doubt.end.index);
        fx.out.push(Output::Event(Event::DoubtSettled { journal, first, last, settled }));
    }

    /// The operator's word that what may have been acknowledged is given up.
    pub(super) fn accept_doubt(&mut self, fx: &mut Effects) {
        let Some(doubt) = self.log.votes.durable().doubt.filter(|_| self.heal.doubt.is_none()) else {
            return;
        };
        self.heal.doubt = Some(doubt);
        self.settle(Settled::Accepted, fx);
    }

    /// It counts once it is durable.
    fn change_doubt(&mut self, doubt: Option<Doubt>, fx: &mut Effects) {
        self.heal.doubt = doubt;
        self.write_hard_state(fx);
    }
}
