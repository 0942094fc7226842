//! Which node and shard a broker id names: asked of the cluster, whose metadata has the stride.

use super::connection::Connection;
use crate::process::refusal::Refusal;
use engine::ids::BrokerIds;
use kafka_wire::describe_configs_request::DescribeConfigsResource;
use kafka_wire::{DescribeConfigsRequest, DescribeConfigsResponse, MetadataResponse};

/// Kafka's type of resource.
const BROKER: i8 = 4;

/// Asked by every id at once: a broker tells it of those of its own node, and no others. One that
/// does not know the fact is older, and has the default.
pub fn ask(connection: &mut Connection, metadata: &MetadataResponse) -> Result<BrokerIds, Refusal> {
    const VERSION: i16 = 4;
    let mut request = DescribeConfigsRequest::default();
    for broker in &metadata.brokers {
        let mut resource = DescribeConfigsResource::default();
        resource.resource_type = BROKER;
        resource.resource_name = broker.node_id.to_string().into();
        resource.configuration_keys = Some(vec![BrokerIds::SETTING.into()]);
        request.resources.push(resource);
    }
    Ok(told(&connection.call(VERSION, &request)?))
}

fn told(response: &DescribeConfigsResponse) -> BrokerIds {
    let mut configs = response.results.iter().flat_map(|result| &result.configs);
    let fact = configs.find(|config| config.name.as_str() == BrokerIds::SETTING);
    let stride = fact.and_then(|config| config.value.as_deref()?.parse().ok());
    stride.and_then(BrokerIds::new).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_wire::describe_configs_response::{DescribeConfigsResourceResult, DescribeConfigsResult};

    #[test]
    fn the_stride_is_what_one_of_the_brokers_tells() {
        let mut response = DescribeConfigsResponse::default();
        response.results.push(DescribeConfigsResult::default());
        assert_eq!(told(&response), BrokerIds::default());
        let (mut result, mut config) =
            (DescribeConfigsResult::default(), DescribeConfigsResourceResult::default());
        (config.name, config.value) = (BrokerIds::SETTING.into(), Some("8".into()));
        result.configs.push(config);
        response.results.push(result);
        assert_eq!(told(&response).stride(), 8);
    }
}
