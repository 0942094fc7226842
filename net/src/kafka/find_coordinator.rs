//! FindCoordinator: there are no groups yet. The API is there because librdkafka turns lz4 off
//! towards brokers without it; the error is the one that clients wait and ask again on.

use super::context::Context;
use super::dispatch::Handler;
use super::errors::code;
use super::wire::StrBytes;
use super::wire::find_coordinator_response::Coordinator;
use core::ops::RangeInclusive;
use kafka_wire::{FindCoordinatorRequest, FindCoordinatorResponse};

pub struct FindCoordinator;

const REASON: &str = "this broker has no consumer groups and no transactions yet";

impl Handler for FindCoordinator {
    type Request = FindCoordinatorRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=6;

    async fn handle(_: &Context, version: i16, request: FindCoordinatorRequest) -> FindCoordinatorResponse {
        let mut response = FindCoordinatorResponse::default();
        if version < 4 {
            response.error_code = code::COORDINATOR_NOT_AVAILABLE;
            response.error_message = (version >= 1).then(|| StrBytes::from(REASON));
            (response.node_id, response.port) = (-1, -1);
            return response;
        }
        response.coordinators = request.coordinator_keys.into_iter().map(coordinator).collect();
        response
    }
}

fn coordinator(key: StrBytes) -> Coordinator {
    let mut coordinator = Coordinator::default();
    coordinator.key = key;
    (coordinator.node_id, coordinator.port) = (-1, -1);
    coordinator.error_code = code::COORDINATOR_NOT_AVAILABLE;
    coordinator.error_message = Some(StrBytes::from(REASON));
    coordinator
}
