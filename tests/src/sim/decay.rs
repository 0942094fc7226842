//! Rot in a cluster, in clusters: bits flip, blocks cannot be read, writes were lost or went astray,
//! on any nodes, running or not; but each entry stays whole on one of them, and what recovery goes by
//! still tells that it is damage.

use super::survey::{Found, content, hard_state, journals, whole_entries};
use super::world::World;
use crate::check::Model;
use engine::disk::BLOCK;
use engine::ids::{JournalId, JournalIdentity};
use engine::rng::Rng;
use std::collections::BTreeSet;

/// What a medium does to an entry.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Flip,
    Unreadable,
    LostWrite,
    Misdirected,
}

/// Breaks some entries on this node or on all.
pub fn strike(world: &mut World, model: &mut Model, node: usize, rng: &mut Rng) {
    let all: Vec<JournalIdentity> = journals(&world.nodes[node]);
    if all.is_empty() {
        return;
    }
    let identity = all[rng.below(all.len() as u64) as usize];
    let everywhere = rng.one_in(2);
    let nodes: Vec<usize> = if everywhere { (0..world.nodes.len()).collect() } else { vec![node] };
    let mut struck = BTreeSet::new();
    for node in nodes {
        for _ in 0..1 + rng.below(2) {
            if let Some(index) = entry(world, model, node, &identity, rng) {
                struck.insert((node, index));
            }
        }
    }
    let broken: BTreeSet<usize> = struck.iter().map(|(node, _)| *node).collect();
    if broken.len() >= 3 {
        world.counts.add("damage on every replica");
    }
}

/// The highest entry that recovery knows to have been durable, `without` one entry.
pub(super) fn bound(
    world: &World,
    node: usize,
    identity: &JournalIdentity,
    found: &[Found],
    without: u64,
) -> u64 {
    let told = found.iter().filter(|entry| entry.index != without).map(|entry| entry.commit).max();
    let state = hard_state(&world.nodes[node], identity).unwrap_or_default();
    told.unwrap_or(0).max(state.commit.0).max(state.synced.index.0)
}

/// Breaks one entry of a journal; gives its index.
fn entry(
    world: &mut World,
    model: &mut Model,
    node: usize,
    identity: &JournalIdentity,
    rng: &mut Rng,
) -> Option<u64> {
    let mine = whole_entries(&world.nodes[node], identity);
    let (first, last) = (mine.first()?.index, mine.last()?.index);
    let others: BTreeSet<(u64, u32)> = (0..world.nodes.len())
        .filter(|other| *other != node)
        .flat_map(|other| whole_entries(&world.nodes[other], identity))
        .map(|entry| (entry.index, entry.checksum))
        .collect();
    let victim = &mine[rng.below(mine.len() as u64) as usize];
    let known = bound(world, node, identity, &mine, 0);
    let known_without = bound(world, node, identity, &mine, victim.index);
    let here: BTreeSet<u64> = mine.iter().map(|entry| entry.index).collect();
    let gaps = (first..=last.min(known)).filter(|index| !here.contains(index));
    let highest_bad = gaps.chain([victim.index]).max()?;
    if highest_bad > known_without || !others.contains(&(victim.index, victim.checksum)) {
        return None;
    }
    let other = &mine[rng.below(mine.len() as u64) as usize];
    break_it(world, node, identity.journal, victim, other, rng);
    model.damage.repairable.insert((identity.journal, victim.index));
    Some(victim.index)
}

fn break_it(
    world: &mut World,
    node: usize,
    journal: JournalId,
    victim: &Found,
    other: &Found,
    rng: &mut Rng,
) {
    let kind = [Kind::Flip, Kind::Flip, Kind::Unreadable, Kind::LostWrite, Kind::Misdirected];
    let kind = kind[rng.below(kind.len() as u64) as usize];
    let within = victim.draw_byte(rng) as u64;
    let strayed = world.nodes[node].disk.files().find(|(path, _)| *path == other.path);
    let strayed = strayed.map(|(_, file)| {
        let from = other.position as usize;
        content(file)[from..from + other.entry_bytes.min(victim.entry_bytes)].to_vec()
    });
    let file = world.nodes[node].disk.file_mut(&victim.path).expect("surveyed");
    let first_block = victim.position / BLOCK as u64;
    match kind {
        Kind::Flip => file.flip(victim.position + within, rng.below(8) as u8),
        Kind::Unreadable => file.make_unreadable((victim.position + within) / BLOCK as u64),
        Kind::LostWrite => file.erase(first_block, victim.entry_bytes / BLOCK),
        Kind::Misdirected => file.overwrite(first_block, &strayed.expect("surveyed")),
    }
    world.counts.add(&format!("rot in a cluster: {kind:?}"));
    let Found { path, index, .. } = victim;
    world.trace.line(world.now_ns, format_args!("{kind:?} on n{node} in {path}, j{journal} entry {index}"));
}
