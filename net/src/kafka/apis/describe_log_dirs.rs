//! DescribeLogDirs: the one folder, the space of its file system, and the bytes of the partitions
//! that this shard leads.

use super::partition_questions::PartitionQuestions;
use crate::kafka::codec::wire::describe_log_dirs_response::{
    DescribeLogDirsPartition, DescribeLogDirsResult, DescribeLogDirsTopic,
};
use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::errors::code;
use crate::kafka::repeats;
use crate::kafka::request_context::RequestContext;
use crate::kafka::rewrite_tag;
use crate::process::system;
use core::ops::RangeInclusive;
use engine::control::View;
use engine::control::view::TopicView;
use engine::port::{Answer, QueryKind};
use kafka_wire::{DescribeLogDirsRequest, DescribeLogDirsResponse};
use std::fs::File;

pub struct DescribeLogDirs;

/// Kafka's value of "not known".
const UNKNOWN_BYTES: i64 = -1;

impl Handler for DescribeLogDirs {
    type Request = DescribeLogDirsRequest;
    const VERSIONS: RangeInclusive<i16> = 1..=5;

    fn named(request: &Self::Request) -> usize {
        request.topics.iter().flatten().map(|topic| 1 + topic.partitions.len()).sum()
    }

    fn merge(request: &mut Self::Request) {
        if let Some(topics) = &mut request.topics {
            repeats::keep_first_partitions(
                topics,
                |topic| (topic.topic.clone(), &mut topic.partitions),
                |number| *number,
            );
        }
    }

    async fn handle(
        context: &Context,
        _: &RequestContext,
        request: DescribeLogDirsRequest,
    ) -> DescribeLogDirsResponse {
        let view = context.view();
        let mut questions = PartitionQuestions::default();
        let mut asked: Vec<(&TopicView, i32)> = Vec::new();
        for (topic, number) in wanted(&view, &request) {
            let partition = &topic.partitions[number as usize];
            if partition.spans.last().is_some_and(|span| context.shard.term_led(span.journal).is_some()) {
                asked.push((topic, number));
                questions.ask(partition.id, QueryKind::Describe);
            }
        }
        let answers = questions.answers(context).await;
        let mut result = DescribeLogDirsResult::default();
        let folder = context.shard.folder();
        result.log_dir = folder.to_string_lossy().into_owned().into();
        let with_rewriting = rewrite_tag::is_asked(&request.unknown_tagged_fields);
        result.topics = topics(asked.into_iter().zip(answers), with_rewriting);
        (result.total_bytes, result.usable_bytes) = (UNKNOWN_BYTES, UNKNOWN_BYTES);
        // A look into the kernel's tables, not at the disk: it does not hold up the shard.
        match File::open(folder).and_then(|folder| system::file_system(&folder)) {
            Ok(space) => {
                result.total_bytes = i64::try_from(space.total_bytes).unwrap_or(i64::MAX);
                result.usable_bytes = i64::try_from(space.free_bytes).unwrap_or(i64::MAX);
            }
            Err(_) => result.error_code = code::KAFKA_STORAGE_ERROR,
        }
        let mut response = DescribeLogDirsResponse::default();
        response.results.push(result);
        response
    }
}

/// The partitions asked for that there are; without a list, all.
fn wanted<'a>(view: &'a View, request: &DescribeLogDirsRequest) -> Vec<(&'a TopicView, i32)> {
    match &request.topics {
        None => {
            let all = view.topics.values();
            all.flat_map(|topic| (0..topic.partitions.len() as i32).map(|number| (&**topic, number)))
                .collect()
        }
        Some(topics) => topics
            .iter()
            .filter_map(|named| Some((view.topics.get(named.topic.as_str())?, &named.partitions)))
            .flat_map(|(topic, numbers)| numbers.iter().map(|&number| (&**topic, number)))
            .filter(|(topic, number)| (0..topic.partitions.len() as i32).contains(number))
            .collect(),
    }
}

/// What was asked with its answers, topic by topic; what this shard has ceased to lead is left
/// out.
fn topics<'a>(
    answered: impl Iterator<Item = ((&'a TopicView, i32), Result<Answer, i16>)>,
    with_rewriting: bool,
) -> Vec<DescribeLogDirsTopic> {
    let mut topics: Vec<DescribeLogDirsTopic> = Vec::new();
    for ((topic, number), answer) in answered {
        let Ok(Answer::Described(status)) = answer else { continue };
        let mut partition = DescribeLogDirsPartition::default();
        partition.partition_index = number;
        partition.partition_size = i64::try_from(status.bytes).unwrap_or(i64::MAX);
        if let Some(rewriting) = status.rewriting.filter(|_| with_rewriting) {
            partition.unknown_tagged_fields = rewrite_tag::answer(status.journal.0, &rewriting);
        }
        match topics.last_mut() {
            Some(last) if last.name.as_str() == &*topic.name => last.partitions.push(partition),
            _ => {
                let mut described = DescribeLogDirsTopic::default();
                described.name = (&*topic.name).into();
                described.partitions.push(partition);
                topics.push(described);
            }
        }
    }
    topics
}

#[cfg(test)]
mod tests {
    use super::super::admin::fixture::Cluster;
    use super::*;
    use engine::ids::{JournalId, LeaderEpoch, Offset};
    use engine::port::PartitionStatus;
    use kafka_wire::describe_log_dirs_request::DescribableLogDirTopic;

    #[test]
    fn all_partitions_or_those_named_that_there_are() {
        let view = Cluster::new(1).with_topic("a", 1, 2).with_topic("b", 2, 1).view();
        let mut request = DescribeLogDirsRequest::default();
        request.topics = None;
        assert_eq!(wanted(&view, &request).len(), 3);
        let mut named = DescribableLogDirTopic::default();
        named.topic = "a".into();
        named.partitions = vec![1, 2, -1];
        let mut unknown = named.clone();
        unknown.topic = "c".into();
        request.topics = Some(vec![named, unknown]);
        let found: Vec<_> =
            wanted(&view, &request).into_iter().map(|(topic, at)| (&*topic.name, at)).collect();
        assert_eq!(found, [("a", 1)]);
        request.topics = Some(vec![]);
        assert!(wanted(&view, &request).is_empty());
    }

    #[test]
    fn sizes_stand_under_their_topics() {
        let view = Cluster::new(1).with_topic("a", 1, 2).with_topic("b", 2, 1).view();
        let status = PartitionStatus {
            journal: JournalId(1),
            leader_epoch: LeaderEpoch(0),
            log_start: Offset(0),
            high_watermark: Offset(1),
            log_end: Offset(1),
            bytes: 70,
            rewriting: None,
        };
        let (a, b) = (&*view.topics["a"], &*view.topics["b"]);
        let described = || Ok(Answer::Described(status));
        let all = [((a, 0), described()), ((a, 1), Err(6)), ((b, 0), described())];
        let topics = topics(all.into_iter(), true);
        let sizes: Vec<_> =
            topics.iter().map(|topic| (topic.name.as_str(), topic.partitions[0].partition_size)).collect();
        assert_eq!(sizes, [("a", 70), ("b", 70)]);
        assert_eq!(topics[0].partitions.len(), 1);
    }
}
