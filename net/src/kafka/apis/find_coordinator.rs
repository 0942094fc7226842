//! FindCoordinator: the shard that leads the partition of a group's or transactional id's topic, which
//! is made when the first one comes.

use super::metadata::wait_until_usable;
use crate::kafka::broker::Broker;
use crate::kafka::codec::wire::StrBytes;
use crate::kafka::codec::wire::find_coordinator_response::Coordinator;
use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::errors::code;
use crate::kafka::listener::Listener;
use crate::kafka::repeats;
use crate::kafka::request_context::RequestContext;
use crate::shard::pace::Pace;
use core::ops::RangeInclusive;
use engine::control::propose;
use engine::coordinator::partition_of;
use engine::groups::OFFSETS_TOPIC;
use engine::transactions::TRANSACTIONS_TOPIC;
use kafka_wire::{FindCoordinatorRequest, FindCoordinatorResponse};

pub struct FindCoordinator;

const GROUP: i8 = 0;
const TRANSACTION: i8 = 1;

/// Why there is no coordinator: code and words.
type Unknown = (i16, &'static str);

impl Handler for FindCoordinator {
    type Request = FindCoordinatorRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=6;

    fn named(request: &Self::Request) -> usize {
        request.coordinator_keys.len()
    }

    fn merge(request: &mut Self::Request) {
        repeats::keep_first(&mut request.coordinator_keys, StrBytes::clone);
    }

    async fn handle(
        context: &Context,
        RequestContext { version, peer, .. }: &RequestContext,
        request: FindCoordinatorRequest,
    ) -> FindCoordinatorResponse {
        if let Some(topic) = topic_of(request.key_type) {
            make_topic(context, topic).await;
        }
        let (version, listener) = (*version, &*peer.listener);
        let mut response = FindCoordinatorResponse::default();
        if version >= 4 {
            let mut pace = Pace::begin();
            for key in request.coordinator_keys {
                pace.rest_if_late().await;
                let found = find((context, listener), request.key_type, &key);
                response.coordinators.push(coordinator(found, key));
            }
            return response;
        }
        match find((context, listener), request.key_type, &request.key) {
            Ok(broker) => {
                (response.node_id, response.port) = (broker.id, i32::from(broker.port));
                response.host = broker.host.as_str().into();
            }
            Err((code, reason)) => {
                response.error_code = code;
                response.error_message = (version >= 1).then(|| StrBytes::from(reason));
                (response.node_id, response.port) = (-1, -1);
            }
        }
        response
    }
}

/// Where coordinators of this type of key keep what they know.
fn topic_of(key_type: i8) -> Option<&'static str> {
    match key_type {
        GROUP => Some(OFFSETS_TOPIC),
        TRANSACTION => Some(TRANSACTIONS_TOPIC),
        _ => None,
    }
}

fn find((context, listener): (&Context, &Listener), key_type: i8, key: &str) -> Result<Broker, Unknown> {
    let topic = topic_of(key_type).ok_or((code::INVALID_REQUEST, "no such type of key"))?;
    let view = context.view();
    let not_yet = (code::COORDINATOR_NOT_AVAILABLE, "the topic of coordinators is being made");
    let topic = view.topics.get(topic).ok_or(not_yet)?;
    let partitions = i32::try_from(topic.partitions.len()).expect("bounded by the metadata's rules");
    let partition = &topic.partitions[partition_of(key, partitions) as usize];
    let no_leader = (code::COORDINATOR_NOT_AVAILABLE, "the partition of this key has no leader now");
    let leader = context.leader(&view, partition).ok_or(no_leader)?;
    context.broker(leader.broker, listener).ok_or(no_leader)
}

/// Makes a coordinators' topic where it is missing; whoever was faster is as good.
pub async fn make_topic(context: &Context, name: &'static str) {
    let view = context.view();
    if view.topics.contains_key(name) {
        return;
    }
    let new = context.new_topic(name);
    let made = match propose::create_topic(&view, &context.statics, new) {
        Ok(command) => context.control(command).await.map(drop).map_err(|refusal| format!("{refusal:?}")),
        Err(error) => Err(error.to_string()),
    };
    match made {
        Ok(()) => wait_until_usable(context, &[name]).await,
        Err(error) => tracing::warn!("{name} was not made: {error}"),
    }
}

fn coordinator(found: Result<Broker, Unknown>, key: StrBytes) -> Coordinator {
    let mut coordinator = Coordinator::default();
    coordinator.key = key;
    match found {
        Ok(broker) => {
            (coordinator.node_id, coordinator.port) = (broker.id, i32::from(broker.port));
            coordinator.host = broker.host.as_str().into();
        }
        Err((code, reason)) => {
            (coordinator.node_id, coordinator.port) = (-1, -1);
            coordinator.error_code = code;
            coordinator.error_message = Some(StrBytes::from(reason));
        }
    }
    coordinator
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_type_of_key_has_its_topic() {
        let topics = [0, 1, 2, -1].map(topic_of);
        assert_eq!(topics, [Some("__consumer_offsets"), Some("__transaction_state"), None, None]);
    }
}
