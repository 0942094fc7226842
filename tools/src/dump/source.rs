//! What the command line points at: a data folder, a journal's folder or one segment file.
//! Strictly read-only.

use super::bytes::SegmentBytes;
use super::trouble::Trouble;
use engine::entry::layout::{ENTRY_MAGIC, EntryHeader, HEADER_BYTES};
use engine::folder::{self, JournalFile, NodeMeta};
use engine::ids::{Index, JournalId, JournalIdentity};
use engine::journal::hard_state::{HardState, HardStateRead};
use engine::journal::meta_record::JournalMeta;
use engine::register::NodeRecord;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use zerocopy::FromBytes;

/// How often a small file is read again when a writer may be in the middle of it.
const LIVE_READS: u32 = 5;

/// A segment's file.
#[derive(Clone, Debug)]
pub struct Segment {
    pub base: Index,
    pub path: PathBuf,
    /// There is an index file, so this one is cut to its last entry and never changes.
    pub index_path: Option<PathBuf>,
    pub file_bytes: u64,
}

impl Segment {
    pub fn is_sealed(&self) -> bool {
        self.index_path.is_some()
    }

    /// Its name, as rows and messages have it.
    pub fn name(&self) -> String {
        file_name(&self.path)
    }

    /// `None` when it was deleted since it was listed.
    pub fn open(&self) -> Result<Option<SegmentBytes>, Trouble> {
        match SegmentBytes::open(&self.path, self.is_sealed()) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Trouble::unreadable(&self.path, error)),
        }
    }
}

/// A journal's folder, or a lone segment of one.
#[derive(Debug)]
pub struct Journal {
    pub identity: JournalIdentity,
    /// `None` for a lone segment.
    pub dir: Option<PathBuf>,
    /// Bad copies of `journal.meta`.
    pub meta_bad_copies: u32,
    /// `None` for a lone segment, which has no bounds.
    pub hard_state: Option<HardStateRead>,
    /// By base.
    pub segments: Vec<Segment>,
    /// By last index.
    pub checkpoints: Vec<(Index, PathBuf)>,
    pub local_checkpoint: Option<PathBuf>,
}

impl Journal {
    pub fn id(&self) -> JournalId {
        self.identity.journal
    }
}

/// Everything that was pointed at.
#[derive(Debug)]
pub struct Source {
    pub path: PathBuf,
    pub node: Option<NodeMeta>,
    pub node_bad_copies: u32,
    /// A process holds the folder's lock.
    pub is_live: bool,
    /// By id.
    pub journals: Vec<Journal>,
    /// What of it cannot be read: the file, and why.
    pub unreadable: Vec<(PathBuf, String)>,
}

impl Source {
    /// Opens `path`; `secret` is for a lone segment file without its `journal.meta`.
    pub fn open(path: &Path, secret: Option<u64>, only: Option<u64>) -> Result<Self, Trouble> {
        let found = fs::metadata(path).map_err(|error| Trouble::unreadable(path, error))?;
        let mut source = Self {
            path: path.to_owned(),
            node: None,
            node_bad_copies: 0,
            is_live: false,
            journals: Vec::new(),
            unreadable: Vec::new(),
        };
        if found.is_file() {
            source.journals.push(lone_segment(path, secret)?);
        } else if path.join(folder::JOURNALS).is_dir() || path.join(folder::NODE_META).is_file() {
            source.open_data_folder(only)?;
        } else if path.join(folder::JOURNAL_META).is_file() {
            let data_folder =
                path.canonicalize().ok().and_then(|path| Some(path.parent()?.parent()?.to_owned()));
            source.is_live = data_folder.is_some_and(|folder| is_locked(&folder.join(folder::LOCK)));
            match journal_folder(path, source.is_live) {
                Ok(journal) => source.journals.push(journal),
                Err(bad) => source.unreadable.push(bad),
            }
        } else {
            let text = "no data folder (node.meta), journal's folder (journal.meta) or segment file";
            return Err(Trouble::unreadable(path, text));
        }
        Ok(source)
    }

    fn open_data_folder(&mut self, only: Option<u64>) -> Result<(), Trouble> {
        self.is_live = is_locked(&self.path.join(folder::LOCK));
        let meta_path = self.path.join(folder::NODE_META);
        let decode = |bytes: &[u8]| NodeRecord::decode(bytes).map_err(|error| error.fault.to_string());
        match read_settled(&meta_path, self.is_live, decode) {
            Ok(Some((record, bad_copies))) => {
                (self.node, self.node_bad_copies) = (Some(record.node), bad_copies);
            }
            Ok(None) => {}
            Err(text) => self.unreadable.push((meta_path, text)),
        }
        let journals = self.path.join(folder::JOURNALS);
        if !journals.is_dir() {
            return Ok(());
        }
        for name in names(&journals)? {
            let Some(id) = folder::parse_journal_dir(&name) else { continue };
            let dir = journals.join(&name);
            // A folder without its record is being made.
            if only.is_none_or(|only| only == id.0) && dir.join(folder::JOURNAL_META).exists() {
                match journal_folder(&dir, self.is_live) {
                    Ok(journal) => self.journals.push(journal),
                    // Dropped since it was listed.
                    Err(_) if self.is_live && !dir.exists() => {}
                    Err(bad) => self.unreadable.push(bad),
                }
            }
        }
        Ok(())
    }

    /// Refuses a source of which something cannot be read.
    pub fn whole(self) -> Result<Self, Trouble> {
        match self.unreadable.first() {
            Some((path, text)) => Err(Trouble::unreadable(path, text)),
            None => Ok(self),
        }
    }
}

/// A journal's folder, or the file of it without which nothing can be said.
pub fn journal_folder(dir: &Path, is_live: bool) -> Result<Journal, (PathBuf, String)> {
    let meta_path = dir.join(folder::JOURNAL_META);
    let decode = |bytes: &[u8]| JournalMeta::decode("", bytes).map_err(|error| error.fault.to_string());
    let (meta, meta_bad_copies) = match read_settled(&meta_path, is_live, decode) {
        Ok(Some(read)) => read,
        Ok(None) => return Err((meta_path, "not found".to_owned())),
        Err(text) => return Err((meta_path, text)),
    };
    let identity = meta.identity();
    let hard_state_path = dir.join(folder::HARD_STATE);
    let hard_state =
        read_hard_state(&hard_state_path, &identity, is_live).map_err(|text| (hard_state_path, text))?;
    let mut journal = Journal {
        identity,
        dir: Some(dir.to_owned()),
        meta_bad_copies,
        hard_state: Some(hard_state),
        segments: Vec::new(),
        checkpoints: Vec::new(),
        local_checkpoint: None,
    };
    list_files(dir, &mut journal).map_err(|error| (dir.to_owned(), error.to_string()))?;
    Ok(journal)
}

fn list_files(dir: &Path, journal: &mut Journal) -> Result<(), Trouble> {
    let names = names(dir)?;
    for name in &names {
        let path = dir.join(name);
        match JournalFile::parse(name) {
            Some(JournalFile::Segment(base)) => {
                let Ok(found) = fs::metadata(&path) else { continue };
                let index_name = JournalFile::Index(base).name();
                let index_path = names.contains(&index_name).then(|| dir.join(index_name));
                journal.segments.push(Segment { base, path, index_path, file_bytes: found.len() });
            }
            Some(JournalFile::Checkpoint(last)) => journal.checkpoints.push((last, path)),
            Some(JournalFile::LocalCheckpoint) => journal.local_checkpoint = Some(path),
            _ => {}
        }
    }
    Ok(())
}

fn read_hard_state(path: &Path, identity: &JournalIdentity, is_live: bool) -> Result<HardStateRead, String> {
    let decode = |bytes: &[u8]| {
        let read = HardState::read("", bytes, identity).map_err(|error| error.fault.to_string())?;
        Ok((read, read.bad_copies))
    };
    Ok(read_settled(path, is_live, decode)?.map(|(read, _)| read).unwrap_or_default())
}

/// Reads a file in copies; on a live folder again while copies are bad, since a writer may be in
/// the middle of one. `None` when there is no such file.
fn read_settled<T>(
    path: &Path,
    is_live: bool,
    decode: impl Fn(&[u8]) -> Result<(T, u32), String>,
) -> Result<Option<(T, u32)>, String> {
    let mut reads = if is_live { LIVE_READS } else { 1 };
    loop {
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.to_string()),
        };
        reads -= 1;
        match decode(&bytes) {
            Ok((_, bad_copies)) if bad_copies > 0 && reads > 0 => {}
            Err(_) if reads > 0 => {}
            settled => return settled.map(Some),
        }
    }
}

/// A segment alone: its journal's record beside it tells the secret, or the command line does.
fn lone_segment(path: &Path, secret: Option<u64>) -> Result<Journal, Trouble> {
    let bytes = SegmentBytes::open(path, false).map_err(|error| Trouble::unreadable(path, error))?;
    let first = bytes.read(0, HEADER_BYTES).map_err(|error| Trouble::unreadable(path, error))?;
    let header = EntryHeader::ref_from_bytes(&first).ok().filter(|header| header.magic == ENTRY_MAGIC);
    let beside = path.with_file_name(folder::JOURNAL_META);
    let meta = match fs::read(&beside) {
        Ok(bytes) => JournalMeta::decode(&beside.display().to_string(), &bytes)
            .map(|(meta, _)| Some(meta))
            .map_err(|error| Trouble::Unreadable(error.to_string()))?,
        Err(_) => None,
    };
    let identity = match (&meta, header, secret) {
        (Some(meta), ..) => meta.identity(),
        (None, Some(header), Some(secret)) => {
            JournalIdentity { cluster: header.cluster(), journal: header.journal(), secret }
        }
        (None, Some(_), None) => {
            let text = "a segment file without its journal.meta needs the journal's secret: --secret HEX";
            return Err(Trouble::Usage(format!("{}: {text}", path.display())));
        }
        (None, None, _) => return Err(Trouble::unreadable(path, "no segment: no entry begins at byte 0")),
    };
    let named = match JournalFile::parse(&file_name(path)) {
        Some(JournalFile::Segment(base)) => Some(base),
        _ => None,
    };
    let base = named.or(header.map(|header| Index(header.segment_base.get())));
    let base =
        base.ok_or_else(|| Trouble::unreadable(path, "neither its name nor byte 0 tells its first index"))?;
    let segment = Segment { base, path: path.to_owned(), index_path: None, file_bytes: bytes.len() };
    Ok(Journal {
        identity,
        dir: None,
        meta_bad_copies: 0,
        hard_state: None,
        segments: vec![segment],
        checkpoints: Vec::new(),
        local_checkpoint: None,
    })
}

/// Names in a folder, sorted.
fn names(dir: &Path) -> Result<Vec<String>, Trouble> {
    let unreadable = |error: io::Error| Trouble::unreadable(dir, error);
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        names.push(entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}

pub fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Whether some process holds the lock: asked of the kernel's list, so that the lock itself is
/// left alone and a broker that starts just now finds it free.
fn is_locked(lock: &Path) -> bool {
    let (Ok(found), Ok(locks)) = (fs::metadata(lock), fs::read_to_string("/proc/locks")) else {
        return false;
    };
    let inode = format!(":{}", found.ino());
    // "1: FLOCK  ADVISORY  WRITE 1234 fd:00:5678 0 EOF"
    locks.lines().any(|line| {
        line.split_whitespace().any(|word| word.ends_with(&inode) && word.matches(':').count() == 2)
    })
}
