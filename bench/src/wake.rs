//! A bell between the tasks of one thread: whoever waits is woken by a ring, also by one that came
//! just before. One task waits for each bell.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::task::{Poll, Waker};
use std::time::Duration;

#[derive(Debug, Default)]
pub struct Bell {
    rung: Cell<bool>,
    waiting: RefCell<Option<Waker>>,
}

impl Bell {
    pub fn ring(&self) {
        self.rung.set(true);
        if let Some(waker) = self.waiting.borrow_mut().take() {
            waker.wake();
        }
    }

    pub fn wait(&self) -> impl Future<Output = ()> + '_ {
        poll_fn(|context| {
            if self.rung.replace(false) {
                self.waiting.borrow_mut().take();
                return Poll::Ready(());
            }
            let mut waiting = self.waiting.borrow_mut();
            match &*waiting {
                Some(waker) if waker.will_wake(context.waker()) => {}
                _ => *waiting = Some(context.waker().clone()),
            }
            Poll::Pending
        })
    }

    /// Waits for a ring, at most so long.
    pub async fn wait_for(&self, at_most: Duration) {
        let timer = glommio::timer::sleep(at_most);
        futures_lite::future::or(self.wait(), timer).await;
    }
}
