//! DescribeConfigs: settings of topics and brokers with where they come from.

use super::admin::{self, Failure};
use super::config_resource::{ConfigResource, config_resource};
use crate::kafka::codec::wire::StrBytes;
use crate::kafka::codec::wire::describe_configs_response::{
    DescribeConfigsResourceResult, DescribeConfigsResult, DescribeConfigsSynonym,
};
use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::listener::Listener;
use crate::kafka::repeats;
use crate::kafka::request_context::RequestContext;
use crate::shard::pace::Pace;
use core::ops::RangeInclusive;
use engine::control::View;
use engine::control::config::{
    BrokerConfigs, DescribedConfig, Source, Statics, describe::describe_all_brokers, describe_broker,
    describe_topic, group,
};
use engine::control::view::TopicView;
use engine::ids::{BrokerIds, ShardId};
use kafka_wire::describe_configs_request::DescribeConfigsResource;
use kafka_wire::{DescribeConfigsRequest, DescribeConfigsResponse};
use std::collections::BTreeSet;

pub struct DescribeConfigs;

impl Handler for DescribeConfigs {
    type Request = DescribeConfigsRequest;
    const VERSIONS: RangeInclusive<i16> = 1..=4;

    fn named(request: &Self::Request) -> usize {
        request.resources.iter().map(|one| 1 + one.configuration_keys.as_ref().map_or(0, Vec::len)).sum()
    }

    fn merge(request: &mut Self::Request) {
        repeats::keep_first(&mut request.resources, |one| (one.resource_type, one.resource_name.clone()));
    }

    async fn handle(
        context: &Context,
        _: &RequestContext,
        request: DescribeConfigsRequest,
    ) -> DescribeConfigsResponse {
        let (view, own) = (context.view(), context.broker_id());
        let mut response = DescribeConfigsResponse::default();
        let mut pace = Pace::begin();
        for resource in &request.resources {
            pace.rest_if_late().await;
            response.results.push(describe(&view, own, &context.statics, &request, resource));
        }
        response
    }
}

fn describe(
    view: &View,
    own: i32,
    statics: &Statics,
    request: &DescribeConfigsRequest,
    resource: &DescribeConfigsResource,
) -> DescribeConfigsResult {
    let found = find(view, own, statics, resource);
    let mut result = DescribeConfigsResult::default();
    result.resource_type = resource.resource_type;
    result.resource_name = resource.resource_name.clone();
    (result.error_code, result.error_message) = admin::error_fields(&found);
    let shown = |config| show(config, request);
    result.configs = found.unwrap_or_default().into_iter().map(shown).collect();
    result
}

fn find(
    view: &View,
    own: i32,
    statics: &Statics,
    resource: &DescribeConfigsResource,
) -> Result<Vec<DescribedConfig>, Failure> {
    let mut all = match config_resource(view, resource.resource_type, &resource.resource_name)? {
        ConfigResource::Topic(name) => {
            let topic = &view.topics[&name];
            let mut all = describe_topic(&topic.configs, BrokerConfigs::of(view, own, statics));
            all.extend(not_compacted(view, topic));
            all
        }
        ConfigResource::Group(name) => group::describe(view.group_configs.get(&name), statics),
        ConfigResource::Bare(_) => Vec::new(),
        ConfigResource::AllBrokers => describe_all_brokers(&view.broker_configs),
        // What stands in another node's file is known there alone.
        ConfigResource::Broker(id) if !share_a_node(view, id, own) => {
            let reason = format!("Unexpected broker id, expected {own}, but received {id}");
            return Err(Failure::request(reason));
        }
        ConfigResource::Broker(id) => {
            let mut all = describe_broker(BrokerConfigs::of(view, id, statics));
            all.extend(facts(view, id));
            all
        }
    };
    // No list and an empty one both ask for all, as in Kafka.
    if let Some(keys) = resource.configuration_keys.as_ref().filter(|keys| !keys.is_empty()) {
        let keys: BTreeSet<&str> = keys.iter().map(StrBytes::as_str).collect();
        all.retain(|config| keys.contains(config.name));
    }
    Ok(all)
}

fn share_a_node(view: &View, one: i32, other: i32) -> bool {
    let node = |id| view.broker_ids.place(id).map(|(node, _)| node);
    node(one) == node(other)
}

/// As `advertised.listeners` has them.
fn listener(name: &str, host: &str, first_port: u16, shard: ShardId) -> String {
    let port = u32::from(first_port) + u32::from(shard.0);
    if host.contains(':') { format!("{name}://[{host}]:{port}") } else { format!("{name}://{host}:{port}") }
}

/// What a broker is, by the names that Kafka's tools look for; set where the node is started.
fn facts(view: &View, id: i32) -> Vec<DescribedConfig> {
    let Some((node, shard)) = view.broker(id) else { return Vec::new() };
    let advertised = &node.advertised;
    let plain = listener(Listener::PLAIN, &advertised.host, advertised.first_port, shard);
    let named = advertised.listeners.iter();
    let named = named.map(|named| listener(&named.name, &named.host, named.first_port, shard));
    let listeners = [plain].into_iter().chain(named).collect::<Vec<_>>().join(",");
    let stride = view.broker_ids.stride().to_string();
    vec![
        fact("advertised.listeners", Some(listeners), "Where clients connect."),
        fact("broker.rack", advertised.rack.clone(), "The rack of the node."),
        fact("node.id", Some(id.to_string()), "The broker id: node × stride + shard."),
        fact(
            BrokerIds::SETTING,
            Some(stride),
            "Broker ids are node × this + shard; set when the cluster was formed.",
        ),
    ]
}

fn fact(name: &'static str, value: Option<String>, doc: &'static str) -> DescribedConfig {
    /// Of Kafka's types of value.
    const STRING: i8 = 2;
    let source = Source::Static;
    DescribedConfig { name, value, source, read_only: true, kafka_type: STRING, doc, synonyms: Vec::new() }
}

/// A topic that asks for compaction and was made without it says so. No topic has it as a setting: what is copied from one
/// topic to another leaves it out, since it is a default and cannot be changed.
fn not_compacted(view: &View, topic: &TopicView) -> Option<DescribedConfig> {
    let value = "not compacted: the topic was made without cleanup.policy=compact".to_owned();
    let doc = "Whether compaction is in effect. Make another topic with cleanup.policy=compact to have it.";
    let told = fact("duramen.compaction", Some(value), doc);
    view.awaits_compaction(topic).then_some(DescribedConfig { source: Source::Default, ..told })
}

fn show(config: DescribedConfig, request: &DescribeConfigsRequest) -> DescribeConfigsResourceResult {
    let mut shown = DescribeConfigsResourceResult::default();
    shown.name = config.name.into();
    shown.value = config.value.map(StrBytes::from);
    shown.read_only = config.read_only;
    shown.config_source = config.source as i8;
    shown.config_type = config.kafka_type;
    shown.documentation = request.include_documentation.then(|| config.doc.into());
    if request.include_synonyms {
        let synonym = |(name, value, source): (&'static str, String, Source)| {
            let mut shown = DescribeConfigsSynonym::default();
            shown.name = name.into();
            shown.value = Some(value.into());
            shown.source = source as i8;
            shown
        };
        let synonyms = config.synonyms.into_iter();
        shown.synonyms = synonyms.map(|one| synonym((one.name, one.value, one.source))).collect();
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::super::admin::fixture::Cluster;
    use super::*;
    use crate::kafka::codec::wire;
    use crate::kafka::errors::code;

    fn request(resources: &[(i8, &str, Option<&[&str]>)]) -> DescribeConfigsRequest {
        let mut request = DescribeConfigsRequest::default();
        for (kind, name, keys) in resources {
            let mut resource = DescribeConfigsResource::default();
            resource.resource_type = *kind;
            resource.resource_name = (*name).into();
            resource.configuration_keys = keys.map(|keys| keys.iter().map(|&key| key.into()).collect());
            request.resources.push(resource);
        }
        request
    }

    fn answer(request: &DescribeConfigsRequest) -> DescribeConfigsResponse {
        let view = Cluster::new(1).with_topic("a", 1, 1).view();
        let statics = Statics::new(&[("log.retention.hours".to_owned(), "2".to_owned())]).unwrap();
        let mut response = DescribeConfigsResponse::default();
        let results = request.resources.iter().map(|one| describe(&view, 0, &statics, request, one));
        response.results = results.collect();
        for version in DescribeConfigs::VERSIONS {
            wire::encode(&mut wire::BytesMut::new(), &response, version).expect("encodable");
        }
        response
    }

    #[test]
    fn a_topics_settings_come_with_value_source_type_and_words() {
        let mut request = request(&[(2, "a", Some(&["retention.ms", "no.such"]))]);
        let plain = answer(&request);
        let config = &plain.results[0].configs[0];
        assert_eq!(plain.results[0].configs.len(), 1);
        assert_eq!((config.value.as_deref(), config.config_source), (Some("7200000"), 4));
        assert_eq!((config.config_type, config.synonyms.len()), (5, 0));
        assert!(config.documentation.is_none());
        (request.include_synonyms, request.include_documentation) = (true, true);
        let full = answer(&request);
        let config = &full.results[0].configs[0];
        assert_eq!(config.synonyms.len(), 2);
        assert!(config.documentation.is_some());
    }

    #[test]
    fn all_settings_without_keys_and_an_error_for_each_resource_that_is_not_there() {
        let response =
            answer(&request(&[(2, "a", None), (2, "a", Some(&[])), (4, "0", None), (4, "", None)]));
        let counts: Vec<usize> = response.results.iter().map(|result| result.configs.len()).collect();
        let facts: Vec<(&str, Option<&str>)> = response.results[2]
            .configs
            .iter()
            .filter(|config| config.read_only && config.config_source == 4)
            .map(|config| (config.name.as_str(), config.value.as_deref()))
            .collect();
        assert!(facts.contains(&("advertised.listeners", Some("PLAINTEXT://h:9092"))), "{facts:?}");
        assert!(counts[0] > 30 && counts[0] == counts[1] && counts[2] > 30 && counts[3] == 0, "{counts:?}");
        let bare = answer(&request(&[(16, "any", None), (32, "any", None)]));
        let shown: Vec<(i16, usize)> =
            bare.results.iter().map(|result| (result.error_code, result.configs.len())).collect();
        assert_eq!(
            shown,
            [(code::NONE, 0), (code::NONE, 2)],
            "clients' metrics, and a group that nobody set"
        );
        let response = answer(&request(&[(2, "no", None), (4, "9", None)]));
        let codes: Vec<i16> = response.results.iter().map(|result| result.error_code).collect();
        assert_eq!(codes, [code::UNKNOWN_TOPIC_OR_PARTITION, code::INVALID_REQUEST]);
    }
}
