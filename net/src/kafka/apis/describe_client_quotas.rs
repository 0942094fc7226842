//! DescribeClientQuotas: the quotas of the entities that a filter lets through.

use super::admin::Failure;
use super::quota_entity::{CLIENT_ID, IP, USER, parts, values};
use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::errors::code;
use crate::kafka::request_context::RequestContext;
use core::ops::RangeInclusive;
use engine::control::quotas::{QuotaEntity, QuotaName, QuotaRates, Quotas};
use kafka_wire::describe_client_quotas_request::ComponentData;
use kafka_wire::describe_client_quotas_response::{EntityData, EntryData, ValueData};
use kafka_wire::{DescribeClientQuotasRequest, DescribeClientQuotasResponse};

pub struct DescribeClientQuotas;

/// How a component of the filter wants its part of the entity.
const MATCH_EXACT: i8 = 0;
const MATCH_DEFAULT: i8 = 1;
const MATCH_SPECIFIED: i8 = 2;

impl Handler for DescribeClientQuotas {
    type Request = DescribeClientQuotasRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=1;

    fn named(request: &Self::Request) -> usize {
        request.components.len()
    }

    async fn handle(
        context: &Context,
        _: &RequestContext,
        request: DescribeClientQuotasRequest,
    ) -> DescribeClientQuotasResponse {
        let mut response = DescribeClientQuotasResponse::default();
        match found(&context.view().quotas, &request) {
            Ok(entries) => response.entries = Some(entries),
            Err(failure) => {
                (response.error_code, response.entries) = (failure.code, None);
                response.error_message = Some(failure.message.as_str().into());
            }
        }
        response
    }
}

fn found(quotas: &Quotas, request: &DescribeClientQuotasRequest) -> Result<Vec<EntryData>, Failure> {
    let mut filter = Filter { strict: request.strict, ..Filter::default() };
    for component in &request.components {
        filter.add(component)?;
    }
    Ok(quotas
        .iter()
        .filter(|(entity, _)| filter.lets(entity))
        .map(|(entity, rates)| entry(entity, rates))
        .collect())
}

#[derive(Default)]
struct Filter {
    strict: bool,
    user: Option<Wanted>,
    client: Option<Wanted>,
    ip: Option<Wanted>,
}

enum Wanted {
    Name(QuotaName),
    /// The default or any name.
    Specified,
}

impl Filter {
    fn add(&mut self, component: &ComponentData) -> Result<(), Failure> {
        let kind = component.entity_type.as_str();
        let part = match kind {
            USER => &mut self.user,
            CLIENT_ID => &mut self.client,
            IP => &mut self.ip,
            "" => return Err(Failure::request("Unexpected empty filter component entity type")),
            _ => {
                let reason = format!("Custom entity type '{kind}' not supported");
                return Err(Failure::new(code::UNSUPPORTED_VERSION, reason));
            }
        };
        let wanted = match (component.match_type, component.match_.as_deref()) {
            (MATCH_EXACT, Some(name)) => Wanted::Name(QuotaName::Named(name.to_owned())),
            (MATCH_DEFAULT, None) => Wanted::Name(QuotaName::Default),
            (MATCH_SPECIFIED, None) => Wanted::Specified,
            (number, _) => {
                let reason = format!("match type {number} does not go with its name");
                return Err(Failure::request(reason));
            }
        };
        if part.replace(wanted).is_some() {
            let reason = format!("Entity type {kind} cannot appear more than once in the filter");
            return Err(Failure::request(reason));
        }
        Ok(())
    }

    fn lets(&self, entity: &QuotaEntity) -> bool {
        let part = |wanted: &Option<Wanted>, name: &QuotaName| match wanted {
            None => !self.strict || *name == QuotaName::Absent,
            Some(Wanted::Name(wanted)) => wanted == name,
            Some(Wanted::Specified) => *name != QuotaName::Absent,
        };
        part(&self.user, &entity.user) && part(&self.client, &entity.client) && part(&self.ip, &entity.ip)
    }
}

fn entry(entity: &QuotaEntity, rates: &QuotaRates) -> EntryData {
    let mut entry = EntryData::default();
    for (kind, name) in parts(entity) {
        let mut part = EntityData::default();
        (part.entity_type, part.entity_name) = (kind.into(), name.map(Into::into));
        entry.entity.push(part);
    }
    for (key, rate) in values(rates) {
        let mut value = ValueData::default();
        (value.key, value.value) = (key.into(), rate);
        entry.values.push(value);
    }
    entry
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quotas() -> Quotas {
        let named = |name: &str| QuotaName::Named(name.to_owned());
        let entity = |user, client| QuotaEntity { user, client, ip: QuotaName::Absent };
        let rates = QuotaRates { produce: Some(7), ..QuotaRates::default() };
        let entities = [
            entity(QuotaName::Absent, named("c")),
            entity(QuotaName::Absent, QuotaName::Default),
            entity(named("u"), named("c")),
        ];
        entities.into_iter().map(|entity| (entity, rates)).collect()
    }

    fn component(kind: &str, match_type: i8, name: Option<&str>) -> ComponentData {
        let mut component = ComponentData::default();
        (component.entity_type, component.match_type) = (kind.into(), match_type);
        component.match_ = name.map(Into::into);
        component
    }

    fn count(strict: bool, components: Vec<ComponentData>) -> Result<usize, i16> {
        let mut request = DescribeClientQuotasRequest::default();
        (request.components, request.strict) = (components, strict);
        found(&quotas(), &request).map(|entries| entries.len()).map_err(|failure| failure.code)
    }

    #[test]
    fn a_filter_takes_exact_default_and_any_names() {
        assert_eq!(count(false, vec![]), Ok(3));
        assert_eq!(count(false, vec![component("client-id", 0, Some("c"))]), Ok(2));
        assert_eq!(count(true, vec![component("client-id", 0, Some("c"))]), Ok(1));
        assert_eq!(count(false, vec![component("client-id", 1, None)]), Ok(1));
        assert_eq!(count(true, vec![component("client-id", 2, None)]), Ok(2));
        assert_eq!(count(false, vec![component("ip", 2, None)]), Ok(0));
        let twice = vec![component("user", 2, None), component("user", 1, None)];
        assert_eq!(count(false, twice), Err(code::INVALID_REQUEST));
        assert_eq!(count(false, vec![component("user", 0, None)]), Err(code::INVALID_REQUEST));
        assert_eq!(count(false, vec![component("team", 2, None)]), Err(code::UNSUPPORTED_VERSION));
    }
}
