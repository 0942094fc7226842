//! What stands before every handler, in this one place: what a request may take of the shard's memory. Whether who
//! asks may is judged once it is decoded, before its handler has it (`authorizer`).

use super::api::{API_VERSIONS, FETCH, PRODUCE};
use super::codec::wire::DECODED_TIMES;

/// Bytes that a request may take beside its frame, while it is decoded and handled. Produce and Fetch are read where
/// they lie in their frame, and have their own bounds (`client::connections`).
pub fn memory_estimate(api: i16, body_bytes: usize) -> usize {
    match api {
        PRODUCE | FETCH | API_VERSIONS => 0,
        _ => DECODED_TIMES * body_bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_decoded_into_structures_is_reserved_for() {
        assert_eq!(memory_estimate(PRODUCE, 1 << 20), 0);
        assert_eq!(memory_estimate(FETCH, 1 << 20), 0);
        assert_eq!(memory_estimate(3, 1000), DECODED_TIMES * 1000);
    }
}
