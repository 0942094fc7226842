//! JoinGroup: answered when the rebalance that it sets off, or finds, is over.

use crate::kafka::codec::wire::join_group_response::JoinGroupResponseMember;
use crate::kafka::codec::wire::{self, StrBytes};
use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::errors::group_code;
use crate::kafka::request_context::RequestContext;
use core::ops::RangeInclusive;
use engine::groups::request::{Join, JoinRefused, Joined};
use engine::groups::{Answer, Request};
use kafka_wire::{JoinGroupRequest, JoinGroupResponse};

pub struct JoinGroup;

/// KIP-394: a new member is first given its id.
const KNOWN_MEMBER_FROM: i16 = 4;
/// The first version in which there may be no protocol.
const NULLABLE_PROTOCOL_FROM: i16 = 7;
/// KIP-814: a leader may be told to assign nothing.
const SKIP_ASSIGNMENT_FROM: i16 = 9;

impl Handler for JoinGroup {
    type Request = JoinGroupRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=9;

    fn named(request: &Self::Request) -> usize {
        request.protocols.len()
    }

    async fn handle(
        context: &Context,
        asked: &RequestContext,
        request: JoinGroupRequest,
    ) -> JoinGroupResponse {
        if let Some(reason) = &request.reason {
            tracing::debug!(group = %request.group_id, member = %request.member_id, "joins: {reason}");
        }
        let join = join_of(asked, request, context.new_topic_id().0);
        match context.groups.ask(Request::Join(join)).await {
            Answer::Joined(Ok(joined)) => welcome(asked.version, joined),
            Answer::Joined(Err(refused)) => refuse(asked.version, &refused),
            other => panic!("a join was answered with {other:?}"),
        }
    }
}

fn join_of(asked: &RequestContext, request: JoinGroupRequest, entropy: u128) -> Join {
    let version = asked.version;
    // Version 0 knows one time-out for both.
    let rebalance_timeout_ms =
        if version == 0 { request.session_timeout_ms } else { request.rebalance_timeout_ms };
    let protocols = request.protocols.into_iter();
    Join {
        group: request.group_id.as_str().to_owned(),
        member: request.member_id.as_str().to_owned(),
        instance: wire::owned(request.group_instance_id.as_ref()),
        client_id: asked.client_id.to_string(),
        client_host: asked.host(),
        session_timeout_ms: request.session_timeout_ms,
        rebalance_timeout_ms,
        protocol_type: request.protocol_type.as_str().to_owned(),
        protocols: protocols
            .map(|protocol| (protocol.name.as_str().to_owned(), (&*protocol.metadata).into()))
            .collect(),
        requires_known_member: version >= KNOWN_MEMBER_FROM,
        may_skip_assignment: version >= SKIP_ASSIGNMENT_FROM,
        entropy,
        reason: wire::owned(request.reason.as_ref()),
    }
}

fn welcome(version: i16, joined: Joined) -> JoinGroupResponse {
    let mut response = JoinGroupResponse::default();
    response.generation_id = joined.generation;
    response.protocol_type = joined.protocol_type.map(StrBytes::from);
    response.protocol_name = protocol_name(version, joined.protocol);
    response.leader = (&*joined.leader).into();
    response.skip_assignment = joined.skip_assignment;
    response.member_id = (&*joined.member).into();
    response.members = joined
        .members
        .into_iter()
        .map(|member| {
            let mut listed = JoinGroupResponseMember::default();
            listed.member_id = (&*member.member).into();
            listed.group_instance_id = member.instance.as_deref().map(StrBytes::from);
            listed.metadata = wire::Bytes::copy_from_slice(&member.metadata);
            listed
        })
        .collect();
    response
}

fn refuse(version: i16, refused: &JoinRefused) -> JoinGroupResponse {
    let mut response = JoinGroupResponse::default();
    response.error_code = group_code(refused.error);
    response.member_id = (&*refused.member).into();
    response.protocol_name = protocol_name(version, None);
    response
}

fn protocol_name(version: i16, name: Option<String>) -> Option<StrBytes> {
    let name = name.map(StrBytes::from);
    if version < NULLABLE_PROTOCOL_FROM { Some(name.unwrap_or_default()) } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::groups::GroupError;

    #[test]
    fn every_version_can_carry_a_welcome_and_a_refusal() {
        for version in JoinGroup::VERSIONS {
            let joined = Joined {
                member: "m".into(),
                generation: 1,
                protocol_type: Some("consumer".to_owned()),
                protocol: Some("range".to_owned()),
                leader: "m".into(),
                skip_assignment: false,
                members: Vec::new(),
            };
            let refused = JoinRefused { error: GroupError::MemberIdRequired, member: "m".into() };
            for response in [welcome(version, joined), refuse(version, &refused)] {
                let mut bytes = wire::BytesMut::new();
                wire::encode(&mut bytes, &response, version).expect("it fits");
                let read: JoinGroupResponse = wire::decode(&bytes, version).expect("it is read");
                assert_eq!((read.error_code, read.member_id.as_str()), (response.error_code, "m"));
            }
        }
    }

    #[test]
    fn version_0_has_one_time_out_and_version_4_asks_for_an_id_first() {
        let request = |version| {
            let mut request = JoinGroupRequest::default();
            (request.session_timeout_ms, request.rebalance_timeout_ms) = (10, 20);
            join_of(&RequestContext::sample(11, version), request, 0)
        };
        assert_eq!(request(0).rebalance_timeout_ms, 10);
        assert_eq!(request(1).rebalance_timeout_ms, 20);
        assert!(!request(3).requires_known_member && request(4).requires_known_member);
        assert!(!request(8).may_skip_assignment && request(9).may_skip_assignment);
    }
}
