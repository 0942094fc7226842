//! ElectLeaders. Leadership belongs to a journal: electing the preferred leader of a partition
//! moves all partitions of its journal, which have the same one.

use crate::kafka::context::{Context, Placed};
use crate::kafka::dispatch::Handler;
use crate::kafka::errors::code;
use crate::kafka::repeats;
use crate::kafka::request_context::RequestContext;
use crate::kafka::stop_tag;
use crate::shard::pace::Pace;
use core::ops::RangeInclusive;
use core::time::Duration;
use engine::control::View;
use engine::control::view::PartitionView;
use engine::ids::JournalId;
use kafka_wire::elect_leaders_response::{PartitionResult, ReplicaElectionResult};
use kafka_wire::{ElectLeadersRequest, ElectLeadersResponse};
use std::collections::BTreeSet;

pub struct ElectLeaders;

/// The first replica of the list leads; the other kind (unclean, 1) wants any leader.
const PREFERRED: i8 = 0;
/// A leader that could not hand over yet is asked again after this.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// A partition that was named, or of all those there are.
struct Altering {
    topic: String,
    number: i32,
    partition: Option<PartitionView>,
}

impl Handler for ElectLeaders {
    type Request = ElectLeadersRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=2;

    fn named(request: &Self::Request) -> usize {
        request.topic_partitions.iter().flatten().map(|topic| 1 + topic.partitions.len()).sum()
    }

    fn merge(request: &mut Self::Request) {
        if let Some(topics) = &mut request.topic_partitions {
            repeats::keep_first_partitions(
                topics,
                |topic| (topic.topic.clone(), &mut topic.partitions),
                |number| *number,
            );
        }
    }

    async fn handle(
        context: &Context,
        &RequestContext { version, .. }: &RequestContext,
        request: ElectLeadersRequest,
    ) -> ElectLeadersResponse {
        if stop_tag::asked(&request.unknown_tagged_fields) == Some(context.node()) {
            tracing::info!("stopping: asked to by `duramen node stop`");
            context.shard.status.request_stop();
            return ElectLeadersResponse::default();
        }
        let view = context.view();
        // Version 0 knows the preferred kind only.
        let kind = if version == 0 { PREFERRED } else { request.election_type };
        let asked = asked(&view, &request);
        let judge = |one: &Altering| {
            let placed = one.partition.as_ref().map(|partition| context.placed(&view, partition));
            placed.map_or(code::UNKNOWN_TOPIC_OR_PARTITION, |placed| judge(kind, &placed))
        };
        let mut codes: Vec<i16> = Vec::with_capacity(asked.len());
        let mut pace = Pace::begin();
        for one in &asked {
            pace.rest_if_late().await;
            codes.push(judge(one));
        }
        let moves: Vec<usize> = (0..asked.len()).filter(|at| codes[*at] == code::NONE).collect();
        let journals = moves.iter().filter_map(|at| journal_of(&asked[*at])).collect();
        hand_over(context, journals, request.timeout_ms).await;
        for at in moves {
            codes[at] = match judge(&asked[at]) {
                code::ELECTION_NOT_NEEDED => code::NONE,
                code::NONE => code::REQUEST_TIMED_OUT,
                other => other,
            };
        }
        let mut response = ElectLeadersResponse::default();
        response.replica_election_results = results(&asked, &codes, request.topic_partitions.is_none());
        response
    }
}

/// Asks the leaders again and again, until all handed over, cannot, or the time is over.
async fn hand_over(context: &Context, mut journals: BTreeSet<JournalId>, timeout_ms: i32) {
    let deadline_ns = context.admin_deadline_ns(timeout_ms);
    let is_astray = |journal: &JournalId| {
        let view = context.view();
        let preferred = view.journals.get(journal).map(|journal| journal.replicas[0]);
        let leaders = context.shard.leaders.borrow();
        let leader = leaders.get(*journal).and_then(|known| known.leader);
        preferred.is_some_and(|preferred| leader != Some(preferred) && context.shard.is_living(preferred))
    };
    while context.shard.now().mono_ns < deadline_ns {
        journals.retain(is_astray);
        if journals.is_empty() {
            return;
        }
        journals.iter().for_each(|journal| context.shard.elect(*journal));
        context.wait_for(ASK_AGAIN, || !journals.iter().any(is_astray)).await;
    }
}

fn journal_of(asked: &Altering) -> Option<JournalId> {
    Some(asked.partition.as_ref()?.spans.last()?.journal)
}

/// What there is to say of one partition; nothing when an election may help.
fn judge(kind: i8, placed: &Placed) -> i16 {
    let leader = placed.leader.map(|leader| leader.broker);
    let preferred = placed.replicas.first();
    let is_there = preferred.is_some_and(|preferred| !placed.offline.contains(preferred));
    let in_sync = preferred.is_some_and(|preferred| placed.in_sync.contains(preferred));
    match (kind, leader) {
        (PREFERRED, Some(leader)) if preferred == Some(&leader) => code::ELECTION_NOT_NEEDED,
        (PREFERRED, Some(_)) if is_there && in_sync => code::NONE,
        (PREFERRED, _) => code::PREFERRED_LEADER_NOT_AVAILABLE,
        (_, Some(_)) => code::ELECTION_NOT_NEEDED,
        (_, None) => code::ELIGIBLE_LEADERS_NOT_AVAILABLE,
    }
}

/// The partitions that the request names; all, where it names none.
fn asked(view: &View, request: &ElectLeadersRequest) -> Vec<Altering> {
    let one = |topic: &str, number: i32| {
        let partitions = view.topics.get(topic).map(|topic| &topic.partitions);
        let partition = partitions.and_then(|all| all.get(usize::try_from(number).ok()?)).cloned();
        Altering { topic: topic.to_owned(), number, partition }
    };
    match &request.topic_partitions {
        Some(named) => {
            let named =
                named.iter().flat_map(|topic| topic.partitions.iter().map(|number| (&topic.topic, *number)));
            named.map(|(topic, number)| one(topic, number)).collect()
        }
        None => {
            let topics = view.topics.values();
            topics
                .flat_map(|topic| (0..).zip(&topic.partitions).map(|(number, _)| one(&topic.name, number)))
                .collect()
        }
    }
}

/// One result per topic, in order. Of all partitions those that need nothing are left out, as Kafka
/// does.
fn results(asked: &[Altering], codes: &[i16], are_all: bool) -> Vec<ReplicaElectionResult> {
    let mut results: Vec<ReplicaElectionResult> = Vec::new();
    for (one, error_code) in asked.iter().zip(codes) {
        if are_all && *error_code == code::ELECTION_NOT_NEEDED {
            continue;
        }
        let mut partition = PartitionResult::default();
        (partition.partition_id, partition.error_code) = (one.number, *error_code);
        partition.error_message = None;
        match results.last_mut().filter(|topic| topic.topic.as_str() == one.topic) {
            Some(topic) => topic.partition_result.push(partition),
            None => {
                let mut topic = ReplicaElectionResult::default();
                topic.topic = one.topic.as_str().into();
                topic.partition_result.push(partition);
                results.push(topic);
            }
        }
    }
    results
}

#[cfg(test)]
mod tests {
    use super::super::admin::fixture::Cluster;
    use super::*;
    use crate::kafka::context::PartitionLeader;

    fn placed(leader: Option<i32>, in_sync: &[i32], offline: &[i32]) -> Placed {
        Placed {
            leader: leader.map(|broker| PartitionLeader { broker, epoch: 0 }),
            replicas: vec![1, 1000],
            in_sync: in_sync.to_vec(),
            offline: offline.to_vec(),
        }
    }

    #[test]
    fn an_election_is_needed_where_another_leads_and_the_wanted_leader_is_in_sync() {
        assert_eq!(judge(PREFERRED, &placed(Some(1), &[1, 1000], &[])), code::ELECTION_NOT_NEEDED);
        assert_eq!(judge(PREFERRED, &placed(Some(1000), &[1, 1000], &[])), code::NONE);
        let unavailable = code::PREFERRED_LEADER_NOT_AVAILABLE;
        assert_eq!(judge(PREFERRED, &placed(Some(1000), &[1000], &[])), unavailable);
        assert_eq!(judge(PREFERRED, &placed(Some(1000), &[1, 1000], &[1])), unavailable);
        assert_eq!(judge(PREFERRED, &placed(None, &[], &[])), unavailable);
        assert_eq!(judge(1, &placed(Some(1000), &[], &[])), code::ELECTION_NOT_NEEDED);
        assert_eq!(judge(1, &placed(None, &[], &[])), code::ELIGIBLE_LEADERS_NOT_AVAILABLE);
    }

    #[test]
    fn of_all_partitions_those_that_need_nothing_are_left_out() {
        let view = Cluster::new(1).with_topic("a", 1, 2).with_topic("b", 2, 1).view();
        let mut request = ElectLeadersRequest::default();
        request.topic_partitions = None;
        let all = asked(&view, &request);
        assert_eq!(all.len(), 3);
        let needed = code::ELECTION_NOT_NEEDED;
        assert!(results(&all, &[needed; 3], true).is_empty());
        let moved = results(&all, &[needed, code::NONE, needed], true);
        assert_eq!((moved.len(), moved[0].partition_result.len()), (1, 1));
        let named = results(&all, &[needed; 3], false);
        assert_eq!((named.len(), named[0].partition_result.len()), (2, 2));
    }
}
