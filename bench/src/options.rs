//! The workload's options as they are written, on the command line or in a TOML file: the same
//! names, all of them optional. What they mean together is `workload`.

use clap::{Args, ValueEnum};
use net::process::options::parse_bytes;
use serde::{Deserialize, Deserializer, Serialize};
use std::path::PathBuf;
use std::str::FromStr;

/// Every option. The file's keys are the long names without their dashes in front. A default that depends on the
/// command is not in these texts: `cli` adds it, from `workload`.
#[derive(Args, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Options {
    /// TOML file with the same options as keys (bench/workloads has some). The command line wins
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub workload: Option<PathBuf>,

    /// Name of the topic, or with several topics what stands before their numbers (NAME-0, ...).
    /// Made when missing
    #[arg(long, value_name = "NAME")]
    pub topic: Option<String>,
    /// Number of topics [default: 1]
    #[arg(long, value_name = "N")]
    pub topics: Option<u32>,
    /// Partitions of each topic that is made
    #[arg(long, value_name = "N")]
    pub partitions: Option<u32>,
    /// Replicas of each partition of a topic that is made; 0: the broker's default [default: 0]
    #[arg(long, value_name = "N")]
    pub replication_factor: Option<i16>,
    /// Configuration of topics that are made. May be given more than once
    #[arg(long, value_name = "KEY=VALUE")]
    pub topic_config: Vec<String>,

    /// Bytes of a record's value
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    #[serde(deserialize_with = "bytes_in_file")]
    pub record_bytes: Option<u64>,
    /// A batch of a partition is sent at this size
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    #[serde(deserialize_with = "bytes_in_file")]
    pub batch_bytes: Option<u64>,
    /// Batches that one request may carry, all partitions together [default: 1MiB]
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    #[serde(deserialize_with = "bytes_in_file")]
    pub request_bytes: Option<u64>,
    /// Records that a producer may have waiting to be sent. When they are that many, batches go as
    /// they are
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    #[serde(deserialize_with = "bytes_in_file")]
    pub buffer_bytes: Option<u64>,
    /// A batch that is not full is sent when its first record is this old [default: 1]
    #[arg(long, value_name = "MS")]
    pub linger_ms: Option<f64>,
    /// Which partition a record goes to: none (one partition until its batch is sent, then the
    /// next), round-robin, random, zipf, zipf:EXPONENT. With the last two, records have keys; the
    /// key's bytes are prebuilt, the partition is drawn
    #[arg(long, value_name = "MODE")]
    pub key: Option<KeyMode>,
    /// Bytes of a record's key, when records have keys [default: 8]
    #[arg(long, value_name = "BYTES")]
    pub key_bytes: Option<u32>,
    /// Compression of batches [default: none]
    #[arg(long, value_name = "CODEC")]
    pub compression: Option<Compression>,
    /// Part of a value that compresses away, 0 to 1 [default: 0]
    #[arg(long, value_name = "PART")]
    pub compressible: Option<f64>,

    /// Who must have a batch before it is acked: all, 1, 0 (nobody answers) [default: all]
    #[arg(long, value_name = "ACKS")]
    #[serde(deserialize_with = "text_or_number")]
    pub acks: Option<Acks>,
    /// Idempotent producers [default: true with acks=all, else false]
    #[arg(long, value_name = "BOOL")]
    pub idempotence: Option<bool>,
    /// Requests of one producer to one broker without an answer yet [default: 5]
    #[arg(long, value_name = "N")]
    pub in_flight: Option<u32>,
    /// Producers, each with connections of its own; all write to all partitions
    #[arg(long, value_name = "N")]
    pub producers: Option<u32>,
    /// Consumers, which share the partitions [default: 1]
    #[arg(long, value_name = "N")]
    pub consumers: Option<u32>,
    /// Threads for all of them [default: half the cores, and not more than producers and consumers]
    #[arg(long, value_name = "N")]
    pub threads: Option<u32>,

    /// Records a second of all producers together, sent at their times whatever the broker does
    /// (open loop); or max: as fast as answers come (closed loop)
    #[arg(long, value_name = "N|max")]
    #[serde(deserialize_with = "text_or_number")]
    pub rate: Option<Rate>,
    /// Seconds to measure, after the warm-up [default: 30, without end when --records is given or a
    /// consumer is to --drain]
    #[arg(long, value_name = "S")]
    pub seconds: Option<f64>,
    /// Records to produce or consume, the warm-up's included [default: no bound]
    #[arg(long, value_name = "N")]
    pub records: Option<u64>,
    /// Seconds of load before measuring [default: 0]
    #[arg(long, value_name = "S")]
    pub warmup_seconds: Option<f64>,

    /// Where consumers begin
    #[arg(long, value_name = "WHERE")]
    pub from: Option<From>,
    /// Bytes that a fetch asks for, of all its partitions together [default: 50MiB]
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    #[serde(deserialize_with = "bytes_in_file")]
    pub fetch_bytes: Option<u64>,
    /// Bytes that a fetch asks for of each partition [default: 1MiB]
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    #[serde(deserialize_with = "bytes_in_file")]
    pub partition_fetch_bytes: Option<u64>,
    /// How long a fetch waits for records [default: 100]
    #[arg(long, value_name = "MS")]
    pub fetch_wait_ms: Option<i32>,

    /// A request without an answer for so long closes its connection, and is tried again
    #[arg(long, value_name = "S")]
    pub timeout_seconds: Option<f64>,
    /// How long one batch is tried again; then the run ends [default: 120]
    #[arg(long, value_name = "S")]
    pub retry_seconds: Option<f64>,
}

#[derive(ValueEnum, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

#[derive(ValueEnum, Serialize, Deserialize, Clone, Copy, Debug, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum From {
    Earliest,
    Latest,
}

impl std::fmt::Display for From {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if *self == Self::Latest { "latest" } else { "earliest" })
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum KeyMode {
    None,
    RoundRobin,
    Random,
    Zipf(f64),
}

/// Kafka's number of it: −1, 1 or 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acks(pub i16);

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    Max,
    PerSecond(f64),
}

impl FromStr for KeyMode {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("'{text}' is none of none, round-robin, random, zipf, zipf:EXPONENT");
        match text {
            "none" => Ok(Self::None),
            "round-robin" => Ok(Self::RoundRobin),
            "random" => Ok(Self::Random),
            "zipf" => Ok(Self::Zipf(1.0)),
            _ => {
                let exponent = text.strip_prefix("zipf:").ok_or_else(wrong)?.parse().map_err(|_| wrong())?;
                if (0.0..=10.0).contains(&exponent) { Ok(Self::Zipf(exponent)) } else { Err(wrong()) }
            }
        }
    }
}

impl FromStr for Acks {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" | "-1" => Ok(Self(-1)),
            "1" => Ok(Self(1)),
            "0" => Ok(Self(0)),
            _ => Err(format!("'{text}' is none of all, 1, 0")),
        }
    }
}

impl FromStr for Rate {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "max" || text == "0" {
            return Ok(Self::Max);
        }
        match text.parse::<f64>() {
            Ok(rate) if rate > 0.0 && rate <= 1e9 => Ok(Self::PerSecond(rate)),
            _ => Err(format!("'{text}' is neither max nor a number of records a second up to 10^9")),
        }
    }
}

impl std::fmt::Display for KeyMode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::RoundRobin => f.write_str("round-robin"),
            Self::Random => f.write_str("random"),
            Self::Zipf(exponent) => write!(f, "zipf:{exponent}"),
        }
    }
}

impl std::fmt::Display for Acks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0 == -1 { f.write_str("all") } else { write!(f, "{}", self.0) }
    }
}

impl Acks {
    pub fn describe(&self, idempotence: bool) -> String {
        format!("acks {self}{}", if idempotence { ", idempotent" } else { "" })
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Max => f.write_str("max"),
            Self::PerSecond(rate) => write!(f, "{rate}"),
        }
    }
}

impl<'de> Deserialize<'de> for KeyMode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum TextOrNumber {
    Text(String),
    Whole(i64),
    Number(f64),
}

/// Both `rate = "max"` and `rate = 1000` are to be understood.
fn text_or_number<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: FromStr<Err = String>,
    D: Deserializer<'de>,
{
    let text = match TextOrNumber::deserialize(deserializer)? {
        TextOrNumber::Text(text) => text,
        TextOrNumber::Whole(number) => number.to_string(),
        TextOrNumber::Number(number) => number.to_string(),
    };
    text.parse().map(Some).map_err(serde::de::Error::custom)
}

fn bytes_in_file<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let text = match TextOrNumber::deserialize(deserializer)? {
        TextOrNumber::Text(text) => text,
        TextOrNumber::Whole(number) => number.to_string(),
        TextOrNumber::Number(number) => number.to_string(),
    };
    parse_bytes(&text).map(Some).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_takes_numbers_and_words() {
        let options: Options = toml::from_str(
            "topics = 2\nrate = 50_000\nacks = 'all'\nkey = 'zipf:1.2'\nbatch-bytes = '1MiB'\nrecord-bytes = 100",
        )
        .expect("it reads");
        assert_eq!(options.rate, Some(Rate::PerSecond(50_000.0)));
        assert_eq!(options.acks, Some(Acks(-1)));
        assert_eq!(options.key, Some(KeyMode::Zipf(1.2)));
        assert_eq!((options.batch_bytes, options.record_bytes), (Some(1 << 20), Some(100)));
    }

    #[test]
    fn what_is_unknown_is_refused() {
        assert!(toml::from_str::<Options>("topic-count = 2").is_err());
        assert!(toml::from_str::<Options>("rate = 'fast'").is_err());
        assert!("zipf:x".parse::<KeyMode>().is_err() && "2".parse::<Acks>().is_err());
        assert!("-1".parse::<Rate>().is_err());
    }
}
