//! What a request that changes something is about, as the metadata has it: looked at before and after, it is the old
//! and the new value. Of credentials only that they are there.

use super::apis::acl_fields;
use super::apis::quota_entity;
use crate::kafka::codec::wire::Uuid;
use engine::control::View;
use engine::control::acls::Acl;
use engine::control::quotas::QuotaEntity;
use engine::ids::TopicId;
use kafka_wire::{
    AlterClientQuotasRequest, AlterConfigsRequest, AlterPartitionReassignmentsRequest,
    AlterUserScramCredentialsRequest, CreateAclsRequest, CreatePartitionsRequest, CreateTopicsRequest,
    DeleteTopicsRequest, IncrementalAlterConfigsRequest,
};
use serde_json::{Map, Value, json};
use std::any::Any;
use std::collections::{BTreeMap, BTreeSet};

/// A thing of the metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Audited {
    Topic(String),
    Settings {
        kind: i8,
        name: String,
    },
    Quota(QuotaEntity),
    User(String),
    Rule(Acl),
    Placement {
        topic: String,
        partition: i32,
    },
    /// Not of the metadata, or nothing that can be: records, groups, what was asked wrongly.
    Nothing,
}

/// What a request is about, in the order in which `audit` names it; empty where it has no old and new value.
pub(crate) fn of(request: &dyn Any, view: &View) -> Vec<Audited> {
    if let Some(request) = request.downcast_ref::<CreateTopicsRequest>() {
        request.topics.iter().map(|one| Audited::Topic(one.name.as_str().to_owned())).collect()
    } else if let Some(request) = request.downcast_ref::<DeleteTopicsRequest>() {
        let by_name = request.topic_names.iter().map(|name| Audited::Topic(name.as_str().to_owned()));
        let named = |one: &kafka_wire::delete_topics_request::DeleteTopicState| match &one.name {
            Some(name) => Audited::Topic(name.as_str().to_owned()),
            None => by_id(view, one.topic_id),
        };
        by_name.chain(request.topics.iter().map(named)).collect()
    } else if let Some(request) = request.downcast_ref::<CreatePartitionsRequest>() {
        request.topics.iter().map(|one| Audited::Topic(one.name.as_str().to_owned())).collect()
    } else if let Some(request) = request.downcast_ref::<IncrementalAlterConfigsRequest>() {
        request.resources.iter().map(|one| settings(one.resource_type, &one.resource_name)).collect()
    } else if let Some(request) = request.downcast_ref::<AlterConfigsRequest>() {
        request.resources.iter().map(|one| settings(one.resource_type, &one.resource_name)).collect()
    } else if let Some(request) = request.downcast_ref::<AlterClientQuotasRequest>() {
        let parts = |one: &kafka_wire::alter_client_quotas_request::EntryData| {
            let parts =
                one.entity.iter().map(|part| (part.entity_type.as_str(), part.entity_name.as_deref()));
            quota_entity::entity(parts).map_or(Audited::Nothing, Audited::Quota)
        };
        request.entries.iter().map(parts).collect()
    } else if let Some(request) = request.downcast_ref::<AlterUserScramCredentialsRequest>() {
        let deleted = request.deletions.iter().map(|one| one.name.as_str());
        let users: BTreeSet<&str> =
            deleted.chain(request.upsertions.iter().map(|one| one.name.as_str())).collect();
        users.into_iter().map(|user| Audited::User(user.to_owned())).collect()
    } else if let Some(request) = request.downcast_ref::<CreateAclsRequest>() {
        request.creations.iter().map(rule).collect()
    } else if let Some(request) = request.downcast_ref::<AlterPartitionReassignmentsRequest>() {
        let of_topic = |topic: &kafka_wire::alter_partition_reassignments_request::ReassignableTopic| {
            let name = topic.name.as_str().to_owned();
            let numbers: Vec<i32> = topic.partitions.iter().map(|one| one.partition_index).collect();
            numbers.into_iter().map(move |partition| Audited::Placement { topic: name.clone(), partition })
        };
        request.topics.iter().flat_map(of_topic).collect()
    } else {
        Vec::new()
    }
}

fn by_id(view: &View, id: Uuid) -> Audited {
    let name = view.topic_ids.get(&TopicId(u128::from_be_bytes(id.to_bytes())));
    name.map_or(Audited::Nothing, |name| Audited::Topic(name.to_string()))
}

fn settings(kind: i8, name: &str) -> Audited {
    Audited::Settings { kind, name: name.to_owned() }
}

fn rule(one: &kafka_wire::create_acls_request::AclCreation) -> Audited {
    acl_fields::of_creation(one).map_or(Audited::Nothing, Audited::Rule)
}

impl Audited {
    /// How it is in this view; null where it is not.
    pub fn state(&self, view: &View) -> Value {
        match self {
            Self::Topic(name) => view.topics.get(name.as_str()).map_or(Value::Null, |topic| {
                json!({
                    "id": format!("{:032x}", topic.id.0),
                    "partitions": topic.partitions.len(),
                    "replication_factor": topic.replication_factor,
                    "configs": texts(&topic.configs),
                })
            }),
            Self::Settings { kind, name } => {
                use super::apis::config_resource::{BROKER, TOPIC};
                match *kind {
                    TOPIC => {
                        view.topics.get(name.as_str()).map_or(Value::Null, |topic| texts(&topic.configs))
                    }
                    BROKER if name.is_empty() => texts(&view.broker_configs),
                    BROKER => {
                        let own = name.parse().ok().and_then(|id: i32| view.own_broker_configs.get(&id));
                        own.map_or(Value::Null, texts)
                    }
                    _ => Value::Null,
                }
            }
            Self::Quota(entity) => view.quotas.get(entity).map_or(Value::Null, |rates| {
                quota_entity::values(rates).map(|(key, value)| (key.to_owned(), json!(value))).collect()
            }),
            Self::User(name) => view.credentials.get(name).map_or(Value::Null, |credentials| {
                let told = credentials.iter().map(|(mechanism, credential)| {
                    (mechanism.name().to_owned(), json!({"iterations": credential.iterations}))
                });
                told.collect()
            }),
            Self::Rule(acl) if view.acls.acls().contains(acl) => json!(rule_in_words(acl)),
            Self::Placement { topic, partition } => placement(view, topic, *partition),
            Self::Rule(_) | Self::Nothing => Value::Null,
        }
    }
}

fn texts(configs: &BTreeMap<String, String>) -> Value {
    configs.iter().map(|(key, value)| (key.clone(), json!(value))).collect::<Map<_, _>>().into()
}

/// On which nodes it is.
fn placement(view: &View, topic: &str, partition: i32) -> Value {
    let found = || {
        let number = usize::try_from(partition).ok()?;
        let span = view.topics.get(topic)?.partitions.get(number)?.spans.last()?;
        let journal = view.journals.get(&span.journal)?;
        let nodes: Vec<u32> = journal.replicas.iter().map(|node| node.0).collect();
        Some(json!({"journal": journal.id.0, "nodes": nodes}))
    };
    found().unwrap_or(Value::Null)
}

/// `Allow User:alice Read Topic orders (Literal) from *`.
pub(crate) fn rule_in_words(acl: &Acl) -> String {
    let Acl { pattern, principal, host, operation, permission } = acl;
    let (kind, name) = (pattern.kind, &pattern.name);
    format!(
        "{permission:?} {principal} {operation:?} {kind:?} {name} ({:?}) from {host}",
        pattern.pattern_type
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::apis::admin::fixture::Cluster;
    use engine::control::Command;
    use engine::control::acls::{AclHost, Operation, Pattern, PatternType, Permission, ResourceType};
    use engine::control::credentials::{Credential, Mechanism};
    use engine::control::quotas::{QuotaChange, QuotaKind, QuotaName};

    #[test]
    fn old_and_new_values_are_what_the_metadata_has_and_no_secret() {
        let mut cluster = Cluster::new(1);
        let entity = QuotaEntity { client: QuotaName::Named("c".into()), ..QuotaEntity::default() };
        let acl = Acl {
            pattern: Pattern {
                kind: ResourceType::Topic,
                pattern_type: PatternType::Prefixed,
                name: "or".into(),
            },
            principal: "User:a".into(),
            host: AclHost::Any,
            operation: Operation::Read,
            permission: Permission::Deny,
        };
        let subjects =
            [Audited::Quota(entity.clone()), Audited::User("bob".into()), Audited::Rule(acl.clone())];
        assert_eq!(subjects.each_ref().map(|one| one.state(&cluster.view())), [const { Value::Null }; 3]);
        let changes = vec![QuotaChange { kind: QuotaKind::Fetch, bytes_per_s: Some(9) }];
        cluster.apply(&Command::AlterQuotas { entity, changes });
        let credential = Credential {
            iterations: 4096,
            salt: b"salty".to_vec(),
            stored_key: vec![0x5a; 64],
            server_key: vec![0x5b; 64],
        };
        let mechanism = Mechanism::ScramSha512;
        let command =
            Command::AlterCredential { user: "bob".into(), mechanism, credential: Some(credential) };
        cluster.apply(&command);
        cluster.apply(&Command::CreateAcls { acls: vec![acl] });
        assert_eq!(
            subjects.each_ref().map(|one| one.state(&cluster.view())),
            [
                json!({"consumer_byte_rate": 9.0}),
                json!({"SCRAM-SHA-512": {"iterations": 4096}}),
                json!("Deny User:a Read Topic or (Prefixed) from *"),
            ]
        );
    }
}
