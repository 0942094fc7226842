//! The loop's side of the links to other nodes: what they bring goes to the engine, what the engine
//! says to other nodes goes to them, and all shards of the node learn who lives and who leads.

use super::ShardLoop;
use crate::peer::addresses::Addresses;
use crate::peer::links::{Identity, Links, News};
use crate::peer::met_nodes::MetNodes;
use crate::peer::roster::Place;
use crate::peer::secure::Security;
use crate::shard::leaders::Leadership;
use crate::shard::mailbox::{Mail, Mailbox};
use crate::shard::written_members::WrittenMembers;
use engine::control::View;
use engine::disk::BufferPool;
use engine::formation::Report;
use engine::ids::{JournalId, LaneId, NodeId, ShardId, Term};
use engine::peer::PeerMessage;
use engine::port::{Entry, Input};
use engine::register::Register;
use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

/// The shard that has lane 0: it forms the cluster, and knows which nodes live.
pub(super) const FIRST_SHARD: ShardId = ShardId(0);

/// What a shard needs for its links.
pub struct PeerSetup {
    /// This shard's own.
    pub listen: SocketAddr,
    pub addresses: Arc<Addresses>,
    /// What the file of met nodes has.
    pub met: MetNodes,
    /// Where links are within TLS, or may be.
    pub security: Option<Security>,
    /// The engine's: what comes is received into its buffers.
    pub pool: BufferPool,
    /// What may wait for one other shard.
    pub queue_bytes_max: usize,
}

impl ShardLoop {
    /// Makes the links, before the engine starts; calls begin when it knows who it is.
    pub fn link(self: &Rc<Self>, setup: PeerSetup) -> io::Result<()> {
        let place = Place { node: self.config.node, shard: self.shard(), shards: self.config.shards };
        let this = Rc::clone(self);
        let links = Links::new(
            place,
            setup.security,
            setup.addresses,
            setup.pool,
            setup.queue_bytes_max,
            move |news| {
                this.news(news);
            },
        );
        links.listen(setup.listen)?;
        *self.members.borrow_mut() = WrittenMembers::of(setup.met);
        *self.links.borrow_mut() = Some(links);
        Ok(())
    }

    pub(super) fn links(&self) -> Option<Rc<Links>> {
        self.links.borrow().clone()
    }

    fn news(self: &Rc<Self>, news: News) {
        match news {
            News::Message { from, message } => self.step(Input::Peer { from, message }),
            News::Met(met) => {
                self.tell_first(Input::Enter(Entry::Met(met)), Mail::Enter(Entry::Met(met)));
            }
            News::OldCopy { by, seen } => {
                self.tell_first(Input::OldCopy { by, seen }, Mail::OldCopy { by, seen });
            }
            News::Formation(report) => self.step(Input::Formation(report)),
            News::Link { node, lane, run } => {
                if lane == LaneId(0) {
                    self.lives(node, run.is_some());
                }
                self.step(Input::Link { node, lane, run });
            }
        }
    }

    /// The first shard tells the others who lives.
    fn lives(&self, node: NodeId, up: bool) {
        self.link_book.borrow_mut().lives(node, up, Instant::now());
        let mut living = self.living.borrow_mut();
        if up {
            living.insert(node)
        } else {
            living.remove(&node)
        };
        let living = living.clone();
        for to in self.other_shards() {
            let mail = Mail::Living { nodes: living.clone() };
            self.with_mailbox(|mailbox| mailbox.send(to, mail));
        }
        self.changes.notify();
    }

    pub(super) fn learn_living(&self, nodes: BTreeSet<NodeId>) {
        *self.living.borrow_mut() = nodes;
        self.changes.notify();
    }

    /// Whether a node is this one, or one that this node is linked to.
    pub fn is_living(&self, node: NodeId) -> bool {
        node == self.config.node || self.living.borrow().contains(&node)
    }

    /// Whether clients can be sent to a node: it lives, and the metadata has its address. At a
    /// cluster's beginning a node may lead before the others have read that.
    pub fn is_reachable(&self, view: &View, node: NodeId) -> bool {
        node == self.config.node || self.is_living(node) && view.is_registered(node)
    }

    pub(super) fn send_to_peer(&self, to: NodeId, lane: LaneId, message: &PeerMessage) {
        // Without links the node is a cluster of its own: the engine has nobody to write to.
        self.links().expect("only a node with peers has something to say").send(to, lane, message);
    }

    pub(super) fn report_to_peer(&self, to: NodeId, report: &Report) {
        self.links().expect("only a node with peers forms a cluster").report(to, report);
    }

    /// Who leads a journal, as this shard's engine knows; all shards of the node are told.
    pub(super) fn learn_leader(&self, journal: JournalId, leadership: Leadership) {
        for to in self.other_shards() {
            let leadership = leadership.clone();
            self.with_mailbox(|mailbox| mailbox.send(to, Mail::Leader { journal, leadership }));
        }
        self.leaders.borrow_mut().learn(journal, leadership);
        self.changes.notify();
    }

    /// Wants a journal's preferred node to lead it: told to the shard of its lane.
    pub fn elect(self: &Rc<Self>, journal: JournalId) {
        let Some(lane) = self.view.borrow().journals.get(&journal).map(|journal| journal.lane) else {
            return;
        };
        let shard = lane.shard(self.config.shards);
        if shard == self.shard() {
            self.step(Input::Elect { journal });
        } else {
            self.with_mailbox(|mailbox| mailbox.send(shard, Mail::Elect { journal }));
        }
    }

    /// The term in which this shard leads a journal, if it does, as far as it knows.
    pub fn term_led(&self, journal: JournalId) -> Option<Term> {
        let lane = self.view.borrow().journals.get(&journal)?.lane;
        let is_mine = lane.shard(self.config.shards) == self.shard();
        let leaders = self.leaders.borrow();
        let known = leaders.get(journal).filter(|known| known.leader == Some(self.config.node))?;
        is_mine.then_some(known.term)
    }

    /// On the tick: links look at the time, and learn what the engine found out about this node.
    pub(super) fn tick_links(&self) {
        let Some(links) = self.links() else { return };
        links.tick();
        if self.shard() != FIRST_SHARD {
            return;
        }
        let found = {
            let engine = self.engine.borrow();
            engine.node().zip(engine.run()).map(|(node, run)| Identity {
                cluster: node.cluster,
                incarnation: node.incarnation,
                run,
            })
        };
        let Some(identity) = found.filter(|identity| links.identity() != Some(*identity)) else { return };
        for to in self.other_shards() {
            self.with_mailbox(|mailbox: &Mailbox| mailbox.send(to, Mail::Identity(identity)));
        }
        links.introduce(identity);
    }

    /// The first shard wrote down what this node has: the others learn it, and all links.
    pub(super) fn spread_register(&self, register: Arc<Register>) {
        for to in self.other_shards() {
            let mail = Mail::Register(Arc::clone(&register));
            self.with_mailbox(|mailbox| mailbox.send(to, mail));
        }
        if let Some(links) = self.links() {
            links.learn_register(register);
        }
    }

    pub(super) fn learn_register(self: &Rc<Self>, register: Arc<Register>) {
        if let Some(links) = self.links() {
            links.learn_register(Arc::clone(&register));
        }
        self.step(Input::Register(register));
    }

    /// The first shard writes down whom a link met, and is told what another node met of this one.
    fn tell_first(self: &Rc<Self>, input: Input<'static>, mail: Mail) {
        if self.shard() == FIRST_SHARD {
            self.step(input);
        } else {
            self.with_mailbox(|mailbox| mailbox.send(FIRST_SHARD, mail));
        }
    }

    pub(super) fn learn_identity(&self, identity: Identity) {
        if let Some(links) = self.links() {
            links.introduce(identity);
        }
    }

    pub(super) fn links_follow(self: &Rc<Self>, view: &Arc<View>) {
        if let Some(links) = self.links() {
            links.follow(view);
            self.write_members_down();
        }
    }
}
