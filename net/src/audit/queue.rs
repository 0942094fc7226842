//! From whoever has something to tell to the file: a queue of bounded length and a thread of its own. Who tells waits
//! for nothing; what finds no place is counted, and the next line that does says how many there were.

use super::file::AuditFile;
use super::line;
use serde_json::{Value, json};
use std::io;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, channel, sync_channel};
use std::time::{Duration, Instant, SystemTime};

/// Lines that wait while the disk takes none.
const WAITING_LINES_MAX: usize = 4_096;
/// And their bytes.
const WAITING_BYTES_MAX: usize = 8 << 20;
/// Bytes of one write.
const WRITE_BYTES_MAX: usize = 1 << 20;
/// Of what one client can bring about as often as it likes so many lines a second are taken, and as many as in ten
/// seconds at once: it must not push all that came before out of the files that are kept.
const MANY_A_SECOND: u64 = 100;
const MANY_AT_ONCE: u64 = 1_000;
/// How long the end of the process waits for what waits.
const END_WAIT_MAX: Duration = Duration::from_secs(2);

/// Where the log is and how much of it there is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditSettings {
    pub path: PathBuf,
    /// A file that reaches this is left behind.
    pub bytes_max: u64,
    /// So many of those are kept.
    pub kept: usize,
}

/// What became of the lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditFigures {
    pub written: u64,
    pub dropped: u64,
}

enum Mail {
    Line(String),
    End,
}

/// The end of the queue that is written to.
struct Queue {
    node: u32,
    to: SyncSender<Mail>,
    counts: &'static Counts,
    begin: Instant,
}

#[derive(Debug, Default)]
struct Counts {
    next: AtomicU64,
    waiting_bytes: AtomicUsize,
    written: AtomicU64,
    dropped: AtomicU64,
    /// Of those dropped, how many a line has told.
    told: AtomicU64,
    /// Until when what many bring about is paid for, nanoseconds since the begin.
    many_paid_ns: AtomicU64,
}

static QUEUE: OnceLock<Queue> = OnceLock::new();

/// Whether anybody listens: what is dear to say need not be said otherwise.
pub fn is_on() -> bool {
    QUEUE.get().is_some()
}

/// Tells of an event; `fields` is an object. Nothing where there is no audit log.
pub fn tell(event: &str, fields: Value) {
    if let Some(queue) = QUEUE.get() {
        queue.tell(event, fields);
    }
}

/// The same for what a client can bring about as often as it likes.
pub fn tell_of_many(event: &str, fields: impl FnOnce() -> Value) {
    let Some(queue) = QUEUE.get() else { return };
    if queue.has_turn() {
        queue.tell(event, fields());
    } else {
        queue.counts.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

pub fn figures() -> Option<AuditFigures> {
    QUEUE.get().map(|queue| queue.counts.figures())
}

/// Writes what waits when it is dropped.
pub struct AuditGuard {
    to: SyncSender<Mail>,
    ended: Receiver<()>,
}

/// Opens the file and starts the thread; once in a process.
pub fn start(settings: &AuditSettings, node: u32) -> io::Result<AuditGuard> {
    let file = AuditFile::open(&settings.path, settings.bytes_max, settings.kept)?;
    let (queue, guard) = Queue::start(file, node)?;
    assert!(QUEUE.set(queue).is_ok(), "the audit log is started once");
    Ok(guard)
}

impl Queue {
    fn start(file: AuditFile, node: u32) -> io::Result<(Self, AuditGuard)> {
        let (to, from) = sync_channel(WAITING_LINES_MAX);
        let (end, ended) = channel();
        let counts: &'static Counts = Box::leak(Box::default());
        let writer = Writer { file, node, counts, is_failing: false };
        std::thread::Builder::new().name("audit".into()).spawn(move || {
            writer.run(&from);
            // Whoever waited is gone when nobody takes it.
            let _ = end.send(());
        })?;
        let guard = AuditGuard { to: to.clone(), ended };
        Ok((Self { node, to, counts, begin: Instant::now() }, guard))
    }

    fn tell(&self, event: &str, fields: Value) {
        let counts = self.counts;
        let number = counts.next.fetch_add(1, Ordering::Relaxed);
        let text = line::line(SystemTime::now(), number, self.node, event, fields);
        let bytes = text.len();
        let before = counts.waiting_bytes.fetch_add(bytes, Ordering::Relaxed);
        let sent = if before + bytes <= WAITING_BYTES_MAX {
            self.to.try_send(Mail::Line(text))
        } else {
            Err(TrySendError::Full(Mail::Line(text)))
        };
        if sent.is_err() {
            counts.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether one more line of what many can bring about is within its rate.
    fn has_turn(&self) -> bool {
        let now_ns = self.begin.elapsed().as_nanos() as u64;
        let (cost_ns, burst_ns) =
            (1_000_000_000 / MANY_A_SECOND, 1_000_000_000 / MANY_A_SECOND * MANY_AT_ONCE);
        let pay = |paid_ns: u64| {
            let paid_ns = paid_ns.max(now_ns) + cost_ns;
            (paid_ns <= now_ns + burst_ns).then_some(paid_ns)
        };
        self.counts.many_paid_ns.fetch_update(Ordering::Relaxed, Ordering::Relaxed, pay).is_ok()
    }
}

impl Counts {
    fn figures(&self) -> AuditFigures {
        let (written, dropped) = (self.written.load(Ordering::Relaxed), self.dropped.load(Ordering::Relaxed));
        AuditFigures { written, dropped }
    }
}

impl Drop for AuditGuard {
    fn drop(&mut self) {
        let begin = Instant::now();
        while let Err(TrySendError::Full(_)) = self.to.try_send(Mail::End) {
            if begin.elapsed() > END_WAIT_MAX {
                return;
            }
            std::thread::yield_now();
        }
        let _ = self.ended.recv_timeout(END_WAIT_MAX);
    }
}

struct Writer {
    file: AuditFile,
    node: u32,
    counts: &'static Counts,
    is_failing: bool,
}

impl Writer {
    fn run(mut self, from: &Receiver<Mail>) {
        loop {
            // What is dropped after the last line is told, too, when nothing comes.
            let first = match from.recv_timeout(Duration::from_secs(1)) {
                Ok(mail) => Some(mail),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return self.end(),
            };
            let (mut text, mut lines, mut ends) = (String::new(), 0, false);
            for mail in first.into_iter().chain(std::iter::from_fn(|| from.try_recv().ok())) {
                match mail {
                    Mail::Line(line) => {
                        self.counts.waiting_bytes.fetch_sub(line.len(), Ordering::Relaxed);
                        text += &line;
                        lines += 1;
                    }
                    Mail::End => ends = true,
                }
                if ends || text.len() >= WRITE_BYTES_MAX {
                    break;
                }
            }
            self.write(&text, lines);
            if ends {
                return self.end();
            }
        }
    }

    fn end(&self) {
        if let Err(error) = self.file.sync() {
            tracing::error!("the audit log's last lines are perhaps not on the disk: {error}");
        }
    }

    /// Writes lines, behind one that tells what was dropped since the last such line.
    fn write(&mut self, lines: &str, count: u64) {
        let dropped = self.counts.dropped.load(Ordering::Relaxed);
        let untold = dropped - self.counts.told.load(Ordering::Relaxed);
        let mut text = String::new();
        if untold > 0 {
            let number = self.counts.next.fetch_add(1, Ordering::Relaxed);
            let fields = json!({"lines": untold});
            text = line::line(SystemTime::now(), number, self.node, "lines dropped", fields);
        }
        text += lines;
        if text.is_empty() {
            return;
        }
        match self.file.append(text.as_bytes()) {
            Ok(()) => {
                self.counts.told.store(dropped, Ordering::Relaxed);
                self.counts.written.fetch_add(count + u64::from(untold > 0), Ordering::Relaxed);
                if std::mem::take(&mut self.is_failing) {
                    tracing::warn!(lines = untold, "audit lines are written again; so many were dropped");
                }
            }
            Err(error) => {
                self.counts.dropped.fetch_add(count, Ordering::Relaxed);
                if !std::mem::replace(&mut self.is_failing, true) {
                    tracing::error!("audit lines are dropped, they cannot be written: {error}");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn lines(path: &Path) -> Vec<Value> {
        let text = std::fs::read_to_string(path).expect("there");
        text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }

    #[test]
    fn lines_are_there_in_order_when_the_guard_is_gone() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.log");
        let file = AuditFile::open(&path, 1 << 20, 1).expect("opened");
        let (queue, guard) = Queue::start(file, 5).expect("started");
        for one in 0..100 {
            queue.tell("test", json!({"one": one}));
        }
        drop(guard);
        let lines = lines(&path);
        assert_eq!(lines.len(), 100);
        for (number, line) in lines.iter().enumerate() {
            assert_eq!(
                (&line["number"], &line["one"], &line["node"]),
                (&json!(number), &json!(number), &json!(5))
            );
        }
        assert_eq!(queue.counts.figures(), AuditFigures { written: 100, dropped: 0 });
    }

    #[test]
    fn what_finds_no_place_is_counted_and_told_in_the_next_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.log");
        let file = AuditFile::open(&path, 1 << 30, 1).expect("opened");
        // Nobody takes anything yet.
        let (to, from) = sync_channel(WAITING_LINES_MAX);
        let counts: &'static Counts = Box::leak(Box::default());
        let queue = Queue { node: 0, to, counts, begin: Instant::now() };
        let (more, long) = (WAITING_LINES_MAX + 7, "x".repeat(3_000));
        (0..more).for_each(|_| queue.tell("test", json!({"long": long})));
        let waiting = counts.waiting_bytes.load(Ordering::Relaxed);
        assert!(waiting <= WAITING_BYTES_MAX, "{waiting} bytes");
        let dropped = counts.figures().dropped;
        assert!(dropped >= 7, "{dropped}");
        let writer = Writer { file, node: 0, counts, is_failing: false };
        drop(queue);
        writer.run(&from);
        let lines = lines(&path);
        assert_eq!((&lines[0]["event"], &lines[0]["lines"]), (&json!("lines dropped"), &json!(dropped)));
        assert_eq!(lines.len() as u64, more as u64 - dropped + 1);
        assert_eq!(counts.waiting_bytes.load(Ordering::Relaxed), 0);
        assert_eq!(lines.iter().filter(|line| line["event"] == "lines dropped").count(), 1, "told once");
    }

    #[test]
    fn what_cannot_be_written_is_counted_as_dropped() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("below/audit.log");
        let file = AuditFile::open(&path, 1 << 20, 1).expect("opened");
        let counts: &'static Counts = Box::leak(Box::default());
        let mut writer = Writer { file, node: 0, counts, is_failing: false };
        std::fs::remove_dir_all(folder.path().join("below")).expect("removed");
        writer.write("{}\n{}\n", 2);
        assert_eq!(counts.figures(), AuditFigures { written: 0, dropped: 2 });
        std::fs::create_dir(folder.path().join("below")).expect("made");
        writer.write("{}\n", 1);
        assert_eq!(counts.figures(), AuditFigures { written: 2, dropped: 2 });
        assert_eq!(lines(&path)[0]["lines"], 2);
    }

    #[test]
    fn what_many_bring_about_has_a_rate() {
        let (to, _from) = sync_channel(1);
        let queue = Queue { node: 0, to, counts: Box::leak(Box::default()), begin: Instant::now() };
        let taken = (0..10 * MANY_AT_ONCE).filter(|_| queue.has_turn()).count() as u64;
        assert!((MANY_AT_ONCE..2 * MANY_AT_ONCE).contains(&taken), "{taken}");
    }
}
