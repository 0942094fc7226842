//! `duramen topic describe` shows how compaction stands: what DescribeLogDirs tells of a partition has a field for it, where
//! it is asked for by a field that other clients never send.

use engine::port::{NotRewritten, RewriteStatus};
use kafka_wire_core::{TaggedField, TaggedFields};

/// Far above the tags that Kafka gives out.
const TAG: u32 = u32::from_be_bytes(*b"comp");
/// Eight numbers, and why nothing is rewritten.
const BYTES: usize = 8 * 8 + 1;

pub fn question() -> TaggedFields {
    one(Vec::new())
}

pub fn is_asked(tags: &TaggedFields) -> bool {
    tags.iter().any(|field| field.tag() == TAG)
}

/// The journal with it: partitions of one journal are compacted together.
pub fn answer(journal: u64, status: &RewriteStatus) -> TaggedFields {
    let RewriteStatus { clean_bytes, dirty_bytes, run_bytes, passes, input_bytes, output_bytes, .. } =
        *status;
    let last_ms = status.last_ms.max(0) as u64;
    let numbers = [journal, clean_bytes, dirty_bytes, run_bytes, passes, input_bytes, output_bytes, last_ms];
    let mut data: Vec<u8> = numbers.into_iter().flat_map(u64::to_be_bytes).collect();
    data.push(status.why_not as u8);
    assert_eq!(data.len(), BYTES);
    one(data)
}

pub fn read(tags: &TaggedFields) -> Option<(u64, RewriteStatus)> {
    let data: &[u8; BYTES] = tags.iter().find(|field| field.tag() == TAG)?.data().as_ref().try_into().ok()?;
    let (numbers, why_not) = (&data[..BYTES - 1], NotRewritten::of(data[BYTES - 1])?);
    let number = |at: usize| u64::from_be_bytes(numbers[8 * at..8 * (at + 1)].try_into().expect("8 bytes"));
    let status = RewriteStatus {
        clean_bytes: number(1),
        dirty_bytes: number(2),
        run_bytes: number(3),
        passes: number(4),
        input_bytes: number(5),
        output_bytes: number(6),
        last_ms: i64::try_from(number(7)).ok()?,
        why_not,
    };
    Some((number(0), status))
}

fn one(data: Vec<u8>) -> TaggedFields {
    TaggedFields::from_sorted(vec![TaggedField::new(TAG, data.into())]).expect("one is sorted")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_as_it_was_told_and_others_ask_for_nothing() {
        let status = RewriteStatus {
            clean_bytes: 1,
            dirty_bytes: 2,
            run_bytes: 3,
            passes: 4,
            input_bytes: 50,
            output_bytes: 6,
            last_ms: 7,
            why_not: NotRewritten::HeldBack,
        };
        assert_eq!(read(&answer(9, &status)), Some((9, status)));
        assert!(is_asked(&question()) && !is_asked(&TaggedFields::default()));
        assert_eq!(read(&question()), None);
        let newer = {
            let mut data = [0; BYTES];
            data[BYTES - 1] = u8::MAX;
            one(data.to_vec())
        };
        assert_eq!(read(&newer), None, "a reason that is not known here");
    }
}
