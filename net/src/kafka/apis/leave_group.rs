//! LeaveGroup: one member says that it goes; from v3 on several, by an administrator too.

use crate::kafka::codec::wire;
use crate::kafka::codec::wire::leave_group_response::MemberResponse;
use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::errors::{group_code, group_result_code};
use crate::kafka::request_context::RequestContext;
use core::ops::RangeInclusive;
use engine::groups::request::Leave;
use engine::groups::{Answer, GroupError, Request};
use kafka_wire::{LeaveGroupRequest, LeaveGroupResponse};

pub struct LeaveGroup;

/// The first version that names members by a list.
const BATCHED_FROM: i16 = 3;

impl Handler for LeaveGroup {
    type Request = LeaveGroupRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=5;

    fn named(request: &Self::Request) -> usize {
        request.members.len()
    }

    async fn handle(
        context: &Context,
        &RequestContext { version, .. }: &RequestContext,
        request: LeaveGroupRequest,
    ) -> LeaveGroupResponse {
        let listed = request.members.iter().map(|member| {
            let id = member.member_id.as_str().to_owned();
            (id, wire::owned(member.group_instance_id.as_ref()))
        });
        let members = match version < BATCHED_FROM {
            true => vec![(request.member_id.as_str().to_owned(), None)],
            false => listed.collect(),
        };
        let leave = Leave { group: request.group_id.as_str().to_owned(), members };
        let left = match context.groups.ask(Request::Leave(leave.clone())).await {
            Answer::Left(left) => left,
            other => panic!("a leave was answered with {other:?}"),
        };
        answer(version, &leave, left)
    }
}

fn answer(
    version: i16,
    leave: &Leave,
    left: Result<Vec<Result<(), GroupError>>, GroupError>,
) -> LeaveGroupResponse {
    let mut response = LeaveGroupResponse::default();
    match left {
        Err(error) => response.error_code = group_code(error),
        // Until v3 the member's error is the request's.
        Ok(results) if version < BATCHED_FROM => response.error_code = group_result_code(results[0]),
        Ok(results) => {
            for ((member, instance), result) in leave.members.iter().zip(results) {
                let mut one = MemberResponse::default();
                one.member_id = member.as_str().into();
                one.group_instance_id = instance.as_deref().map(wire::StrBytes::from);
                one.error_code = group_result_code(result);
                response.members.push(one);
            }
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_is_the_members_or_the_requests() {
        let leave = Leave { group: "g".to_owned(), members: vec![("m".to_owned(), None)] };
        let unknown = Ok(vec![Err(GroupError::UnknownMemberId)]);
        assert_eq!(answer(2, &leave, unknown.clone()).error_code, 25);
        let listed = answer(3, &leave, unknown);
        assert_eq!((listed.error_code, listed.members[0].error_code), (0, 25));
        assert_eq!(answer(4, &leave, Err(GroupError::NotCoordinator)).error_code, 16);
    }
}
