//! The `[cluster]` part of the configuration: where this node listens for the others, and who
//! they are. Resolves nothing but this node's own address: another's may not have a name yet.

use super::met_nodes::MetNodes;
use super::secure::PeerTls;
use crate::process::address::Address;
use crate::process::refusal::Refusal;
use clap::Args;
use engine::ids::{BrokerIds, NodeId};
use engine::shard::{AdvertisedListener, PEER_LISTENER};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

/// The options as they are written, on the command line or under `[cluster]`.
#[derive(Args, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ClusterOptions {
    /// All nodes of the cluster, this one among them, with the address of each one's shard 0 for
    /// the others: 1=HOST:PORT,2=HOST:PORT,3=HOST:PORT. Three, five or seven, the same on every
    /// node. Without it a node is a cluster of its own, or joins one (see --join)
    #[arg(long, value_name = "ID=HOST:PORT,...", value_delimiter = ',', global = true)]
    pub peers: Vec<String>,

    /// Where shard 0 listens for other nodes; shard s listens on PORT + s. Without --peers on a node
    /// that is a cluster of its own: so that others may join it (see `duramen node add`) [default:
    /// this node's address in --peers]
    #[arg(long, value_name = "HOST:PORT", global = true)]
    pub peer_listen: Option<String>,

    /// Where other nodes are told to find this one; needed without --peers when --peer-listen names no
    /// single address (0.0.0.0, ::) [default: this node's address in --peers, else as --peer-listen]
    #[arg(long, value_name = "HOST:PORT", global = true)]
    pub peer_advertise: Option<String>,

    /// On an empty folder: join the cluster of which a member listens for other nodes there. Needs
    /// --node-id and --peer-listen; `duramen node add` on a member lets it in. Of no effect once it is one
    #[arg(long, value_name = "HOST:PORT", global = true)]
    pub join: Option<String>,

    /// Listen for other nodes beyond this machine although links have neither encryption nor
    /// authentication: only in a network that none but the cluster can reach
    #[arg(long, global = true)]
    pub insecure_peers: bool,

    /// Whether links to other nodes are within TLS (1.3, both ends show certificates, see --tls-folder):
    /// off; prefer, where the other end speaks it; require. To change it on a running cluster take all
    /// nodes to prefer first, one after the other [default: off]
    #[arg(long, value_name = "MODE", global = true)]
    pub peer_tls: Option<PeerTls>,

    /// Where this node stands, such as a rack or a zone: replicas of a partition are put into
    /// different ones where there are enough, and clients are told
    #[arg(long, value_name = "NAME", global = true)]
    pub rack: Option<String>,
}

/// The keys under `[cluster]`; a test holds them and [`ClusterOptions`] together.
pub const CLUSTER_KEYS: [&str; 7] =
    ["peers", "peer-listen", "peer-advertise", "join", "insecure-peers", "peer-tls", "rack"];

/// Sizes in which a cluster is formed.
const SIZES: [usize; 3] = [3, 5, 7];
/// The metadata's bound on a rack's name.
const RACK_BYTES_MAX: usize = 255;

/// The other nodes and where to listen for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterConfig {
    /// Of shard 0; shard s listens on port + s.
    pub listen: SocketAddr,
    /// What the others are told of it.
    pub advertised: Address,
    /// Shard 0 of every listed node, this one among them; empty where none is listed.
    pub peers: BTreeMap<NodeId, Address>,
    /// Members that the folder's file has.
    pub met: MetNodes,
    /// A member of the cluster that a new folder joins.
    pub join: Option<Address>,
    pub insecure: bool,
    pub tls: PeerTls,
}

impl ClusterOptions {
    /// These options where they are given, `file`'s elsewhere.
    pub fn over(self, file: Self) -> Self {
        Self {
            peers: if self.peers.is_empty() { file.peers } else { self.peers },
            peer_listen: self.peer_listen.or(file.peer_listen),
            peer_advertise: self.peer_advertise.or(file.peer_advertise),
            join: self.join.or(file.join),
            insecure_peers: self.insecure_peers || file.insecure_peers,
            peer_tls: self.peer_tls.or(file.peer_tls),
            rack: self.rack.or(file.rack),
        }
    }

    /// Checks the list against this node's id; `None` for a node that is its own cluster.
    pub fn check(&self, node: Option<NodeId>) -> Result<Option<ClusterConfig>, Refusal> {
        check_rack(self.rack.as_deref())?;
        let peers = parse(&self.peers)?;
        let join = self.check_join(node)?;
        let given = self.peer_listen.as_deref().map(|at| Address::parse(PEER_LISTEN, at)).transpose()?;
        let (listen, advertised) = if peers.is_empty() {
            let Some(given) = given else {
                return match &self.peer_advertise {
                    Some(at) => Err(Refusal::usage(
                        format!("--peer-advertise {at} without --peer-listen: there is nothing to tell of"),
                        "add --peer-listen HOST:PORT",
                    )),
                    None => Ok(None),
                };
            };
            (given.resolve(PEER_LISTEN)?, self.told_of(given)?)
        } else {
            check_size(peers.len())?;
            let own = own(&peers, node)?;
            let listen = match given {
                Some(given) => given.resolve(PEER_LISTEN)?,
                None => own.resolve("--peers, this node:")?,
            };
            (listen, self.told_of(own.clone())?)
        };
        let tls = self.peer_tls.unwrap_or_default();
        if !listen.ip().is_loopback() && !self.insecure_peers && tls != PeerTls::Require {
            return Err(Refusal::usage(
                format!(
                    "listening for other nodes on {listen}, beyond this machine, where links have neither \
                     encryption nor authentication: whoever reaches the port can read and write everything"
                ),
                "add --peer-tls require, or --insecure-peers if none but the cluster's nodes can reach that network",
            ));
        }
        let (insecure, met) = (self.insecure_peers, MetNodes::new());
        Ok(Some(ClusterConfig { listen, advertised, peers, met, join, insecure, tls }))
    }

    fn check_join(&self, node: Option<NodeId>) -> Result<Option<Address>, Refusal> {
        let Some(join) = &self.join else { return Ok(None) };
        let at = Address::parse("--join", join)?;
        if at.is_wildcard() || at.port == 0 {
            let what = format!("--join {at} is no address that a node could connect to");
            return Err(Refusal::usage(what, "give the peer address of a member of the cluster"));
        }
        if !self.peers.is_empty() {
            let what = format!("--join {at} and --peers: a node forms a cluster with others, or joins one");
            return Err(Refusal::usage(
                what,
                "leave --peers out: the members are told to the node that joins",
            ));
        }
        if node.is_none() {
            let what = format!("--join {at}, and not which node this one is to be");
            return Err(Refusal::usage(what, "add --node-id N, an id that no member has"));
        }
        if self.peer_listen.is_none() {
            let what = format!("--join {at} without --peer-listen: the members could not reach this node");
            return Err(Refusal::usage(what, "add --peer-listen HOST:PORT"));
        }
        Ok(Some(at))
    }

    /// Where the others are told to find this node.
    fn told_of(&self, otherwise: Address) -> Result<Address, Refusal> {
        let (option, told) = match &self.peer_advertise {
            Some(at) => ("--peer-advertise", Address::parse("--peer-advertise", at)?),
            None => (PEER_LISTEN, otherwise),
        };
        if told.is_wildcard() || told.port == 0 {
            let what = format!("{option} {told} is no address that another node could connect to");
            let remedy = "add --peer-advertise HOST:PORT, with the name or address that other nodes reach";
            return Err(Refusal::usage(what, remedy));
        }
        Ok(told)
    }
}

const PEER_LISTEN: &str = "--peer-listen";

fn parse(peers: &[String]) -> Result<BTreeMap<NodeId, Address>, Refusal> {
    let mut parsed = BTreeMap::new();
    for peer in peers {
        let remedy = "write --peers 1=HOST:PORT,2=HOST:PORT,3=HOST:PORT";
        let id = peer.split_once('=').and_then(|(id, at)| Some((id.trim().parse().ok()?, at.trim())));
        let Some((id, at)) = id else {
            return Err(Refusal::usage(format!("--peers '{peer}' is not ID=HOST:PORT"), remedy));
        };
        let (node, at) = (super::config::node_id("--peers", id)?, Address::parse("--peers", at)?);
        if at.is_wildcard() || at.port == 0 {
            let what = format!("--peers {id}={at} is no address that another node could connect to");
            return Err(Refusal::usage(what, "give each node's own name or address"));
        }
        if let Some((other, _)) = parsed.iter().find(|(_, other)| **other == at) {
            let what = format!("--peers: nodes {other} and {node} have the same address {at}");
            return Err(Refusal::usage(what, "give each node its own address"));
        }
        if parsed.insert(node, at).is_some() {
            let what = format!("--peers lists node {node} twice");
            return Err(Refusal::usage(what, "give each node its own id"));
        }
    }
    Ok(parsed)
}

fn check_size(nodes: usize) -> Result<(), Refusal> {
    if nodes == 1 || SIZES.contains(&nodes) {
        return Ok(());
    }
    let majority = nodes / 2 + 1;
    let what = format!(
        "--peers lists {nodes} nodes: a majority of {nodes} is {majority}, so no more of them may fail than of \
         {} nodes",
        nodes - 1
    );
    let what = if nodes.is_multiple_of(2) { what } else { format!("--peers lists {nodes} nodes") };
    Err(Refusal::usage(what, "form the cluster of 3, 5 or 7 nodes, or of one without --peers"))
}

/// This node's address in the list.
fn own(peers: &BTreeMap<NodeId, Address>, node: Option<NodeId>) -> Result<&Address, Refusal> {
    let ids = || peers.keys().map(NodeId::to_string).collect::<Vec<_>>().join(", ");
    let Some(node) = node else {
        let what = format!("--peers lists the nodes {}, and not which of them this one is", ids());
        return Err(Refusal::usage(what, "add --node-id N"));
    };
    peers.get(&node).ok_or_else(|| {
        let what = format!("--node-id {node} is not among the nodes of --peers ({})", ids());
        Refusal::usage(what, "list every node on every node, each with its own --node-id")
    })
}

fn check_rack(rack: Option<&str>) -> Result<(), Refusal> {
    let Some(rack) = rack else { return Ok(()) };
    if rack.is_empty() || rack.len() > RACK_BYTES_MAX || rack.chars().any(char::is_control) {
        let what = format!("--rack '{}' is no name", rack.escape_debug());
        return Err(Refusal::usage(
            what,
            format!("use 1 to {RACK_BYTES_MAX} bytes without control characters"),
        ));
    }
    Ok(())
}

impl ClusterConfig {
    /// How the others find this node, as the metadata has it.
    pub fn told_to_all(&self) -> AdvertisedListener {
        AdvertisedListener {
            name: PEER_LISTENER.to_owned(),
            // As Kafka numbers them: PLAINTEXT, SSL.
            protocol: u8::from(self.tls == PeerTls::Require),
            host: self.advertised.host.clone(),
            first_port: self.advertised.port,
        }
    }

    /// Whether other nodes are listed; a list of one is a node on its own.
    pub fn lists_others(&self) -> bool {
        self.peers.len() > 1
    }

    /// This node and all that it knows of.
    pub fn nodes(&self, own: NodeId) -> Vec<NodeId> {
        let nodes: BTreeSet<NodeId> =
            self.peers.keys().chain(self.met.keys()).copied().chain([own]).collect();
        assert!(nodes.len() > self.met.len(), "node {own} met itself");
        nodes.into_iter().collect()
    }
}

const NODE_ID_MAX: u32 = BrokerIds::NODE_ID_MAX;

/// A node's id as `option` gives it.
pub fn node_id(option: &str, id: u32) -> Result<NodeId, Refusal> {
    if id > NODE_ID_MAX {
        let why =
            format!("{option} {id} is too large: a broker id is node id × 1000 + shard, within 31 bits");
        return Err(Refusal::usage(why, format!("use 0 to {NODE_ID_MAX}")));
    }
    Ok(NodeId(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(peers: &str) -> ClusterOptions {
        ClusterOptions { peers: peers.split(',').map(str::to_owned).collect(), ..ClusterOptions::default() }
    }

    fn refused(options: &ClusterOptions, node: Option<u32>) -> String {
        options.check(node.map(NodeId)).expect_err("refused").to_string()
    }

    const THREE: &str = "1=127.0.0.1:9192,2=127.0.0.1:9292,3=127.0.0.1:9392";

    #[test]
    fn a_node_listens_where_the_others_look_for_it() {
        let config = options(THREE).check(Some(NodeId(2))).expect("valid").expect("a cluster");
        assert_eq!(config.listen.to_string(), "127.0.0.1:9292");
        assert_eq!(config.nodes(NodeId(2)), [1, 2, 3].map(NodeId));
        let elsewhere = ClusterOptions { peer_listen: Some("127.0.0.2:1000".into()), ..options(THREE) };
        let config = elsewhere.check(Some(NodeId(2))).expect("valid").expect("a cluster");
        assert_eq!(config.listen.to_string(), "127.0.0.2:1000");
        assert_eq!(ClusterOptions::default().check(None), Ok(None));
        let one = options("0=127.0.0.1:9192").check(Some(NodeId(0))).expect("valid").expect("a list of one");
        assert!(!one.lists_others());
    }

    #[test]
    fn even_numbers_are_refused_with_the_reason() {
        let two = "1=127.0.0.1:1,2=127.0.0.1:2";
        assert!(refused(&options(two), Some(1)).contains("a majority of 2 is 2"));
        let four = format!("{THREE},4=127.0.0.1:4");
        let text = refused(&options(&four), Some(1));
        assert!(text.contains("a majority of 4 is 3") && text.contains("than of 3 nodes"), "{text}");
        let nine: Vec<String> = (1..=9).map(|id| format!("{id}=127.0.0.1:{id}")).collect();
        assert!(refused(&options(&nine.join(",")), Some(1)).contains("3, 5 or 7"));
    }

    #[test]
    fn every_mistake_in_the_list_is_named() {
        assert!(refused(&options(THREE), None).contains("--node-id N"));
        assert!(refused(&options(THREE), Some(4)).contains("not among the nodes of --peers (1, 2, 3)"));
        assert!(refused(&options("127.0.0.1:9192"), Some(1)).contains("not ID=HOST:PORT"));
        assert!(refused(&options("1=a:1,1=b:1,2=c:1"), Some(1)).contains("node 1 twice"));
        assert!(refused(&options("1=a:1,2=b:1,3=a:1"), Some(1)).contains("nodes 1 and 3 have the same"));
        assert!(refused(&options("1=0.0.0.0:1,2=b:1,3=a:1"), Some(1)).contains("no address"));
        assert!(refused(&options("9999999=a:1,2=b:1,3=a:1"), Some(2)).contains("too large"));
        let rack = ClusterOptions { rack: Some("a\nb".into()), ..ClusterOptions::default() };
        assert!(refused(&rack, None).contains("a\\nb"));
    }

    #[test]
    fn a_node_that_is_alone_may_listen_for_those_who_come() {
        let alone = ClusterOptions { peer_listen: Some("127.0.0.1:1".into()), ..ClusterOptions::default() };
        let config = alone.check(None).expect("valid").expect("it listens");
        assert_eq!((config.advertised.to_string().as_str(), config.peers.len()), ("127.0.0.1:1", 0));
        assert_eq!(config.nodes(NodeId(0)), [NodeId(0)]);
        let everywhere =
            ClusterOptions { peer_listen: Some("0.0.0.0:1".into()), insecure_peers: true, ..alone };
        assert!(refused(&everywhere, None).contains("no address"));
        let told = ClusterOptions { peer_advertise: Some("one:1".into()), ..everywhere };
        let config = told.check(None).expect("valid").expect("it listens");
        assert_eq!(config.advertised.to_string(), "one:1");
        let nothing = ClusterOptions { peer_listen: None, ..told };
        assert!(refused(&nothing, None).contains("without --peer-listen"));
    }

    #[test]
    fn one_that_joins_says_who_it_is_and_where() {
        let joins = ClusterOptions {
            join: Some("one:9".into()),
            peer_listen: Some("127.0.0.1:1".into()),
            ..ClusterOptions::default()
        };
        let config = joins.check(Some(NodeId(4))).expect("valid").expect("it joins");
        assert_eq!(config.join.expect("there").to_string(), "one:9");
        assert!(refused(&joins, None).contains("not which node"));
        let unheard = ClusterOptions { peer_listen: None, ..joins.clone() };
        assert!(refused(&unheard, Some(4)).contains("without --peer-listen"));
        let both = ClusterOptions { peers: options(THREE).peers, ..joins.clone() };
        assert!(refused(&both, Some(1)).contains("--join one:9 and --peers"));
        let nowhere = ClusterOptions { join: Some("0.0.0.0:9".into()), ..joins };
        assert!(refused(&nowhere, Some(4)).contains("no address"));
    }

    #[test]
    fn plaintext_beyond_this_machine_must_be_asked_for() {
        let open = ClusterOptions { peer_listen: Some("0.0.0.0:9192".into()), ..options(THREE) };
        assert!(refused(&open, Some(1)).contains("--insecure-peers"));
        let asked = ClusterOptions { insecure_peers: true, ..open };
        assert!(asked.check(Some(NodeId(1))).expect("valid").expect("a cluster").insecure);
    }

    #[test]
    fn the_command_line_wins_over_the_file() {
        let file = ClusterOptions { rack: Some("a".into()), insecure_peers: true, ..options("1=a:1") };
        let line = ClusterOptions { rack: Some("b".into()), ..ClusterOptions::default() };
        let both = line.over(file);
        assert_eq!(
            (both.rack.as_deref(), both.insecure_peers, &both.peers[..]),
            (Some("b"), true, &["1=a:1".to_owned()][..])
        );
    }
}
