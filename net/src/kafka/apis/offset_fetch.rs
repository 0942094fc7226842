//! OffsetFetch: committed offsets, of several groups from v8 on (KIP-709). What is not committed
//! is offset −1 and no error.

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
use engine::groups::request::{FetchOffsets, FetchedOffset};
use engine::groups::{Answer, GroupError, Request};
use kafka_wire::offset_fetch_request::OffsetFetchRequestGroup;
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
    const VERSIONS: RangeInclusive<i16> = 1..=9;

    fn named(request: &Self::Request) -> usize {
        let of_group = |group: &OffsetFetchRequestGroup| -> usize {
            group.topics.iter().flatten().map(|topic| 1 + topic.partition_indexes.len()).sum()
        };
        let of_one = request.topics.iter().flatten().map(|topic| 1 + topic.partition_indexes.len());
        of_one.sum::<usize>() + request.groups.iter().map(|group| 1 + of_group(group)).sum::<usize>()
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
                |one| (one.name.clone(), &mut one.partition_indexes),
                |number| *number,
            );
        }
    }

    async fn handle(
        context: &Context,
        &RequestContext { version, .. }: &RequestContext,
        request: OffsetFetchRequest,
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
        for group in &request.groups {
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
            response.groups.push(listed_group(group.group_id.clone(), fetched));
        }
        response
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
    use super::*;

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
