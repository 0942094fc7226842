//! Random bits from the operating system, for what must never be guessed or repeated.

use std::fs::File;
use std::io::Read;

/// `N` random words. The kernel's source does not block once it was seeded at boot.
pub fn random<const N: usize>() -> [u64; N] {
    let mut source = File::open("/dev/urandom").expect("every Linux has /dev/urandom");
    core::array::from_fn(|_| {
        let mut word = [0; 8];
        source.read_exact(&mut word).expect("the kernel's random source never ends");
        u64::from_le_bytes(word)
    })
}
