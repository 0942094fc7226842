//! Topics that have clients of their own.

/// What loops of transactions read and write, in this order.
pub const TOPICS: [&str; 3] = ["tx-0", "tx-1", "tx-2"];

/// What is compacted, in this order: by keys alone, and by size as well.
pub const COMPACTED: [&str; 2] = ["kv-0", "kv-1"];

/// Whether a topic is none of those that any client may write to.
pub fn is_apart(topic: &str) -> bool {
    topic.starts_with("__") || TOPICS.contains(&topic) || COMPACTED.contains(&topic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_brokers_and_loops_write_is_apart() {
        assert!(is_apart("__transaction_state") && is_apart("tx-2") && is_apart("kv-1"));
        assert!(!is_apart("topic-1"));
    }
}
