//! The journal's part in an installation, at both ends.

use super::Journal;
use crate::clock::Now;
use crate::disk::BLOCK;
use crate::ids::{FileId, Index, NodeId, RaftId, Term};
use crate::journal::effects::{Done, Effects};
use crate::journal::format::checkpoint_file::Checkpoint;
use crate::journal::format::hard_state::HardState;
use crate::journal::format::install_file::Install;
use crate::journal::format::meta_record::JournalMeta;
use crate::journal::heal::done::{HealDone, Offered};
use crate::journal::heal::incoming::NoRoom;
use crate::journal::heal::install::{Fetching, follows, look_at_start, read_piece, write_install};
use crate::journal::ledger::state::State;
use crate::journal::log::segment::{Next, Segments};
use crate::journal::phase::Phase;
use crate::journal::read::sealed_index::SealedIndex;
use crate::peer::install::{InstallMessage, Offer, PIECE_BYTES_MAX};
use crate::peer::{PeerMessage, RaftKind, RaftMessage};
use crate::port::{Event, Output};
use core::time::Duration;

/// An offer is repeated this often while raft still wants what is gone.
const OFFER_AGAIN: Duration = Duration::from_millis(500);

/// A piece that did not come in this time is asked for again; the links lose what is under way.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// After so many questions without an answer the offer is void: the leader's log begins elsewhere by
/// now, or another one leads and offers its own.
const QUESTIONS_MAX: u32 = 5;

impl Journal {
    /// A node asks for an entry, to repair its own: it may be one that was deleted here.
    pub(super) fn note_asked(&mut self, by: NodeId, index: Index) {
        if index < self.log.segments.first() && self.quorum.replica.is_leader() {
            self.heal.installing.asked.insert(by);
        }
    }

    /// A leader offers the start of its log to those who need what was before.
    pub(super) fn offer_start(&mut self, now: Now, fx: &mut Effects) {
        let mut lagging = self.quorum.replica.take_lagging();
        let asked = core::mem::take(&mut self.heal.installing.asked);
        lagging.extend(asked.into_iter().filter_map(|node| self.quorum.members.newest_of(node)));
        let again_ns = OFFER_AGAIN.as_nanos() as u64;
        let offered = &self.heal.installing.offered;
        let is_due = |id: &RaftId| offered.get(id).is_none_or(|at_ns| now.mono_ns - at_ns >= again_ns);
        let first = self.log.segments.first();
        let due = lagging.into_iter().find(is_due).filter(|_| first > Index(1));
        let Some(to) = due.filter(|_| self.quorum.replica.is_leader() && !self.heal.installing.offering)
        else {
            return;
        };
        let place = match self.log.segments.place_of(first) {
            Some(place) if first <= self.log.appender.durable().index => Some(place),
            // The log's end is known in memory.
            None if self.log.cursor.next == first => None,
            _ => return,
        };
        self.heal.installing.offered.insert(to, now.mono_ns);
        self.heal.installing.offering = true;
        let known = self.log.cursor.previous_checksum;
        let (context, identity, journal) = (self.context.clone(), self.meta.identity(), self.id);
        fx.start(async move {
            let result = look_at_start(context, identity, place, first, known).await;
            Done::of(journal, HealDone::Offered { to, first, result })
        });
    }

    /// What stands at the log's start was looked at.
    pub fn offered(&mut self, to: RaftId, first: Index, result: Offered, fx: &mut Effects) {
        self.heal.installing.offering = false;
        let last = Index(first.0 - 1);
        let Some((checksum, bytes)) = result else {
            return fx.out.push(Output::Event(Event::NothingToInstall { journal: self.id, last }));
        };
        let (Some(last_term), true) = (self.quorum.replica.term_at(last), self.quorum.replica.is_leader())
        else {
            return;
        };
        let term = self.quorum.replica.term();
        let Some(node) = self.node_of(to) else { return };
        self.tell_install(
            node,
            InstallMessage::Offer(Offer { to, term, last, last_term, checksum, bytes }),
            fx,
        );
    }

    fn tell_install(&self, to: NodeId, message: InstallMessage, fx: &mut Effects) {
        let (journal, lane) = (self.id, self.meta.lane);
        fx.out.push(Output::Peer { to, lane, message: PeerMessage::Install { journal, message } });
    }

    /// Another replica's word on an installation.
    pub fn install_message(&mut self, from: NodeId, message: InstallMessage, now: Now, fx: &mut Effects) {
        match message {
            InstallMessage::Offer(offer) => self.take_offer(from, offer, now, fx),
            InstallMessage::Read { last, position } => self.lend_piece(from, last, position, fx),
            InstallMessage::Piece { last, position, bytes } => {
                self.take_piece(from, (last, position), &bytes, now, fx)
            }
        }
    }

    fn take_offer(&mut self, from: NodeId, offer: Offer, now: Now, fx: &mut Effects) {
        let is_wanted = match self.phase {
            // What this replica has up to there, and more, it gets as entries.
            Phase::Running => {
                self.leader() == (offer.term, Some(from))
                    && self.quorum.replica.commit() < offer.last
                    && self.quorum.replica.term_at(offer.last) != Some(offer.last_term)
            }
            // It follows nobody. A log begins behind what is committed, whoever's it is.
            _ => {
                self.needs_install() && (!self.goes_beyond(offer.last) || self.has_segment(offer.last.next()))
            }
        };
        let is_busy = self.heal.installing.fetching.is_some() || self.heal.installing.proven.is_some();
        if offer.to != self.quorum.replica.id() || !is_wanted || is_busy {
            return;
        }
        let (journal, last, bytes) = (self.id, offer.last, offer.bytes);
        let reserved = match self.context.incoming.reserve(bytes) {
            Ok(reserved) => reserved,
            // It is offered again.
            Err(NoRoom::Now) => return,
            Err(NoRoom::Ever { bytes_max }) => {
                if !core::mem::replace(&mut self.heal.installing.told_too_long, true) {
                    fx.out.push(Output::Event(Event::InstallTooLong { journal, from, bytes, bytes_max }));
                }
                return;
            }
        };
        fx.out.push(Output::Event(Event::Installing { journal, from, last, bytes }));
        let (file, asked_ns) = (Vec::new(), now.mono_ns);
        self.heal.installing.fetching =
            Some(Fetching { from, offer, file, asked_ns, questions: 0, reserved });
        self.ask_piece(now, fx);
    }

    /// Quarantined for entries that were lost, not for a vote that may have been.
    fn needs_install(&self) -> bool {
        self.is_quarantined() && self.heal.repair.is_of_lost_entries()
    }

    /// Something behind this may have been acknowledged: the log goes on, or a bound says that it did.
    fn goes_beyond(&self, last: Index) -> bool {
        let HardState { commit, synced, .. } = *self.log.votes.durable();
        self.log.last().max(self.known_commit()).max(commit).max(synced.index) > last
    }

    fn has_segment(&self, base: Index) -> bool {
        let Segments { sealed, rolled, active, .. } = &self.log.segments;
        let mut bases =
            sealed.iter().map(|sealed| sealed.base).chain(rolled.iter().map(|rolled| rolled.base));
        active.base == base || bases.any(|known| known == base)
    }

    fn ask_piece(&mut self, now: Now, fx: &mut Effects) {
        let Some(fetching) = &mut self.heal.installing.fetching else { return };
        fetching.asked_ns = now.mono_ns;
        fetching.questions += 1;
        let (from, last) = (fetching.from, fetching.offer.last);
        let position = fetching.file.len() as u64;
        self.tell_install(from, InstallMessage::Read { last, position }, fx);
    }

    fn lend_piece(&mut self, to: NodeId, last: Index, position: u64, fx: &mut Effects) {
        if !position.is_multiple_of(BLOCK as u64) || !self.upkeep.checkpoints.contains(&last) {
            return;
        }
        self.heal.installing.lending += 1;
        let (context, journal) = (self.context.clone(), self.id);
        fx.start(async move {
            let bytes = read_piece(context, last, position).await;
            Done::of(journal, HealDone::PieceRead { to, last, position, bytes })
        });
    }

    /// A piece was read for another replica.
    pub fn piece_read(
        &mut self,
        to: NodeId,
        (last, position): (Index, u64),
        bytes: Option<Vec<u8>>,
        fx: &mut Effects,
    ) {
        self.heal.installing.lending -= 1;
        if let Some(bytes) = bytes {
            self.tell_install(to, InstallMessage::Piece { last, position, bytes }, fx);
        }
    }

    fn take_piece(
        &mut self,
        from: NodeId,
        (last, position): (Index, u64),
        bytes: &[u8],
        now: Now,
        fx: &mut Effects,
    ) {
        let Some(fetching) = &mut self.heal.installing.fetching else { return };
        let left = fetching.offer.bytes - fetching.file.len() as u64;
        let is_asked = from == fetching.from && last == fetching.offer.last;
        if !is_asked || position != fetching.file.len() as u64 {
            // One that was asked for twice, or of an offer that is void.
            return;
        }
        if bytes.is_empty() || bytes.len() as u64 > left.min(PIECE_BYTES_MAX as u64) {
            self.counts.refused_messages += 1;
            return;
        }
        fetching.file.extend_from_slice(bytes);
        fetching.questions = 0;
        if fetching.file.len() as u64 == fetching.offer.bytes {
            self.prove(fx);
        } else {
            self.ask_piece(now, fx);
        }
    }

    /// All of the checkpoint is here: only a good one is taken.
    fn prove(&mut self, fx: &mut Effects) {
        let Some(Fetching { offer, file, reserved, .. }) = self.heal.installing.fetching.take() else {
            return;
        };
        let decoded = Checkpoint::decode("checkpoint", &file, &self.meta.identity());
        let is_good = decoded.is_ok_and(|checkpoint| {
            let state = State::decode(&self.meta, &checkpoint.body);
            (checkpoint.last, checkpoint.term) == (offer.last, offer.last_term)
                && state.is_ok_and(|state| state.fold.applied == offer.last)
        });
        let (journal, last) = (self.id, offer.last);
        let is_wanted = match self.phase {
            Phase::Running => !self.quorum.replica.is_leader(),
            _ => self.needs_install(),
        };
        if !is_good || !is_wanted {
            return fx.out.push(Output::Event(Event::InstallRefused { journal, last }));
        }
        let keeps = self.is_quarantined() && self.goes_beyond(last);
        let install = Install { last, term: offer.last_term, checksum: offer.checksum, keeps };
        self.heal.installing.proven = Some((install, file, reserved));
        // From here on it takes no messages, so that all under way comes to its end.
        self.heal.installing.before = Some(core::mem::replace(&mut self.phase, Phase::Installing));
        fx.leaders_changed = true;
    }

    /// About every 10 ms: asks again, or takes the last step.
    pub(super) fn tick_install(&mut self, now: Now, fx: &mut Effects) {
        if let Some(fetching) = &self.heal.installing.fetching
            && now.mono_ns - fetching.asked_ns >= ASK_AGAIN.as_nanos() as u64
        {
            if fetching.questions < QUESTIONS_MAX {
                self.ask_piece(now, fx);
            } else {
                self.heal.installing.fetching = None;
            }
        }
        if self.phase == Phase::Installing && !self.heal.installing.writing && self.is_at_rest() {
            let Some((install, file, reserved)) = self.heal.installing.proven.take() else { return };
            self.heal.installing.writing = true;
            let (context, identity, journal) = (self.context.clone(), self.meta.identity(), self.id);
            let first = install.last.next();
            let kept = install.keeps.then(|| self.log.segments.place_of(first));
            let open = self.open_files();
            fx.start(async move {
                let fits = match kept {
                    Some(place) => follows(context.clone(), identity, place, &install).await,
                    None => true,
                };
                let result = match fits {
                    true => write_install(context, identity, install, file, open).await.map(|()| true),
                    false => Ok(false),
                };
                drop(reserved);
                Done::Installed { journal, last: install.last, result }
            });
        }
    }

    fn open_files(&mut self) -> (Vec<FileId>, Vec<SealedIndex>) {
        // A fetch of before may still read from the few that are not sealed: they stay open.
        let mut files = vec![self.log.votes.file()];
        let mut indexes = Vec::new();
        if let Next::Ready { file, .. } = &self.log.segments.next {
            files.push(*file);
        }
        for sealed in &self.log.segments.sealed {
            files.push(sealed.file);
            let mut next = Some(sealed.clone());
            while let Some(sealed) = next {
                indexes.push(SealedIndex::clone(&sealed.index));
                next = sealed.replaced.clone();
            }
        }
        (files, indexes)
    }

    /// There was no room for the checkpoint, or what is to be kept does not follow it: everything is as it
    /// was.
    pub fn not_installed(&mut self, event: Event, fx: &mut Effects) {
        assert_eq!(self.phase, Phase::Installing);
        self.heal.installing.writing = false;
        self.phase = self.heal.installing.before.take().expect("it was something before");
        fx.out.push(Output::Event(event));
    }

    /// What it takes to open the journal again.
    pub fn reopened(&self) -> (JournalMeta, Vec<(RaftId, NodeId)>) {
        (self.meta.clone(), self.quorum.members.all())
    }

    /// After an installation nothing in the log tells the leader how far this replica is: it says so
    /// with every heartbeat, until the first entry came.
    pub(super) fn tell_start(&mut self, message: &RaftMessage, fx: &mut Effects) {
        let last = self.log.last();
        let is_bare = self.log.segments.first() == self.log.cursor.next && last > Index::NONE;
        let is_leaders =
            self.quorum.replica.leader() == Some(message.from) && self.quorum.replica.term() == message.term;
        let is_durable = self.log.votes.durable().term == message.term;
        if !is_bare || !is_leaders || !is_durable || !matches!(message.kind, RaftKind::Heartbeat { .. }) {
            return;
        }
        let Some(to) = self.node_of(message.from) else { return };
        let kind = RaftKind::AppendResponse {
            index: last,
            reject: false,
            hint: Index::NONE,
            hint_term: Term(0),
            commit: last,
        };
        let said = RaftMessage { from: self.quorum.replica.id(), to: message.from, term: message.term, kind };
        let (journal, lane) = (self.id, self.meta.lane);
        fx.out.push(Output::Peer { to, lane, message: PeerMessage::Raft { journal, message: said } });
    }
}
