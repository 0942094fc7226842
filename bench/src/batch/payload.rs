//! The bytes of records that carry nothing but load: random, or in part the same letter, so that
//! they compress as far as asked. The same seed gives the same bytes.

use fastrand::Rng;

/// Fills `value`; about this part of it (0 to 1) compresses away.
pub fn fill(rng: &mut Rng, value: &mut [u8], compressible: f64) {
    let same = (value.len() as f64 * compressible).round() as usize;
    let (text, noise) = value.split_at_mut(same.min(value.len()));
    text.fill(b'd');
    rng.fill(noise);
}

#[cfg(test)]
mod tests {
    use super::*;
    use net::kafka::client::batch::Codec;

    #[test]
    fn it_compresses_as_far_as_asked() {
        for (compressible, least, most) in [(0.0, 0.99, 1.1), (0.5, 0.45, 0.6), (0.9, 0.05, 0.2)] {
            let mut bytes = vec![0; 64 << 10];
            let mut rng = Rng::with_seed(1);
            bytes.chunks_mut(1024).for_each(|value| fill(&mut rng, value, compressible));
            let ratio = Codec::Zstd.compress(&bytes).len() as f64 / bytes.len() as f64;
            assert!((least..most).contains(&ratio), "{compressible}: {ratio}");
        }
    }
}
