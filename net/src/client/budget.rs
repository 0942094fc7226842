//! The memory that a shard's frames may take: reserved as their bytes arrive.
//!
//! The oldest frame may always finish, beyond the budget if need be: so frames never wait for
//! each other in a circle, and the most there can be is the budget and one largest frame.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

#[derive(Debug, Default)]
struct State {
    used_bytes: usize,
    next: u64,
    /// What each frame holds, oldest first.
    held: BTreeMap<u64, usize>,
}

/// One shard's budget for frames.
#[derive(Clone, Debug)]
pub struct FrameBudget {
    bytes_max: usize,
    state: Rc<RefCell<State>>,
}

impl FrameBudget {
    pub fn new(bytes_max: usize) -> Self {
        Self { bytes_max, state: Rc::default() }
    }

    /// A frame begins; it holds nothing yet.
    pub fn begin(&self) -> Share {
        let mut state = self.state.borrow_mut();
        state.next += 1;
        let order = state.next;
        state.held.insert(order, 0);
        Share { budget: self.clone(), order }
    }

    pub fn used_bytes(&self) -> usize {
        self.state.borrow().used_bytes
    }

    /// True while speculation about a frame's length is affordable.
    pub fn is_ample(&self) -> bool {
        self.used_bytes() < self.bytes_max / 2
    }
}

/// A frame's part of the budget, given back when dropped.
#[derive(Debug)]
pub struct Share {
    budget: FrameBudget,
    order: u64,
}

impl Share {
    /// Makes the share `bytes` in all; false when there is no room now.
    pub fn grow_to(&self, bytes: usize) -> bool {
        let mut state = self.budget.state.borrow_mut();
        let held = state.held[&self.order];
        let more = bytes.saturating_sub(held);
        let is_oldest = state.held.first_key_value().is_some_and(|(order, _)| *order == self.order);
        if state.used_bytes + more > self.budget.bytes_max && !is_oldest {
            return false;
        }
        state.used_bytes += more;
        state.held.insert(self.order, held + more);
        true
    }

    /// Gives back what the share holds beyond `bytes`.
    pub fn shrink_to(&self, bytes: usize) {
        let mut state = self.budget.state.borrow_mut();
        let held = state.held[&self.order];
        state.used_bytes -= held.saturating_sub(bytes);
        state.held.insert(self.order, held.min(bytes));
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut state = self.budget.state.borrow_mut();
        let held = state.held.remove(&self.order).expect("a share is given back once");
        state.used_bytes -= held;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_frame_may_always_finish_and_others_wait() {
        let budget = FrameBudget::new(100);
        let (first, second) = (budget.begin(), budget.begin());
        assert!(second.grow_to(80) && !second.grow_to(101));
        assert!(first.grow_to(500));
        assert_eq!(budget.used_bytes(), 580);
        drop(first);
        assert!(second.grow_to(400), "it is the oldest now");
        drop(second);
        assert_eq!(budget.used_bytes(), 0);
    }

    #[test]
    fn what_is_not_needed_any_more_goes_back() {
        let budget = FrameBudget::new(100);
        let share = budget.begin();
        assert!(share.grow_to(80));
        share.shrink_to(90);
        assert_eq!(budget.used_bytes(), 80);
        share.shrink_to(30);
        assert_eq!(budget.used_bytes(), 30);
        drop(share);
        assert_eq!(budget.used_bytes(), 0);
    }
}
