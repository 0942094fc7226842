//! AlterReplicaLogDirs: a node has one data folder, so a replica is where it is asked to be, or the
//! folder is none of this node's.

use super::partition_questions::find_partition;
use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::errors::code;
use crate::kafka::request_context::RequestContext;
use core::ops::RangeInclusive;
use engine::control::View;
use kafka_wire::alter_replica_log_dirs_request::AlterReplicaLogDir;
use kafka_wire::alter_replica_log_dirs_response::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult,
};
use kafka_wire::{AlterReplicaLogDirsRequest, AlterReplicaLogDirsResponse};

pub struct AlterReplicaLogDirs;

impl Handler for AlterReplicaLogDirs {
    type Request = AlterReplicaLogDirsRequest;
    const VERSIONS: RangeInclusive<i16> = 1..=2;

    fn named(request: &Self::Request) -> usize {
        request.dirs.iter().flat_map(|dir| &dir.topics).map(|topic| 1 + topic.partitions.len()).sum()
    }

    async fn handle(
        context: &Context,
        _: &RequestContext,
        request: AlterReplicaLogDirsRequest,
    ) -> AlterReplicaLogDirsResponse {
        let (view, folder) = (context.view(), context.shard.folder().to_string_lossy());
        let mut response = AlterReplicaLogDirsResponse::default();
        response.results = request.dirs.iter().flat_map(|wanted| results(&view, &folder, wanted)).collect();
        response
    }
}

fn results(view: &View, folder: &str, wanted: &AlterReplicaLogDir) -> Vec<AlterReplicaLogDirTopicResult> {
    let is_here = wanted.path.as_str() == folder;
    let of_topic = |name: &str, numbers: &[i32]| {
        let mut topic = AlterReplicaLogDirTopicResult::default();
        topic.topic_name = name.into();
        topic.partitions = numbers
            .iter()
            .map(|&number| {
                let mut result = AlterReplicaLogDirPartitionResult::default();
                result.partition_index = number;
                result.error_code = match find_partition(view, name, number) {
                    Err(code) => code,
                    Ok(_) if is_here => code::NONE,
                    Ok(_) => code::LOG_DIR_NOT_FOUND,
                };
                result
            })
            .collect();
        topic
    };
    wanted.topics.iter().map(|topic| of_topic(&topic.name, &topic.partitions)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::admin::fixture::Cluster;
    use super::*;
    use kafka_wire::alter_replica_log_dirs_request::AlterReplicaLogDirTopic;

    #[test]
    fn a_replica_stays_where_it_is_and_goes_nowhere_else() {
        let view = Cluster::new(1).with_topic("a", 1, 1).view();
        let codes = |path: &str| -> Vec<i16> {
            let mut topic = AlterReplicaLogDirTopic::default();
            (topic.name, topic.partitions) = ("a".into(), vec![0, 1]);
            let mut wanted = AlterReplicaLogDir::default();
            (wanted.path, wanted.topics) = (path.into(), vec![topic]);
            results(&view, "/data", &wanted)[0].partitions.iter().map(|one| one.error_code).collect()
        };
        assert_eq!(codes("/data"), [code::NONE, code::UNKNOWN_TOPIC_OR_PARTITION]);
        assert_eq!(codes("/other"), [code::LOG_DIR_NOT_FOUND, code::UNKNOWN_TOPIC_OR_PARTITION]);
    }
}
