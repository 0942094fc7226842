//! A node that would join asks a member who the others are, in the place of a handshake.

use super::{Links, Other};
use crate::client::any_socket::AnySocket;
use crate::peer::join::{JoinAnswer, JoinQuestion, JoinStanding};
use crate::peer::link::{self, LinkError};
use crate::process::address::Address;
use engine::control::nodes::NodeView;
use engine::ids::NodeId;
use rustls::pki_types::CertificateDer;

impl Links {
    /// A node that would join asks who the members are.
    pub(super) async fn tell_members(
        &self,
        socket: &AnySocket,
        chain: Option<&[CertificateDer<'static>]>,
        question: &[u8],
    ) -> Result<(), LinkError> {
        let JoinQuestion { node } = JoinQuestion::decode(question)?;
        let certified = self.security.as_ref().map(|security| security.check(chain, node));
        let answer = match certified {
            Some(Err(error)) => Err(error.to_string()),
            _ => self.members_for(node),
        };
        match answer {
            Ok(answer) => link::tell_members(socket, answer.encode()).await,
            Err(text) => {
                link::refuse(socket, &text).await;
                tracing::info!(node = node.0, "a node that would join was refused: {text}");
                Ok(())
            }
        }
    }

    fn members_for(&self, node: NodeId) -> Result<JoinAnswer, String> {
        let view = self.view.borrow();
        let lives = |(of, _): &Other| *of == node;
        if !view.is_formed() {
            return Err("it has no cluster yet: try again when it serves".to_owned());
        }
        if node == self.place.node || self.open.borrow().keys().any(lives) {
            return Err(format!("node {node} is a member and runs: give the new one another --node-id"));
        }
        let address = |member: &NodeView| {
            let told = member.advertised.peer();
            let told = told.map(|at| Address { host: at.host.clone(), port: at.first_port });
            Some((member.node, self.addresses.written(member.node).or(told)?))
        };
        let others = view.nodes.values().filter(|member| member.node != node);
        let members = others.filter_map(|member| address(member)).collect();
        let standing = match (view.nodes.contains_key(&node), view.invited.contains_key(&node)) {
            (true, _) => JoinStanding::Member,
            (false, true) => JoinStanding::Invited,
            (false, false) => JoinStanding::Unknown,
        };
        Ok(JoinAnswer { standing, members })
    }
}
