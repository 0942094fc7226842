//! Heartbeat: a member lives, and learns of a rebalance.

use crate::kafka::codec::wire;
use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::errors::group_result_code;
use crate::kafka::request_context::RequestContext;
use core::ops::RangeInclusive;
use engine::groups::request::{self, Identity};
use engine::groups::{Answer, Request};
use kafka_wire::{HeartbeatRequest, HeartbeatResponse};

pub struct Heartbeat;

impl Handler for Heartbeat {
    type Request = HeartbeatRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=4;

    async fn handle(context: &Context, _: &RequestContext, request: HeartbeatRequest) -> HeartbeatResponse {
        let member = Identity {
            group: request.group_id.as_str().to_owned(),
            member: request.member_id.as_str().to_owned(),
            instance: wire::owned(request.group_instance_id.as_ref()),
            generation: request.generation_id,
        };
        let mut response = HeartbeatResponse::default();
        match context.groups.ask(Request::Heartbeat(request::Heartbeat { member })).await {
            Answer::Heartbeat(result) => response.error_code = group_result_code(result),
            other => panic!("a heartbeat was answered with {other:?}"),
        }
        response
    }
}
