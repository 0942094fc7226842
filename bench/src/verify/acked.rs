//! The file of what was acked: a line of JSON that says which run this is, then a line for each
//! acked batch, written as its ack arrives. A last line without its end is passed over.

use crate::producer::partition::Batch;
use crate::trouble::{Outcome, Trouble};
use crate::workload::Workload;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Title {
    /// Version of this file's layout.
    pub duramen_verify: u32,
    pub run: u64,
    pub topic: String,
    pub topics: u32,
    pub partitions: u32,
    pub idempotence: bool,
}

const LAYOUT: u32 = 1;

impl Title {
    pub fn new(workload: &Workload, run: u64) -> Self {
        Self {
            duramen_verify: LAYOUT,
            run,
            topic: workload.topic.clone(),
            topics: workload.topics,
            partitions: workload.partitions,
            idempotence: workload.idempotence,
        }
    }
}

/// One acked batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Acked {
    pub producer: u32,
    pub partition: u32,
    pub first: u64,
    pub count: u32,
    /// −1: acked as a duplicate, the broker no longer knew where.
    pub offset: i64,
}

/// Shared by all producers of a run.
#[derive(Clone, Debug)]
pub struct AckLog(Arc<Mutex<Log>>);

#[derive(Debug)]
struct Log {
    path: PathBuf,
    file: File,
    /// Lines behind the title.
    acked: u64,
    failure: Option<String>,
}

fn usage(path: &Path, what: impl std::fmt::Display) -> Trouble {
    Trouble::Usage(format!("{}: {what}", path.display()))
}

impl AckLog {
    /// A new file; one that exists is not overwritten.
    pub fn create(path: &Path, title: &Title) -> Outcome<Self> {
        let file = File::options().write(true).create_new(true).open(path);
        let mut file = file.map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => {
                usage(path, "exists: judge it with --resume, remove it, or name another one with --acked")
            }
            _ => usage(path, error),
        })?;
        let title = serde_json::to_string(title).expect("plain figures are JSON");
        writeln!(file, "{title}").map_err(|error| usage(path, error))?;
        Ok(Self(Arc::new(Mutex::new(Log { path: path.to_owned(), file, acked: 0, failure: None }))))
    }

    pub fn acked(&self, producer: u32, batch: &Batch, offset: i64) {
        let Batch { partition, record, count, .. } = batch;
        let line = format!("{producer} {partition} {record} {count} {offset}\n");
        let mut log = self.0.lock().expect("no thread panics while it writes");
        log.acked += 1;
        if let Err(error) = log.file.write_all(line.as_bytes()) {
            log.failure.get_or_insert_with(|| error.to_string());
        }
    }

    /// A run that came to nothing leaves nothing behind, which the next one would be refused for.
    pub fn remove_unused(&self) {
        let log = self.0.lock().expect("no thread panics while it writes");
        if log.acked == 0 {
            // Should it stay, the next run says what to do about it.
            let _ = std::fs::remove_file(&log.path);
        }
    }

    /// Whether every line was written.
    pub fn check(&self) -> Outcome<()> {
        let log = self.0.lock().expect("no thread panics while it writes");
        match &log.failure {
            None => Ok(()),
            Some(failure) => Err(usage(&log.path, format!("acks could not be noted: {failure}"))),
        }
    }
}

/// The whole file.
pub fn read(path: &Path) -> Outcome<(Title, Vec<Acked>)> {
    let mut lines = BufReader::new(File::open(path).map_err(|error| usage(path, error))?);
    let mut line = String::new();
    lines.read_line(&mut line).map_err(|error| usage(path, error))?;
    let title: Title = serde_json::from_str(&line)
        .map_err(|error| usage(path, format!("is no file of acks of `verify`: {error}")))?;
    if title.duramen_verify != LAYOUT {
        return Err(usage(path, format!("has layout {}, known is {LAYOUT}", title.duramen_verify)));
    }
    let mut acked = Vec::new();
    for number in 2.. {
        line.clear();
        lines.read_line(&mut line).map_err(|error| usage(path, error))?;
        let Some(whole) = line.strip_suffix('\n') else { break };
        acked.push(parse(whole).ok_or_else(|| usage(path, format!("line {number} is malformed")))?);
    }
    Ok((title, acked))
}

fn parse(line: &str) -> Option<Acked> {
    let mut words = line.split(' ');
    let acked = Acked {
        producer: words.next()?.parse().ok()?,
        partition: words.next()?.parse().ok()?,
        first: words.next()?.parse().ok()?,
        count: words.next()?.parse().ok()?,
        offset: words.next()?.parse().ok()?,
    };
    words.next().is_none().then_some(acked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_without_acks_is_removed() {
        let folder = std::env::temp_dir().join(format!("duramen-acked-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("acked");
        let title = Title {
            duramen_verify: LAYOUT,
            run: 1,
            topic: "t".into(),
            topics: 1,
            partitions: 1,
            idempotence: true,
        };
        AckLog::create(&path, &title).expect("created").remove_unused();
        let log = AckLog::create(&path, &title).expect("nothing is in the way");
        std::fs::write(&path, "a line of an ack").expect("ours");
        log.0.lock().expect("no panic").acked = 1;
        log.remove_unused();
        assert!(matches!(AckLog::create(&path, &title), Err(Trouble::Usage(_))), "what was acked stays");
        std::fs::remove_dir_all(&folder).expect("ours");
    }
}
