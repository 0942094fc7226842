//! DescribeAcls: the rules that a filter means, by resource.

use super::acl_fields::{self, AclFilterFields};
use crate::kafka::context::Context;
use crate::kafka::dispatch::Handler;
use crate::kafka::request_context::RequestContext;
use core::ops::RangeInclusive;
use engine::control::acls::{AclFilter, Acls};
use kafka_wire::describe_acls_response::{AclDescription, DescribeAclsResource};
use kafka_wire::{DescribeAclsRequest, DescribeAclsResponse};

pub struct DescribeAcls;

impl Handler for DescribeAcls {
    type Request = DescribeAclsRequest;
    const VERSIONS: RangeInclusive<i16> = 1..=3;

    async fn handle(
        context: &Context,
        _: &RequestContext,
        request: DescribeAclsRequest,
    ) -> DescribeAclsResponse {
        let wanted = match &context.authorizer {
            Some(_) => acl_fields::filter(&AclFilterFields {
                kind: request.resource_type_filter,
                name: request.resource_name_filter.as_ref(),
                pattern: request.pattern_type_filter,
                principal: request.principal_filter.as_ref(),
                host: request.host_filter.as_ref(),
                operation: request.operation,
                permission: request.permission_type,
            }),
            None => Err(acl_fields::no_authorizer()),
        };
        let mut response = DescribeAclsResponse::default();
        response.error_message = None;
        match wanted {
            Ok(filter) => response.resources = resources(context.view().acls.acls(), &filter),
            Err(failure) => {
                response.error_code = failure.code;
                response.error_message = Some(failure.message.as_str().into());
            }
        }
        response
    }
}

fn resources(acls: &Acls, filter: &AclFilter) -> Vec<DescribeAclsResource> {
    let mut resources: Vec<DescribeAclsResource> = Vec::new();
    // Sorted: the rules of one resource stand together.
    for acl in acls.list(filter) {
        let (kind, pattern) = (acl.pattern.kind as i8, acl.pattern.pattern_type as i8);
        let mut described = AclDescription::default();
        (described.principal, described.host) = ((&*acl.principal).into(), acl.host.to_string().into());
        (described.operation, described.permission_type) = (acl.operation as i8, acl.permission as i8);
        match resources.last_mut().filter(|last| {
            (last.resource_type, last.pattern_type) == (kind, pattern)
                && last.resource_name.as_str() == &*acl.pattern.name
        }) {
            Some(last) => last.acls.push(described),
            None => {
                let mut resource = DescribeAclsResource::default();
                (resource.resource_type, resource.pattern_type) = (kind, pattern);
                resource.resource_name = (&*acl.pattern.name).into();
                resource.acls.push(described);
                resources.push(resource);
            }
        }
    }
    resources
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::control::acls::{Acl, AclHost, Operation, Pattern, PatternType, Permission, ResourceType};

    #[test]
    fn the_rules_of_a_resource_stand_together() {
        let acl = |pattern_type, name: &str, operation| Acl {
            pattern: Pattern { kind: ResourceType::Topic, pattern_type, name: name.into() },
            principal: "User:a".into(),
            host: AclHost::of("10.0.0.7"),
            operation,
            permission: Permission::Allow,
        };
        let mut acls = Acls::default();
        acls.create(&[
            acl(PatternType::Literal, "t", Operation::Read),
            acl(PatternType::Prefixed, "t", Operation::Read),
            acl(PatternType::Literal, "t", Operation::Write),
        ]);
        let told = resources(&acls, &AclFilter::any());
        let sizes = told.iter().map(|one| (one.pattern_type, one.acls.len()));
        assert_eq!(sizes.collect::<Vec<_>>(), [(3, 2), (4, 1)]);
        let first = &told[0].acls[0];
        assert_eq!((first.host.as_str(), first.operation, first.permission_type), ("10.0.0.7", 3, 3));
        let writes = AclFilter { operation: Some(Operation::Write), ..AclFilter::any() };
        assert_eq!(resources(&acls, &writes).len(), 1);
    }
}
