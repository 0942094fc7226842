//! Kafka's error codes as a person reads them: the name, and what can be done.

use crate::kafka::errors::code;
use crate::process::refusal::Refusal;

/// What the broker said of one thing that was asked for: its code, and its text if it gave one.
pub fn check(subject: &str, code: i16, message: Option<&str>) -> Result<(), Refusal> {
    if code == code::NONE {
        return Ok(());
    }
    let (name, remedy) = explain(code);
    let what = match message {
        Some(text) if !text.is_empty() => format!("{subject}: {text} ({name})"),
        _ => format!("{subject}: {name}"),
    };
    Err(Refusal::refused(what, remedy))
}

/// The broker's refusal is one that passes by itself.
pub fn is_passing(refusal: &Refusal) -> bool {
    refusal.remedy == RETRY
}

const RETRY: &str = "try again in a moment";
const SAID: &str = "change what the message names and try again";

/// Kafka's name of a code, and the remedy.
fn explain(code: i16) -> (String, &'static str) {
    let (name, remedy) = match code {
        code::UNKNOWN_TOPIC_OR_PARTITION => {
            ("UNKNOWN_TOPIC_OR_PARTITION", "`duramen topic list` shows the topics that there are")
        }
        code::TOPIC_ALREADY_EXISTS => {
            ("TOPIC_ALREADY_EXISTS", "choose another name, or change the topic with `duramen topic alter`")
        }
        code::INVALID_TOPIC_EXCEPTION => {
            ("INVALID_TOPIC_EXCEPTION", "use letters, digits, '.', '_' and '-', at most 249 of them")
        }
        code::INVALID_REPLICATION_FACTOR => {
            ("INVALID_REPLICATION_FACTOR", "`duramen cluster status` shows the nodes that there are")
        }
        code::INVALID_PARTITIONS => {
            ("INVALID_PARTITIONS", "a topic has at least one; of one that is there the number only rises")
        }
        code::GROUP_ID_NOT_FOUND => {
            ("GROUP_ID_NOT_FOUND", "`duramen group list` shows the groups that there are")
        }
        code::NON_EMPTY_GROUP => ("NON_EMPTY_GROUP", "stop its members first"),
        code::UNKNOWN_MEMBER_ID => ("UNKNOWN_MEMBER_ID", "the group has members: stop them first"),
        code::COORDINATOR_NOT_AVAILABLE => ("COORDINATOR_NOT_AVAILABLE", RETRY),
        code::COORDINATOR_LOAD_IN_PROGRESS => ("COORDINATOR_LOAD_IN_PROGRESS", RETRY),
        code::NOT_COORDINATOR => ("NOT_COORDINATOR", RETRY),
        code::INVALID_CONFIG => ("INVALID_CONFIG", SAID),
        code::INVALID_REQUEST => ("INVALID_REQUEST", SAID),
        code::UNACCEPTABLE_CREDENTIAL => ("UNACCEPTABLE_CREDENTIAL", SAID),
        code::SECURITY_DISABLED => (
            "SECURITY_DISABLED",
            "start the brokers with --super-user User:NAME, which turns access rules on",
        ),
        code::CLUSTER_AUTHORIZATION_FAILED => (
            "CLUSTER_AUTHORIZATION_FAILED",
            "ask as a super user, or have a right to the cluster given by one",
        ),
        code::RESOURCE_NOT_FOUND => {
            ("RESOURCE_NOT_FOUND", "`duramen user list` shows the users that there are")
        }
        code::CONCURRENT_TRANSACTIONS => ("CONCURRENT_TRANSACTIONS", RETRY),
        code::TRANSACTIONAL_ID_NOT_FOUND => {
            ("TRANSACTIONAL_ID_NOT_FOUND", "`duramen txn list` shows the transactional ids that there are")
        }
        code::INVALID_PRODUCER_EPOCH => (
            "INVALID_PRODUCER_EPOCH",
            "the producer went on meanwhile: look with `duramen txn find-hanging` again",
        ),
        code::TRANSACTION_COORDINATOR_FENCED => (
            "TRANSACTION_COORDINATOR_FENCED",
            "a coordinator ended it meanwhile: look with `duramen txn find-hanging` again",
        ),
        code::POLICY_VIOLATION => ("POLICY_VIOLATION", SAID),
        code::DUPLICATE_VOTER => ("DUPLICATE_VOTER", "`duramen node list` shows the nodes that there are"),
        code::INCONSISTENT_CLUSTER_ID => {
            ("INCONSISTENT_CLUSTER_ID", "ask a broker of the cluster that you mean")
        }
        code::TOPIC_DELETION_DISABLED => {
            ("TOPIC_DELETION_DISABLED", "start the brokers with --set delete.topic.enable=true")
        }
        code::REQUEST_TIMED_OUT => ("REQUEST_TIMED_OUT", "try again, with a longer --timeout"),
        code::NOT_CONTROLLER => ("NOT_CONTROLLER", RETRY),
        code::LEADER_NOT_AVAILABLE => ("LEADER_NOT_AVAILABLE", RETRY),
        code::NOT_LEADER_OR_FOLLOWER => ("NOT_LEADER_OR_FOLLOWER", RETRY),
        code::OFFSET_NOT_AVAILABLE => ("OFFSET_NOT_AVAILABLE", RETRY),
        code::KAFKA_STORAGE_ERROR => {
            ("KAFKA_STORAGE_ERROR", "see the broker's log, and free space where its data is")
        }
        other => return (format!("Kafka's error {other}"), "see the broker's log"),
    };
    (name.to_owned(), remedy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::refusal::EXIT_REFUSED;

    #[test]
    fn a_refusal_has_the_brokers_words_kafkas_name_and_a_remedy() {
        assert_eq!(check("topic 'a'", 0, Some("unused")), Ok(()));
        let refused = check("topic 'a'", code::INVALID_CONFIG, Some("no.such is unknown")).unwrap_err();
        assert_eq!(refused.exit_code, EXIT_REFUSED);
        assert_eq!(refused.what, "topic 'a': no.such is unknown (INVALID_CONFIG)");
        let silent = check("topic 'a'", 9999, None).unwrap_err();
        assert!(silent.what.contains("9999") && !silent.remedy.is_empty());
    }
}
