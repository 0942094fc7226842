//! What happens to a data folder while its node is down: files and folders are missing, empty, cut short, of another
//! node, or an old copy is put back. On one node of a cluster whose others have theirs and have met its newest start,
//! or on a lone one, which gets its folder back once it has refused this one.

use super::disk::tamper::Copied;
use super::safety::may_lose_disk;
use super::survey;
use super::world::World;
use engine::folder::{self, JOURNALS, NODE_META};
use engine::ids::JournalId;
use engine::rng::Rng;

#[derive(Clone, Copy, Debug)]
enum How {
    Missing,
    Empty,
    Truncated,
    OtherNode,
    Old,
}

/// What a node's folder was in an earlier process.
#[derive(Clone)]
pub(super) struct OldCopy {
    files: Copied,
    run: u64,
    wipes: u64,
}

/// Keeps a copy of a folder whose process just ended, if there is none of this disk.
pub(super) fn keep_old(world: &World, node: usize, old: &mut Option<OldCopy>) {
    let here = &world.nodes[node];
    if old.as_ref().is_none_or(|old| old.wipes != here.wipes) {
        let files = here.disk.copy_of("");
        *old = Some(OldCopy { files, run: here.run, wipes: here.wipes });
    }
}

/// Whether all that this node's folder holds is elsewhere, too, and whoever is up can tell an old copy of it.
pub(super) fn may_strike(world: &World, node: usize) -> bool {
    if world.nodes.len() == 1 {
        return world.nodes[0].is_ready();
    }
    let here = &world.nodes[node];
    let mut others = world.nodes.iter().filter(|other| other.number != node);
    may_lose_disk(world, node) && others.all(|other| other.has_met(here))
}

/// Does it to a node that is down.
pub(super) fn strike(world: &mut World, node: usize, old: Option<&OldCopy>, rng: &mut Rng) {
    let is_alone = world.nodes.len() == 1;
    let here = &world.nodes[node];
    let old = old.filter(|old| old.wipes == here.wipes && old.run < here.run);
    let how = match rng.below(6) {
        _ if old.is_some() && rng.one_in(2) => How::Old,
        0 => How::Empty,
        1 => How::Truncated,
        2 | 3 if !is_alone => How::OtherNode,
        _ => How::Missing,
    };
    let Some(path) = draw_path(world, node, how, rng) else { return };
    let elsewhere = match how {
        How::OtherNode => {
            let other = (node + 1 + rng.below(world.nodes.len() as u64 - 1) as usize) % world.nodes.len();
            world.nodes[other].disk.copy_of(&path)
        }
        How::Old => old.map(|old| old.files.clone()).unwrap_or_default(),
        How::Missing | How::Empty | How::Truncated => Vec::new(),
    };
    world.trace.line(world.now_ns, format_args!("{how:?} on n{node}: {path:?}"));
    world.counts.add(&format!("folder: {how:?}"));
    let disk = &mut world.nodes[node].disk;
    match how {
        How::Missing => disk.remove_all(&path),
        How::Empty => disk.empty_all(&path),
        How::Truncated => disk.halve_all(&path),
        How::OtherNode | How::Old => disk.replace_all(&path, &elsewhere),
    }
    world.forget_promises(node);
}

/// Of which file or folder. What only looks like damage of entries is left to those that do damage.
fn draw_path(world: &World, node: usize, how: How, rng: &mut Rng) -> Option<String> {
    let is_alone = world.nodes.len() == 1;
    let journals: Vec<JournalId> =
        survey::journals(&world.nodes[node]).iter().map(|identity| identity.journal).collect();
    if journals.is_empty() {
        return None;
    }
    let journal = journals[rng.below(journals.len() as u64) as usize];
    let is_whole_folder = matches!(how, How::Missing | How::OtherNode | How::Old);
    let is_foreign = matches!(how, How::OtherNode);
    // A journal's folder alone is told by this node's own register; of the whole only others can tell.
    if matches!(how, How::Old) && !is_alone && rng.one_in(2) {
        return Some(String::new());
    }
    Some(match rng.below(6) {
        // Another node's record, or its whole folder, is refused at each start.
        0 if !is_foreign => NODE_META.to_owned(),
        1 => folder::journal_meta_path(journal),
        // A lone node's vote counts for nothing: it would go on with what is left.
        2 if !is_alone || matches!(how, How::Missing) => folder::hard_state_path(journal),
        3 if is_whole_folder => JOURNALS.to_owned(),
        // Nobody can tell a lone node that all it has is old.
        4 if is_whole_folder && !is_alone && !is_foreign => String::new(),
        _ if is_whole_folder => folder::journal_dir(journal),
        _ => folder::journal_meta_path(journal),
    })
}
