//! Answers that could not be kept: what they were to be becomes why not.

use super::error::GroupError;
use super::member::refuse_join;
use super::request::Answer;
use std::sync::Arc;

/// The answer of this kind that says only why not.
pub fn refusal_of(answer: &Answer, error: GroupError) -> Answer {
    match answer {
        Answer::Joined(joined) => {
            let member = match joined {
                Ok(joined) => &joined.member,
                Err(refused) => &refused.member,
            };
            refuse_join(error, Arc::clone(member))
        }
        Answer::Synced(_) => Answer::Synced(Err(error)),
        Answer::Heartbeat(_) => Answer::Heartbeat(Err(error)),
        Answer::Left(_) => Answer::Left(Err(error)),
        Answer::Beat(_) => Answer::Beat(Err(error)),
        other => unreachable!("{other:?} waits for no records of its group"),
    }
}
