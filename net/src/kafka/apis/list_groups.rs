//! ListGroups: the groups that this shard coordinates; clients ask every broker.

use crate::kafka::codec::wire::StrBytes;
use crate::kafka::codec::wire::list_groups_response::ListedGroup;
use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::errors::code;
use crate::kafka::repeats;
use crate::kafka::request_context::RequestContext;
use core::ops::RangeInclusive;
use engine::groups::request::{Listed, Protocol};
use engine::groups::{Answer, Request};
use kafka_wire::{ListGroupsRequest, ListGroupsResponse};
use std::collections::BTreeSet;

pub struct ListGroups;

/// Kafka's name of a type of groups.
fn type_of(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Classic => "classic",
        Protocol::Consumer => "consumer",
    }
}

impl Handler for ListGroups {
    type Request = ListGroupsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=5;

    fn named(request: &Self::Request) -> usize {
        request.states_filter.len() + request.types_filter.len()
    }

    fn merge(request: &mut Self::Request) {
        repeats::keep_first(&mut request.states_filter, StrBytes::clone);
        repeats::keep_first(&mut request.types_filter, StrBytes::clone);
    }

    async fn handle(context: &Context, _: &RequestContext, request: ListGroupsRequest) -> ListGroupsResponse {
        match context.groups.ask(Request::List).await {
            Answer::Listed(listed) => answer(&request, listed),
            other => panic!("a list was asked for and {other:?} answered"),
        }
    }
}

fn answer(request: &ListGroupsRequest, listed: Listed) -> ListGroupsResponse {
    let mut response = ListGroupsResponse::default();
    if listed.loading {
        response.error_code = code::COORDINATOR_LOAD_IN_PROGRESS;
    }
    // Looked up once for each group: a filter may be long.
    let states: BTreeSet<String> =
        request.states_filter.iter().map(|state| state.to_ascii_lowercase()).collect();
    for group in listed.groups {
        let kind = type_of(group.protocol);
        let is_of_state = states.is_empty() || states.contains(&group.state.to_ascii_lowercase());
        if is_of_state && passes(&request.types_filter, kind) {
            let mut one = ListedGroup::default();
            one.group_id = (&*group.group).into();
            one.protocol_type = group.protocol_type.into();
            one.group_state = group.state.into();
            one.group_type = kind.into();
            response.groups.push(one);
        }
    }
    response
}

/// No filter lets all pass.
fn passes(filter: &[StrBytes], value: &str) -> bool {
    filter.is_empty() || filter.iter().any(|wanted| wanted.eq_ignore_ascii_case(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::codec::wire;
    use engine::groups::request;

    #[test]
    fn filters_are_by_name_and_every_version_carries_the_list() {
        let group = |name: &str, state, protocol| request::ListedGroup {
            group: name.into(),
            protocol_type: "consumer".to_owned(),
            protocol,
            state,
        };
        let groups = vec![group("a", "Stable", Protocol::Classic), group("b", "Empty", Protocol::Consumer)];
        let listed = |states: &[&str], types: &[&str]| {
            let mut request = ListGroupsRequest::default();
            request.states_filter = states.iter().map(|&state| state.into()).collect();
            request.types_filter = types.iter().map(|&kind| kind.into()).collect();
            let response = answer(&request, Listed { loading: false, groups: groups.clone() });
            for version in ListGroups::VERSIONS {
                let mut bytes = wire::BytesMut::new();
                wire::encode(&mut bytes, &response, version).expect("it fits");
            }
            response.groups.iter().map(|group| group.group_id.as_str().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(listed(&[], &[]), ["a", "b"]);
        assert_eq!(listed(&["stable"], &["Classic"]), ["a"]);
        assert_eq!(listed(&["Dead"], &[]), [""; 0]);
        assert_eq!(listed(&[], &["consumer"]), ["b"]);
        assert_eq!(listed(&["Stable"], &["consumer"]), [""; 0]);
    }
}
