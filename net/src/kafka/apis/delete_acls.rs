//! DeleteAcls: the rules that each filter means, by commands of a bounded number each, until none is left.

use super::acl_fields::{self, AclFilterFields};
use super::admin::{Failure, error_fields};
use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::request_context::RequestContext;
use core::ops::RangeInclusive;
use engine::control::acls::rules::{ACLS_AT_ONCE, ACLS_MAX};
use engine::control::acls::{Acl, AclFilter};
use engine::control::{Command, Outcome};
use kafka_wire::delete_acls_request::DeleteAclsFilter;
use kafka_wire::delete_acls_response::{DeleteAclsFilterResult, DeleteAclsMatchingAcl};
use kafka_wire::{DeleteAclsRequest, DeleteAclsResponse};

pub struct DeleteAcls;

/// A filter may cost several commands: it counts as so many things that a request names.
const FILTER_WEIGHT: usize = 50;
/// Rules that come while others go are not followed for ever.
const ROUNDS_MAX: usize = 2 * ACLS_MAX / ACLS_AT_ONCE;

impl Handler for DeleteAcls {
    type Request = DeleteAclsRequest;
    const VERSIONS: RangeInclusive<i16> = 1..=3;

    fn named(request: &Self::Request) -> usize {
        FILTER_WEIGHT * request.filters.len()
    }

    async fn handle(context: &Context, _: &RequestContext, request: DeleteAclsRequest) -> DeleteAclsResponse {
        let mut response = DeleteAclsResponse::default();
        for filter in &request.filters {
            let deleted = match (&context.authorizer, read(filter)) {
                (None, _) => Err(acl_fields::no_authorizer()),
                (Some(_), Err(failure)) => Err(failure),
                (Some(_), Ok(filter)) => delete(context, &filter).await,
            };
            response.filter_results.push(result(deleted));
        }
        response
    }
}

fn read(filter: &DeleteAclsFilter) -> Result<AclFilter, Failure> {
    acl_fields::filter(&AclFilterFields {
        kind: filter.resource_type_filter,
        name: filter.resource_name_filter.as_ref(),
        pattern: filter.pattern_type_filter,
        principal: filter.principal_filter.as_ref(),
        host: filter.host_filter.as_ref(),
        operation: filter.operation,
        permission: filter.permission_type,
    })
}

async fn delete(context: &Context, filter: &AclFilter) -> Result<Vec<Acl>, Failure> {
    let mut all = Vec::new();
    for _ in 0..ROUNDS_MAX {
        let command = Command::DeleteAcls { filter: filter.clone(), at_most: ACLS_AT_ONCE as u16 };
        match context.control(command).await? {
            Outcome::AclsDeleted { acls, more } => {
                all.extend(acls);
                if !more {
                    break;
                }
            }
            other => panic!("a deletion of access rules was answered with {other:?}"),
        }
    }
    Ok(all)
}

fn result(deleted: Result<Vec<Acl>, Failure>) -> DeleteAclsFilterResult {
    let mut result = DeleteAclsFilterResult::default();
    (result.error_code, result.error_message) = error_fields(&deleted);
    let matching = |acl: Acl| {
        let mut matching = DeleteAclsMatchingAcl::default();
        matching.error_message = None;
        (matching.resource_type, matching.pattern_type) =
            (acl.pattern.kind as i8, acl.pattern.pattern_type as i8);
        matching.resource_name = (&*acl.pattern.name).into();
        (matching.principal, matching.host) = ((&*acl.principal).into(), acl.host.to_string().into());
        (matching.operation, matching.permission_type) = (acl.operation as i8, acl.permission as i8);
        matching
    };
    result.matching_acls = deleted.unwrap_or_default().into_iter().map(matching).collect();
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::errors::code;

    #[test]
    fn a_filter_that_is_none_is_refused_and_an_answer_names_what_went() {
        let mut filter = DeleteAclsFilter::default();
        (filter.resource_type_filter, filter.pattern_type_filter) = (1, 1);
        (filter.operation, filter.permission_type) = (1, 1);
        (filter.resource_name_filter, filter.principal_filter, filter.host_filter) = (None, None, None);
        assert_eq!(read(&filter), Ok(AclFilter::any()));
        filter.operation = 0;
        let refused = result(read(&filter).map(|_| Vec::new()));
        assert_eq!((refused.error_code, refused.matching_acls.len()), (code::INVALID_REQUEST, 0));
    }
}
