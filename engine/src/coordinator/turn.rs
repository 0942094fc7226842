//! What a machine may use while it takes one input.

use super::append::{InTransaction, Tenure};
use super::log::{Log, Pending};
use super::output::Output;
use super::timers::Timers;
use super::vocabulary::{KeyValue, Vocabulary};
use crate::clock::Now;
use crate::control::View;
use crate::port::RequestId;
use core::time::Duration;
use std::sync::Arc;

/// See the head of this file.
pub struct Turn<'a, V: Vocabulary> {
    pub now: Now,
    pub config: &'a V::Config,
    /// The metadata that this shard has.
    pub view: &'a Arc<View>,
    /// Rises with each view in which topics, or where they are, differ.
    pub topics_version: u64,
    pub log: &'a mut Log<V>,
    pub timers: &'a mut Timers<V::Timer>,
    pub out: &'a mut Vec<Output<V>>,
}

impl<V: Vocabulary> Turn<'_, V> {
    pub fn answer(&mut self, request: RequestId, answer: V::Answer) {
        self.out.push(Output::Answer { request, answer });
    }

    /// Appends one batch of these records.
    pub fn append(&mut self, pending: V::Pending, records: &[KeyValue]) {
        self.log.append(Pending::Machine(pending), records, None, self.now, self.out);
    }

    /// The same, as part of a client's transaction: the records count once that is committed.
    pub fn append_in(&mut self, within: InTransaction, pending: V::Pending, records: &[KeyValue]) {
        self.log.append(Pending::Machine(pending), records, Some(within), self.now, self.out);
    }

    pub fn effect(&mut self, effect: V::Effect) {
        self.out.push(Output::Effect { tenure: self.tenure(), effect });
    }

    pub fn tenure(&self) -> Tenure {
        self.log.tenure
    }

    pub fn after_ms(&self, ms: u64) -> u64 {
        self.now.plus(Duration::from_millis(ms))
    }
}
