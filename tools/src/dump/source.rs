//! What the command line points at: a data folder, a journal's folder or one segment file.
//! Strictly read-only.

use super::journal_folder::{is_journal_folder, journal_folder};
use super::lone_segment::lone_segment;
use super::remark::{Remark, What};
use super::settled::read_settled;
use super::trouble::{Trouble, exit};
use crate::dump::journal::{Journal, Segment, names};
use engine::folder::{self, NodeMeta};
use engine::register::NodeRecord;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

impl std::fmt::Display for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.path.display().fmt(f)
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
    /// What is missing or cannot be read, of the node itself and of journals that are not listed.
    pub lost: Vec<Remark>,
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
            lost: Vec::new(),
        };
        if found.is_file() {
            source.journals.push(lone_segment(path, secret)?);
        } else if path.join(folder::JOURNALS).is_dir() || path.join(folder::NODE_META).is_file() {
            source.open_data_folder(only)?;
        } else if is_journal_folder(path) {
            let data_folder =
                path.canonicalize().ok().and_then(|path| Some(path.parent()?.parent()?.to_owned()));
            source.is_live = data_folder.is_some_and(|folder| is_locked(&folder.join(folder::LOCK)));
            source.add(path);
        } else {
            let text = "no data folder (node.meta), journal's folder (journal.meta) or segment file";
            return Err(Trouble::unreadable(path, text));
        }
        Ok(source)
    }

    fn open_data_folder(&mut self, only: Option<u64>) -> Result<(), Trouble> {
        self.is_live = is_locked(&self.path.join(folder::LOCK));
        self.read_node_meta();
        let journals = self.path.join(folder::JOURNALS);
        if !journals.is_dir() {
            return Ok(());
        }
        for name in names(&journals)? {
            let Some(id) = folder::parse_journal_dir(&name) else { continue };
            if only.is_none_or(|only| only == id.0) {
                self.add(&journals.join(&name));
            }
        }
        Ok(())
    }

    fn read_node_meta(&mut self) {
        let path = self.path.join(folder::NODE_META);
        let decode = |bytes: &[u8]| NodeRecord::decode(bytes).map_err(|error| error.fault);
        let (what, text) = match read_settled(&path, self.is_live, decode) {
            Ok(Some((record, bad_copies))) => {
                (self.node, self.node_bad_copies) = (Some(record.node), bad_copies);
                return;
            }
            Ok(None) => (What::Damage, "missing: nothing says whose folder this is".to_owned()),
            Err(fault) => fault.told(),
        };
        self.lost.push(Remark::of_file(what, None, folder::NODE_META.to_owned(), text));
    }

    /// Adds a journal's folder, or what is wrong with it.
    fn add(&mut self, dir: &Path) {
        match journal_folder(dir, self.is_live) {
            Ok(Some(journal)) => self.journals.push(journal),
            Ok(None) => {}
            // Dropped since it was listed.
            Err(_) if self.is_live && !dir.exists() => {}
            Err(mut remark) => {
                let path = dir.join(&remark.file);
                remark.file = path.strip_prefix(&self.path).unwrap_or(&path).display().to_string();
                self.lost.push(remark);
            }
        }
    }

    pub fn is_data_folder(&self) -> bool {
        self.path.join(folder::JOURNALS).is_dir() || self.path.join(folder::NODE_META).is_file()
    }

    /// Leaves one journal, when one is asked for.
    pub fn keep_only(&mut self, only: Option<u64>) {
        self.journals.retain(|journal| only.is_none_or(|only| only == journal.id().0));
        self.lost.retain(|lost| only.is_none_or(|only| lost.journal.is_none_or(|lost| lost == only)));
    }

    /// Refuses a source of which something cannot be read.
    pub fn whole(self) -> Result<Self, Trouble> {
        match self.lost.first() {
            Some(Remark { file, text, .. }) => Err(Trouble::unreadable(&self.path.join(file), text)),
            None => Ok(self),
        }
    }

    /// Complains of what is lost and goes on with the rest; gives the exit code that this comes to. What a newer
    /// version wrote is refused.
    pub fn usable(&self) -> Result<u8, Trouble> {
        if let Some(newer) = self.lost.iter().find(|lost| lost.what == What::Unreadable) {
            return Err(Trouble::unreadable(&self.path.join(&newer.file), &newer.text));
        }
        let journals = self.journals.iter().flat_map(|journal| &journal.lost);
        let mut code = exit::CLEAN;
        for remark in self.lost.iter().chain(journals) {
            remark.complain();
            code = code.max(remark.what.exit_code());
        }
        Ok(code)
    }
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
