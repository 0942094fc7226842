//! Rot: what a medium does to data at rest while the node is down, within what recovery promises
//! to notice (entries at or below a commit index that another entry carries, one copy of a hard
//! state, index files).

use super::disk::SimFile;
use super::narrate::file_kind;
use super::world::World;
use crate::check::Model;
use crate::check::damage::{Broken, Hole};
use engine::disk::BLOCK;
use engine::entry::EntryKind;
use engine::entry::layout::descriptors_of;
use engine::entry::reader::{Expect, check_body_pieces, check_head};
use engine::folder::{self, JournalFile};
use engine::ids::{Index, JournalId, JournalIdentity, META_JOURNAL};
use engine::journal::meta_record::JournalMeta;
use engine::rng::Rng;

/// A whole entry as it lies on the disk.
struct Found {
    index: u64,
    commit: u64,
    position: u64,
    head_bytes: usize,
    entry_bytes: usize,
    kind: EntryKind,
    path: String,
    holes: Vec<Hole>,
}

/// Breaks one thing.
pub fn strike(world: &mut World, model: &mut Model, rng: &mut Rng) {
    if rng.one_in(3) || !entry(world, model, rng) {
        metadata(world, model, rng);
    }
}

/// A bit or block of an index file or of one copy of a hard state.
fn metadata(world: &mut World, model: &mut Model, rng: &mut Rng) {
    let disk = &mut world.nodes[0].disk;
    let paths: Vec<String> = disk
        .files()
        .filter(|(path, file)| matches!(file_kind(path), "index" | "hard-state") && !file.is_empty())
        .map(|(path, _)| path.to_owned())
        .collect();
    if paths.is_empty() {
        return;
    }
    let path = &paths[rng.below(paths.len() as u64) as usize];
    let position = rng.below(disk.file_mut(path).expect("listed").len());
    model.damage.index_broken |= file_kind(path) == "index";
    break_at(world, path, position, rng);
}

fn break_at(world: &mut World, path: &str, position: u64, rng: &mut Rng) {
    let file = world.nodes[0].disk.file_mut(path).expect("listed");
    if rng.one_in(3) {
        file.make_unreadable(position / BLOCK as u64);
    } else {
        file.flip(position, rng.below(8) as u8);
    }
    world.counts.add(&format!("rot: {}", file_kind(path)));
    world.trace.line(world.now_ns, format_args!("rot in {path} at {position}"));
}

/// A byte of a committed batches entry.
fn entry(world: &mut World, model: &mut Model, rng: &mut Rng) -> bool {
    let journals = journals(world);
    let mut candidates: Vec<(JournalId, Found)> = Vec::new();
    for identity in journals.iter().filter(|identity| identity.journal != META_JOURNAL) {
        let found = survey(world, model, identity);
        let known = found.iter().map(|entry| entry.commit).max().unwrap_or(0);
        let breakable = |entry: &Found| entry.index <= known && entry.kind == EntryKind::Batches;
        candidates.extend(found.into_iter().filter(breakable).map(|entry| (identity.journal, entry)));
    }
    if candidates.is_empty() {
        return false;
    }
    let (journal, victim) = candidates.swap_remove(rng.below(candidates.len() as u64) as usize);
    break_entry(world, model, journal, victim, rng);
    true
}

fn break_entry(world: &mut World, model: &mut Model, journal: JournalId, victim: Found, rng: &mut Rng) {
    let within = victim.draw_byte(rng);
    let position = victim.position + within as u64;
    let file = world.nodes[0].disk.file_mut(&victim.path).expect("surveyed");
    let unreadable = rng.one_in(3);
    if unreadable {
        file.make_unreadable(position / BLOCK as u64);
    } else {
        file.flip(position, rng.below(8) as u8);
    }
    // What cannot be read is a whole block.
    let first_lost = if unreadable { within / BLOCK * BLOCK } else { within };
    let head = first_lost < victim.head_bytes;
    world.counts.add("rot: segment");
    world.counts.add(if head { "rot: head of an entry" } else { "rot: body of an entry" });
    let Found { path, index, .. } = &victim;
    world.trace.line(world.now_ns, format_args!("rot in {path} at {position}, entry {index}, head {head}"));
    model.damage.broken.push(Broken { journal, index: victim.index, head });
    model.damage.holes.extend(victim.holes);
}

impl Found {
    /// Where to break it: mostly behind the block in which the head ends, for what breaks there
    /// leaves the head whole in any case.
    fn draw_byte(&self, rng: &mut Rng) -> usize {
        let behind_head = self.head_bytes.next_multiple_of(BLOCK);
        let (from, to) = match rng.below(4) {
            0 => (0, self.head_bytes),
            _ if behind_head < self.entry_bytes => (behind_head, self.entry_bytes),
            _ => (self.head_bytes, self.entry_bytes),
        };
        from + rng.below((to - from) as u64) as usize
    }
}

fn content(file: &SimFile) -> Vec<u8> {
    let mut bytes = vec![0; file.len() as usize];
    file.durable().read(0, &mut bytes);
    bytes
}

fn journals(world: &World) -> Vec<JournalIdentity> {
    let disk = &world.nodes[0].disk;
    let metas = disk.files().filter(|(path, _)| file_kind(path) == folder::JOURNAL_META);
    metas
        .filter_map(|(path, file)| Some(JournalMeta::decode(path, &content(file)).ok()?.0.identity()))
        .collect()
}

/// The whole entries of a journal up to the first that is neither whole nor known to be broken.
fn survey(world: &World, model: &Model, identity: &JournalIdentity) -> Vec<Found> {
    let dir = folder::journal_dir(identity.journal);
    let mut all: Vec<Found> = Vec::new();
    for (path, file) in world.nodes[0].disk.files() {
        let Some(name) = path.strip_prefix(&dir).and_then(|rest| rest.strip_prefix('/')) else { continue };
        if let Some(JournalFile::Segment(base)) = JournalFile::parse(name) {
            segment(&mut all, path, &content(file), base, identity);
        }
    }
    all.sort_by_key(|entry| entry.index);
    let mut next = all.first().map_or(1, |entry| entry.index);
    let is_broken = |index: u64| {
        model.damage.broken.iter().any(|broken| broken.journal == identity.journal && broken.index == index)
    };
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
