//! Little-endian reading and writing of what is small or rare: checkpoint bodies, commands.

/// The bytes ended before what they should hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("ends early")]
pub struct Short;

/// Reads numbers off the front of a slice.
#[derive(Clone, Debug)]
pub struct Reader<'a>(pub &'a [u8]);

macro_rules! numbers {
    ($($read:ident, $write:ident: $type:ty;)*) => {
        impl Reader<'_> {
            $(pub fn $read(&mut self) -> Result<$type, Short> {
                Ok(<$type>::from_le_bytes(self.array()?))
            })*
        }
        /// Appends numbers to a vector.
        pub trait Write {
            fn bytes(&mut self, bytes: &[u8]);
            $(fn $write(&mut self, number: $type) {
                self.bytes(&number.to_le_bytes());
            })*
            /// A length (u32) and the bytes.
            fn sized(&mut self, bytes: &[u8]) {
                self.put_u32(u32::try_from(bytes.len()).expect("below 4 GiB"));
                self.bytes(bytes);
            }
            /// How many follow.
            fn put_count(&mut self, count: usize) {
                self.put_u32(u32::try_from(count).expect("below 2^32"));
            }
        }
    };
}

numbers! {
    u8, put_u8: u8;
    u16, put_u16: u16;
    u32, put_u32: u32;
    u64, put_u64: u64;
    u128, put_u128: u128;
    i16, put_i16: i16;
    i32, put_i32: i32;
    i64, put_i64: i64;
}

impl Write for Vec<u8> {
    fn bytes(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

impl<'a> Reader<'a> {
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Short> {
        let (bytes, rest) = self.0.split_first_chunk::<N>().ok_or(Short)?;
        self.0 = rest;
        Ok(*bytes)
    }

    pub fn take(&mut self, bytes: usize) -> Result<&'a [u8], Short> {
        let (taken, rest) = self.0.split_at_checked(bytes).ok_or(Short)?;
        self.0 = rest;
        Ok(taken)
    }

    pub fn sized(&mut self) -> Result<&'a [u8], Short> {
        let bytes = self.u32()? as usize;
        self.take(bytes)
    }

    /// A count whose elements take at least `each` bytes: never more than the bytes can hold.
    pub fn count(&mut self, each: usize) -> Result<usize, Short> {
        let count = self.u32()? as usize;
        if count.checked_mul(each).is_none_or(|bytes| bytes > self.0.len()) {
            return Err(Short);
        }
        Ok(count)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_in_the_same_order() {
        let mut to = Vec::new();
        to.put_u8(1);
        to.put_u16(0x0203);
        to.put_i64(-4);
        to.sized(b"five");
        to.put_count(2);
        to.put_u128(6);
        assert_eq!(to[..3], [1, 3, 2], "little-endian");
        let mut from = Reader(&to);
        assert_eq!((from.u8(), from.u16(), from.i64()), (Ok(1), Ok(0x0203), Ok(-4)));
        assert_eq!((from.sized(), from.count(8), from.u128()), (Ok(&b"five"[..]), Ok(2), Ok(6)));
        assert!(from.is_empty());
    }

    #[test]
    fn bytes_that_are_lacked_are_never_made_up() {
        assert_eq!(Reader(&[1, 2, 3]).u32(), Err(Short));
        assert_eq!(Reader(&[4, 0, 0, 0, 1, 2, 3]).sized(), Err(Short));
        let mut from = Reader(&[1]);
        assert_eq!((from.u16(), from.u8()), (Err(Short), Ok(1)), "what fails takes nothing");
    }

    #[test]
    fn a_count_beyond_the_bytes_allocates_nothing() {
        let mut to = Vec::new();
        to.put_u32(3);
        to.bytes(&[0; 23]);
        assert_eq!(Reader(&to).count(8), Err(Short));
        to.bytes(&[0]);
        assert_eq!(Reader(&to).count(8), Ok(3));
        assert_eq!(Reader(&u32::MAX.to_le_bytes()).count(usize::MAX), Err(Short));
    }
}
