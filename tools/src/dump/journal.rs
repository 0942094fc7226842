//! A journal as the dump reads it.

use crate::dump::bytes::SegmentBytes;
use crate::dump::remark::Remark;
use crate::dump::trouble::Trouble;
use engine::ids::{Index, JournalId, JournalIdentity, RunId};
use engine::journal::format::hard_state::HardStateRead;
use std::path::{Path, PathBuf};
use std::{fs, io};

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
    /// Nobody but this replica has its entries.
    pub is_lone: bool,
    /// It begins anew behind a checkpoint from another replica: all else here is void.
    pub is_installing: bool,
    /// What is wrong with it before any segment is opened.
    pub lost: Vec<Remark>,
    /// By base.
    pub segments: Vec<Segment>,
    /// Indexes without the segments that they are of, by base.
    pub orphans: Vec<(Index, PathBuf)>,
    /// By last index.
    pub checkpoints: Vec<(Index, PathBuf)>,
    /// By id.
    pub runs: Vec<(RunId, PathBuf)>,
    pub local_checkpoint: Option<PathBuf>,
}

impl Journal {
    pub fn id(&self) -> JournalId {
        self.identity.journal
    }
}

/// Names in a folder, sorted.
pub fn names(dir: &Path) -> Result<Vec<String>, Trouble> {
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
