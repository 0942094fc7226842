//! The trace of a run: a line for every input and output, hashed always, printed when asked for.
//!
//! One seed gives one trace: two runs of a seed have the same hash, or something outside the seed
//! had a say.

use std::fmt::{self, Write};

#[derive(Clone, Debug)]
pub struct Trace {
    hash: u64,
    lines: u64,
    print: bool,
}

impl Trace {
    pub fn new(print: bool) -> Self {
        Self { hash: 0xcbf2_9ce4_8422_2325, lines: 0, print }
    }

    /// Adds a line.
    pub fn line(&mut self, at_ns: u64, line: fmt::Arguments<'_>) {
        self.lines += 1;
        write!(self, "{at_ns} {line}").expect("hashing does not fail");
        if self.print {
            println!("{:>6}.{:06} ms  {line}", at_ns / 1_000_000, at_ns % 1_000_000);
        }
    }

    pub fn hash(&self) -> u64 {
        self.hash
    }

    pub fn lines(&self) -> u64 {
        self.lines
    }
}

impl Write for Trace {
    // FNV-1a over words: cheap, and any difference shows.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for word in text.as_bytes().chunks(8) {
            let mut bytes = [0; 8];
            bytes[..word.len()].copy_from_slice(word);
            self.hash = (self.hash ^ u64::from_le_bytes(bytes)).wrapping_mul(0x0000_0100_0000_01b3);
            self.hash ^= self.hash >> 29;
        }
        Ok(())
    }
}
