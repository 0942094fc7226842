//! Who changed what, in the log and in the audit log: topics, groups, settings, quotas, users and access rules that
//! were created, altered or deleted, by whom and from where, also when it was refused; in the audit log with the old
//! and the new value.

use super::audited::{self, Audited};
use super::request_context::{Peer, RequestContext};
use crate::audit as audit_log;
use crate::kafka::apis::acl_fields::{self, AclFields};
use crate::kafka::codec::wire::Uuid;
use crate::shard::pace::Pace;
use engine::control::View;
use engine::control::acls::ResourceType;
use engine::control::credentials::Mechanism;
use kafka_wire::{
    AddRaftVoterRequest, AddRaftVoterResponse, AlterClientQuotasRequest, AlterClientQuotasResponse,
    AlterConfigsRequest, AlterConfigsResponse, AlterPartitionReassignmentsRequest,
    AlterPartitionReassignmentsResponse, AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse,
    CreateAclsRequest, CreateAclsResponse, CreatePartitionsRequest, CreatePartitionsResponse,
    CreateTopicsRequest, CreateTopicsResponse, DeleteAclsRequest, DeleteAclsResponse, DeleteGroupsRequest,
    DeleteGroupsResponse, DeleteRecordsRequest, DeleteRecordsResponse, DeleteTopicsRequest,
    DeleteTopicsResponse, ElectLeadersRequest, ElectLeadersResponse, IncrementalAlterConfigsRequest,
    IncrementalAlterConfigsResponse, OffsetDeleteRequest, OffsetDeleteResponse, WriteTxnMarkersRequest,
    WriteTxnMarkersResponse,
};
use serde_json::{Value, json};
use std::any::Any;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Things of one request that are named in the log.
const NAMED_MAX: usize = 20;

/// What is in the names of settings that hold secrets.
const SECRETS: [&str; 7] = ["password", "passwd", "secret", "token", "jaas", "credential", "keystore.key"];

/// A request that changes something, before it was carried out.
#[derive(Debug)]
pub(crate) struct Audit {
    client: Rc<str>,
    peer: Rc<Peer>,
    what: &'static str,
    /// What it is about, in the order of its answer.
    subjects: Vec<String>,
    /// The same as the metadata has it, where the audit log asks, with its state before; else empty.
    before: Vec<(Audited, Value)>,
}

impl Audit {
    /// None for a request that changes nothing.
    pub async fn of(asked: &RequestContext, request: &dyn Any, view: &View) -> Option<Self> {
        let (what, subjects) = subjects(request)?;
        let mut before = Vec::new();
        if audit_log::is_on() {
            let mut pace = Pace::begin();
            for one in audited::of(request, view) {
                pace.rest_if_due().await;
                let state = one.state(view);
                before.push((one, state));
            }
            assert!(
                before.is_empty() || before.len() == subjects.len(),
                "{} of {} subjects",
                before.len(),
                subjects.len()
            );
        }
        let (client, peer) = (Rc::clone(&asked.client_id), Rc::clone(&asked.peer));
        Some(Self { client, peer, what, subjects, before })
    }

    /// Tells what became of it; `view` is the metadata now.
    pub async fn tell(self, response: &dyn Any, view: &View) {
        let codes = codes(response);
        self.log(&codes);
        if !audit_log::is_on() {
            return;
        }
        let Self { client, peer, what, subjects, before } = self;
        let mut pace = Pace::begin();
        for (at, subject) in subjects.into_iter().enumerate() {
            pace.rest_if_due().await;
            let code = codes.get(at).copied().filter(|code| *code != 0);
            let (old, new) = match before.get(at) {
                Some((one, old)) => (old.clone(), one.state(view)),
                None => (removed(response, at), Value::Null),
            };
            audit_log::tell(
                "change",
                json!({
                    "change": what, "what": subject, "old": old, "new": new, "error": code,
                    "principal": peer.principal, "address": peer.address.to_string(),
                    "listener": peer.listener.name, "client": &*client,
                }),
            );
        }
    }

    fn log(&self, codes: &[i16]) {
        let Self { client, peer, what, subjects, .. } = self;
        let (principal, from) = (&peer.principal, peer.address);
        let told: Vec<String> = subjects
            .iter()
            .enumerate()
            .take(NAMED_MAX)
            .map(|(at, subject)| match codes.get(at) {
                Some(0) | None => subject.clone(),
                Some(code) => format!("{subject} (refused, error {code})"),
            })
            .collect();
        let more = subjects.len().saturating_sub(NAMED_MAX);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        tracing::info!(client = &**client, principal, %from, "{what} {}{more}", told.join(", "));
    }
}

/// What a request does, and to what; none where it does nothing.
fn subjects(request: &dyn Any) -> Option<(&'static str, Vec<String>)> {
    let found = if let Some(request) = request.downcast_ref::<CreateTopicsRequest>() {
        let topics = request.topics.iter().filter(|_| !request.validate_only);
        let named = |topic: &kafka_wire::create_topics_request::CreatableTopic| {
            let settings = topic.configs.iter().map(|one| setting(&one.name, one.value.as_deref()));
            with_settings(format!("topic {:?}", topic.name.as_str()), settings)
        };
        ("create", topics.map(named).collect())
    } else if let Some(request) = request.downcast_ref::<DeleteTopicsRequest>() {
        let by_name = request.topic_names.iter().map(|name| format!("topic {:?}", name.as_str()));
        let named = |topic: &kafka_wire::delete_topics_request::DeleteTopicState| {
            topic
                .name
                .as_ref()
                .map_or_else(|| topic_id(topic.topic_id), |name| format!("topic {:?}", name.as_str()))
        };
        ("delete", by_name.chain(request.topics.iter().map(named)).collect())
    } else if let Some(request) = request.downcast_ref::<CreatePartitionsRequest>() {
        let topics = request.topics.iter().filter(|_| !request.validate_only);
        (
            "add partitions to",
            topics.map(|topic| format!("topic {:?} (to {})", topic.name.as_str(), topic.count)).collect(),
        )
    } else if let Some(request) = request.downcast_ref::<DeleteRecordsRequest>() {
        let topics = request.topics.iter();
        let named = |topic: &kafka_wire::delete_records_request::DeleteRecordsTopic| {
            let name = topic.name.as_str().to_owned();
            let parts: Vec<_> =
                topic.partitions.iter().map(|one| (one.partition_index, one.offset)).collect();
            parts.into_iter().map(move |(number, offset)| format!("{name:?} {number} before {offset}"))
        };
        ("delete records of", topics.flat_map(named).collect())
    } else if let Some(request) = request.downcast_ref::<IncrementalAlterConfigsRequest>() {
        let resources = request.resources.iter().filter(|_| !request.validate_only);
        let named = |one: &kafka_wire::incremental_alter_configs_request::AlterConfigsResource| {
            let settings = one.configs.iter().map(|one| match one.config_operation {
                0 => setting(&one.name, one.value.as_deref()),
                1 => format!("{} to its default", one.name.escape_debug()),
                2 => changed(&one.name, "+=", one.value.as_deref()),
                _ => changed(&one.name, "-=", one.value.as_deref()),
            });
            with_settings(resource(one.resource_type, &one.resource_name), settings)
        };
        ("alter", resources.map(named).collect())
    } else if let Some(request) = request.downcast_ref::<AlterConfigsRequest>() {
        let resources = request.resources.iter().filter(|_| !request.validate_only);
        let named = |one: &kafka_wire::alter_configs_request::AlterConfigsResource| {
            let settings = one.configs.iter().map(|one| setting(&one.name, one.value.as_deref()));
            with_settings(resource(one.resource_type, &one.resource_name), settings)
        };
        ("alter all settings of", resources.map(named).collect())
    } else if let Some(request) = request.downcast_ref::<AlterClientQuotasRequest>() {
        let entries = request.entries.iter().filter(|_| !request.validate_only);
        let named = |one: &kafka_wire::alter_client_quotas_request::EntryData| {
            let part = |part: &kafka_wire::alter_client_quotas_request::EntityData| {
                let name = part.entity_name.as_deref().unwrap_or("<default>");
                format!("{} {name:?}", part.entity_type.as_str())
            };
            let ops = one.ops.iter().map(|op| {
                if op.remove {
                    format!("{} removed", op.key.as_str())
                } else {
                    format!("{}={}", op.key.as_str(), op.value)
                }
            });
            with_settings(
                format!("quota of {}", one.entity.iter().map(part).collect::<Vec<_>>().join(" ")),
                ops,
            )
        };
        ("alter", entries.map(named).collect())
    } else if let Some(request) = request.downcast_ref::<AlterUserScramCredentialsRequest>() {
        ("alter", credentials(request))
    } else if let Some(request) = request.downcast_ref::<DeleteGroupsRequest>() {
        ("delete", request.groups_names.iter().map(|name| format!("group {:?}", name.as_str())).collect())
    } else if let Some(request) = request.downcast_ref::<OffsetDeleteRequest>() {
        ("delete offsets of", vec![format!("group {:?}", request.group_id.as_str())])
    } else if let Some(request) = request.downcast_ref::<WriteTxnMarkersRequest>() {
        ("end transactions of", marked(request))
    } else {
        return subjects_of_access_and_place(request).filter(|found| !found.1.is_empty());
    };
    (!found.1.is_empty()).then_some(found)
}

/// The same of access rules, and of where partitions are.
fn subjects_of_access_and_place(request: &dyn Any) -> Option<(&'static str, Vec<String>)> {
    if let Some(request) = request.downcast_ref::<CreateAclsRequest>() {
        Some(("create", request.creations.iter().map(rule).collect()))
    } else if let Some(request) = request.downcast_ref::<DeleteAclsRequest>() {
        Some(("delete", request.filters.iter().map(rules).collect()))
    } else if let Some(request) = request.downcast_ref::<AlterPartitionReassignmentsRequest>() {
        let of_topic = |topic: &kafka_wire::alter_partition_reassignments_request::ReassignableTopic| {
            let partitions = topic.partitions.iter().map(|one| {
                let to = one.replicas.as_ref().map_or("cancelled".to_owned(), |to| format!("to {to:?}"));
                format!("partition {:?} {} ({to})", topic.name.as_str(), one.partition_index)
            });
            partitions.collect::<Vec<_>>()
        };
        Some(("move", request.topics.iter().flat_map(of_topic).collect()))
    } else if let Some(request) = request.downcast_ref::<ElectLeadersRequest>() {
        let count = |topics: &Vec<kafka_wire::elect_leaders_request::TopicPartitions>| {
            topics.iter().map(|topic| topic.partitions.len()).sum::<usize>().to_string()
        };
        let which = request.topic_partitions.as_ref().map_or("all".to_owned(), count);
        Some(("elect", vec![format!("leaders of {which} partition(s)")]))
    } else if let Some(request) = request.downcast_ref::<AddRaftVoterRequest>() {
        let at = request.listeners.first().map(|at| format!(" at {}:{}", at.host.as_str(), at.port));
        Some(("invite", vec![format!("node {}{}", request.voter_id, at.unwrap_or_default())]))
    } else {
        None
    }
}

fn rule(one: &kafka_wire::create_acls_request::AclCreation) -> String {
    match acl_fields::of_creation(one) {
        Ok(acl) => format!("access rule {:?}", audited::rule_in_words(&acl)),
        Err(failure) => format!("access rule that is none: {}", failure.message),
    }
}

fn rules(one: &kafka_wire::delete_acls_request::DeleteAclsFilter) -> String {
    let name = one.resource_name_filter.as_deref().unwrap_or("any name");
    let principal = one.principal_filter.as_deref().unwrap_or("anybody");
    let kind = u8::try_from(one.resource_type_filter).ok().and_then(ResourceType::of);
    let kind = kind.map_or("any resource".to_owned(), |kind| format!("{kind:?}"));
    format!("access rules of {principal:?} on {kind} {name:?}")
}

/// What the answer says was taken away, of what has no state by itself: a filter of access rules.
fn removed(response: &dyn Any, at: usize) -> Value {
    let Some(response) = response.downcast_ref::<DeleteAclsResponse>() else { return Value::Null };
    let Some(result) = response.filter_results.get(at) else { return Value::Null };
    let words = |one: &kafka_wire::delete_acls_response::DeleteAclsMatchingAcl| {
        let acl = acl_fields::acl(&AclFields {
            kind: one.resource_type,
            name: &one.resource_name,
            pattern: one.pattern_type,
            principal: &one.principal,
            host: &one.host,
            operation: one.operation,
            permission: one.permission_type,
        });
        acl.map_or(Value::Null, |acl| json!(audited::rule_in_words(&acl)))
    };
    result.matching_acls.iter().map(words).collect()
}

/// The error codes of an answer, in the order of what it was asked for.
fn codes(response: &dyn Any) -> Vec<i16> {
    if let Some(response) = response.downcast_ref::<CreateTopicsResponse>() {
        response.topics.iter().map(|one| one.error_code).collect()
    } else if let Some(response) = response.downcast_ref::<DeleteTopicsResponse>() {
        response.responses.iter().map(|one| one.error_code).collect()
    } else if let Some(response) = response.downcast_ref::<CreatePartitionsResponse>() {
        response.results.iter().map(|one| one.error_code).collect()
    } else if let Some(response) = response.downcast_ref::<DeleteRecordsResponse>() {
        response.topics.iter().flat_map(|topic| topic.partitions.iter().map(|one| one.error_code)).collect()
    } else if let Some(response) = response.downcast_ref::<IncrementalAlterConfigsResponse>() {
        response.responses.iter().map(|one| one.error_code).collect()
    } else if let Some(response) = response.downcast_ref::<AlterConfigsResponse>() {
        response.responses.iter().map(|one| one.error_code).collect()
    } else if let Some(response) = response.downcast_ref::<AlterClientQuotasResponse>() {
        response.entries.iter().map(|one| one.error_code).collect()
    } else if let Some(response) = response.downcast_ref::<AlterUserScramCredentialsResponse>() {
        response.results.iter().map(|one| one.error_code).collect()
    } else if let Some(response) = response.downcast_ref::<DeleteGroupsResponse>() {
        response.results.iter().map(|one| one.error_code).collect()
    } else if let Some(response) = response.downcast_ref::<OffsetDeleteResponse>() {
        vec![response.error_code]
    } else if let Some(response) = response.downcast_ref::<WriteTxnMarkersResponse>() {
        let topics = response.markers.iter().flat_map(|marker| &marker.topics);
        topics.flat_map(|topic| topic.partitions.iter().map(|one| one.error_code)).collect()
    } else if let Some(response) = response.downcast_ref::<CreateAclsResponse>() {
        response.results.iter().map(|one| one.error_code).collect()
    } else if let Some(response) = response.downcast_ref::<DeleteAclsResponse>() {
        response.filter_results.iter().map(|one| one.error_code).collect()
    } else if let Some(response) = response.downcast_ref::<AlterPartitionReassignmentsResponse>() {
        response
            .responses
            .iter()
            .flat_map(|topic| topic.partitions.iter().map(|one| one.error_code))
            .collect()
    } else if let Some(response) = response.downcast_ref::<ElectLeadersResponse>() {
        vec![response.error_code]
    } else if let Some(response) = response.downcast_ref::<AddRaftVoterResponse>() {
        vec![response.error_code]
    } else {
        Vec::new()
    }
}

/// Each user whose credentials change, in the order of the answer; nothing of the credential itself.
fn credentials(request: &AlterUserScramCredentialsRequest) -> Vec<String> {
    let deleted = request.deletions.iter().map(|one| (one.name.as_str(), "removed", one.mechanism));
    let set = request.upsertions.iter().map(|one| (one.name.as_str(), "set", one.mechanism));
    let by_user: BTreeMap<&str, (&str, i8)> =
        deleted.chain(set).map(|(user, what, number)| (user, (what, number))).collect();
    let told = |(user, (what, number)): (&str, (&str, i8))| {
        let mechanism = u8::try_from(number).ok().and_then(Mechanism::of);
        let mechanism =
            mechanism.map_or_else(|| format!("mechanism {number}"), |known| known.name().to_owned());
        format!("credential of user {user:?} ({mechanism} {what})")
    };
    by_user.into_iter().map(told).collect()
}

/// Each partition in which a producer's transaction is ended by hand.
fn marked(request: &WriteTxnMarkersRequest) -> Vec<String> {
    let mut told = Vec::new();
    for marker in &request.markers {
        let (producer, epoch) = (marker.producer_id, marker.producer_epoch);
        for topic in &marker.topics {
            let name = topic.name.as_str();
            let numbers = topic.partition_indexes.iter();
            told.extend(
                numbers.map(|number| format!("producer {producer} epoch {epoch} in {name:?} {number}")),
            );
        }
    }
    told
}

fn setting(name: &str, value: Option<&str>) -> String {
    changed(name, "=", value)
}

/// Neither a name nor a value ends a line of the log, and what may be a secret is not told: a client may well send one
/// that is no setting here, `ssl.key.password` or `sasl.jaas.config`.
fn changed(name: &str, how: &str, value: Option<&str>) -> String {
    let is_secret = SECRETS.iter().any(|part| name.to_ascii_lowercase().contains(part));
    let value = if is_secret { "(not told)" } else { value.unwrap_or("null") };
    format!("{}{how}{}", name.escape_debug(), value.escape_debug())
}

fn with_settings(subject: String, settings: impl Iterator<Item = String>) -> String {
    let settings: Vec<String> = settings.collect();
    if settings.is_empty() { subject } else { format!("{subject} ({})", settings.join(", ")) }
}

/// By Kafka's numbers of kinds of resource.
fn resource(kind: i8, name: &str) -> String {
    match (kind, name) {
        (2, name) => format!("topic {name:?}"),
        (4, "") => "all brokers".to_owned(),
        (4, name) => format!("broker {name:?}"),
        (_, name) => format!("{name:?}"),
    }
}

fn topic_id(id: Uuid) -> String {
    let bytes: String = id.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("topic of id {bytes}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use kafka_wire::MetadataRequest;
    use kafka_wire::create_topics_request::CreatableTopic;
    use kafka_wire::delete_topics_request::DeleteTopicState;

    #[test]
    fn requests_that_change_something_name_what_and_others_are_none() {
        let mut topic = CreatableTopic::default();
        topic.name = "orders".into();
        let mut create = CreateTopicsRequest::default();
        create.topics.push(topic);
        assert_eq!(subjects(&create), Some(("create", vec!["topic \"orders\"".to_owned()])));
        create.validate_only = true;
        assert_eq!(subjects(&create), None);
        let mut gone = DeleteTopicState::default();
        gone.name = Some("a\nb".into());
        let mut delete = DeleteTopicsRequest::default();
        delete.topics.push(gone);
        // A name cannot end a line of the log.
        assert_eq!(subjects(&delete), Some(("delete", vec!["topic \"a\\nb\"".to_owned()])));
        assert_eq!(subjects(&MetadataRequest::default()), None);
    }

    #[test]
    fn a_setting_that_may_hold_a_secret_is_told_without_it_and_none_ends_a_line() {
        let mut broker = kafka_wire::incremental_alter_configs_request::AlterConfigsResource::default();
        (broker.resource_type, broker.resource_name) = (4, "".into());
        for (name, value) in [
            ("listener.name.sasl_ssl.plain.sasl.jaas.config", "required password=\"pencil\";"),
            ("SSL.Key.Password", "pencil"),
            ("ssl.keystore.key", "pencil"),
            ("log.retention.ms", "1\nforged"),
        ] {
            let mut one = kafka_wire::incremental_alter_configs_request::AlterableConfig::default();
            (one.name, one.value) = (name.into(), Some(value.into()));
            broker.configs.push(one);
        }
        let mut request = IncrementalAlterConfigsRequest::default();
        request.resources.push(broker);
        let (_, told) = subjects(&request).expect("it changes something");
        assert!(!told[0].contains("pencil") && !told[0].contains('\n'), "{told:?}");
        assert!(told[0].contains("SSL.Key.Password=(not told)"), "{told:?}");
        assert!(told[0].contains("log.retention.ms=1\\nforged"), "{told:?}");
    }

    #[test]
    fn a_credential_is_named_and_nothing_of_it_is_shown() {
        let mut one = kafka_wire::alter_user_scram_credentials_request::ScramCredentialUpsertion::default();
        (one.name, one.mechanism, one.salted_password) = ("bob".into(), 2, b"secret".as_slice().into());
        let mut gone = kafka_wire::alter_user_scram_credentials_request::ScramCredentialDeletion::default();
        (gone.name, gone.mechanism) = ("alice".into(), 1);
        let mut request = AlterUserScramCredentialsRequest::default();
        (request.deletions, request.upsertions) = (vec![gone], vec![one]);
        let told = [
            "credential of user \"alice\" (SCRAM-SHA-256 removed)",
            "credential of user \"bob\" (SCRAM-SHA-512 set)",
        ];
        assert_eq!(subjects(&request), Some(("alter", told.map(str::to_owned).to_vec())));
    }

    #[test]
    fn codes_are_in_the_order_of_the_answer() {
        let mut response = DeleteGroupsResponse::default();
        for code in [0, 68] {
            let mut result = kafka_wire::delete_groups_response::DeletableGroupResult::default();
            result.error_code = code;
            response.results.push(result);
        }
        assert_eq!(codes(&response), [0, 68]);
    }
}
