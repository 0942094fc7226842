//! What a request names more than once, where Kafka merges it: asked and answered once. A request
//! that repeats one dear thing a hundred thousand times costs what naming it once does.

use std::collections::BTreeSet;

/// Keeps the first of those with one key.
pub fn keep_first<T, K: Ord>(list: &mut Vec<T>, key: impl Fn(&T) -> K) {
    // Sorted: whoever sends the keys could make all of them one in a hash map.
    let mut seen = BTreeSet::new();
    list.retain(|one| seen.insert(key(one)));
}

/// Keeps the last of those with one key, in the order of the first.
pub fn keep_last<T, K: Ord>(list: &mut Vec<T>, key: impl Fn(&T) -> K) {
    list.reverse();
    keep_first(list, key);
    list.reverse();
}

/// Keeps each partition once, of a list of topics with lists of partitions. `parts` gives a topic's
/// name (or id) and partitions, `number` a partition's. Topics of which nothing is left go, too.
pub fn keep_first_partitions<T, P, K: Ord + Clone>(
    topics: &mut Vec<T>,
    parts: impl Fn(&mut T) -> (K, &mut Vec<P>),
    number: impl Fn(&P) -> i32,
) {
    let mut seen = BTreeSet::new();
    topics.retain_mut(|topic| {
        let (name, partitions) = parts(topic);
        let was_empty = partitions.is_empty();
        partitions.retain(|partition| seen.insert((name.clone(), number(partition))));
        was_empty || !partitions.is_empty()
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::codec::wire::StrBytes;

    #[test]
    fn each_is_kept_once() {
        let mut list = vec![(1, 'a'), (2, 'b'), (1, 'c')];
        keep_first(&mut list, |one| one.0);
        assert_eq!(list, [(1, 'a'), (2, 'b')]);
        let mut list = vec![(1, 'a'), (2, 'b'), (1, 'c')];
        keep_last(&mut list, |one| one.0);
        assert_eq!(list, [(2, 'b'), (1, 'c')]);
    }

    #[test]
    fn partitions_are_kept_once_over_all_mentions_of_their_topic() {
        let name = |text: &'static str| StrBytes::from(text);
        let mut topics = vec![
            (name("a"), vec![0, 1, 0]),
            (name("b"), vec![0]),
            (name("a"), vec![1, 2]),
            (name("a"), vec![2]),
            (name("c"), vec![]),
        ];
        keep_first_partitions(&mut topics, |topic| (topic.0.clone(), &mut topic.1), |number| *number);
        let kept: Vec<_> = topics.iter().map(|(name, numbers)| (name.as_str(), numbers.clone())).collect();
        assert_eq!(kept, [("a", vec![0, 1]), ("b", vec![0]), ("a", vec![2]), ("c", vec![])]);
    }
}
