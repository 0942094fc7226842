//! Passwords are checked one at a time in a shard, each in slices with pauses as long between them: however many
//! clients send one, half of the core stays with those who are known.

use super::stretch::Stretch;
use crate::shard::completion::Waiters;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Of one slice, and of the pause behind it. An election takes 300 ms, and nobody who waits for a shard should notice.
const SLICE: Duration = Duration::from_micros(250);
/// The clock is looked at once per so many rounds: 10 to 60 µs.
const ROUNDS: u32 = 64;
/// Clients whose passwords wait; a check takes some 10 ms, and clients give up after 10 s.
const WAITING_MAX: usize = 64;

#[derive(Default)]
pub struct PasswordTurns {
    waiting: RefCell<VecDeque<u64>>,
    next: Cell<u64>,
    changed: Waiters,
}

/// A place in the queue; given back however its client ends.
struct PasswordTurn<'a> {
    turns: &'a PasswordTurns,
    number: u64,
}

impl PasswordTurns {
    /// Stretches a password when its turn comes; false when too many wait already.
    pub async fn stretch(&self, stretch: &mut Stretch) -> bool {
        let Some(turn) = self.queue() else { return false };
        self.changed.until(|| turn.is_first()).await;
        loop {
            let since = Instant::now();
            while since.elapsed() < SLICE {
                if stretch.advance(ROUNDS) {
                    return true;
                }
            }
            glommio::timer::sleep(SLICE).await;
        }
    }

    fn queue(&self) -> Option<PasswordTurn<'_>> {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.len() >= WAITING_MAX {
            return None;
        }
        let number = self.next.replace(self.next.get() + 1);
        waiting.push_back(number);
        Some(PasswordTurn { turns: self, number })
    }
}

impl PasswordTurn<'_> {
    fn is_first(&self) -> bool {
        self.turns.waiting.borrow().front() == Some(&self.number)
    }
}

impl Drop for PasswordTurn<'_> {
    fn drop(&mut self) {
        let mut waiting = self.turns.waiting.borrow_mut();
        let before = waiting.len();
        waiting.retain(|number| *number != self.number);
        assert_eq!(waiting.len() + 1, before, "a turn is given back once");
        drop(waiting);
        self.turns.changed.notify();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::control::credentials::Mechanism;
    use futures_lite::future::{block_on, poll_once};

    #[test]
    fn one_at_a_time_in_order_and_no_more_than_fit() {
        let turns = PasswordTurns::default();
        let mut all: Vec<PasswordTurn<'_>> = (0..WAITING_MAX).map(|_| turns.queue().expect("room")).collect();
        assert!(turns.queue().is_none());
        assert!(all[0].is_first() && !all[1].is_first());
        drop(all.remove(0));
        assert!(all[0].is_first());
        drop(all.remove(1));
        assert!(all[0].is_first(), "one that gave up was behind it");
        assert!(turns.queue().is_some());
        drop(all);
        assert!(turns.waiting.borrow().is_empty());
    }

    #[test]
    fn a_short_one_is_done_in_its_first_slice_and_one_that_waits_is_not_begun() {
        let turns = PasswordTurns::default();
        let stretch = || Stretch::new(Mechanism::ScramSha256, b"p", b"s", 2);
        let first = turns.queue().expect("room");
        let mut waits = stretch();
        let mut waiting = Box::pin(turns.stretch(&mut waits));
        assert_eq!(block_on(poll_once(&mut waiting)), None);
        drop(first);
        assert_eq!(block_on(poll_once(&mut waiting)), Some(true));
    }
}
