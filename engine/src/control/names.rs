//! Kafka's rules for topic names.

use super::command_error::CommandError;
use core::ops::Bound;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Kafka's bound: a name with its partition number had to fit a file name.
pub const TOPIC_NAME_BYTES_MAX: usize = 249;

/// Topics of the brokers' own.
pub fn is_internal(name: &str) -> bool {
    matches!(name, "__consumer_offsets" | "__transaction_state" | "__share_group_state")
}

/// Whether a topic may have this name, whatever others there are.
pub fn check_name(name: &str) -> Result<(), CommandError> {
    let invalid =
        |reason: String| Err(CommandError::InvalidTopicName(format!("Topic name is invalid: {reason}")));
    if name.is_empty() {
        return invalid("the empty string is not allowed".to_owned());
    }
    if name == "." || name == ".." {
        return invalid(format!("'{name}' is not allowed"));
    }
    if name.len() > TOPIC_NAME_BYTES_MAX {
        let have = name.len();
        return invalid(format!("{have} characters are more than {TOPIC_NAME_BYTES_MAX}"));
    }
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    if !name.bytes().all(legal) {
        return invalid(format!(
            "'{name}' has characters other than ASCII letters, digits, '.', '_' and '-'"
        ));
    }
    Ok(())
}

/// Whether a topic of this name may be added to these: '.' and '_' count as the same character,
/// since metric names cannot tell them apart.
pub fn check_new_name<T>(topics: &BTreeMap<Arc<str>, T>, name: &str) -> Result<(), CommandError> {
    check_name(name)?;
    if topics.contains_key(name) {
        return Err(CommandError::TopicExists(name.to_owned()));
    }
    match colliding(topics, name) {
        None => Ok(()),
        Some(other) => Err(CommandError::InvalidTopicName(format!(
            "Topic '{name}' collides with existing topic: {other}"
        ))),
    }
}

fn colliding<'a, T>(topics: &'a BTreeMap<Arc<str>, T>, name: &str) -> Option<&'a str> {
    let ambiguous = |byte: u8| matches!(byte, b'.' | b'_');
    // Both names are the same up to the first such character, so only topics with that
    // beginning are looked at.
    let start = &name[..name.bytes().position(ambiguous)?];
    let same = |a: u8, b: u8| a == b || (ambiguous(a) && ambiguous(b));
    topics
        .range::<str, _>((Bound::Included(start), Bound::Unbounded))
        .map(|(other, _)| &**other)
        .take_while(|other| other.starts_with(start))
        .find(|other| other.len() == name.len() && other.bytes().zip(name.bytes()).all(|(a, b)| same(a, b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topics(names: &[&str]) -> BTreeMap<Arc<str>, ()> {
        names.iter().map(|&name| (Arc::from(name), ())).collect()
    }

    #[test]
    fn names_are_letters_digits_dots_underscores_and_dashes() {
        for good in ["a", "A-1_b.c", "...", "__consumer_offsets", &"x".repeat(249)] {
            assert_eq!(check_name(good), Ok(()), "{good}");
        }
        for bad in ["", ".", "..", "a b", "a/b", "ü", "a\0", "a:b", &"x".repeat(250)] {
            assert!(matches!(check_name(bad), Err(CommandError::InvalidTopicName(_))), "{bad:?}");
        }
    }

    #[test]
    fn a_dot_and_an_underscore_collide() {
        let topics = topics(&["a.b", "plain", "x_y.z", "a.bb"]);
        let check = |name| check_new_name(&topics, name);
        assert!(matches!(check("a_b"), Err(CommandError::InvalidTopicName(_))));
        assert!(matches!(check("x.y_z"), Err(CommandError::InvalidTopicName(_))));
        assert_eq!(check("a.b"), Err(CommandError::TopicExists("a.b".to_owned())));
        for fine in ["a-b", "ab", "plain_", "a_c", "_a.b"] {
            assert_eq!(check(fine), Ok(()), "{fine}");
        }
    }
}
