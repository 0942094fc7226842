//! AlterClientQuotas: the quotas of each entity by one command.

use super::admin::{self, Failure};
use super::quota_entity::{self, kind, rate};
use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::request_context::RequestContext;
use core::ops::RangeInclusive;
use engine::control::quotas::{self, QuotaChange, QuotaEntity};
use engine::control::{Command, View};
use kafka_wire::alter_client_quotas_request::EntryData;
use kafka_wire::alter_client_quotas_response::{EntityData, EntryData as Answered};
use kafka_wire::{AlterClientQuotasRequest, AlterClientQuotasResponse};
use std::collections::BTreeSet;

pub struct AlterClientQuotas;

impl Handler for AlterClientQuotas {
    type Request = AlterClientQuotasRequest;
    const VERSIONS: RangeInclusive<i16> = 0..=1;

    fn named(request: &Self::Request) -> usize {
        request.entries.iter().map(|entry| 1 + entry.entity.len() + entry.ops.len()).sum()
    }

    async fn handle(
        context: &Context,
        _: &RequestContext,
        request: AlterClientQuotasRequest,
    ) -> AlterClientQuotasResponse {
        let view = context.view();
        let named: Vec<Result<QuotaEntity, Failure>> = request.entries.iter().map(entity).collect();
        let repeated = admin::repeated(named.iter().filter_map(|one| one.as_ref().ok()));
        let planned: Vec<Result<Command, Failure>> = request
            .entries
            .iter()
            .zip(&named)
            .map(|(entry, entity)| plan(&view, &repeated, entry, entity.as_ref()))
            .collect();
        let results: Vec<Result<(), Failure>> = if request.validate_only {
            planned.into_iter().map(|one| one.map(|_| ())).collect()
        } else {
            admin::carry_out(context, planned, 0).await.into_iter().map(|one| one.map(|_| ())).collect()
        };
        let mut response = AlterClientQuotasResponse::default();
        response.entries =
            request.entries.iter().zip(&results).map(|(entry, result)| answer(entry, result)).collect();
        response
    }
}

fn entity(entry: &EntryData) -> Result<QuotaEntity, Failure> {
    let parts = entry.entity.iter();
    quota_entity::entity(parts.map(|part| (part.entity_type.as_str(), part.entity_name.as_deref())))
}

fn plan(
    view: &View,
    repeated: &BTreeSet<&QuotaEntity>,
    entry: &EntryData,
    entity: Result<&QuotaEntity, &Failure>,
) -> Result<Command, Failure> {
    let entity = entity.map_err(Clone::clone)?;
    if repeated.contains(entity) {
        return Err(Failure::request("Duplicate quota entity."));
    }
    let mut changes = Vec::with_capacity(entry.ops.len());
    for op in &entry.ops {
        let bytes_per_s = if op.remove { None } else { Some(rate(&op.key, op.value)?) };
        changes.push(QuotaChange { kind: kind(&op.key)?, bytes_per_s });
    }
    quotas::check(&view.quotas, entity, &changes)?;
    Ok(Command::AlterQuotas { entity: entity.clone(), changes })
}

fn answer(entry: &EntryData, result: &Result<(), Failure>) -> Answered {
    let mut answered = Answered::default();
    (answered.error_code, answered.error_message) = admin::error_fields(result);
    answered.entity = entry
        .entity
        .iter()
        .map(|part| {
            let mut same = EntityData::default();
            (same.entity_type, same.entity_name) = (part.entity_type.clone(), part.entity_name.clone());
            same
        })
        .collect();
    answered
}

#[cfg(test)]
mod tests {
    use super::super::admin::fixture::Cluster;
    use super::*;
    use crate::kafka::errors::code;
    use kafka_wire::alter_client_quotas_request::{EntityData, OpData};

    fn entry(key: &str, value: f64) -> EntryData {
        let (mut part, mut op) = (EntityData::default(), OpData::default());
        (part.entity_type, part.entity_name) = ("client-id".into(), Some("c".into()));
        (op.key, op.value) = (key.into(), value);
        let mut entry = EntryData::default();
        (entry.entity, entry.ops) = (vec![part], vec![op]);
        entry
    }

    fn planned(entry: &EntryData, repeated: bool) -> Result<Command, i16> {
        let (view, entity) = (Cluster::new(1).view(), entity(entry));
        let again: BTreeSet<&QuotaEntity> = entity.iter().filter(|_| repeated).collect();
        plan(&view, &again, entry, entity.as_ref()).map_err(|failure| failure.code)
    }

    #[test]
    fn a_rate_becomes_a_command_and_each_mistake_is_refused() {
        let good = entry("consumer_byte_rate", 1e6);
        let Ok(Command::AlterQuotas { changes, .. }) = planned(&good, false) else { panic!("a command") };
        assert_eq!(changes[0].bytes_per_s, Some(1_000_000));
        assert_eq!(planned(&good, true), Err(code::INVALID_REQUEST));
        for (key, value) in [("request_percentage", 5.0), ("no_such", 1.0), ("producer_byte_rate", 0.0)] {
            assert_eq!(planned(&entry(key, value), false), Err(code::INVALID_REQUEST), "{key}");
        }
        assert_eq!(planned(&EntryData::default(), false), Err(code::INVALID_REQUEST));
        assert_eq!(answer(&good, &Ok(())).entity[0].entity_name.as_deref(), Some("c"));
    }
}
