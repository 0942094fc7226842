//! Rot: what a medium does to data at rest while the node is down, within what recovery promises
//! to notice (entries at or below a commit index that another entry carries, one copy of a hard
//! state or of a journal's record, index files).

use super::disk::SimFile;
use super::narrate::file_kind;
use super::survey::{Found, content, journals, survey};
use super::world::World;
use crate::check::Model;
use crate::check::damage::Broken;
use engine::disk::BLOCK;
use engine::entry::EntryKind;
use engine::folder::JOURNAL_META;
use engine::ids::{JournalId, META_JOURNAL};
use engine::journal::format::meta_record::JournalMeta;
use engine::rng::Rng;

/// Breaks one thing.
pub fn strike(world: &mut World, model: &mut Model, rng: &mut Rng) {
    if rng.one_in(3) || !entry(world, model, rng) {
        metadata(world, model, rng);
    }
}

/// Both copies of a journal's record are good: one of them may rot until it was written again.
fn is_whole_record(path: &str, file: &SimFile) -> bool {
    let decoded = || JournalMeta::decode(path, &content(file));
    file_kind(path) == JOURNAL_META && decoded().is_ok_and(|(_, bad_copies)| bad_copies == 0)
}

/// A bit or block of an index file, of one copy of a hard state or of a journal's record.
fn metadata(world: &mut World, model: &mut Model, rng: &mut Rng) {
    let disk = &mut world.nodes[0].disk;
    let paths: Vec<String> = disk
        .files()
        .filter(|(path, file)| {
            let may_break = matches!(file_kind(path), "index" | "hard-state") || is_whole_record(path, file);
            may_break && !file.is_empty()
        })
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
    let journals = journals(&world.nodes[0]);
    let mut candidates: Vec<(JournalId, Found)> = Vec::new();
    for identity in journals.iter().filter(|identity| identity.journal != META_JOURNAL) {
        let is_broken = |index: u64| {
            let broken = &mut model.damage.broken.iter();
            broken.any(|broken| broken.journal == identity.journal && broken.index == index)
        };
        let found = survey(&world.nodes[0], identity, &is_broken);
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
