//! What paces a pass: it spends bytes, and where there are none left it stands still until more are given.
//!
//! A pass is one future over many turns. Nothing polls a procedure but the end of a disk operation, so one that waits at
//! the gate is taken out of its procedure ([`go_on`]) and started again with the next bytes.

use core::cell::Cell;
use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::Poll;
use std::rc::Rc;

/// A pass that is under way.
pub type PassWork<T> = Pin<Box<dyn Future<Output = T>>>;

/// How far a pass came.
pub enum Stepped<T> {
    Ended(Box<T>),
    /// It waits at the gate, and has nothing in flight.
    Waits(PassWork<T>),
}

/// The pass is to end where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it was told to end")]
pub struct GateClosed;

#[derive(Debug, Default)]
struct State {
    /// May be spent; what a step took too much is missing from the next ones.
    bytes: Cell<i64>,
    waits: Cell<bool>,
    is_ended: Cell<bool>,
}

/// Clones are one gate.
#[derive(Clone, Debug, Default)]
pub struct Gate(Rc<State>);

impl Gate {
    /// More may be spent, but no more than `bytes_max` is saved up.
    pub fn give(&self, bytes: u64, bytes_max: u64) {
        let bytes = self.0.bytes.get().saturating_add(bytes as i64);
        self.0.bytes.set(bytes.min(bytes_max as i64));
    }

    pub fn is_open(&self) -> bool {
        self.0.bytes.get() > 0 || self.0.is_ended.get()
    }

    /// Whoever comes to the gate is told to end.
    pub fn end(&self) {
        self.0.is_ended.set(true);
    }

    /// For another pass.
    pub fn begin_again(&self) {
        self.0.is_ended.set(false);
    }

    /// Spends bytes; waits where there are none.
    pub async fn spend(&self, bytes: usize) -> Result<(), GateClosed> {
        self.0.bytes.set(self.0.bytes.get().saturating_sub(bytes as i64));
        poll_fn(|_| {
            let is_open = self.is_open();
            self.0.waits.set(!is_open);
            if is_open { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        if self.0.is_ended.get() { Err(GateClosed) } else { Ok(()) }
    }
}

/// Goes on with a pass until it ends or waits at the gate.
pub async fn go_on<T>(mut work: PassWork<T>, gate: Gate) -> Stepped<T> {
    let ended = poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(attempt) => Poll::Ready(Some(attempt)),
        Poll::Pending if gate.0.waits.get() => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    });
    match ended.await {
        Some(attempt) => Stepped::Ended(Box::new(attempt)),
        None => Stepped::Waits(work),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::task::{Context, Waker};

    fn stepped(work: PassWork<u32>, gate: &Gate) -> Stepped<u32> {
        let mut step = Box::pin(go_on(work, gate.clone()));
        match step.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(stepped) => stepped,
            Poll::Pending => panic!("nothing else is waited for"),
        }
    }

    #[test]
    fn a_pass_stands_still_until_it_is_given_more_and_ends_when_it_is_told() {
        let gate = Gate::default();
        let (own, told) = (gate.clone(), Rc::new(Cell::new(0)));
        let count = Rc::clone(&told);
        let mut work: PassWork<u32> = Box::pin(async move {
            while own.spend(100).await.is_ok() {
                count.set(count.get() + 1);
            }
            7
        });
        gate.give(250, 1000);
        // 250 are spent by three; the third one waits for what it took too much, 50, and one more.
        for (expected, more) in [(2, 50), (2, 100), (3, 0)] {
            let Stepped::Waits(waiting) = stepped(work, &gate) else { panic!("it has not ended") };
            work = waiting;
            assert_eq!(told.get(), expected);
            gate.give(more, 1000);
        }
        gate.end();
        assert!(matches!(stepped(work, &gate), Stepped::Ended(ended) if *ended == 7));
    }
}
