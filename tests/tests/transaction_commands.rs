//! `duramen txn`: what is open is listed and described; an operator aborts it, by its id or where it hangs; a client's
//! crafted marker changes nothing.

use kafka_wire::WriteTxnMarkersRequest;
use kafka_wire::write_txn_markers_request::{WritableTxnMarker, WritableTxnMarkerTopic};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::Value;
use std::time::Duration;
use tests::process::command_line::{done, json, refused};
use tests::process::records::client;
use tests::process::wire::Wire;
use tests::process::{Broker, BrokerOptions, Deadline};

const WAIT: Duration = Duration::from_secs(30);

fn producer(broker: &Broker, id: &str) -> BaseProducer {
    let producer: BaseProducer =
        client(&broker.bootstrap(), &[("transactional.id", id)]).create().expect("a producer");
    producer.init_transactions(WAIT).expect("initialised");
    producer
}

/// A record in both partitions, in a transaction that stays open.
fn open(producer: &BaseProducer, text: &str) {
    producer.begin_transaction().expect("begun");
    for partition in 0..2 {
        let record = BaseRecord::<str, str>::to("t").partition(partition).payload(text).key("");
        producer.send(record).map_err(|(error, _)| error).expect("queued");
    }
    producer.flush(WAIT).expect("sent");
}

fn rows(found: &Value) -> &Vec<Value> {
    found.as_array().expect("a list")
}

fn marker(producer: i64, epoch: i16, coordinator_epoch: i32, commits: bool) -> WriteTxnMarkersRequest {
    let mut topic = WritableTxnMarkerTopic::default();
    (topic.name, topic.partition_indexes) = ("t".into(), vec![0]);
    let mut marker = WritableTxnMarker::default();
    (marker.producer_id, marker.producer_epoch) = (producer, epoch);
    (marker.coordinator_epoch, marker.transaction_result) = (coordinator_epoch, commits);
    marker.topics.push(topic);
    let mut request = WriteTxnMarkersRequest::default();
    request.markers.push(marker);
    request
}

#[test]
fn what_is_open_is_shown_and_aborted_by_its_id() {
    let broker = Broker::start(BrokerOptions::default());
    done(&broker, &["topic", "create", "t", "--partitions", "2"]);
    assert!(done(&broker, &["txn", "list"]).contains("no transactional ids"));
    let zombie = producer(&broker, "orders");
    open(&zombie, "never");
    let listed = json(&broker, &["txn", "list", "--state", "Ongoing"]);
    assert_eq!(listed[0]["transactional_id"], "orders", "{listed}");
    assert!(rows(&json(&broker, &["txn", "list", "--open-longer-than", "3600"])).is_empty());
    refused(&broker, &["txn", "list", "--state", "Ended"], 1, "'Ended'");
    let described = json(&broker, &["txn", "describe", "orders"]);
    assert_eq!((&described["state"], rows(&described["partitions"]).len()), (&Value::from("Ongoing"), 2));
    assert!(done(&broker, &["txn", "describe", "orders"]).contains("orders: Ongoing, producer"));
    refused(&broker, &["txn", "describe", "nobody"], 5, "TRANSACTIONAL_ID_NOT_FOUND");
    refused(&broker, &["txn", "abort", "nobody"], 5, "TRANSACTIONAL_ID_NOT_FOUND");
    // Its coordinator knows it: it does not hang.
    let hanging = ["txn", "find-hanging", "--older-than", "0"];
    assert!(done(&broker, &hanging).contains("no transaction hangs"));

    done(&broker, &["txn", "abort", "orders"]);
    let ended = json(&broker, &["txn", "describe", "orders"]);
    assert!(rows(&ended["partitions"]).is_empty() && ended["state"] != "Ongoing", "{ended}");
    zombie.commit_transaction(WAIT).expect_err("it was fenced");
    refused(&broker, &["txn", "describe", "nobody"], 5, "TRANSACTIONAL_ID_NOT_FOUND");
}

#[test]
fn what_no_coordinator_knows_hangs_is_found_and_is_ended_by_hand() {
    let broker = Broker::start(BrokerOptions::default());
    done(&broker, &["topic", "create", "t", "--partitions", "2"]);
    let lost = producer(&broker, "lost");
    open(&lost, "lost");
    // All that coordinators know goes.
    done(&broker, &["topic", "delete", "__transaction_state", "--force"]);
    let hanging = ["txn", "find-hanging", "--older-than", "0"];
    let deadline = Deadline::seconds(30);
    let found = deadline.wait_for("both partitions", || {
        let found = json(&broker, &hanging);
        (rows(&found).len() == 2).then_some(found)
    });
    assert!(rows(&json(&broker, &["txn", "find-hanging"])).is_empty(), "not for 15 minutes yet");
    assert!(rows(&json(&broker, &[&hanging[..], &["--topic", "t"]].concat())).len() == 2);
    let (id, epoch) = (&found[0]["producer_id"], &found[0]["producer_epoch"]);
    let (id, epoch) = (id.as_i64().expect("an id"), epoch.as_i64().expect("an epoch") as i16);
    assert_eq!((&found[0]["transactional_id"], &found[0]["start_offset"]), (&Value::Null, &Value::from(0)));

    // Nobody commits it, and nobody fences the coordinators that come.
    let mut wire = Wire::connect(broker.ports.kafka()).expect("connected");
    for (coordinator_epoch, commits) in [(i32::MAX, false), (-1, false), (0, true)] {
        let request = marker(id, epoch, coordinator_epoch, commits);
        let answer = wire.ask("crafted", 1, &request);
        assert_eq!(answer.markers[0].topics[0].partitions[0].error_code, 42, "{request:?}");
    }
    let old = wire.ask("crafted", 1, &marker(id, epoch - 1, 0, false));
    assert!([42, 47].contains(&old.markers[0].topics[0].partitions[0].error_code), "{old:?}");

    let place = |partition: &'static str, start: &'static str| {
        ["txn", "abort", "--topic", "t", "--partition", partition, "--start-offset", start]
    };
    refused(&broker, &place("0", "7"), 5, "begins at 7");
    assert!(done(&broker, &place("0", "0")).contains("aborted what producer"));
    refused(&broker, &place("0", "0"), 5, "begins at 0");
    assert_eq!(rows(&json(&broker, &hanging)).len(), 1);
    done(&broker, &place("1", "0"));
    assert!(done(&broker, &hanging).contains("no transaction hangs"));
    // Readers get past it, and the id begins anew.
    let next = producer(&broker, "lost");
    open(&next, "next");
    next.commit_transaction(WAIT).expect("committed");
    assert_eq!(read_committed(&broker), ["next"]);
}

/// What partition 0 has for readers of what is committed, up to the first record.
fn read_committed(broker: &Broker) -> Vec<String> {
    let settings = [("isolation.level", "read_committed"), ("group.id", "reader")];
    let consumer: BaseConsumer = client(&broker.bootstrap(), &settings).create().expect("a consumer");
    let mut from = TopicPartitionList::new();
    from.add_partition_offset("t", 0, Offset::Beginning).expect("assignable");
    consumer.assign(&from).expect("assigned");
    Deadline::seconds(60).wait_for("a record", || {
        let message = consumer.poll(Duration::from_millis(100))?.ok()?;
        let text = rdkafka::Message::payload(&message).unwrap_or_default();
        Some(vec![String::from_utf8_lossy(text).into_owned()])
    })
}
