//! What the engine's hot steps cost, each by itself: `cargo bench -p duramen-bench --bench engine`.

mod acls;
mod building;
mod compaction;
mod index;
mod made;
mod records;
mod recovery;
mod replica;
mod validation;

use criterion::{criterion_group, criterion_main};

criterion_group!(
    benches,
    validation::batch_validation,
    records::record_validation,
    records::recompression,
    compaction::compaction,
    building::entry_building,
    recovery::recovery_scan,
    index::index_look_up,
    replica::raft_step,
    acls::access_rules,
);
criterion_main!(benches);
