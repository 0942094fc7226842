//! `duramen acl ...`: the access rules of the cluster.

use super::kafka_error::check;
use super::out::{Out, table};
use super::reach::Reach;
use crate::kafka::apis::acl_fields::{ANY, MATCH};
use crate::process::refusal::Refusal;
use clap::{Args, Subcommand};
use engine::control::acls::acl::CLUSTER_NAME;
use engine::control::acls::{AclHost, Operation, PatternType, Permission, ResourceType};
use kafka_wire::create_acls_request::AclCreation;
use kafka_wire::delete_acls_request::DeleteAclsFilter;
use kafka_wire::{CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest};
use serde::Serialize;
use std::process::ExitCode;

#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Allow or deny something
    Create {
        #[command(flatten)]
        who: RuleOf,
        /// What: Read, Write, Create, Delete, Alter, Describe, ClusterAction, DescribeConfigs, AlterConfigs,
        /// IdempotentWrite or All. May be given more than once
        #[arg(long, value_name = "OPERATION", required = true, value_parser = operation)]
        operation: Vec<Operation>,
        #[command(flatten)]
        what: RuledBy,
    },
    /// List the rules, or those of a user or a resource
    List {
        /// Only those of this principal, such as User:alice
        #[arg(long, value_name = "User:NAME")]
        principal: Option<String>,
        #[command(flatten)]
        what: RuledBy,
    },
    /// Take rules away: those that fit all that is given
    Delete {
        #[command(flatten)]
        who: RuleOf,
        /// Only those of this operation. May be given more than once
        #[arg(long, value_name = "OPERATION", value_parser = operation)]
        operation: Vec<Operation>,
        #[command(flatten)]
        what: RuledBy,
    },
}

#[derive(Args, Debug)]
pub struct RuleOf {
    /// Who may, such as User:alice; User:* is everybody
    #[arg(long, value_name = "User:NAME", conflicts_with = "deny", required_unless_present = "deny",
          value_parser = principal)]
    allow: Option<String>,
    /// Who may not, whatever else allows it
    #[arg(long, value_name = "User:NAME", value_parser = principal)]
    deny: Option<String>,
    /// Only from this address
    #[arg(long, value_name = "ADDRESS", default_value = "*", value_parser = host)]
    host: String,
}

#[derive(Args, Debug)]
#[group(multiple = false)]
pub struct RuledResource {
    /// A topic; * is all
    #[arg(long, value_name = "NAME")]
    topic: Option<String>,
    /// A consumer group; * is all
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
    /// A transactional id; * is all
    #[arg(long, value_name = "ID")]
    transactional_id: Option<String>,
    /// The cluster
    #[arg(long)]
    cluster: bool,
}

#[derive(Args, Debug)]
pub struct RuledBy {
    #[command(flatten)]
    resource: RuledResource,
    /// All whose names begin with what is given
    #[arg(long)]
    prefixed: bool,
}

/// A rule as it is shown.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Rule {
    permission: &'static str,
    principal: String,
    host: String,
    operation: String,
    resource: String,
    name: String,
    pattern: &'static str,
}

fn operation(text: &str) -> Result<Operation, String> {
    let plain = |text: &str| text.replace(['-', '_'], "").to_ascii_lowercase();
    let found = Operation::ALL.into_iter().find(|one| plain(&format!("{one:?}")) == plain(text));
    found.ok_or_else(|| format!("'{text}' is no operation, such as Read, Write or All"))
}

fn principal(text: &str) -> Result<String, String> {
    match text.split_once(':') {
        Some((kind, name)) if !kind.is_empty() && !name.is_empty() => Ok(text.to_owned()),
        _ => Err(format!("'{text}' has no type: write User:{text}")),
    }
}

/// Kafka takes a name, and no client ever comes from one.
fn host(text: &str) -> Result<String, String> {
    match AclHost::of(text) {
        AclHost::Name(name) => Err(format!("'{name}' is no address, and clients are judged by theirs")),
        _ => Ok(text.to_owned()),
    }
}

impl RuleOf {
    fn rule(&self) -> (Permission, &str) {
        match (&self.allow, &self.deny) {
            (Some(name), _) => (Permission::Allow, name),
            (None, Some(name)) => (Permission::Deny, name),
            (None, None) => unreachable!("the parser wants one"),
        }
    }
}

impl RuledBy {
    /// None where nothing is named.
    fn named(&self) -> Option<(ResourceType, &str)> {
        let RuledResource { topic, group, transactional_id, cluster } = &self.resource;
        let by = |kind, name: &'_ Option<String>| name.is_some().then_some(kind);
        let kind = by(ResourceType::Topic, topic)
            .or(by(ResourceType::Group, group))
            .or(by(ResourceType::TransactionalId, transactional_id));
        let name = topic.as_ref().or(group.as_ref()).or(transactional_id.as_ref());
        match kind {
            Some(kind) => Some((kind, name.map_or("", String::as_str))),
            None => cluster.then_some((ResourceType::Cluster, CLUSTER_NAME)),
        }
    }

    fn pattern(&self) -> i8 {
        if self.prefixed { PatternType::Prefixed as i8 } else { PatternType::Literal as i8 }
    }
}

pub fn run(verb: &Verb, reach: &Reach, out: Out) -> Result<ExitCode, Refusal> {
    match verb {
        Verb::Create { who, operation, what } => {
            let request = creation(who, operation, what)?;
            for result in reach.connect()?.call(1, &request)?.results {
                check("access rule", result.error_code, result.error_message.as_deref())?;
            }
            let made: Vec<Rule> = request
                .creations
                .iter()
                .map(|one| {
                    rule(
                        (one.resource_type, one.resource_pattern_type, &one.resource_name),
                        (&one.principal, &one.host, one.operation, one.permission_type),
                    )
                })
                .collect();
            out.show(&made, |made| rules_table(made))?;
        }
        Verb::List { principal, what } => {
            let response = reach.connect()?.call(1, &listing(principal.as_deref(), what))?;
            check("access rules", response.error_code, response.error_message.as_deref())?;
            let mut rules = Vec::new();
            for resource in &response.resources {
                let named = (resource.resource_type, resource.pattern_type, resource.resource_name.as_str());
                rules.extend(
                    resource.acls.iter().map(|acl| {
                        rule(named, (&acl.principal, &acl.host, acl.operation, acl.permission_type))
                    }),
                );
            }
            out.show(&rules, |rules| rules_table(rules))?;
        }
        Verb::Delete { who, operation, what } => {
            let mut gone = Vec::new();
            for result in reach.connect()?.call(1, &deletion(who, operation, what)?)?.filter_results {
                check("access rules", result.error_code, result.error_message.as_deref())?;
                gone.extend(result.matching_acls.iter().map(|acl| {
                    rule(
                        (acl.resource_type, acl.pattern_type, &acl.resource_name),
                        (&acl.principal, &acl.host, acl.operation, acl.permission_type),
                    )
                }));
            }
            out.show(&gone, |gone| match gone.len() {
                0 => "no rule fits: nothing was taken away".to_owned(),
                _ => rules_table(gone),
            })?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn creation(who: &RuleOf, operations: &[Operation], what: &RuledBy) -> Result<CreateAclsRequest, Refusal> {
    let (kind, name) = what.named().ok_or_else(nothing_named)?;
    let (permission, principal) = who.rule();
    let creation = |operation: &Operation| {
        let mut one = AclCreation::default();
        (one.resource_type, one.resource_name) = (kind as i8, name.into());
        one.resource_pattern_type = what.pattern();
        (one.principal, one.host) = (principal.into(), who.host.as_str().into());
        (one.operation, one.permission_type) = (*operation as i8, permission as i8);
        one
    };
    let mut request = CreateAclsRequest::default();
    request.creations = operations.iter().map(creation).collect();
    Ok(request)
}

fn nothing_named() -> Refusal {
    Refusal::usage("no resource is named", "give --topic, --group, --transactional-id or --cluster")
}

fn listing(principal: Option<&str>, what: &RuledBy) -> DescribeAclsRequest {
    let mut request = DescribeAclsRequest::default();
    let named = what.named();
    request.resource_type_filter = named.map_or(ANY, |(kind, _)| kind as i8);
    request.resource_name_filter = named.map(|(_, name)| name.into());
    // All that hold for the name, unless a prefix is asked for.
    request.pattern_type_filter = match named {
        Some(_) if what.prefixed => what.pattern(),
        Some(_) => MATCH,
        None => ANY,
    };
    (request.principal_filter, request.host_filter) = (principal.map(Into::into), None);
    (request.operation, request.permission_type) = (ANY, ANY);
    request
}

fn deletion(who: &RuleOf, operations: &[Operation], what: &RuledBy) -> Result<DeleteAclsRequest, Refusal> {
    let (kind, name) = what.named().ok_or_else(nothing_named)?;
    let (permission, principal) = who.rule();
    let filter = |operation: i8| {
        let mut one = DeleteAclsFilter::default();
        (one.resource_type_filter, one.resource_name_filter) = (kind as i8, Some(name.into()));
        one.pattern_type_filter = what.pattern();
        (one.principal_filter, one.host_filter) = (Some(principal.into()), Some(who.host.as_str().into()));
        (one.operation, one.permission_type) = (operation, permission as i8);
        one
    };
    let mut request = DeleteAclsRequest::default();
    request.filters = match operations {
        [] => vec![filter(ANY)],
        some => some.iter().map(|one| filter(*one as i8)).collect(),
    };
    Ok(request)
}

fn rule(
    (kind, pattern, name): (i8, i8, &str),
    (principal, host, operation, permission): (&str, &str, i8, i8),
) -> Rule {
    let of = |number: i8| u8::try_from(number).unwrap_or(0);
    Rule {
        permission: if permission == Permission::Deny as i8 { "deny" } else { "allow" },
        principal: principal.to_owned(),
        host: host.to_owned(),
        operation: Operation::of(of(operation))
            .map_or_else(|| operation.to_string(), |one| format!("{one:?}")),
        resource: ResourceType::of(of(kind)).map_or_else(|| kind.to_string(), |one| format!("{one:?}")),
        name: name.to_owned(),
        pattern: if pattern == PatternType::Prefixed as i8 { "prefixed" } else { "literal" },
    }
}

fn rules_table(rules: &[Rule]) -> String {
    let row = |rule: &Rule| {
        let name =
            if rule.pattern == "prefixed" { format!("{}… (prefix)", rule.name) } else { rule.name.clone() };
        [
            rule.permission.to_owned(),
            rule.principal.clone(),
            rule.host.clone(),
            rule.operation.clone(),
            rule.resource.clone(),
            name,
        ]
    };
    table(["permission", "principal", "host", "operation", "resource", "name"], rules.iter().map(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_kafka_writes_them_and_as_people_do() {
        for text in ["DescribeConfigs", "describe-configs", "DESCRIBE_CONFIGS"] {
            assert_eq!(operation(text), Ok(Operation::DescribeConfigs));
        }
        assert!(operation("Sing").is_err());
        assert!(
            principal("User:alice").is_ok() && principal("alice").is_err() && principal("User:").is_err()
        );
        assert!(host("*").is_ok() && host("::1").is_ok() && host("db.example").is_err());
    }

    #[test]
    fn a_rule_is_sent_for_each_operation_and_shown_with_its_prefix() {
        let who = RuleOf { allow: Some("User:a".to_owned()), deny: None, host: "*".to_owned() };
        let resource = RuledResource {
            topic: Some("orders.".to_owned()),
            group: None,
            transactional_id: None,
            cluster: false,
        };
        let what = RuledBy { resource, prefixed: true };
        let request = creation(&who, &[Operation::Read, Operation::Write], &what).expect("a topic");
        let sent = request.creations.iter().map(|one| (one.operation, one.resource_pattern_type));
        assert_eq!(sent.collect::<Vec<_>>(), [(3, 4), (4, 4)]);
        let shown = rules_table(&[rule((2, 4, "orders."), ("User:a", "*", 3, 3))]);
        assert!(shown.contains("orders.… (prefix)") && shown.contains("Read"), "{shown}");
        let nothing = RuledResource { topic: None, group: None, transactional_id: None, cluster: false };
        assert!(creation(&who, &[Operation::All], &RuledBy { resource: nothing, prefixed: false }).is_err());
    }
}
