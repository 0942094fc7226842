//! CRC-32C is linear: the CRC of `head ‖ body` is that of `head`, pushed on by the length of
//! `body`, xor that of `body`. The push by one fixed length is a matrix of 32 columns. So a
//! prebuilt body is summed once, and each batch around it costs the CRC of its head and 20 ns.

/// Pushes a CRC on by a fixed number of bytes.
#[derive(Clone, Debug)]
pub struct Shift([u32; 32]);

impl Shift {
    pub fn by(bytes: usize) -> Self {
        Self(core::array::from_fn(|bit| crc32c::crc32c_combine(1 << bit, 0, bytes)))
    }

    /// The CRC of the whole, from those of its two pieces.
    pub fn combine(&self, head_crc: u32, body_crc: u32) -> u32 {
        let columns = self.0.iter().enumerate();
        columns.fold(body_crc, |sum, (bit, column)| sum ^ (column & 0u32.wrapping_sub((head_crc >> bit) & 1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_pieces_make_the_whole() {
        let bytes: Vec<u8> = (0..10_000u32).map(|n| (n * 7 + n / 256) as u8).collect();
        for cut in [0, 1, 40, 4_096, 9_999, 10_000] {
            let (head, body) = bytes.split_at(cut);
            let shift = Shift::by(body.len());
            let whole = shift.combine(crc32c::crc32c(head), crc32c::crc32c(body));
            assert_eq!(whole, crc32c::crc32c(&bytes), "cut at {cut}");
        }
    }
}
