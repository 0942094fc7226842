//! What replicas say to each other when one of them cannot show what it may have acknowledged: it
//! asks the voters what they have from there on.
//!
//! An answer is one to the life that asked: `nonce` names it, and says nothing to any other.

use super::decode::{DecodeError, flag};
use crate::codec::{Reader, Write};
use crate::ids::{Index, LogEnd, RaftId, Term};

/// Changes of members come one at a time; more are under way in no log.
const VOTERS_MAX: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DoubtMessage {
    Ask(Question),
    Answer(Answer),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    pub from: RaftId,
    pub to: RaftId,
    pub nonce: u64,
    /// An answer that is to count makes this term durable: from then on nothing of an older one is
    /// acknowledged there.
    pub term: Term,
    /// Where the asker's log ends now. A leader that believes it to hold more forgets that.
    pub last: Index,
    /// The first entry that it cannot show.
    pub index: Index,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub from: RaftId,
    pub to: RaftId,
    pub nonce: u64,
    /// Durable at the answerer.
    pub term: Term,
    /// Where its log ends, what is not durable yet included.
    pub end: LogEnd,
    /// What it has in the place that was asked for.
    pub held: Held,
    /// It is in doubt itself, and counts as one whose log ends there.
    pub floor: Option<LogEnd>,
    /// It leads, in `term`.
    pub leads: bool,
    /// The voters by all that its log says of members, committed or not.
    pub voters: Vec<Voters>,
}

/// An entry of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// The log ends before it.
    Nothing,
    /// Its header's checksum, or 0 where that is not at hand.
    Entry { term: Term, checksum: u32 },
    /// The log begins behind it: whatever stood there is committed.
    Passed,
}

/// Who decides: a majority of these, and while the members change one of those before as well.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Voters {
    pub now: Vec<RaftId>,
    pub before: Vec<RaftId>,
}

const ASK: u8 = 1;
const ANSWER: u8 = 2;

impl DoubtMessage {
    pub(super) fn write(&self, to: &mut Vec<u8>) {
        match self {
            Self::Ask(question) => {
                to.put_u8(ASK);
                to.put_u64(question.from.0);
                to.put_u64(question.to.0);
                to.put_u64(question.nonce);
                to.put_u64(question.term.0);
                to.put_u64(question.last.0);
                to.put_u64(question.index.0);
            }
            Self::Answer(answer) => {
                to.put_u8(ANSWER);
                write_answer(to, answer);
            }
        }
    }

    pub(super) fn read(from: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match from.u8()? {
            ASK => Self::Ask(Question {
                from: RaftId(from.u64()?),
                to: RaftId(from.u64()?),
                nonce: from.u64()?,
                term: Term(from.u64()?),
                last: Index(from.u64()?),
                index: Index(from.u64()?),
            }),
            ANSWER => Self::Answer(read_answer(from)?),
            number => return Err(DecodeError::Unknown { what: "doubt message", number }),
        })
    }
}

fn write_answer(to: &mut Vec<u8>, answer: &Answer) {
    to.put_u64(answer.from.0);
    to.put_u64(answer.to.0);
    to.put_u64(answer.nonce);
    to.put_u64(answer.term.0);
    write_end(to, answer.end);
    let (tag, term, checksum) = match answer.held {
        Held::Nothing => (0, Term(0), 0),
        Held::Entry { term, checksum } => (1, term, checksum),
        Held::Passed => (2, Term(0), 0),
    };
    to.put_u8(tag);
    to.put_u64(term.0);
    to.put_u32(checksum);
    to.put_u8(answer.floor.is_some().into());
    write_end(to, answer.floor.unwrap_or_default());
    to.put_u8(answer.leads.into());
    to.put_count(answer.voters.len());
    for voters in &answer.voters {
        for ids in [&voters.now, &voters.before] {
            to.put_count(ids.len());
            ids.iter().for_each(|id| to.put_u64(id.0));
        }
    }
}

fn read_answer(from: &mut Reader<'_>) -> Result<Answer, DecodeError> {
    let (sender, to, nonce) = (RaftId(from.u64()?), RaftId(from.u64()?), from.u64()?);
    let (term, end) = (Term(from.u64()?), read_end(from)?);
    let (tag, held_term, checksum) = (from.u8()?, Term(from.u64()?), from.u32()?);
    let held = match tag {
        0 => Held::Nothing,
        1 => Held::Entry { term: held_term, checksum },
        2 => Held::Passed,
        number => return Err(DecodeError::Unknown { what: "entry of another log", number }),
    };
    let (is_in_doubt, floor) = (flag(from)?, read_end(from)?);
    let leads = flag(from)?;
    let count = from.count(8)?;
    if count > VOTERS_MAX {
        return Err(DecodeError::Unknown { what: "number of changes of members", number: u8::MAX });
    }
    let mut voters = Vec::with_capacity(count);
    for _ in 0..count {
        voters.push(Voters { now: read_ids(from)?, before: read_ids(from)? });
    }
    let floor = is_in_doubt.then_some(floor);
    Ok(Answer { from: sender, to, nonce, term, end, held, floor, leads, voters })
}

fn write_end(to: &mut Vec<u8>, end: LogEnd) {
    to.put_u64(end.term.0);
    to.put_u64(end.index.0);
}

fn read_end(from: &mut Reader<'_>) -> Result<LogEnd, DecodeError> {
    Ok(LogEnd { term: Term(from.u64()?), index: Index(from.u64()?) })
}

fn read_ids(from: &mut Reader<'_>) -> Result<Vec<RaftId>, DecodeError> {
    let count = from.count(8)?;
    (0..count).map(|_| Ok(RaftId(from.u64()?))).collect()
}

impl Voters {
    /// Whether those that a test is true of meet every majority that can decide.
    pub fn are_met_by(&self, mut is_met: impl FnMut(RaftId) -> bool) -> bool {
        let mut blocks = |ids: &[RaftId]| {
            let others = ids.iter().filter(|id| !is_met(**id)).count();
            !ids.is_empty() && others <= ids.len() / 2
        };
        blocks(&self.now) || blocks(&self.before)
    }

    /// All of them, some twice.
    pub fn ids(&self) -> impl Iterator<Item = RaftId> + '_ {
        self.now.iter().chain(&self.before).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_majority_is_met_where_those_left_are_none() {
        let ids = |numbers: &[u64]| numbers.iter().copied().map(RaftId).collect::<Vec<_>>();
        let met = |voters: &Voters, by: &[u64]| voters.are_met_by(|id| by.contains(&id.0));
        let three = Voters { now: ids(&[1, 2, 3]), before: vec![] };
        assert_eq!((met(&three, &[2]), met(&three, &[2, 3])), (false, true));
        let two = Voters { now: ids(&[1, 2]), before: vec![] };
        assert_eq!((met(&two, &[]), met(&two, &[2])), (false, true));
        let five = Voters { now: ids(&[1, 2, 3, 4, 5]), before: vec![] };
        assert_eq!((met(&five, &[2, 3]), met(&five, &[2, 3, 4])), (false, true));
        let joint = Voters { now: ids(&[1, 2, 4]), before: ids(&[1, 2, 3]) };
        assert_eq!((met(&joint, &[2, 3]), met(&joint, &[3])), (true, false), "either half is enough");
        assert!(!met(&Voters::default(), &[1]), "nobody decides nothing");
    }
}
