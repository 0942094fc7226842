//! DescribeCluster: the brokers, the controller and the cluster's id; and what is wrong, for those who
//! know to ask.

use super::metadata::cluster_id;
use super::operations;
use crate::kafka::codec::wire::StrBytes;
use crate::kafka::codec::wire::describe_cluster_response::DescribeClusterBroker;
use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::errors::code;
use crate::kafka::request_context::RequestContext;
use crate::observe::health_row;
use core::ops::RangeInclusive;
use kafka_wire::{DescribeClusterRequest, DescribeClusterResponse};

pub struct DescribeCluster;

/// Brokers, as against controllers (KIP-919).
const ENDPOINT_BROKERS: i8 = 1;

impl Handler for DescribeCluster {
    type Request = DescribeClusterRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=2;

    async fn handle(
        context: &Context,
        RequestContext { version, peer, .. }: &RequestContext,
        request: DescribeClusterRequest,
    ) -> DescribeClusterResponse {
        let mut response = DescribeClusterResponse::default();
        response.cluster_authorized_operations = operations::UNKNOWN;
        response.endpoint_type = ENDPOINT_BROKERS;
        if *version >= 1 && request.endpoint_type != ENDPOINT_BROKERS {
            let is_known = request.endpoint_type == 2;
            response.error_code =
                if is_known { code::MISMATCHED_ENDPOINT_TYPE } else { code::UNSUPPORTED_ENDPOINT_TYPE };
            response.error_message = Some(StrBytes::from("only brokers can be described here"));
            return response;
        }
        let asked = request.include_cluster_authorized_operations;
        response.cluster_authorized_operations = operations::if_asked(asked, operations::CLUSTER);
        response.cluster_id = cluster_id(&context.view()).into();
        response.controller_id = context.controller_id();
        response.brokers = context.brokers(&peer.listener).into_iter().map(broker).collect();
        if *version >= 2 && request.include_fenced_brokers {
            let fenced = |fenced| {
                let mut described = broker(fenced);
                described.is_fenced = true;
                described
            };
            response.brokers.extend(context.brokers_away(&peer.listener).into_iter().map(fenced));
        }
        if health_row::is_asked(&request.unknown_tagged_fields) {
            let status = &context.shard.status;
            let answer = health_row::answer(&status.findings(), status.certificate_end_s());
            response.unknown_tagged_fields = status.standing().append_to(answer);
        }
        response
    }
}

fn broker(broker: crate::kafka::broker::Broker) -> DescribeClusterBroker {
    let mut described = DescribeClusterBroker::default();
    described.broker_id = broker.id;
    described.host = broker.host.into();
    described.port = i32::from(broker.port);
    described.rack = broker.rack.map(StrBytes::from);
    described
}
