//! A journal's folder: its record, its hard state and what files there are, each with what is wrong with it.

use super::journal::{Journal, Segment, file_name, names};
use super::remark::{Remark, What};
use super::settled::read_settled;
use super::trouble::Trouble;
use engine::disk::BLOCK;
use engine::folder::{self, JournalFile};
use engine::ids::{Index, JournalIdentity};
use engine::journal::format::hard_state::{HARD_STATE_BYTES, HardState, HardStateRead};
use engine::journal::format::meta_record::JournalMeta;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// What a folder without its record is looked through in.
const PIECE_BYTES: usize = 1 << 20;

/// Whether a folder is one: its record may be what is missing.
pub fn is_journal_folder(dir: &Path) -> bool {
    let is_named = || folder::parse_journal_dir(&file_name(dir)).is_some();
    dir.join(folder::JOURNAL_META).is_file() || (dir.is_dir() && is_named())
}

/// A journal's folder; `None` while it is being made; or what is wrong with the record without which nothing can be
/// said.
pub fn journal_folder(dir: &Path, is_live: bool) -> Result<Option<Journal>, Remark> {
    let id = folder::parse_journal_dir(&file_name(dir));
    let bad =
        |what, text: String| Remark::of_file(what, id.map(|id| id.0), folder::JOURNAL_META.to_owned(), text);
    let decode = |bytes: &[u8]| JournalMeta::decode("", bytes).map_err(|error| error.fault);
    let (meta, meta_bad_copies) = match read_settled(&dir.join(folder::JOURNAL_META), is_live, decode) {
        Ok(Some(read)) => read,
        Ok(None) if is_being_made(dir) => return Ok(None),
        Ok(None) => {
            return Err(bad(What::Damage, "missing: no entry of the journal can be read without it".into()));
        }
        Err(fault) => {
            let (what, text) = fault.told();
            return Err(bad(what, text));
        }
    };
    if id.is_some_and(|id| id != meta.journal) {
        let text = format!("it is the record of journal {}: a file of another folder", meta.journal);
        return Err(bad(What::Damage, text));
    }
    let identity = meta.identity();
    let mut journal = Journal {
        identity,
        dir: Some(dir.to_owned()),
        meta_bad_copies,
        hard_state: None,
        is_lone: meta.voters.len() == 1,
        is_installing: dir.join(folder::INSTALL).exists(),
        lost: Vec::new(),
        segments: Vec::new(),
        orphans: Vec::new(),
        checkpoints: Vec::new(),
        runs: Vec::new(),
        local_checkpoint: None,
    };
    read_hard_state(dir, &mut journal, is_live)?;
    let unreadable = |error: Trouble| bad(What::Unreadable, error.to_string());
    list_files(dir, &mut journal).map_err(unreadable)?;
    Ok(Some(journal))
}

/// Whether a folder without its record holds no more than one that a crash left while it was made: the record comes
/// last, so nothing was written to it yet.
fn is_being_made(dir: &Path) -> bool {
    let Ok(names) = names(dir) else { return false };
    names.iter().all(|name| {
        let path = dir.join(name);
        match JournalFile::parse(name) {
            Some(JournalFile::Segment(Index(1))) => is_zeros(&path, u64::MAX),
            // The first generation lies behind the place of the second.
            Some(JournalFile::HardState) => is_zeros(&path, 2 * BLOCK as u64),
            Some(JournalFile::Temporary) => true,
            _ => false,
        }
    })
}

fn is_zeros(path: &Path, bytes: u64) -> bool {
    let look = || -> io::Result<bool> {
        let mut file = File::open(path)?.take(bytes);
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            match file.read(&mut piece)? {
                0 => return Ok(true),
                read if piece[..read].iter().any(|byte| *byte != 0) => return Ok(false),
                _ => {}
            }
        }
    };
    look().unwrap_or(false)
}

/// A newer version's is refused; one that is not there, or is not whole, is noted.
fn read_hard_state(dir: &Path, journal: &mut Journal, is_live: bool) -> Result<(), Remark> {
    let identity: JournalIdentity = journal.identity;
    let path = dir.join(folder::HARD_STATE);
    let remark = |what, text: String| {
        Remark::of_file(what, Some(identity.journal.0), folder::HARD_STATE.to_owned(), text)
    };
    let decode = |bytes: &[u8]| {
        let read = HardState::read("", bytes, &identity).map_err(|error| error.fault)?;
        Ok(((read, bytes.len()), read.bad_copies))
    };
    let (read, bytes): (HardStateRead, usize) = match read_settled(&path, is_live, decode) {
        Ok(Some((read, _))) => read,
        Ok(None) => {
            let text = "missing: what this replica voted for and acknowledged is not known any more";
            journal.lost.push(remark(What::Damage, text.to_owned()));
            return Ok(());
        }
        Err(fault) => {
            let (what, text) = fault.told();
            return Err(remark(what, text));
        }
    };
    journal.hard_state = Some(read);
    if bytes != HARD_STATE_BYTES {
        let text = format!("it has {bytes} bytes, not {HARD_STATE_BYTES}");
        journal.lost.push(remark(What::Damage, text));
    } else if read.newest.is_none() {
        journal.lost.push(remark(What::Damage, "none of its copies can be read".to_owned()));
    }
    Ok(())
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
            Some(JournalFile::Index(base)) if !names.contains(&JournalFile::Segment(base).name()) => {
                journal.orphans.push((base, path));
            }
            Some(JournalFile::Checkpoint(last)) => journal.checkpoints.push((last, path)),
            Some(JournalFile::Run(run)) => journal.runs.push((run, path)),
            Some(JournalFile::LocalCheckpoint) => journal.local_checkpoint = Some(path),
            _ => {}
        }
    }
    Ok(())
}
