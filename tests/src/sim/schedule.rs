//! What happens when: a queue by virtual time, first come first served within one instant.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// When, which number, and where the event lies: in this order they are compared.
type Item = (u64, u64, usize);

/// Events to come. They stay where they are while the heap sorts their times.
pub struct Schedule<E> {
    items: BinaryHeap<Reverse<Item>>,
    next_number: u64,
    events: Vec<Option<E>>,
    free: Vec<usize>,
}

impl<E> Default for Schedule<E> {
    fn default() -> Self {
        Self { items: BinaryHeap::new(), next_number: 0, events: Vec::new(), free: Vec::new() }
    }
}

impl<E> Schedule<E> {
    pub fn add(&mut self, at_ns: u64, event: E) {
        self.next_number += 1;
        let place = self.free.pop().unwrap_or_else(|| {
            self.events.push(None);
            self.events.len() - 1
        });
        self.events[place] = Some(event);
        self.items.push(Reverse((at_ns, self.next_number, place)));
    }

    /// The next event and its time.
    pub fn pop(&mut self) -> Option<(u64, E)> {
        let Reverse((at_ns, _, place)) = self.items.pop()?;
        self.free.push(place);
        let event = self.events[place].take().expect("an event is taken once");
        Some((at_ns, event))
    }
}
