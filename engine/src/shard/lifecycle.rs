//! A shard's life: the folder's identity, its journals as the metadata names them, ready, stop.

use super::closed::Closed;
use super::joining::Joining;
use super::output::{Event, Fatal, Output};
use super::{Refusal, Shard};
use crate::clock::Now;
use crate::control::placement::meta_journal_secret;
use crate::control::view::JournalView;
use crate::control::{Command, View};
use crate::disk::io::Io;
use crate::disk::{DiskError, DiskErrorKind};
use crate::folder::{self, FolderError, NodeMeta};
use crate::formation::cluster_of;
use crate::framing::{read_copies, replace_file};
use crate::ids::{ClusterId, Incarnation, Index, JournalId, LaneId, META_JOURNAL, NodeId, RaftId, ShardId};
use crate::journal::cache::EntryCache;
use crate::journal::effects::{Done, Effects};
use crate::journal::meta_record::JournalMeta;
use crate::journal::procedures;
use crate::journal::recovery::{Context, RecoveryError, recover};
use crate::journal::waiters::Asker;
use crate::journal::{Journal, Options};
use crate::rng::mix;
use core::time::Duration;
use std::rc::Rc;
use std::sync::Arc;

/// 256 Ki batches or `segment_bytes` make a segment full: its index stays below 16 MiB.
const BATCHES_PER_SEGMENT_MAX: u32 = 262_144;
/// A journal that found no room is tried again this often.
const OPEN_RETRY: Duration = Duration::from_millis(500);

/// Which node has which replica of a journal.
pub(super) type Members = Vec<(RaftId, NodeId)>;

/// A journal and how far it is.
pub enum Slot {
    /// Being made or recovered.
    Opening {
        meta: JournalMeta,
        members: Members,
        since_ns: u64,
        made: bool,
        retry_ns: Option<u64>,
    },
    Running(Box<Journal>),
    /// It cannot be opened as it is.
    Closed(Box<Closed>),
}

impl Slot {
    pub fn journal(&self) -> Option<&Journal> {
        match self {
            Slot::Running(journal) => Some(journal),
            Slot::Opening { .. } | Slot::Closed(_) => None,
        }
    }

    pub fn lane(&self) -> LaneId {
        match self {
            Slot::Running(journal) => journal.lane(),
            Slot::Opening { meta, .. } => meta.lane,
            Slot::Closed(closed) => closed.meta.lane,
        }
    }

    /// Nothing more is to be waited for: it serves, or says why it does not.
    fn has_started(&self) -> bool {
        match self {
            Slot::Running(journal) => journal.has_started(),
            Slot::Opening { retry_ns, .. } => retry_ns.is_some(),
            Slot::Closed(_) => true,
        }
    }

    pub fn journal_mut(&mut self) -> Option<&mut Journal> {
        match self {
            Slot::Running(journal) => Some(journal),
            Slot::Opening { .. } | Slot::Closed(_) => None,
        }
    }
}

/// Where the shard is between start and stop.
#[derive(Debug, Default)]
pub struct Lifecycle {
    /// Once the cluster is formed.
    pub(super) node: Option<NodeMeta>,
    /// While this node asks for a number.
    pub(super) joining: Option<Joining>,
    /// There was no room to make this node's record.
    pub(super) begin_again_ns: Option<u64>,
    proposed_form: bool,
    registered: bool,
    pub(super) ready: bool,
    pub stopping: bool,
    stopped: bool,
}

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
            Done::Folder(Box::new(open_folder(io, pool, &config, incarnation).await))
        });
    }

    pub(super) fn done(&mut self, done: Done, now: Now, fx: &mut Effects) {
        match done {
            Done::Folder(result) => match *result {
                Ok(node) => self.folder_read(node, now, fx),
                Err(FolderError::Data(text)) => fx.out.push(Output::Fatal(Fatal::Data(text))),
                Err(FolderError::Write(error)) if error.kind == DiskErrorKind::NoSpace => {
                    self.lifecycle.begin_again_ns = Some(now.plus(OPEN_RETRY));
                    fx.out.push(Output::Event(Event::DiskFull { journal: META_JOURNAL }));
                }
                Err(FolderError::Write(error)) => fx.out.push(Output::Fatal(Fatal::Write(error))),
            },
            Done::Numbered { node, result } => self.numbered(node, *result, now, fx),
            Done::NodeStored { node, result } => self.node_stored(node, result, now, fx),
            Done::Recovered { journal, result } => self.recovered(journal, *result, now, fx),
            Done::Made { journal, result: Ok(()) } => self.open_journal(journal, fx),
            Done::Made { journal, result: Err(error) } if error.kind == DiskErrorKind::NoSpace => {
                self.no_room_to_open(journal, now, fx);
            }
            Done::Made { result: Err(error), .. } => fx.out.push(Output::Fatal(Fatal::Write(error))),
            Done::Read { request, parts } => self.read_done(request, parts, now, fx),
            Done::Scrubbed { journal, scrubbed } => self.scrubbed(journal, scrubbed, fx),
            Done::ReserveGone => {}
            Done::CheckpointStored { journal, last, result } => {
                self.checkpoint_stored(journal, last, result, now, fx);
            }
            Done::Installed { journal, last, result } => self.installed(journal, last, result, now, fx),
            Done::FoundTime { journal, request, slot, result } => {
                let result = match self.journals.get_mut(&journal).and_then(Slot::journal_mut) {
                    Some(journal) => journal.found_time(result, fx),
                    None => Err(Refusal::NotLeader),
                };
                fx.out.push(Output::Answered { request, slot, result });
                self.time_ended(fx);
            }
            other => self.journal_done(other, now, fx),
        }
    }

    fn journal_done(&mut self, done: Done, now: Now, fx: &mut Effects) {
        let journal = match &done {
            Done::Prepared { journal, .. }
            | Done::Lengthened { journal, .. }
            | Done::Sealed { journal, .. }
            | Done::IndexRebuilt { journal, .. }
            | Done::HardState { journal, .. }
            | Done::LocalCheckpoint { journal, .. }
            | Done::Retention { journal, .. }
            | Done::StaleRemoved { journal, .. }
            | Done::Supplied { journal, .. }
            | Done::Lent { journal, .. }
            | Done::Judged { journal, .. }
            | Done::Mended { journal, .. }
            | Done::Offered { journal, .. }
            | Done::PieceRead { journal, .. }
            | Done::Covered { journal, .. }
            | Done::Deleted { journal, .. } => *journal,
            _ => unreachable!("handled by the caller"),
        };
        let journal = self.journals.get_mut(&journal).and_then(Slot::journal_mut);
        let journal = journal.expect("only a running journal has procedures of this kind");
        match done {
            Done::Prepared { result, .. } => journal.prepared(result, now, fx),
            Done::Lengthened { result, .. } => journal.lengthened(result, now, fx),
            Done::Sealed { result, .. } => journal.sealed(result, now, fx),
            Done::IndexRebuilt { result, .. } => journal.index_rebuilt(result, fx),
            Done::HardState { result: Ok(state), .. } => journal.hard_state_written(state, now, fx),
            Done::HardState { result: Err(error), .. } => fx.out.push(Output::Fatal(Fatal::Write(error))),
            Done::LocalCheckpoint { index, result, .. } => {
                journal.local_checkpoint_written(index, result, fx)
            }
            Done::Retention { result, .. } => journal.passed(result, now, fx),
            Done::Covered { covering, .. } => journal.covered(&covering, now, fx),
            Done::Deleted { result, .. } => journal.deleted(result, now, fx),
            Done::StaleRemoved { result, .. } => journal.stale_removed(result, now, fx),
            Done::Supplied { index, result, .. } => journal.supplied(index, *result, now, fx),
            Done::Judged { judged, .. } => journal.judged(judged, now, fx),
            Done::Mended { checksums, result, .. } => journal.mended(checksums, result, now, fx),
            Done::Offered { to, first, result, .. } => journal.offered(to, first, result, fx),
            Done::PieceRead { to, last, position, bytes, .. } => {
                journal.piece_read(to, (last, position), bytes, fx);
            }
            Done::Lent { asked, bytes, result, .. } => journal.lent(asked, bytes, *result, fx),
            _ => unreachable!("matched above"),
        }
    }

    /// The meta journal: under the number of a founder, or of one that joined later.
    pub(super) fn open_meta(&mut self, node: NodeMeta, now: Now, fx: &mut Effects) {
        let own = (node.node, node.incarnation);
        if !node.formation.contains(&own) {
            return self.find_number(node, fx);
        }
        let (meta, members) = first_meta(&node);
        self.lifecycle.node = Some(node);
        self.add_journal(meta, members, now, fx);
    }

    pub(super) fn add_journal(&mut self, meta: JournalMeta, members: Members, now: Now, fx: &mut Effects) {
        let journal = meta.journal;
        self.journals.insert(
            journal,
            Slot::Opening { meta, members, since_ns: now.mono_ns, made: false, retry_ns: None },
        );
        self.open_journal(journal, fx);
    }

    /// What another replica gave is durable: the journal begins anew from its folder.
    fn installed(
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
                self.add_journal(meta, members, now, fx);
            }
            Ok(false) => journal.not_installed(Event::InstallRefused { journal: id, last }, fx),
            Err(error) if error.kind == DiskErrorKind::NoSpace => {
                journal.not_installed(Event::DiskFull { journal: id }, fx)
            }
            Err(error) => fx.out.push(Output::Fatal(Fatal::Write(error))),
        }
    }

    /// A journal was not made, or an index of it not made again: its partitions have no leader
    /// until there is room; the others go on.
    fn no_room_to_open(&mut self, journal: JournalId, now: Now, fx: &mut Effects) {
        let slot = self.journals.get_mut(&journal);
        let Some(Slot::Opening { made, retry_ns, .. }) = slot else {
            unreachable!("only a journal that is being opened needs room for that")
        };
        *made = false;
        *retry_ns = Some(now.plus(OPEN_RETRY));
        fx.out.push(Output::Event(Event::DiskFull { journal }));
        let io = self.io.clone();
        fx.start(async move {
            // The reserve is for this too.
            let _ = io.remove(folder::RESERVE).await;
            Done::ReserveGone
        });
    }

    /// Tries again to open journals for which there was no room.
    pub(super) fn retry_opening(&mut self, now: Now, fx: &mut Effects) {
        if self.lifecycle.begin_again_ns.is_some_and(|at_ns| at_ns <= now.mono_ns) {
            self.lifecycle.begin_again_ns = None;
            self.begin(fx);
        }
        let mut due = Vec::new();
        for (journal, slot) in &mut self.journals {
            if let Slot::Opening { retry_ns, .. } = slot
                && retry_ns.is_some_and(|retry_ns| retry_ns <= now.mono_ns)
            {
                *retry_ns = None;
                due.push(*journal);
            }
        }
        due.into_iter().for_each(|journal| self.open_journal(journal, fx));
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
            started: self.started,
        }
    }

    fn open_journal(&mut self, journal: JournalId, fx: &mut Effects) {
        let context = self.context(journal);
        fx.start(async move {
            let result = recover(context).await;
            Done::Recovered { journal, result: Box::new(result) }
        });
    }

    fn recovered(
        &mut self,
        id: JournalId,
        result: Result<crate::journal::recovery::Recovered, RecoveryError>,
        now: Now,
        fx: &mut Effects,
    ) {
        let Some(Slot::Opening { meta, members, since_ns, made, .. }) = self.journals.get_mut(&id) else {
            unreachable!("only an opening journal is recovered")
        };
        let members = members.clone();
        let mut recovered = match result {
            Ok(recovered) => recovered,
            Err(RecoveryError::Unmade) if !*made => {
                *made = true;
                let meta = meta.clone();
                let context = self.context(id);
                fx.start(async move {
                    Done::Made { journal: id, result: procedures::make(&context, &meta).await }
                });
                return;
            }
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
        if recovered.meta.cluster != meta.cluster || recovered.meta.secret != meta.secret {
            let text = format!("{}: belongs to another cluster", folder::journal_dir(id));
            return fx.out.push(Output::Fatal(Fatal::Data(text)));
        }
        if recovered.meta.raft_id != meta.raft_id {
            let text = format!(
                "{} is from another life of this node (raft id {}, now {}): start with an empty folder",
                folder::journal_dir(id),
                recovered.meta.raft_id,
                meta.raft_id
            );
            return fx.out.push(Output::Fatal(Fatal::Data(text)));
        }
        recovered.report.created = *made;
        recovered.report.elapsed_us = (now.mono_ns - *since_ns) / 1000;
        fx.out.push(Output::Event(Event::Recovered(recovered.report.clone())));
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
        journal.follow_members(&self.view);
        journal.start(now, fx);
        self.journals.insert(id, Slot::Running(journal));
        fx.partitions_changed = true;
        fx.metadata_changed |= id == META_JOURNAL;
    }

    /// The metadata changed here: forms, registers, and tells every shard.
    pub(super) fn publish(&mut self, _now: Now, fx: &mut Effects) {
        let Some(meta) = self.journals.get_mut(&META_JOURNAL).and_then(Slot::journal_mut) else { return };
        let is_settled = meta.is_settled();
        let Some(state) = meta.state().meta.clone() else { return };
        let node = self.lifecycle.node.as_ref().expect("the meta journal is opened with the identity");
        // With peers what is committed counts, whoever leads.
        let serves_around_loss = meta.serves_around_loss() && state.is_formed();
        if !is_settled && !serves_around_loss && (node.formation.len() == 1 || !state.is_formed()) {
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
        if node.formation.len() == 1
            && is_settled
            && !core::mem::replace(&mut self.lifecycle.registered, true)
        {
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
    pub(super) fn register(&mut self, now: Now, fx: &mut Effects) {
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
        for journal in view.journals.values() {
            let is_mine = journal.lane.shard(self.config.shards) == self.config.shard
                && journal.replicas.contains(&self.config.node);
            if is_mine && journal.id != META_JOURNAL && !self.journals.contains_key(&journal.id) {
                let meta = self.journal_meta(&view, journal);
                let members = journal.voters.iter().copied().zip(journal.replicas.iter().copied());
                self.add_journal(meta, members.collect(), now, fx);
            }
        }
        self.partitions_changed(now, fx);
        self.fetches.wake_all();
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
            raft_id: node.raft_id,
        }
    }

    /// Journals open and drop partitions as the view says.
    pub(super) fn partitions_changed(&mut self, now: Now, fx: &mut Effects) {
        let view = Arc::clone(&self.view);
        if view.version == Index::NONE {
            return;
        }
        for journal in self.journals.values_mut().filter_map(Slot::journal_mut) {
            journal.follow_members(&view);
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

/// The meta journal as the set that formed the cluster began it: its members' replicas are numbered
/// in the set's order, as [`crate::control::MetaState`] numbers them. A node that joined later has
/// another number than the one of its place here.
pub(super) fn first_meta(node: &NodeMeta) -> (JournalMeta, Members) {
    let number = |at: usize| RaftId(at as u64 + 1);
    let at = node.formation.iter().position(|(member, _)| *member == node.node);
    let meta = JournalMeta {
        journal: META_JOURNAL,
        cluster: node.cluster,
        secret: meta_journal_secret(&node.formation),
        segment_bytes: node.segment_bytes,
        batches_per_segment_max: BATCHES_PER_SEGMENT_MAX,
        life: crate::control::view::Life::Meta,
        lane: LaneId(0),
        voters: (0..node.formation.len()).map(number).collect(),
        raft_id: number(at.expect("a node is one of its cluster")),
    };
    let members = node.formation.iter().enumerate().map(|(at, (node, _))| (number(at), *node)).collect();
    (meta, members)
}

/// Reads `node.meta`, or makes it at the first start.
async fn open_folder(
    io: Io,
    pool: crate::disk::BufferPool,
    config: &super::ShardConfig,
    incarnation: Incarnation,
) -> Result<NodeMeta, FolderError> {
    let data = |text: String| FolderError::Data(text);
    match read_copies(&io, folder::NODE_META, folder::NODE_META_BYTES as u64).await {
        Ok(bytes) => {
            let (node, bad_copies) = NodeMeta::decode(&bytes).map_err(|error| data(error.to_string()))?;
            if node.node != config.node {
                return Err(data(format!(
                    "the data folder belongs to node {}, not to node {}; start it with --node-id {}",
                    node.node, config.node, node.node
                )));
            }
            if bad_copies > 0 {
                // One good copy is enough where there is no room for another.
                match replace_file(&io, &pool, ".", folder::NODE_META, &node.encode()).await {
                    Err(error) if error.kind != DiskErrorKind::NoSpace => {
                        return Err(FolderError::Write(error));
                    }
                    _ => {}
                }
            }
            // The process that wrote it may have ended before its name was durable.
            io.sync_dir(".").await.map_err(FolderError::Write)?;
            Ok(node)
        }
        Err(error) if error.kind == DiskErrorKind::NotFound => {
            // Alone, a node is its own whole list and forms at once.
            let is_alone = config.peers.iter().all(|node| *node == config.node);
            let formation = if is_alone { vec![(config.node, incarnation)] } else { Vec::new() };
            let node = NodeMeta {
                node: config.node,
                incarnation,
                cluster: if is_alone { cluster_of(&formation) } else { ClusterId(0) },
                formation,
                is_final: is_alone,
                lanes: config.lanes,
                segment_bytes: config.segment_bytes,
            };
            let written = replace_file(&io, &pool, ".", folder::NODE_META, &node.encode()).await;
            written.map(|()| node).map_err(FolderError::Write)
        }
        Err(error) => Err(data(error.to_string())),
    }
}
