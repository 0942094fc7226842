//! From the coordinator's batches to the log and back: in order, one outcome for each.

use super::Groups;
use crate::completion::Slots;
use crate::shard_loop::ProduceResult;
use engine::groups::{AppendError, AppendId, Input};
use engine::shard::{Acks, Refusal};
use std::collections::VecDeque;
use std::rc::Rc;

/// Batches of all partitions of this shard. Their number is bounded by the requests that wait.
#[derive(Default)]
pub struct Appends {
    unsent: VecDeque<(AppendId, Vec<u8>)>,
    /// With the engine, in the order of the log.
    sent: VecDeque<(AppendId, Rc<Slots<ProduceResult>>)>,
}

impl Appends {
    pub fn push(&mut self, append: AppendId, batch: Vec<u8>) {
        self.unsent.push_back((append, batch));
    }
}

impl Groups {
    /// Gives the engine what it has room for; the rest waits until it has.
    pub(super) fn send_appends(self: &Rc<Self>) {
        loop {
            let next = self.appends.borrow_mut().unsent.pop_front();
            let Some((append, batch)) = next else { break };
            let id = self.partition_id(append.tenure.partition);
            if id.is_some_and(|id| !self.shard.room_for(id, batch.len())) {
                self.appends.borrow_mut().unsent.push_front((append, batch));
                break;
            }
            let slots = match id {
                Some(id) => {
                    let (request, slots) = self.shard.begin_produce(1);
                    self.shard.produce((request, 0), id, Acks::All, &batch);
                    slots
                }
                None => {
                    let slots = Slots::new(1);
                    slots.fill(0, Err(Refusal::UnknownPartition));
                    slots
                }
            };
            self.appends.borrow_mut().sent.push_back((append, slots));
            self.changed.notify();
        }
    }

    /// Tells the coordinator the outcomes, in the order of the appends.
    pub(super) async fn await_outcomes(self: Rc<Self>) {
        loop {
            self.changed.until(|| !self.appends.borrow().sent.is_empty()).await;
            let front = self.appends.borrow().sent.front().map(|(append, slots)| (*append, Rc::clone(slots)));
            let (append, slots) = front.expect("it was there");
            let result = slots.wait().await.pop().expect("one slot");
            self.appends.borrow_mut().sent.pop_front();
            let result = result.map(|produced| produced.base_offset).map_err(error_of);
            self.step(Input::Appended { append, result });
        }
    }
}

fn error_of(refusal: Refusal) -> AppendError {
    match refusal {
        Refusal::NotLeader | Refusal::Stopping => AppendError::NotLeader,
        Refusal::TooLarge => AppendError::TooLarge,
        _ => AppendError::Unavailable,
    }
}
