//! What a consumer group is asked: its own requests, and those of the classic protocol's members.

use crate::groups::error::GroupError;
use crate::groups::group::Group;
use crate::groups::request::{Answer, Request};
use crate::groups::state::State;
use crate::groups::words::Turn;
use crate::port::RequestId;

impl Group {
    /// Takes what is the consumer protocol's; gives back what is the same for every group.
    pub fn take_consumer(&mut self, id: RequestId, request: Request, turn: &mut Turn<'_>) -> Option<Request> {
        if self.state == State::Dead {
            return match request {
                Request::ConsumerHeartbeat(_) => {
                    turn.answer(id, Answer::Beat(Err(GroupError::CoordinatorNotAvailable)));
                    None
                }
                other => Some(other),
            };
        }
        if let Request::ConsumerHeartbeat(beat) = request {
            self.consumer_heartbeat(id, beat, turn);
            return None;
        }
        let Some(consumer) = &self.consumer else { return Some(request) };
        match request {
            Request::Join(_) if consumer.members.is_empty() => {
                self.drop_empty_consumer(turn);
                return Some(request);
            }
            Request::Join(join) => self.join_consumer(id, &join, turn),
            Request::Sync(sync) => self.sync_consumer(id, &sync, turn),
            Request::Heartbeat(heartbeat) => self.heartbeat_consumer(id, &heartbeat, turn),
            Request::Leave(leave) => self.leave_consumer(id, &leave, turn),
            Request::DescribeConsumer { .. } => {
                turn.answer(id, Answer::ConsumerDescribed(Ok(consumer.describe())));
            }
            // It is none of the classic protocol.
            Request::Describe { .. } => turn.answer(id, Answer::Described(Err(GroupError::GroupIdNotFound))),
            other => return Some(other),
        }
        None
    }
}
