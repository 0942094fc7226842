//! CreatePartitions: more partitions for topics that are there.

use super::admin::{self, Failure};
use super::metadata::wait_until_usable;
use crate::kafka::codec::wire::create_partitions_response::CreatePartitionsTopicResult;
use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::errors::code;
use crate::kafka::request_context::RequestContext;
use crate::shard::pace::Pace;
use core::ops::RangeInclusive;
use engine::control::{Command, View, propose};
use kafka_wire::create_partitions_request::CreatePartitionsTopic;
use kafka_wire::{CreatePartitionsRequest, CreatePartitionsResponse};
use std::collections::BTreeSet;

pub struct CreatePartitions;

impl Handler for CreatePartitions {
    type Request = CreatePartitionsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=3;

    fn named(request: &Self::Request) -> usize {
        let by_hand = |topic: &CreatePartitionsTopic| -> usize {
            topic.assignments.iter().flatten().map(|one| 1 + one.broker_ids.len()).sum()
        };
        request.topics.iter().map(|topic| 1 + by_hand(topic)).sum()
    }

    async fn handle(
        context: &Context,
        _: &RequestContext,
        request: CreatePartitionsRequest,
    ) -> CreatePartitionsResponse {
        let view = context.view();
        let living = admin::living(context);
        let repeated = admin::repeated(request.topics.iter().map(|topic| topic.name.as_str()));
        let mut planned = Vec::with_capacity(request.topics.len());
        let mut pace = Pace::begin();
        for topic in &request.topics {
            pace.rest_if_late().await;
            planned.push(plan((&view, &living), &repeated, topic, context.random()));
        }
        let results: Vec<Result<(), Failure>> = if request.validate_only {
            planned.into_iter().map(|one| one.map(|_| ())).collect()
        } else {
            let results = admin::carry_out(context, planned, request.timeout_ms).await;
            let names: Vec<&str> = request.topics.iter().map(|topic| topic.name.as_str()).collect();
            wait_until_usable(context, &names).await;
            results.into_iter().map(|one| one.map(|_| ())).collect()
        };
        let mut response = CreatePartitionsResponse::default();
        for (topic, result) in request.topics.iter().zip(&results) {
            let mut answer = CreatePartitionsTopicResult::default();
            answer.name = topic.name.clone();
            (answer.error_code, answer.error_message) = admin::error_fields(result);
            response.results.push(answer);
        }
        response
    }
}

fn plan(
    (view, living): (&View, &BTreeSet<i32>),
    repeated: &BTreeSet<&str>,
    topic: &CreatePartitionsTopic,
    entropy: u64,
) -> Result<Command, Failure> {
    if repeated.contains(topic.name.as_str()) {
        return Err(Failure::request("Duplicate topic name."));
    }
    let Some(assignments) = &topic.assignments else {
        return Ok(propose::add_partitions(view, &topic.name, topic.count, entropy, Vec::new())?);
    };
    // What is wrong with the number comes first.
    propose::add_partitions(view, &topic.name, topic.count, entropy, Vec::new())?;
    let there = &view.topics[topic.name.as_str()];
    let more = topic.count as usize - there.partitions.len();
    if assignments.len() != more {
        return Err(Failure::new(
            code::INVALID_REPLICA_ASSIGNMENT,
            format!(
                "Attempted to add {more} additional partition(s), but {} assignment(s) were specified.",
                assignments.len()
            ),
        ));
    }
    let lists: Vec<&[i32]> = assignments.iter().map(|one| one.broker_ids.as_slice()).collect();
    let places = admin::places(view, living, &lists, Some(there.replication_factor))?;
    Ok(propose::add_partitions(view, &topic.name, topic.count, entropy, places)?)
}

#[cfg(test)]
mod tests {
    use super::super::admin::fixture::Cluster;
    use super::*;
    use kafka_wire::create_partitions_request::CreatePartitionsAssignment;

    fn planned(name: &str, count: i32, brokers: Option<&[&[i32]]>) -> Result<(), i16> {
        let view = Cluster::new(1).with_topic("a", 1, 2).view();
        let mut topic = CreatePartitionsTopic::default();
        topic.name = name.into();
        topic.count = count;
        let assignment = |brokers: &&[i32]| {
            let mut assignment = CreatePartitionsAssignment::default();
            assignment.broker_ids = brokers.to_vec();
            assignment
        };
        topic.assignments = brokers.map(|all| all.iter().map(assignment).collect());
        let living = BTreeSet::from([0]);
        plan((&view, &living), &BTreeSet::from(["twice"]), &topic, 1)
            .map(|_| ())
            .map_err(|failure| failure.code)
    }

    #[test]
    fn only_more_partitions_can_be_asked_for() {
        assert_eq!(planned("a", 3, None), Ok(()));
        for count in [2, 1, 0, -1] {
            assert_eq!(planned("a", count, None), Err(code::INVALID_PARTITIONS), "{count}");
        }
        assert_eq!(planned("a", 10_001, None), Err(code::POLICY_VIOLATION));
        assert_eq!(planned("no", 3, None), Err(code::UNKNOWN_TOPIC_OR_PARTITION));
        assert_eq!(planned("twice", 3, None), Err(code::INVALID_REQUEST));
    }

    #[test]
    fn a_placement_by_hand_names_each_new_partition_once() {
        assert_eq!(planned("a", 3, Some(&[&[0]])), Ok(()));
        assert_eq!(planned("a", 3, Some(&[])), Err(code::INVALID_REPLICA_ASSIGNMENT));
        assert_eq!(planned("a", 3, Some(&[&[1]])), Err(code::INVALID_REPLICA_ASSIGNMENT));
        assert_eq!(planned("a", 4, Some(&[&[0], &[0, 0]])), Err(code::INVALID_REPLICA_ASSIGNMENT));
        assert_eq!(planned("a", 2, Some(&[])), Err(code::INVALID_PARTITIONS));
    }
}
