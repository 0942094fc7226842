//! `duramen node add`: a node that is no member may come.

use super::connection::Connection;
use super::kafka_error::check;
use super::out::Out;
use super::reach::Reach;
use super::topic_report;
use crate::process::address::Address;
use crate::process::refusal::Refusal;
use clap::Args;
use engine::shard::PEER_LISTENER;
use kafka_wire::AddRaftVoterRequest;
use kafka_wire::add_raft_voter_request::Listener;
use kafka_wire_core::Uuid;
use serde::Serialize;
use std::process::ExitCode;

#[derive(Args, Debug)]
pub struct Adding {
    /// The new node's id: one that no member has
    pub id: u32,
    /// Where the other nodes find it: its --peer-listen, or --peer-advertise
    #[arg(value_name = "HOST:PORT")]
    pub at: String,
    /// The life that may come, as the node shows it when it starts with --join. Needed unless links between
    /// nodes are within TLS (--peer-tls require), where its certificate says who it is
    #[arg(long, value_name = "HEX")]
    pub incarnation: Option<String>,
}

#[derive(Serialize)]
struct Added {
    node: u32,
    peer_address: String,
}

pub fn run(adding: &Adding, reach: &Reach, out: Out) -> Result<ExitCode, Refusal> {
    let mut request = request(adding, reach.timeout_ms())?;
    let mut connection = reach.connect()?;
    // Versions are told before anything is changed.
    let cluster = topic_report::metadata(&mut connection, Some(&[]))?.cluster_id;
    request.cluster_id = cluster;
    ask(&mut connection, adding.id, &request)?;
    let added = Added { node: adding.id, peer_address: adding.at.clone() };
    out.show(&added, |added| {
        format!(
            "node {} is invited: it becomes a member when it comes from {}, on an empty folder with --join \
             HOST:PORT, a member's peer address; `duramen node list` shows it",
            added.node, added.peer_address
        )
    })?;
    Ok(ExitCode::SUCCESS)
}

fn ask(connection: &mut Connection, id: u32, request: &AddRaftVoterRequest) -> Result<(), Refusal> {
    let response = connection.call(0, request)?;
    check(&format!("node {id}: add"), response.error_code, response.error_message.as_deref())
}

fn request(adding: &Adding, timeout_ms: i32) -> Result<AddRaftVoterRequest, Refusal> {
    let at = Address::parse("HOST:PORT", &adding.at)?;
    if at.is_wildcard() || at.port == 0 {
        let what = format!("{at} is no address that another node could connect to");
        return Err(Refusal::usage(what, "give the new node's own name or address"));
    }
    let mut request = AddRaftVoterRequest::default();
    request.voter_id = i32::try_from(adding.id)
        .map_err(|_| Refusal::usage(format!("{} is no node's id", adding.id), "use 0 to 2147482"))?;
    request.timeout_ms = timeout_ms;
    request.ack_when_committed = true;
    if let Some(text) = &adding.incarnation {
        let number = u128::from_str_radix(text, 16).ok().filter(|number| *number != 0);
        let number = number.ok_or_else(|| {
            let what = format!("--incarnation '{text}' is no life of a node");
            Refusal::usage(what, "give the 32 hexadecimal digits that the node shows when it starts")
        })?;
        request.voter_directory_id = Uuid::from_bytes(number.to_be_bytes());
    }
    let mut listener = Listener::default();
    (listener.name, listener.host, listener.port) = (PEER_LISTENER.into(), at.host.as_str().into(), at.port);
    request.listeners = vec![listener];
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adding(at: &str, incarnation: Option<&str>) -> Adding {
        Adding { id: 4, at: at.to_owned(), incarnation: incarnation.map(str::to_owned) }
    }

    #[test]
    fn what_is_asked_names_the_node_its_life_and_its_address() {
        let request = request(&adding("[::1]:9192", Some("2c")), 9).expect("good");
        assert_eq!((request.voter_id, request.listeners[0].port), (4, 9192));
        assert_eq!(request.voter_directory_id.to_bytes()[15], 0x2c);
        assert_eq!(request.listeners[0].host.as_str(), "::1");
    }

    #[test]
    fn what_is_no_address_or_life_is_refused_before_anybody_is_asked() {
        for (at, life) in
            [("four", None), ("0.0.0.0:1", None), ("four:1", Some("xyz")), ("four:1", Some("0"))]
        {
            assert!(request(&adding(at, life), 9).is_err(), "{at} {life:?}");
        }
    }
}
