//! AlterConfigs: the settings of a resource become exactly those given.

use super::admin::{self, Failure};
use super::config_resource::{ConfigResource, config_resource};
use crate::kafka::codec::wire::StrBytes;
use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::request_context::RequestContext;
use crate::shard::pace::Pace;
use core::ops::RangeInclusive;
use engine::control::command::{ConfigChange, Resource};
use engine::control::{Command, View, propose};
use engine::groups::GroupConfig;
use kafka_wire::alter_configs_request::AlterConfigsResource;
use kafka_wire::alter_configs_response::AlterConfigsResourceResponse;
use kafka_wire::{AlterConfigsRequest, AlterConfigsResponse};
use std::collections::BTreeSet;

pub struct AlterConfigs;

/// Resources named more than once, by type and name.
pub(super) type Repeated<'a> = BTreeSet<(i8, &'a str)>;

impl Handler for AlterConfigs {
    type Request = AlterConfigsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=2;

    fn named(request: &Self::Request) -> usize {
        request.resources.iter().map(|one| 1 + one.configs.len()).sum()
    }

    async fn handle(
        context: &Context,
        _: &RequestContext,
        request: AlterConfigsRequest,
    ) -> AlterConfigsResponse {
        let id = |one: &AlterConfigsResource| (one.resource_type, one.resource_name.clone());
        let results = alter_each(context, request.validate_only, &request.resources, id, plan).await;
        let mut response = AlterConfigsResponse::default();
        for (resource, result) in request.resources.iter().zip(&results) {
            let mut answer = AlterConfigsResourceResponse::default();
            answer.resource_type = resource.resource_type;
            answer.resource_name = resource.resource_name.clone();
            (answer.error_code, answer.error_message) = admin::error_fields(result);
            response.responses.push(answer);
        }
        response
    }
}

fn plan(asked: &Altering<'_>, resource: &AlterConfigsResource) -> Result<Command, Failure> {
    let mut configs = Vec::with_capacity(resource.configs.len());
    for config in &resource.configs {
        let value = config.value.as_ref().ok_or_else(|| null_value(&config.name))?;
        configs.push((config.name.as_str().to_owned(), value.as_str().to_owned()));
    }
    let changes = vec![ConfigChange::ReplaceAll { configs }];
    alter(asked, (resource.resource_type, &resource.resource_name), changes)
}

/// By what changes are planned.
pub(super) struct Altering<'a> {
    pub view: &'a View,
    /// Resources that are named more than once.
    pub repeated: &'a Repeated<'a>,
    /// Within whose bounds a group's own settings are.
    pub groups: &'a GroupConfig,
}

/// Plans the changes of each resource in its turn, and carries them out unless they are only to be checked; a result
/// for each, in their order.
pub(super) async fn alter_each<R>(
    context: &Context,
    validate_only: bool,
    resources: &[R],
    id: impl Fn(&R) -> (i8, StrBytes),
    plan: impl Fn(&Altering<'_>, &R) -> Result<Command, Failure>,
) -> Vec<Result<(), Failure>> {
    let view = context.view();
    let ids: Vec<_> = resources.iter().map(id).collect();
    let repeated = admin::repeated(ids.iter().map(|(kind, name)| (*kind, name.as_str())));
    let mut planned = Vec::with_capacity(resources.len());
    let mut pace = Pace::begin();
    for resource in resources {
        pace.rest_if_late().await;
        let groups = &context.settings.groups;
        planned.push(plan(&Altering { view: &view, repeated: &repeated, groups }, resource));
    }
    if validate_only {
        return planned.into_iter().map(|one| one.map(|_| ())).collect();
    }
    admin::carry_out(context, planned, 0).await.into_iter().map(|one| one.map(|_| ())).collect()
}

/// The command for one resource's changes.
pub(super) fn alter(
    asked: &Altering<'_>,
    (kind, name): (i8, &str),
    changes: Vec<ConfigChange>,
) -> Result<Command, Failure> {
    let Altering { view, repeated, groups } = asked;
    if repeated.contains(&(kind, name)) {
        return Err(Failure::request("Each resource must appear at most once."));
    }
    match config_resource(view, kind, name)? {
        ConfigResource::Topic(name) => Ok(propose::alter_topic(view, &name, changes)?),
        ConfigResource::AllBrokers => Ok(propose::alter_brokers(view, changes)?),
        ConfigResource::Broker(id) => Ok(propose::alter_broker(view, id, changes)?),
        ConfigResource::Group(name) => Ok(propose::alter_group(view, &name, changes, groups)?),
        ConfigResource::Bare(what) => alter_bare(what, &changes),
    }
}

/// Taking back what nobody set is done, as in Kafka; setting something is not.
fn alter_bare(what: &str, changes: &[ConfigChange]) -> Result<Command, Failure> {
    let takes_back = |change: &ConfigChange| match change {
        ConfigChange::Delete { .. } => true,
        ConfigChange::ReplaceAll { configs } => configs.is_empty(),
        _ => false,
    };
    if changes.iter().all(takes_back) {
        return Ok(Command::AlterConfigs { resource: Resource::Brokers, changes: Vec::new() });
    }
    Err(Failure::request(format!("{what} settings have no effect on this broker, and none is taken.")))
}

pub(super) fn null_value(key: &str) -> Failure {
    Failure::request(format!("Null value not supported for : {key}"))
}

#[cfg(test)]
mod tests {
    use super::super::admin::fixture::Cluster;
    use super::*;
    use crate::kafka::errors::code;
    use kafka_wire::alter_configs_request::AlterableConfig;

    fn planned(kind: i8, name: &str, configs: &[(&str, Option<&str>)]) -> Result<Command, i16> {
        let view = Cluster::new(1).with_topic("a", 1, 1).with_topic("twice", 2, 1).view();
        let mut resource = AlterConfigsResource::default();
        resource.resource_type = kind;
        resource.resource_name = name.into();
        for (name, value) in configs {
            let mut config = AlterableConfig::default();
            config.name = (*name).into();
            config.value = value.map(Into::into);
            resource.configs.push(config);
        }
        let (repeated, groups) = (BTreeSet::from([(2, "twice")]), GroupConfig::default());
        let asked = Altering { view: &view, repeated: &repeated, groups: &groups };
        plan(&asked, &resource).map_err(|failure| failure.code)
    }

    #[test]
    fn the_given_settings_replace_all_others() {
        let command = planned(2, "a", &[("retention.ms", Some("5"))]).unwrap();
        let Command::AlterConfigs { changes, .. } = command else { panic!() };
        let configs = vec![("retention.ms".to_owned(), "5".to_owned())];
        assert_eq!(changes, [ConfigChange::ReplaceAll { configs }]);
        assert!(planned(4, "", &[("log.retention.ms", Some("5"))]).is_ok());
        assert!(planned(4, "0", &[("log.flush.interval.messages", Some("5"))]).is_ok());
    }

    #[test]
    fn what_has_no_settings_here_has_none_to_take_back_and_takes_none() {
        let nothing = Command::AlterConfigs { resource: Resource::Brokers, changes: vec![] };
        assert_eq!(planned(16, "any", &[]), Ok(nothing.clone()));
        assert_eq!(planned(16, "any", &[("interval.ms", Some("5"))]), Err(code::INVALID_REQUEST));
        assert_eq!(planned(16, "", &[]), Err(code::INVALID_REQUEST));
        let delete = vec![ConfigChange::Delete { key: "interval.ms".to_owned() }];
        let view = Cluster::new(1).view();
        let (repeated, groups) = (BTreeSet::new(), GroupConfig::default());
        let asked = Altering { view: &view, repeated: &repeated, groups: &groups };
        assert_eq!(alter(&asked, (16, "any"), delete), Ok(nothing));
    }

    #[test]
    fn a_group_has_settings_within_the_brokers_bounds() {
        let session = "consumer.session.timeout.ms";
        let Ok(Command::AlterConfigs { resource, .. }) = planned(32, "g", &[(session, Some("50000"))]) else {
            panic!("a command")
        };
        assert_eq!(resource, Resource::Group("g".to_owned()));
        assert_eq!(planned(32, "g", &[(session, Some("5"))]), Err(code::INVALID_CONFIG));
        assert_eq!(planned(32, "g", &[("share.isolation.level", Some("x"))]), Err(code::INVALID_CONFIG));
        assert_eq!(planned(32, "", &[]), Err(code::INVALID_REQUEST));
    }

    #[test]
    fn each_mistake_has_kafkas_code() {
        let refused = |kind, name, configs: &[_]| planned(kind, name, configs).unwrap_err();
        assert_eq!(refused(2, "no", &[]), code::UNKNOWN_TOPIC_OR_PARTITION);
        assert_eq!(refused(2, "twice", &[]), code::INVALID_REQUEST);
        assert_eq!(refused(2, "a", &[("no.such", Some("1"))]), code::INVALID_CONFIG);
        assert_eq!(refused(2, "a", &[("cleanup.policy", Some("shred"))]), code::INVALID_CONFIG);
        assert!(planned(2, "a", &[("cleanup.policy", Some("compact"))]).is_ok());
        assert_eq!(refused(2, "a", &[("retention.ms", None)]), code::INVALID_REQUEST);
        assert_eq!(refused(4, "7", &[("log.retention.ms", Some("1"))]), code::INVALID_REQUEST);
        assert_eq!(refused(4, "0", &[("num.partitions", Some("1"))]), code::INVALID_REQUEST);
        assert_eq!(refused(4, "0", &[("log.retention.ms", Some("x"))]), code::INVALID_CONFIG);
        assert_eq!(refused(4, "", &[("num.partitions", Some("1"))]), code::INVALID_REQUEST);
    }
}
