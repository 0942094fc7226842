//! The worst request of every API that takes a list: what it takes of the allocator, and how long
//! others wait for it. In a process of its own, with the node in it: every byte is counted.

use net::kafka::codec::wire::NAMED_MAX;
use net::observe::status::{Phase, Status};
use net::process::address::Address;
use net::process::config::{Config, Machine};
use net::process::data_folder::{DataFolder, Others, SegmentBytes};
use net::process::options::Options;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tests::counting::{self, Counting};
use tests::process::broker::test_folder;
use tests::process::ports::Ports;
use tests::process::wire::Wire;
use tests::process::{Deadline, records::Load};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Of one shard.
const MEMORY_BYTES: u64 = 256 << 20;
/// Off the hot path a body may be this long on such a shard.
const BODY_BYTES_MAX: usize = (MEMORY_BYTES / 128) as usize;
/// What one request may take beside what is there anyway: what its decoding reserves at most, and
/// an answer.
const PEAK_BYTES_MAX: usize = 64 << 20;
/// Others wait for one step, in a debug build on a machine that others use, too.
const WAIT_MAX: Duration = Duration::from_secs(2);
/// And this long on the average over all requests: no single bad moment of the machine decides.
const WAIT_MEAN_MAX: Duration = Duration::from_millis(150);

/// A body under construction.
#[derive(Clone, Default)]
struct Body(Vec<u8>);

impl Body {
    fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }
    fn i8(self, value: i8) -> Self {
        self.raw(&value.to_be_bytes())
    }
    fn i16(self, value: i16) -> Self {
        self.raw(&value.to_be_bytes())
    }
    fn i32(self, value: i32) -> Self {
        self.raw(&value.to_be_bytes())
    }
    fn i64(self, value: i64) -> Self {
        self.raw(&value.to_be_bytes())
    }
    fn text(self, text: &str) -> Self {
        self.i16(text.len() as i16).raw(text.as_bytes())
    }
    /// Of flexible versions, shorter than 127 bytes.
    fn compact(self, text: &str) -> Self {
        self.i8(text.len() as i8 + 1).raw(text.as_bytes())
    }
    fn list(self, count: usize, unit: impl Fn(usize) -> Body) -> Self {
        (0..count).fold(self.i32(count as i32), |body, at| body.raw(&unit(at).0))
    }
    fn compact_list(self, count: usize, unit: impl Fn(usize) -> Body) -> Self {
        let mut length = count as u32 + 1;
        let mut body = self;
        while length >= 0x80 {
            body = body.i8((length as u8 | 0x80) as i8);
            length >>= 7;
        }
        (0..count).fold(body.i8(length as i8), |body, at| body.raw(&unit(at).0))
    }
}

fn body() -> Body {
    Body::default()
}

/// One request.
struct Worst {
    what: &'static str,
    api: i16,
    version: i16,
    flexible: bool,
    body: Body,
}

/// Things named, with room for what stands around them.
const MANY: usize = NAMED_MAX - 10;

fn distinct(at: usize) -> String {
    format!("u{at}")
}

/// A list of one topic, `name`, with its list of partitions.
fn one_topic(name: &str, count: usize, partition: impl Fn(usize) -> Body) -> Body {
    body().list(1, |_| body().text(name).list(count, &partition))
}

#[rustfmt::skip]
fn hot_and_questions() -> Vec<Worst> {
    let old = |what, api, version, body| Worst { what, api, version, flexible: false, body };
    let new = |what, api, version, body| Worst { what, api, version, flexible: true, body };
    let number = |at: usize| body().i32(at as i32);
    let zero = |_: usize| body().i32(0);
    let time = |at: usize| body().i32(at as i32).i64(5);
    let fetch = |part: &dyn Fn(usize) -> Body, count| {
        body().i32(-1).i32(100).i32(1).i32(50 << 20).i8(0).raw(&one_topic("t", count, part).0)
    };
    let produce = |count| body().i16(-1).i16(-1).i32(1000).raw(&one_topic("t", count, |_| body().i32(0).i32(-1)).0);
    vec![
        old("produce, nothing in 19,000 partitions", 0, 3, produce(19_000)),
        old("produce, nothing in 400,000 partitions", 0, 3, produce(400_000)),
        old("fetch, the same partition", 1, 4, fetch(&|_| body().i32(0).i64(0).i32(1), 19_000)),
        old("fetch, partitions that are not there", 1, 4, fetch(&|at| body().i32(at as i32).i64(0).i32(1), 19_000)),
        old("fetch, 100,000 partitions", 1, 4, fetch(&|at| body().i32(at as i32).i64(0).i32(1), 100_000)),
        old("list offsets, one partition by time", 2, 1, body().i32(-1).raw(&one_topic("t", MANY, |_| body().i32(0).i64(5)).0)),
        old("list offsets, partitions by time", 2, 1, body().i32(-1).raw(&one_topic("t", MANY, time).0)),
        old("list offsets, 150,000 partitions", 2, 1, body().i32(-1).raw(&one_topic("t", 150_000, time).0)),
        old("list offsets, empty topics", 2, 1, body().i32(-1).list(MANY, |_| body().text("").i32(0))),
        old("metadata, one topic again and again", 3, 1, body().list(MANY, |_| body().text("t"))),
        old("metadata, topics that are not there", 3, 4, body().list(MANY, |at| body().text(&distinct(at))).i8(0)),
        old("metadata, 400,000 names", 3, 1, body().list(400_000, |_| body().text("t"))),
        old("offsets for epochs", 23, 2, one_topic("t", MANY, |at| body().i32(at as i32).i32(-1).i32(0))),
        new("describe producers, one partition", 61, 0, body().compact_list(1, |_| body().compact("t").compact_list(MANY, zero).i8(0)).i8(0)),
        new("describe producers, partitions", 61, 0, body().compact_list(1, |_| body().compact("t").compact_list(MANY, number).i8(0)).i8(0)),
        old("describe log dirs", 35, 1, one_topic("t", MANY, number)),
        old("describe log dirs, 400,000 partitions", 35, 1, one_topic("t", 400_000, number)),
        new("describe topic partitions", 75, 0, body().compact_list(MANY, |at| body().compact(&distinct(at)).i8(0)).i32(2000).i8(-1).i8(0)),
        new("describe quorum", 55, 0, body().compact_list(1, |_| body().compact("__cluster_metadata").compact_list(MANY, |_| zero(0).i8(0)).i8(0)).i8(0)),
        old("delete records", 21, 0, one_topic("t", MANY, |at| body().i32(at as i32).i64(0)).i32(1000)),
    ]
}

#[rustfmt::skip]
fn groups() -> Vec<Worst> {
    let old = |what, api, version, body| Worst { what, api, version, flexible: false, body };
    let new = |what, api, version, body| Worst { what, api, version, flexible: true, body };
    let number = |at: usize| body().i32(at as i32);
    let name = |at: usize| body().text(&distinct(at));
    vec![
        old("offset commit", 8, 2, body().text("g").i32(-1).text("").i64(-1).raw(&one_topic("t", MANY, |_| body().i32(0).i64(1).i16(-1)).0)),
        old("offset commit, partitions that are not there", 8, 2, body().text("g").i32(-1).text("").i64(-1).raw(&one_topic("t", MANY, |at| body().i32(at as i32).i64(1).i16(-1)).0)),
        old("offset fetch", 9, 1, body().text("g").raw(&one_topic("t", MANY, number).0)),
        old("offset fetch, 400,000 partitions", 9, 1, body().text("g").raw(&one_topic("t", 400_000, number).0)),
        new("find coordinators", 10, 4, body().i8(0).compact_list(MANY, |at| body().compact(&distinct(at))).i8(0)),
        old("join with protocols", 11, 0, body().text("h").i32(10_000).text("").text("consumer").list(MANY, |at| name(at).i32(0))),
        old("sync with assignments", 14, 0, body().text("h").i32(1).text("m").list(MANY, |at| name(at).i32(0))),
        old("leave", 13, 3, body().text("h").list(MANY, |at| name(at).i16(-1))),
        old("describe one group", 15, 0, body().list(MANY, |_| body().text("g"))),
        old("describe groups", 15, 0, body().list(MANY, name)),
        old("delete groups", 42, 0, body().list(MANY, name)),
        old("offset delete", 47, 0, body().text("g").raw(&one_topic("t", MANY, number).0)),
        new("list groups by states", 16, 4, body().compact_list(MANY, |at| body().compact(&distinct(at))).i8(0)),
    ]
}

#[rustfmt::skip]
fn admin() -> Vec<Worst> {
    let old = |what, api, version, body| Worst { what, api, version, flexible: false, body };
    let new = |what, api, version, body| Worst { what, api, version, flexible: true, body };
    let number = |at: usize| body().i32(at as i32);
    let name = |at: usize| body().text(&distinct(at));
    vec![
        old("create topics, only checked", 19, 4, body().list(MANY / 10, |at| name(at).i32(1).i16(1).i32(0).i32(0)).i32(1000).i8(1)),
        old("create more topics than one request may", 19, 4, body().list(MANY, |at| name(at).i32(1).i16(1).i32(0).i32(0)).i32(1000).i8(1)),
        old("create a topic with settings", 19, 2, body().list(1, |_| body().text("new").i32(1).i16(1).i32(0).list(MANY, |at| name(at).text("1"))).i32(1000).i8(1)),
        old("create a topic with assignments", 19, 2, body().list(1, |_| body().text("new").i32(-1).i16(-1).list(MANY / 2, |at| number(at).i32(1).i32(0)).i32(0)).i32(1000).i8(1)),
        old("delete topics", 20, 1, body().list(MANY, name).i32(1000)),
        old("describe a broker's settings again and again", 32, 1, body().list(MANY, |_| body().i8(4).text("0").i32(-1)).i8(1)),
        old("describe topics' settings", 32, 1, body().list(MANY, |at| body().i8(2).raw(&name(at).0).i32(-1)).i8(1)),
        old("describe a broker's settings by keys", 32, 1, body().list(1, |_| body().i8(4).text("0").list(MANY, name)).i8(1)),
        old("alter settings", 33, 0, body().list(MANY, |at| body().i8(2).raw(&name(at).0).i32(0)).i8(0)),
        old("alter settings one by one", 44, 0, body().list(1, |_| body().i8(2).text("t").list(MANY, |at| name(at).i8(0).text("1"))).i8(0)),
        old("alter log dirs", 34, 1, body().list(1, |_| body().text("/x").raw(&one_topic("t", MANY, number).0))),
        old("create partitions", 37, 0, body().list(MANY, |at| name(at).i32(2).i32(-1)).i32(1000).i8(1)),
        old("elect leaders", 43, 0, one_topic("t", MANY, number).i32(100)),
        new("reassign", 45, 0, body().i32(100).compact_list(1, |_| body().compact("t").compact_list(MANY, |at| number(at).i8(0).i8(0)).i8(0)).i8(0)),
        new("list reassignments", 46, 0, body().i32(100).compact_list(1, |_| body().compact("t").compact_list(MANY, number).i8(0)).i8(0)),
        old("describe quotas", 48, 0, body().list(MANY, |_| body().text("user").i8(1).i16(-1)).i8(0)),
        old("alter quotas", 49, 0, body().list(MANY / 3, |at| body().list(1, |_| body().text("client-id").raw(&name(at).0)).i32(0)).i8(1)),
    ]
}

/// What the answer to one was, and what it cost.
struct Cost {
    answer_bytes: Option<usize>,
    peak_bytes: usize,
    waited: Duration,
}

fn ask(worst: &Worst, port: u16, waited_ns: &AtomicU64) -> Cost {
    let mut wire = TcpStream::connect(("127.0.0.1", port)).expect("connected");
    wire.set_read_timeout(Some(Duration::from_secs(60))).expect("set");
    let head = body().i16(worst.api).i16(worst.version).i32(9).i16(-1);
    let head = if worst.flexible { head.i8(0) } else { head };
    let frame = body().i32((head.0.len() + worst.body.0.len()) as i32).raw(&head.0).raw(&worst.body.0).0;
    let mut chunk = vec![0; 64 << 10];
    waited_ns.store(0, Ordering::Relaxed);
    let before = counting::begin();
    let answer_bytes = wire.write_all(&frame).ok().and_then(|()| {
        let mut length = [0; 4];
        wire.read_exact(&mut length).ok()?;
        let bytes = u32::from_be_bytes(length) as usize;
        let mut left = bytes;
        while left > 0 {
            let most = left.min(chunk.len());
            left -= wire.read(&mut chunk[..most]).ok().filter(|read| *read > 0)?;
        }
        Some(bytes)
    });
    // The probe's next answer shows a step that the request left behind.
    std::thread::sleep(Duration::from_millis(20));
    Cost {
        answer_bytes,
        peak_bytes: counting::peak_bytes().saturating_sub(before),
        waited: Duration::from_nanos(waited_ns.load(Ordering::Relaxed)),
    }
}

/// Asks again and again on a connection of its own, and notes the longest wait.
fn probe(port: u16, over: &AtomicBool, waited_ns: &AtomicU64) {
    let mut wire = Wire::connect(port).expect("connected");
    while !over.load(Ordering::Relaxed) {
        let begin = Instant::now();
        wire.asks_versions(3).expect("others are served");
        waited_ns.fetch_max(begin.elapsed().as_nanos() as u64, Ordering::Relaxed);
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn the_worst_request_of_each_api_takes_little_and_lets_others_in() {
    let (folder, ports) = (test_folder(), Ports::take());
    let options = Options {
        data_dir: Some(folder.path().to_owned()),
        listen: Some(Address { host: "127.0.0.1".to_owned(), port: ports.kafka() }.to_string()),
        http_listen: Some(format!("127.0.0.1:{}", ports.http())),
        shards: Some(1),
        memory: Some(MEMORY_BYTES),
        segment_bytes: Some(32 << 20),
        ..Options::default()
    };
    let cpus = net::process::system::allowed_cpus().expect("the cores of this process");
    let config = Config::from_options(options, &Machine { cpus, memory_bytes: 8 << 30 }).expect("valid");
    let segment_bytes = SegmentBytes { used: config.node.segment_bytes, given: None };
    let opened = DataFolder::open(folder.path(), config.node.node, Others::default(), segment_bytes);
    let opened = opened.expect("a folder for the node");
    let status = Status::new(1);
    let node = net::process::node_config::NodeConfig {
        data_dir: opened.path.clone(),
        open_files_max: 2000,
        ..config.node
    };
    let running = {
        let status = Arc::clone(&status);
        std::thread::spawn(move || net::process::node::run(node, &Default::default(), None, status))
    };
    Deadline::seconds(60).wait_for("the node", || (status.phase() == Phase::Serving).then_some(()));
    let load =
        Load::new(&format!("127.0.0.1:{}", ports.kafka()), &[("acks", "all"), ("compression.type", "gzip")]);
    (0..2000).for_each(|number| assert!(load.send("t", 0, number, 1000)));
    load.flush(30);
    drop(load);

    let (over, waited_ns) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let probing = {
        let (over, waited_ns, port) = (Arc::clone(&over), Arc::clone(&waited_ns), ports.kafka());
        std::thread::spawn(move || probe(port, &over, &waited_ns))
    };
    let (mut broken, mut waited, mut asked) = (Vec::new(), Duration::ZERO, 0);
    for worst in hot_and_questions().iter().chain(&groups()).chain(&admin()) {
        let is_long = worst.api > 1 && worst.body.0.len() > BODY_BYTES_MAX;
        let cost = ask(worst, ports.kafka(), &waited_ns);
        let Cost { answer_bytes, peak_bytes, waited: one } = cost;
        let line = format!(
            "{}: {} KiB, answered {answer_bytes:?}, {} KiB at most, others waited {} ms",
            worst.what,
            worst.body.0.len() >> 10,
            peak_bytes >> 10,
            one.as_millis()
        );
        println!("{line}");
        (waited, asked) = (waited + one, asked + 1);
        if peak_bytes > PEAK_BYTES_MAX || one > WAIT_MAX || (is_long && answer_bytes.is_some()) {
            broken.push(line);
        }
    }
    over.store(true, Ordering::Relaxed);
    probing.join().expect("others were served");
    status.request_stop();
    running.join().expect("no panic").expect("a clean end");
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
    let mean = waited / asked;
    assert!(mean < WAIT_MEAN_MAX, "others waited {mean:?} on the average");
}
