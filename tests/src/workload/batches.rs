//! Makes the batches of the workload: every one different from all others.

use crate::check::Uid;
use crate::check::attempts::Sequence;
use engine::batch::{BatchBuilder, Codec, NewRecord};
use engine::rng::Rng;

/// What a batch is made of.
#[derive(Clone, Copy, Debug)]
pub struct Recipe {
    pub wall_ms: i64,
    pub records: u32,
    pub value_bytes: usize,
    pub sequence: Option<Sequence>,
}

impl Recipe {
    /// Mostly small batches; some that fill an entry of their own.
    pub fn draw(rng: &mut Rng, wall_ms: i64) -> Self {
        let (records, value_bytes) = match rng.below(64) {
            0 => (1, 40_000),
            1..=6 => (1 + rng.below(4) as u32, 5_000),
            _ => (1 + rng.below(5) as u32, rng.below(300) as usize),
        };
        Self { wall_ms, records, value_bytes, sequence: None }
    }
}

pub fn build(rng: &mut Rng, uid: Uid, recipe: &Recipe) -> Vec<u8> {
    let mut builder = BatchBuilder::new(recipe.wall_ms);
    if let Some(Sequence { producer, epoch, first }) = recipe.sequence {
        builder.producer(producer, epoch, first);
    }
    if rng.one_in(8) {
        builder.codec(Codec::ALL[rng.below(Codec::ALL.len() as u64) as usize]);
    }
    let key = (uid.0 as u64).to_be_bytes();
    for record in 0..recipe.records {
        // Clients' times are not in order, and a record's time is not its batch's.
        let timestamp_ms = recipe.wall_ms + rng.below(2_000) as i64 - 1_000;
        let fill = rng.next_u64().to_le_bytes();
        let value: Vec<u8> =
            fill.iter().copied().cycle().take(recipe.value_bytes + record as usize).collect();
        builder.push(NewRecord { timestamp_ms, key: Some(&key), value: Some(&value), headers: &[] });
    }
    builder.build()
}
