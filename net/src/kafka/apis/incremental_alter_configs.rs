//! IncrementalAlterConfigs: settings are set, unset, appended to and subtracted from one by one.

use super::admin::{self, Failure};
use super::alter_configs::{Altering, alter, alter_each, null_value};
use crate::kafka::codec::wire::incremental_alter_configs_response::AlterConfigsResourceResponse;
use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::request_context::RequestContext;
use core::ops::RangeInclusive;
use engine::control::Command;
use engine::control::command::ConfigChange;
use kafka_wire::incremental_alter_configs_request::{AlterConfigsResource, AlterableConfig};
use kafka_wire::{IncrementalAlterConfigsRequest, IncrementalAlterConfigsResponse};

pub struct IncrementalAlterConfigs;

impl Handler for IncrementalAlterConfigs {
    type Request = IncrementalAlterConfigsRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=1;

    fn named(request: &Self::Request) -> usize {
        request.resources.iter().map(|one| 1 + one.configs.len()).sum()
    }

    async fn handle(
        context: &Context,
        _: &RequestContext,
        request: IncrementalAlterConfigsRequest,
    ) -> IncrementalAlterConfigsResponse {
        let id = |one: &AlterConfigsResource| (one.resource_type, one.resource_name.clone());
        let results = alter_each(context, request.validate_only, &request.resources, id, plan).await;
        let mut response = IncrementalAlterConfigsResponse::default();
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
    if !admin::repeated(resource.configs.iter().map(|config| config.name.as_str())).is_empty() {
        return Err(Failure::request("Error due to duplicate config keys"));
    }
    let changes = resource.configs.iter().map(change).collect::<Result<_, _>>()?;
    alter(asked, (resource.resource_type, &resource.resource_name), changes)
}

fn change(config: &AlterableConfig) -> Result<ConfigChange, Failure> {
    let key = config.name.as_str().to_owned();
    let value = || match &config.value {
        Some(value) => Ok(value.as_str().to_owned()),
        None => Err(null_value(&config.name)),
    };
    Ok(match config.config_operation {
        0 => ConfigChange::Set { value: value()?, key },
        1 => ConfigChange::Delete { key },
        2 => ConfigChange::Append { value: value()?, key },
        3 => ConfigChange::Subtract { value: value()?, key },
        other => return Err(Failure::request(format!("Unknown operation {other} on {key}"))),
    })
}

#[cfg(test)]
mod tests {
    use super::super::admin::fixture::Cluster;
    use super::*;
    use crate::kafka::errors::code;
    use engine::groups::GroupConfig;
    use std::collections::BTreeSet;

    fn planned(configs: &[(&str, i8, Option<&str>)]) -> Result<usize, i16> {
        let view = Cluster::new(1).with_topic("a", 1, 1).view();
        let mut resource = AlterConfigsResource::default();
        resource.resource_type = 2;
        resource.resource_name = "a".into();
        for (name, operation, value) in configs {
            let mut config = AlterableConfig::default();
            config.name = (*name).into();
            config.config_operation = *operation;
            config.value = value.map(Into::into);
            resource.configs.push(config);
        }
        let (repeated, groups) = (BTreeSet::new(), GroupConfig::default());
        match plan(&Altering { view: &view, repeated: &repeated, groups: &groups }, &resource) {
            Ok(Command::AlterConfigs { changes, .. }) => Ok(changes.len()),
            Ok(other) => panic!("{other:?}"),
            Err(failure) => Err(failure.code),
        }
    }

    #[test]
    fn the_four_operations_are_known() {
        let all = [
            ("retention.ms", 0, Some("5")),
            ("retention.bytes", 1, None),
            ("cleanup.policy", 2, Some("delete")),
            ("follower.replication.throttled.replicas", 3, Some("x")),
        ];
        assert_eq!(planned(&all), Ok(4));
    }

    #[test]
    fn each_mistake_has_kafkas_code() {
        assert_eq!(planned(&[("retention.ms", 0, None)]), Err(code::INVALID_REQUEST));
        assert_eq!(planned(&[("retention.ms", 7, Some("1"))]), Err(code::INVALID_REQUEST));
        assert_eq!(planned(&[("retention.ms", 2, Some("1"))]), Err(code::INVALID_CONFIG));
        assert_eq!(planned(&[("no.such", 0, Some("1"))]), Err(code::INVALID_CONFIG));
        let twice = [("retention.ms", 0, Some("1")), ("retention.ms", 1, None)];
        assert_eq!(planned(&twice), Err(code::INVALID_REQUEST));
    }
}
