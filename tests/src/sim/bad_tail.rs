//! A crash, and one disk of the cluster lies about its last entries: they were synced, and perhaps
//! acknowledged, and cannot be read any more. It is always the same disk of a run: fewer than a
//! majority are promised to.

use super::decay::bound;
use super::survey::{Found, content, journals, whole_entries};
use super::world::World;
use crate::check::Model;
use engine::disk::BLOCK;
use engine::ids::JournalIdentity;
use engine::rng::Rng;

/// What a medium does to a block that it holds; zeros it never gives.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Flip,
    Unreadable,
    Misdirected,
}

/// Breaks the last entries of some journals of a node that is down.
pub fn strike(world: &mut World, model: &mut Model, node: usize, rng: &mut Rng) {
    for identity in journals(&world.nodes[node]) {
        let others = (0..world.nodes.len()).filter(|other| *other != node);
        let is_replicated =
            others.map(|other| journals(&world.nodes[other])).any(|all| all.contains(&identity));
        if is_replicated && rng.one_in(2) {
            of_journal(world, model, node, &identity, rng);
        }
    }
}

fn of_journal(world: &mut World, model: &mut Model, node: usize, identity: &JournalIdentity, rng: &mut Rng) {
    let all = whole_entries(&world.nodes[node], identity);
    let known = bound(world, node, identity, &all, 0);
    let above: Vec<&Found> = all.iter().filter(|entry| entry.index > known).collect();
    let count = (1 + rng.below(3) as usize).min(above.len());
    for victim in &above[above.len() - count..] {
        let other = &all[rng.below(all.len() as u64) as usize];
        break_it(world, node, victim, other, rng);
        // A head behind it that tells of its commit makes it damage, where the entry of that head is torn.
        model.damage.repairable.insert((identity.journal, victim.index));
        let (journal, index, path) = (identity.journal, victim.index, &victim.path);
        world.trace.line(world.now_ns, format_args!("n{node} lies: j{journal} entry {index} in {path}"));
    }
}

fn break_it(world: &mut World, node: usize, victim: &Found, other: &Found, rng: &mut Rng) {
    let kind = [Kind::Flip, Kind::Flip, Kind::Unreadable, Kind::Misdirected][rng.below(4) as usize];
    let within = victim.draw_byte(rng) as u64;
    let disk = &world.nodes[node].disk;
    let strayed = disk.files().find(|(path, _)| *path == other.path).map(|(_, file)| {
        let from = other.position as usize;
        content(file)[from..from + other.entry_bytes.min(victim.entry_bytes)].to_vec()
    });
    let file = world.nodes[node].disk.file_mut(&victim.path).expect("surveyed");
    match kind {
        Kind::Flip => file.flip(victim.position + within, rng.below(8) as u8),
        Kind::Unreadable => file.make_unreadable((victim.position + within) / BLOCK as u64),
        Kind::Misdirected if other.index == victim.index => file.flip(victim.position + within, 1),
        Kind::Misdirected => file.overwrite(victim.position / BLOCK as u64, &strayed.expect("surveyed")),
    }
    world.counts.add(&format!("last entries lied about: {kind:?}"));
}
