//! OffsetDelete: committed offsets of topics that the group does not read any more.

use super::partition_questions::find_partition;
use crate::kafka::codec::wire::offset_delete_response::{
    OffsetDeleteResponsePartition, OffsetDeleteResponseTopic,
};
use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::errors::{code, group_code, group_result_code};
use crate::kafka::request_context::RequestContext;
use core::ops::RangeInclusive;
use engine::groups::request::DeleteOffsets;
use engine::groups::{Answer, Request};
use kafka_wire::{OffsetDeleteRequest, OffsetDeleteResponse};

pub struct OffsetDelete;

impl Handler for OffsetDelete {
    type Request = OffsetDeleteRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=0;

    fn named(request: &Self::Request) -> usize {
        request.topics.iter().map(|topic| 1 + topic.partitions.len()).sum()
    }

    async fn handle(
        context: &Context,
        _: &RequestContext,
        request: OffsetDeleteRequest,
    ) -> OffsetDeleteResponse {
        let view = context.view();
        let is_known = |topic: &str, number| find_partition(&view, topic, number).is_ok();
        let group = request.group_id.as_str().to_owned();
        let mut delete = DeleteOffsets { group, partitions: Vec::new() };
        for topic in &request.topics {
            let known = topic.partitions.iter().map(|partition| partition.partition_index);
            let known = known.filter(|number| is_known(&topic.name, *number));
            delete.partitions.extend(known.map(|number| (topic.name.as_str().into(), number)));
        }
        let mut response = OffsetDeleteResponse::default();
        let results = match context.groups.ask(Request::DeleteOffsets(delete)).await {
            Answer::OffsetsDeleted(Ok(results)) => results,
            Answer::OffsetsDeleted(Err(error)) => {
                response.error_code = group_code(error);
                return response;
            }
            other => panic!("a deletion was answered with {other:?}"),
        };
        let mut codes = results.into_iter().map(group_result_code);
        for topic in &request.topics {
            let mut answered = OffsetDeleteResponseTopic::default();
            answered.name = topic.name.clone();
            for partition in &topic.partitions {
                let mut one = OffsetDeleteResponsePartition::default();
                one.partition_index = partition.partition_index;
                one.error_code = match is_known(&topic.name, partition.partition_index) {
                    true => codes.next().expect("one for each that is known"),
                    false => code::UNKNOWN_TOPIC_OR_PARTITION,
                };
                answered.partitions.push(one);
            }
            response.topics.push(answered);
        }
        response
    }
}
