//! OffsetFetch: committed offsets, of several groups from v8 on (KIP-709). What is not committed
//! is offset −1 and no error.

use super::topics_by_id;
use crate::kafka::codec::wire::offset_fetch_response::{
    OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponsePartitions,
    OffsetFetchResponseTopic, OffsetFetchResponseTopics,
};
use crate::kafka::codec::wire::{self, StrBytes};
use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::errors::{code, group_code};
use crate::kafka::repeats;
use crate::kafka::request_context::RequestContext;
use core::ops::RangeInclusive;
use engine::control::View;
use engine::groups::request::{FetchOffsets, FetchedOffset};
use engine::groups::{Answer, GroupError, Request};
use kafka_wire::offset_fetch_request::{OffsetFetchRequestGroup, OffsetFetchRequestTopics};
use kafka_wire::{OffsetFetchRequest, OffsetFetchResponse};
use std::sync::Arc;

pub struct OffsetFetch;

/// The first version with an error of the whole answer; before, each partition has it.
const ERROR_FROM: i16 = 2;
/// The first version that names groups by a list.
const BATCHED_FROM: i16 = 8;

type Fetched = Result<Vec<FetchedOffset>, GroupError>;

impl Handler for OffsetFetch {
    type Request = OffsetFetchRequest;
    const VERSIONS: RangeInclusive<i16> = 1..=10;

    fn named(request: &Self::Request) -> usize {
        let of_group = |group: &OffsetFetchRequestGroup| -> usize {
            group.topics.iter().flatten().map(|topic| 1 + topic.partition_indexes.len()).sum()
        };
        let of_one = request.topics.iter().flatten().map(|topic| 1 + topic.partition_indexes.len());
        of_one.sum::<usize>() + request.groups.iter().map(|group| 1 + of_group(group)).sum::<usize>()
    }

    fn resolve(request: &mut Self::Request, view: &View, version: i16) {
        if version >= topics_by_id::OFFSETS_FROM {
            for topic in request.groups.iter_mut().flat_map(|group| group.topics.iter_mut().flatten()) {
                topics_by_id::fill_in(view, &mut topic.name, topic.topic_id);
            }
        }
    }

    fn merge(request: &mut Self::Request) {
        if let Some(topics) = &mut request.topics {
            repeats::keep_first_partitions(
                topics,
                |one| (one.name.clone(), &mut one.partition_indexes),
                |number| *number,
            );
        }
        repeats::keep_first(&mut request.groups, |group| group.group_id.clone());
        for topics in request.groups.iter_mut().filter_map(|group| group.topics.as_mut()) {
            repeats::keep_first_partitions(
                topics,
                |one| ((one.name.clone(), one.topic_id.to_bytes()), &mut one.partition_indexes),
                |number| *number,
            );
        }
    }

    async fn handle(
        context: &Context,
        &RequestContext { version, .. }: &RequestContext,
        mut request: OffsetFetchRequest,
    ) -> OffsetFetchResponse {
        let require_stable = request.require_stable;
        let fetch_of =
            |group, wanted| FetchOffsets { group, wanted, require_stable, member: None, epoch: -1 };
        if version < BATCHED_FROM {
            let topics = request.topics.as_ref();
            let wanted = topics.map(|topics| {
                partitions(topics.iter().map(|topic| (&topic.name, topic.partition_indexes.as_slice())))
            });
            let group = request.group_id.as_str().to_owned();
            let fetched = ask(context, fetch_of(group, wanted.clone())).await;
            return one_group(version, wanted, fetched);
        }
        let mut response = OffsetFetchResponse::default();
        for group in &mut request.groups {
            let view = context.view();
            let unknown = take_out_unknown(&view, version, group);
            let topics = group.topics.as_ref();
            let wanted = topics.map(|topics| {
                partitions(topics.iter().map(|topic| (&topic.name, topic.partition_indexes.as_slice())))
            });
            let fetch = FetchOffsets {
                member: wire::owned(group.member_id.as_ref()),
                epoch: group.member_epoch,
                ..fetch_of(group.group_id.as_str().to_owned(), wanted)
            };
            let fetched = ask(context, fetch).await;
            let mut listed = listed_group(group.group_id.clone(), fetched);
            if version >= topics_by_id::OFFSETS_FROM {
                name_by_id(&view, unknown, &mut listed);
            }
            response.groups.push(listed);
        }
        response
    }
}

/// Takes out the topics of a group whose ids are not there, or not any more.
fn take_out_unknown(
    view: &View,
    version: i16,
    group: &mut OffsetFetchRequestGroup,
) -> Vec<OffsetFetchRequestTopics> {
    let Some(topics) = group.topics.as_mut().filter(|_| version >= topics_by_id::OFFSETS_FROM) else {
        return Vec::new();
    };
    let is_unknown = |topic: &mut OffsetFetchRequestTopics| {
        topics_by_id::id_of(view, &topic.name).is_none_or(|id| id != topic.topic_id)
    };
    topics.extract_if(.., is_unknown).collect()
}

/// Gives the topics of a group's answer their ids; the unknown ones stand behind them.
fn name_by_id(view: &View, unknown: Vec<OffsetFetchRequestTopics>, group: &mut OffsetFetchResponseGroup) {
    // Where all were asked for, one that is not there any more has no id that could be told.
    group.topics.retain_mut(|topic| match topics_by_id::id_of(view, &topic.name) {
        Some(id) => {
            topic.topic_id = id;
            true
        }
        None => false,
    });
    if group.error_code != code::NONE {
        return;
    }
    for topic in unknown {
        let failed = |number: &i32| {
            let mut partition = OffsetFetchResponsePartitions::default();
            (partition.partition_index, partition.error_code) = (*number, code::UNKNOWN_TOPIC_ID);
            (partition.committed_offset, partition.committed_leader_epoch) = (-1, -1);
            partition.metadata = Some(StrBytes::default());
            partition
        };
        let mut answered = OffsetFetchResponseTopics::default();
        answered.topic_id = topic.topic_id;
        answered.partitions = topic.partition_indexes.iter().map(failed).collect();
        group.topics.push(answered);
    }
}

async fn ask(context: &Context, fetch: FetchOffsets) -> Fetched {
    match context.groups.ask(Request::FetchOffsets(fetch)).await {
        Answer::Offsets(fetched) => fetched,
        other => panic!("offsets were asked for and {other:?} answered"),
    }
}

fn partitions<'a>(topics: impl Iterator<Item = (&'a StrBytes, &'a [i32])>) -> Vec<(Arc<str>, i32)> {
    let mut partitions = Vec::new();
    for (name, numbers) in topics {
        let name: Arc<str> = name.as_str().into();
        partitions.extend(numbers.iter().map(|number| (Arc::clone(&name), *number)));
    }
    partitions
}

/// Runs of the same topic.
fn by_topic(fetched: &[FetchedOffset]) -> impl Iterator<Item = &[FetchedOffset]> {
    fetched.chunk_by(|one, next| one.topic == next.topic)
}

/// The protocol has two types of the same fields: for one group, and in a list of groups.
macro_rules! topics {
    ($fetched:expr, $topic:ty, $partition:ty) => {
        by_topic(&$fetched)
            .map(|run| {
                let mut topic = <$topic>::default();
                topic.name = (&*run[0].topic).into();
                topic.partitions = run
                    .iter()
                    .map(|offset| {
                        let mut partition = <$partition>::default();
                        partition.partition_index = offset.partition;
                        partition.committed_offset = offset.offset;
                        partition.committed_leader_epoch = offset.leader_epoch;
                        partition.metadata = Some((&*offset.metadata).into());
                        partition.error_code = offset.error.map_or(code::NONE, group_code);
                        partition
                    })
                    .collect();
                topic
            })
            .collect()
    };
}

fn one_group(version: i16, wanted: Option<Vec<(Arc<str>, i32)>>, fetched: Fetched) -> OffsetFetchResponse {
    let mut response = OffsetFetchResponse::default();
    let fetched = match fetched {
        Ok(fetched) => fetched,
        Err(error) if version < ERROR_FROM => {
            let failed = |(topic, partition): (Arc<str>, i32)| FetchedOffset {
                topic,
                partition,
                offset: -1,
                leader_epoch: -1,
                metadata: "".into(),
                error: Some(error),
            };
            wanted.into_iter().flatten().map(failed).collect()
        }
        Err(error) => {
            response.error_code = group_code(error);
            Vec::new()
        }
    };
    response.topics = topics!(fetched, OffsetFetchResponseTopic, OffsetFetchResponsePartition);
    response
}

fn listed_group(name: StrBytes, fetched: Fetched) -> OffsetFetchResponseGroup {
    let mut group = OffsetFetchResponseGroup::default();
    group.group_id = name;
    let fetched = fetched.unwrap_or_else(|error| {
        group.error_code = group_code(error);
        Vec::new()
    });
    group.topics = topics!(fetched, OffsetFetchResponseTopics, OffsetFetchResponsePartitions);
    group
}

#[cfg(test)]
mod tests {
    use super::super::admin::fixture::Cluster;
    use super::*;
    use engine::ids::TopicId;

    #[test]
    fn topics_of_the_newest_version_have_ids_and_their_answers_too() {
        let view = Cluster::new(1).with_topic("a", 7, 2).with_topic("b", 8, 1).view();
        let topic = |id| {
            let mut topic = OffsetFetchRequestTopics::default();
            (topic.topic_id, topic.partition_indexes) = (wire::uuid(TopicId(id)), vec![1]);
            topic
        };
        let mut request = OffsetFetchRequest::default();
        let mut group = OffsetFetchRequestGroup::default();
        group.topics = Some(vec![topic(7), topic(5), topic(8), topic(6), topic(5)]);
        request.groups.push(group);
        OffsetFetch::merge(&mut request);
        OffsetFetch::resolve(&mut request, &view, 10);
        let later = Cluster::new(1).with_topic("a", 7, 2).with_topic("b", 9, 1).view();
        let group = &mut request.groups[0];
        let unknown = take_out_unknown(&later, 10, group);
        let ids = |topics: &[OffsetFetchRequestTopics]| {
            topics.iter().map(|topic| wire::topic_id(topic.topic_id).0).collect::<Vec<_>>()
        };
        assert_eq!(ids(group.topics.as_deref().expect("a list")), [7]);
        assert_eq!(ids(&unknown), [5, 8, 6], "each once, and the name of 8 is another topic's by now");
        let offset = |topic: &str| FetchedOffset {
            topic: topic.into(),
            partition: 1,
            offset: 7,
            leader_epoch: 2,
            metadata: "m".into(),
            error: None,
        };
        let mut listed = listed_group("g".into(), Ok(vec![offset("a"), offset("gone")]));
        name_by_id(&later, unknown.clone(), &mut listed);
        let mut response = OffsetFetchResponse::default();
        response.groups.push(listed);
        let mut bytes = wire::BytesMut::new();
        wire::encode(&mut bytes, &response, 10).expect("it fits");
        let response: OffsetFetchResponse = wire::decode(&bytes, 10).expect("it is read");
        let told = response.groups[0].topics.iter().map(|topic| {
            assert!(topic.name.is_empty(), "no answer tells a name");
            let partition = &topic.partitions[0];
            (wire::topic_id(topic.topic_id).0, partition.error_code, partition.committed_offset)
        });
        assert_eq!(told.collect::<Vec<_>>(), [(7, 0, 7), (5, 100, -1), (8, 100, -1), (6, 100, -1)]);
        let mut failed = listed_group("g".into(), Err(GroupError::CoordinatorLoadInProgress));
        name_by_id(&later, unknown, &mut failed);
        assert!(failed.topics.is_empty(), "the whole group has an error");
    }

    #[test]
    fn every_version_can_carry_offsets_and_an_error() {
        let offset = |topic: &str, partition| FetchedOffset {
            topic: topic.into(),
            partition,
            offset: 7,
            leader_epoch: 2,
            metadata: "m".into(),
            error: None,
        };
        let fetched = vec![offset("a", 0), offset("a", 1), offset("b", 0)];
        let wanted = Some(vec![(Arc::from("a"), 0)]);
        for version in OffsetFetch::VERSIONS {
            for fetched in [Ok(fetched.clone()), Err(GroupError::CoordinatorLoadInProgress)] {
                let response = if version < BATCHED_FROM {
                    one_group(version, wanted.clone(), fetched)
                } else {
                    let mut response = OffsetFetchResponse::default();
                    response.groups.push(listed_group("g".into(), fetched));
                    response
                };
                let mut bytes = wire::BytesMut::new();
                wire::encode(&mut bytes, &response, version).expect("it fits");
                wire::decode::<OffsetFetchResponse>(&bytes, version).expect("it is read");
            }
        }
        assert_eq!(one_group(5, None, Ok(fetched)).topics[0].partitions.len(), 2);
        let failed = one_group(1, wanted, Err(GroupError::CoordinatorLoadInProgress));
        assert_eq!(failed.topics[0].partitions[0].error_code, 14);
    }
}
