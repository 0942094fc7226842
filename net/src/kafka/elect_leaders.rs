//! ElectLeaders. Leadership belongs to a journal and not to a partition, and moves back to the
//! preferred node by itself: what is asked for is there already, or cannot be now.

use super::context::Context;
use super::dispatch::Handler;
use super::errors::code;
use core::ops::RangeInclusive;
use engine::control::View;
use engine::control::view::PartitionView;
use kafka_wire::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use kafka_wire::{ElectLeadersRequest, ElectLeadersResponse};

pub struct ElectLeaders;

/// The first replica of the list leads; the other kind (unclean, 1) wants any leader.
const PREFERRED: i8 = 0;

impl Handler for ElectLeaders {
    type Request = ElectLeadersRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=2;

    async fn handle(context: &Context, version: i16, request: ElectLeadersRequest) -> ElectLeadersResponse {
        let view = context.view();
        // Version 0 knows the preferred kind only.
        let kind = if version == 0 { PREFERRED } else { request.election_type };
        let judge = |partition: &PartitionView| {
            let placed = context.placed(&view, partition);
            judge(kind, placed.leader.map(|leader| leader.broker), &placed.replicas)
        };
        let mut response = ElectLeadersResponse::default();
        response.replica_election_results = match &request.topic_partitions {
            None => all(&view, judge),
            Some(named) => {
                named.iter().map(|topic| named_topic(&view, &topic.topic, &topic.partitions, judge)).collect()
            }
        };
        response
    }
}

/// What there is to say of one partition.
fn judge(kind: i8, leader: Option<i32>, replicas: &[i32]) -> i16 {
    match (kind, leader) {
        (PREFERRED, Some(leader)) if replicas.first() == Some(&leader) => code::ELECTION_NOT_NEEDED,
        (PREFERRED, _) => code::PREFERRED_LEADER_NOT_AVAILABLE,
        (_, Some(_)) => code::ELECTION_NOT_NEEDED,
        (_, None) => code::ELIGIBLE_LEADERS_NOT_AVAILABLE,
    }
}

/// All partitions, but for those that already have the leader that is wanted: so does Kafka.
fn all(view: &View, judge: impl Fn(&PartitionView) -> i16) -> Vec<ReplicaElectionResult> {
    let results = view.topics.values().map(|topic| {
        let partitions = (0..).zip(topic.partitions.iter().map(&judge));
        let needed = partitions.filter(|(_, code)| *code != code::ELECTION_NOT_NEEDED);
        result(&topic.name, needed)
    });
    results.filter(|topic| !topic.partition_result.is_empty()).collect()
}

fn named_topic(
    view: &View,
    name: &str,
    numbers: &[i32],
    judge: impl Fn(&PartitionView) -> i16,
) -> ReplicaElectionResult {
    let topic = view.topics.get(name);
    let judged = numbers.iter().map(|&number| {
        let partition = topic.and_then(|topic| topic.partitions.get(usize::try_from(number).ok()?));
        (number, partition.map_or(code::UNKNOWN_TOPIC_OR_PARTITION, &judge))
    });
    result(name, judged)
}

fn result(name: &str, partitions: impl Iterator<Item = (i32, i16)>) -> ReplicaElectionResult {
    let mut result = ReplicaElectionResult::default();
    result.topic = name.into();
    result.partition_result = partitions
        .map(|(number, error_code)| {
            let mut partition = PartitionResult::default();
            (partition.partition_id, partition.error_code) = (number, error_code);
            partition.error_message = None;
            partition
        })
        .collect();
    result
}

#[cfg(test)]
mod tests {
    use super::super::admin::fixture::Cluster;
    use super::*;

    #[test]
    fn an_election_is_not_needed_where_the_wanted_leader_leads() {
        assert_eq!(judge(PREFERRED, Some(1), &[1, 1000]), code::ELECTION_NOT_NEEDED);
        assert_eq!(judge(PREFERRED, Some(1000), &[1, 1000]), code::PREFERRED_LEADER_NOT_AVAILABLE);
        assert_eq!(judge(PREFERRED, None, &[1]), code::PREFERRED_LEADER_NOT_AVAILABLE);
        assert_eq!(judge(1, Some(1000), &[1, 1000]), code::ELECTION_NOT_NEEDED);
        assert_eq!(judge(1, None, &[1]), code::ELIGIBLE_LEADERS_NOT_AVAILABLE);
    }

    #[test]
    fn of_all_partitions_those_that_need_nothing_are_left_out() {
        let view = Cluster::new(1).with_topic("a", 1, 2).with_topic("b", 2, 1).view();
        assert!(all(&view, |_| code::ELECTION_NOT_NEEDED).is_empty());
        let second = view.topics["a"].partitions[1].id;
        let needed = |partition: &PartitionView| {
            if partition.id == second {
                code::PREFERRED_LEADER_NOT_AVAILABLE
            } else {
                code::ELECTION_NOT_NEEDED
            }
        };
        let found = all(&view, needed);
        assert_eq!((found.len(), found[0].partition_result[0].partition_id), (1, 1));
        let named = named_topic(&view, "a", &[0, 2, -1], needed);
        let codes: Vec<i16> = named.partition_result.iter().map(|one| one.error_code).collect();
        assert_eq!(codes, [code::ELECTION_NOT_NEEDED, 3, 3]);
    }
}
