//! AlterPartitionReassignments and ListPartitionReassignments. Replicas belong to journals, and
//! partitions do not move between journals yet: what is asked for is there already, or refused.

use super::admin::{self, Failure, error_fields};
use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::errors::code;
use crate::kafka::repeats;
use crate::kafka::replication_tag;
use crate::kafka::request_context::RequestContext;
use crate::shard::pace::Pace;
use core::ops::RangeInclusive;
use engine::control::{Command, View};
use kafka_wire::alter_partition_reassignments_request::ReassignablePartition;
use kafka_wire::alter_partition_reassignments_response::{
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use kafka_wire::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse,
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
};

pub struct AlterPartitionReassignments;

impl Handler for AlterPartitionReassignments {
    type Request = AlterPartitionReassignmentsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=1;

    fn named(request: &Self::Request) -> usize {
        request
            .topics
            .iter()
            .flat_map(|topic| &topic.partitions)
            .map(|partition| 1 + partition.replicas.as_ref().map_or(0, Vec::len))
            .sum()
    }

    fn merge(request: &mut Self::Request) {
        repeats::keep_first_partitions(
            &mut request.topics,
            |topic| (topic.name.clone(), &mut topic.partitions),
            |one| one.partition_index,
        );
    }

    async fn handle(
        context: &Context,
        _: &RequestContext,
        request: AlterPartitionReassignmentsRequest,
    ) -> AlterPartitionReassignmentsResponse {
        let view = context.view();
        let mut response = AlterPartitionReassignmentsResponse::default();
        response.allow_replication_factor_change = request.allow_replication_factor_change;
        response.error_message = None;
        if let Some((topic, factor)) = replication_tag::asked(&request.unknown_tagged_fields) {
            let altered = alter_replication(context, &topic, factor, request.timeout_ms).await;
            (response.error_code, response.error_message) = error_fields(&altered);
            return response;
        }
        let mut pace = Pace::begin();
        for topic in request.topics {
            let mut answered = ReassignableTopicResponse::default();
            for wanted in &topic.partitions {
                pace.rest_if_late().await;
                let now = replicas(context, &view, &topic.name, wanted.partition_index);
                answered.partitions.push(answer(wanted, now.as_deref()));
            }
            answered.name = topic.name;
            response.responses.push(answered);
        }
        response
    }
}

/// A topic is to have so many copies: see [`replication_tag`].
async fn alter_replication(
    context: &Context,
    name: &str,
    replication_factor: u16,
    timeout_ms: i32,
) -> Result<(), Failure> {
    let view = context.view();
    let no_topic = || Failure::new(code::UNKNOWN_TOPIC_OR_PARTITION, "This server does not host this topic.");
    let topic_id = view.topics.get(name).ok_or_else(no_topic)?.id;
    let command = Command::AlterReplication { topic_id, replication_factor };
    let mut results = admin::carry_out(context, vec![Ok(command)], timeout_ms).await;
    results.pop().expect("one of one")?;
    tracing::info!("topic {name:?} is to have {replication_factor} copies");
    Ok(())
}

/// `None` when there is no such partition.
fn replicas(context: &Context, view: &View, topic: &str, number: i32) -> Option<Vec<i32>> {
    let partition = view.topics.get(topic)?.partitions.get(usize::try_from(number).ok()?)?;
    Some(context.placed(view, partition).replicas)
}

fn answer(wanted: &ReassignablePartition, now: Option<&[i32]>) -> ReassignablePartitionResponse {
    let mut answer = ReassignablePartitionResponse::default();
    answer.partition_index = wanted.partition_index;
    (answer.error_code, answer.error_message) = error_fields(&judge(wanted.replicas.as_deref(), now));
    answer
}

/// No replicas wanted is the end of a reassignment that is under way.
fn judge(wanted: Option<&[i32]>, now: Option<&[i32]>) -> Result<(), Failure> {
    let refused = |code, reason: &str| Err(Failure::new(code, reason));
    match (wanted, now) {
        (_, None) => refused(code::UNKNOWN_TOPIC_OR_PARTITION, "This server does not host this partition."),
        (None, Some(_)) => refused(code::NO_REASSIGNMENT_IN_PROGRESS, "No reassignment is in progress."),
        (Some(wanted), Some(now)) if wanted == now => Ok(()),
        _ => refused(code::INVALID_REPLICA_ASSIGNMENT, "Moving partitions between brokers is not built."),
    }
}

pub struct ListPartitionReassignments;

impl Handler for ListPartitionReassignments {
    type Request = ListPartitionReassignmentsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=0;

    /// None is ever under way.
    async fn handle(
        _: &Context,
        _: &RequestContext,
        _: ListPartitionReassignmentsRequest,
    ) -> ListPartitionReassignmentsResponse {
        let mut response = ListPartitionReassignmentsResponse::default();
        response.error_message = None;
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_so_already_is_granted() {
        let code = |wanted, now| judge(wanted, now).err().map(|failure| failure.code);
        assert_eq!(code(Some(&[1]), Some(&[1])), None);
        assert_eq!(code(Some(&[2]), Some(&[1])), Some(code::INVALID_REPLICA_ASSIGNMENT));
        assert_eq!(code(None, Some(&[1])), Some(code::NO_REASSIGNMENT_IN_PROGRESS));
        assert_eq!(code(Some(&[1]), None), Some(code::UNKNOWN_TOPIC_OR_PARTITION));
    }
}
