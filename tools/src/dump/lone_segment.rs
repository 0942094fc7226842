//! One segment file by itself.

use super::bytes::SegmentBytes;
use super::journal::{Journal, Segment, file_name};
use super::trouble::Trouble;
use engine::entry::layout::{ENTRY_MAGIC, EntryHeader, HEADER_BYTES};
use engine::folder::{self, JournalFile};
use engine::ids::{Index, JournalIdentity};
use engine::journal::format::meta_record::JournalMeta;
use std::fs;
use std::path::Path;
use zerocopy::FromBytes;

/// A segment alone: its journal's record beside it tells the secret, or the command line does.
pub fn lone_segment(path: &Path, secret: Option<u64>) -> Result<Journal, Trouble> {
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
        is_lone: false,
        is_installing: false,
        lost: Vec::new(),
        segments: vec![segment],
        orphans: Vec::new(),
        checkpoints: Vec::new(),
        runs: Vec::new(),
        local_checkpoint: None,
    })
}
