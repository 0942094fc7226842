//! What a kind of coordinator has to say for itself: how it reads its records, what it answers,
//! what lives. One machine stands for one led partition of its topic.

use super::append::{AppendError, InTransaction};
use super::fields::BadRecord;
use super::output::Output;
use super::turn::Turn;
use super::vocabulary::{KeyValue, Vocabulary};
use crate::batch::EndMarker;
use crate::batch::records::Record;
use crate::clock::Now;
use crate::ids::Offset;
use crate::port::RequestId;
use std::sync::Arc;

/// Why a request is not for this coordinator now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unready {
    /// Another shard leads the partition, or none does.
    NotCoordinator,
    /// The partition is being read back.
    Loading,
}

/// See the head of this file.
///
/// What it promises is a record of its topic, and is promised once that record is committed: it
/// appends by [`Turn::append`] with a [`Vocabulary::Pending`] that says what follows, and
/// [`StateMachine::appended`] gets it back with the outcome, in the order of the appends.
pub trait StateMachine: Default {
    type Words: Vocabulary;

    /// The topic that holds its records.
    const TOPIC: &'static str;

    /// The name that says which partition a request is for; none: for all that are led here.
    fn name_in(request: &<Self::Words as Vocabulary>::Request) -> Option<&str>;

    /// The answer where the partition cannot be asked.
    fn unready(
        request: &<Self::Words as Vocabulary>::Request,
        why: Unready,
    ) -> <Self::Words as Vocabulary>::Answer;

    /// The answer about all partitions that are led here, each with whether it is read back still.
    fn over_all<'a>(
        request: &<Self::Words as Vocabulary>::Request,
        led: impl Iterator<Item = (&'a Self, bool)>,
        now: Now,
    ) -> <Self::Words as Vocabulary>::Answer
    where
        Self: 'a;

    /// The news that a topic is gone, or was made anew, where that concerns it.
    fn topic_deleted(topic: &Arc<str>) -> Option<<Self::Words as Vocabulary>::News>;

    /// Takes in a record while the partition is read back; `within` names the transaction that it is part of.
    fn load(&mut self, record: &Record<'_>, within: Option<InTransaction>, now: Now)
    -> Result<(), BadRecord>;

    /// A transaction was ended here.
    fn load_end(&mut self, _marker: EndMarker) {}

    /// All live records are about to be written again; gives the first record that is needed to know again what they do
    /// not say. Whatever comes to be between this and [`Self::end_rewrite`] is behind what is written again.
    fn begin_rewrite(&mut self) -> Option<Offset> {
        None
    }

    /// They stand from this offset of the log on, or were not written.
    fn end_rewrite(&mut self, _from: Option<Offset>) {}

    /// All was read.
    fn loaded(&mut self, turn: &mut Turn<'_, Self::Words>);

    /// How much it answers for.
    fn len(&self) -> usize;

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn request(
        &mut self,
        id: RequestId,
        request: <Self::Words as Vocabulary>::Request,
        turn: &mut Turn<'_, Self::Words>,
    );

    fn appended(
        &mut self,
        pending: <Self::Words as Vocabulary>::Pending,
        result: Result<Offset, AppendError>,
        turn: &mut Turn<'_, Self::Words>,
    );

    fn tick(&mut self, timer: <Self::Words as Vocabulary>::Timer, turn: &mut Turn<'_, Self::Words>);

    fn told(&mut self, news: &<Self::Words as Vocabulary>::News, turn: &mut Turn<'_, Self::Words>);

    /// The leadership is over: all who wait are sent on, those of what was not committed first.
    fn resign(
        &mut self,
        pending: Vec<<Self::Words as Vocabulary>::Pending>,
        out: &mut Vec<Output<Self::Words>>,
    );

    /// All records that live. They are what is committed: appends on their way are not there.
    fn live(&self) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> + '_;

    /// A record that says nothing: it marks the place where a log without anything alive begins.
    fn void() -> KeyValue;

    fn count(&self, figures: &mut <Self::Words as Vocabulary>::Figures, now: Now);
}
