//! The simulated disk of one node: carries out the engine's disk seam over memory.
//!
//! It owns the files, the folder tree, what is durable of both, and the faults that were ordered.
//! It knows neither time (the world asks for a latency and calls back) nor what the bytes mean.
//! All shards of a node share one disk; each has its own numbers for operations and files.

pub mod content;
pub mod faults;
pub mod file;
pub mod names;
mod perform;
pub mod tamper;
#[cfg(test)]
mod tests;

pub use faults::{DiskFaults, FaultKind};
pub use file::{CutCounts, Mood, SimFile};
pub use names::{Inode, Node};

use engine::disk::{BLOCK, BufferPool, DiskRequest, DiskResult, IO_BYTES_MAX, OpId};
use engine::ids::FileId;
use engine::rng::Rng;
use file::{Change, ChangeId};
use names::Names;
use std::collections::BTreeMap;

/// Which shard's numbers are meant.
pub type Owner = u16;

/// An operation between its issue and its completion.
struct Issued {
    request: DiskRequest,
    /// The change that it makes to a file.
    change: Option<(Inode, ChangeId)>,
    /// What a sync covers: taken when it is issued.
    covers: Vec<u64>,
    /// Fails on completion.
    fails: bool,
}

#[derive(Default)]
pub struct SimDisk {
    files: BTreeMap<Inode, SimFile>,
    names: Names,
    open: BTreeMap<(Owner, FileId), (Inode, String)>,
    issued: BTreeMap<(Owner, OpId), Issued>,
    next: u64,
    /// Bytes that files may take together; no limit at first.
    capacity_bytes: Option<u64>,
    pub faults: DiskFaults,
}

impl SimDisk {
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes an operation. Its effect comes with [`SimDisk::complete`], in any order.
    pub fn issue(&mut self, owner: Owner, op: OpId, request: DiskRequest) {
        let mut issued = Issued { change: None, covers: Vec::new(), fails: false, request };
        issued.fails = self.faults.strikes(&issued.request);
        match &issued.request {
            DiskRequest::Write { file, position, buffer, .. } => {
                assert_aligned(*position, buffer.len());
                assert_eq!(buffer.as_ptr() as usize % BLOCK, 0, "O_DIRECT needs an aligned buffer");
                let inode = self.inode(owner, *file);
                let blocks = buffer
                    .chunks(BLOCK)
                    .map(|block| std::rc::Rc::new(block.try_into().expect("whole")))
                    .collect();
                issued.change =
                    Some((inode, self.begin(inode, Change::Write { position: *position, blocks })));
            }
            DiskRequest::Truncate { file, bytes } => {
                let inode = self.inode(owner, *file);
                let change = if *bytes < self.files[&inode].len() {
                    Change::Cut(*bytes)
                } else {
                    Change::Grow(*bytes)
                };
                issued.change = Some((inode, self.begin(inode, change)));
            }
            DiskRequest::Sync { file } => {
                issued.covers = self.files[&self.inode(owner, *file)].sync_covers();
            }
            DiskRequest::SyncDir { path } => issued.covers = self.names.sync_covers(folder(path)),
            DiskRequest::Read { position, bytes, .. } => assert_aligned(*position, *bytes),
            DiskRequest::Close { file } => self.assert_idle(owner, *file),
            _ => {}
        }
        let before = self.issued.insert((owner, op), issued);
        assert!(before.is_none(), "{op:?} was issued twice");
    }

    /// Carries out an operation that was issued.
    pub fn complete(&mut self, owner: Owner, op: OpId, pool: &BufferPool, rng: &mut Rng) -> DiskResult {
        let issued = self.issued.remove(&(owner, op)).expect("an operation completes once");
        self.perform(owner, issued, pool, rng)
    }

    /// The process ends; the operating system lives on and keeps what was written.
    pub fn kill(&mut self, rng: &mut Rng) {
        self.forget_process();
        for file in self.files.values_mut() {
            file.killed(rng);
        }
    }

    /// The power fails: what was not synced is lost, kept or torn.
    pub fn power_cut(&mut self, rng: &mut Rng) -> CutCounts {
        self.forget_process();
        let mut counts = CutCounts::default();
        for file in self.files.values_mut() {
            let of_file = file.power_cut(Mood::draw(rng), rng);
            counts.lost += of_file.lost;
            counts.kept += of_file.kept;
            counts.torn += of_file.torn;
        }
        counts.lost += self.names.power_cut(rng);
        self.drop_unnamed();
        counts
    }

    fn forget_process(&mut self) {
        self.open.clear();
        self.issued.clear();
        self.faults.disarm();
    }

    /// Forgets files that have no name and are not open.
    fn drop_unnamed(&mut self) {
        let mut named: std::collections::BTreeSet<Inode> =
            self.names.files().map(|(_, inode)| inode).collect();
        named.extend(self.open.values().map(|(inode, _)| *inode));
        named.extend(self.names.durable_files());
        self.files.retain(|inode, _| named.contains(inode));
    }

    fn begin(&mut self, inode: Inode, change: Change) -> ChangeId {
        self.next += 1;
        self.files.get_mut(&inode).expect("open").begin(self.next, change);
        self.next
    }

    pub fn inode(&self, owner: Owner, file: FileId) -> Inode {
        self.open.get(&(owner, file)).unwrap_or_else(|| panic!("shard {owner}: {file:?} is not open")).0
    }

    fn assert_idle(&self, owner: Owner, file: FileId) {
        let uses = |issued: &Issued| file_of(&issued.request) == Some(file);
        let busy = self.issued.iter().find(|((of, _), issued)| *of == owner && uses(issued));
        assert!(
            busy.is_none(),
            "{file:?} is closed with {:?} in flight",
            busy.map(|(_, issued)| &issued.request)
        );
    }

    /// The path under which a shard opened a file.
    pub fn path_of(&self, owner: Owner, file: FileId) -> &str {
        &self.open[&(owner, file)].1
    }

    /// The path that a request is about.
    pub fn subject<'a>(&'a self, owner: Owner, request: &'a DiskRequest) -> &'a str {
        match request {
            DiskRequest::Open { path, .. }
            | DiskRequest::Remove { path }
            | DiskRequest::CreateDir { path }
            | DiskRequest::SyncDir { path }
            | DiskRequest::List { path } => path,
            DiskRequest::Rename { from, .. } => from,
            DiskRequest::Rest => "",
            other => self.path_of(owner, file_of(other).expect("every other operation names a file")),
        }
    }

    /// Operations in flight, of all shards.
    pub fn in_flight(&self) -> impl Iterator<Item = (Owner, &DiskRequest)> {
        self.issued.iter().map(|((owner, _), issued)| (*owner, &issued.request))
    }

    /// Whether these bytes of a segment outlast a power cut, and so does its name; true of a file
    /// that is there no more.
    pub fn is_durable(&self, inode: Inode, bytes: core::ops::Range<u64>) -> bool {
        let is_gone = self.names.files().all(|(_, of)| of != inode);
        let is_named = |path: &str| path.ends_with(".seg");
        is_gone || self.files[&inode].is_durable(bytes) && self.names.has_durable(inode, is_named)
    }

    /// Bytes that the files take.
    pub fn used_bytes(&self) -> u64 {
        self.names.files().map(|(_, inode)| self.files[&inode].len()).sum()
    }

    /// Limits what the files may take together; `None` lifts the limit.
    pub fn set_capacity(&mut self, bytes: Option<u64>) {
        self.capacity_bytes = bytes;
    }

    /// Every file by path.
    pub fn files(&self) -> impl Iterator<Item = (&str, &SimFile)> {
        self.names.files().map(|(path, inode)| (path, &self.files[&inode]))
    }

    pub fn file_mut(&mut self, path: &str) -> Option<&mut SimFile> {
        match self.names.get(path)? {
            Node::File(inode) => self.files.get_mut(&inode),
            Node::Folder => None,
        }
    }
}

/// The data folder itself has two spellings.
fn folder(path: &str) -> &str {
    if path == "." { "" } else { path }
}

fn file_of(request: &DiskRequest) -> Option<FileId> {
    match request {
        DiskRequest::Allocate { file, .. }
        | DiskRequest::Write { file, .. }
        | DiskRequest::Read { file, .. }
        | DiskRequest::Sync { file }
        | DiskRequest::Truncate { file, .. }
        | DiskRequest::Close { file }
        | DiskRequest::Open { file, .. } => Some(*file),
        _ => None,
    }
}

fn assert_aligned(position: u64, bytes: usize) {
    assert!(position.is_multiple_of(BLOCK as u64), "position {position} is not a multiple of {BLOCK}");
    assert!(bytes > 0 && bytes.is_multiple_of(BLOCK), "{bytes} bytes are no multiple of {BLOCK}");
    assert!(bytes <= IO_BYTES_MAX, "{bytes} bytes in one operation");
}
