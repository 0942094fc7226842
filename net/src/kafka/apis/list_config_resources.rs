//! ListConfigResources: what has settings, by type. Only topics, brokers and groups do here.

use super::config_resource::{BROKER, CLIENT_METRICS, GROUP, TOPIC};
use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::errors::code;
use crate::kafka::listener::Listener;
use crate::kafka::request_context::RequestContext;
use core::ops::RangeInclusive;
use kafka_wire::list_config_resources_response::ConfigResource;
use kafka_wire::{ListConfigResourcesRequest, ListConfigResourcesResponse};

pub struct ListConfigResources;

impl Handler for ListConfigResources {
    type Request = ListConfigResourcesRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=1;

    async fn handle(
        context: &Context,
        &RequestContext { version, .. }: &RequestContext,
        request: ListConfigResourcesRequest,
    ) -> ListConfigResourcesResponse {
        let mut response = ListConfigResourcesResponse::default();
        // Version 0 lists client metrics.
        let asked = if version == 0 { vec![CLIENT_METRICS] } else { request.resource_types };
        match types(&asked) {
            Some(types) => {
                let resources = types.iter().flat_map(|&kind| names(context, kind));
                response.config_resources = resources.collect();
            }
            None => response.error_code = code::UNSUPPORTED_VERSION,
        }
        response
    }
}

/// The types asked for, all when none is named; `None` when one is no such type.
fn types(asked: &[i8]) -> Option<Vec<i8>> {
    /// Loggers of brokers, too: there are none.
    const BROKER_LOGGER: i8 = 8;
    const ALL: [i8; 5] = [TOPIC, BROKER, BROKER_LOGGER, CLIENT_METRICS, GROUP];
    if asked.iter().any(|kind| !ALL.contains(kind)) {
        return None;
    }
    Some(if asked.is_empty() { ALL.to_vec() } else { asked.to_vec() })
}

fn names(context: &Context, kind: i8) -> Vec<ConfigResource> {
    let names: Vec<String> = match kind {
        TOPIC => context.view().topics.keys().map(|name| name.to_string()).collect(),
        BROKER => context.brokers(&Listener::plain()).iter().map(|broker| broker.id.to_string()).collect(),
        GROUP => context.view().group_configs.keys().cloned().collect(),
        _ => Vec::new(),
    };
    let resource = |name: String| {
        let mut resource = ConfigResource::default();
        (resource.resource_name, resource.resource_type) = (name.into(), kind);
        resource
    };
    names.into_iter().map(resource).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_type_is_every_type_and_an_unknown_one_an_error() {
        assert_eq!(types(&[]).map(|types| types.len()), Some(5));
        assert_eq!(types(&[BROKER]), Some(vec![BROKER]));
        assert_eq!(types(&[BROKER, 3]), None);
    }
}
