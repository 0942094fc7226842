//! Who the other nodes are, as the metadata names them: the first shard writes them down in the data folder, and only
//! then are they spoken to, so that this node knows at its next start whom to call.

use super::ShardLoop;
use super::peers::FIRST_SHARD;
use crate::peer::met_nodes::{self, MetNodes};
use crate::process::address::Address;
use crate::shard::mailbox::Mail;
use crate::shard::written_members::LinksAre;
use engine::ids::NodeId;
use engine::port::Input;
use std::rc::Rc;
use std::time::Duration;

/// A file that could not be written is written again after this.
const WRITE_AGAIN: Duration = Duration::from_secs(1);

impl ShardLoop {
    /// Writes the file when the metadata names others than it has.
    pub(super) fn write_members_down(self: &Rc<Self>) {
        if self.shard() != FIRST_SHARD || !self.view().is_formed() {
            return;
        }
        let named = self.named_members();
        if !self.members.borrow_mut().begin(&named) {
            return;
        }
        // It may run at once.
        let this = Rc::clone(self);
        glommio::spawn_local(async move { this.keep_writing().await }).detach();
    }

    /// How this node's links to others are.
    pub fn links_are(&self) -> LinksAre {
        match self.links() {
            None => LinksAre::None,
            Some(links) if links.are_within_tls() => LinksAre::WithinTls,
            Some(_) => LinksAre::Plain,
        }
    }

    async fn keep_writing(self: Rc<Self>) {
        loop {
            let (named, folder) = (self.named_members(), self.folder().to_owned());
            if self.members.borrow_mut().end(&named) {
                break;
            }
            let members = named.clone();
            let writing = glommio::executor().spawn_blocking(move || met_nodes::write(&folder, &members));
            match writing.await {
                Ok(()) => self.members_written(named),
                Err(error) => {
                    tracing::warn!("the other members could not be written down: {error}; trying on");
                    glommio::timer::sleep(WRITE_AGAIN).await;
                }
            }
        }
    }

    /// All members and those invited but this one, with their addresses: as the operator lists them, else as they told
    /// the metadata.
    fn named_members(&self) -> MetNodes {
        let (view, links) = (self.view(), self.links());
        let members = view.nodes.values().map(|node| (node.node, &node.advertised));
        let invited = view.invited.iter().map(|(node, invited)| (*node, &invited.advertised));
        let others = members.chain(invited).filter(|(node, _)| *node != self.config.node);
        let address = |(node, advertised): (NodeId, &engine::shard::Advertised)| {
            let told = advertised.peer();
            let told = told.map(|at| Address { host: at.host.clone(), port: at.first_port });
            let known = || links.as_ref().and_then(|links| links.addresses().written(node));
            Some((node, told.or_else(known)?))
        };
        others.filter_map(address).collect()
    }

    fn members_written(self: &Rc<Self>, members: MetNodes) {
        let Some(links) = self.links() else { return };
        if let Err(error) = links.addresses().learn(&members) {
            tracing::error!("no thread to look up the names of nodes: {error}");
        }
        let nodes: Vec<NodeId> = links.addresses().nodes();
        assert!(members.keys().all(|node| nodes.contains(node)), "what was just learned is known");
        self.members.borrow_mut().wrote(members);
        for to in self.other_shards() {
            let mail = Mail::Members { nodes: nodes.clone() };
            self.with_mailbox(|mailbox| mailbox.send(to, mail));
        }
        self.learn_members(nodes);
    }

    /// These are written down.
    pub(super) fn learn_members(self: &Rc<Self>, nodes: Vec<NodeId>) {
        if let Some(links) = self.links() {
            links.learn_members();
        }
        self.step(Input::Peers(nodes));
    }

    /// Says what is to be done for a node that waits to be let into a cluster.
    pub(super) fn log_that_it_waits(&self) {
        let (own, engine) = (self.config.node, self.engine.borrow());
        let (Some(node), Some(at)) = (engine.node(), self.config.advertised.peer()) else { return };
        let (incarnation, at) = (node.incarnation.0, Address { host: at.host.clone(), port: at.first_port });
        tracing::info!(
            "node {own} waits to be let in. On a member, unless it was done: \
             `duramen node add {own} {at} --incarnation {incarnation:032x}`"
        );
    }
}
