//! Waiting within one shard: values that arrive later, and conditions that come true later.
//! One thread, no locks; knows nothing of what is waited for.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

/// A fixed number of values that arrive one by one, awaited together by one task.
pub struct Slots<T> {
    values: RefCell<Vec<Option<T>>>,
    /// Values that have not arrived.
    missing: Cell<usize>,
    waiter: RefCell<Option<Waker>>,
}

impl<T> Slots<T> {
    pub fn new(count: usize) -> Rc<Self> {
        let values = (0..count).map(|_| None).collect();
        Rc::new(Self { values: RefCell::new(values), missing: Cell::new(count), waiter: RefCell::default() })
    }

    /// Gives one value; true when it was the last one missing.
    pub fn fill(&self, slot: u32, value: T) -> bool {
        let before = self.values.borrow_mut()[slot as usize].replace(value);
        assert!(before.is_none(), "slot {slot} was answered twice");
        self.missing.set(self.missing.get() - 1);
        if self.missing.get() > 0 {
            return false;
        }
        if let Some(waiter) = self.waiter.borrow_mut().take() {
            waiter.wake();
        }
        true
    }

    /// Gives every value that has not arrived.
    pub fn fill_rest(&self, value: impl Fn() -> T) {
        if self.is_complete() {
            return;
        }
        self.values.borrow_mut().iter_mut().for_each(|slot| {
            slot.get_or_insert_with(&value);
        });
        self.missing.set(0);
        if let Some(waiter) = self.waiter.borrow_mut().take() {
            waiter.wake();
        }
    }

    pub fn is_complete(&self) -> bool {
        self.missing.get() == 0
    }

    /// Returns when all values are there.
    pub async fn completed(self: Rc<Self>) {
        poll_fn(|context| {
            if self.is_complete() {
                return Poll::Ready(());
            }
            *self.waiter.borrow_mut() = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// The values that are there, in the order of their slots.
    pub fn take(&self) -> Vec<T> {
        self.values.take().into_iter().flatten().collect()
    }

    /// All values, once they are there.
    pub async fn wait(self: Rc<Self>) -> Vec<T> {
        Rc::clone(&self).completed().await;
        self.take()
    }
}

/// Tasks that wait for some condition to come true; whoever may have changed it notifies.
#[derive(Default)]
pub struct Waiters(RefCell<Vec<Waker>>);

impl Waiters {
    pub fn notify(&self) {
        // Taken out first: a woken task may register again at once.
        for waker in self.0.take() {
            waker.wake();
        }
    }

    /// Returns when `condition` holds.
    pub async fn until(&self, mut condition: impl FnMut() -> bool) {
        poll_fn(|context| {
            if condition() {
                return Poll::Ready(());
            }
            self.0.borrow_mut().push(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_lite::future::{block_on, poll_once, zip};

    #[test]
    fn slots_give_their_values_in_order_when_the_last_one_came() {
        let slots = Slots::new(2);
        assert!(block_on(poll_once(Rc::clone(&slots).wait())).is_none());
        let fill = async {
            assert!(!slots.fill(1, 'b'));
            assert!(slots.fill(0, 'a'));
        };
        assert_eq!(block_on(zip(Rc::clone(&slots).wait(), fill)).0, ['a', 'b']);
    }

    #[test]
    fn what_is_missing_is_filled_at_once_and_nobody_waits_any_more() {
        let slots = Slots::new(3);
        slots.fill(1, 'b');
        let over = async { slots.fill_rest(|| 'x') };
        assert_eq!(block_on(zip(Rc::clone(&slots).wait(), over)).0, ['x', 'b', 'x']);
        slots.fill_rest(|| panic!("nothing is missing"));
    }

    #[test]
    fn a_condition_is_looked_at_again_when_notified() {
        let (waiters, open) = (Waiters::default(), Cell::new(false));
        let opener = async {
            open.set(true);
            waiters.notify();
        };
        block_on(zip(waiters.until(|| open.get()), opener));
        assert!(waiters.0.borrow().is_empty());
    }
}
