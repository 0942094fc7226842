//! What a handler may see and do: the metadata, this node, commands for the cluster, and
//! questions about partitions that this shard leads.

use super::throttle::{Quota, Throttles};
use crate::kafka::authorizer::Authorizer;
use crate::kafka::broker::Broker;
use crate::kafka::hot::leader_hint::LeaderHint;
use crate::kafka::hot::recompress::Recompressor;
use crate::kafka::hot::record_check::RecordChecks;
use crate::kafka::hot::sessions::Sessions;
use crate::kafka::listener::Listener;
use crate::kafka::request_context::RequestContext;
use crate::shard::coordinating::{self, Marked};
use crate::shard::hosting::Hosting;
use crate::shard::results::{ControlResult, QueryResult, Question};
use crate::shard::shard_loop::ShardLoop;
use engine::control::config::{BrokerSettings, Statics};
use engine::control::propose::NewTopic;
use engine::control::quotas::QuotaKind;
use engine::control::view::{PartitionView, TopicView};
use engine::control::{Command, View};
use engine::groups::words::GroupNews;
use engine::groups::{Groups, OFFSETS_TOPIC};

use engine::ids::{LaneId, META_JOURNAL, NodeId, PartitionId, ShardId, TopicId};
use engine::port::MarkerAnswer;
use engine::shard::Advertised;
use engine::transactions::TransactionalIds;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// A command for the cluster that nobody gave a time is answered within this, which is what
/// clients give a whole request by default (Java: 30 s).
const ADMIN_WAIT_DEFAULT: Duration = Duration::from_secs(30);
/// Nor is a client's own wish taken beyond this: its connection answers nothing else meanwhile.
const ADMIN_WAIT_MAX: Duration = Duration::from_secs(300);

/// Kafka's id of nobody.
const NO_BROKER: i32 = -1;

/// One per shard; handlers borrow it.
pub struct Context {
    pub(crate) shard: Rc<ShardLoop>,
    /// The block of producer ids that this shard gives from: the next one and the end.
    pub(crate) producer_ids: Cell<(i64, i64)>,
    /// The Kafka settings of this node's file and command line.
    pub statics: Statics,
    /// What they and the defaults come to, for the node itself.
    pub settings: BrokerSettings,
    pub(crate) sessions: RefCell<Sessions>,
    throttles: RefCell<Throttles>,
    /// None where everybody may do everything.
    pub authorizer: Option<Authorizer>,
    pub(crate) record_checks: RecordChecks,
    pub(crate) recompressor: Recompressor,
    /// The consumer groups that this shard coordinates.
    pub groups: Rc<Hosting<Groups>>,
    /// The transactional ids that it coordinates.
    pub transactions: Rc<Hosting<TransactionalIds>>,
}

/// Groups hear which transactions were ended in their partitions.
fn tell_groups(shard: &Rc<ShardLoop>, groups: &Rc<Hosting<Groups>>) -> Marked {
    let (shard, groups) = (Rc::clone(shard), Rc::clone(groups));
    Rc::new(move |markers, answers| {
        let view = shard.view();
        let Some(offsets) = view.topics.get(OFFSETS_TOPIC) else { return };
        for (partition, answer) in markers.partitions.iter().zip(answers) {
            let number = (0..).zip(&offsets.partitions).find(|(_, one)| one.id == *partition);
            if let (Some((number, _)), MarkerAnswer::Done) = (number, answer) {
                let (producer, epoch, ending) = (markers.producer.0, markers.epoch, markers.ending);
                groups.hear(number, GroupNews::TransactionEnded { producer, epoch, ending });
            }
        }
    })
}

impl Context {
    /// Batches that are written again with another codec take at most `recompress_bytes`.
    pub fn new(shard: Rc<ShardLoop>, recompress_bytes: usize) -> Self {
        let statics = Statics::new(&shard.config.kafka).expect("checked when the process started");
        let settings = BrokerSettings::effective(&statics);
        let authorizer = Authorizer::of(&settings);
        let producer_ids = Cell::new((0, 0));
        let sessions = RefCell::new(Sessions::new(settings.fetch_sessions_max as usize));
        let groups =
            Hosting::start(Rc::clone(&shard), settings.groups.clone(), |_, _, effect| match effect {});
        let transactions =
            coordinating::start(&shard, settings.transactions.clone(), tell_groups(&shard, &groups));
        let (throttles, record_checks) = (RefCell::default(), RecordChecks::default());
        let recompressor = Recompressor::new(recompress_bytes);
        Self {
            shard,
            producer_ids,
            sessions,
            statics,
            settings,
            throttles,
            authorizer,
            record_checks,
            recompressor,
            groups,
            transactions,
        }
    }

    /// The newest metadata that this shard has.
    pub fn view(&self) -> Arc<View> {
        self.shard.view()
    }

    /// This shard's broker id; −1 while the metadata is not there that tells it, and for a shard
    /// that has no lane.
    pub fn broker_id(&self) -> i32 {
        let view = self.view();
        let id = view.broker_ids.of(self.shard.config.node, self.shard.shard());
        id.filter(|_| view.is_formed()).unwrap_or(NO_BROKER)
    }

    /// The broker id of the shard that leads the meta journal, whose lane is 0; −1 while nobody is
    /// known to lead it.
    pub fn controller_id(&self) -> i32 {
        let view = self.view();
        let leader = self.shard.leaders.borrow().get(META_JOURNAL).and_then(|known| known.leader);
        let id = leader.and_then(|leader| view.broker_ids.of(leader, ShardId(0)));
        id.filter(|_| view.is_formed()).unwrap_or(NO_BROKER)
    }

    pub fn node(&self) -> NodeId {
        self.shard.config.node
    }

    /// Every shard of every node that lives and has this listener, as brokers. None before there is
    /// metadata: their ids are not known, and clients ask again.
    pub fn brokers(&self, listener: &Listener) -> Vec<Broker> {
        let view = self.view();
        let mut brokers = Vec::new();
        if !view.is_formed() {
            return brokers;
        }
        for node in view.nodes.values().filter(|node| self.shard.is_living(node.node)) {
            // A shard beyond the lanes has nothing to serve.
            brokers.extend(brokers_of(&view, node.node, node.shards, &node.advertised, listener));
        }
        // Before this node's registration is committed it is there all the same.
        if !view.is_registered(self.node()) {
            let config = &self.shard.config;
            brokers.extend(brokers_of(&view, self.node(), config.shards, &config.advertised, listener));
        }
        brokers
    }

    /// Every shard of the nodes that are in the metadata and that this one is not linked to.
    pub fn brokers_away(&self, listener: &Listener) -> Vec<Broker> {
        let view = self.view();
        let away = view.nodes.values().filter(|node| !self.shard.is_living(node.node));
        away.flat_map(|node| brokers_of(&view, node.node, node.shards, &node.advertised, listener)).collect()
    }

    /// A broker of this list by its id.
    pub fn broker(&self, id: i32, listener: &Listener) -> Option<Broker> {
        self.brokers(listener).into_iter().find(|broker| broker.id == id)
    }

    /// A topic by name or, when the name is empty, by id.
    pub fn topic(&self, view: &View, name: &str, id: TopicId) -> Option<Arc<TopicView>> {
        let name = if name.is_empty() { view.topic_ids.get(&id)? } else { name };
        view.topics.get(name).cloned()
    }

    /// Who leads a partition, with its leader epoch, as far as this shard knows. A leader that
    /// cannot be reached from here, or that is not among [`Self::brokers`], leads nobody: a client
    /// that is told of a leader without an address may wait for minutes.
    pub fn leader(&self, view: &View, partition: &PartitionView) -> Option<PartitionLeader> {
        let span = partition.spans.last()?;
        let leaders = self.shard.leaders.borrow();
        let leadership = leaders.get(span.journal)?;
        let node = leadership.leader.filter(|leader| self.shard.is_reachable(view, *leader))?;
        Some(PartitionLeader {
            broker: self.broker_of(view, node, view.journals.get(&span.journal)?.lane),
            epoch: leadership.epoch(span.epoch_base).0,
        })
    }

    /// The shard of a lane on a node, as a broker.
    fn broker_of(&self, view: &View, node: NodeId, lane: LaneId) -> i32 {
        let registered = view.nodes.get(&node).map_or(0, |node| node.shards);
        let shards = if registered == 0 { self.shard.config.shards } else { registered };
        view.broker_ids.of(node, lane.shard(shards)).expect("there are no more lanes than ids a node")
    }

    /// Whom a client should ask about a partition that this shard does not lead.
    pub fn leader_hint(&self, partition: PartitionId, listener: &Listener) -> Option<LeaderHint> {
        let view = self.view();
        let leader = self.leader(&view, view.partition(partition)?.1)?;
        let broker = self.broker(leader.broker, listener)?;
        (leader.broker != self.broker_id()).then_some(LeaderHint { broker, epoch: leader.epoch })
    }

    /// Where a partition is: on each node the shard of the journal's lane.
    pub fn placed(&self, view: &View, partition: &PartitionView) -> Placed {
        let Some(journal) = partition.spans.last().and_then(|span| view.journals.get(&span.journal)) else {
            return Placed::default();
        };
        let leader = self.leader(view, partition);
        let broker = |node: &NodeId| self.broker_of(view, *node, journal.lane);
        let leaders = self.shard.leaders.borrow();
        let in_sync = leaders.get(journal.id).filter(|_| leader.is_some());
        let in_sync = in_sync.map_or(&[][..], |leadership| &leadership.in_sync);
        let offline = journal.replicas.iter().filter(|node| !self.shard.is_living(**node));
        Placed {
            leader,
            replicas: journal.replicas.iter().map(broker).collect(),
            in_sync: in_sync.iter().map(broker).collect(),
            offline: offline.map(broker).collect(),
        }
    }

    /// Carries out a command; answered when every shard of this node has the view with it, or when
    /// the time of requests that name none is over.
    pub async fn control(&self, command: Command) -> ControlResult {
        let deadline_ns = self.admin_deadline_ns(0);
        self.shard.end_control(self.shard.begin_control(command), deadline_ns).await
    }

    /// Until when a request with this `timeout_ms` may take. Zero and less is no wish of the
    /// client's: librdkafka sends it unless told otherwise, and takes the answer as a success.
    pub fn admin_deadline_ns(&self, timeout_ms: i32) -> u64 {
        let wait = match u64::try_from(timeout_ms) {
            Ok(0) | Err(_) => ADMIN_WAIT_DEFAULT,
            Ok(wait_ms) => Duration::from_millis(wait_ms).min(ADMIN_WAIT_MAX),
        };
        self.shard.now().plus(wait)
    }

    /// Asks about partitions; one answer each, in order. Partitions that this shard does not lead
    /// are answered [`engine::port::Refusal::NotLeader`].
    pub async fn query(&self, questions: &[Question]) -> Vec<QueryResult> {
        self.shard.query(questions).await
    }

    /// Waits until `condition` holds, for at most `wait_max`; it is looked at whenever metadata,
    /// leaders or time move on.
    pub async fn wait_for(&self, wait_max: Duration, condition: impl Fn() -> bool) {
        let deadline_ns = self.shard.now().plus(wait_max);
        let over = || condition() || self.shard.now().mono_ns >= deadline_ns;
        self.shard.changes.until(over).await;
    }

    /// Counts bytes that pass under a quota; gives how long the client is to be muted.
    pub fn charge(&self, quota: &Quota, bytes: usize) -> Duration {
        self.throttles.borrow_mut().charge(quota, bytes, self.shard.now().mono_ns)
    }

    /// The same for a produce request, where its client has a quota.
    pub fn charge_produce(&self, view: &View, asked: &RequestContext, bytes: usize) -> Duration {
        let quota = Quota::of(&view.quotas, asked, QuotaKind::Produce);
        quota.map_or(Duration::ZERO, |quota| self.charge(&quota, bytes))
    }

    /// A new topic id: random and never zero.
    pub fn new_topic_id(&self) -> TopicId {
        let [high, low] = crate::process::entropy::random();
        TopicId((u128::from(high) << 64 | u128::from(low)).max(1))
    }

    /// A topic with the defaults of the cluster, as whoever only names one wants it.
    pub fn new_topic(&self, name: &str) -> NewTopic {
        NewTopic {
            name: name.to_owned(),
            partitions: -1,
            replication_factor: -1,
            configs: Vec::new(),
            topic_id: self.new_topic_id(),
            entropy: self.random(),
            by_hand: Vec::new(),
        }
    }

    /// Random bits for the secrets of journals that a command may make.
    pub fn random(&self) -> u64 {
        let [random] = crate::process::entropy::random();
        random
    }
}

/// Who leads a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartitionLeader {
    pub broker: i32,
    pub epoch: i32,
}

/// Where a partition is, as broker ids.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placed {
    pub leader: Option<PartitionLeader>,
    pub replicas: Vec<i32>,
    /// None while the leader is not known: it is the leader that says so.
    pub in_sync: Vec<i32>,
    /// Replicas on nodes that this one is not linked to.
    pub offline: Vec<i32>,
}

/// The shards of a node that have a lane: one beyond the lanes has nothing to serve.
fn brokers_of(
    view: &View,
    node: NodeId,
    shards: u16,
    advertised: &Advertised,
    listener: &Listener,
) -> impl Iterator<Item = Broker> {
    let shards = (0..shards.min(view.lanes)).map(ShardId);
    shards.filter_map(move |shard| Broker::new(view.broker_ids.of(node, shard)?, shard, advertised, listener))
}
