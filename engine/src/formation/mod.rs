//! How listed nodes become a cluster (decision 10): each stores the set of (node, incarnation)
//! that it sees; a set is final on a node once all listed nodes reported to have stored it.
//!
//! ```text
//! hear all ──> store set ──> all reported the same set ──> store it as final ──> vote
//!     ^           │
//!     └───────────┘ a node came back wiped: another set
//! ```
//!
//! Knows nothing of sockets, files or raft: whoever drives it carries reports and stores what it
//! is told to. Two nodes never end with different final sets. Say A ended with S and B with S',
//! which differ in node C. Then A had stored S' before S, and B had stored S before S': the two
//! saw C's lives in opposite order. A life is taken only from a report that echoes a challenge
//! drawn after the former one was taken, hence from one that lived later; so they cannot.

pub mod report;
#[cfg(test)]
mod tests;

pub use report::Report;

use crate::folder::{FORMATION_MEMBERS_MAX, NodeMeta};
use crate::ids::{BrokerIds, ClusterId, Incarnation, NodeId};
use crate::rng::{Rng, mix};
use std::collections::{BTreeMap, BTreeSet};

/// The nodes that form a cluster, each in the life in which it does. Sorted by node.
pub type Members = Vec<(NodeId, Incarnation)>;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Reports are due: several times a second until formed.
    Tick,
    Received(Report),
    /// The last [`Output::Store`] is durable.
    Stored,
}

/// What is to be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    Send {
        to: NodeId,
        report: Report,
    },
    /// Make it durable, then say [`Input::Stored`]. None follows before that.
    Store(NodeMeta),
    /// The set is final and durable; said once.
    Formed,
    Refused(Refused),
}

/// A report that cannot belong to this formation; the node that sent it is not counted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("node {node} is not among the nodes listed here ({}); give all nodes the same --peers", list(.listed))]
    Unlisted { node: NodeId, listed: Vec<NodeId> },
    #[error("node {node} lists the nodes {}, this one {}; give all nodes the same --peers", list(.theirs), list(.ours))]
    OtherList { node: NodeId, theirs: Vec<NodeId>, ours: Vec<NodeId> },
    #[error("another process says to be node {node}, as this one; give each node its own --node-id")]
    Duplicate { node: NodeId },
    #[error("node {node} forms with --segment-bytes {theirs}, this one with {ours}; give all nodes the same")]
    SegmentBytes { node: NodeId, theirs: u64, ours: u64 },
    #[error(
        "node {node} forms {}, this one {}; give all nodes the same --broker-id-stride, or none",
        stride(.theirs), stride(.ours)
    )]
    BrokerIds { node: NodeId, theirs: Option<BrokerIds>, ours: Option<BrokerIds> },
    #[error("node {node} belongs to cluster {theirs:032x}, this one to {ours:032x}")]
    OtherCluster { node: NodeId, theirs: u128, ours: u128 },
}

fn list(nodes: &[NodeId]) -> String {
    nodes.iter().map(NodeId::to_string).collect::<Vec<_>>().join(", ")
}

fn stride(asked: &Option<BrokerIds>) -> String {
    match asked {
        Some(ids) => format!("with --broker-id-stride {}", ids.stride()),
        None => "without --broker-id-stride".to_owned(),
    }
}

/// Whom the formation still waits for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Not heard since this process started.
    pub unheard: Vec<NodeId>,
    /// Heard, and have not reported to have stored the same set.
    pub undecided: Vec<NodeId>,
}

/// What is known of another listed node.
#[derive(Debug)]
struct Peer {
    /// Only a report that echoes this one is news of the node's present life.
    challenge: u64,
    /// The node's challenge to this one; 0 before any.
    to_echo: u64,
    /// Its life and the set that it stored.
    taken: Option<(Incarnation, Members)>,
}

/// One node's part in forming its cluster.
#[derive(Debug)]
pub struct Formation {
    /// What is durable.
    node: NodeMeta,
    /// As the operator asked for them: the same on all nodes.
    broker_ids: Option<BrokerIds>,
    /// What is on its way to the disk: while there is one, no other is.
    storing: Option<NodeMeta>,
    peers: BTreeMap<NodeId, Peer>,
    /// Whether it may be one of those that form a new cluster.
    may_found: bool,
    rng: Rng,
}

impl Formation {
    /// `node` is what the folder holds; `listed` are all nodes, this one among them. One that must not
    /// found a new cluster waits for the set of one that there is.
    pub fn new(
        node: NodeMeta,
        broker_ids: Option<BrokerIds>,
        listed: &BTreeSet<NodeId>,
        may_found: bool,
        entropy: u64,
    ) -> Self {
        assert!(listed.contains(&node.node), "node {} is not in its own list", node.node);
        assert!(listed.len() <= FORMATION_MEMBERS_MAX, "{} nodes listed", listed.len());
        let mut rng = Rng::new(entropy);
        let peers = listed.iter().filter(|listed| **listed != node.node);
        let peers = peers
            .map(|peer| (*peer, Peer { challenge: challenge(&mut rng), to_echo: 0, taken: None }))
            .collect();
        Self { node, broker_ids, storing: None, peers, may_found, rng }
    }

    /// More nodes are known: those that came to a formed cluster, or may come. They are answered like any other.
    pub fn learn(&mut self, listed: &BTreeSet<NodeId>) {
        assert!(self.node.is_final, "before that the operator's list decides");
        for node in listed.iter().filter(|node| **node != self.node.node) {
            let challenge = challenge(&mut self.rng);
            self.peers.entry(*node).or_insert(Peer { challenge, to_echo: 0, taken: None });
        }
        assert!(self.peers.len() <= FORMATION_MEMBERS_MAX, "{} other nodes", self.peers.len());
    }

    /// What is durable.
    pub fn node(&self) -> &NodeMeta {
        &self.node
    }

    pub fn is_formed(&self) -> bool {
        self.node.is_final
    }

    /// Whether this life is one of the set that formed the cluster. If not, the node joins as a
    /// new replica: its folder was emptied or replaced after the formation.
    pub fn is_founder(&self) -> bool {
        self.node.is_final && self.node.formation.contains(&(self.node.node, self.node.incarnation))
    }

    pub fn waiting(&self) -> Waiting {
        let mut waiting = Waiting::default();
        if self.node.is_final {
            return waiting;
        }
        for (node, peer) in &self.peers {
            match &peer.taken {
                None => waiting.unheard.push(*node),
                Some((_, stored)) if *stored != self.node.formation => waiting.undecided.push(*node),
                Some(_) => {}
            }
        }
        waiting
    }

    pub fn step(&mut self, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Tick if self.node.is_final => {}
            Input::Tick => self.tell_all(out),
            Input::Received(report) => self.received(report, out),
            Input::Stored => {
                self.node = self.storing.take().expect("only what was to be stored is stored");
                if self.node.is_final {
                    out.push(Output::Formed);
                }
                self.tell_all(out);
            }
        }
        self.decide(out);
    }

    fn received(&mut self, report: Report, out: &mut Vec<Output>) {
        if let Err(refused) = self.check(&report) {
            return out.push(Output::Refused(refused));
        }
        let from = report.node;
        if self.node.is_final {
            // A node that does not know it yet asks by reporting.
            if !report.is_final {
                self.peers.get_mut(&from).expect("checked").to_echo = report.challenge;
                self.tell(from, out);
            }
            return;
        }
        if report.is_final {
            return self.adopt(report, out);
        }
        let fresh = challenge(&mut self.rng);
        let peer = self.peers.get_mut(&from).expect("checked");
        peer.to_echo = report.challenge;
        if report.echo != peer.challenge {
            return;
        }
        if peer.taken.as_ref().is_none_or(|(life, _)| *life != report.incarnation) {
            peer.challenge = fresh;
        }
        peer.taken = Some((report.incarnation, report.stored));
    }

    fn check(&self, report: &Report) -> Result<(), Refused> {
        let node = report.node;
        if node == self.node.node {
            return Err(Refused::Duplicate { node });
        }
        let ours = || self.listed();
        if !self.peers.contains_key(&node) {
            return Err(Refused::Unlisted { node, listed: ours() });
        }
        if report.is_final && self.node.is_final {
            let (theirs, ours) = (cluster_of(&report.stored).0, self.node.cluster.0);
            return if theirs == ours { Ok(()) } else { Err(Refused::OtherCluster { node, theirs, ours }) };
        }
        // Once a cluster is formed its membership rules, and lists only give addresses.
        if report.is_final || self.node.is_final {
            return Ok(());
        }
        if report.listed != ours() {
            return Err(Refused::OtherList { node, theirs: report.listed.clone(), ours: ours() });
        }
        if report.segment_bytes != self.node.segment_bytes {
            let (theirs, ours) = (report.segment_bytes, self.node.segment_bytes);
            return Err(Refused::SegmentBytes { node, theirs, ours });
        }
        if report.broker_ids.unwrap_or_default() != self.broker_ids.unwrap_or_default() {
            return Err(Refused::BrokerIds { node, theirs: report.broker_ids, ours: self.broker_ids });
        }
        Ok(())
    }

    /// Another node knows the final set.
    fn adopt(&mut self, report: Report, out: &mut Vec<Output>) {
        if self.storing.is_some() {
            // It tells it again when this node reports next.
            return;
        }
        let segment_bytes = report.segment_bytes;
        self.store(
            NodeMeta {
                cluster: cluster_of(&report.stored),
                formation: report.stored,
                is_final: true,
                segment_bytes,
                ..self.node.clone()
            },
            out,
        );
    }

    /// Stores what is seen once all are seen; makes it final once all have stored it.
    fn decide(&mut self, out: &mut Vec<Output>) {
        if self.node.is_final || self.storing.is_some() || !self.may_found {
            return;
        }
        let lives = self.peers.iter().map(|(node, peer)| Some((*node, peer.taken.as_ref()?.0)));
        let own = Some((self.node.node, self.node.incarnation));
        let Some(mut seen) = lives.chain([own]).collect::<Option<Members>>() else { return };
        seen.sort_unstable();
        if self.node.formation != seen {
            return self.store(NodeMeta { formation: seen, ..self.node.clone() }, out);
        }
        let all = self.peers.values().all(|peer| peer.taken.as_ref().is_some_and(|taken| taken.1 == seen));
        if all {
            let cluster = cluster_of(&seen);
            self.store(NodeMeta { cluster, is_final: true, ..self.node.clone() }, out);
        }
    }

    fn store(&mut self, node: NodeMeta, out: &mut Vec<Output>) {
        assert!(!self.node.is_final, "a final set never changes");
        assert!(self.storing.is_none(), "one write at a time");
        self.storing = Some(node.clone());
        out.push(Output::Store(node));
    }

    fn tell_all(&self, out: &mut Vec<Output>) {
        self.peers.keys().for_each(|to| self.tell(*to, out));
    }

    /// Reports what is durable, never what is about to be.
    fn tell(&self, to: NodeId, out: &mut Vec<Output>) {
        let peer = &self.peers[&to];
        let report = Report {
            node: self.node.node,
            incarnation: self.node.incarnation,
            challenge: peer.challenge,
            echo: peer.to_echo,
            segment_bytes: self.node.segment_bytes,
            broker_ids: self.broker_ids.filter(|_| !self.node.is_final),
            is_final: self.node.is_final,
            listed: self.listed(),
            stored: self.node.formation.clone(),
        };
        out.push(Output::Send { to, report });
    }

    fn listed(&self) -> Vec<NodeId> {
        let mut listed: Vec<NodeId> = self.peers.keys().copied().chain([self.node.node]).collect();
        listed.sort_unstable();
        listed
    }
}

/// Never 0, which is the echo of one that was not challenged yet.
fn challenge(rng: &mut Rng) -> u64 {
    rng.next_u64() | 1
}

/// The cluster's id: a function of the set that forms it, and not the other way round, so that
/// clients who see it learn no incarnation.
pub fn cluster_of(formation: &[(NodeId, Incarnation)]) -> ClusterId {
    let half = |salt: u64| {
        formation.iter().fold(salt, |sum, (node, incarnation)| {
            let (low, high) = (incarnation.0 as u64, (incarnation.0 >> 64) as u64);
            mix(mix(mix(sum ^ u64::from(node.0)) ^ low) ^ high)
        })
    };
    ClusterId((u128::from(half(0x636c_7573)) << 64) | u128::from(half(0x7465_7220)))
}
