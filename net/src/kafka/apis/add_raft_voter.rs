//! AddRaftVoter, which `duramen node add` asks: a node that is no member may come. Its directory id is the incarnation
//! that it shows when it starts; its listener PEER is where other nodes find it.

use super::admin::{self, Failure, error_fields};
use super::metadata::cluster_id;
use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::errors::code;
use crate::kafka::request_context::RequestContext;
use crate::shard::written_members::LinksAre;
use core::ops::RangeInclusive;
use engine::control::{Command, View};
use engine::ids::{Incarnation, NodeId};
use engine::shard::{Advertised, AdvertisedListener, PEER_LISTENER};
use kafka_wire::{AddRaftVoterRequest, AddRaftVoterResponse};

pub struct AddRaftVoter;

impl Handler for AddRaftVoter {
    type Request = AddRaftVoterRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=1;

    fn named(request: &Self::Request) -> usize {
        request.listeners.len()
    }

    async fn handle(
        context: &Context,
        _: &RequestContext,
        request: AddRaftVoterRequest,
    ) -> AddRaftVoterResponse {
        let planned = plan(&context.view(), context.shard.links_are(), &request);
        let told = planned.as_ref().ok().cloned();
        let mut results = admin::carry_out(context, vec![planned], request.timeout_ms).await;
        let result = results.pop().expect("one of one");
        if let (Ok(_), Some(Command::AddNode { node, .. })) = (&result, told) {
            tracing::info!("node {node} is invited: it becomes a member when it comes");
        }
        let mut response = AddRaftVoterResponse::default();
        (response.error_code, response.error_message) = error_fields(&result);
        response
    }
}

fn plan(view: &View, links: LinksAre, request: &AddRaftVoterRequest) -> Result<Command, Failure> {
    let ours = cluster_id(view);
    if let Some(theirs) = request.cluster_id.as_deref().filter(|theirs| **theirs != *ours) {
        let what = format!("this cluster is {ours}, not {theirs}");
        return Err(Failure::new(code::INCONSISTENT_CLUSTER_ID, what));
    }
    let node = u32::try_from(request.voter_id).map(NodeId);
    let node = node.map_err(|_| Failure::request(format!("{} is no node's id", request.voter_id)))?;
    if view.nodes.contains_key(&node) {
        let what = format!("node {node} is a member already: give the new one an id that no member has");
        return Err(Failure::new(code::DUPLICATE_VOTER, what));
    }
    let incarnation = Incarnation(u128::from_be_bytes(request.voter_directory_id.to_bytes()));
    match links {
        LinksAre::None => {
            return Err(Failure::request(
                "this node listens for no other node: start it with --peer-listen HOST:PORT",
            ));
        }
        LinksAre::Plain if incarnation == Incarnation(0) => {
            return Err(Failure::request(format!(
                "links between nodes are not within TLS (--peer-tls require), so whoever says to be node {node} \
                 would be let in: name it by the incarnation that it shows when it starts, --incarnation HEX"
            )));
        }
        LinksAre::Plain | LinksAre::WithinTls => {}
    }
    let named =
        |listener: &&kafka_wire::add_raft_voter_request::Listener| listener.name.as_str() == PEER_LISTENER;
    let at = request.listeners.iter().find(named).filter(|at| at.port != 0 && !at.host.is_empty());
    let at = at.ok_or_else(|| {
        Failure::request(format!("no listener {PEER_LISTENER}: where other nodes would find node {node}"))
    })?;
    let taken = view.nodes.values().find(|member| {
        member.advertised.peer().is_some_and(|peer| *peer.host == *at.host && peer.first_port == at.port)
    });
    if let Some(taken) = taken {
        let what = format!("{}:{} is where node {} listens for other nodes", at.host, at.port, taken.node);
        return Err(Failure::request(what));
    }
    let peer = AdvertisedListener {
        name: PEER_LISTENER.to_owned(),
        protocol: 0,
        host: at.host.to_string(),
        first_port: at.port,
    };
    let advertised = Advertised { listeners: vec![peer], ..Advertised::default() };
    Ok(Command::AddNode { node, incarnation, advertised })
}

#[cfg(test)]
mod tests {
    use super::super::admin::fixture::Cluster;
    use super::*;
    use kafka_wire::add_raft_voter_request::Listener;
    use kafka_wire_core::Uuid;

    fn request(node: i32, incarnation: u128) -> AddRaftVoterRequest {
        let (mut request, mut at) = (AddRaftVoterRequest::default(), Listener::default());
        (at.name, at.host, at.port) = (PEER_LISTENER.into(), "four".into(), 9192);
        (request.voter_id, request.listeners) = (node, vec![at]);
        request.voter_directory_id = Uuid::from_bytes(incarnation.to_be_bytes());
        request.cluster_id = None;
        request
    }

    fn refused(links: LinksAre, request: &AddRaftVoterRequest) -> Failure {
        plan(&Cluster::new(1).view(), links, request).expect_err("refused")
    }

    #[test]
    fn one_is_invited_where_it_says_and_as_who_it_says() {
        let view = Cluster::new(1).view();
        let planned = plan(&view, LinksAre::Plain, &request(4, 44)).expect("a command");
        let Command::AddNode { node: NodeId(4), incarnation: Incarnation(44), advertised } = &planned else {
            panic!("{planned:?}")
        };
        let at = advertised.peer().expect("an address");
        assert_eq!((at.host.as_str(), at.first_port), ("four", 9192));
        plan(&view, LinksAre::WithinTls, &request(4, 0)).expect("its certificate says who it is");
    }

    #[test]
    fn who_cannot_come_is_told_why() {
        assert!(refused(LinksAre::Plain, &request(4, 0)).message.contains("--incarnation"));
        assert!(refused(LinksAre::None, &request(4, 4)).message.contains("--peer-listen"));
        assert_eq!(refused(LinksAre::Plain, &request(0, 4)).code, code::DUPLICATE_VOTER);
        assert!(refused(LinksAre::Plain, &request(-1, 4)).message.contains("no node's id"));
        let mut nowhere = request(4, 4);
        nowhere.listeners.clear();
        assert!(refused(LinksAre::WithinTls, &nowhere).message.contains("no listener PEER"));
        let mut elsewhere = request(4, 4);
        elsewhere.cluster_id = Some("another".into());
        assert_eq!(refused(LinksAre::Plain, &elsewhere).code, code::INCONSISTENT_CLUSTER_ID);
    }
}
