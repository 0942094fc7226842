//! A disk in memory, for tests of what is written over [`Io`]: everything succeeds at once and is durable.

use super::io::{Io, Procedures};
use super::{
    BLOCK, BufferPool, DirEntry, DiskDone, DiskError, DiskErrorKind, DiskRequest, DiskResult, IO_BYTES_MAX,
};
use crate::ids::FileId;
use core::future::Future;
use std::collections::{BTreeMap, BTreeSet};

/// Files by path, and folders.
pub struct MemoryDisk {
    pub io: Io,
    pub pool: BufferPool,
    files: BTreeMap<String, Vec<u8>>,
    folders: BTreeSet<String>,
    open: BTreeMap<FileId, String>,
}

impl Default for MemoryDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryDisk {
    pub fn new() -> Self {
        let (io, pool) = (Io::new(), BufferPool::new(1 << 20));
        Self { io, pool, files: BTreeMap::new(), folders: BTreeSet::new(), open: BTreeMap::new() }
    }

    /// Runs a procedure to its end.
    pub fn run<T: 'static>(&mut self, procedure: impl Future<Output = T> + 'static) -> T {
        let mut procedures = Procedures::new(self.io.clone());
        let mut ended = procedures.start(procedure);
        while ended.is_none() {
            let issued = self.io.take_issued();
            assert!(!issued.is_empty(), "the procedure waits for nothing");
            for (op, request) in issued {
                let result = self.perform(request);
                if !self.io.completed_abandoned(op) {
                    ended = ended.or(procedures.complete(op, result).pop());
                }
            }
        }
        ended.expect("it ended")
    }

    pub fn file(&mut self, path: &str) -> &mut Vec<u8> {
        self.files.get_mut(path).unwrap_or_else(|| panic!("{path} is not there"))
    }

    /// Files that were opened and not closed.
    pub fn open_files(&self) -> usize {
        self.open.len()
    }

    fn perform(&mut self, request: DiskRequest) -> DiskResult {
        match request {
            DiskRequest::Open { file, path, create } => return self.open(file, path, create),
            DiskRequest::Read { file, position, bytes } => {
                assert!(is_aligned(position) && bytes.is_multiple_of(BLOCK), "O_DIRECT reads whole blocks");
                assert!(bytes <= IO_BYTES_MAX, "{bytes} bytes are more than one read");
                let content = self.opened(file);
                let from = content.len().min(position as usize);
                let to = content.len().min(position as usize + bytes);
                let read = content[from..to].to_vec();
                return Ok(DiskDone::Read(self.pool.copy_of(&read)));
            }
            DiskRequest::List { path } => return self.list(&path),
            DiskRequest::Allocate { file, bytes } => {
                let content = self.opened(file);
                content.resize(content.len().max(bytes as usize), 0);
            }
            DiskRequest::Write { file, position, buffer, .. } => {
                assert!(
                    is_aligned(position) && buffer.len().is_multiple_of(BLOCK),
                    "O_DIRECT writes whole blocks"
                );
                let (content, position) = (self.opened(file), position as usize);
                content.resize(content.len().max(position + buffer.len()), 0);
                content[position..position + buffer.len()].copy_from_slice(&buffer);
            }
            DiskRequest::Truncate { file, bytes } => self.opened(file).resize(bytes as usize, 0),
            DiskRequest::Close { file } => drop(self.open.remove(&file).expect("it is open")),
            DiskRequest::Rename { from, to } => {
                let content = self.files.remove(&from).ok_or_else(|| not_found(&from))?;
                self.open.values_mut().filter(|path| **path == from).for_each(|path| path.clone_from(&to));
                self.files.insert(to, content);
            }
            DiskRequest::Remove { path } => {
                let is_there = self.files.remove(&path).is_some() || self.folders.remove(&path);
                return if is_there { Ok(DiskDone::Done) } else { Err(not_found(&path)) };
            }
            DiskRequest::CreateDir { path } => drop(self.folders.insert(path)),
            DiskRequest::Sync { .. } | DiskRequest::SyncDir { .. } | DiskRequest::Rest => {}
        }
        Ok(DiskDone::Done)
    }

    fn open(&mut self, file: FileId, path: String, create: bool) -> DiskResult {
        match (self.files.get(&path), create) {
            (Some(_), true) => return Err(DiskError { kind: DiskErrorKind::Exists, ..not_found(&path) }),
            (None, false) => return Err(not_found(&path)),
            (Some(_), false) => {}
            (None, true) => drop(self.files.insert(path.clone(), Vec::new())),
        }
        let bytes = self.files[&path].len() as u64;
        let before = self.open.insert(file, path);
        assert_eq!(before, None, "a number names one open file");
        Ok(DiskDone::Opened { bytes })
    }

    fn opened(&mut self, file: FileId) -> &mut Vec<u8> {
        let path = self.open.get(&file).expect("it is open");
        self.files.get_mut(path).expect("an open file is there")
    }

    fn list(&self, folder: &str) -> DiskResult {
        if !self.folders.contains(folder) {
            return Err(not_found(folder));
        }
        let name_of = |path: &str| {
            let name = path.strip_prefix(folder)?.strip_prefix('/')?;
            (!name.contains('/')).then(|| name.to_owned())
        };
        let files = self.files.iter().filter_map(|(path, content)| {
            Some(DirEntry { name: name_of(path)?, bytes: content.len() as u64, is_dir: false })
        });
        let folders = self.folders.iter();
        let folders =
            folders.filter_map(|path| Some(DirEntry { name: name_of(path)?, bytes: 0, is_dir: true }));
        let mut all: Vec<DirEntry> = files.chain(folders).collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(DiskDone::Listed(all))
    }
}

fn is_aligned(position: u64) -> bool {
    position.is_multiple_of(BLOCK as u64)
}

fn not_found(path: &str) -> DiskError {
    DiskError { kind: DiskErrorKind::NotFound, errno: 0, context: path.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_what_was_written_under_its_last_name() {
        let mut disk = MemoryDisk::new();
        let (io, pool) = (disk.io.clone(), disk.pool.clone());
        let read = disk.run(async move {
            io.create_dir("a").await?;
            let file = io.create("a/b").await?;
            io.write(file, BLOCK as u64, pool.copy_of(&[7; 2 * BLOCK])).await?;
            io.rename("a/b", "a/c").await?;
            io.truncate(file, 2 * BLOCK as u64).await?;
            let names: Vec<String> = io.list("a").await?.into_iter().map(|entry| entry.name).collect();
            let read = io.read(file, 0, 4 * BLOCK).await?;
            io.close(file).await?;
            Ok::<_, DiskError>((names, read.to_vec()))
        });
        let content = [[0; BLOCK], [7; BLOCK]].concat();
        assert!(read == Ok((vec!["c".to_owned()], content)), "zeros, then what was written, up to the cut");
        assert_eq!((disk.open_files(), disk.file("a/c").len()), (0, 2 * BLOCK));
        let io = disk.io.clone();
        let missing = disk.run(async move { io.open("a/b").await }).expect_err("it has another name");
        assert_eq!(missing.kind, DiskErrorKind::NotFound);
    }
}
