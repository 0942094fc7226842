//! The native commands against a broker of two shards: what they say, as table and as JSON, and
//! how they exit.

use serde_json::Value;
use tests::process::command_line::{command, done, json, refused};
use tests::process::{Broker, BrokerOptions};

#[test]
fn topics_are_created_listed_described_altered_and_deleted() {
    let broker = Broker::start(BrokerOptions::default());
    assert!(done(&broker, &["topic", "list"]).contains("no topics"));
    let created = ["topic", "create", "a", "--partitions", "3", "--config", "retention.ms=60000"];
    assert!(done(&broker, &created).contains("created a: 3 partition(s)"));
    refused(&broker, &created, 5, "TOPIC_ALREADY_EXISTS");
    refused(&broker, &["topic", "create", "a b"], 5, "INVALID_TOPIC_EXCEPTION");
    refused(&broker, &["topic", "create", "b", "--config", "no.such=1"], 5, "INVALID_CONFIG");
    refused(&broker, &["topic", "create", "b", "--replication-factor", "3"], 5, "INVALID_REPLICATION_FACTOR");
    assert_eq!(json(&broker, &["topic", "create", "b"])["partitions"], 1);

    let listed = json(&broker, &["topic", "list"]);
    let names: Vec<&str> =
        listed.as_array().expect("a list").iter().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(names, ["a", "b"]);

    let grown = ["topic", "alter", "a", "--partitions", "5", "--config", "max.message.bytes=5000"];
    done(&broker, &[&grown[..], &["--delete-config", "retention.ms"]].concat());
    refused(&broker, &grown[..5], 5, "INVALID_PARTITIONS");
    refused(&broker, &["topic", "alter", "a"], 1, "nothing to alter");
    let described = done(&broker, &["topic", "describe", "a"]);
    assert!(
        described.contains("max.message.bytes=5000") && !described.contains("retention.ms"),
        "{described}"
    );
    let described = json(&broker, &["topic", "describe", "a"]);
    let partitions = described["partitions"].as_array().expect("partitions");
    assert_eq!(partitions.len(), 5);
    for partition in partitions {
        assert!(partition["leader"].is_number() && partition["next_offset"] == 0, "{partition}");
    }

    assert!(done(&broker, &["topic", "delete", "a"]).contains("deleted a"));
    for gone in [["topic", "delete", "a"], ["topic", "describe", "a"]] {
        refused(&broker, &gone, 5, "UNKNOWN_TOPIC_OR_PARTITION");
    }
}

#[test]
fn the_cluster_is_shown_with_its_shards_and_journals() {
    let broker = Broker::start(BrokerOptions::default());
    done(&broker, &["topic", "create", "a", "--partitions", "4"]);
    let metrics = format!("127.0.0.1:{}", broker.ports.http());
    let said = done(&broker, &["cluster", "status", "--metrics", &metrics]);
    assert!(said.contains("all is well"), "{said}");
    let status = json(&broker, &["cluster", "status"]);
    assert_eq!((&status["topics"], &status["partitions"]), (&Value::from(1), &Value::from(4)));
    let brokers = status["brokers"].as_array().expect("brokers");
    assert_eq!(brokers.len(), 2);
    let led: u64 = brokers.iter().filter_map(|one| one["leads"].as_u64()).sum();
    assert_eq!(led, 4);
    assert!(brokers.iter().all(|one| one["space"]["free_bytes"].as_u64() > Some(0)), "{status}");
    // The journals' figures are published about every second.
    let deadline = tests::process::Deadline::seconds(30);
    deadline.wait_for("every journal's leader is shown", || {
        let status = json(&broker, &["cluster", "status", "--metrics", &metrics]);
        let journals = status["journals"].as_array().expect("journals").clone();
        let led = |journal: &Value| journal["leads"] == true && journal["lag_entries"] == 0;
        (journals.len() > 1 && journals.iter().all(led)).then_some(())
    });
    // A node whose page is silent is what is wrong; all else is shown.
    let (code, said, error) = command(&broker, &["cluster", "status", "--metrics", "127.0.0.1:1"]);
    assert_eq!(code, 3, "{said}{error}");
    assert!(said.contains("what is wrong:\n\n127.0.0.1:1: /metrics"), "{said}");
}

#[test]
fn a_cluster_that_is_not_there_is_said_so_with_2_and_usage_with_1() {
    let broker = Broker::prepare(BrokerOptions::default());
    refused(&broker, &["topic", "list"], 2, &broker.ports.kafka().to_string());
    for wrong in
        [&["topic"][..], &["topic", "make", "a"], &["topic", "create"], &["cluster", "status", "--jsn"]]
    {
        assert_eq!(command(&broker, wrong).0, 1, "{wrong:?}");
    }
    let help = done(&broker, &["topic", "create", "--help"]);
    for text in ["--brokers", "--replication-factor", "--config", "--json", "--timeout"] {
        assert!(help.contains(text), "{text}: {help}");
    }
    assert!(done(&broker, &["topic", "--help"]).contains("Exit codes"));
}

/// Commits these offsets as a client that is no member of the group.
fn commit(broker: &Broker, group: &str, offsets: &[(i32, i64)]) {
    use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
    use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
    let consumer: BaseConsumer = tests::process::records::client(&broker.bootstrap(), &[("group.id", group)])
        .create()
        .expect("a consumer");
    let mut list = TopicPartitionList::new();
    for (partition, offset) in offsets {
        list.add_partition_offset("a", *partition, Offset::Offset(*offset)).expect("a list");
    }
    consumer.commit(&list, CommitMode::Sync).expect("committed");
}

#[test]
fn groups_are_listed_described_reset_and_deleted() {
    let broker = Broker::start(BrokerOptions::default());
    done(&broker, &["topic", "create", "a", "--partitions", "2"]);
    let load = tests::process::records::Load::new(&broker.bootstrap(), &[("acks", "all")]);
    for number in 0..20 {
        assert!(load.send("a", (number % 2) as i32, number, 100));
    }
    load.flush(60);
    assert!(done(&broker, &["group", "list"]).contains("no groups"));
    refused(&broker, &["group", "describe", "g"], 5, "GROUP_ID_NOT_FOUND");
    commit(&broker, "g", &[(0, 4), (1, 10)]);
    let listed = json(&broker, &["group", "list"]);
    assert_eq!((&listed[0]["group"], &listed[0]["state"]), (&Value::from("g"), &Value::from("Empty")));
    let lags = || {
        let described = json(&broker, &["group", "describe", "g"]);
        let rows = described["partitions"].as_array().expect("partitions").clone();
        rows.iter().map(|row| row["lag"].as_i64().expect("a lag")).collect::<Vec<_>>()
    };
    assert_eq!(lags(), [6, 0]);
    assert!(done(&broker, &["group", "describe", "g"]).contains("g: Empty, 0 member(s)"));
    let reset = ["group", "reset", "g", "--topic", "a"];
    done(&broker, &[&reset[..], &["--to-earliest", "--dry-run"]].concat());
    assert_eq!(lags(), [6, 0], "a dry run sets nothing");
    done(&broker, &[&reset[..], &["--shift-by", "-3", "--partition", "1"]].concat());
    assert_eq!(lags(), [6, 3]);
    done(&broker, &[&reset[..], &["--to-offset", "99"]].concat());
    assert_eq!(lags(), [0, 0]);
    done(&broker, &[&reset[..], &["--to-time", "0"]].concat());
    assert_eq!(lags(), [10, 10]);
    refused(&broker, &[&reset[..], &["--to-latest", "--partition", "7"]].concat(), 5, "a-7");
    assert_eq!(command(&broker, &[&reset[..], &["--to-latest", "--to-earliest"]].concat()).0, 1);
    assert_eq!(command(&broker, &reset).0, 1);
    assert!(done(&broker, &["group", "delete", "g"]).contains("deleted g"));
    refused(&broker, &["group", "delete", "g"], 5, "GROUP_ID_NOT_FOUND");
}
