//! The start of the process, in order: what can refuse comes before what is seen from outside.

use super::end::NodeError;
use super::node_config::NodeConfig;
use crate::audit::{self, AuditGuard, AuditSettings};
use crate::client::sasl::mechanism::SaslMechanism;
use crate::client::sasl::shard_sasl::SaslSetup;
use crate::client::sasl::token_file::TokenFile;
use crate::observe::http;
use crate::observe::status::Status;
use crate::peer::config::ClusterConfig;
use crate::peer::join::JoinStanding;
use crate::peer::met_nodes::{self, MET_NODES};
use crate::peer::secure::PeerTls;
use crate::process::address::Address;
use crate::process::config::{Config, DEFAULT_COPIES};
use crate::process::data_folder::{DataFolder, Others, SegmentBytes};
use crate::process::refusal::{EXIT_ENVIRONMENT, Refusal};
use crate::process::tls_config::TlsConfig;
use crate::process::{audit_log, certificates, environment, joining, kafka_settings, node, signals};
use crate::tls::live::LiveTls;
use engine::control::config::{BrokerSettings, Statics};
use engine::ids::NodeId;
use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;

/// All checks passed: the folder is locked, HTTP answers, signals are watched.
pub struct Prepared {
    config: NodeConfig,
    folder: DataFolder,
    sasl: SaslSetup,
    status: Arc<Status>,
    tls: Option<Arc<LiveTls>>,
    audit: Option<AuditGuard>,
    /// Beyond this machine everybody may ask for figures.
    insecure_http: bool,
}

/// Checks the machine and the folder, and prints what will be.
pub fn prepare(config: &Config) -> Result<Prepared, Refusal> {
    let node = &config.node;
    let cluster = node.cluster.as_ref();
    let clients = node.listeners.0.iter().map(|one| (one.option(), one.listen));
    let peers = cluster.map(|cluster| ("--peer-listen", cluster.listen));
    environment::check(clients.chain(peers), node.shards, config.http.listen)?;
    let access = config.http.access()?;
    let sasl = SaslSetup { tokens: token_file(node)?, plaintext_passwords: node.plaintext_passwords };
    let others = Others {
        listed: cluster.is_some_and(ClusterConfig::lists_others),
        listens: cluster.is_some(),
        joins: cluster.is_some_and(|cluster| cluster.join.is_some()),
    };
    let segments = SegmentBytes { used: node.segment_bytes, given: config.segment_bytes_given };
    let folder = DataFolder::open(&node.data_dir, node.node, others, segments)?;
    let open_files_max = environment::open_files(&folder.path, node.shards)?;
    let tls = node.tls.as_ref().map(TlsConfig::load).transpose()?;
    let (cluster, joins) = meet(node, &folder, tls.as_ref())?;
    let audit = config.audit.as_ref().map(|audit| audit_log::start(audit, node.node)).transpose()?;
    let status = Status::new(node.shards);
    let http_tls = tls.clone().filter(|_| config.http.tls);
    let http = http::start(config.http.listen, http_tls, access, status.clone())?;
    signals::watch(status.clone(), tls.clone()).map_err(|error| {
        Refusal::environment(
            format!("no thread for signals: {error}"),
            "raise the limit of processes (ulimit -u)",
        )
    })?;
    let mut node = NodeConfig { data_dir: folder.path.clone(), open_files_max, cluster, ..node.clone() };
    if node.cluster.as_ref().is_some_and(|cluster| cluster.nodes(node.node).len() >= COPIES) {
        kafka_settings::add_default(&mut node.kafka, DEFAULT_COPIES, &COPIES.to_string());
    }
    // Nobody has to read stdout.
    let _ = std::io::stdout()
        .write_all(announcement(&node, (http, config.http.tls), config.audit.as_ref()).as_bytes());
    if let Some(standing) = joins {
        let _ = std::io::stdout()
            .write_all(format!("  joins:   {}\n", joining::told(standing, node.node)).as_bytes());
    }
    let insecure_http = config.http.is_open_beyond_loopback();
    Ok(Prepared { config: node, folder, sasl, status, tls, audit, insecure_http })
}

/// Copies of a topic where there are nodes enough.
const COPIES: usize = 3;

/// The members that this node knows of: those that its folder has, and on a new one those that a member tells, which are
/// written down. With them how a node that is no member yet stands with the cluster that it joins.
fn meet(
    node: &NodeConfig,
    folder: &DataFolder,
    tls: Option<&Arc<LiveTls>>,
) -> Result<(Option<ClusterConfig>, Option<JoinStanding>), Refusal> {
    let Some(mut cluster) = node.cluster.clone() else { return Ok((None, None)) };
    let knows_others = !folder.met.is_empty();
    cluster.met.clone_from(&folder.met);
    if cluster.join.is_none() || folder.is_formed && knows_others {
        return Ok((Some(cluster), None));
    }
    let answer = match joining::ask(&cluster, node.node, tls) {
        // It did begin to join, and knows whom to ask.
        Err(refusal) if knows_others && refusal.exit_code == EXIT_ENVIRONMENT => {
            return Ok((Some(cluster), None));
        }
        answer => answer?,
    };
    let standing = answer.standing;
    cluster.met = joining::members(answer, node.node)?;
    met_nodes::write(&folder.path, &cluster.met).map_err(|error| {
        let what = format!("data folder {}: {MET_NODES} cannot be written: {error}", folder.path.display());
        Refusal::environment(what, "free some space, or give --data-dir another folder")
    })?;
    Ok((Some(cluster), Some(standing)))
}

impl Prepared {
    /// Runs the node to its end; the folder's lock is held until then.
    pub fn run(self) -> Result<(), NodeError> {
        if !self.folder.has_reserve {
            tracing::warn!("the disk is full: no reserve; produce is refused until space is freed");
        }
        for one in self.config.listeners.0.iter().filter(|one| one.is_in_the_clear()) {
            tracing::warn!(
                listener = one.listener.name,
                listen = %one.listen,
                "clients beyond this machine are served in plaintext{}",
                if one.listener.protocol.asks_sasl() { "" } else { ", without authentication" }
            );
        }
        if self.insecure_http {
            tracing::warn!("health and metrics are served to everybody, in the clear (--insecure-http)");
        }
        if let Some(tokens) = &self.sasl.tokens
            && let Err(error) = tokens.watch()
        {
            tracing::warn!("no thread to look at the keys of tokens: they stay as they are: {error}");
        }
        if let Some(cluster) = &self.config.cluster
            && !cluster.listen.ip().is_loopback()
            && cluster.tls != PeerTls::Require
        {
            tracing::warn!("links to other nodes may be plaintext without authentication (--insecure-peers)");
        }
        if let Some(tls) = &self.tls {
            if tls.current().has_rsa_key() {
                tracing::warn!(
                    "the certificate's key is RSA: each handshake holds a shard for milliseconds; ECDSA takes tens of microseconds"
                );
            }
            let watched = certificates::watch(Arc::clone(tls), Arc::clone(&self.status));
            watched
                .map_err(|error| NodeError::Environment(format!("no thread for certificates: {error}")))?;
        }
        let ended = node::run(self.config, &self.sasl, self.tls, self.status);
        let error = ended.as_ref().err().map(ToString::to_string);
        audit::tell("node stopped", serde_json::json!({"error": error}));
        drop(self.audit);
        drop(self.folder);
        ended
    }
}

/// The keys of tokens, where a listener offers them.
fn token_file(node: &NodeConfig) -> Result<Option<Arc<TokenFile>>, Refusal> {
    let statics = Statics::new(&node.kafka).expect("checked with the options");
    let sasl = BrokerSettings::effective(&statics).sasl;
    let is_asked = node.listeners.0.iter().any(|one| one.listener.protocol.asks_sasl());
    if !is_asked || !sasl.mechanisms.iter().any(|name| name == SaslMechanism::OauthBearer.name()) {
        return Ok(None);
    }
    let url = sasl.jwks_url.ok_or_else(|| {
        Refusal::usage(
            "sasl.enabled.mechanisms has OAUTHBEARER, and there are no keys to check tokens with",
            "give sasl.oauthbearer.jwks.endpoint.url=file:///PATH",
        )
    })?;
    TokenFile::open(&url).map(Some)
}

/// What clients are told of a shard.
fn of_shard(first: &Address, shard: u16) -> Address {
    Address { host: first.host.clone(), port: first.port + shard }
}

fn announcement(
    node: &NodeConfig,
    (http, is_tls): (SocketAddr, bool),
    audit: Option<&AuditSettings>,
) -> String {
    let mut text = format!("duramen {} node {}\n", env!("CARGO_PKG_VERSION"), node.node);
    for shard in 0..node.shards {
        let plain = node.listeners.plain();
        let listen = SocketAddr::new(plain.listen.ip(), plain.listen.port() + shard);
        let advertised = of_shard(&plain.advertised, shard);
        // Of another node the metadata tells: its cluster may be older than the option.
        let broker = if node.node == NodeId(0) { format!("broker {shard} ") } else { String::new() };
        text += &format!(
            "  shard {shard}: {broker}on core {}, listens on {listen}, advertised as {advertised}\n",
            node.cpus[usize::from(shard)]
        );
    }
    for named in node.listeners.named() {
        let (first, last) = (named.listen.port(), named.listen.port() + (node.shards - 1));
        let (listener, told) = (&named.listener, of_shard(&named.advertised, 0));
        let name = format!("{} ({})", listener.name, listener.protocol);
        text +=
            &format!("  {name}: listens on {}:{first}-{last}, advertised from {told}\n", named.listen.ip());
    }
    if let Some(cluster) = &node.cluster {
        let last = cluster.listen.port() + (node.shards - 1);
        let known: BTreeMap<_, _> = cluster.met.iter().chain(&cluster.peers).collect();
        let peers = known.iter().map(|(id, address)| format!("{id}={address}"));
        let peers = if known.is_empty() { "none".to_owned() } else { peers.collect::<Vec<_>>().join(", ") };
        text += &format!("  peers:   {peers}; listens on {}-{last}\n", cluster.listen);
    }
    text += &format!("  data:    {}\n", node.data_dir.display());
    if let Some(audit) = audit {
        text += &format!("  audit:   {}\n", audit.path.display());
    }
    text += "  sync:    fdatasync before every acknowledgement (acks=all and acks=1)\n";
    text += &format!("  memory:  {} MiB for {} shard(s)\n", node.memory_bytes >> 20, node.shards);
    let scheme = if is_tls { "https" } else { "http" };
    text += &format!("  http:    {scheme}://{http}/metrics /livez /readyz /startupz\n");
    text
}
