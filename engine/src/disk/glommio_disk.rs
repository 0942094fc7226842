//! The disk seam over glommio: carries out single operations with O_DIRECT on io_uring.
//!
//! It holds no order: whatever is asked for runs at once, and operations in flight together
//! complete as they like. It knows paths and descriptors, nothing of what lies in the files.

use super::block::BLOCK;
use super::open_files::{Held, OpenFiles};
use super::{Buffer, DirEntry, DiskDone, DiskError, DiskErrorKind, DiskRequest, DiskResult};
use crate::collections::Map;
use crate::ids::FileId;
use core::cell::RefCell;
use glommio::GlommioError;
use glommio::io::{DmaFile, OpenOptions};
use smallvec::SmallVec;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// The file in a data folder that each shard opens first: glommio judges the whole device by the
/// first file a thread opens, and judges an empty one wrongly. It holds at least one block.
pub const PROBE_FILE: &str = "probe";

/// How long a computation rests; the reactor polls once meanwhile.
const REST: Duration = Duration::from_micros(2);

/// How long an open rests that found no descriptor.
const NO_DESCRIPTOR_PAUSE: Duration = Duration::from_millis(20);

/// One shard's open files in a data folder.
pub struct GlommioDisk {
    folder: PathBuf,
    files: RefCell<Map<FileId, OpenFile>>,
    descriptors: Arc<OpenFiles>,
}

struct OpenFile {
    file: Rc<DmaFile>,
    /// The same with O_DSYNC, opened when it is first written through.
    through: Option<Rc<DmaFile>>,
    /// One for each of the two.
    held: SmallVec<[Held; 2]>,
}

impl GlommioDisk {
    /// The folder that all paths are in.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The disk under `folder`, which holds a probe file. Must be called on the shard's thread
    /// before that thread opens any other file.
    pub async fn open(folder: &Path) -> Result<Self, DiskError> {
        Self::open_counted(folder, Arc::default()).await
    }

    /// The same; what it opens counts among `descriptors`.
    pub async fn open_counted(folder: &Path, descriptors: Arc<OpenFiles>) -> Result<Self, DiskError> {
        let path = folder.join(PROBE_FILE);
        let failed = |error| disk_error(&error, &format!("open {}", path.display()));
        let probe = OpenOptions::new().read(true).write(true).dma_open(&path).await.map_err(failed)?;
        assert!(length_of(&probe).map_err(failed)? >= BLOCK as u64, "the probe file is empty");
        probe.close().await.map_err(failed)?;
        Ok(Self { folder: folder.to_owned(), files: RefCell::default(), descriptors })
    }

    /// Carries out one operation. The future must run to its end: dropping it leaves the outcome
    /// of a write unknown.
    pub async fn perform(&self, request: DiskRequest) -> DiskResult {
        match request {
            DiskRequest::Open { file, path, create } => self.open_file(file, &path, create).await,
            DiskRequest::Allocate { file, bytes } => {
                let result = self.file(file).pre_allocate(bytes, false).await;
                done(result, || format!("allocate {bytes} bytes of file {file}"))
            }
            DiskRequest::Write { file, position, buffer, through } => {
                let result = match through {
                    true => self.write_through(file, position, &buffer).await,
                    false => write_all(&self.file(file), position, &buffer).await,
                };
                done(result, || format!("write {} bytes at {position} of file {file}", buffer.len()))
            }
            DiskRequest::Read { file, position, bytes } => {
                assert!(bytes > 0 && bytes.is_multiple_of(BLOCK) && position.is_multiple_of(BLOCK as u64));
                let read = self.file(file).read_at_aligned(position, bytes).await;
                read.map(|read| DiskDone::Read(Buffer::from_read(read)))
                    .map_err(|e| disk_error(&e, &format!("read {bytes} bytes at {position} of file {file}")))
            }
            DiskRequest::Sync { file } => {
                done(self.file(file).fdatasync().await, || format!("sync file {file}"))
            }
            DiskRequest::Truncate { file, bytes } => {
                let result = self.file(file).truncate(bytes).await;
                done(result, || format!("cut file {file} to {bytes} bytes"))
            }
            DiskRequest::Close { file } => {
                let known = self.files.borrow_mut().remove(&file);
                let open = known.expect("a file is closed once");
                for file in [Some(open.file), open.through].into_iter().flatten() {
                    done(file.close_rc().await.map(|_| ()), || "close a file".to_owned())?;
                }
                Ok(DiskDone::Done)
            }
            DiskRequest::Rest => {
                // A yield alone would not let the reactor poll (notes, G6).
                glommio::timer::sleep(REST).await;
                Ok(DiskDone::Done)
            }
            other => self.perform_on_names(other).await,
        }
    }

    /// What concerns names rather than open files; the calls block, so another thread makes them.
    async fn perform_on_names(&self, request: DiskRequest) -> DiskResult {
        match request {
            DiskRequest::Rename { from, to } => {
                let context = format!("rename {from} to {to}");
                let (from, to) = (self.folder.join(from), self.folder.join(to));
                named(&context, blocking(move || std::fs::rename(from, to)).await)
            }
            DiskRequest::Remove { path } => {
                let full = self.folder.join(&path);
                named(&format!("remove {path}"), blocking(move || remove(&full)).await)
            }
            DiskRequest::CreateDir { path } => {
                let full = self.folder.join(&path);
                named(&format!("make folder {path}"), blocking(move || make_folder(&full)).await)
            }
            DiskRequest::SyncDir { path } => {
                let full = self.folder.join(&path);
                let sync = || {
                    let full = full.clone();
                    blocking(move || std::fs::File::open(full)?.sync_all())
                };
                let result = self.with_descriptor(sync, io::Error::raw_os_error).await;
                named(&format!("sync folder {path}"), result)
            }
            DiskRequest::List { path } => {
                let full = self.folder.join(&path);
                let look = || {
                    let full = full.clone();
                    blocking(move || list(&full))
                };
                let listed = self.with_descriptor(look, io::Error::raw_os_error).await;
                listed.map(DiskDone::Listed).map_err(|error| io_error(&error, &format!("list {path}")))
            }
            other => unreachable!("{other:?} concerns an open file"),
        }
    }

    async fn open_file(&self, file: FileId, path: &str, create: bool) -> DiskResult {
        let full = self.folder.join(path);
        let failed =
            |error| disk_error(&error, &format!("{} {path}", if create { "create" } else { "open" }));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(create).mode(0o640);
        let open = || options.dma_open(&full);
        let opened = self.with_descriptor(open, GlommioError::raw_os_error).await.map_err(failed)?;
        let bytes = length_of(&opened).map_err(failed)?;
        let held = SmallVec::from_iter([self.descriptors.opened()]);
        let opened = OpenFile { file: Rc::new(opened), through: None, held };
        let before = self.files.borrow_mut().insert(file, opened);
        assert!(before.is_none(), "file number {file} is in use");
        Ok(DiskDone::Opened { bytes })
    }

    /// Tries again while the process may open no more files: that is nothing of the disk's, and goes
    /// when clients leave. What waits for the file takes longer meanwhile, and nothing is lost.
    async fn with_descriptor<T, E, F: Future<Output = Result<T, E>>>(
        &self,
        open: impl Fn() -> F,
        errno: impl Fn(&E) -> Option<i32>,
    ) -> Result<T, E> {
        let is_short = |error: &E| matches!(errno(error), Some(libc::EMFILE | libc::ENFILE));
        let mut result = open().await;
        if result.as_ref().is_err_and(is_short) {
            let _waits = self.descriptors.waits();
            while result.as_ref().is_err_and(is_short) {
                glommio::timer::sleep(NO_DESCRIPTOR_PAUSE).await;
                result = open().await;
            }
        }
        result
    }

    fn file(&self, file: FileId) -> Rc<DmaFile> {
        Rc::clone(&self.files.borrow().get(&file).expect("the engine names open files only").file)
    }

    async fn write_through(&self, id: FileId, at: u64, buffer: &Buffer) -> Result<(), GlommioError<()>> {
        if let Ok(file) = self.file_through(id).await {
            return write_all(&file, at, buffer).await;
        }
        // No /proc, or no more descriptors.
        let file = self.file(id);
        write_all(&file, at, buffer).await?;
        file.fdatasync().await
    }

    /// The same file with O_DSYNC. It is opened by its descriptor, as a rename changes its path.
    async fn file_through(&self, file: FileId) -> Result<Rc<DmaFile>, GlommioError<()>> {
        let known = self.files.borrow().get(&file).and_then(|open| open.through.clone());
        if let Some(through) = known {
            return Ok(through);
        }
        let path = format!("/proc/self/fd/{}", self.file(file).as_raw_fd());
        let mut options = OpenOptions::new();
        let opened =
            Rc::new(options.read(true).write(true).custom_flags(libc::O_DSYNC).dma_open(path).await?);
        let mut files = self.files.borrow_mut();
        let open = files.get_mut(&file).expect("a file is open while it is written");
        open.through = Some(Rc::clone(&opened));
        open.held.push(self.descriptors.opened());
        Ok(opened)
    }
}

/// Writes the whole buffer; a short write is continued from its last whole block.
async fn write_all(file: &DmaFile, position: u64, buffer: &Buffer) -> Result<(), GlommioError<()>> {
    assert!(buffer.len().is_multiple_of(BLOCK) && position.is_multiple_of(BLOCK as u64));
    let mut written = 0;
    while written < buffer.len() {
        let now = match buffer.dma() {
            Some(shared) if written == 0 => file.write_rc_at(shared, position).await?,
            // What was read cannot be shared with a write, and the rest of a short write has no
            // buffer of its own: both are rare enough to copy.
            _ => {
                let rest = &buffer[written..];
                let mut copy = file.alloc_dma_buffer(rest.len());
                copy.as_bytes_mut()[..rest.len()].copy_from_slice(rest);
                copy.trim_to_size(rest.len());
                file.write_at(copy, position + written as u64).await?
            }
        };
        let now = now.min(buffer.len() - written);
        let whole = if written + now == buffer.len() { now } else { now - now % BLOCK };
        if whole == 0 {
            return Err(io::Error::from_raw_os_error(libc::EIO).into());
        }
        written += whole;
    }
    Ok(())
}

/// The file's length, by its descriptor (glommio asks by path, which a rename changes).
fn length_of(file: &DmaFile) -> Result<u64, GlommioError<()>> {
    // SAFETY: a zeroed `stat` is a valid value of that plain C struct.
    let mut stat: libc::stat = unsafe { core::mem::zeroed() };
    // SAFETY: the descriptor is open while `file` lives and `stat` outlives the call.
    match unsafe { libc::fstat(file.as_raw_fd(), &raw mut stat) } {
        0 => Ok(u64::try_from(stat.st_size).expect("lengths are not negative")),
        _ => Err(io::Error::last_os_error().into()),
    }
}

async fn blocking<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> T {
    glommio::executor().spawn_blocking(call).await
}

fn make_folder(path: &Path) -> io::Result<()> {
    match std::fs::create_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

fn remove(path: &Path) -> io::Result<()> {
    if std::fs::symlink_metadata(path)?.is_dir() {
        return std::fs::remove_dir(path);
    }
    std::fs::remove_file(path)
}

fn list(path: &Path) -> io::Result<Vec<DirEntry>> {
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        let facts = entry.metadata()?;
        let name = entry.file_name().to_string_lossy().into_owned();
        entries.push(DirEntry {
            name,
            bytes: if facts.is_dir() { 0 } else { facts.len() },
            is_dir: facts.is_dir(),
        });
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

fn done(result: Result<(), GlommioError<()>>, context: impl FnOnce() -> String) -> DiskResult {
    result.map(|()| DiskDone::Done).map_err(|error| disk_error(&error, &context()))
}

fn named(context: &str, result: io::Result<()>) -> DiskResult {
    result.map(|()| DiskDone::Done).map_err(|error| io_error(&error, context))
}

fn disk_error(error: &GlommioError<()>, context: &str) -> DiskError {
    let errno = error.raw_os_error().unwrap_or(0);
    DiskError { kind: kind_of(errno), errno, context: context.to_owned() }
}

fn io_error(error: &io::Error, context: &str) -> DiskError {
    let errno = error.raw_os_error().unwrap_or(0);
    DiskError { kind: kind_of(errno), errno, context: context.to_owned() }
}

fn kind_of(errno: i32) -> DiskErrorKind {
    match errno {
        libc::ENOENT => DiskErrorKind::NotFound,
        libc::EEXIST => DiskErrorKind::Exists,
        libc::ENOSPC | libc::EDQUOT => DiskErrorKind::NoSpace,
        _ => DiskErrorKind::Io,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::disk::BufferPool;
    use glommio::LocalExecutor;

    /// A folder of its own for one test, gone afterwards.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            // Not the system's temporary folder: that may be a tmpfs, which has no O_DIRECT.
            let path = Path::new(env!("CARGO_MANIFEST_DIR"))
                .join(format!("../target/glommio-disk-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&path).expect("a folder");
            std::fs::write(path.join(PROBE_FILE), [0; BLOCK]).expect("a probe file");
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    fn open(file: u64, path: &str, create: bool) -> DiskRequest {
        DiskRequest::Open { file: FileId(file), path: path.to_owned(), create }
    }

    async fn read(disk: &GlommioDisk, position: u64, bytes: usize) -> Buffer {
        match disk.perform(DiskRequest::Read { file: FileId(1), position, bytes }).await {
            Ok(DiskDone::Read(buffer)) => buffer,
            other => panic!("{other:?}"),
        }
    }

    async fn check_done(disk: &GlommioDisk, request: DiskRequest) {
        let text = format!("{request:?}");
        assert!(matches!(disk.perform(request).await, Ok(DiskDone::Done)), "{text}");
    }

    #[test]
    fn what_is_written_is_read_back_also_from_a_buffer_that_was_read() {
        let folder = Folder::new("write");
        LocalExecutor::default().run(async {
            let disk = GlommioDisk::open(&folder.0).await.expect("a disk");
            let pool = BufferPool::new(1 << 20);
            assert!(matches!(disk.perform(open(1, "a", true)).await, Ok(DiskDone::Opened { bytes: 0 })));
            check_done(&disk, DiskRequest::Allocate { file: FileId(1), bytes: 64 << 10 }).await;
            let buffer = pool.copy_of(&[7; 5000]);
            check_done(&disk, DiskRequest::Write { file: FileId(1), position: 4096, buffer, through: false })
                .await;
            check_done(&disk, DiskRequest::Sync { file: FileId(1) }).await;
            let back = read(&disk, 4096, 8192).await;
            assert_eq!((back.len(), back[0], back[4999], back[5000]), (8192, 7, 7, 0));
            let again =
                DiskRequest::Write { file: FileId(1), position: 16 << 10, buffer: back, through: true };
            check_done(&disk, again).await;
            assert_eq!(&read(&disk, 16 << 10, 4096).await[..], &[7; 4096]);
            let through = disk.file_through(FileId(1)).await.expect("it is open");
            // SAFETY: the descriptor is open while `through` lives.
            let flags = unsafe { libc::fcntl(through.as_raw_fd(), libc::F_GETFL) };
            assert_eq!(flags & (libc::O_DSYNC | libc::O_DIRECT), libc::O_DSYNC | libc::O_DIRECT);
            drop(through);
            check_done(&disk, DiskRequest::Truncate { file: FileId(1), bytes: 20 << 10 }).await;
            assert_eq!(read(&disk, 16 << 10, 8192).await.len(), 4096, "short at the end of the file");
            assert_eq!(read(&disk, 20 << 10, 4096).await.len(), 0);
            check_done(&disk, DiskRequest::Close { file: FileId(1) }).await;
            assert!(matches!(disk.perform(open(2, "a", false)).await, Ok(DiskDone::Opened { bytes: 20480 })));
        });
    }

    #[test]
    fn names_are_made_listed_renamed_and_removed() {
        let folder = Folder::new("names");
        LocalExecutor::default().run(async {
            let disk = GlommioDisk::open(&folder.0).await.expect("a disk");
            let dir = |path: &str| DiskRequest::CreateDir { path: path.to_owned() };
            check_done(&disk, dir("journals")).await;
            check_done(&disk, dir("journals")).await;
            disk.perform(open(1, "journals/b", true)).await.expect("created");
            disk.perform(open(2, "journals/c", true)).await.expect("created");
            let rename = DiskRequest::Rename { from: "journals/b".into(), to: "journals/a".into() };
            check_done(&disk, rename).await;
            check_done(&disk, DiskRequest::SyncDir { path: "journals".into() }).await;
            let list = DiskRequest::List { path: "journals".into() };
            let Ok(DiskDone::Listed(entries)) = disk.perform(list).await else { panic!("not listed") };
            assert_eq!(entries.iter().map(|e| e.name.as_str()).collect::<Vec<_>>(), ["a", "c"]);
            check_done(&disk, DiskRequest::Remove { path: "journals/a".into() }).await;
            check_done(&disk, DiskRequest::Remove { path: "journals/c".into() }).await;
            check_done(&disk, DiskRequest::Remove { path: "journals".into() }).await;
        });
    }

    #[test]
    fn errors_have_their_kind() {
        let folder = Folder::new("errors");
        LocalExecutor::default().run(async {
            let disk = GlommioDisk::open(&folder.0).await.expect("a disk");
            let missing = disk.perform(open(1, "none", false)).await.expect_err("there is none");
            assert_eq!(missing.kind, DiskErrorKind::NotFound);
            disk.perform(open(2, "one", true)).await.expect("created");
            assert_eq!(
                disk.perform(open(3, "one", true)).await.expect_err("exists").kind,
                DiskErrorKind::Exists
            );
            let list = DiskRequest::List { path: "nowhere".into() };
            assert_eq!(disk.perform(list).await.expect_err("no folder").kind, DiskErrorKind::NotFound);
            let huge = DiskRequest::Allocate { file: FileId(2), bytes: 1 << 50 };
            let error = disk.perform(huge).await.expect_err("no disk is that large");
            assert!(matches!(error.kind, DiskErrorKind::NoSpace | DiskErrorKind::Io), "{error}");
        });
    }
}
