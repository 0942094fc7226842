//! What a shard publishes: the metadata, itself, that it is ready, that it stopped.

use super::Shard;
use crate::clock::Now;
use crate::control::{Command, View};
use crate::disk::{DiskError, DiskErrorKind};
use crate::ids::{Incarnation, Index, JournalId, META_JOURNAL, ShardId};
use crate::journal::effects::{Done, Effects};
use crate::journal::ledger::asker::Asker;
use crate::port::{Event, Fatal, Output};
use crate::shard::identity::beginning::begin;
use crate::shard::slot::{Slot, Stage};
use std::sync::Arc;

impl Shard {
    /// The first shard reads who this node is; the others learn it from the first view.
    pub(super) fn begin(&mut self, fx: &mut Effects) {
        if self.config.shard != ShardId(0) {
            return;
        }
        let (io, pool) = (self.io.clone(), self.pool.clone());
        let config = self.config.clone();
        let entropy = (self.rng.next_u64(), self.rng.next_u64());
        fx.start(async move {
            let incarnation = Incarnation((u128::from(entropy.0) << 64) | u128::from(entropy.1));
            Done::Folder(Box::new(begin(io, pool, &config, incarnation).await))
        });
    }

    /// What another replica gave is durable: the journal begins anew from its folder.
    pub(super) fn installed(
        &mut self,
        id: JournalId,
        last: Index,
        result: Result<bool, DiskError>,
        now: Now,
        fx: &mut Effects,
    ) {
        let Some(Slot::Running(journal)) = self.journals.get_mut(&id) else {
            unreachable!("only a running journal installs")
        };
        match result {
            Ok(true) => {
                let (meta, members) = journal.reopened();
                fx.out.push(Output::Event(Event::Installed { journal: id, last }));
                self.add_journal(meta, members, Stage::Recover, now, fx);
            }
            Ok(false) => journal.not_installed(Event::InstallRefused { journal: id, last }, fx),
            Err(error) if error.kind == DiskErrorKind::NoSpace => {
                journal.not_installed(Event::DiskFull { journal: id }, fx)
            }
            Err(error) => fx.out.push(Output::Fatal(Fatal::Write(error))),
        }
    }

    /// The metadata changed here: forms, registers, and tells every shard.
    pub(super) fn publish(&mut self, _now: Now, fx: &mut Effects) {
        let Some(meta) = self.journals.get_mut(&META_JOURNAL).and_then(Slot::journal_mut) else { return };
        let (is_settled, is_alone) = (meta.is_settled(), meta.is_alone());
        let Some(state) = meta.state().meta.clone() else { return };
        let node = self.lifecycle.node.as_ref().expect("the meta journal is opened with the identity");
        // With peers what is committed counts, whoever leads.
        let serves_around_loss = meta.serves_around_loss() && state.is_formed();
        if !is_settled && !serves_around_loss && (is_alone || !state.is_formed()) {
            return;
        }
        if !state.is_formed() {
            if !core::mem::replace(&mut self.lifecycle.proposed_form, true) {
                let form = Command::Form {
                    cluster: node.cluster,
                    members: node.formation.clone(),
                    lanes: node.lanes,
                    segment_bytes: node.segment_bytes,
                    broker_ids: self.config.broker_ids.unwrap_or_default(),
                };
                meta.queue_command(Asker::Shard, form.encode());
            }
            return;
        }
        // A node that rejoined reads of its former lives first: they are not to be taken up again.
        if state.incarnation_of(node.node) != Some(node.incarnation) {
            return;
        }
        let mut view = self.views.view(&state);
        if serves_around_loss {
            // What it does not name may be named by what is lost.
            Arc::make_mut(&mut view).has_lost = true;
        }
        if is_alone && is_settled && !core::mem::replace(&mut self.lifecycle.registered, true) {
            let known = view.nodes.get(&self.config.node);
            let same = known.is_some_and(|known| {
                known.shards == self.config.shards && known.advertised == self.config.advertised
            });
            if !same {
                let register = Command::RegisterNode {
                    node: self.config.node,
                    shards: self.config.shards,
                    advertised: self.config.advertised.clone(),
                };
                meta.queue_command(Asker::Shard, register.encode());
                return;
            }
        }
        fx.out.push(Output::View(view));
    }

    /// In a cluster, tells it of this node until it knows.
    pub(super) fn register_node(&mut self, now: Now, fx: &mut Effects) {
        let is_known = self.view.nodes.get(&self.config.node).is_some_and(|known| {
            known.shards == self.config.shards && known.advertised == self.config.advertised
        });
        if self.config.shard != ShardId(0) || self.view.version == Index::NONE || is_known {
            return;
        }
        let register = Command::RegisterNode {
            node: self.config.node,
            shards: self.config.shards,
            advertised: self.config.advertised.clone(),
        };
        self.ask(Asker::Shard, &register, now, fx);
    }

    /// A view from the shard that has the meta journal.
    pub(super) fn take_view(&mut self, view: Arc<View>, now: Now, fx: &mut Effects) {
        if view.version <= self.view.version {
            return;
        }
        self.view = self.config.view_here(view);
        let view = Arc::clone(&self.view);
        self.complete_register(&view, now, fx);
        self.look_after_replicas(now, fx);
        self.partitions_changed(now, fx);
        self.fetches.wake_all();
    }

    /// There was no room to write who this node is.
    pub(super) fn begin_again(&mut self, now: Now, fx: &mut Effects) {
        if self.lifecycle.begin_again_ns.is_some_and(|at_ns| at_ns <= now.mono_ns) {
            self.lifecycle.begin_again_ns = None;
            self.begin(fx);
        }
    }

    /// Journals open and drop partitions as the view says.
    pub(super) fn partitions_changed(&mut self, now: Now, fx: &mut Effects) {
        let view = Arc::clone(&self.view);
        if view.version == Index::NONE {
            return;
        }
        self.follow_members();
        for journal in self.journals.values_mut().filter_map(Slot::journal_mut) {
            if journal.id != META_JOURNAL {
                journal.follow_view(&view, now, fx);
            }
        }
    }

    /// Ready once the metadata is here and every journal of this shard is settled or refuses.
    pub(super) fn check_ready(&mut self, fx: &mut Effects) {
        if self.lifecycle.ready || self.view.version == Index::NONE {
            return;
        }
        let all = self.journals.values().all(Slot::has_started);
        if all {
            self.lifecycle.ready = true;
            fx.out.push(Output::Ready);
        }
    }

    /// Stopped once every journal is, the data journals before the meta journal.
    pub(super) fn check_stop(&mut self, now: Now, fx: &mut Effects) {
        if !self.lifecycle.stopping || self.lifecycle.stopped {
            return;
        }
        self.fetches.wake_all();
        let woken = self.fetches.take_woken();
        for fetch in woken {
            self.fetch(fetch, now, fx);
        }
        let mut all = true;
        for slot in self.journals.values_mut().rev() {
            all &= match slot.journal_mut() {
                Some(journal) => journal.stop(now, fx),
                // Nothing was promised yet by a journal that is still being opened.
                None => true,
            };
        }
        for procedure in core::mem::take(&mut fx.procedures) {
            if let Some(done) = self.procedures.start(procedure) {
                self.done(done, now, fx);
            }
        }
        // Recoveries and reads under way end first: nothing may be in flight behind a stop.
        if all && fx.procedures.is_empty() && self.procedures.is_empty() && !self.io.has_abandoned() {
            self.lifecycle.stopped = true;
            fx.out.push(Output::Stopped);
        }
    }
}
