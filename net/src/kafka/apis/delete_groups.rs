//! DeleteGroups: groups without members, and their offsets.

use crate::kafka::codec::wire::delete_groups_response::DeletableGroupResult;
use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::errors::group_result_code;
use crate::kafka::repeats;
use crate::kafka::request_context::RequestContext;
use crate::shard::pace::Pace;
use core::ops::RangeInclusive;
use engine::groups::{Answer, Request};
use kafka_wire::{DeleteGroupsRequest, DeleteGroupsResponse};

pub struct DeleteGroups;

impl Handler for DeleteGroups {
    type Request = DeleteGroupsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=2;

    fn named(request: &Self::Request) -> usize {
        request.groups_names.len()
    }

    fn merge(request: &mut Self::Request) {
        repeats::keep_first(&mut request.groups_names, crate::kafka::codec::wire::StrBytes::clone);
    }

    async fn handle(
        context: &Context,
        _: &RequestContext,
        request: DeleteGroupsRequest,
    ) -> DeleteGroupsResponse {
        // All at once, so that they share an entry and its sync.
        let begin = |name: &crate::kafka::codec::wire::StrBytes| {
            context.groups.begin(Request::Delete { group: name.as_str().to_owned() })
        };
        let mut begun = Vec::with_capacity(request.groups_names.len());
        let mut pace = Pace::begin();
        for name in &request.groups_names {
            pace.rest_if_late().await;
            begun.push(begin(name));
        }
        let mut response = DeleteGroupsResponse::default();
        for (name, ticket) in request.groups_names.into_iter().zip(begun) {
            let mut result = DeletableGroupResult::default();
            result.group_id = name;
            match ticket.answer().await {
                Answer::Deleted(deleted) => result.error_code = group_result_code(deleted),
                other => panic!("a deletion was answered with {other:?}"),
            }
            response.results.push(result);
        }
        response
    }
}
