//! PBKDF2, a part at a time: 16,384 rounds are most of an election's heartbeat, and no unknown client may have a shard
//! for that long.

use super::scram_keys::{KeyedHash, ScramDigest};
use engine::control::credentials::Mechanism;

/// The salted password of SCRAM (`Hi` of RFC 5802), on its way.
pub struct Stretch {
    hash: Mechanism,
    mac: KeyedHash,
    last: ScramDigest,
    sum: ScramDigest,
    rounds_left: u32,
}

impl Stretch {
    /// Takes at least one round.
    pub fn new(hash: Mechanism, password: &[u8], salt: &[u8], rounds: u32) -> Self {
        assert!(rounds > 0, "PBKDF2 of no rounds");
        let mac = KeyedHash::new(hash, password);
        let last = mac.of(&[salt, &1u32.to_be_bytes()]);
        Self { hash, mac, sum: last.clone(), last, rounds_left: rounds - 1 }
    }

    pub fn hash(&self) -> Mechanism {
        self.hash
    }

    /// Goes on for so many rounds at most; true when it is done.
    pub fn advance(&mut self, rounds: u32) -> bool {
        for _ in 0..rounds.min(self.rounds_left) {
            self.last = self.mac.of(&[self.last.as_bytes()]);
            self.sum.xor(&self.last);
            self.rounds_left -= 1;
        }
        self.rounds_left == 0
    }

    /// Goes on to the end.
    pub fn finish(mut self) -> ScramDigest {
        assert!(self.advance(u32::MAX), "there are no more rounds than that");
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(digest: &ScramDigest) -> String {
        digest.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn the_known_answers_of_pbkdf2() {
        // RFC 7914, section 11, cut to one block; and its like for SHA-512.
        let one = Stretch::new(Mechanism::ScramSha256, b"passwd", b"salt", 1).finish();
        assert_eq!(hex(&one), "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc");
        let many = Stretch::new(Mechanism::ScramSha512, b"password", b"salt", 4096).finish();
        assert_eq!(
            hex(&many),
            "d197b1b33db0143e018b12f3d1d1479e6cdebdcc97c5c0f87f6902e072f457b5\
             143f30602641b3d55cd335988cb36b84376060ecd532e039b742a239434af2d5"
        );
    }

    #[test]
    fn in_parts_it_is_the_same() {
        let whole = Stretch::new(Mechanism::ScramSha256, b"p", b"s", 1000).finish();
        let mut parts = Stretch::new(Mechanism::ScramSha256, b"p", b"s", 1000);
        let mut count = 0;
        while !parts.advance(7) {
            count += 1;
        }
        assert_eq!(count, 142);
        assert!(parts.finish().is(&whole));
    }
}
