//! The bytes of the metadata in a checkpoint of the meta journal: everything in sorted order, so
//! that replicas with the same state write the same bytes.

use super::acls::encoding as acls;
use super::bytes::{DecodeError, Reader, Writer};
use super::credentials;
use super::encoding::{read_life, read_stride};
use super::node_bytes::{
    LISTENER_BYTES_MIN, read_advertised, read_invited, read_listener, write_advertised, write_invited,
    write_listener,
};
use super::nodes::{AdvertisedListener, NodeView};
use super::placement::Journals;
use super::quotas::{self, QuotaName};
use super::state::{MetaState, Topic};
use super::view::{JournalView, PartitionView, SpanView};
use crate::ids::{
    BrokerIds, ClusterId, Incarnation, Index, JournalId, LaneId, NodeId, PartitionId, RaftId, TopicId,
};
use std::sync::Arc;

/// The newest version written and understood.
pub const META_CHECKPOINT_VERSION: u16 = 13;
/// Since this one quotas follow at the end; without any the version before is written.
const QUOTAS_SINCE: u16 = 2;
/// Since this one settings of single brokers follow; likewise.
const OWN_SETTINGS_SINCE: u16 = 3;
/// Since this one the raft ids of lost disks follow; likewise.
const FORMER_SINCE: u16 = 4;
/// Since this one the stride of broker ids follows; likewise.
const STRIDE_SINCE: u16 = 5;
/// Since this one replicas that were made anew for themselves follow; likewise.
const RENEWED_SINCE: u16 = 6;
/// Since this one listeners beside the plaintext one follow; likewise.
const LISTENERS_SINCE: u16 = 7;
/// Since this one users' credentials follow; likewise.
const CREDENTIALS_SINCE: u16 = 8;
/// Since this one access rules follow; likewise.
const ACLS_SINCE: u16 = 9;
/// Since this one settings of groups follow; likewise.
const GROUP_SETTINGS_SINCE: u16 = 10;
/// Since this one nodes that are invited follow; likewise.
const INVITED_SINCE: u16 = 11;
/// Since this one addresses may have quotas; likewise.
const IP_QUOTAS_SINCE: u16 = 13;

impl MetaState {
    pub fn encode(&self) -> Vec<u8> {
        let mut to = Writer::default();
        let version = self.checkpoint_version();
        to.u16(version);
        to.u64(self.applied.0);
        to.u128(self.cluster.0);
        to.u16(self.lanes);
        to.u64(self.segment_bytes);
        to.u64(self.next_raft);
        to.u64(self.next_partition);
        to.u64(self.journals.next);
        to.i64(self.next_producer);
        to.list(self.nodes.values(), |to, node| write_node(to, node));
        to.list(self.journals.by_id.values(), |to, journal| write_journal(to, journal));
        to.list(self.topics.values(), |to, topic| write_topic(to, topic));
        to.list(self.broker_configs.iter(), |to, (key, value)| to.pair(key, value));
        if version >= QUOTAS_SINCE {
            to.list(self.quotas.iter(), |to, (entity, rates)| quotas::write_entry(to, entity, rates));
        }
        if version >= OWN_SETTINGS_SINCE {
            to.list(self.own_broker_configs.iter(), |to, (id, configs)| {
                to.i32(*id);
                to.list(configs.iter(), |to, (key, value)| to.pair(key, value));
            });
        }
        if version >= FORMER_SINCE {
            to.list(self.former().into_iter(), |to, (node, former)| {
                to.u32(node.0);
                to.u64(former.0);
            });
        }
        if version >= STRIDE_SINCE {
            to.u16(self.broker_ids.stride());
        }
        if version >= RENEWED_SINCE {
            to.list(self.renewed().into_iter(), |to, (journal, node, raft_id)| {
                to.u64(journal.0);
                to.u32(node.0);
                to.u64(raft_id.0);
            });
        }
        if version >= LISTENERS_SINCE {
            to.list(self.listeners().into_iter(), |to, (node, listener)| {
                to.u32(node.0);
                write_listener(to, listener);
            });
        }
        if version >= CREDENTIALS_SINCE {
            credentials::write_all(&mut to, &self.credentials);
        }
        if version >= ACLS_SINCE {
            acls::write_all(&mut to, &self.acls);
        }
        if version >= GROUP_SETTINGS_SINCE {
            to.list(self.group_configs.iter(), |to, (name, configs)| {
                to.text(name);
                to.list(configs.iter(), |to, (key, value)| to.pair(key, value));
            });
        }
        if version >= INVITED_SINCE {
            to.list(self.invited.iter(), |to, (node, invited)| {
                to.u32(node.0);
                write_invited(to, invited.incarnation, &invited.advertised);
            });
        }
        to.0
    }

    /// The oldest that has all there is, so that older programs read what they can.
    fn checkpoint_version(&self) -> u16 {
        if self.quotas.keys().any(|entity| entity.ip != QuotaName::Absent) {
            IP_QUOTAS_SINCE
        } else if !self.invited.is_empty() {
            INVITED_SINCE
        } else if !self.group_configs.is_empty() {
            GROUP_SETTINGS_SINCE
        } else if !self.acls.is_empty() {
            ACLS_SINCE
        } else if !self.credentials.is_empty() {
            CREDENTIALS_SINCE
        } else if !self.listeners().is_empty() {
            LISTENERS_SINCE
        } else if !self.renewed().is_empty() {
            RENEWED_SINCE
        } else if self.broker_ids != BrokerIds::default() {
            STRIDE_SINCE
        } else if !self.former().is_empty() {
            FORMER_SINCE
        } else if !self.own_broker_configs.is_empty() {
            OWN_SETTINGS_SINCE
        } else if !self.quotas.is_empty() {
            QUOTAS_SINCE
        } else {
            QUOTAS_SINCE - 1
        }
    }

    /// The raft ids of lost disks, node by node.
    fn former(&self) -> Vec<(NodeId, RaftId)> {
        let nodes = self.nodes.values();
        nodes.flat_map(|node| node.former.iter().map(|former| (node.node, *former))).collect()
    }

    /// Replicas that were made anew, journal by journal, in the order in which they were.
    fn renewed(&self) -> Vec<(JournalId, NodeId, RaftId)> {
        let journals = self.journals.by_id.values();
        journals
            .flat_map(|journal| journal.renewed.iter().map(|(node, raft_id)| (journal.id, *node, *raft_id)))
            .collect()
    }

    /// Listeners beside the plaintext one, node by node.
    fn listeners(&self) -> Vec<(NodeId, &AdvertisedListener)> {
        let nodes = self.nodes.values();
        nodes
            .flat_map(|node| node.advertised.listeners.iter().map(|listener| (node.node, listener)))
            .collect()
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut from = Reader(bytes);
        let version = from.u16()?;
        if version == 0 || version > META_CHECKPOINT_VERSION {
            let newest = META_CHECKPOINT_VERSION;
            return Err(DecodeError::Newer { what: "the metadata checkpoint", version, newest });
        }
        let mut state = MetaState {
            applied: Index(from.u64()?),
            cluster: ClusterId(from.u128()?),
            lanes: from.u16()?,
            segment_bytes: from.u64()?,
            next_raft: from.u64()?,
            next_partition: from.u64()?,
            journals: Journals { next: from.u64()?, ..Journals::default() },
            next_producer: from.i64()?,
            ..MetaState::default()
        };
        for node in from.list(NODE_BYTES_MIN, read_node)? {
            state.nodes.insert(node.node, Arc::new(node));
        }
        for journal in from.list(JOURNAL_BYTES_MIN, read_journal)? {
            state.journals.by_id.insert(journal.id, Arc::new(journal));
        }
        for topic in from.list(TOPIC_BYTES_MIN, read_topic)? {
            state.restore_topic(topic)?;
        }
        state.broker_configs =
            Arc::new(from.list(Reader::PAIR_BYTES_MIN, Reader::pair)?.into_iter().collect());
        if version >= QUOTAS_SINCE {
            let quotas = from.list(quotas::QUOTA_BYTES_MIN, quotas::read_entry)?;
            state.quotas = Arc::new(quotas.into_iter().collect());
        }
        if version >= OWN_SETTINGS_SINCE {
            let read = |from: &mut Reader<'_>| {
                let id = from.i32()?;
                Ok((id, from.list(Reader::PAIR_BYTES_MIN, Reader::pair)?.into_iter().collect()))
            };
            state.own_broker_configs =
                Arc::new(from.list(OWN_SETTINGS_BYTES_MIN, read)?.into_iter().collect());
        }
        if version >= FORMER_SINCE {
            for (node, former) in
                from.list(FORMER_BYTES, |from| Ok((NodeId(from.u32()?), RaftId(from.u64()?))))?
            {
                let node = state.nodes.get_mut(&node);
                let node =
                    node.ok_or(DecodeError::Contradiction("a lost disk is of a node that there is not"))?;
                Arc::make_mut(node).former.push(former);
            }
        }
        if version >= STRIDE_SINCE {
            state.broker_ids = read_stride(&mut from)?;
        }
        if version >= RENEWED_SINCE {
            let read = |from: &mut Reader<'_>| {
                Ok((JournalId(from.u64()?), NodeId(from.u32()?), RaftId(from.u64()?)))
            };
            for (journal, node, raft_id) in from.list(RENEWED_BYTES, read)? {
                let journal = state.journals.by_id.get_mut(&journal);
                let journal = journal
                    .ok_or(DecodeError::Contradiction("a replica is of a journal that there is not"))?;
                Arc::make_mut(journal).renewed.push((node, raft_id));
            }
        }
        if version >= LISTENERS_SINCE {
            let read = |from: &mut Reader<'_>| Ok((NodeId(from.u32()?), read_listener(from)?));
            for (node, listener) in from.list(4 + LISTENER_BYTES_MIN, read)? {
                let node = state.nodes.get_mut(&node);
                let node =
                    node.ok_or(DecodeError::Contradiction("a listener is of a node that there is not"))?;
                Arc::make_mut(node).advertised.listeners.push(listener);
            }
        }
        if version >= CREDENTIALS_SINCE {
            state.credentials = Arc::new(credentials::read_all(&mut from)?);
        }
        if version >= ACLS_SINCE {
            state.acls = Arc::new(acls::read_all(&mut from)?);
        }
        if version >= GROUP_SETTINGS_SINCE {
            let read = |from: &mut Reader<'_>| {
                let name = from.text()?;
                Ok((name, from.list(Reader::PAIR_BYTES_MIN, Reader::pair)?.into_iter().collect()))
            };
            state.group_configs = Arc::new(from.list(GROUP_SETTINGS_BYTES_MIN, read)?.into_iter().collect());
        }
        if version >= INVITED_SINCE {
            let read = |from: &mut Reader<'_>| Ok((NodeId(from.u32()?), read_invited(from)?));
            state.invited = Arc::new(from.list(INVITED_BYTES_MIN, read)?.into_iter().collect());
        }
        from.end()?;
        Ok(state)
    }

    /// Adds a topic that was read, and what follows from it.
    fn restore_topic(&mut self, topic: Topic) -> Result<(), DecodeError> {
        for span in topic.partitions.iter().flat_map(|partition| &partition.spans) {
            if !self.journals.by_id.contains_key(&span.journal) {
                return Err(DecodeError::Contradiction("a partition is in a journal that there is not"));
            }
            *self.journals.partitions.entry(span.journal).or_default() += 1;
        }
        self.partition_count += topic.partitions.len();
        if self.names.insert(topic.name.clone(), topic.id).is_some() {
            return Err(DecodeError::Contradiction("two topics have one name"));
        }
        self.topics.insert(topic.id, Arc::new(topic));
        Ok(())
    }
}

const NODE_BYTES_MIN: usize = 4 + 16 + 8 + 2 + 4 + 2 + 1;
const JOURNAL_BYTES_MIN: usize = 8 + 2 + 1 + 4 + 4 + 8 + 8 + 4;
const TOPIC_BYTES_MIN: usize = 4 + 16 + 1 + 2 + 4 + 4;
const PARTITION_BYTES_MIN: usize = 8 + 4;
/// A name and a list.
const GROUP_SETTINGS_BYTES_MIN: usize = 4;
const OWN_SETTINGS_BYTES_MIN: usize = 4 + 4;
const SPAN_BYTES: usize = 8 + 8 + 4;
const FORMER_BYTES: usize = 4 + 8;
/// Its number and life, its host, port and rack, and no listeners.
const INVITED_BYTES_MIN: usize = 4 + 16 + 4 + 2 + 1 + 4;
const RENEWED_BYTES: usize = 8 + 4 + 8;

fn write_node(to: &mut Writer, node: &NodeView) {
    to.u32(node.node.0);
    to.u128(node.incarnation.0);
    to.u64(node.raft_id.0);
    to.u16(node.shards);
    write_advertised(to, &node.advertised);
}

fn read_node(from: &mut Reader<'_>) -> Result<NodeView, DecodeError> {
    Ok(NodeView {
        node: NodeId(from.u32()?),
        incarnation: Incarnation(from.u128()?),
        raft_id: RaftId(from.u64()?),
        former: Vec::new(),
        shards: from.u16()?,
        advertised: read_advertised(from)?,
    })
}

fn write_journal(to: &mut Writer, journal: &JournalView) {
    to.u64(journal.id.0);
    to.u16(journal.lane.0);
    to.u8(journal.life as u8);
    to.list(journal.replicas.iter(), |to, node| to.u32(node.0));
    to.list(journal.voters.iter(), |to, raft| to.u64(raft.0));
    to.u64(journal.secret);
    to.u64(journal.segment_bytes);
    to.u32(journal.batches_per_segment_max);
}

fn read_journal(from: &mut Reader<'_>) -> Result<JournalView, DecodeError> {
    Ok(JournalView {
        id: JournalId(from.u64()?),
        lane: LaneId(from.u16()?),
        life: read_life(from)?,
        replicas: from.list(4, |from| Ok(NodeId(from.u32()?)))?,
        voters: from.list(8, |from| Ok(RaftId(from.u64()?)))?,
        renewed: Vec::new(),
        secret: from.u64()?,
        segment_bytes: from.u64()?,
        batches_per_segment_max: from.u32()?,
    })
}

fn write_topic(to: &mut Writer, topic: &Topic) {
    to.text(&topic.name);
    to.u128(topic.id.0);
    to.u8(topic.life as u8);
    to.u16(topic.replication_factor);
    to.list(topic.configs.iter(), |to, (key, value)| to.pair(key, value));
    to.list(topic.partitions.iter(), |to, partition| {
        to.u64(partition.id.0);
        to.list(partition.spans.iter(), |to, span| {
            to.u64(span.journal.0);
            to.i64(span.first_offset);
            to.i32(span.epoch_base);
        });
    });
}

fn read_topic(from: &mut Reader<'_>) -> Result<Topic, DecodeError> {
    Ok(Topic {
        name: from.text()?.into(),
        id: TopicId(from.u128()?),
        life: read_life(from)?,
        replication_factor: from.u16()?,
        configs: from.list(Reader::PAIR_BYTES_MIN, Reader::pair)?.into_iter().collect(),
        partitions: from.list(PARTITION_BYTES_MIN, |from| {
            let id = PartitionId(from.u64()?);
            let spans = from.list(SPAN_BYTES, read_span)?;
            Ok(PartitionView { id, spans })
        })?,
    })
}

fn read_span(from: &mut Reader<'_>) -> Result<SpanView, DecodeError> {
    Ok(SpanView { journal: JournalId(from.u64()?), first_offset: from.i64()?, epoch_base: from.i32()? })
}
