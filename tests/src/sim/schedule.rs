//! What happens when: a queue by virtual time, first come first served within one instant.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

struct Item<E> {
    at_ns: u64,
    number: u64,
    event: E,
}

/// Events to come.
pub struct Schedule<E> {
    items: BinaryHeap<Reverse<Item<E>>>,
    next_number: u64,
}

impl<E> Default for Schedule<E> {
    fn default() -> Self {
        Self { items: BinaryHeap::new(), next_number: 0 }
    }
}

impl<E> Schedule<E> {
    pub fn add(&mut self, at_ns: u64, event: E) {
        self.next_number += 1;
        self.items.push(Reverse(Item { at_ns, number: self.next_number, event }));
    }

    /// The next event and its time.
    pub fn pop(&mut self) -> Option<(u64, E)> {
        self.items.pop().map(|Reverse(item)| (item.at_ns, item.event))
    }
}

impl<E> Ord for Item<E> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at_ns, self.number).cmp(&(other.at_ns, other.number))
    }
}

impl<E> PartialOrd for Item<E> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> PartialEq for Item<E> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<E> Eq for Item<E> {}
