//! DescribeGroups: state and members. A group that is not there is "Dead", and from v6 on an
//! error, too.

use super::operations;
use crate::kafka::codec::wire::describe_groups_response::{DescribedGroup, DescribedGroupMember};
use crate::kafka::codec::wire::{Bytes, StrBytes};
use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::errors::{code, group_code};
use crate::kafka::repeats;
use crate::kafka::request_context::RequestContext;
use crate::shard::pace::Pace;
use core::ops::RangeInclusive;
use engine::groups::request::Described;
use engine::groups::state::State;
use engine::groups::{Answer, GroupError, Request};
use kafka_wire::{DescribeGroupsRequest, DescribeGroupsResponse};

pub struct DescribeGroups;

/// The first version that tells that there is no such group.
const NOT_FOUND_FROM: i16 = 6;

impl Handler for DescribeGroups {
    type Request = DescribeGroupsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=6;

    fn named(request: &Self::Request) -> usize {
        request.groups.len()
    }

    fn merge(request: &mut Self::Request) {
        repeats::keep_first(&mut request.groups, StrBytes::clone);
    }

    async fn handle(
        context: &Context,
        &RequestContext { version, .. }: &RequestContext,
        request: DescribeGroupsRequest,
    ) -> DescribeGroupsResponse {
        let mut response = DescribeGroupsResponse::default();
        let mut pace = Pace::begin();
        for name in request.groups {
            pace.rest_if_late().await;
            let group = name.as_str().to_owned();
            let described = match context.groups.ask(Request::Describe { group }).await {
                Answer::Described(described) => described,
                other => panic!("a group was asked for and {other:?} answered"),
            };
            let mut group = answer(version, name, described);
            let asked = request.include_authorized_operations && group.error_code == code::NONE;
            group.authorized_operations = operations::if_asked(asked, operations::GROUP);
            response.groups.push(group);
        }
        response
    }
}

fn answer(version: i16, name: StrBytes, described: Result<Described, GroupError>) -> DescribedGroup {
    let mut group = DescribedGroup::default();
    group.group_id = name;
    match described {
        Ok(described) => fill(&mut group, described),
        Err(GroupError::GroupIdNotFound) => {
            group.group_state = State::Dead.name().into();
            if version >= NOT_FOUND_FROM {
                group.error_code = code::GROUP_ID_NOT_FOUND;
                group.error_message = Some(format!("Group {} not found.", group.group_id).into());
            }
        }
        Err(error) => group.error_code = group_code(error),
    }
    group
}

fn fill(group: &mut DescribedGroup, described: Described) {
    group.group_state = described.state.name().into();
    group.protocol_type = described.protocol_type.into();
    group.protocol_data = described.protocol.into();
    for member in described.members {
        let mut one = DescribedGroupMember::default();
        one.member_id = (&*member.member).into();
        one.group_instance_id = member.instance.as_deref().map(StrBytes::from);
        one.client_id = member.client_id.into();
        one.client_host = member.client_host.into();
        one.member_metadata = Bytes::copy_from_slice(&member.metadata);
        one.member_assignment = Bytes::copy_from_slice(&member.assignment);
        group.members.push(one);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_dead() {
        for version in DescribeGroups::VERSIONS {
            let group = answer(version, "g".into(), Err(GroupError::GroupIdNotFound));
            assert_eq!(group.group_state.as_str(), "Dead");
            assert_eq!(group.error_code != 0, version >= 6);
            let mut response = DescribeGroupsResponse::default();
            response.groups.push(group);
            let mut bytes = crate::kafka::codec::wire::BytesMut::new();
            crate::kafka::codec::wire::encode(&mut bytes, &response, version).expect("it fits");
        }
    }
}
