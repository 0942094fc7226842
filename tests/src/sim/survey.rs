//! What lies on a node's disk: its journals, and their whole entries.

use super::disk::SimFile;
use super::narrate::file_kind;
use super::node::Node;
use crate::check::damage::Hole;
use engine::disk::BLOCK;
use engine::entry::EntryKind;
use engine::entry::layout::descriptors_of;
use engine::entry::reader::{Expect, check_body_pieces, check_head};
use engine::folder::{self, JournalFile};
use engine::ids::{Index, JournalId, JournalIdentity};
use engine::journal::format::hard_state::HardState;
use engine::journal::format::meta_record::JournalMeta;
use engine::rng::Rng;

/// A whole entry as it lies on the disk.
pub struct Found {
    pub index: u64,
    pub checksum: u32,
    pub commit: u64,
    pub position: u64,
    pub head_bytes: usize,
    pub entry_bytes: usize,
    pub kind: EntryKind,
    pub path: String,
    pub holes: Vec<Hole>,
}

impl Found {
    /// Where to break it: mostly behind the block in which the head ends, for what breaks there
    /// leaves the head whole in any case.
    pub fn draw_byte(&self, rng: &mut Rng) -> usize {
        let behind_head = self.head_bytes.next_multiple_of(BLOCK);
        let (from, to) = match rng.below(4) {
            0 => (0, self.head_bytes),
            _ if behind_head < self.entry_bytes => (behind_head, self.entry_bytes),
            _ => (self.head_bytes, self.entry_bytes),
        };
        from + rng.below((to - from) as u64) as usize
    }
}

pub fn content(file: &SimFile) -> Vec<u8> {
    let mut bytes = vec![0; file.len() as usize];
    file.durable().read(0, &mut bytes);
    for block in file.unreadable() {
        let from = (block as usize * BLOCK).min(bytes.len());
        let to = (from + BLOCK).min(bytes.len());
        bytes[from..to].fill(0xFF);
    }
    bytes
}

pub fn journals(node: &Node) -> Vec<JournalIdentity> {
    let disk = &node.disk;
    let metas = disk.files().filter(|(path, _)| file_kind(path) == folder::JOURNAL_META);
    metas
        .filter_map(|(path, file)| Some(JournalMeta::decode(path, &content(file)).ok()?.0.identity()))
        .collect()
}

pub fn identity(node: &Node, journal: JournalId) -> Option<JournalIdentity> {
    journals(node).into_iter().find(|identity| identity.journal == journal)
}

/// The newest good copy of a journal's hard state.
pub fn hard_state(node: &Node, identity: &JournalIdentity) -> Option<HardState> {
    let path = folder::hard_state_path(identity.journal);
    let (_, file) = node.disk.files().find(|(name, _)| *name == path)?;
    HardState::read(&path, &content(file), identity).ok()?.newest
}

/// All whole entries of a journal, whatever lies between them.
pub fn whole_entries(node: &Node, identity: &JournalIdentity) -> Vec<Found> {
    let dir = folder::journal_dir(identity.journal);
    let mut all: Vec<Found> = Vec::new();
    for (path, file) in node.disk.files() {
        let Some(name) = path.strip_prefix(&dir).and_then(|rest| rest.strip_prefix('/')) else { continue };
        if let Some(JournalFile::Segment(base)) = JournalFile::parse(name) {
            segment(&mut all, path, &content(file), base, identity);
        }
    }
    all.sort_by_key(|entry| entry.index);
    all
}

/// The whole entries of a journal up to the first that is neither whole nor known to be broken.
pub fn survey(node: &Node, identity: &JournalIdentity, is_broken: &dyn Fn(u64) -> bool) -> Vec<Found> {
    let all = whole_entries(node, identity);
    let mut next = all.first().map_or(1, |entry| entry.index);
    let mut whole = Vec::new();
    for entry in all {
        while next < entry.index && is_broken(next) {
            next += 1;
        }
        if entry.index != next {
            break;
        }
        next += 1;
        whole.push(entry);
    }
    whole
}

fn segment(all: &mut Vec<Found>, path: &str, bytes: &[u8], base: Index, identity: &JournalIdentity) {
    let mut at = 0;
    while at + BLOCK <= bytes.len() {
        let expect = Expect { identity: *identity, segment_base: base, position: at as u64 };
        let Ok(header) = check_head(&bytes[at..], &expect) else {
            at += BLOCK;
            continue;
        };
        let Some(entry) = bytes.get(at..at + header.entry_bytes()) else { return };
        let kind = header.kind().expect("checked with the head");
        let head = &entry[..header.head_bytes()];
        if check_body_pieces(head, [entry]).is_ok() {
            let descriptors = match kind {
                EntryKind::Batches => {
                    descriptors_of(head, header.count.get()).expect("checked with the head")
                }
                _ => &[],
            };
            let hole = |descriptor: &engine::entry::BatchDescriptor| Hole {
                journal: identity.journal,
                index: header.index.get(),
                partition: descriptor.partition(),
                base: descriptor.base_offset(),
                end: descriptor.next_offset(),
            };
            all.push(Found {
                index: header.index.get(),
                checksum: header.checksum.get(),
                commit: header.commit.get(),
                position: at as u64,
                head_bytes: header.head_bytes(),
                entry_bytes: header.entry_bytes(),
                kind,
                path: path.to_owned(),
                holes: descriptors.iter().map(hole).collect(),
            });
        }
        at += header.entry_bytes();
    }
}
