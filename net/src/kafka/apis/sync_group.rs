//! SyncGroup: the leader brings the assignments, and everybody gets its own.

use crate::kafka::codec::wire::{self, StrBytes};
use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::errors::group_code;
use crate::kafka::request_context::RequestContext;
use core::ops::RangeInclusive;
use engine::groups::request::{Identity, Sync};
use engine::groups::{Answer, Request};
use kafka_wire::{SyncGroupRequest, SyncGroupResponse};

pub struct SyncGroup;

impl Handler for SyncGroup {
    type Request = SyncGroupRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=5;

    fn named(request: &Self::Request) -> usize {
        request.assignments.len()
    }

    async fn handle(context: &Context, _: &RequestContext, request: SyncGroupRequest) -> SyncGroupResponse {
        let assignments = request.assignments.iter();
        let sync = Sync {
            member: Identity {
                group: request.group_id.as_str().to_owned(),
                member: request.member_id.as_str().to_owned(),
                instance: wire::owned(request.group_instance_id.as_ref()),
                generation: request.generation_id,
            },
            protocol_type: wire::owned(request.protocol_type.as_ref()),
            protocol: wire::owned(request.protocol_name.as_ref()),
            assignments: assignments
                .map(|one| (one.member_id.as_str().to_owned(), (&*one.assignment).into()))
                .collect(),
        };
        let mut response = SyncGroupResponse::default();
        match context.groups.ask(Request::Sync(sync)).await {
            Answer::Synced(Ok(synced)) => {
                response.protocol_type = synced.protocol_type.map(StrBytes::from);
                response.protocol_name = synced.protocol.map(StrBytes::from);
                response.assignment = wire::Bytes::copy_from_slice(&synced.assignment);
            }
            Answer::Synced(Err(error)) => response.error_code = group_code(error),
            other => panic!("a sync was answered with {other:?}"),
        }
        response
    }
}
