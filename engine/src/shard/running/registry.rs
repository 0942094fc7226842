//! The shard's part in the register: it asks for entries, and believes only what is durable.

use super::Shard;
use crate::clock::Now;
use crate::disk::{DiskError, DiskErrorKind};
use crate::folder::{self, NodeMeta};
use crate::formation::Input as Told;
use crate::framing::replace_file;
use crate::ids::{Incarnation, JournalId, META_JOURNAL, NodeId, RaftId, Run, ShardId};
use crate::journal::effects::{Done, Effects};
use crate::port::{Entry, Event, Fatal, Output};
use crate::register::{Amnesia, Meeting, Met, NodeRecord, Register, Registered};
use crate::shard::identity::registry::{Registry, missing_here};
use core::time::Duration;
use std::sync::Arc;

/// A record for which there was no room is tried again this often.
const WRITE_AGAIN: Duration = Duration::from_millis(500);

impl Shard {
    /// Starts of this node on its folder, this one included; 0 before that is known here.
    pub fn start_number(&self) -> u64 {
        self.register.as_ref().map_or(0, |register| register.start)
    }

    /// The process that this shard is of, as it is told to other nodes: once its start is written.
    pub fn run(&self) -> Option<Run> {
        let start = self.register.as_ref()?.start;
        Some(Run { start, nonce: self.config.nonce })
    }

    /// What is durable of what this node has, as far as this shard knows.
    pub fn register(&self) -> Option<&Arc<Register>> {
        self.register.as_ref()
    }

    /// The folder was read, and this start is written down.
    pub(super) fn begin_register(&mut self, record: NodeRecord, fx: &mut Effects) {
        self.registry = Some(Registry::new(record));
        self.tell_register(fx);
    }

    fn tell_register(&mut self, fx: &mut Effects) {
        let record = &self.registry.as_ref().expect("the first shard's").record;
        let register = Arc::new(record.register.clone());
        self.register = Some(Arc::clone(&register));
        fx.out.push(Output::Register(register));
    }

    /// Enters what a shard of this node asks for: it learns from the register that it is done.
    pub(super) fn enter(&mut self, entry: Entry, now: Now, fx: &mut Effects) {
        if self.config.shard != ShardId(0) {
            return fx.out.push(Output::Enter(entry));
        }
        self.write(now, fx, |record| match entry {
            Entry::Journal { journal, registered } => {
                record.register.journals.insert(journal, registered);
            }
            Entry::Met(met) => {
                if record.register.meet(&met) == Meeting::New {
                    record.register.remember(met);
                }
            }
        });
    }

    pub(super) fn enter_journal(
        &mut self,
        journal: JournalId,
        registered: Registered,
        now: Now,
        fx: &mut Effects,
    ) {
        self.enter(Entry::Journal { journal, registered }, now, fx);
    }

    /// Makes a change of `node.meta` durable.
    pub(super) fn write(&mut self, now: Now, fx: &mut Effects, change: impl FnOnce(&mut NodeRecord)) {
        let Some(registry) = &mut self.registry else { return };
        // A journal whose opening was under way would be entered as if it were not lost.
        if registry.is_given_up() {
            return;
        }
        change(&mut registry.wanted);
        self.write_wanted(now, fx);
    }

    fn write_wanted(&mut self, _now: Now, fx: &mut Effects) {
        let Some(registry) = &mut self.registry else { return };
        let is_idle = !registry.is_writing && registry.again_ns.is_none();
        if !is_idle || registry.wanted == registry.record {
            return;
        }
        registry.is_writing = true;
        let (io, pool, record) = (self.io.clone(), self.pool.clone(), registry.wanted.clone());
        fx.start(async move {
            let result = replace_file(&io, &pool, ".", folder::NODE_META, &record.encode()).await;
            if result.as_ref().is_err_and(|error| error.kind == DiskErrorKind::NoSpace) {
                folder::give_up_reserve(&io).await;
            }
            Done::NodeStored { record: Box::new(record), result }
        });
    }

    pub(super) fn node_stored(
        &mut self,
        record: NodeRecord,
        result: Result<(), DiskError>,
        now: Now,
        fx: &mut Effects,
    ) {
        let registry = self.registry.as_mut().expect("the first shard's");
        registry.is_writing = false;
        match result {
            Ok(()) => {}
            Err(error) if error.kind == DiskErrorKind::NoSpace => {
                registry.again_ns = Some(now.plus(WRITE_AGAIN));
                return fx.out.push(Output::Event(Event::DiskFull { journal: META_JOURNAL }));
            }
            Err(error) => return fx.out.push(Output::Fatal(Fatal::Write(error))),
        }
        let before = core::mem::replace(&mut registry.record, record);
        let (node, register) = (registry.record.node.clone(), registry.record.register.clone());
        if node.incarnation != before.node.incarnation {
            return fx.out.push(Output::Fatal(Fatal::Data(an_old_copy(&node))));
        }
        if node != before.node {
            self.forming_step(Told::Stored, now, fx);
        }
        if register != before.register {
            self.tell_register(fx);
            self.registered(now, fx);
        }
        self.write_wanted(now, fx);
        if node != before.node && node.is_final && self.lifecycle.node.is_none() {
            fx.out.push(Output::Event(Event::Formed { nodes: node.formation.len() }));
            self.open_meta(node, now, fx);
        }
    }

    /// On the tick: what found no room is tried again.
    pub(super) fn tick_register(&mut self, now: Now, fx: &mut Effects) {
        let Some(registry) = &mut self.registry else { return };
        if registry.again_ns.is_some_and(|at_ns| at_ns <= now.mono_ns) {
            registry.again_ns = None;
            self.write_wanted(now, fx);
        }
    }

    /// What the first shard made durable.
    pub(super) fn take_register(&mut self, register: Arc<Register>, now: Now, fx: &mut Effects) {
        if self.config.shard != ShardId(0) {
            self.register = Some(register);
            self.registered(now, fx);
        }
    }

    /// Judges a process of another node, as far as this shard knows.
    pub fn meet(&self, node: NodeId, incarnation: Incarnation, run: Run) -> Option<Meeting> {
        Some(self.register.as_ref()?.meet(&Met { node, incarnation, run }))
    }

    /// Another node met a later process of this folder: what is here is an older copy of it. Under
    /// this incarnation nothing of it may take part again; the next start asks to be taken in as
    /// new replicas, and only then sets aside what is here.
    pub(super) fn told_old(&mut self, by: NodeId, seen: u64, now: Now, fx: &mut Effects) {
        let start = self.start_number();
        if self.registry.is_none() || !self.has_peers() || start == 0 || seen < start {
            return;
        }
        fx.out.push(Output::Event(Event::OldCopy { by, seen, start }));
        let drawn = (self.rng.next_u64(), self.rng.next_u64());
        let incarnation = Incarnation((u128::from(drawn.0) << 64) | u128::from(drawn.1));
        self.write(now, fx, |record| {
            record.node.incarnation = incarnation;
            for registered in record.register.journals.values_mut() {
                registered.lost.get_or_insert(Amnesia::NodeOld);
            }
        });
    }

    /// A replica has forgotten what it promised: it takes no part under its raft id any more. With
    /// peers it is made anew from them; alone the operator has to know.
    pub(super) fn lose(
        &mut self,
        journal: JournalId,
        raft_id: RaftId,
        why: Amnesia,
        now: Now,
        fx: &mut Effects,
    ) {
        if !self.has_peers() {
            let text = missing_here(&[(journal, why)]);
            return fx.out.push(Output::Fatal(Fatal::Data(text)));
        }
        fx.out.push(Output::Event(Event::ReplicaLost { journal, why }));
        let known = self.register.as_ref().and_then(|register| register.journals.get(&journal)).copied();
        let known = known.unwrap_or(Registered::new(raft_id, 0));
        self.enter_journal(journal, Registered { lost: Some(why), ..known }, now, fx);
    }
}

fn an_old_copy(node: &NodeMeta) -> String {
    format!(
        "the data folder of node {} is an older copy of it: another node met a later process. Nothing was \
         removed. Either put the newest copy of the folder back, or start this one again: it asks to be taken \
         in as a new replica, moves what is here to quarantine/ once it was, and gets everything from the others",
        node.node
    )
}
