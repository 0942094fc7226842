//! Kafka's zigzag varints, as records use them.

/// Reads a 64-bit one and moves on; `None` when cut or longer than ten bytes.
pub fn take_i64(from: &mut &[u8]) -> Option<i64> {
    let mut raw = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = from.split_first()?;
        *from = rest;
        raw |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some((raw >> 1) as i64 ^ -((raw & 1) as i64));
        }
    }
    None
}

/// Reads a 32-bit one; `None` also when it does not fit.
pub fn take_i32(from: &mut &[u8]) -> Option<i32> {
    i32::try_from(take_i64(from)?).ok()
}

/// Reads an unsigned 32-bit one, without zigzag, as snappy has it.
pub fn take_u32(from: &mut &[u8]) -> Option<u32> {
    let mut raw = 0u64;
    for shift in (0..35).step_by(7) {
        let (&byte, rest) = from.split_first()?;
        *from = rest;
        raw |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return u32::try_from(raw).ok();
        }
    }
    None
}

/// Appends one; 32-bit and 64-bit ones look the same.
pub fn put(to: &mut Vec<u8>, value: i64) {
    let mut raw = ((value << 1) ^ (value >> 63)) as u64;
    while raw >= 0x80 {
        to.push(raw as u8 | 0x80);
        raw >>= 7;
    }
    to.push(raw as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_edges_come_back() {
        for value in [0, 1, -1, 63, 64, -64, -65, i64::MAX, i64::MIN] {
            let mut bytes = Vec::new();
            put(&mut bytes, value);
            let mut from = bytes.as_slice();
            assert_eq!(take_i64(&mut from), Some(value));
            assert!(from.is_empty());
        }
        assert_eq!(take_i64(&mut &[0xFF; 11][..]), None);
        assert_eq!(take_i64(&mut &[0x80][..]), None);
    }

    #[test]
    fn unsigned_ones_have_at_most_32_bits() {
        assert_eq!(take_u32(&mut &[0x80, 0x01][..]), Some(128));
        assert_eq!(take_u32(&mut &[0xFF, 0xFF, 0xFF, 0xFF, 0x0F][..]), Some(u32::MAX));
        assert_eq!(take_u32(&mut &[0xFF, 0xFF, 0xFF, 0xFF, 0x1F][..]), None);
        assert_eq!(take_u32(&mut &[0x80; 6][..]), None);
        assert_eq!(take_u32(&mut &[0x80][..]), None);
    }

    proptest! {
        #[test]
        fn every_value_comes_back(value: i64) {
            let mut bytes = Vec::new();
            put(&mut bytes, value);
            prop_assert_eq!(take_i64(&mut bytes.as_slice()), Some(value));
        }
    }
}
