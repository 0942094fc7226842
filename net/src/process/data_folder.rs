//! The data folder before the engine sees it: made, locked, proven to do direct I/O, with room,
//! and this node's. Writes `lock`, `probe` and `reserve`; only reads `node.meta`.

use crate::peer::met_nodes::{self, MET_NODES, MET_NODES_TEMPORARY, MetNodes};
use crate::process::audit_log;
use crate::process::refusal::Refusal;
use crate::process::system;
use engine::disk::BLOCK;
use engine::folder::{JOURNALS, LOCK, NODE_META, NODE_META_BYTES_MAX, NodeMeta, PROBE, QUARANTINE, RESERVE};
use engine::framing::{FormatFault, TEMPORARY_SUFFIX};
use engine::ids::NodeId;
use engine::register::NodeRecord;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Given up for checkpoints, indexes and hard state when the disk is full (decision 6).
pub const RESERVE_BYTES: u64 = 64 << 20;
/// A killed process holds its lock until its last write has landed: 1.8 s were seen on a slow
/// device.
const LOCK_WAIT_MAX: Duration = Duration::from_secs(10);
const LOCK_POLL: Duration = Duration::from_millis(20);
/// A meta journal and a first data journal; what more there is room for is the operator's matter.
const FIRST_SEGMENTS: u64 = 2;

const TMPFS: i64 = 0x0102_1994;
const RAMFS: i64 = 0x8584_58f6;
const BTRFS: i64 = 0x9123_683e;

/// The length of segments, for a folder that is new.
#[derive(Clone, Copy, Debug)]
pub struct SegmentBytes {
    pub used: u64,
    /// As the operator gave it.
    pub given: Option<u64>,
}

/// What the options say of other nodes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Others {
    /// Some are listed.
    pub listed: bool,
    /// This node listens for others.
    pub listens: bool,
    /// It is to join a cluster.
    pub joins: bool,
}

/// Holds the lock while it lives.
#[derive(Debug)]
pub struct DataFolder {
    pub path: PathBuf,
    /// The other members, as the metadata named them last.
    pub met: MetNodes,
    /// It is that of a node whose cluster is formed.
    pub is_formed: bool,
    /// False when the reserve could not be made again: the disk is full from the start.
    pub has_reserve: bool,
    _lock: File,
}

impl DataFolder {
    /// Opens the folder for a node.
    pub fn open(path: &Path, node: NodeId, others: Others, segments: SegmentBytes) -> Result<Self, Refusal> {
        let named = |what: &str, error: io::Error| {
            let remedy = "give --data-dir a folder that this user may write to";
            Refusal::environment(format!("data folder {}: {what}: {error}", path.display()), remedy)
        };
        fs::create_dir_all(path).map_err(|error| named("cannot be made", error))?;
        let path = path.canonicalize().map_err(|error| named("cannot be used", error))?;
        let lock = lock(&path, LOCK_WAIT_MAX)?;
        let met = match met_nodes::read(&path) {
            // The metadata says the same: it is written again.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                tracing::warn!("{MET_NODES} cannot be read, and is written again: {error}");
                None
            }
            read => read.map_err(|error| named(MET_NODES, error))?,
        };
        let met = met.unwrap_or_default();
        let (is_new, is_formed) = check_identity(&path, node, (others, &met), segments.given)?;
        direct_io(&path)?;
        if is_new {
            room(&path, &lock, segments.used)?;
        }
        let has_reserve = reserve(&path, is_new)?;
        Ok(Self { path, met, is_formed, has_reserve, _lock: lock })
    }
}

/// Takes the folder's lock. A living owner is told at once; a dying one is waited for.
fn lock(folder: &Path, wait_max: Duration) -> Result<File, Refusal> {
    let path = folder.join(LOCK);
    let failed = |error: io::Error| {
        let remedy = "give --data-dir a folder that this user may write to, on a file system with locks";
        Refusal::environment(format!("{}: {error}", path.display()), remedy)
    };
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
    let begin = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::Error(error)) => return Err(failed(error)),
            Err(TryLockError::WouldBlock) => {
                let owner = read_owner(&mut file);
                if begin.elapsed() > wait_max || owner.is_some_and(is_alive) {
                    return Err(in_use(folder, owner));
                }
                std::thread::sleep(LOCK_POLL);
            }
        }
    }
    file.set_len(0)
        .and_then(|()| file.write_all_at(format!("{}\n", std::process::id()).as_bytes(), 0))
        .map_err(failed)?;
    Ok(file)
}

fn read_owner(file: &mut File) -> Option<u32> {
    let mut text = [0; 16];
    let length = file.read_at(&mut text, 0).ok()?;
    std::str::from_utf8(&text[..length]).ok()?.trim().parse().ok()
}

/// Whether a process of this number runs, and is not on its way out.
fn is_alive(process: u32) -> bool {
    let mut stat = String::new();
    let read =
        File::open(format!("/proc/{process}/stat")).and_then(|mut file| file.read_to_string(&mut stat));
    // "pid (name) S ...": the name may hold anything, so the state is behind the last bracket.
    read.is_ok()
        && !matches!(stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()), Some('Z' | 'X') | None)
}

fn in_use(folder: &Path, owner: Option<u32>) -> Refusal {
    let who = owner.map_or("another process".to_owned(), |process| format!("process {process}"));
    let what = format!("data folder {} is in use by {who}", folder.display());
    Refusal::environment(what, "stop that one first, or give --data-dir another folder")
}

/// Reads a file of pairs of blocks: what cannot be read is all ones, which no checksum accepts, and the other block of
/// its pair will do.
fn read_copies(path: &Path) -> io::Result<Vec<u8>> {
    read_blocks(&File::open(path)?)
}

fn read_blocks(file: &File) -> io::Result<Vec<u8>> {
    // What is behind both copies is no part of the file; a folder's own file has that length exactly.
    let bytes = file.metadata()?.len().min(NODE_META_BYTES_MAX) as usize;
    let mut content = vec![0xFF; bytes];
    for (block, part) in content.chunks_mut(BLOCK).enumerate() {
        let mut read = vec![0; part.len()];
        match file.read_exact_at(&mut read, (block * BLOCK) as u64) {
            Ok(()) => part.copy_from_slice(&read),
            Err(error) if error.raw_os_error() == Some(libc::EIO) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(content)
}

/// Whether the folder is new, and whether its node's cluster is formed; refuses one of another node or kind of cluster,
/// or a newer format.
fn check_identity(
    folder: &Path,
    node: NodeId,
    (others, met): (Others, &MetNodes),
    segment_bytes: Option<u64>,
) -> Result<(bool, bool), Refusal> {
    let has_others = others.listed || others.joins || !met.is_empty();
    let path = folder.join(NODE_META);
    let bytes = match read_copies(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            check_foreign(folder)?;
            return Ok((true, false));
        }
        Err(error) => {
            let remedy = "make the file readable for this user";
            return Err(Refusal::environment(format!("{}: {error}", path.display()), remedy));
        }
    };
    let meta = match NodeRecord::decode(&bytes) {
        Ok((record, bad_copies)) => {
            if bad_copies > 0 {
                tracing::warn!(copies = bad_copies, "a copy of node.meta is bad: it is written again");
            }
            record.node
        }
        // The engine asks the others to be taken in anew, and sets aside what is here once it was.
        Err(error) if has_others && !matches!(error.fault, FormatFault::Newer { .. }) => {
            return Ok((false, false));
        }
        Err(error) => {
            let remedy = "run the version that wrote this folder or a newer one; if the file is damaged, put it \
                          back from a copy of this folder";
            return Err(Refusal::data(format!("data folder {}: {error}", folder.display()), remedy));
        }
    };
    if let Some(given) = segment_bytes.filter(|given| *given != meta.segment_bytes) {
        tracing::warn!(
            "--segment-bytes {given} has no effect: this folder's segment length, {} bytes, was set when its \
             cluster was formed",
            meta.segment_bytes
        );
    }
    if meta.node != node {
        let what =
            format!("data folder {} belongs to node {}, this is node {node}", folder.display(), meta.node);
        return Err(Refusal::data(
            what,
            format!("start with --node-id {}, or give --data-dir another folder", meta.node),
        ));
    }
    check_cluster(folder, &meta, others, met)?;
    Ok((false, meta.is_final))
}

/// A folder without a node's record that holds what no node put there is somebody else's.
fn check_foreign(folder: &Path) -> Result<(), Refusal> {
    let names = fs::read_dir(folder).and_then(|entries| entries.collect::<io::Result<Vec<_>>>());
    let names = names.map_err(|error| {
        let remedy = "give --data-dir a folder that this user may read";
        Refusal::environment(format!("{}: {error}", folder.display()), remedy)
    })?;
    let temporary = format!("{NODE_META}{TEMPORARY_SUFFIX}");
    let own = [
        LOCK,
        PROBE,
        RESERVE,
        JOURNALS,
        QUARANTINE,
        MET_NODES,
        MET_NODES_TEMPORARY,
        audit_log::FOLDER,
        "lost+found",
        &temporary,
    ];
    let mut names = names.iter().map(|entry| entry.file_name().to_string_lossy().into_owned());
    match names.find(|name| !own.contains(&name.as_str())) {
        None => Ok(()),
        Some(name) => Err(Refusal::data(
            format!(
                "data folder {} has no {NODE_META} and holds {name}, which no node makes",
                folder.display()
            ),
            "give --data-dir an empty folder or one that a node made; nothing here was changed",
        )),
    }
}

/// A lone node's folder does not join others: others join it. That of one of several nodes is no lone node's.
fn check_cluster(folder: &Path, meta: &NodeMeta, others: Others, met: &MetNodes) -> Result<(), Refusal> {
    let folder = folder.display();
    let founded_alone = meta.is_final && meta.formation.iter().all(|(founder, _)| *founder == meta.node);
    if founded_alone && met.is_empty() && (others.listed || others.joins) {
        let option = if others.joins { "--join" } else { "--peers" };
        return Err(Refusal::data(
            format!(
                "data folder {folder} is that of a one-node cluster (node {}), which cannot join or become \
                 the cluster of {option}",
                meta.node
            ),
            "to get more nodes start this one with --peer-listen HOST:PORT and without --peers and --join, and \
                 each new one on an empty folder with --join HOST:PORT (OPERATIONS.md, More nodes). To bring what is \
                 here to another cluster copy each topic, with Kafka's MirrorMaker 2 for all (keys, headers, \
                 timestamps). This folder stays as it is",
        ));
    }
    if !met.is_empty() && !others.listens {
        let nodes: Vec<String> = met.keys().map(NodeId::to_string).collect();
        return Err(Refusal::data(
            format!(
                "data folder {folder} is that of a cluster with the nodes {}, and this node does not listen \
                 for them",
                nodes.join(", ")
            ),
            "start with --peer-listen HOST:PORT, or give --data-dir another folder",
        ));
    }
    if !founded_alone && !others.listed && !others.joins && met.is_empty() {
        let nodes: Vec<String> = meta.formation.iter().map(|(node, _)| node.to_string()).collect();
        let who =
            if nodes.is_empty() { "several nodes".into() } else { format!("nodes {}", nodes.join(", ")) };
        return Err(Refusal::data(
            format!("data folder {folder} is that of a cluster of {who}, and no --peers are given"),
            "start with the cluster's --peers, or with --join and a member's peer address, or give --data-dir \
                 another folder",
        ));
    }
    Ok(())
}

/// Writes and reads one block with O_DIRECT. The file stays: each shard opens it first (glommio
/// takes a thread's first file, when it is empty, for one that can be polled).
fn direct_io(folder: &Path) -> Result<(), Refusal> {
    let path = folder.join(PROBE);
    let refused = |why: String| {
        let what = format!("data folder {}: no direct I/O (O_DIRECT): {why}", folder.display());
        Refusal::environment(what, "give --data-dir a folder on ext4 or XFS")
    };
    let io_refused = |error: io::Error| refused(error.to_string());
    let open = || {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .custom_flags(libc::O_DIRECT)
            .open(&path)
    };
    let file = open().map_err(io_refused)?;
    let kind = system::file_system(&file).map_err(io_refused)?.magic;
    match kind {
        TMPFS | RAMFS => {
            return Err(refused("the file system is in memory, nothing on it is durable".into()));
        }
        BTRFS => return Err(refused("btrfs takes misaligned writes silently and copies them".into())),
        _ => {}
    }
    if let Some((memory, position)) = system::direct_io_alignment(&file).map_err(io_refused)? {
        let fits = |alignment: u32| alignment != 0 && BLOCK.is_multiple_of(alignment as usize);
        if !fits(memory) || !fits(position) {
            return Err(refused(format!(
                "alignment {memory} of memory and {position} of positions do not go into {BLOCK}"
            )));
        }
    }
    let block = AlignedBlock([0; BLOCK]);
    match file.write_all_at(&block.0, 0) {
        // A full disk is met by those who can be told to free space; there is a block from before.
        Err(error)
            if error.kind() == io::ErrorKind::StorageFull
                && file.metadata().is_ok_and(|m| m.len() >= BLOCK as u64) =>
        {
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::StorageFull => Err(too_little(folder, BLOCK as u64, 0)),
        other => other.and_then(|()| file.sync_all()).map_err(io_refused),
    }
}

#[repr(align(4096))]
struct AlignedBlock([u8; BLOCK]);

fn room(folder: &Path, file: &File, segment_bytes: u64) -> Result<(), Refusal> {
    let system::FileSystem { free_bytes: free, .. } = system::file_system(file).map_err(|error| {
        Refusal::environment(format!("{}: {error}", folder.display()), "give --data-dir another folder")
    })?;
    let reserved = fs::metadata(folder.join(RESERVE)).map_or(0, |meta| meta.len());
    let needed = RESERVE_BYTES.saturating_sub(reserved) + FIRST_SEGMENTS * segment_bytes;
    if free < needed { Err(too_little(folder, needed, free)) } else { Ok(()) }
}

fn too_little(folder: &Path, needed: u64, free: u64) -> Refusal {
    let what = format!(
        "data folder {}: {} MiB are free, a first start takes {} MiB",
        folder.display(),
        free >> 20,
        needed.div_ceil(1 << 20)
    );
    Refusal::environment(
        what,
        "free some space, give --data-dir another folder, or form with smaller --segment-bytes",
    )
}

/// Makes the reserve, or makes it whole again after it was given up. Without room for it a node
/// that has data starts all the same: how else would space be freed?
fn reserve(folder: &Path, is_new: bool) -> Result<bool, Refusal> {
    let path = folder.join(RESERVE);
    let make = || -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(&path)?;
        system::allocate(&file, RESERVE_BYTES as i64)?;
        file.flush()?;
        file.sync_all()?;
        File::open(folder)?.sync_all()
    };
    match make() {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::StorageFull && !is_new => {
            // Part of a reserve would only take what deletion frees first.
            let _ = fs::remove_file(&path);
            Ok(false)
        }
        Err(error) if error.kind() == io::ErrorKind::StorageFull => Err(too_little(folder, RESERVE_BYTES, 0)),
        Err(error) => {
            let remedy = "give --data-dir a folder on ext4 or XFS that this user may write to";
            Err(Refusal::environment(format!("{}: {error}", path.display()), remedy))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::address::Address;
    use engine::ids::{ClusterId, Incarnation};
    use engine::register::Register;

    const SEGMENT_BYTES: SegmentBytes = SegmentBytes { used: 24 << 20, given: None };
    const ALONE: Others = Others { listed: false, listens: false, joins: false };
    const LISTED: Others = Others { listed: true, listens: true, joins: false };
    const JOINS: Others = Others { listed: false, listens: true, joins: true };

    /// Under the target folder, because /tmp may be a tmpfs.
    fn folder() -> tempfile::TempDir {
        tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR").to_owned() + "/../target")
            .expect("a folder for the test")
    }

    fn node_meta(node: NodeId, formation: &[u32], is_final: bool) -> Vec<u8> {
        let meta = NodeMeta {
            node,
            incarnation: Incarnation(7),
            cluster: ClusterId(0),
            formation: formation.iter().map(|node| (NodeId(*node), Incarnation(7))).collect(),
            is_final,
            lanes: 1,
            segment_bytes: SEGMENT_BYTES.used,
        };
        NodeRecord { node: meta, register: Register::default() }.encode()
    }

    #[test]
    fn a_folder_that_is_open_is_refused_to_others_and_free_when_let_go() {
        let folder = folder();
        let first = DataFolder::open(folder.path(), NodeId(0), ALONE, SEGMENT_BYTES).expect("opened");
        assert!(first.has_reserve);
        let refusal = DataFolder::open(folder.path(), NodeId(0), ALONE, SEGMENT_BYTES).expect_err("in use");
        assert_eq!(refusal.exit_code, crate::process::refusal::EXIT_ENVIRONMENT);
        assert!(refusal.what.contains(&format!("process {}", std::process::id())), "{refusal}");
        drop(first);
        // A child that a test beside this one is starting holds the lock until it executes.
        let deadline = std::time::Instant::now() + Duration::from_secs(10);
        while let Err(refusal) = DataFolder::open(folder.path(), NodeId(0), ALONE, SEGMENT_BYTES) {
            assert!(std::time::Instant::now() < deadline, "{refusal}");
            std::thread::yield_now();
        }
    }

    #[test]
    fn the_owner_that_died_is_not_taken_for_alive() {
        assert!(is_alive(std::process::id()));
        let mut child = std::process::Command::new("true").spawn().expect("true runs");
        let process = child.id();
        child.wait().expect("true ends");
        assert!(!is_alive(process));
    }

    #[test]
    fn another_nodes_folder_is_refused_with_its_id() {
        let folder = folder();
        fs::write(folder.path().join(NODE_META), node_meta(NodeId(3), &[3], true)).expect("written");
        let refusal = DataFolder::open(folder.path(), NodeId(0), ALONE, SEGMENT_BYTES).expect_err("refused");
        assert_eq!(refusal.exit_code, crate::process::refusal::EXIT_DATA);
        assert!(refusal.remedy.contains("--node-id 3"), "{refusal}");
        DataFolder::open(folder.path(), NodeId(3), ALONE, SEGMENT_BYTES).expect("its own node");
    }

    #[test]
    fn either_copy_of_the_nodes_record_will_do() {
        let folder = folder();
        let path = folder.path().join(NODE_META);
        for bad in [0, BLOCK] {
            let mut bytes = node_meta(NodeId(3), &[3], true);
            bytes[bad + 100] ^= 1;
            fs::write(&path, bytes).expect("written");
            DataFolder::open(folder.path(), NodeId(3), ALONE, SEGMENT_BYTES).expect("the other one is good");
        }
        // The bytes come block by block, and what is missing is missing.
        fs::write(&path, &node_meta(NodeId(3), &[3], true)[..BLOCK + 10]).expect("written");
        assert_eq!(read_copies(&path).expect("read").len(), BLOCK + 10);
        assert!(read_copies(&folder.path().join("none")).is_err());
    }

    #[test]
    fn a_folder_of_somebody_else_is_refused_and_left_alone() {
        let open = |names: &[&str]| {
            let folder = folder();
            for name in names {
                let path = folder.path().join(name);
                if name.ends_with('/') { fs::create_dir(path) } else { fs::write(path, "") }.expect("made");
            }
            let opened = DataFolder::open(folder.path(), NodeId(0), ALONE, SEGMENT_BYTES).map(|_| ());
            let there = |name: &&str| folder.path().join(name).exists();
            assert!(names.iter().all(there), "{names:?}");
            opened
        };
        for foreign in [&["notes.txt"][..], &["PG_VERSION", "base/"], &["lock", "journals/", "data"]] {
            let refusal = open(foreign).expect_err("refused");
            assert_eq!(refusal.exit_code, crate::process::refusal::EXIT_DATA);
            assert!(refusal.what.contains("which no node makes"), "{refusal}");
        }
        for begun in [&[][..], &["lock", "journals/"], &["lost+found/"], &["node.meta.tmp"]] {
            open(begun).expect("nothing of anybody else");
        }
    }

    #[test]
    fn a_lone_nodes_folder_and_a_clusters_are_not_mixed() {
        let open = |formation: &[u32], is_final: bool, others| opened(formation, is_final, others, &[]);
        for others in [LISTED, JOINS] {
            let refusal = open(&[3], true, others).expect_err("refused");
            assert_eq!(refusal.exit_code, crate::process::refusal::EXIT_DATA);
            assert!(refusal.what.contains("one-node cluster") && refusal.remedy.contains("MirrorMaker"));
        }
        let refusal = open(&[1, 2, 3], true, ALONE).expect_err("refused");
        assert!(refusal.what.contains("nodes 1, 2, 3"), "{refusal}");
        assert!(open(&[], false, ALONE).is_err(), "it waits for others");
        for (formation, is_final) in [(&[][..], false), (&[1, 2, 3], false), (&[1, 2, 3], true)] {
            open(formation, is_final, LISTED).expect("the same cluster");
        }
        open(&[3], true, ALONE).expect("a list of one is a node on its own");
    }

    #[test]
    fn who_met_others_is_not_alone_any_more() {
        let listens = Others { listens: true, ..ALONE };
        let met = [NodeId(1)];
        let open = |formation: &[u32], others| opened(formation, true, others, &met);
        let refusal = open(&[3], ALONE).expect_err("refused");
        assert!(refusal.what.contains("nodes 1,") && refusal.remedy.contains("--peer-listen"), "{refusal}");
        for (formation, others) in [(&[3][..], listens), (&[1], listens), (&[1], JOINS), (&[3], JOINS)] {
            let folder = open(formation, others).expect("it knows the others");
            assert!(folder.is_formed && folder.met.contains_key(&NodeId(1)));
        }
        assert!(opened(&[1], true, listens, &[]).is_err(), "it does not know where the others are");
        opened(&[1], true, JOINS, &[]).expect("it asks again");
    }

    /// Node 3's folder, of a cluster that was formed so, opened.
    fn opened(
        formation: &[u32],
        is_final: bool,
        others: Others,
        met: &[NodeId],
    ) -> Result<DataFolder, Refusal> {
        let folder = folder();
        let meta = node_meta(NodeId(3), formation, is_final);
        fs::write(folder.path().join(NODE_META), meta).expect("written");
        if !met.is_empty() {
            let at = |node: &NodeId| (*node, Address { host: "there".to_owned(), port: 9 });
            met_nodes::write(folder.path(), &met.iter().map(at).collect()).expect("written");
        }
        DataFolder::open(folder.path(), NodeId(3), others, SEGMENT_BYTES)
    }

    #[test]
    fn a_newer_format_is_refused_as_such() {
        let folder = folder();
        let newer =
            engine::framing::FrameKind { version: 99, ..engine::folder::NODE_META_KIND }.encode(0, &[]);
        fs::write(folder.path().join(NODE_META), [newer, newer].concat()).expect("written");
        let refusal = DataFolder::open(folder.path(), NodeId(0), ALONE, SEGMENT_BYTES).expect_err("refused");
        assert_eq!(refusal.exit_code, crate::process::refusal::EXIT_DATA);
        assert!(refusal.what.contains("99"), "{refusal}");
    }

    #[test]
    fn memory_file_systems_are_refused() {
        let Ok(folder) = tempfile::tempdir_in("/dev/shm") else { return };
        let refusal = DataFolder::open(folder.path(), NodeId(0), ALONE, SEGMENT_BYTES).expect_err("refused");
        assert!(refusal.what.contains("O_DIRECT"), "{refusal}");
    }

    #[test]
    fn more_than_there_is_cannot_be_had() {
        let folder = folder();
        let refusal =
            DataFolder::open(folder.path(), NodeId(0), ALONE, SegmentBytes { used: 1 << 60, given: None })
                .expect_err("refused");
        assert!(refusal.what.contains("MiB are free"), "{refusal}");
    }
}
