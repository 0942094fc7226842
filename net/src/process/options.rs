//! The options as they are written, on the command line or in the TOML file: the same names, all
//! of them optional. Knows nothing of what they mean together; that is `config`.

use crate::peer::config::ClusterOptions;
use clap::{Args, ValueEnum};
use serde::{Deserialize, Deserializer};
use std::path::PathBuf;

/// Every option. The file's keys are the long names without their dashes in front.
#[derive(Args, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Options {
    /// TOML file with the same options as keys, and Kafka's settings in its table kafka. The command
    /// line wins over the file
    #[arg(long, value_name = "FILE", global = true)]
    #[serde(skip)]
    pub config: Option<PathBuf>,

    /// Folder of all data; made if it is missing [default: ./duramen-data]
    #[arg(long, value_name = "DIR", global = true)]
    pub data_dir: Option<PathBuf>,

    /// Number of this node, 0 to 2147482. A data folder keeps the one it was made with; with
    /// --peers it must be given [default: 0]
    #[arg(long, value_name = "N", global = true)]
    pub node_id: Option<u32>,

    /// Where shard 0 listens for clients; shard s listens on PORT + s [default: 127.0.0.1:9092]
    #[arg(long, value_name = "HOST:PORT", global = true)]
    pub listen: Option<String>,

    /// Another listener, by name: NAME=PROTOCOL://HOST:PORT, with PROTOCOL one of PLAINTEXT, SSL,
    /// SASL_PLAINTEXT and SASL_SSL; shard s listens on PORT + s. Clients are told the addresses of the
    /// listener that they asked. May be given more than once
    #[arg(long, value_name = "NAME=PROTOCOL://HOST:PORT", global = true)]
    #[serde(default)]
    pub listener: Vec<String>,

    /// What clients are told to connect to, for shard 0; shard s is PORT + s. Needed when
    /// --listen names no single address (0.0.0.0, ::); for a listener with a name NAME=HOST:PORT. May be
    /// given more than once [default: as --listen and --listener]
    #[arg(long, value_name = "[NAME=]HOST:PORT", global = true)]
    #[serde(default, deserialize_with = "one_or_several")]
    pub advertise: Vec<String>,

    /// Take passwords and tokens (PLAIN, OAUTHBEARER) from clients beyond this machine although their
    /// connection is not encrypted: whoever reads it can be them
    #[arg(long, global = true)]
    #[serde(default)]
    pub allow_plaintext_passwords: bool,

    /// Folder with this node's certificates, as `duramen ca node` writes them: node.pem, node.key and
    /// ca.pem. They are read again every 10 s, and on SIGHUP
    #[arg(long, value_name = "DIR", global = true)]
    pub tls_folder: Option<PathBuf>,

    /// This node's certificate and those that lead from it to the authority, PEM [default: node.pem in
    /// --tls-folder]
    #[arg(long, value_name = "FILE", global = true)]
    pub tls_certificate: Option<PathBuf>,

    /// The certificate's key, PEM; none but its owner may read it [default: node.key in --tls-folder]
    #[arg(long, value_name = "FILE", global = true)]
    pub tls_key: Option<PathBuf>,

    /// The authorities whose certificates count, of clients and of other nodes, PEM [default: ca.pem in
    /// --tls-folder]
    #[arg(long, value_name = "FILE", global = true)]
    pub tls_ca: Option<PathBuf>,

    /// Shards of this node, each a pinned thread and a broker to clients [default: the smaller of
    /// 8 and the cores this process may run on]
    #[arg(long, value_name = "N", global = true)]
    pub shards: Option<u16>,

    /// Memory of all shards together, at least 128 MiB a shard; takes KiB, MiB and GiB
    /// [default: 512 MiB a shard, at most half of the machine's]
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes, global = true)]
    #[serde(default, deserialize_with = "bytes_in_file")]
    pub memory: Option<u64>,

    /// Length of a segment, set once when the cluster is formed; takes KiB, MiB and GiB
    /// [default: 256MiB]
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes, global = true)]
    #[serde(default, deserialize_with = "bytes_in_file")]
    pub segment_bytes: Option<u64>,

    /// Broker ids are node id × N + shard; set once when the cluster is formed, the same on every
    /// node. 1 to 1000, at least the shards of a node: with 1 and one shard each, the brokers of
    /// nodes 1, 2 and 3 are 1, 2 and 3 [default: 1000]
    #[arg(long, value_name = "N", global = true)]
    pub broker_id_stride: Option<u16>,

    /// Sealed segments are read again in the background, to find what rots while another replica has
    /// it: all shards together at most so many bytes a second, an eighth of it while there is other
    /// work; 0 is never; takes KiB, MiB and GiB [default: 16MiB]
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes, global = true)]
    #[serde(default, deserialize_with = "bytes_in_file")]
    pub scrub_bytes_per_second: Option<u64>,

    /// Compacted topics are rewritten in the background: all shards together read and write at most so
    /// many bytes a second for it, a quarter of it while there is other work; 0 is never; takes KiB, MiB
    /// and GiB [default: 64MiB]
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes, global = true)]
    #[serde(default, deserialize_with = "bytes_in_file")]
    pub rewrite_bytes_per_second: Option<u64>,

    /// Bytes per second that nodes which are behind get from this one's disk while clients produce
    /// or fetch; all that the disk gives while none do; takes KiB, MiB and GiB [default: 32MiB]
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes, global = true)]
    #[serde(default, deserialize_with = "bytes_in_file")]
    pub catch_up_rate: Option<u64>,

    /// Accept that the entries of this journal that are damaged, or perhaps acked and gone, are lost
    /// for good, so that it takes batches again; its number, or the name of its folder. May be given
    /// more than once. Not in the file, where it would accept what is lost later, too: give it for one start
    #[arg(long, value_name = "JOURNAL", global = true)]
    #[serde(skip)]
    pub accept_loss: Vec<String>,

    /// Where /livez, /readyz, /startupz and /metrics are served [default: 127.0.0.1:9644]
    #[arg(long, value_name = "HOST:PORT", global = true)]
    pub http_listen: Option<String>,

    /// Whether that is within TLS, with the certificates of --tls-folder [default: on beyond loopback]
    #[arg(long, value_name = "ON|OFF", global = true)]
    pub http_tls: Option<Switch>,

    /// A file whose first line is the token that HTTP clients without a certificate send as
    /// `Authorization: Bearer TOKEN`; none but its owner may read it
    #[arg(long, value_name = "FILE", global = true)]
    pub http_token_file: Option<PathBuf>,

    /// Answer /livez, /readyz and /startupz to everybody, for probes that have no token
    #[arg(long, global = true)]
    #[serde(default)]
    pub http_open_probes: bool,

    /// Serve health and metrics to everybody, in the clear, beyond loopback, too
    #[arg(long, global = true)]
    #[serde(default)]
    pub insecure_http: bool,

    /// Whether what clients ask is judged by the cluster's access rules [default: on where --super-user
    /// is given, else off]
    #[arg(long, value_name = "ON|OFF", global = true)]
    pub authorizer: Option<Switch>,

    /// Who may do everything, whatever the access rules say, such as User:alice. May be given more
    /// than once
    #[arg(long, value_name = "User:NAME", global = true)]
    #[serde(default, deserialize_with = "one_or_several")]
    pub super_user: Vec<String>,

    /// Judge those, too, who come from this machine on a plaintext listener; else they may do
    /// everything
    #[arg(long, global = true, num_args = 0..=1, default_missing_value = "true", require_equals = true,
          value_name = "true|false")]
    pub no_local_admin: Option<bool>,

    /// Where the audit log is, JSON lines: who came, what was denied, what was changed; off for none
    /// [default: audit/audit.log in --data-dir]
    #[arg(long, value_name = "FILE|off", global = true)]
    pub audit_log: Option<String>,

    /// An audit log that is so long is left behind as FILE.1 and a new one begun; takes KiB, MiB and GiB
    /// [default: 64MiB]
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes, global = true)]
    #[serde(default, deserialize_with = "bytes_in_file")]
    pub audit_log_bytes: Option<u64>,

    /// So many files of the audit log are kept, then the oldest goes [default: 10]
    #[arg(long, value_name = "N", global = true)]
    pub audit_log_files: Option<u16>,

    /// How log lines look, on stderr [default: text]
    #[arg(long, value_name = "FORMAT", global = true)]
    pub log_format: Option<LogFormat>,

    /// Which log lines: error, warn, info, debug, trace, or by module (net=debug,info)
    /// [default: info]
    #[arg(long, value_name = "FILTER", global = true)]
    pub log: Option<String>,

    /// A Kafka broker setting by its Kafka name, such as num.partitions=3. May be given more than
    /// once; wins over the file's table kafka
    #[arg(long, value_name = "KEY=VALUE", global = true)]
    #[serde(skip)]
    pub set: Vec<String>,

    /// In the file these are in the table cluster.
    #[command(flatten)]
    #[serde(default)]
    pub cluster: ClusterOptions,
}

#[derive(ValueEnum, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

#[derive(ValueEnum, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Switch {
    On,
    Off,
}

/// The file's keys, `kafka` and `cluster` left out; a test holds them and [`Options`] together.
pub const FILE_KEYS: [&str; 30] = [
    "data-dir",
    "node-id",
    "listen",
    "listener",
    "advertise",
    "allow-plaintext-passwords",
    "tls-folder",
    "tls-certificate",
    "tls-key",
    "tls-ca",
    "shards",
    "memory",
    "segment-bytes",
    "broker-id-stride",
    "scrub-bytes-per-second",
    "rewrite-bytes-per-second",
    "catch-up-rate",
    "http-listen",
    "http-tls",
    "http-token-file",
    "http-open-probes",
    "insecure-http",
    "authorizer",
    "super-user",
    "no-local-admin",
    "audit-log",
    "audit-log-bytes",
    "audit-log-files",
    "log-format",
    "log",
];

impl Options {
    /// These options where they are given, `file`'s elsewhere.
    pub fn over(self, file: Options) -> Options {
        Options {
            config: self.config,
            data_dir: self.data_dir.or(file.data_dir),
            node_id: self.node_id.or(file.node_id),
            listen: self.listen.or(file.listen),
            listener: if self.listener.is_empty() { file.listener } else { self.listener },
            advertise: if self.advertise.is_empty() { file.advertise } else { self.advertise },
            allow_plaintext_passwords: self.allow_plaintext_passwords || file.allow_plaintext_passwords,
            tls_folder: self.tls_folder.or(file.tls_folder),
            tls_certificate: self.tls_certificate.or(file.tls_certificate),
            tls_key: self.tls_key.or(file.tls_key),
            tls_ca: self.tls_ca.or(file.tls_ca),
            shards: self.shards.or(file.shards),
            memory: self.memory.or(file.memory),
            segment_bytes: self.segment_bytes.or(file.segment_bytes),
            broker_id_stride: self.broker_id_stride.or(file.broker_id_stride),
            scrub_bytes_per_second: self.scrub_bytes_per_second.or(file.scrub_bytes_per_second),
            rewrite_bytes_per_second: self.rewrite_bytes_per_second.or(file.rewrite_bytes_per_second),
            catch_up_rate: self.catch_up_rate.or(file.catch_up_rate),
            accept_loss: self.accept_loss,
            http_listen: self.http_listen.or(file.http_listen),
            http_tls: self.http_tls.or(file.http_tls),
            http_token_file: self.http_token_file.or(file.http_token_file),
            http_open_probes: self.http_open_probes || file.http_open_probes,
            insecure_http: self.insecure_http || file.insecure_http,
            authorizer: self.authorizer.or(file.authorizer),
            super_user: if self.super_user.is_empty() { file.super_user } else { self.super_user },
            no_local_admin: self.no_local_admin.or(file.no_local_admin),
            audit_log: self.audit_log.or(file.audit_log),
            audit_log_bytes: self.audit_log_bytes.or(file.audit_log_bytes),
            audit_log_files: self.audit_log_files.or(file.audit_log_files),
            log_format: self.log_format.or(file.log_format),
            log: self.log.or(file.log),
            set: self.set,
            cluster: self.cluster.over(file.cluster),
        }
    }
}

/// `1048576`, `512MiB`, `4 GiB`. The units are powers of 1,024 only, so that nobody has to ask.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits]
        .parse()
        .map_err(|_| format!("'{text}' is not a number of bytes, such as 536870912 or 512MiB"))?;
    let factor: u64 = match text[digits..].trim() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        unit => return Err(format!("unit '{unit}' is not one of B, KiB, MiB, GiB, TiB")),
    };
    number.checked_mul(factor).ok_or_else(|| format!("'{text}' is more than 2^64 bytes"))
}

/// A text, or a list of texts.
fn one_or_several<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a text, or a list of texts")]
    enum Texts {
        One(String),
        Several(Vec<String>),
    }
    Ok(match Texts::deserialize(deserializer)? {
        Texts::One(text) => vec![text],
        Texts::Several(texts) => texts,
    })
}

fn bytes_in_file<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a number of bytes, such as 536870912 or \"512MiB\"")]
    enum Bytes {
        Number(u64),
        Text(String),
    }
    match Bytes::deserialize(deserializer)? {
        Bytes::Number(bytes) => Ok(Some(bytes)),
        Bytes::Text(text) => parse_bytes(&text).map(Some).map_err(serde::de::Error::custom),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::config::CLUSTER_KEYS;
    use clap::CommandFactory;

    #[derive(clap::Parser)]
    struct OptionsOnly {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn bytes_are_read_with_and_without_a_unit() {
        assert_eq!(parse_bytes("4096"), Ok(4096));
        assert_eq!(parse_bytes("512MiB"), Ok(512 << 20));
        assert_eq!(parse_bytes(" 4 GiB "), Ok(4 << 30));
        for wrong in ["", "MiB", "-1", "1MB", "99999999999TiB", "1.5GiB"] {
            assert!(parse_bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_files_keys_are_the_command_lines_long_names() {
        let command = OptionsOnly::command();
        let mut names: Vec<&str> = command.get_arguments().filter_map(clap::Arg::get_long).collect();
        names.retain(|name| !["help", "config", "set", "accept-loss"].contains(name));
        let keys: Vec<&str> = FILE_KEYS.into_iter().chain(CLUSTER_KEYS).collect();
        assert_eq!(names, keys);
        for key in FILE_KEYS {
            let wrong_type = format!("{key} = {{ nothing = true }}");
            let error = toml::from_str::<Options>(&wrong_type).expect_err("no option is a table").to_string();
            assert!(!error.contains("unknown field"), "{key}: {error}");
        }
    }

    #[test]
    fn the_command_line_wins_over_the_file() {
        let line = Options { node_id: Some(1), ..Options::default() };
        let file = Options { node_id: Some(2), shards: Some(3), ..Options::default() };
        let both = line.over(file);
        assert_eq!((both.node_id, both.shards), (Some(1), Some(3)));
    }
}
