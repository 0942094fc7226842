//! From options to a configuration that holds together: defaults, the file, what excludes what.
//! Asks the machine only for its cores and memory; whether it can do the rest is `environment`'s.

use super::http_config::http_listen;
use super::node_config::{NodeConfig, PEER_LISTEN, share_a_host};
use crate::audit::AuditSettings;
use crate::peer::config::{CLUSTER_KEYS, ClusterConfig, node_id};
use crate::peer::secure::PeerTls;
use crate::process::access;
use crate::process::audit_log::{self, AuditOptions};
use crate::process::http_config::{HttpConfig, HttpOptions};
use crate::process::kafka_settings;
use crate::process::likeness::nearest;
use crate::process::listeners::{ListenerConfig, Listeners};
use crate::process::options::{FILE_KEYS, LogFormat, Options};
use crate::process::refusal::Refusal;
use crate::process::tls_config::{TlsConfig, TlsOptions};
use engine::ids::{BrokerIds, JournalId, NodeId};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

const SHARDS_MAX: u16 = BrokerIds::STRIDE_MAX;
/// Beyond 8 cores a first run gains nothing and takes memory and ports.
const SHARDS_DEFAULT_MAX: usize = 8;
/// Below, a shard's rings, its largest frame's reserve and its cache do not fit together.
const SHARD_MEMORY_MIN: u64 = 128 << 20;
const SHARD_MEMORY_DEFAULT: u64 = 512 << 20;
const SEGMENT_BYTES_DEFAULT: u64 = 256 << 20;
/// 1.4 TB a day, for a thousandth of a core.
const SCRUB_BYTES_PER_SECOND_DEFAULT: u64 = 16 << 20;
const REWRITE_RATE_DEFAULT: u64 = 64 << 20;
/// Three nodes that share one disk feel twice as much (p99 2.5 times as long), and not this.
const CATCH_UP_RATE_DEFAULT: u64 = 32 << 20;
/// A segment holds a largest batch (16 MiB and its head) beside the 4 MiB kept for control entries.
const SEGMENT_BYTES_MIN: u64 = 24 << 20;
/// Positions within a segment stay below 4 GiB.
const SEGMENT_BYTES_MAX: u64 = 2 << 30;
const BLOCK: u64 = engine::disk::BLOCK as u64;

/// What the machine offers.
#[derive(Clone, Debug)]
pub struct Machine {
    pub cpus: Vec<usize>,
    pub memory_bytes: u64,
}

/// All that the process needs to start.
#[derive(Clone, Debug)]
pub struct Config {
    pub node: NodeConfig,
    pub http: HttpConfig,
    /// None where there is none.
    pub audit: Option<AuditSettings>,
    pub log_format: LogFormat,
    pub log_filter: String,
    /// What counts only for a folder that is new, where the operator named it.
    pub segment_bytes_given: Option<u64>,
}

impl Config {
    /// Checks the options, reads the file that they name and fills in the defaults.
    pub fn from_options(options: Options, machine: &Machine) -> Result<Config, Refusal> {
        let (file, kafka_in_file) = match &options.config {
            Some(path) => read_file(path)?,
            None => (Options::default(), Vec::new()),
        };
        let options = options.over(file);
        let mut kafka = kafka_settings::merge(kafka_in_file, &options.set)?;
        let shards = shards(options.shards, machine)?;
        let node_id = options.node_id.map(|id| node_id("--node-id", id)).transpose()?;
        let cluster = options.cluster.check(node_id)?;
        let node_id = node_id.unwrap_or(NodeId(0));
        if cluster.as_ref().is_some_and(ClusterConfig::lists_others) {
            kafka_settings::add_default(&mut kafka, DEFAULT_COPIES, "3");
        }
        access::settings(&options, &mut kafka)?;
        let listeners = Listeners::parse(options.listen.as_deref(), &options.listener, &options.advertise)?;
        let tls = TlsOptions {
            folder: options.tls_folder,
            certificate: options.tls_certificate,
            key: options.tls_key,
            ca: options.tls_ca,
        };
        let audit = AuditOptions {
            log: options.audit_log,
            bytes: options.audit_log_bytes,
            files: options.audit_log_files,
        };
        let http = HttpOptions {
            tls: options.http_tls,
            token_file: options.http_token_file,
            open_probes: options.http_open_probes,
            insecure: options.insecure_http,
        };
        for one in &listeners.0 {
            ports_fit(one.option(), one.listen.port(), shards)?;
            ports_fit("--advertise", one.advertised.port, shards)?;
        }
        let node = NodeConfig {
            data_dir: options.data_dir.unwrap_or_else(|| "duramen-data".into()),
            node: node_id,
            shards,
            cpus: cpus(node_id, shards, &machine.cpus),
            memory_bytes: memory(options.memory, shards, machine)?,
            // Asked of the machine when the node starts.
            open_files_max: 0,
            segment_bytes: segment_bytes(options.segment_bytes.unwrap_or(SEGMENT_BYTES_DEFAULT))?,
            broker_ids: options.broker_id_stride.map(|stride| broker_ids(stride, shards)).transpose()?,
            scrub_bytes_per_second: options.scrub_bytes_per_second.unwrap_or(SCRUB_BYTES_PER_SECOND_DEFAULT),
            rewrite_bytes_per_second: options.rewrite_bytes_per_second.unwrap_or(REWRITE_RATE_DEFAULT),
            catch_up_bytes_per_s: options.catch_up_rate.unwrap_or(CATCH_UP_RATE_DEFAULT),
            advertised: listeners
                .advertised(options.cluster.rack, cluster.as_ref().map(ClusterConfig::told_to_all)),
            tls: TlsConfig::check(tls, &kafka, &listeners, peer_of(cluster.as_ref(), node_id))?,
            listeners,
            plaintext_passwords: options.allow_plaintext_passwords,
            kafka,
            accept_loss: options.accept_loss.iter().map(|name| journal(name)).collect::<Result<_, _>>()?,
            cluster,
        };
        ports_are_apart(&node)?;
        access::check(&node)?;
        Ok(Config {
            segment_bytes_given: options.segment_bytes,
            http: http.check(http_listen(options.http_listen.as_deref(), &node)?, node.tls.is_some())?,
            audit: audit_log::settings(&audit, &node.data_dir)?,
            node,
            log_format: options.log_format.unwrap_or_default(),
            log_filter: options.log.unwrap_or_else(|| "info".into()),
        })
    }

    /// What `duramen check-config` prints: a file that says the same.
    pub fn describe(&self) -> String {
        let text = |value: &dyn std::fmt::Display| toml::Value::String(value.to_string()).to_string();
        let node = &self.node;
        let list = |texts: Vec<String>| texts.iter().map(|one| text(one)).collect::<Vec<_>>().join(", ");
        let (plain, named) = (node.listeners.plain(), node.listeners.named());
        let mut advertise = vec![plain.advertised.to_string()];
        advertise.extend(named.iter().map(|one| format!("{}={}", one.listener.name, one.advertised)));
        let advertise =
            if named.is_empty() { text(&plain.advertised) } else { format!("[{}]", list(advertise)) };
        let format = if self.log_format == LogFormat::Json { "json" } else { "text" };
        let stride = node.broker_ids.unwrap_or_default().stride();
        let mut described = String::new();
        for (key, value) in [
            ("data-dir", text(&node.data_dir.display())),
            ("node-id", node.node.to_string()),
            ("listen", text(&plain.given)),
            ("listener", format!("[{}]", list(named.iter().map(ListenerConfig::described).collect()))),
            ("advertise", advertise),
            ("allow-plaintext-passwords", node.plaintext_passwords.to_string()),
            ("shards", node.shards.to_string()),
            ("memory", node.memory_bytes.to_string()),
            ("segment-bytes", node.segment_bytes.to_string()),
            ("broker-id-stride", stride.to_string()),
            ("scrub-bytes-per-second", node.scrub_bytes_per_second.to_string()),
            ("rewrite-bytes-per-second", node.rewrite_bytes_per_second.to_string()),
            ("catch-up-rate", node.catch_up_bytes_per_s.to_string()),
            ("http-listen", text(&self.http.listen)),
            ("http-tls", text(&if self.http.tls { "on" } else { "off" })),
            ("http-open-probes", self.http.open_probes.to_string()),
            ("insecure-http", self.http.insecure.to_string()),
            (
                "audit-log",
                text(&self.audit.as_ref().map_or("off".into(), |audit| audit.path.display().to_string())),
            ),
            ("log-format", text(&format)),
            ("log", text(&self.log_filter)),
        ] {
            described += &format!("{key} = {value}\n");
        }
        if let Some(file) = &self.http.token_file {
            described += &format!("http-token-file = {}\n", text(&file.display()));
        }
        if let Some(TlsConfig { paths, .. }) = &node.tls {
            for (key, path) in
                [("tls-certificate", &paths.certificate), ("tls-key", &paths.key), ("tls-ca", &paths.ca)]
            {
                described += &format!("{key} = {}\n", text(&path.display()));
            }
        }
        if let Some(AuditSettings { bytes_max, kept, .. }) = &self.audit {
            described += &format!("audit-log-bytes = {bytes_max}\naudit-log-files = {}\n", kept + 1);
        }
        described += &self.describe_cluster();
        described += "\n[kafka]\n";
        let settings: BTreeMap<_, _> = node.kafka.iter().cloned().collect();
        for (key, value) in &settings {
            described += &format!("{key} = {}\n", text(value));
        }
        described
    }

    fn describe_cluster(&self) -> String {
        let text = |value: &dyn std::fmt::Display| toml::Value::String(value.to_string()).to_string();
        let mut described = String::from("\n[cluster]\n");
        if let Some(rack) = &self.node.advertised.rack {
            described += &format!("rack = {}\n", text(rack));
        }
        if let Some(cluster) = &self.node.cluster {
            let peers: Vec<String> =
                cluster.peers.iter().map(|(id, address)| text(&format!("{id}={address}"))).collect();
            if !peers.is_empty() {
                described += &format!("peers = [{}]\n", peers.join(", "));
            }
            described += &format!("peer-listen = {}\n", text(&cluster.listen));
            described += &format!("peer-advertise = {}\n", text(&cluster.advertised));
            if let Some(join) = &cluster.join {
                described += &format!("join = {}\n", text(join));
            }
            described += &format!("insecure-peers = {}\n", cluster.insecure);
            described += &format!("peer-tls = {}\n", text(&cluster.tls.name()));
        }
        described
    }
}

/// Options and Kafka's settings as a file has them.
fn read_file(path: &Path) -> Result<(Options, Vec<(String, String)>), Refusal> {
    let named = |what: String| format!("{}: {what}", path.display());
    let text = std::fs::read_to_string(path)
        .map_err(|error| Refusal::usage(named(error.to_string()), "give --config a file that can be read"))?;
    parse_file(&text).map_err(|refusal| Refusal { what: named(refusal.what), ..refusal })
}

fn parse_file(text: &str) -> Result<(Options, Vec<(String, String)>), Refusal> {
    let syntax = |error: toml::de::Error| {
        Refusal::usage(
            error.to_string().trim_end().to_owned(),
            "correct the file; `duramen check-config` reads it without starting",
        )
    };
    let mut table: toml::Table = toml::from_str(text).map_err(syntax)?;
    let kafka = table.remove("kafka");
    let is_whole = kafka.is_none();
    let kafka = kafka_settings::from_file(kafka)?;
    for key in table.keys() {
        if !FILE_KEYS.contains(&key.as_str()) && key != "cluster" {
            return Err(unknown_key(key));
        }
    }
    // From the text again where nothing was taken out, so that an error names line and column.
    let options = if is_whole { toml::from_str(text) } else { table.try_into() }.map_err(syntax)?;
    Ok((options, kafka))
}

fn unknown_key(key: &str) -> Refusal {
    if kafka_settings::is_known(key) {
        return Refusal::usage(
            format!("key '{key}' is one of Kafka's"),
            format!("put '{key}' under [kafka]"),
        );
    }
    if CLUSTER_KEYS.contains(&key) {
        return Refusal::usage(
            format!("key '{key}' is about the cluster"),
            format!("put '{key}' under [cluster]"),
        );
    }
    if key == "accept-loss" {
        return Refusal::usage(
            "key 'accept-loss' cannot be in the file: it would accept what is lost later, too",
            "give --accept-loss on the command line, for one start",
        );
    }
    let names = FILE_KEYS.into_iter().chain(["kafka", "cluster"]);
    let nearest = nearest(key, names).expect("there are names");
    Refusal::usage(
        format!("unknown key '{key}'"),
        format!("did you mean '{nearest}'? `duramen --help` lists all options"),
    )
}

/// How many copies a topic has where nobody says.
pub(super) const DEFAULT_COPIES: &str = "default.replication.factor";

/// The core of each shard. Several nodes on one machine, as on a first try, begin at different
/// ones; a node that has the machine to itself takes them all the same.
fn cpus(node: NodeId, shards: u16, allowed: &[usize]) -> Vec<usize> {
    let first = node.0 as usize * usize::from(shards);
    (0..usize::from(shards)).map(|shard| allowed[(first + shard) % allowed.len()]).collect()
}

fn shards(asked: Option<u16>, machine: &Machine) -> Result<u16, Refusal> {
    assert!(!machine.cpus.is_empty(), "a running process has a core");
    match asked {
        None => Ok(u16::try_from(machine.cpus.len().min(SHARDS_DEFAULT_MAX)).expect("at most 8")),
        Some(0) => {
            Err(Refusal::usage("--shards 0 leaves nobody to serve", "use at least 1, or leave it out"))
        }
        Some(shards) if shards > SHARDS_MAX => {
            let why = format!("--shards {shards} is too many: a node has at most {SHARDS_MAX} broker ids");
            Err(Refusal::usage(why, format!("use at most {SHARDS_MAX}")))
        }
        Some(shards) => Ok(shards),
    }
}

fn broker_ids(stride: u16, shards: u16) -> Result<BrokerIds, Refusal> {
    let most = BrokerIds::STRIDE_MAX;
    if stride < shards {
        let why = format!(
            "--broker-id-stride {stride} is less than the {shards} shards of this node, whose broker ids would \
             be another node's"
        );
        return Err(Refusal::usage(why, format!("use {shards} to {most}, or fewer --shards")));
    }
    let why =
        || format!("--broker-id-stride {stride} is too large: node id × stride + shard is within 31 bits");
    BrokerIds::new(stride).ok_or_else(|| Refusal::usage(why(), format!("use {shards} to {most}")))
}

fn memory(asked: Option<u64>, shards: u16, machine: &Machine) -> Result<usize, Refusal> {
    let shards_u64 = u64::from(shards);
    let least = SHARD_MEMORY_MIN * shards_u64;
    let default = (SHARD_MEMORY_DEFAULT * shards_u64).min(machine.memory_bytes / 2).max(least);
    let bytes = asked.unwrap_or(default);
    if bytes < least {
        let why = format!(
            "--memory {bytes} is {} MiB a shard for {shards} shards, under the 128 MiB that one needs",
            (bytes / shards_u64) >> 20
        );
        return Err(Refusal::usage(
            why,
            format!("give --memory at least {}MiB, or fewer --shards", least >> 20),
        ));
    }
    usize::try_from(bytes)
        .map_err(|_| Refusal::usage("--memory is beyond this machine's addresses", "use less"))
}

fn segment_bytes(bytes: u64) -> Result<u64, Refusal> {
    if !(SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&bytes) || !bytes.is_multiple_of(BLOCK) {
        let why = format!("--segment-bytes {bytes} is not a multiple of {BLOCK} between 24 MiB and 2 GiB");
        return Err(Refusal::usage(why, "use such as 24MiB, 256MiB or 1GiB"));
    }
    Ok(bytes)
}

/// The node whose certificate other nodes are shown, where links are within TLS.
fn peer_of(cluster: Option<&ClusterConfig>, node: NodeId) -> Option<NodeId> {
    cluster.filter(|cluster| cluster.tls != PeerTls::Off).map(|_| node)
}

fn ports_fit(option: &str, first: u16, shards: u16) -> Result<(), Refusal> {
    if first == 0 {
        let why = format!("{option}: port 0 cannot be the first of a range");
        return Err(Refusal::usage(why, "name the first port; shard s takes port + s"));
    }
    if first.checked_add(shards - 1).is_none() {
        let why = format!("{option}: port {first} leaves no room for {shards} shards below 65536");
        return Err(Refusal::usage(why, "use a lower port, or fewer --shards"));
    }
    Ok(())
}

/// The ports for other nodes fit, and no two listeners have a port in common.
fn ports_are_apart(node: &NodeConfig) -> Result<(), Refusal> {
    if let Some(cluster) = &node.cluster {
        ports_fit(PEER_LISTEN, cluster.listen.port(), node.shards)?;
    }
    let listens = node.listens();
    for (at, (option, one)) in listens.iter().enumerate() {
        let overlaps = |other: &SocketAddr| {
            share_a_host(*one, *other) && one.port().abs_diff(other.port()) < node.shards
        };
        if let Some((other_option, other)) = listens[..at].iter().find(|(_, other)| overlaps(other)) {
            let why = format!(
                "{option} {one} and {other_option} {other} are less than {} shards apart: their ports overlap",
                node.shards
            );
            return Err(Refusal::usage(why, "move one of them"));
        }
    }
    Ok(())
}

/// A journal by its number, or by the 16 hexadecimal digits that its folder is named with.
fn journal(name: &str) -> Result<JournalId, Refusal> {
    let number = if name.len() == 16 { u64::from_str_radix(name, 16) } else { name.parse() };
    number.map(JournalId).map_err(|_| {
        let why = format!("--accept-loss {name} names no journal");
        Refusal::usage(why, "give the journal's number, or the name of its folder under journals/")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::config::ClusterOptions;

    fn machine() -> Machine {
        Machine { cpus: vec![0, 2], memory_bytes: 8 << 30 }
    }

    fn config(options: Options) -> Result<Config, Refusal> {
        Config::from_options(options, &machine())
    }

    fn refused(options: Options) -> String {
        let refusal = config(options).expect_err("refused");
        assert_eq!(refusal.exit_code, crate::process::refusal::EXIT_USAGE);
        refusal.to_string()
    }

    #[test]
    fn no_option_at_all_serves_a_first_run() {
        let config = config(Options::default()).expect("defaults hold together");
        assert_eq!(config.node.listeners.plain().listen.to_string(), "127.0.0.1:9092");
        assert_eq!(
            (config.node.advertised.host.as_str(), config.node.advertised.first_port),
            ("127.0.0.1", 9092)
        );
        assert_eq!((config.node.node, config.node.shards, config.node.cpus), (NodeId(0), 2, vec![0, 2]));
        assert_eq!(config.node.memory_bytes, 1 << 30);
        assert_eq!(config.http.listen.to_string(), "127.0.0.1:9644");
    }

    #[test]
    fn nodes_of_one_machine_take_different_cores_first() {
        let of_node = |node| cpus(NodeId(node), 1, &[0, 1, 2, 3]);
        assert_eq!([of_node(1), of_node(2), of_node(3), of_node(4)], [[1], [2], [3], [0]]);
        assert_eq!(cpus(NodeId(3), 2, &[0, 1, 2, 3]), [2, 3]);
        assert_eq!(cpus(NodeId(2_147_482), 3, &[0, 1]).len(), 3);
    }

    #[test]
    fn more_shards_than_cores_share_them() {
        let config = config(Options { shards: Some(5), ..Options::default() }).expect("allowed");
        assert_eq!(config.node.cpus, [0, 2, 0, 2, 0]);
    }

    #[test]
    fn every_address_of_the_machine_needs_one_to_advertise() {
        for listen in ["0.0.0.0:9092", "[::]:9092"] {
            let text = refused(Options { listen: Some(listen.into()), ..Options::default() });
            assert!(text.contains("--advertise HOST:9092"), "{text}");
        }
        let both = Options {
            listen: Some("0.0.0.0:9092".into()),
            advertise: vec!["broker-1:19092".into()],
            ..Options::default()
        };
        let advertised = config(both).expect("allowed").node.advertised;
        assert_eq!((advertised.host.as_str(), advertised.first_port), ("broker-1", 19092));
    }

    #[test]
    fn listeners_are_apart_and_have_what_they_need() {
        let with = |named: &[&str]| Options {
            listener: named.iter().map(|one| (*one).to_owned()).collect(),
            ..Options::default()
        };
        assert!(refused(with(&["A=PLAINTEXT://127.0.0.1:9093"])).contains("their ports overlap"));
        assert!(config(with(&["A=PLAINTEXT://127.0.0.1:9094"])).is_ok());
        assert!(refused(with(&["A=SASL_SSL://127.0.0.1:9094"])).contains("needs certificates"));
        let described = config(with(&["A=PLAINTEXT://127.0.0.1:9094"])).expect("valid").describe();
        let (options, _) = parse_file(&described).expect("read again");
        assert_eq!(config(options).expect("valid").describe(), described);
    }

    #[test]
    fn an_authorizer_without_anybody_who_could_give_rights_does_not_start() {
        use crate::process::options::Switch;
        let on = || Options { authorizer: Some(Switch::On), ..Options::default() };
        assert!(config(on()).is_ok(), "who is on this machine may");
        let alone = Options { no_local_admin: Some(true), ..on() };
        assert!(refused(alone.clone()).contains("no super user"));
        let elsewhere = Options { listen: Some("10.0.0.1:9092".into()), ..on() };
        assert!(refused(elsewhere).contains("no super user"));
        let named = Options { super_user: vec!["User:a".into()], ..alone };
        assert!(config(named).is_ok());
        let off = Options { no_local_admin: Some(true), ..Options::default() };
        assert!(refused(off).contains("--no-local-admin without an authorizer"));
    }

    #[test]
    fn under_128_mib_a_shard_is_refused_with_what_would_do() {
        let text = refused(Options { shards: Some(4), memory: Some(511 << 20), ..Options::default() });
        assert!(text.contains("at least 512MiB"), "{text}");
    }

    #[test]
    fn ports_must_fit_and_be_apart() {
        assert!(
            refused(Options { listen: Some("127.0.0.1:65535".into()), ..Options::default() })
                .contains("65536")
        );
        assert!(
            refused(Options { listen: Some("127.0.0.1:0".into()), ..Options::default() }).contains("port 0")
        );
        assert!(
            refused(Options { http_listen: Some("127.0.0.1:9093".into()), ..Options::default() })
                .contains("shard 1")
        );
    }

    #[test]
    fn ports_for_other_nodes_are_apart_from_all_others() {
        let peers = ["1=127.0.0.1:9093", "2=b:1", "3=c:1"].map(str::to_owned).to_vec();
        let cluster = ClusterOptions { peers, ..ClusterOptions::default() };
        let options = Options { node_id: Some(1), cluster, ..Options::default() };
        assert!(refused(options.clone()).contains("their ports overlap"));
        let apart = Options { listen: Some("127.0.0.1:9192".into()), ..options };
        assert!(config(apart.clone()).is_ok());
        let http = Options { http_listen: Some("127.0.0.1:9094".into()), ..apart };
        assert!(refused(http).contains("is also the peer port of shard 1"));
    }

    #[test]
    fn the_example_files_are_one_cluster_on_one_host() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/three-nodes");
        let node = |id: u32| {
            let file = folder.join(format!("node-{id}.toml"));
            let config = config(Options { config: Some(file), ..Options::default() }).expect("valid");
            assert_eq!(config.node.node, NodeId(id));
            let factor = ("default.replication.factor".to_owned(), "3".to_owned());
            assert!(config.node.kafka.contains(&factor), "every topic is on three nodes");
            config
        };
        let nodes = [1, 2, 3].map(node);
        let mut ports = Vec::new();
        for config in &nodes {
            let (node, cluster) = (&config.node, config.node.cluster.as_ref().expect("a cluster"));
            assert_eq!(cluster.peers, nodes[0].node.cluster.as_ref().expect("a cluster").peers);
            let (shards, plain) = (0..node.shards, node.listeners.plain());
            ports.extend(
                shards.flat_map(|shard| [plain.listen.port() + shard, cluster.listen.port() + shard]),
            );
            ports.push(config.http.listen.port());
        }
        let before = ports.len();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), before, "no port is used twice");
    }

    #[test]
    fn a_journal_is_a_number_or_a_folder() {
        assert_eq!(journal("16"), Ok(JournalId(16)));
        assert_eq!(journal("0000000000000010"), Ok(JournalId(16)));
        assert!(journal("topic-a").is_err());
    }

    #[test]
    fn an_unknown_key_names_the_nearest_one() {
        let text = parse_file("data_dir = '/tmp'").expect_err("refused").to_string();
        assert!(text.contains("'data_dir'") && text.contains("'data-dir'"), "{text}");
        let text = parse_file("\"num.partitions\" = 3").expect_err("refused").to_string();
        assert!(text.contains("[kafka]"), "{text}");
        let text = parse_file("peers = ['1=a:1']").expect_err("refused").to_string();
        assert!(text.contains("[cluster]"), "{text}");
        let text = parse_file("[cluster]\npeer = ['1=a:1']").expect_err("refused").to_string();
        assert!(text.contains("unknown field `peer`"), "{text}");
    }

    #[test]
    fn kafkas_names_need_no_quotes_in_the_file() {
        let (options, kafka) = parse_file("shards = 3\n[kafka]\nnum.partitions = 4\n'log.retention.ms' = -1\nauto.create.topics.enable = false")
            .expect("read");
        assert_eq!(options.shards, Some(3));
        let expected =
            [("auto.create.topics.enable", "false"), ("log.retention.ms", "-1"), ("num.partitions", "4")];
        assert_eq!(kafka, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }

    #[test]
    fn a_table_of_kafkas_settings_may_be_empty() {
        let (options, kafka) = parse_file("shards = 3\n[kafka]\n").expect("read");
        assert_eq!((options.shards, kafka.len()), (Some(3), 0));
    }

    #[test]
    fn what_check_config_prints_is_a_file_that_says_the_same() {
        let options = Options {
            listen: Some("[::1]:9192".into()),
            set: vec!["num.partitions=3".into()],
            node_id: Some(2),
            cluster: ClusterOptions {
                peers: ["1=a.b:9", "2=127.0.0.1:9", "3=c:9"].map(str::to_owned).to_vec(),
                rack: Some("r 1".into()),
                ..ClusterOptions::default()
            },
            ..Options::default()
        };
        let described = config(options).expect("valid").describe();
        let (options, kafka) = parse_file(&described).expect("read again");
        let set = kafka.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(config(Options { set, ..options }).expect("valid").describe(), described);
    }

    #[test]
    fn a_loss_is_accepted_for_one_start_and_not_in_the_file() {
        let text = parse_file("accept-loss = ['1']").expect_err("refused").to_string();
        assert!(text.contains("for one start"), "{text}");
    }

    #[test]
    fn a_wrong_type_is_told_with_its_line() {
        let text = parse_file("shards = 'many'").expect_err("refused").to_string();
        assert!(text.contains("line 1"), "{text}");
    }
}
