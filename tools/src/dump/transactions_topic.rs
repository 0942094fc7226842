//! What the records of `__transaction_state` say: how far the transaction of which transactional id is.

use engine::transactions::metadata::TransactionMetadata;
use engine::transactions::{TRANSACTIONS_TOPIC, record};
use serde_json::{Map, Value, json};

/// As topics' partitions are named in rows: `topic-number`.
pub fn is_of(partition: Option<&str>) -> bool {
    partition.and_then(|name| name.rsplit_once('-')).is_some_and(|(topic, _)| topic == TRANSACTIONS_TOPIC)
}

/// Key and value in fields; `None` where they are none of these.
pub fn decode(key: &[u8], value: Option<&[u8]>) -> Option<(Value, Value)> {
    let id = record::decode_key(key).ok()?;
    let value = match value {
        None => Value::Null,
        Some(bytes) => transaction(&record::decode_value(bytes).ok()?),
    };
    Some((json!({ "transactional_id": id }), value))
}

fn transaction(known: &TransactionMetadata) -> Value {
    let mut fields = Map::new();
    let mut tell = |name: &str, value: Value| drop(fields.insert(name.to_owned(), value));
    tell("state", json!(known.state.name()));
    tell("producer_id", json!(known.producer));
    tell("producer_epoch", json!(known.epoch));
    tell("timeout_ms", json!(known.timeout_ms));
    tell("client_version", json!(known.client_version));
    tell("update_time", json!(known.updated_ms));
    for (name, number) in [
        ("start_time", known.started_ms),
        ("previous_producer_id", known.previous_producer),
        ("next_producer_id", known.next_producer),
    ] {
        // −1: there is none.
        if number >= 0 {
            tell(name, json!(number));
        }
    }
    let partitions: Vec<String> =
        known.partitions.iter().map(|(topic, number)| format!("{topic}-{number}")).collect();
    tell("partitions", json!(partitions));
    Value::Object(fields)
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::port::TransactionVersion;

    #[test]
    fn an_open_transaction_is_shown_with_its_partitions_and_a_forgotten_id_with_nothing() {
        let known = TransactionMetadata::new(7, 60_000, 1_000).with_partitions(
            [("rings".into(), 4), ("rings".into(), 1)],
            TransactionVersion::Two,
            2_000,
        );
        let (key, value) =
            decode(&record::key("orders"), Some(&record::value(&known))).expect("a record of ours");
        assert_eq!(key, json!({ "transactional_id": "orders" }));
        assert_eq!((&value["state"], &value["producer_id"]), (&json!("Ongoing"), &json!(7)));
        assert_eq!(
            (&value["partitions"], &value["start_time"]),
            (&json!(["rings-1", "rings-4"]), &json!(2_000))
        );
        assert_eq!((&value["client_version"], value.get("next_producer_id")), (&json!(2), None));
        assert_eq!(decode(&record::key("gone"), None).expect("a tombstone").1, Value::Null);
        assert_eq!(decode(b"other", Some(b"plain")), None);
        assert_eq!(decode(&record::key("orders"), Some(b"plain")), None);
        assert!(
            is_of(Some("__transaction_state-49")) && !is_of(Some("__consumer_offsets-1")) && !is_of(None)
        );
    }
}
