//! The `[cluster]` part of the configuration: where this node listens for the others, and who
//! they are. Resolves nothing but this node's own address: another's may not have a name yet.

use super::secure::PeerTls;
use crate::process::address::Address;
use crate::process::refusal::Refusal;
use clap::Args;
use engine::ids::NodeId;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// The options as they are written, on the command line or under `[cluster]`.
#[derive(Args, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct ClusterOptions {
    /// All nodes of the cluster, this one among them, with the address of each one's shard 0 for
    /// the others: 1=HOST:PORT,2=HOST:PORT,3=HOST:PORT. Three, five or seven, the same on every
    /// node. Without it a node is a cluster of its own
    #[arg(long, value_name = "ID=HOST:PORT,...", value_delimiter = ',', global = true)]
    pub peers: Vec<String>,

    /// Where shard 0 listens for other nodes; shard s listens on PORT + s [default: this node's
    /// address in --peers]
    #[arg(long, value_name = "HOST:PORT", global = true)]
    pub peer_listen: Option<String>,

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
pub const CLUSTER_KEYS: [&str; 5] = ["peers", "peer-listen", "insecure-peers", "peer-tls", "rack"];

/// Sizes in which a cluster is formed.
const SIZES: [usize; 3] = [3, 5, 7];
/// The metadata's bound on a rack's name.
const RACK_BYTES_MAX: usize = 255;

/// The other nodes and where to listen for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterConfig {
    /// Of shard 0; shard s listens on port + s.
    pub listen: SocketAddr,
    /// Shard 0 of every listed node, this one among them.
    pub peers: BTreeMap<NodeId, Address>,
    pub insecure: bool,
    pub tls: PeerTls,
}

impl ClusterOptions {
    /// These options where they are given, `file`'s elsewhere.
    pub fn over(self, file: Self) -> Self {
        Self {
            peers: if self.peers.is_empty() { file.peers } else { self.peers },
            peer_listen: self.peer_listen.or(file.peer_listen),
            insecure_peers: self.insecure_peers || file.insecure_peers,
            peer_tls: self.peer_tls.or(file.peer_tls),
            rack: self.rack.or(file.rack),
        }
    }

    /// Checks the list against this node's id; `None` for a node that is its own cluster.
    pub fn check(&self, node: Option<NodeId>) -> Result<Option<ClusterConfig>, Refusal> {
        check_rack(self.rack.as_deref())?;
        if self.peers.is_empty() {
            let Some(listen) = &self.peer_listen else { return Ok(None) };
            return Err(Refusal::usage(
                format!("--peer-listen {listen} without --peers: there is nobody to listen for"),
                "add --peers 1=HOST:PORT,2=HOST:PORT,3=HOST:PORT, or leave both out for one node",
            ));
        }
        let peers = parse(&self.peers)?;
        check_size(peers.len())?;
        let own = own(&peers, node)?;
        let listen = match &self.peer_listen {
            Some(listen) => Address::parse("--peer-listen", listen)?.resolve("--peer-listen")?,
            None => own.resolve("--peers, this node:")?,
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
        Ok(Some(ClusterConfig { listen, peers, insecure: self.insecure_peers, tls }))
    }
}

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
    /// Whether there are other nodes; a list of one is a node on its own.
    pub fn has_others(&self) -> bool {
        self.peers.len() > 1
    }

    pub fn nodes(&self) -> Vec<NodeId> {
        self.peers.keys().copied().collect()
    }
}

/// A broker id, node id × stride + shard, is Kafka's i32.
const NODE_ID_MAX: u32 = 2_147_482;

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
        assert_eq!(config.nodes(), [1, 2, 3].map(NodeId));
        let elsewhere = ClusterOptions { peer_listen: Some("127.0.0.2:1000".into()), ..options(THREE) };
        let config = elsewhere.check(Some(NodeId(2))).expect("valid").expect("a cluster");
        assert_eq!(config.listen.to_string(), "127.0.0.2:1000");
        assert_eq!(ClusterOptions::default().check(None), Ok(None));
        let one = options("0=127.0.0.1:9192").check(Some(NodeId(0))).expect("valid").expect("a list of one");
        assert!(!one.has_others());
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
        let alone = ClusterOptions { peer_listen: Some("127.0.0.1:1".into()), ..ClusterOptions::default() };
        assert!(refused(&alone, None).contains("without --peers"));
        let rack = ClusterOptions { rack: Some("a\nb".into()), ..ClusterOptions::default() };
        assert!(refused(&rack, None).contains("a\\nb"));
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
