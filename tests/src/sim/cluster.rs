//! A few nodes under a hand that breaks them: the replication's own, small harness.
//!
//! It produces with acks=all to whoever leads, remembers what was acknowledged, and at the end
//! finds all of it on every node. The whole cluster's simulator has clients and checkers of its
//! own; this one is for scenarios that a test writes down step by step.

use super::survey::{Found, content, identity, whole_entries};
use super::world::{Happening, World, WorldOptions};
use crate::check::Uid;
use crate::workload::batches::{Recipe, build};
use engine::batch::BatchHeader;
use engine::batch::header::batch_crc;
use engine::control::{Command, View, config::Statics, propose};
use engine::disk::{BLOCK, BufferPool};
use engine::entry::EntryKind;
use engine::entry::builder::{Stamp, head_only};
use engine::entry::reader::{Expect, check_head};
use engine::folder::{self, JournalFile};
use engine::ids::{Index, JournalId, META_JOURNAL, Offset, PartitionId, TopicId};
use engine::port::{
    Acks, Answer, BatchWriter, Event, Fatal, Fetch, FetchPartition, Input, Isolation, MarkerAnswer, Output,
    Produce, Query, QueryKind, Refusal, RequestId,
};
use engine::raft::Change;
use engine::rng::Rng;
use std::collections::BTreeMap;
use std::sync::Arc;

pub const MS: u64 = 1_000_000;
pub const SECOND: u64 = 1_000 * MS;

/// A batch that was sent and not answered yet.
#[derive(Clone, Copy, Debug)]
struct Sent {
    node: usize,
    partition: PartitionId,
    /// What tells it from all others.
    crc: u32,
}

pub struct Cluster {
    pub world: World,
    rng: Rng,
    next: u64,
    sent: BTreeMap<RequestId, Sent>,
    /// What was acknowledged, by partition and offset.
    pub acked: BTreeMap<(PartitionId, Offset), u32>,
    pub refused: BTreeMap<String, u64>,
    /// Where partitions begin that do not begin at 0.
    starts: BTreeMap<PartitionId, Offset>,
    answers: BTreeMap<RequestId, Output>,
    /// Whoever sent a batch by itself looks here.
    pub(super) produced: BTreeMap<RequestId, Result<Offset, Refusal>>,
    pub(super) marked: BTreeMap<(RequestId, u32), MarkerAnswer>,
    /// The newest there was when the last topic was made: all nodes may be starting.
    view: Arc<View>,
    pub events: Vec<(usize, Event)>,
    /// Processes that could not go on, where that may be.
    pub ended: Vec<(usize, Fatal)>,
    pub may_end: bool,
    /// Each entry of one batch is one block, whoever appends it.
    pub only_small: bool,
}

impl Cluster {
    pub fn new(seed: u64, nodes: usize, shards: u16, segment_bytes: u64) -> Self {
        let print = std::env::var_os("DURAMEN_TRACE").is_some();
        Self {
            world: World::new(WorldOptions { seed, nodes, shards, segment_bytes, print }),
            rng: Rng::new(seed ^ 0x0063_6c75_7374_6572),
            next: 1,
            sent: BTreeMap::new(),
            acked: BTreeMap::new(),
            refused: BTreeMap::new(),
            starts: BTreeMap::new(),
            answers: BTreeMap::new(),
            produced: BTreeMap::new(),
            marked: BTreeMap::new(),
            view: Arc::default(),
            events: Vec::new(),
            ended: Vec::new(),
            may_end: false,
            only_small: false,
        }
    }

    pub fn nodes(&self) -> usize {
        self.world.nodes.len()
    }

    /// Starts all nodes and waits until they serve.
    pub fn start_all(&mut self) {
        (0..self.nodes()).for_each(|node| self.world.start(node));
        self.expect("all nodes are ready", 20 * SECOND, |cluster| {
            cluster.world.nodes.iter().all(|node| node.is_ready())
        });
    }

    pub(super) fn request(&mut self) -> RequestId {
        self.next += 1;
        RequestId(self.next)
    }

    /// One thing happens.
    pub fn step(&mut self) {
        for happening in self.world.advance() {
            self.happened(happening);
        }
    }

    fn happened(&mut self, happening: Happening) {
        match happening {
            Happening::Answer { node, output, .. } => self.answered(node, output),
            Happening::Event { node, event, .. } => self.events.push((node, event)),
            Happening::Ended { node, fatal: Some(fatal) } if self.may_end => {
                self.sent.retain(|_, sent| sent.node != node);
                self.ended.push((node, fatal));
            }
            Happening::Ended { node, fatal: Some(fatal) } => panic!("node {node} ended: {fatal}"),
            Happening::Ended { node, fatal: None } => self.sent.retain(|_, sent| sent.node != node),
            _ => {}
        }
    }

    fn answered(&mut self, node: usize, output: Output) {
        match output {
            Output::Produced { request, result, .. } => {
                let sent = self.sent.remove(&request).expect("it was sent and is answered once");
                assert_eq!(sent.node, node);
                self.produced.insert(request, result.map(|produced| produced.base_offset));
                match result {
                    Ok(produced) => {
                        let before = self.acked.insert((sent.partition, produced.base_offset), sent.crc);
                        assert_eq!(before, None, "{} was given twice", produced.base_offset);
                    }
                    Err(refusal) => *self.refused.entry(format!("{refusal:?}")).or_default() += 1,
                }
            }
            Output::Fetched { request, .. }
            | Output::ControlDone { request, .. }
            | Output::Answered { request, .. } => {
                self.answers.insert(request, output);
            }
            Output::Marked { request, slot, answer } => {
                let before = self.marked.insert((request, slot), answer);
                assert_eq!(before, None, "slot {slot} of {request:?} was answered twice");
            }
            other => panic!("nobody asked for {other:?}"),
        }
    }

    /// Runs until `is_so`, at most for so long. Says whether it came.
    pub fn run_until(&mut self, within_ns: u64, mut is_so: impl FnMut(&Self) -> bool) -> bool {
        let until_ns = self.world.now_ns + within_ns;
        while self.world.now_ns < until_ns {
            if is_so(self) {
                return true;
            }
            self.step();
        }
        is_so(self)
    }

    pub fn expect(&mut self, what: &str, within_ns: u64, is_so: impl FnMut(&Self) -> bool) {
        let came = self.run_until(within_ns, is_so);
        let standings: Vec<_> = (0..self.nodes()).map(|node| self.standing(node)).collect();
        assert!(came, "{what} did not come within {} ms; {standings:#?}", within_ns / MS);
    }

    pub fn run_for(&mut self, for_ns: u64) {
        self.run_until(for_ns, |_| false);
    }

    /// A line for each journal of a node.
    fn standing(&self, node: usize) -> Vec<String> {
        let here = &self.world.nodes[node];
        let journals = here.shards.iter().flat_map(|slot| slot.shard.metrics().journals);
        let line = |journal: engine::shard::JournalMetrics| {
            format!(
                "n{node} journal {} term {} leads {} last {} durable {} commit {}",
                journal.journal,
                journal.term,
                journal.is_leader,
                journal.last,
                journal.durable,
                journal.commit
            )
        };
        journals.map(line).collect()
    }

    /// The running node that leads a journal.
    pub fn leader(&self, journal: JournalId) -> Option<usize> {
        let leads = |node: &usize| {
            let shards = &self.world.nodes[*node].shards;
            let mut journals = shards.iter().filter_map(|slot| slot.shard.journal(journal));
            journals.any(|journal| journal.is_settled())
        };
        // An old leader that is parted from the others may not know yet.
        let term = |node: &usize| {
            let shards = &self.world.nodes[*node].shards;
            shards.iter().filter_map(|slot| slot.shard.journal(journal)).map(|j| j.standing().term).max()
        };
        (0..self.nodes()).filter(leads).max_by_key(term)
    }

    /// The same, whether or not it has committed an entry of its term yet.
    pub fn newest_leader(&self, journal: JournalId) -> Option<usize> {
        let term = |node: &usize| {
            let slots = self.world.nodes[*node].shards.iter();
            let mut leading = slots.filter_map(|slot| slot.shard.journal(journal)).filter(|j| j.is_leader());
            leading.next().map(|journal| journal.standing().term)
        };
        (0..self.nodes()).filter(|node| term(node).is_some()).max_by_key(term)
    }

    /// The node that is meant to lead a journal.
    pub fn preferred(&self, journal: JournalId) -> usize {
        self.newest_view().journals[&journal].replicas[0].0 as usize
    }

    /// Asks a node for a journal's preferred leader.
    pub fn elect(&mut self, node: usize, journal: JournalId) {
        let shard = self.shard_of(journal);
        self.world.input(node, shard, Input::Elect { journal });
    }

    /// Asks a node to stop.
    pub fn stop(&mut self, node: usize) {
        self.world.stop(node);
        for happening in self.world.take_happened() {
            self.happened(happening);
        }
    }

    pub(super) fn shard_of(&self, journal: JournalId) -> u16 {
        let view = self.newest_view();
        let lane = view.journals[&journal].lane;
        lane.shard(self.world.options.shards).0
    }

    pub(super) fn newest_view(&self) -> Arc<View> {
        let views = self.world.nodes.iter().map(|node| node.view()).chain([Arc::clone(&self.view)]);
        views.max_by_key(|view| view.version).expect("there is one")
    }

    pub fn journal_of(&self, partition: PartitionId) -> JournalId {
        let view = self.newest_view();
        let (_, partition) = view.partition(partition).expect("it was made");
        partition.spans[0].journal
    }

    /// Makes a topic by asking any node; gives its partitions.
    pub fn create_topic(
        &mut self,
        node: usize,
        name: &str,
        partitions: i32,
        factor: i16,
    ) -> Vec<PartitionId> {
        self.create_topic_with(node, name, (partitions, factor), &[])
    }

    /// The same with settings.
    pub fn create_topic_with(
        &mut self,
        node: usize,
        name: &str,
        (partitions, factor): (i32, i16),
        configs: &[(&str, &str)],
    ) -> Vec<PartitionId> {
        let view = self.newest_view();
        let new = propose::NewTopic {
            name: name.to_owned(),
            partitions,
            replication_factor: factor,
            configs: configs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            topic_id: TopicId(u128::from(self.next) + 1),
            entropy: self.next,
            by_hand: Vec::new(),
        };
        let command = propose::create_topic(&view, &Statics::default(), new).expect("it may be made");
        let output = self.command(node, command);
        let Output::ControlDone { result, .. } = &output else { panic!("{output:?}") };
        let outcome = result.as_ref().expect("it was made");
        let engine::control::Outcome::TopicCreated { partitions, .. } = outcome else {
            panic!("{outcome:?}")
        };
        let partitions = partitions.clone();
        self.expect("every partition has a leader that opened it", 20 * SECOND, |cluster| {
            partitions.iter().all(|partition| cluster.is_open(*partition))
        });
        self.view = self.newest_view();
        partitions
    }

    pub(super) fn command(&mut self, node: usize, command: Command) -> Output {
        let request = self.request();
        self.world.input(node, 0, Input::Control { request, command });
        self.expect("the command is answered", 20 * SECOND, |cluster| cluster.answers.contains_key(&request));
        self.answers.remove(&request).expect("just seen")
    }

    fn is_open(&self, partition: PartitionId) -> bool {
        let all_know = self.world.nodes.iter().filter(|node| node.is_running());
        if all_know.clone().any(|node| node.view().partition(partition).is_none()) {
            return false;
        }
        let journal = self.journal_of(partition);
        self.leader(journal).is_some_and(|leader| {
            let slots = self.world.nodes[leader].shards.iter();
            let mut journals = slots.filter_map(|slot| slot.shard.journal(journal));
            journals.any(|journal| journal.fold().partition(partition).is_some())
        })
    }

    /// Sends a batch to whoever leads; false when nobody does or there is no room.
    pub fn produce(&mut self, partition: PartitionId) -> bool {
        let journal = self.journal_of(partition);
        let Some(node) = self.leader(journal) else { return false };
        self.produce_to(node, partition)
    }

    pub fn produce_to(&mut self, node: usize, partition: PartitionId) -> bool {
        let uid = Uid(self.next as usize);
        let mut recipe = Recipe::draw(&mut self.rng, self.world.true_wall_ms());
        if self.only_small {
            (recipe.records, recipe.value_bytes) = (1, 100);
        }
        let records = build(&mut self.rng, uid, &recipe);
        self.send_to(node, partition, &records, BatchWriter::Client).is_some()
    }

    /// Sends these very records; `None` when there is no room.
    pub(super) fn send_to(
        &mut self,
        node: usize,
        partition: PartitionId,
        records: &[u8],
        writer: BatchWriter,
    ) -> Option<RequestId> {
        let shard = self.shard_of(self.journal_of(partition));
        if !self.world.nodes[node].shards[shard as usize].shard.room_for(partition, records.len()) {
            return None;
        }
        let request = self.request();
        self.sent.insert(request, Sent { node, partition, crc: batch_crc(records) });
        let produce =
            Produce { request, slot: 0, partition, acks: Acks::All, records, checked: None, writer };
        self.input(node, shard, Input::Produce(produce));
        Some(request)
    }

    /// Gives a shard something, and takes what follows at once.
    pub(super) fn input(&mut self, node: usize, shard: u16, input: Input<'_>) {
        self.world.input(node, shard, input);
        for happening in self.world.take_happened() {
            self.happened(happening);
        }
    }

    /// The whole entries of a journal on a node's disk.
    pub fn entries(&self, node: usize, journal: JournalId) -> Vec<Found> {
        let here = &self.world.nodes[node];
        whole_entries(here, &identity(here, journal).expect("it is there"))
    }

    /// Turns a bit of an entry over: of its head or of its body.
    pub fn flip(&mut self, node: usize, entry: &Found, in_head: bool) {
        let within = if in_head { 50 } else { entry.entry_bytes - BLOCK / 2 };
        let file = self.world.nodes[node].disk.file_mut(&entry.path).expect("surveyed");
        file.flip(entry.position + within as u64, 3);
    }

    /// Puts one more entry behind the last one of a journal whose node is down: one that changes the members, written
    /// and synced, of which no bound and no later entry tells.
    pub fn append_change(&mut self, node: usize, journal: JournalId, change: Change) {
        let last = self.entries(node, journal).pop().expect("there are some");
        let here = &mut self.world.nodes[node];
        let identity = identity(here, journal).expect("it is there");
        let dir = folder::journal_dir(journal);
        let name = last.path.strip_prefix(&dir).and_then(|rest| rest.strip_prefix('/')).expect("surveyed");
        let Some(JournalFile::Segment(segment_base)) = JournalFile::parse(name) else { panic!("{name}") };
        let file = here.disk.file_mut(&last.path).expect("surveyed");
        let expect = Expect { identity, segment_base, position: last.position };
        let bytes = content(file);
        let before = check_head(&bytes[last.position as usize..], &expect).expect("it is whole");
        let stamp = Stamp {
            cluster: identity.cluster,
            journal,
            secret: identity.secret,
            term: before.term(),
            index: before.index().next(),
            segment_base,
            position: last.position + last.entry_bytes as u64,
            commit: Index(last.commit),
            wall_ms: before.wall_ms.get(),
            previous_checksum: last.checksum,
        };
        let entry = head_only(&BufferPool::new(0), EntryKind::Membership, 1, &change.encode(), &stamp);
        let position = stamp.position / BLOCK as u64;
        file.overwrite(position, &entry.pieces()[0]);
    }

    /// All copies of a journal's hard state are bad.
    pub fn forget_votes(&mut self, node: usize, journal: JournalId) {
        let path = folder::hard_state_path(journal);
        let file = self.world.nodes[node].disk.file_mut(&path).expect("it is there");
        (0..4).for_each(|block| file.flip(block * BLOCK as u64 + 40, 1));
    }

    /// An entry's blocks are as new: the disk never wrote what it said it had.
    pub fn erase(&mut self, node: usize, entry: &Found) {
        let file = self.world.nodes[node].disk.file_mut(&entry.path).expect("surveyed");
        file.erase(entry.position / BLOCK as u64, entry.entry_bytes / BLOCK);
    }

    /// All records so far are deleted: the partition begins at its high watermark.
    pub fn delete_all(&mut self, partition: PartitionId) {
        let journal = self.journal_of(partition);
        let node = self.leader(journal).expect("somebody leads");
        let shard = self.shard_of(journal);
        let request = self.request();
        let kind = QueryKind::DeleteBefore(-1);
        let query = Query { request, slot: 0, partition, leader_epoch: -1, kind };
        self.world.input(node, shard, Input::Query(query));
        self.expect("the deletion is answered", 5 * SECOND, |cluster| cluster.answers.contains_key(&request));
        let Some(Output::Answered { result: Ok(Answer::LogStart(start)), .. }) =
            self.answers.remove(&request)
        else {
            panic!("a deletion is answered by the new start")
        };
        self.acked.retain(|(of, offset), _| *of != partition || *offset >= start);
        self.starts.insert(partition, start);
    }

    /// A node's process is gone, and with it the answers to what was sent to it.
    pub fn kill(&mut self, node: usize, with_power: bool) {
        for happening in self.world.take_happened() {
            self.happened(happening);
        }
        if with_power {
            self.world.power_cut(node);
        } else {
            self.world.kill(node);
        }
        self.sent.retain(|_, sent| sent.node != node);
    }

    /// Whoever ended is started again, as a process manager does.
    pub fn start_ended(&mut self) {
        while let Some((node, fatal)) = self.ended.pop() {
            assert!(matches!(fatal, Fatal::Data(_)), "node {node}: {fatal}");
            assert!(self.ended.len() < 3);
            self.world.start(node);
        }
    }

    /// What a node answers to ListOffsets(latest).
    pub fn latest(&mut self, node: usize, partition: PartitionId) -> Result<Offset, Refusal> {
        let shard = self.shard_of(self.journal_of(partition));
        let request = self.request();
        let kind = QueryKind::Latest;
        let query = Query { request, slot: 0, partition, leader_epoch: -1, kind };
        match self.asked(node, shard, request, Input::Query(query)) {
            Output::Answered { result: Ok(Answer::Offset { offset, .. }), .. } => Ok(offset),
            Output::Answered { result: Err(refusal), .. } => Err(refusal),
            other => panic!("{other:?}"),
        }
    }

    /// What a node answers to a fetch that does not wait: an error, or the watermark.
    pub fn fetch_at(
        &mut self,
        node: usize,
        partition: PartitionId,
        offset: Offset,
    ) -> Result<Offset, Refusal> {
        let shard = self.shard_of(self.journal_of(partition));
        let request = self.request();
        let fetch = self.fetch(request, node, partition, offset);
        let Output::Fetched { partitions, .. } = self.asked(node, shard, request, Input::Fetch(fetch)) else {
            panic!("a fetch is answered by what was fetched")
        };
        partitions[0].error.map_or(Ok(partitions[0].high_watermark), Err)
    }

    pub(super) fn fetch(
        &self,
        request: RequestId,
        node: usize,
        partition: PartitionId,
        offset: Offset,
    ) -> Fetch {
        let wanted = FetchPartition {
            partition,
            offset,
            max_bytes: 1 << 20,
            leader_epoch: -1,
            last_fetched_epoch: -1,
        };
        let deadline_ns = self.world.clock(node).mono_ns;
        let isolation = Isolation::default();
        Fetch { request, partitions: vec![wanted], isolation, min_bytes: 1, max_bytes: 1 << 20, deadline_ns }
    }

    /// Gives a shard a request and waits for its answer.
    pub(super) fn asked(&mut self, node: usize, shard: u16, request: RequestId, input: Input<'_>) -> Output {
        self.input(node, shard, input);
        self.expect("the request is answered", 5 * SECOND, |cluster| cluster.answers.contains_key(&request));
        self.answers.remove(&request).expect("just seen")
    }

    /// All batches of a partition as its leader gives them.
    pub fn read(&mut self, partition: PartitionId) -> BTreeMap<Offset, u32> {
        let journal = self.journal_of(partition);
        let mut found = BTreeMap::new();
        let mut offset = self.starts.get(&partition).copied().unwrap_or(Offset(0));
        loop {
            let node = self.leader(journal).expect("somebody leads");
            let shard = self.shard_of(journal);
            let request = self.request();
            let fetch = self.fetch(request, node, partition, offset);
            let answer = self.asked(node, shard, request, Input::Fetch(fetch));
            let Output::Fetched { partitions, .. } = answer else {
                panic!("a fetch is answered by what was fetched")
            };
            let part = &partitions[0];
            assert_eq!(part.error, None, "{partition} at {offset}");
            let bytes: Vec<u8> = part.records.iter().flat_map(|slice| slice.to_vec()).collect();
            if bytes.is_empty() {
                return found;
            }
            offset = batches(&bytes, &mut found);
        }
    }

    /// Waits until all nodes agree, and checks that nothing acknowledged is gone and that the
    /// replicas have the same state.
    pub fn check(&mut self, partitions: &[PartitionId]) {
        self.expect("all replicas have all and fold it", 60 * SECOND, |cluster| cluster.agrees(partitions));
        for partition in partitions {
            let found = self.read(*partition);
            let acked = self.acked.range((*partition, Offset(0))..=(*partition, Offset(i64::MAX)));
            for ((_, offset), crc) in acked {
                assert_eq!(found.get(offset), Some(crc), "{partition} at {offset}: acknowledged");
            }
        }
    }

    /// Whether a request that nobody waited for has its answer.
    pub fn is_answered(&self, request: RequestId) -> bool {
        self.answers.contains_key(&request)
    }

    /// Whoever leads has folded all that was committed before.
    pub fn is_settled(&self, journal: JournalId) -> bool {
        let Some(leader) = self.leader(journal) else { return false };
        let slot = &self.world.nodes[leader].shards[self.shard_of(journal) as usize];
        slot.shard.journal(journal).is_some_and(|journal| journal.is_settled())
    }

    fn agrees(&self, partitions: &[PartitionId]) -> bool {
        let data = partitions.iter().map(|partition| self.journal_of(*partition));
        let mut journals: Vec<JournalId> = data.chain([META_JOURNAL]).collect();
        journals.sort_unstable();
        journals.dedup();
        journals.iter().all(|id| {
            let slots = self.world.nodes.iter().flat_map(|node| &node.shards);
            let replicas: Vec<_> = slots.filter_map(|slot| slot.shard.journal(*id)).collect();
            let wanted = self.newest_view().journals[id].replicas.len();
            let mut states = replicas.iter().map(|journal| {
                let standing = journal.standing();
                (standing.last, standing.commit, standing.durable, journal.state().encode())
            });
            let Some(first) = states.next() else { return false };
            let same = states.all(|state| state == first);
            let settled = replicas.iter().any(|journal| journal.is_settled());
            replicas.len() == wanted && same && settled && first.0 == first.1
        })
    }

    /// Events of a kind so far.
    pub fn count(&self, is_it: impl Fn(&Event) -> bool) -> usize {
        self.events.iter().filter(|(_, event)| is_it(event)).count()
    }

    pub fn refusals(&self, refusal: Refusal) -> u64 {
        self.refused.get(&format!("{refusal:?}")).copied().unwrap_or(0)
    }
}

/// Takes whole batches apart; gives the offset after the last one.
fn batches(bytes: &[u8], found: &mut BTreeMap<Offset, u32>) -> Offset {
    let mut rest = bytes;
    let mut next = Offset(0);
    while !rest.is_empty() {
        let header = BatchHeader::of(rest).expect("a whole header");
        let (batch, behind) = rest.split_at(header.declared_bytes() as usize);
        let base_offset = Offset(header.base_offset.get());
        found.insert(base_offset, batch_crc(batch));
        next = base_offset.plus(header.offsets());
        rest = behind;
    }
    next
}
