//! Settings of topics, brokers and groups.

use super::admit::{Admission, Admit, take_out};
use super::judge::Judge;
use crate::kafka::apis::config_resource::{GROUP, TOPIC};
use crate::kafka::codec::wire::StrBytes;
use crate::kafka::codec::wire::describe_configs_response::DescribeConfigsResult;
use crate::kafka::codec::wire::incremental_alter_configs_response::AlterConfigsResourceResponse as Altered;
use crate::kafka::errors::code;
use engine::control::acls::Operation;
use kafka_wire::alter_configs_response::AlterConfigsResourceResponse;
use kafka_wire::{
    AlterConfigsRequest, AlterConfigsResponse, DescribeConfigsRequest, DescribeConfigsResponse,
    IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse,
};

/// Whether who asks may do this with the settings of a resource of Kafka's number.
fn may(judge: &Judge, operation: Operation, kind: i8, name: &StrBytes) -> bool {
    match kind {
        TOPIC => judge.topic(operation, name),
        GROUP => judge.group(operation, name),
        _ => judge.cluster(operation),
    }
}

fn refusal(kind: i8) -> i16 {
    match kind {
        TOPIC => code::TOPIC_AUTHORIZATION_FAILED,
        GROUP => code::GROUP_AUTHORIZATION_FAILED,
        _ => code::CLUSTER_AUTHORIZATION_FAILED,
    }
}

const WORDS: &str = "Authorization failed.";

macro_rules! of_resources {
    ($request:ty, $response:ty, $operation:expr, $results:ident, $result:ty) => {
        impl Admit for $request {
            fn admit(&mut self, judge: &Judge, _: i16) -> Admission<$response> {
                let denied = take_out(&mut self.resources, |one| {
                    may(judge, $operation, one.resource_type, &one.resource_name)
                });
                Admission::without(denied, |response: &mut $response, denied| {
                    response.$results.extend(denied.into_iter().map(|one| {
                        let mut result = <$result>::default();
                        (result.resource_type, result.resource_name) = (one.resource_type, one.resource_name);
                        (result.error_code, result.error_message) =
                            (refusal(one.resource_type), Some(WORDS.into()));
                        result
                    }));
                })
            }
        }
    };
}

of_resources!(
    DescribeConfigsRequest,
    DescribeConfigsResponse,
    Operation::DescribeConfigs,
    results,
    DescribeConfigsResult
);
of_resources!(
    AlterConfigsRequest,
    AlterConfigsResponse,
    Operation::AlterConfigs,
    responses,
    AlterConfigsResourceResponse
);
of_resources!(
    IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse,
    Operation::AlterConfigs,
    responses,
    Altered
);

#[cfg(test)]
mod tests {
    use super::super::judge::fixture::judge;
    use super::*;
    use crate::kafka::apis::admin::fixture::Cluster;
    use crate::kafka::apis::config_resource::BROKER;
    use engine::control::acls::ResourceType;
    use kafka_wire::describe_configs_request::DescribeConfigsResource;

    #[test]
    fn each_kind_of_resource_has_its_own_right_and_error() {
        let resource = |resource_type, name: &str| {
            let mut one = DescribeConfigsResource::default();
            (one.resource_type, one.resource_name) = (resource_type, name.into());
            one
        };
        let mut request = DescribeConfigsRequest::default();
        request.resources =
            vec![resource(TOPIC, "a"), resource(TOPIC, "b"), resource(BROKER, "0"), resource(GROUP, "g")];
        let alters = [(Operation::AlterConfigs, ResourceType::Topic, "a")];
        let judge = judge(Cluster::new(1), 32, &alters);
        let Admission::Part(after) = request.admit(&judge, 4) else { panic!("some are denied") };
        assert_eq!(request.resources.len(), 1, "who may change settings may see them");
        let mut response = DescribeConfigsResponse::default();
        after(&mut response);
        let codes = response.results.iter().map(|one| one.error_code);
        assert_eq!(codes.collect::<Vec<_>>(), [29, 31, 30]);
    }
}
