//! When a batch's records were to be sent: 24 bytes at the front of its first record's value, by
//! the machine's monotonic clock, from which whoever reads it on the same machine takes the
//! end-to-end latency in microseconds.

/// Marks a value that begins with a stamp.
const MARK: [u8; 8] = *b"duraload";
pub const STAMP_BYTES: usize = 24;

/// The intended times of a batch's first and last record; those between are spread evenly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    pub first_ns: u64,
    pub last_ns: u64,
}

impl Stamp {
    pub fn bytes(&self) -> [u8; STAMP_BYTES] {
        let mut bytes = [0; STAMP_BYTES];
        bytes[..8].copy_from_slice(&MARK);
        bytes[8..16].copy_from_slice(&self.first_ns.to_be_bytes());
        bytes[16..].copy_from_slice(&self.last_ns.to_be_bytes());
        bytes
    }

    pub fn read(value: &[u8]) -> Option<Self> {
        let (mark, rest) = value.split_first_chunk::<8>()?;
        let (first, rest) = rest.split_first_chunk::<8>()?;
        let (last, _) = rest.split_first_chunk::<8>()?;
        let stamp = Self { first_ns: u64::from_be_bytes(*first), last_ns: u64::from_be_bytes(*last) };
        (*mark == MARK && stamp.first_ns <= stamp.last_ns).then_some(stamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_and_other_bytes_are_not() {
        let stamp = Stamp { first_ns: 5, last_ns: 9 };
        assert_eq!(Stamp::read(&[&stamp.bytes()[..], b"more"].concat()), Some(stamp));
        assert_eq!(Stamp::read(&stamp.bytes()[..23]), None);
        assert_eq!(Stamp::read(&[7; 40]), None);
        assert_eq!(Stamp::read(&Stamp { first_ns: 9, last_ns: 5 }.bytes()), None);
    }
}
