//! All three nodes of a cluster are killed at once under `duramen-bench verify`, one follower late by what was acked
//! last, and a bit turns over in the last entries of one of the other two disks: nothing acked is lost.
//!
//! `DURAMEN_BAD_DISK_SECONDS=900 cargo test -p duramen-tests --test one_bad_disk` is the long form: the same, with
//! nodes, journals and bits that the seed decides, for so long.

use engine::entry::layout::{ENTRY_MAGIC, EntryHeader};
use engine::rng::Rng;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tests::process::cluster::Cluster;
use tests::process::verify::{Verify, last_line, whole};
use tests::process::{Broker, Deadline};
use zerocopy::FromBytes;

const TOPIC: &str = "proof";
const SEGMENT_BYTES: u64 = 24 << 20;
/// Rounds of the short form.
const ROUNDS: usize = 2;
/// Acks before a crash that the late node does not have, and after it.
const ACKS: usize = 300;
/// From the start of all nodes until all is well again, on a busy machine.
const PATIENCE_SECONDS: u64 = 90;

struct Scene {
    verify: Verify,
    cluster: Cluster,
    rng: Rng,
    rotten: usize,
}

impl Scene {
    fn begin(seed: u64) -> Self {
        let mut cluster = Cluster::prepare(&[1, 1, 1]);
        cluster.nodes.iter_mut().for_each(|node| node.options.segment_bytes = SEGMENT_BYTES);
        cluster.run();
        let load = "--topic proof --partitions 6 --replication-factor 3 --rate 1000 --record-bytes 300 \
                    --seconds 86400 --timeout-seconds 2 --retry-seconds 170 --quiet";
        let arguments: Vec<&str> = load.split_whitespace().collect();
        let verify = Verify::start(&cluster.bootstrap(), cluster.nodes[0].folder(), &arguments);
        verify.wait_for_acks(ACKS);
        cluster.wait_in_sync(TOPIC, PATIENCE_SECONDS);
        Self { verify, cluster, rng: Rng::new(seed), rotten: 0 }
    }

    /// One crash of all, with one bad disk, and the way back.
    fn suffer(&mut self) {
        let late = self.rng.below(3) as usize;
        let bad = (late + 1 + self.rng.below(2) as usize) % 3;
        let third = 3 - late - bad;
        self.cluster.nodes[late].signal("STOP");
        // What led there is led by another now, and acked by two of three.
        self.verify.wait_for_acks(ACKS);
        for node in &mut self.cluster.nodes {
            node.kill();
        }
        let rotten = rot_last_entries(&self.cluster.nodes[bad], &mut self.rng);
        self.rotten += rotten;
        println!("node {} late, {rotten} entries rotten on node {}", late + 1, bad + 1);
        let since = Instant::now();
        self.cluster.nodes[late].spawn();
        self.cluster.nodes[bad].spawn();
        // The one that has all comes last: the other two have time to go astray without it.
        self.wait_started(&[late, bad]);
        self.cluster.nodes[third].spawn();
        self.cluster.nodes.iter_mut().for_each(Broker::wait_ready);
        self.verify.wait_for_acks(ACKS);
        self.cluster.wait_in_sync(TOPIC, PATIENCE_SECONDS);
        // Of the metadata nothing is produced, and what was lost of it is mended on the side.
        let whole = |line: &str| !line.starts_with("duramen_journal_damaged_ranges") || line.ends_with(" 0");
        Deadline::seconds(PATIENCE_SECONDS).wait_for("no damage is left", || {
            self.cluster.nodes[bad].metrics().lines().all(whole).then_some(())
        });
        println!("whole again after {:?}", since.elapsed());
    }

    /// These two have read their folders and talk to each other.
    fn wait_started(&self, nodes: &[usize]) {
        Deadline::seconds(PATIENCE_SECONDS).wait_for("both nodes recovered and are linked", || {
            let linked = |node: &usize| {
                let port = self.cluster.nodes[*node].ports.http();
                let (_, page) = tests::process::http::get(port, "/metrics").ok()?;
                let links = page.lines().find(|line| line.starts_with("duramen_peer_links{"))?;
                (!links.ends_with(" 0")).then_some(())
            };
            nodes.iter().all(|node| linked(node).is_some()).then_some(())
        });
    }

    fn end(mut self) {
        self.verify.enough();
        let (code, said) = self.verify.end();
        assert_eq!(code, 0, "{said}");
        let findings = last_line(&self.cluster.nodes[0].folder().join("verify.json"), "findings");
        println!("{findings}");
        assert!(whole(&findings["acked"]) > 0 && findings["clean"] == true, "{findings}");
        assert!(self.rotten > 0, "no disk was rotten");
        self.cluster.stop();
        self.cluster.assert_identical();
        let panicked = |node: &&Broker| node.log().contains("panicked");
        assert_eq!(self.cluster.nodes.iter().filter(panicked).count(), 0, "a node panicked");
    }
}

/// Turns a bit over in the last entry of each journal that has one of this start; gives how many.
fn rot_last_entries(node: &Broker, rng: &mut Rng) -> usize {
    let journals = fs::read_dir(node.data_dir().join("journals")).expect("journals");
    let mut folders: Vec<PathBuf> = journals.map(|entry| entry.expect("an entry").path()).collect();
    folders.sort();
    folders.iter().filter(|folder| rot_last_entry(folder, rng)).count()
}

fn rot_last_entry(folder: &Path, rng: &mut Rng) -> bool {
    let files =
        fs::read_dir(folder).expect("a journal's folder").map(|entry| entry.expect("an entry").path());
    let newest = files.filter(|path| path.extension().is_some_and(|ending| ending == "seg")).max();
    let Some(path) = newest else { return false };
    let file = OpenOptions::new().read(true).write(true).open(&path).expect("it is there");
    let Some((position, header)) = last_entry(&file) else { return false };
    // Its head, its descriptors or a batch: whatever is not padding.
    let used = u64::from(header.body_position.get()) + u64::from(header.body_bytes.get());
    let used = if header.body_bytes.get() == 0 { u64::from(header.head_bytes.get()) } else { used };
    let at = position + rng.below(used);
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).expect("a byte");
    file.write_all_at(&[byte[0] ^ (1 << rng.below(8))], at).expect("written");
    file.sync_all().expect("synced");
    true
}

/// Where the last entry of a segment begins: entries follow each other from byte 0.
fn last_entry(file: &File) -> Option<(u64, EntryHeader)> {
    let (mut position, mut last) = (0, None);
    loop {
        let mut bytes = [0; size_of::<EntryHeader>()];
        if file.read_exact_at(&mut bytes, position).is_err() {
            return last;
        }
        let header = EntryHeader::read_from_bytes(&bytes).expect("as long as a header");
        if header.magic != ENTRY_MAGIC || header.position.get() != position {
            return last;
        }
        last = Some((position, header));
        position += u64::from(header.entry_bytes.get());
    }
}

#[test]
fn nothing_acked_is_lost_by_a_crash_of_all_nodes_and_one_bad_disk() {
    let long = std::env::var("DURAMEN_BAD_DISK_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    let mut scene = Scene::begin(long.unwrap_or(1));
    let until = long.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut rounds = 0;
    while until.map_or(rounds < ROUNDS, |until| Instant::now() < until) {
        scene.suffer();
        rounds += 1;
    }
    println!("{rounds} crashes of all nodes, {} entries rotten", scene.rotten);
    scene.end();
}
