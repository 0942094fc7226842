//! What the three APIs of settings share: which resource is meant.

use super::admin::Failure;
use crate::kafka::errors::code;
use engine::control::{View, names};
use std::sync::Arc;

/// Of Kafka's types of resource.
pub const TOPIC: i8 = 2;
pub const BROKER: i8 = 4;
/// What PushTelemetry would bring: by name, and without settings here.
pub const CLIENT_METRICS: i8 = 16;
pub const GROUP: i8 = 32;

/// A resource that has settings here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigResource {
    /// A topic that there is.
    Topic(Arc<str>),
    /// Kafka's empty broker name: the dynamic settings of all.
    AllBrokers,
    /// A shard of this cluster.
    Broker(i32),
    /// A group, whether there is one or not.
    Group(String),
    /// Of a type that Kafka has settings for and this broker has none: there is nothing to show or
    /// to take back, and setting something would have no effect.
    Bare(&'static str),
}

/// The resource of a request, or why it has none.
pub fn config_resource(view: &View, kind: i8, name: &str) -> Result<ConfigResource, Failure> {
    match kind {
        TOPIC => {
            names::check_name(name)?;
            let topic = view.topics.get(name).ok_or_else(|| {
                Failure::new(code::UNKNOWN_TOPIC_OR_PARTITION, format!("The topic '{name}' does not exist."))
            })?;
            Ok(ConfigResource::Topic(topic.name.clone()))
        }
        BROKER if name.is_empty() => Ok(ConfigResource::AllBrokers),
        BROKER => {
            let number: Result<i32, _> = name.parse();
            let id = number
                .map_err(|_| Failure::request(format!("Broker id must be an integer, but it is: {name}")))?;
            if view.broker(id).is_none() {
                return Err(Failure::request(format!("Unexpected broker id {id}: no broker has it")));
            }
            Ok(ConfigResource::Broker(id))
        }
        CLIENT_METRICS => bare(name, "Client metrics subscription"),
        GROUP if name.is_empty() => Err(Failure::request("Group name must not be empty")),
        GROUP => Ok(ConfigResource::Group(name.to_owned())),
        other => {
            Err(Failure::request(format!("Resources of type {other} have no settings here: not built yet")))
        }
    }
}

fn bare(name: &str, what: &'static str) -> Result<ConfigResource, Failure> {
    if name.is_empty() {
        return Err(Failure::request(format!("{what} name must not be empty")));
    }
    Ok(ConfigResource::Bare(what))
}

#[cfg(test)]
mod tests {
    use super::super::admin::fixture::Cluster;
    use super::*;

    #[test]
    fn topics_brokers_and_groups_have_settings() {
        let view = Cluster::new(2).with_topic("a", 1, 1).view();
        let find = |kind, name| config_resource(&view, kind, name).map_err(|failure| failure.code);
        assert_eq!(find(TOPIC, "a"), Ok(ConfigResource::Topic("a".into())));
        assert_eq!(find(TOPIC, "b"), Err(code::UNKNOWN_TOPIC_OR_PARTITION));
        assert_eq!(find(TOPIC, "a b"), Err(code::INVALID_TOPIC_EXCEPTION));
        assert_eq!(find(BROKER, ""), Ok(ConfigResource::AllBrokers));
        assert_eq!(find(BROKER, "1"), Ok(ConfigResource::Broker(1)));
        assert!(matches!(find(CLIENT_METRICS, "any"), Ok(ConfigResource::Bare(_))));
        assert_eq!(find(GROUP, "any"), Ok(ConfigResource::Group("any".to_owned())));
        let wrong = [(BROKER, "2"), (BROKER, "x"), (8, "0"), (99, ""), (CLIENT_METRICS, ""), (GROUP, "")];
        for (kind, name) in wrong {
            assert_eq!(find(kind, name), Err(code::INVALID_REQUEST), "{kind} {name}");
        }
    }
}
