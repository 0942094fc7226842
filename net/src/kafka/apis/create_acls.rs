//! CreateAcls: the rules that can be are made by as few commands as carry them.

use super::acl_fields;
use super::admin::{self, Failure};
use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::request_context::RequestContext;
use core::ops::RangeInclusive;
use engine::control::Command;
use engine::control::acls::rules::ACLS_AT_ONCE;
use engine::control::acls::{Acl, Acls};
use kafka_wire::create_acls_request::AclCreation;
use kafka_wire::create_acls_response::AclCreationResult;
use kafka_wire::{CreateAclsRequest, CreateAclsResponse};

pub struct CreateAcls;

impl Handler for CreateAcls {
    type Request = CreateAclsRequest;
    const VERSIONS: RangeInclusive<i16> = 1..=3;

    fn named(request: &Self::Request) -> usize {
        request.creations.len()
    }

    async fn handle(context: &Context, _: &RequestContext, request: CreateAclsRequest) -> CreateAclsResponse {
        let planned: Vec<Result<Acl, Failure>> = match &context.authorizer {
            Some(_) => request.creations.iter().map(plan).collect(),
            None => request.creations.iter().map(|_| Err(acl_fields::no_authorizer())).collect(),
        };
        let good: Vec<Acl> = planned.iter().filter_map(|one| one.as_ref().ok().cloned()).collect();
        let commands = good.chunks(ACLS_AT_ONCE).map(|acls| Ok(Command::CreateAcls { acls: acls.to_vec() }));
        let made = admin::carry_out(context, commands.collect(), 0).await;
        let mut response = CreateAclsResponse::default();
        response.results = results(&planned, &made);
        response
    }
}

fn plan(creation: &AclCreation) -> Result<Acl, Failure> {
    let acl = acl_fields::of_creation(creation)?;
    // What can never be a rule; how many there are is the state's to say.
    Acls::default().check(std::slice::from_ref(&acl))?;
    Ok(acl)
}

/// One for each that was asked for: its own failure, or what became of the command that it was in.
fn results<T>(planned: &[Result<Acl, Failure>], made: &[Result<T, Failure>]) -> Vec<AclCreationResult> {
    let mut nth = 0;
    let mut result = |one: &Result<Acl, Failure>| {
        let mut result = AclCreationResult::default();
        let became = match one {
            Err(failure) => Err(failure.clone()),
            Ok(_) => {
                nth += 1;
                made[(nth - 1) / ACLS_AT_ONCE].as_ref().map(|_| ()).map_err(Clone::clone)
            }
        };
        (result.error_code, result.error_message) = admin::error_fields(&became);
        result
    };
    planned.iter().map(&mut result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::errors::code;

    fn creation(kind: i8, name: &str) -> AclCreation {
        let mut one = AclCreation::default();
        (one.resource_type, one.resource_name, one.resource_pattern_type) = (kind, name.into(), 3);
        (one.principal, one.host, one.operation, one.permission_type) = ("User:a".into(), "*".into(), 3, 3);
        one
    }

    #[test]
    fn each_rule_has_the_answer_of_its_command() {
        let planned: Vec<_> =
            (0..=2 * ACLS_AT_ONCE).map(|n| plan(&creation(2, if n % 2 == 0 { "t" } else { "" }))).collect();
        let made = [Ok(()), Err(Failure::new(code::POLICY_VIOLATION, "full"))];
        let codes: Vec<i16> = results(&planned, &made).iter().map(|one| one.error_code).collect();
        assert_eq!(codes[..3], [0, code::INVALID_REQUEST, 0]);
        assert_eq!(codes[2 * ACLS_AT_ONCE], code::POLICY_VIOLATION);
    }

    #[test]
    fn what_can_be_no_rule_is_refused_alone() {
        assert!(plan(&creation(2, "t")).is_ok() && plan(&creation(4, "kafka-cluster")).is_ok());
        for wrong in [creation(4, "c"), creation(2, ""), creation(0, "t"), creation(1, "t")] {
            assert_eq!(plan(&wrong).expect_err("refused").code, code::INVALID_REQUEST);
        }
    }
}
