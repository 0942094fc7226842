//! DeleteTopics, by name or (from version 6) by id.

use super::admin::{self, Failure};
use crate::kafka::codec::wire::delete_topics_response::DeletableTopicResult;
use crate::kafka::codec::wire::{self, StrBytes, Uuid};
use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::errors::code;
use crate::kafka::request_context::RequestContext;
use core::ops::RangeInclusive;
use engine::control::{Command, View};
use kafka_wire::{DeleteTopicsRequest, DeleteTopicsResponse};

pub struct DeleteTopics;

impl Handler for DeleteTopics {
    type Request = DeleteTopicsRequest;
    const VERSIONS: RangeInclusive<i16> = 1..=6;

    fn named(request: &Self::Request) -> usize {
        request.topics.len() + request.topic_names.len()
    }

    async fn handle(
        context: &Context,
        &RequestContext { version, .. }: &RequestContext,
        request: DeleteTopicsRequest,
    ) -> DeleteTopicsResponse {
        let allowed = context.settings.delete_topic;
        let wanted = plan(&context.view(), version, allowed, &request);
        let (named, planned): (Vec<_>, Vec<_>) = wanted.into_iter().unzip();
        let results = admin::carry_out(context, planned, request.timeout_ms).await;
        let answer = |(named, result)| answer(version, named, &result);
        let mut response = DeleteTopicsResponse::default();
        response.responses = named.into_iter().zip(results).map(answer).collect();
        response
    }
}

/// How the request names a topic, made up from the metadata where it is known.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Named {
    name: Option<String>,
    id: Uuid,
}

type Planned = (Named, Result<Command, Failure>);

fn plan(view: &View, version: i16, allowed: bool, request: &DeleteTopicsRequest) -> Vec<Planned> {
    let mut wanted: Vec<(Named, Result<Command, Failure>)> = if version >= 6 {
        let by = |name: Option<&StrBytes>, id| find(view, name.map(|name| name.as_str().to_owned()), id);
        request.topics.iter().map(|topic| by(topic.name.as_ref(), topic.topic_id)).collect()
    } else {
        request
            .topic_names
            .iter()
            .map(|name| find(view, Some(name.as_str().to_owned()), Uuid::ZERO))
            .collect()
    };
    let repeated =
        admin::repeated(wanted.iter().filter(|(_, found)| found.is_ok()).map(|(named, _)| named.clone()));
    for (named, result) in &mut wanted {
        if !allowed {
            // The code came with version 3.
            let code = if version < 3 { code::INVALID_REQUEST } else { code::TOPIC_DELETION_DISABLED };
            *result = Err(Failure::new(code, "Topic deletion is disabled."));
        } else if result.is_ok() && repeated.contains(named) {
            *result = Err(Failure::request("Duplicate topic name or id."));
        }
    }
    wanted
}

fn find(view: &View, name: Option<String>, id: Uuid) -> Planned {
    let failed = |name, failure| (Named { name, id }, Err(failure));
    match (name, id.is_zero()) {
        (Some(name), true) => match view.topics.get(name.as_str()) {
            Some(topic) => {
                let id = wire::uuid(topic.id);
                (Named { name: Some(name), id }, Ok(Command::DeleteTopic { topic_id: topic.id }))
            }
            None => {
                let failure = Failure::new(code::UNKNOWN_TOPIC_OR_PARTITION, "This topic does not exist.");
                failed(Some(name), failure)
            }
        },
        (None, false) => {
            let topic_id = wire::topic_id(id);
            match view.topic_ids.get(&topic_id) {
                Some(name) => {
                    (Named { name: Some(name.to_string()), id }, Ok(Command::DeleteTopic { topic_id }))
                }
                None => failed(None, Failure::new(code::UNKNOWN_TOPIC_ID, "This topic id does not exist.")),
            }
        }
        (None, true) => failed(None, Failure::request("Neither topic name nor id were specified.")),
        (Some(name), false) => {
            failed(Some(name), Failure::request("You may not specify both topic name and topic id."))
        }
    }
}

fn answer<T>(version: i16, named: Named, result: &Result<T, Failure>) -> DeletableTopicResult {
    let mut answer = DeletableTopicResult::default();
    // Before version 6 a name is not nullable; there a topic always has one.
    answer.name = named.name.map(StrBytes::from);
    if version >= 6 {
        answer.topic_id = named.id;
    }
    (answer.error_code, answer.error_message) = admin::error_fields(result);
    answer
}

#[cfg(test)]
mod tests {
    use super::super::admin::fixture::Cluster;
    use super::*;
    use engine::ids::TopicId;
    use kafka_wire::delete_topics_request::DeleteTopicState;

    fn by_name(names: &[&str]) -> DeleteTopicsRequest {
        let mut request = DeleteTopicsRequest::default();
        request.topic_names = names.iter().map(|&name| name.into()).collect();
        request
    }

    fn by_state(states: &[(Option<&str>, u128)]) -> DeleteTopicsRequest {
        let mut request = DeleteTopicsRequest::default();
        for (name, id) in states {
            let mut state = DeleteTopicState::default();
            state.name = name.map(StrBytes::from);
            state.topic_id = wire::uuid(TopicId(*id));
            request.topics.push(state);
        }
        request
    }

    fn codes(version: i16, allowed: bool, request: &DeleteTopicsRequest) -> Vec<i16> {
        let view = Cluster::new(1).with_topic("a", 1, 1).with_topic("b", 2, 1).view();
        let planned = plan(&view, version, allowed, request);
        let mut response = DeleteTopicsResponse::default();
        response.responses =
            planned.into_iter().map(|(named, result)| answer(version, named, &result)).collect();
        wire::encode(&mut wire::BytesMut::new(), &response, version).expect("encodable");
        response.responses.iter().map(|answer| answer.error_code).collect()
    }

    #[test]
    fn topics_are_found_by_name_or_id() {
        assert_eq!(codes(1, true, &by_name(&["a", "no"])), [0, code::UNKNOWN_TOPIC_OR_PARTITION]);
        let states = by_state(&[(Some("a"), 0), (None, 2), (None, 9), (None, 0), (Some("a"), 1)]);
        let expected = [0, 0, code::UNKNOWN_TOPIC_ID, code::INVALID_REQUEST, code::INVALID_REQUEST];
        assert_eq!(codes(6, true, &states), expected);
    }

    #[test]
    fn a_topic_named_twice_is_not_deleted() {
        assert_eq!(codes(5, true, &by_name(&["a", "a", "b"])), [42, 42, 0]);
        assert_eq!(codes(6, true, &by_state(&[(Some("a"), 0), (None, 1)])), [42, 42]);
    }

    #[test]
    fn deletion_may_be_disabled() {
        assert_eq!(codes(2, false, &by_name(&["a"])), [code::INVALID_REQUEST]);
        assert_eq!(codes(3, false, &by_name(&["a"])), [code::TOPIC_DELETION_DISABLED]);
    }
}
