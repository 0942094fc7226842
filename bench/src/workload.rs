//! The workload: options of the command line over those of the file over defaults, checked.

use crate::batch::proof::PROOF_BYTES_MIN;
use crate::batch::spec::Shape;
use crate::clock;
use crate::options::{Compression, From, KeyMode, Options, Rate};
use crate::trouble::{Outcome, Trouble};
use net::kafka::client::batch::Codec;
use serde::Serialize;
use std::path::Path;

/// What a run does. Times are in seconds where they are shown and in nanoseconds where they count.
#[derive(Clone, Debug, Serialize)]
pub struct Workload {
    pub topic: String,
    pub topics: u32,
    pub partitions: u32,
    pub replication_factor: i16,
    pub topic_config: Vec<(String, String)>,
    pub record_bytes: usize,
    pub batch_bytes: usize,
    pub request_bytes: usize,
    pub buffer_bytes: usize,
    pub linger_ms: f64,
    #[serde(serialize_with = "as_text")]
    pub key: KeyMode,
    pub key_bytes: usize,
    pub compression: Compression,
    pub compressible: f64,
    /// −1 is all.
    pub acks: i16,
    pub idempotence: bool,
    pub in_flight: usize,
    pub producers: u32,
    pub consumers: u32,
    pub threads: u32,
    #[serde(serialize_with = "as_text")]
    pub rate: Rate,
    pub seconds: f64,
    pub records: Option<u64>,
    pub warmup_seconds: f64,
    pub from: From,
    pub fetch_bytes: i32,
    pub partition_fetch_bytes: i32,
    pub fetch_wait_ms: i32,
    pub timeout_seconds: f64,
    pub retry_seconds: f64,
}

fn as_text<T: std::fmt::Display, S: serde::Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(value)
}

/// Which command the workload is for: it decides some defaults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    Produce,
    Consume,
    Run,
    Verify,
    /// `verify --transactions`.
    ExactlyOnce,
}

/// What counts where nothing is given, where that depends on the command. `--help` shows these very values.
#[derive(Clone, Copy, Debug)]
pub struct Defaults {
    pub topic: &'static str,
    pub partitions: u32,
    pub record_bytes: u64,
    pub batch_bytes: u64,
    pub buffer_bytes: u64,
    pub key: KeyMode,
    pub producers: u32,
    pub rate: Rate,
    pub from: From,
    pub timeout_seconds: f64,
}

impl Purpose {
    pub fn defaults(self) -> Defaults {
        let load = Defaults {
            topic: "duramen-bench",
            partitions: 1,
            record_bytes: 1024,
            batch_bytes: 128 << 10,
            buffer_bytes: 32 << 20,
            key: KeyMode::None,
            producers: 1,
            rate: Rate::Max,
            from: From::Earliest,
            timeout_seconds: 30.0,
        };
        match self {
            Self::Produce | Self::Consume => load,
            Self::Run => Defaults { from: From::Latest, ..load },
            // The rate is of transactions.
            Self::ExactlyOnce => Defaults {
                topic: "duramen-exactly-once",
                partitions: 4,
                record_bytes: 100,
                producers: 4,
                rate: Rate::PerSecond(100.0),
                timeout_seconds: 10.0,
                ..load
            },
            Self::Verify => Defaults {
                topic: "duramen-verify",
                partitions: 8,
                record_bytes: 200,
                batch_bytes: 16 << 10,
                buffer_bytes: 1 << 20,
                key: KeyMode::Random,
                producers: 2,
                rate: Rate::PerSecond(5_000.0),
                timeout_seconds: 10.0,
                ..load
            },
        }
    }
}

/// Seconds of a run without end: ten years.
pub const FOR_EVER: f64 = 3.2e8;

impl Workload {
    /// Reads the file that the options name, if any, and puts all together.
    pub fn resolve(options: Options, purpose: Purpose) -> Outcome<Self> {
        let options = match &options.workload {
            Some(path) => over(options.clone(), read(path)?),
            None => options,
        };
        let workload = Self::with_defaults(options, purpose)?;
        workload.check(purpose)?;
        Ok(workload)
    }

    fn with_defaults(o: Options, purpose: Purpose) -> Outcome<Self> {
        let verify = purpose == Purpose::Verify;
        let or = purpose.defaults();
        let key = o.key.unwrap_or(or.key);
        let keyed = matches!(key, KeyMode::Random | KeyMode::Zipf(_)) && !verify;
        let acks = o.acks.map_or(-1, |acks| acks.0);
        let batch_bytes = o.batch_bytes.unwrap_or(or.batch_bytes) as usize;
        let producers = o.producers.unwrap_or(or.producers);
        let consumers = o.consumers.unwrap_or(1);
        let workers = match purpose {
            Purpose::Produce | Purpose::Verify | Purpose::ExactlyOnce => producers,
            Purpose::Consume => consumers,
            Purpose::Run => producers + consumers,
        };
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
        let mut topic_config = Vec::new();
        for text in &o.topic_config {
            let (key, value) = text
                .split_once('=')
                .ok_or_else(|| Trouble::Usage(format!("--topic-config '{text}': write KEY=VALUE")))?;
            topic_config.push((key.to_owned(), value.to_owned()));
        }
        Ok(Self {
            topic: o.topic.unwrap_or_else(|| or.topic.into()),
            topics: o.topics.unwrap_or(1),
            partitions: o.partitions.unwrap_or(or.partitions),
            replication_factor: o.replication_factor.unwrap_or(0),
            topic_config,
            record_bytes: o.record_bytes.unwrap_or(or.record_bytes) as usize,
            batch_bytes,
            request_bytes: o.request_bytes.map_or((1 << 20).max(batch_bytes), |bytes| bytes as usize),
            buffer_bytes: o.buffer_bytes.unwrap_or(or.buffer_bytes) as usize,
            linger_ms: o.linger_ms.unwrap_or(1.0),
            key,
            key_bytes: if keyed { o.key_bytes.unwrap_or(8) as usize } else { 0 },
            compression: o.compression.unwrap_or(Compression::None),
            compressible: o.compressible.unwrap_or(0.0),
            acks,
            idempotence: o.idempotence.unwrap_or(acks == -1),
            in_flight: o.in_flight.unwrap_or(5) as usize,
            producers,
            consumers,
            threads: o.threads.unwrap_or_else(|| (cores / 2).clamp(1, workers.max(1))),
            rate: o.rate.unwrap_or(or.rate),
            seconds: o.seconds.unwrap_or(if o.records.is_some() { FOR_EVER } else { 30.0 }),
            records: o.records,
            warmup_seconds: o.warmup_seconds.unwrap_or(0.0),
            from: o.from.unwrap_or(or.from),
            fetch_bytes: o.fetch_bytes.unwrap_or(50 << 20).min(i32::MAX as u64) as i32,
            partition_fetch_bytes: o.partition_fetch_bytes.unwrap_or(1 << 20).min(i32::MAX as u64) as i32,
            fetch_wait_ms: o.fetch_wait_ms.unwrap_or(100),
            timeout_seconds: o.timeout_seconds.unwrap_or(or.timeout_seconds),
            retry_seconds: o.retry_seconds.unwrap_or(120.0),
        })
    }

    fn check(&self, purpose: Purpose) -> Outcome<()> {
        let least = if purpose == Purpose::Verify { PROOF_BYTES_MIN } else { 0 };
        let rules = [
            (self.topics >= 1 && self.partitions >= 1, "--topics and --partitions must be at least 1"),
            (self.all_partitions() <= 4_000_000, "more than 4,000,000 partitions"),
            (self.record_bytes >= least, "verify: --record-bytes must be at least 36"),
            (self.record_bytes <= 64 << 20, "--record-bytes must be at most 64 MiB"),
            (self.batch_bytes <= 64 << 20, "--batch-bytes must be at most 64 MiB"),
            (self.key_bytes <= 1 << 16, "--key-bytes must be at most 65536"),
            ((0.0..=1.0).contains(&self.compressible), "--compressible must be from 0 to 1"),
            (self.linger_ms >= 0.0, "--linger-ms must not be negative"),
            (self.in_flight >= 1, "--in-flight must be at least 1"),
            (!self.idempotence || self.acks == -1, "--idempotence needs --acks all"),
            (!self.idempotence || self.in_flight <= 5, "--idempotence needs --in-flight of at most 5"),
            (purpose != Purpose::Verify || self.acks != 0, "verify needs acks: --acks all or 1"),
            (self.producers >= 1 && self.consumers >= 1, "--producers and --consumers must be at least 1"),
            (self.threads >= 1 && self.threads <= 1024, "--threads must be from 1 to 1024"),
            (self.seconds > 0.0 && self.warmup_seconds >= 0.0, "--seconds must be above 0"),
            (self.timeout_seconds > 0.0 && self.retry_seconds > 0.0, "time-outs must be above 0"),
            (self.fetch_wait_ms >= 0, "--fetch-wait-ms must not be negative"),
            (self.fetch_bytes > 0 && self.partition_fetch_bytes > 0, "--fetch-bytes must be above 0"),
        ];
        match rules.iter().find(|(holds, _)| !holds) {
            Some((_, broken)) => Err(Trouble::Usage((*broken).to_owned())),
            None => Ok(()),
        }
    }

    pub fn all_partitions(&self) -> u32 {
        self.topics.saturating_mul(self.partitions)
    }

    pub fn topic_name(&self, topic: u32) -> String {
        if self.topics == 1 { self.topic.clone() } else { format!("{}-{topic}", self.topic) }
    }

    pub fn shape(&self) -> Shape {
        Shape {
            codec: self.codec(),
            record_bytes: self.record_bytes,
            key_bytes: self.key_bytes,
            batch_bytes: self.batch_bytes,
            compressible: self.compressible,
        }
    }

    fn codec(&self) -> Codec {
        match self.compression {
            Compression::None => Codec::None,
            Compression::Gzip => Codec::Gzip,
            Compression::Snappy => Codec::Snappy,
            Compression::Lz4 => Codec::Lz4,
            Compression::Zstd => Codec::Zstd,
        }
    }

    pub fn linger_ns(&self) -> u64 {
        (self.linger_ms * 1e6) as u64
    }

    pub fn timeout_ns(&self) -> u64 {
        clock::seconds(self.timeout_seconds)
    }

    pub fn retry_ns(&self) -> u64 {
        clock::seconds(self.retry_seconds)
    }
}

fn read(path: &Path) -> Outcome<Options> {
    let wrong = |what: String| Trouble::Usage(format!("workload {}: {what}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    toml::from_str(&text).map_err(|error| wrong(error.to_string()))
}

/// The first one's options where it has them, else the other's.
fn over(line: Options, file: Options) -> Options {
    Options {
        workload: line.workload,
        topic: line.topic.or(file.topic),
        topics: line.topics.or(file.topics),
        partitions: line.partitions.or(file.partitions),
        replication_factor: line.replication_factor.or(file.replication_factor),
        topic_config: if line.topic_config.is_empty() { file.topic_config } else { line.topic_config },
        record_bytes: line.record_bytes.or(file.record_bytes),
        batch_bytes: line.batch_bytes.or(file.batch_bytes),
        request_bytes: line.request_bytes.or(file.request_bytes),
        buffer_bytes: line.buffer_bytes.or(file.buffer_bytes),
        linger_ms: line.linger_ms.or(file.linger_ms),
        key: line.key.or(file.key),
        key_bytes: line.key_bytes.or(file.key_bytes),
        compression: line.compression.or(file.compression),
        compressible: line.compressible.or(file.compressible),
        acks: line.acks.or(file.acks),
        idempotence: line.idempotence.or(file.idempotence),
        in_flight: line.in_flight.or(file.in_flight),
        producers: line.producers.or(file.producers),
        consumers: line.consumers.or(file.consumers),
        threads: line.threads.or(file.threads),
        rate: line.rate.or(file.rate),
        seconds: line.seconds.or(file.seconds),
        records: line.records.or(file.records),
        warmup_seconds: line.warmup_seconds.or(file.warmup_seconds),
        from: line.from.or(file.from),
        fetch_bytes: line.fetch_bytes.or(file.fetch_bytes),
        partition_fetch_bytes: line.partition_fetch_bytes.or(file.partition_fetch_bytes),
        fetch_wait_ms: line.fetch_wait_ms.or(file.fetch_wait_ms),
        timeout_seconds: line.timeout_seconds.or(file.timeout_seconds),
        retry_seconds: line.retry_seconds.or(file.retry_seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Acks;

    #[test]
    fn the_line_wins_over_the_file_and_both_over_defaults() {
        let line = Options { topics: Some(3), ..Options::default() };
        let file = Options { topics: Some(9), partitions: Some(7), ..Options::default() };
        let workload = Workload::with_defaults(over(line, file), Purpose::Produce).expect("resolves");
        assert_eq!((workload.topics, workload.partitions, workload.producers), (3, 7, 1));
        assert!(workload.idempotence && workload.acks == -1);
    }

    #[test]
    fn every_workload_that_is_shipped_resolves() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("workloads");
        let files = std::fs::read_dir(folder).expect("the folder").map(|file| file.expect("a file").path());
        let resolved = files.map(|file| {
            let options = Options { workload: Some(file), ..Options::default() };
            Workload::resolve(options, Purpose::Run).expect("resolves")
        });
        assert!(resolved.count() > 20);
    }

    #[test]
    fn idempotence_needs_all_acks() {
        let options = Options { acks: Some(Acks(1)), idempotence: Some(true), ..Options::default() };
        assert!(Workload::resolve(options, Purpose::Produce).is_err());
        let options = Options { acks: Some(Acks(1)), ..Options::default() };
        assert!(!Workload::resolve(options, Purpose::Produce).expect("resolves").idempotence);
    }
}
