//! A disk in memory, at which every operation ends at once: what a step costs is then the engine's own work.

use engine::disk::{BufferPool, DirEntry, DiskDone, DiskError, DiskErrorKind, DiskRequest, DiskResult};
use engine::ids::FileId;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Checkpoints whose bytes are kept. Thousands of long ones would not fit the memory; only the newest are read.
const CHECKPOINTS_KEPT: usize = 8;

#[derive(Default)]
pub struct Disk {
    files: BTreeMap<String, Vec<u8>>,
    folders: BTreeSet<String>,
    open: BTreeMap<FileId, String>,
    checkpoints: VecDeque<String>,
}

impl Disk {
    pub fn perform(&mut self, request: DiskRequest, pool: &BufferPool) -> DiskResult {
        match request {
            DiskRequest::Open { file, path, create } => return self.open(file, path, create),
            DiskRequest::Read { file, position, bytes } => {
                let content = self.opened(file);
                let from = content.len().min(position as usize);
                let to = content.len().min(position as usize + bytes);
                return Ok(DiskDone::Read(pool.copy_of(&content[from..to])));
            }
            DiskRequest::List { path } => return self.list(&path),
            DiskRequest::Allocate { file, bytes } => {
                let content = self.opened(file);
                content.resize(content.len().max(bytes as usize), 0);
            }
            DiskRequest::Write { file, position, buffer, .. } => {
                let (content, position) = (self.opened(file), position as usize);
                content.resize(content.len().max(position + buffer.len()), 0);
                content[position..position + buffer.len()].copy_from_slice(&buffer);
            }
            DiskRequest::Truncate { file, bytes } => {
                let content = self.opened(file);
                content.resize(bytes as usize, 0);
                content.shrink_to_fit();
            }
            DiskRequest::Close { file } => drop(self.open.remove(&file).expect("it is open")),
            DiskRequest::Rename { from, to } => self.rename(&from, to)?,
            DiskRequest::Remove { path } => {
                let is_there = self.files.remove(&path).is_some() || self.folders.remove(&path);
                return if is_there { Ok(DiskDone::Done) } else { Err(not_found(&path)) };
            }
            DiskRequest::CreateDir { path } => drop(self.folders.insert(path)),
            DiskRequest::Sync { .. } | DiskRequest::SyncDir { .. } | DiskRequest::Rest => {}
        }
        Ok(DiskDone::Done)
    }

    /// What a process leaves when it ends: no file is open.
    pub fn close_all(&mut self) {
        self.open.clear();
    }

    fn rename(&mut self, from: &str, to: String) -> Result<(), DiskError> {
        let content = self.files.remove(from).ok_or_else(|| not_found(from))?;
        self.open.values_mut().filter(|path| **path == from).for_each(|path| path.clone_from(&to));
        if to.ends_with(".ckpt") {
            self.checkpoints.push_back(to.clone());
            if self.checkpoints.len() > CHECKPOINTS_KEPT {
                let oldest = self.checkpoints.pop_front().expect("there are some");
                self.files.entry(oldest).and_modify(|content| *content = Vec::new());
            }
        }
        self.files.insert(to, content);
        Ok(())
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
        if !self.folders.contains(folder) && folder != "." {
            return Err(not_found(folder));
        }
        let prefix = if folder == "." { String::new() } else { format!("{folder}/") };
        let entry = |path: &String, bytes: u64, is_dir: bool| {
            let name = path.strip_prefix(&prefix)?;
            (!name.contains('/')).then(|| DirEntry { name: name.to_owned(), bytes, is_dir })
        };
        let files = self.files.iter().filter_map(|(path, content)| entry(path, content.len() as u64, false));
        let folders = self.folders.iter().filter_map(|path| entry(path, 0, true));
        let mut all: Vec<DirEntry> = files.chain(folders).collect();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(DiskDone::Listed(all))
    }
}

fn not_found(path: &str) -> DiskError {
    DiskError { kind: DiskErrorKind::NotFound, errno: 0, context: path.to_owned() }
}
