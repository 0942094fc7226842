//! Which runs a journal's partitions are read from, as its entries say: part of the fold, and so the same on every replica
//! whether or not it has the files.

use crate::codec::{Reader, Write};
use crate::entry::run_made::{RunInput, RunMade, RunMadeError};
use crate::ids::{Index, RunId};

/// The runs of a journal, in this form one at most: each is made of all before it and of the segments behind.
///
/// Invariants: all segments up to `rewritten` are in `settled`, or nothing in them was alive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Runs {
    /// Made, and not known to be on a majority: nobody reads it yet.
    made: Option<Box<RunMade>>,
    /// Read in the place of what they were made of, oldest first.
    settled: Vec<RunMade>,
    /// The last entry of the segments that runs have taken the place of.
    rewritten: Index,
}

impl Runs {
    pub fn made(&self) -> Option<&RunMade> {
        self.made.as_deref()
    }

    pub fn settled(&self) -> &[RunMade] {
        &self.settled
    }

    /// Segments up to this entry are not read from any more.
    pub fn rewritten(&self) -> Index {
        self.rewritten
    }

    /// Whether the journal names this run.
    pub fn names(&self, run: RunId) -> bool {
        self.made.iter().any(|made| made.run == run) || self.settled.iter().any(|made| made.run == run)
    }

    pub fn is_empty(&self) -> bool {
        self.made.is_none() && self.settled.is_empty() && self.rewritten == Index::NONE
    }

    /// Whether a run that entry `index` tells of is one: of what partitions are read from, and there is no other.
    pub fn takes(&self, made: &RunMade, index: Index) -> bool {
        let settled = self.settled.iter().map(|made| made.run);
        let is_newest = self.settled.iter().all(|known| known.run < made.run);
        self.made.is_none()
            && is_newest
            && made.input_runs().eq(settled)
            && self.segments_follow(&made.inputs, index)
            && made.parts.windows(2).all(|pair| pair[0].partition < pair[1].partition)
    }

    /// Runs come first, then at least one segment, and segments follow one another.
    fn segments_follow(&self, inputs: &[RunInput], index: Index) -> bool {
        let mut end = None;
        for input in inputs {
            match (*input, end) {
                (RunInput::Run(_), None) => {}
                (RunInput::Segment { base, last }, None) if base > self.rewritten && base <= last => {
                    end = Some(last);
                }
                (RunInput::Segment { base, last }, Some(before)) if before.next() == base && base <= last => {
                    end = Some(last);
                }
                _ => return false,
            }
        }
        end.is_some_and(|last| last < index)
    }

    pub(crate) fn note_made(&mut self, made: &RunMade, index: Index) {
        if self.takes(made, index) {
            self.made = Some(Box::new(made.clone()));
        }
    }

    /// The run that is settled now, if it is the one that waits for it.
    pub(super) fn settle(&mut self, run: RunId) -> Option<&RunMade> {
        let made = self.made.take_if(|made| made.run == run)?;
        let rewritten = made.last_input().expect("it was taken with a segment");
        assert!(self.rewritten < rewritten, "{run:?} goes back from {} to {rewritten}", self.rewritten);
        self.rewritten = rewritten;
        self.settled = vec![*made];
        self.settled.last()
    }

    pub(super) fn void(&mut self, run: RunId) {
        self.made.take_if(|made| made.run == run);
    }

    pub(super) fn encode(&self, to: &mut Vec<u8>) {
        to.put_u64(self.rewritten.0);
        to.put_u8(u8::from(self.made.is_some()));
        self.made.iter().for_each(|made| made.encode(to));
        to.put_count(self.settled.len());
        self.settled.iter().for_each(|made| made.encode(to));
    }

    pub(super) fn decode(from: &mut Reader<'_>) -> Result<Self, RunMadeError> {
        let rewritten = Index(from.u64()?);
        let has_made = from.u8()? != 0;
        let made = if has_made { Some(Box::new(RunMade::decode(from)?)) } else { None };
        let mut settled = Vec::new();
        for _ in 0..from.count(33)? {
            settled.push(RunMade::decode(from)?);
        }
        Ok(Self { made, settled, rewritten })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::run_made::samples::run_made;

    #[test]
    fn a_run_is_taken_when_its_inputs_are_what_is_read() {
        let mut runs = Runs::default();
        let takes = |runs: &Runs, run, inputs: &[u64], segments: &[(u64, u64)]| {
            runs.takes(&run_made(run, inputs, segments), Index(50))
        };
        assert!(takes(&runs, 1, &[], &[(1, 9), (10, 20)]));
        assert!(!takes(&runs, 1, &[], &[]), "of nothing");
        assert!(!takes(&runs, 1, &[7], &[(1, 9)]), "of a run that nobody made");
        assert!(!takes(&runs, 1, &[], &[(1, 9), (11, 20)]), "with a hole");
        assert!(!takes(&runs, 1, &[], &[(1, 50)]), "of the segment that tells of it");
        runs.note_made(&run_made(4, &[], &[(1, 9)]), Index(50));
        assert!(!takes(&runs, 5, &[], &[(1, 9)]), "one waits");
        assert_eq!(runs.settle(RunId(3)), None);
        assert_eq!(runs.rewritten(), Index::NONE, "nothing is read from it yet");
        assert!(runs.settle(RunId(4)).is_some());
        assert_eq!((runs.rewritten(), runs.settled().len()), (Index(9), 1));
        assert!(!takes(&runs, 5, &[], &[(10, 20)]), "without the run that is there");
        assert!(!takes(&runs, 5, &[4], &[(1, 9)]), "of a segment that was rewritten");
        assert!(!takes(&runs, 4, &[4], &[(10, 20)]) && takes(&runs, 5, &[4], &[(10, 20)]));
        runs.note_made(&run_made(5, &[4], &[(10, 20)]), Index(50));
        assert!(runs.names(RunId(5)) && runs.names(RunId(4)));
        let mut bytes = Vec::new();
        runs.encode(&mut bytes);
        assert_eq!(Runs::decode(&mut Reader(&bytes)), Ok(runs.clone()));
        runs.void(RunId(5));
        assert!(!runs.names(RunId(5)) && runs.names(RunId(4)));
    }
}
