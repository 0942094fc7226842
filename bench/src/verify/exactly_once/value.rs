//! What a record says: which run it is of, and a value that is sent once.

use crate::verify::jepsen::history::Value;

/// Run 8, value 8, their checksum 4; what is left of the record is filled.
pub const VALUE_BYTES_MIN: usize = 20;

/// Of a copy: the value that it copies has all the other bits.
const COPY: Value = 1 << 63;
/// Nobody sends these: damaged, or of another run.
pub const DAMAGED: Value = Value::MAX;
pub const FOREIGN: Value = Value::MAX - 1;

/// The copy of a value, which is as unique as the value.
pub fn copy_of(value: Value) -> Value {
    assert_eq!(value & COPY, 0, "copies are not copied");
    value | COPY
}

pub fn write(run: u64, value: Value, bytes: usize) -> Vec<u8> {
    let mut record = Vec::with_capacity(bytes.max(VALUE_BYTES_MIN));
    record.extend_from_slice(&run.to_be_bytes());
    record.extend_from_slice(&value.to_be_bytes());
    record.extend_from_slice(&crc32c::crc32c(&record).to_be_bytes());
    record.resize(bytes.max(VALUE_BYTES_MIN), value as u8);
    record
}

pub fn read(run: u64, record: &[u8]) -> Value {
    let Some((head, _)) = record.split_at_checked(VALUE_BYTES_MIN) else { return DAMAGED };
    let number = |at: usize| u64::from_be_bytes(head[at..at + 8].try_into().expect("eight bytes"));
    if head[16..] != crc32c::crc32c(&head[..16]).to_be_bytes() {
        return DAMAGED;
    }
    if number(0) == run { number(8) } else { FOREIGN }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_says_its_value_and_no_other_one() {
        let record = write(7, 42, 100);
        assert_eq!((record.len(), read(7, &record), read(8, &record)), (100, 42, FOREIGN));
        let mut changed = record;
        changed[15] ^= 1;
        assert_eq!((read(7, &changed), read(7, b"short")), (DAMAGED, DAMAGED));
        assert_ne!(copy_of(42), 42);
    }
}
