//! What each operation of the seam does to the simulated disk when it completes.

use super::file::Change;
use super::{Issued, Node, Owner, SimDisk, SimFile, folder};
use engine::disk::{
    BLOCK, BufferPool, DirEntry, DiskDone, DiskError, DiskErrorKind, DiskRequest, DiskResult,
};
use engine::ids::FileId;
use engine::rng::Rng;

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

impl SimDisk {
    pub(super) fn perform(
        &mut self,
        owner: Owner,
        issued: Issued,
        pool: &BufferPool,
        rng: &mut Rng,
    ) -> DiskResult {
        match &issued.request {
            DiskRequest::Open { file, path, create } => self.open(owner, *file, path, *create),
            DiskRequest::Allocate { file, bytes } => self.allocate(owner, *file, *bytes),
            DiskRequest::Write { .. } | DiskRequest::Truncate { .. } => self.change(owner, issued, rng),
            DiskRequest::Read { file, position, bytes } => {
                if issued.fails {
                    return Err(self.error(DiskErrorKind::Io, "read", self.path_of(owner, *file)));
                }
                self.read(owner, *file, *position, *bytes, pool, rng)
            }
            DiskRequest::Sync { file } => self.sync(owner, *file, &issued),
            DiskRequest::Close { file } => {
                self.open.remove(&(owner, *file)).expect("open");
                self.drop_unnamed();
                Ok(DiskDone::Done)
            }
            DiskRequest::Rename { from, to } => self.rename(from, to),
            DiskRequest::Remove { path } => self.remove(path),
            DiskRequest::CreateDir { path } => {
                if !self.names.is_folder(folder(path)) {
                    self.names.link(path, Node::Folder);
                }
                Ok(DiskDone::Done)
            }
            DiskRequest::SyncDir { path } => {
                if !self.names.is_folder(folder(path)) {
                    return Err(self.error(DiskErrorKind::NotFound, "sync folder", path));
                }
                self.names.synced(&issued.covers);
                Ok(DiskDone::Done)
            }
            DiskRequest::List { path } => self.list(path),
            DiskRequest::Rest => Ok(DiskDone::Done),
        }
    }

    fn error(&self, kind: DiskErrorKind, what: &str, path: &str) -> DiskError {
        let errno = match kind {
            DiskErrorKind::Io => EIO,
            DiskErrorKind::NoSpace => ENOSPC,
            DiskErrorKind::NotFound | DiskErrorKind::Exists => 0,
        };
        DiskError { kind, errno, context: format!("{what} {path}") }
    }

    fn open(&mut self, owner: Owner, file: FileId, path: &str, create: bool) -> DiskResult {
        let inode = match (self.names.get(path), create) {
            (Some(Node::File(inode)), false) => inode,
            (Some(_), true) => return Err(self.error(DiskErrorKind::Exists, "create", path)),
            (Some(Node::Folder), false) => return Err(self.error(DiskErrorKind::Io, "open", path)),
            (None, false) => return Err(self.error(DiskErrorKind::NotFound, "open", path)),
            (None, true) if !self.names.is_folder(super::names::parent(path)) => {
                return Err(self.error(DiskErrorKind::NotFound, "create", path));
            }
            (None, true) if !self.has_room(1) => {
                return Err(self.error(DiskErrorKind::NoSpace, "create", path));
            }
            (None, true) => {
                self.next += 1;
                let inode = super::Inode(self.next);
                self.files.insert(inode, SimFile::default());
                self.names.link(path, Node::File(inode));
                inode
            }
        };
        let before = self.open.insert((owner, file), (inode, path.to_owned()));
        assert!(before.is_none(), "{file:?} is open already");
        Ok(DiskDone::Opened { bytes: self.files[&inode].len() })
    }

    fn has_room(&self, bytes: u64) -> bool {
        self.capacity_bytes.is_none_or(|capacity| self.used_bytes() + bytes <= capacity)
    }

    fn allocate(&mut self, owner: Owner, file: FileId, bytes: u64) -> DiskResult {
        let inode = self.inode(owner, file);
        let here = self.files[&inode].len();
        if !self.has_room(bytes.saturating_sub(here)) {
            return Err(self.error(DiskErrorKind::NoSpace, "allocate", self.path_of(owner, file)));
        }
        let id = self.begin(inode, Change::Grow(bytes));
        self.files.get_mut(&inode).expect("open").complete(id);
        Ok(DiskDone::Done)
    }

    fn change(&mut self, owner: Owner, issued: Issued, rng: &mut Rng) -> DiskResult {
        let (inode, id) = issued.change.expect("set when issued");
        let end = match &issued.request {
            DiskRequest::Write { position, buffer, .. } => position + buffer.len() as u64,
            DiskRequest::Truncate { bytes, .. } => *bytes,
            other => unreachable!("{other:?}"),
        };
        let full = !self.has_room(end.saturating_sub(self.files[&inode].len()));
        let file = self.files.get_mut(&inode).expect("open");
        if !full && !issued.fails {
            file.complete(id);
            if matches!(issued.request, DiskRequest::Write { through: true, .. }) {
                file.synced_through(id);
            }
            return Ok(DiskDone::Done);
        }
        file.fail(id, rng);
        let kind = if full { DiskErrorKind::NoSpace } else { DiskErrorKind::Io };
        let subject = self.subject(owner, &issued.request).to_owned();
        Err(self.error(kind, "write", &subject))
    }

    fn read(
        &self,
        owner: Owner,
        file: FileId,
        position: u64,
        bytes: usize,
        pool: &BufferPool,
        rng: &mut Rng,
    ) -> DiskResult {
        let inode = self.inode(owner, file);
        let mut buffer = pool.take(bytes);
        match self.files[&inode].read(position, &mut buffer[..bytes], rng) {
            None => Err(self.error(DiskErrorKind::Io, "read", self.path_of(owner, file))),
            Some(0) => panic!("{} is read behind its end at {position}", self.path_of(owner, file)),
            Some(there) => {
                assert!(
                    there.is_multiple_of(BLOCK),
                    "{} ends in the middle of a block",
                    self.path_of(owner, file)
                );
                Ok(DiskDone::Read(buffer.seal(there)))
            }
        }
    }

    fn sync(&mut self, owner: Owner, file: FileId, issued: &Issued) -> DiskResult {
        let inode = self.inode(owner, file);
        let there = self.files.get_mut(&inode).expect("open");
        if issued.fails {
            there.sync_failed(&issued.covers);
            return Err(self.error(DiskErrorKind::Io, "sync", self.path_of(owner, file)));
        }
        there.synced(&issued.covers);
        Ok(DiskDone::Done)
    }

    fn rename(&mut self, from: &str, to: &str) -> DiskResult {
        if self.names.get(from).is_none() {
            return Err(self.error(DiskErrorKind::NotFound, "rename", from));
        }
        self.names.rename(from, to);
        self.drop_unnamed();
        Ok(DiskDone::Done)
    }

    fn remove(&mut self, path: &str) -> DiskResult {
        match self.names.get(path) {
            None => return Err(self.error(DiskErrorKind::NotFound, "remove", path)),
            Some(Node::Folder) => {
                assert!(self.names.list(path).is_empty(), "{path} is removed and not empty")
            }
            Some(Node::File(_)) => {}
        }
        self.names.unlink(path);
        self.drop_unnamed();
        Ok(DiskDone::Done)
    }

    fn list(&self, path: &str) -> DiskResult {
        if !self.names.is_folder(folder(path)) {
            return Err(self.error(DiskErrorKind::NotFound, "list", path));
        }
        let entry = |(name, node): (String, Node)| match node {
            Node::Folder => DirEntry { name, bytes: 0, is_dir: true },
            Node::File(inode) => DirEntry { name, bytes: self.files[&inode].len(), is_dir: false },
        };
        Ok(DiskDone::Listed(self.names.list(folder(path)).into_iter().map(entry).collect()))
    }
}
