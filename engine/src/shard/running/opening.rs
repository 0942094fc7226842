//! The way of a replica from what the metadata and the register say of it to one that takes part.
//!
//! ```text
//! not entered:  make ─▶ enter ─▶ recover ─▶ run
//! entered:                       recover ─▶ run
//! lost:         wait for another raft id ─▶ set aside ─▶ make ─▶ enter ─▶ recover ─▶ run
//! ```
//! Only what is entered may vote or acknowledge, and what is entered and not there is lost.

use super::Shard;
use crate::clock::Now;
use crate::control::View;
use crate::control::view::JournalView;
use crate::disk::{DiskError, DiskErrorKind};
use crate::folder;
use crate::ids::{JournalId, META_JOURNAL, RaftId};
use crate::journal::context::Context;
use crate::journal::effects::{Done, Effects};
use crate::journal::format::meta_record::JournalMeta;
use crate::journal::log::procedures::{self, Made};
use crate::journal::read::cache::EntryCache;
use crate::journal::recover::recovery::{Recovered, RecoveryError, recover};
use crate::journal::{Journal, Options};
use crate::port::{Event, Fatal, Output};
use crate::register::{Amnesia, Registered};
use crate::rng::mix;
use crate::shard::slot::{Members, Slot, Stage};
use core::time::Duration;
use std::rc::Rc;
use std::sync::Arc;

/// A journal that found no room is tried again this often.
const OPEN_RETRY: Duration = Duration::from_millis(500);

/// What is to become of a replica that is neither open nor being opened.
enum Standing {
    Begin(Stage, JournalMeta),
    Lost(Amnesia),
    /// The metadata here is older than what is entered.
    Wait,
}

impl Shard {
    /// Replicas that have forgotten what they promised, and why; they take no part.
    pub fn lost_replicas(&self) -> impl Iterator<Item = (JournalId, Amnesia)> {
        self.journals.iter().filter_map(|(id, slot)| match slot {
            Slot::Lost { why, .. } => Some((*id, *why)),
            _ => None,
        })
    }

    /// Opens, makes or gives up what this shard is to have, as the metadata and the register say.
    pub(super) fn look_after_replicas(&mut self, now: Now, fx: &mut Effects) {
        let view = Arc::clone(&self.view);
        for journal in view.journals.values() {
            let is_mine = journal.lane.shard(self.config.shards) == self.config.shard
                && journal.replicas.contains(&self.config.node);
            let is_open = matches!(
                self.journals.get(&journal.id),
                Some(Slot::Running(_) | Slot::Opening { .. } | Slot::Closed(_))
            );
            if !is_mine || is_open || journal.id == META_JOURNAL {
                continue;
            }
            match self.standing(&view, journal) {
                Standing::Begin(stage, meta) => {
                    if stage == Stage::SetAside {
                        let raft_id = meta.raft_id;
                        fx.out.push(Output::Event(Event::Renewed { journal: journal.id, raft_id }));
                    }
                    let nodes = journal.replicas.iter().filter_map(|node| view.nodes.get(node));
                    let members =
                        nodes.flat_map(|node| journal.raft_ids_of(node).map(|id| (id, node.node))).collect();
                    self.add_journal(meta, members, stage, now, fx);
                }
                Standing::Lost(why) => {
                    self.journals.insert(journal.id, Slot::Lost { lane: journal.lane, why });
                }
                Standing::Wait => {}
            }
        }
    }

    fn standing(&self, view: &View, journal: &JournalView) -> Standing {
        let Some(register) = self.register.as_ref().filter(|register| register.is_complete) else {
            return Standing::Wait;
        };
        let mut meta = self.journal_meta(view, journal);
        let entered = register.journals.get(&journal.id).copied();
        // A journal of one replica goes on under the raft id that its first entries name.
        let is_alone = journal.replicas.len() == 1;
        match entered {
            None => Standing::Begin(Stage::Make, meta),
            Some(Registered { lost: Some(why), .. }) if is_alone => {
                meta.raft_id = journal.voters[0];
                match self.config.accept_loss.contains(&journal.id) {
                    true => Standing::Begin(Stage::SetAside, meta),
                    false => Standing::Lost(why),
                }
            }
            // Nothing that is left is set aside, nor begun anew, before others are known to have it.
            Some(Registered { lost: Some(why), .. }) if self.is_only_copy(journal) => Standing::Lost(why),
            Some(Registered { raft_id, .. }) if meta.raft_id < raft_id => Standing::Wait,
            Some(Registered { raft_id, lost: Some(why), .. }) if meta.raft_id == raft_id => {
                Standing::Lost(why)
            }
            Some(Registered { raft_id, lost: None, .. }) if meta.raft_id == raft_id => {
                Standing::Begin(Stage::Recover, meta)
            }
            // Lost, and the metadata names the one that takes its place.
            Some(_) => Standing::Begin(Stage::SetAside, meta),
        }
    }

    /// Nobody else may have what this node has of a journal: it is to have one replica, or began with one, and that
    /// others took over is not known. While it grows what is left here is not to be made anew.
    pub(super) fn is_only_copy(&self, journal: &JournalView) -> bool {
        let is_led_elsewhere = || self.leader_of(journal.id).is_some_and(|leader| leader != self.config.node);
        journal.replicas.len() == 1 || journal.voters.len() == 1 && !is_led_elsewhere()
    }

    fn journal_meta(&self, view: &View, journal: &JournalView) -> JournalMeta {
        let node = view.nodes.get(&self.config.node).expect("a replica is a node of the cluster");
        JournalMeta {
            journal: journal.id,
            cluster: view.cluster,
            secret: journal.secret,
            segment_bytes: journal.segment_bytes,
            batches_per_segment_max: journal.batches_per_segment_max,
            life: journal.life,
            lane: journal.lane,
            voters: journal.voters.clone(),
            raft_id: journal.raft_id_of(node),
        }
    }

    pub(super) fn add_journal(
        &mut self,
        meta: JournalMeta,
        members: Members,
        stage: Stage,
        now: Now,
        fx: &mut Effects,
    ) {
        let (journal, since_ns) = (meta.journal, now.mono_ns);
        let slot =
            Slot::Opening { meta, members, since_ns, stage, created: false, recovered: None, retry_ns: None };
        self.journals.insert(journal, slot);
        self.go_on_opening(journal, now, fx);
    }

    /// Begins the stage that a journal is in.
    fn go_on_opening(&mut self, journal: JournalId, now: Now, fx: &mut Effects) {
        let Some(Slot::Opening { meta, stage, .. }) = self.journals.get(&journal) else { return };
        let (meta, stage) = (meta.clone(), *stage);
        let context = self.context(journal);
        match stage {
            Stage::SetAside => {
                let to = folder::set_aside_dir(journal, self.start_number(), self.lost_id(journal));
                fx.start(async move {
                    let result = procedures::make_anew(&context, &meta, to).await;
                    Done::Made { journal, result }
                });
            }
            Stage::Make => fx.start(async move {
                let result = procedures::make(&context, &meta).await;
                Done::Made { journal, result }
            }),
            Stage::Enter => {
                self.enter_journal(journal, Registered::new(meta.raft_id, 0), now, fx);
            }
            Stage::Admit => {
                let registered = Registered::new(meta.raft_id, self.start_number());
                self.enter_journal(journal, registered, now, fx);
            }
            Stage::Recover => fx.start(async move {
                let result = recover(context).await;
                Done::Recovered { journal, result: Box::new(result) }
            }),
        }
    }

    /// The replica that was lost here.
    fn lost_id(&self, journal: JournalId) -> RaftId {
        let register = self.register.as_ref().expect("it is looked at before a journal is");
        register.journals.get(&journal).map_or(RaftId(0), |registered| registered.raft_id)
    }

    pub(super) fn context(&self, journal: JournalId) -> Context {
        Context {
            io: self.io.clone(),
            pool: self.pool.clone(),
            blocks: self.blocks.clone(),
            journal,
            entries: EntryCache::new(journal, &self.cache),
            pace: Rc::clone(&self.pace),
            incoming: Rc::clone(&self.incoming),
            start: self.start_number(),
            started: self.started,
        }
    }

    /// A journal's folder is whole, or something stands in its way.
    pub(super) fn made(
        &mut self,
        id: JournalId,
        result: Result<Made, DiskError>,
        now: Now,
        fx: &mut Effects,
    ) {
        let is_only = self.is_only_replica(id);
        let Some(Slot::Opening { meta, created, .. }) = self.journals.get_mut(&id) else {
            unreachable!("only an opening journal is made")
        };
        match result {
            Ok(Made::Occupied { is_whole }) => {
                let raft_id = meta.raft_id;
                // Nobody else counts on what the only replica said: what is whole is taken as it is.
                if is_whole && is_only {
                    self.enter_made(id, now, fx);
                } else {
                    self.lose_opening(id, raft_id, Amnesia::Unregistered, now, fx);
                }
            }
            Ok(Made::New { again, aside }) => {
                *created = true;
                if again {
                    fx.out.push(Output::Event(Event::MadeAgain { journal: id }));
                }
                if let Some(to) = aside {
                    fx.out.push(Output::Event(Event::SetAside { journal: id, to }));
                }
                self.enter_made(id, now, fx);
            }
            Err(error) if error.kind == DiskErrorKind::NoSpace => {
                self.no_room_to_open(id, now, fx);
            }
            Err(error) => fx.out.push(Output::Fatal(Fatal::Write(error))),
        }
    }

    /// Nobody else has, or had, a replica of a journal that is being opened: it was founded for this one, and the
    /// metadata knows of no other.
    fn is_only_replica(&self, id: JournalId) -> bool {
        let Some(Slot::Opening { meta, .. }) = self.journals.get(&id) else { return false };
        let placed = self.view.journals.get(&id);
        meta.voters == [meta.raft_id] && placed.is_none_or(|journal| journal.replicas.len() == 1)
    }

    fn enter_made(&mut self, id: JournalId, now: Now, fx: &mut Effects) {
        if let Some(Slot::Opening { stage, .. }) = self.journals.get_mut(&id) {
            *stage = Stage::Enter;
        }
        self.go_on_opening(id, now, fx);
    }

    /// The register changed: what waited to be entered goes on.
    pub(super) fn registered(&mut self, now: Now, fx: &mut Effects) {
        let Some(register) = self.register.clone() else { return };
        let (mut entered, mut admitted) = (Vec::new(), Vec::new());
        for (id, slot) in &mut self.journals {
            let known = register.journals.get(id);
            match slot {
                Slot::Opening { meta, stage, .. } if *stage == Stage::Enter => {
                    let is_entered =
                        known.is_some_and(|known| known.raft_id == meta.raft_id && known.lost.is_none());
                    if is_entered {
                        *stage = Stage::Recover;
                        entered.push(*id);
                    }
                }
                Slot::Opening { stage: Stage::Admit, .. } => {
                    let is_admitted =
                        known.is_some_and(|known| known.opened == register.start && known.lost.is_none());
                    if is_admitted {
                        admitted.push(*id);
                    }
                }
                _ => {}
            }
        }
        admitted.into_iter().for_each(|id| self.admit(id, now, fx));
        entered.into_iter().for_each(|id| self.go_on_opening(id, now, fx));
        self.look_after_replicas(now, fx);
        self.join_if_lost(now, fx);
    }

    /// A journal was not made, or an index of it not made again: its partitions have no leader
    /// until there is room; the others go on.
    fn no_room_to_open(&mut self, journal: JournalId, now: Now, fx: &mut Effects) {
        let slot = self.journals.get_mut(&journal);
        let Some(Slot::Opening { retry_ns, .. }) = slot else {
            unreachable!("only a journal that is being opened needs room for that")
        };
        *retry_ns = Some(now.plus(OPEN_RETRY));
        fx.out.push(Output::Event(Event::DiskFull { journal }));
        let io = self.io.clone();
        fx.start(async move {
            folder::give_up_reserve(&io).await;
            Done::ReserveGone
        });
    }

    /// Tries again to open journals for which there was no room.
    pub(super) fn retry_opening(&mut self, now: Now, fx: &mut Effects) {
        let mut due = Vec::new();
        for (journal, slot) in &mut self.journals {
            if let Slot::Opening { retry_ns, .. } = slot
                && retry_ns.is_some_and(|retry_ns| retry_ns <= now.mono_ns)
            {
                *retry_ns = None;
                due.push(*journal);
            }
        }
        due.into_iter().for_each(|journal| self.go_on_opening(journal, now, fx));
    }

    pub(super) fn recovered(
        &mut self,
        id: JournalId,
        result: Result<Recovered, RecoveryError>,
        now: Now,
        fx: &mut Effects,
    ) {
        let Some(Slot::Opening { meta, since_ns, created, .. }) = self.journals.get_mut(&id) else {
            unreachable!("only an opening journal is recovered")
        };
        let is_other = |found: &JournalMeta| {
            (found.cluster, found.secret, found.raft_id) != (meta.cluster, meta.secret, meta.raft_id)
        };
        let lost = match &result {
            Err(RecoveryError::Amnesia(why)) => Some(*why),
            Ok(recovered) if is_other(&recovered.meta) => Some(Amnesia::MetaForeign),
            _ => None,
        };
        if let Some(why) = lost {
            let raft_id = meta.raft_id;
            return self.lose_opening(id, raft_id, why, now, fx);
        }
        let mut recovered = match result {
            Ok(recovered) => recovered,
            Err(error) if error.is_no_space() => {
                return self.no_room_to_open(id, now, fx);
            }
            // Recovery survives what it cannot read; what fails here was to be made durable.
            Err(RecoveryError::Disk(error)) => return fx.out.push(Output::Fatal(Fatal::Write(error))),
            Err(error) => {
                if !self.close_journal(id, &error, fx) {
                    let remedy = "nothing was changed; put the files that are named back as a backup of this \
                                  data folder has them";
                    fx.out.push(Output::Fatal(Fatal::Data(format!("journal {id}: {error}; {remedy}"))));
                }
                return;
            }
        };
        recovered.report.created = *created;
        recovered.report.elapsed_us = (now.mono_ns - *since_ns) / 1000;
        fx.out.push(Output::Event(Event::Recovered(recovered.report.clone())));
        self.recovered_whole(id, Box::new(recovered), now, fx);
    }

    /// A journal may go on once the register says that it did in this start.
    fn recovered_whole(&mut self, id: JournalId, whole: Box<Recovered>, now: Now, fx: &mut Effects) {
        let Some(Slot::Opening { stage, recovered, .. }) = self.journals.get_mut(&id) else {
            unreachable!("only an opening journal is recovered")
        };
        *recovered = Some(whole);
        *stage = Stage::Admit;
        let register = self.register.as_ref().expect("it is looked at before a journal is");
        let start = register.start;
        if register.journals.get(&id).is_some_and(|known| known.opened == start && known.lost.is_none()) {
            // It was opened anew by the same process.
            return self.admit(id, now, fx);
        }
        self.go_on_opening(id, now, fx);
    }

    fn admit(&mut self, id: JournalId, now: Now, fx: &mut Effects) {
        let Some(Slot::Opening { recovered, members, .. }) = self.journals.get_mut(&id) else {
            unreachable!("it waited for the register")
        };
        let recovered = *recovered.take().expect("it is recovered");
        let members = members.clone();
        let accept_loss = self.config.accept_loss.contains(&id);
        let seed = mix(id.0 ^ self.rng.next_u64());
        let context = self.context(id);
        let raft_window_entries = self.config.raft_window_entries;
        let options = Options { seed, accept_loss, members, raft_window_entries };
        let mut journal = Box::new(Journal::new(context, recovered, options, now));
        if journal.is_quarantined() {
            let why = "entries that it may have acknowledged are damaged or lost";
            fx.out.push(Output::Event(Event::Quarantined { journal: id, why }));
        }
        if self.knows_all(&self.view) {
            journal.follow_members(&self.view);
        }
        journal.start(now, fx);
        self.journals.insert(id, Slot::Running(journal));
        // One that serves around a loss is never elected.
        fx.leaders_changed = true;
        fx.partitions_changed = true;
        fx.metadata_changed |= id == META_JOURNAL;
    }

    /// Recovery found that a replica has forgotten what it promised.
    fn lose_opening(&mut self, id: JournalId, raft_id: RaftId, why: Amnesia, now: Now, fx: &mut Effects) {
        let is_only = self.is_only_replica(id);
        let Some(Slot::Opening { meta, stage, .. }) = self.journals.get_mut(&id) else {
            unreachable!("it is being opened")
        };
        let lane = meta.lane;
        if is_only && self.config.accept_loss.contains(&id) && id != META_JOURNAL {
            *stage = Stage::SetAside;
            return self.go_on_opening(id, now, fx);
        }
        self.journals.insert(id, Slot::Lost { lane, why });
        self.lose(id, raft_id, why, now, fx);
    }
}
