//! Which partition the next record goes to.

use crate::options::KeyMode;
use fastrand::Rng;

/// Keys of a Zipf workload: enough that the rarest hardly matter.
const ZIPF_KEYS: u32 = 100_000;

#[derive(Debug)]
pub enum Chooser {
    /// The caller sticks to a partition until its batch is sent.
    Sticky,
    RoundRobin {
        next: u32,
        partitions: u32,
    },
    Random {
        rng: Rng,
        partitions: u32,
    },
    Zipf {
        rng: Rng,
        /// The part of all records that goes to this partition or to one before it.
        up_to: Vec<f64>,
    },
}

impl Chooser {
    pub fn new(mode: KeyMode, partitions: u32, seed: u64) -> Self {
        let rng = Rng::with_seed(seed);
        match mode {
            KeyMode::None => Self::Sticky,
            KeyMode::RoundRobin => Self::RoundRobin { next: seed as u32 % partitions, partitions },
            KeyMode::Random => Self::Random { rng, partitions },
            KeyMode::Zipf(exponent) => Self::Zipf { rng, up_to: zipf(exponent, partitions) },
        }
    }

    /// Not for [`Chooser::Sticky`].
    pub fn choose(&mut self) -> u32 {
        match self {
            Self::Sticky => unreachable!("who sticks to a partition does not ask"),
            Self::RoundRobin { next, partitions } => {
                let chosen = *next;
                *next = if chosen + 1 == *partitions { 0 } else { chosen + 1 };
                chosen
            }
            Self::Random { rng, partitions } => rng.u32(..*partitions),
            Self::Zipf { rng, up_to } => {
                let drawn = rng.f64();
                let found = up_to.partition_point(|part| *part <= drawn);
                found.min(up_to.len() - 1) as u32
            }
        }
    }
}

/// Key number r weighs 1 / r^exponent and goes to the partition that its hash names.
fn zipf(exponent: f64, partitions: u32) -> Vec<f64> {
    let mut weights = vec![0.0; partitions as usize];
    for rank in 1..=ZIPF_KEYS {
        let partition = crc32c::crc32c(&rank.to_be_bytes()) % partitions;
        weights[partition as usize] += f64::from(rank).powf(-exponent);
    }
    let all: f64 = weights.iter().sum();
    let mut sum = 0.0;
    for weight in &mut weights {
        sum += *weight / all;
        *weight = sum;
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(mode: KeyMode, partitions: u32) -> Vec<u32> {
        let mut chooser = Chooser::new(mode, partitions, 3);
        let mut counts = vec![0; partitions as usize];
        (0..100_000).for_each(|_| counts[chooser.choose() as usize] += 1);
        counts
    }

    #[test]
    fn every_mode_draws_as_it_says() {
        assert!(draw(KeyMode::RoundRobin, 10).iter().all(|count| *count == 10_000));
        assert!(draw(KeyMode::Random, 10).iter().all(|count| (9_500..10_500).contains(count)));
        let mut zipf = draw(KeyMode::Zipf(1.2), 100);
        zipf.sort_unstable();
        assert!(zipf[99] > 15_000 && zipf[0] < 1_000, "{} {}", zipf[99], zipf[0]);
    }
}
