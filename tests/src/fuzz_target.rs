//! What is fed with bytes that are nearly right: a decoder, right bytes to begin with, and what it may allocate.

/// One decoder.
pub struct Target {
    pub name: &'static str,
    pub run: fn(&[u8]),
    pub seeds: Vec<Vec<u8>>,
    /// What it may allocate at once: so many times its input, and what it takes whatever that is.
    pub allocates_times: usize,
    pub allocates_bytes: usize,
}

/// With room for an error's text, and for structures that are small and many times a few bytes.
pub fn target(name: &'static str, allocates_times: usize, seeds: Vec<Vec<u8>>, run: fn(&[u8])) -> Target {
    assert!(!seeds.is_empty() && !name.is_empty(), "{name} has nothing to begin with");
    Target { name, run, seeds, allocates_times, allocates_bytes: 16 << 10 }
}
