//! Bits turn over on the disks of three real processes, while one runs and while one is down: they
//! are healed from the others, and nothing that was acked is lost.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use tests::process::cluster::Cluster;
use tests::process::verify::Verify;
use tests::process::{Broker, Deadline, binary};

/// The least that a segment may have: the load fills several.
const SEGMENT_BYTES: u64 = 24 << 20;
/// A debug build on a busy machine.
const HEALS_SECONDS: u64 = 240;

/// Sealed segments of a node, by their path in its folder.
fn sealed(node: &Broker) -> BTreeMap<PathBuf, PathBuf> {
    let root = node.data_dir();
    let Ok(journals) = fs::read_dir(root.join("journals")) else { return BTreeMap::new() };
    let folders = journals.filter_map(|entry| Some(entry.ok()?.path()));
    let files = folders.flat_map(|folder| fs::read_dir(folder).into_iter().flatten());
    let files = files.filter_map(|entry| Some(entry.ok()?.path()));
    let is_sealed = |path: &PathBuf| {
        path.extension().is_some_and(|ending| ending == "seg") && path.with_extension("idx").exists()
    };
    let name = |path: PathBuf| (path.strip_prefix(&root).expect("within the folder").to_owned(), path);
    files.filter(is_sealed).map(name).collect()
}

/// Turns one bit in the middle of a file over.
fn rot(path: &Path) {
    let file = OpenOptions::new().read(true).write(true).open(path).expect("it is there");
    let at = file.metadata().expect("its length").len() / 2 + 1234;
    let mut byte = [0];
    file.read_exact_at(&mut byte, at).expect("a byte");
    file.write_all_at(&[byte[0] ^ 4], at).expect("written");
    file.sync_all().expect("synced");
}

/// A counter's sum over all journals of a node.
fn counted(node: &Broker, name: &str) -> u64 {
    let page = node.metrics();
    let lines = page.lines().filter(|line| line.starts_with(name));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u64
}

fn wait_healed(node: &Broker) {
    Deadline::seconds(HEALS_SECONDS).wait_for("the damage is repaired", || {
        let repaired = counted(node, "duramen_journal_repaired_entries");
        (repaired > 0 && counted(node, "duramen_journal_damaged_ranges") == 0).then_some(())
    });
    assert!(node.log().contains("damage repaired"), "{}", node.log());
}

fn begin_load(cluster: &Cluster) -> Verify {
    let load = "--topic proof --partitions 1 --replication-factor 3 --rate 6000 --record-bytes 1KiB \
                --seconds 86400 --quiet";
    let arguments: Vec<&str> = load.split_whitespace().collect();
    Verify::start(&cluster.bootstrap(), cluster.nodes[0].folder(), &arguments)
}

/// Waits for a sealed segment of the load's journal: of others none is full.
fn wait_sealed(node: &Broker) -> PathBuf {
    Deadline::seconds(HEALS_SECONDS).wait_for("a segment is sealed", || {
        let sealed = sealed(node);
        let length = |path: &PathBuf| fs::metadata(path).map_or(0, |meta| meta.len());
        sealed.into_values().find(|path| length(path) > SEGMENT_BYTES / 2)
    })
}

#[test]
fn bits_that_rot_on_running_and_stopped_nodes_are_healed_and_nothing_is_lost() {
    let mut cluster = Cluster::prepare(&[1, 1, 1]);
    for node in &mut cluster.nodes {
        node.options.segment_bytes = SEGMENT_BYTES;
        node.options.arguments.extend(["--scrub-bytes-per-second", "256MiB"].map(str::to_owned));
    }
    cluster.run();
    let load = begin_load(&cluster);
    rot(&wait_sealed(&cluster.nodes[1]));
    wait_healed(&cluster.nodes[1]);
    let path = wait_sealed(&cluster.nodes[2]);
    cluster.nodes[2].kill();
    rot(&path);
    cluster.nodes[2].run();
    wait_healed(&cluster.nodes[2]);
    load.enough();
    let (code, said) = load.end();
    assert_eq!(code, 0, "{said}");
    cluster.stop();
    for node in &cluster.nodes {
        let output = Command::new(binary::dump()).arg("verify").arg(node.data_dir()).output();
        let output = output.expect("it runs");
        let said = [output.stdout, output.stderr].concat();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&said));
    }
    compare(&cluster);
}

/// What is sealed on two nodes is the same, byte for byte.
fn compare(cluster: &Cluster) {
    let first = sealed(&cluster.nodes[0]);
    for node in &cluster.nodes[1..] {
        let other = sealed(node);
        let common: Vec<_> = first.iter().filter_map(|(name, path)| Some((path, other.get(name)?))).collect();
        assert!(!common.is_empty(), "no sealed segment is on both");
        for (path, other) in common {
            let same = Command::new("cmp").arg(path).arg(other).output().expect("cmp runs");
            assert!(same.status.success(), "{}", String::from_utf8_lossy(&same.stdout));
        }
    }
}
