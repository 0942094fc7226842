//! What an ack means on the disk of those who gave it, as far as the brokers say so.

use super::directory::Directory;
use kafka_wire::DescribeConfigsRequest;
use kafka_wire::describe_configs_request::DescribeConfigsResource;
use std::io;

const DESCRIBE_CONFIGS_VERSION: i16 = 4;
const TOPIC: i8 = 2;
/// How Duramen documents that `flush.messages` changes nothing.
const DURAMEN_SAYS: &str = "every acknowledged batch is synced";

/// A sentence for the summary; begins with `unknown` when the brokers do not say.
pub fn fsync_mode(directory: &Directory) -> String {
    let Some(topic) = directory.topics().first() else { return "unknown".into() };
    match flush_messages(directory, topic) {
        Ok(Sync::EveryAck) => "fdatasync before every ack".into(),
        Ok(Sync::Messages(1)) => "every message (flush.messages=1)".into(),
        Ok(Sync::Messages(i64::MAX)) => "none before an ack (page cache)".into(),
        Ok(Sync::Messages(messages)) => format!("every {messages} messages (flush.messages)"),
        Ok(Sync::Untold) => "unknown".into(),
        Err(error) => format!("unknown ({error})"),
    }
}

enum Sync {
    EveryAck,
    Messages(i64),
    Untold,
}

fn flush_messages(directory: &Directory, topic: &str) -> io::Result<Sync> {
    let mut resource = DescribeConfigsResource::default();
    resource.resource_type = TOPIC;
    resource.resource_name = topic.into();
    resource.configuration_keys = None;
    let mut request = DescribeConfigsRequest::default();
    request.resources = vec![resource];
    request.include_documentation = true;
    let response = directory.any_broker()?.call(DESCRIBE_CONFIGS_VERSION, &request)?;
    let configs = response.results.first().map_or(&[][..], |result| &result.configs[..]);
    let Some(config) = configs.iter().find(|config| config.name.as_str() == "flush.messages") else {
        return Ok(Sync::Untold);
    };
    if config.documentation.as_ref().is_some_and(|text| text.as_str().contains(DURAMEN_SAYS)) {
        return Ok(Sync::EveryAck);
    }
    let messages = config.value.as_ref().and_then(|text| text.as_str().parse().ok());
    Ok(messages.map_or(Sync::Untold, Sync::Messages))
}
