//! Three nodes whose brokers are numbered 1, 2 and 3, and topics that a client placed by hand.

use futures_lite::future::block_on;
use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::error::RDKafkaErrorCode;
use serde_json::Value;
use tests::process::cluster::{Cluster, PATIENT};
use tests::process::records::{Load, client, read_all};
use tests::process::{Broker, Deadline};

type Admin = AdminClient<DefaultClientContext>;

fn create(admin: &Admin, name: &str, places: &[&[i32]]) -> Result<(), RDKafkaErrorCode> {
    let new = NewTopic::new(name, places.len() as i32, TopicReplication::Variable(places));
    let mut created = block_on(admin.create_topics([&new], &AdminOptions::new())).expect("answered");
    created.pop().expect("one").map(|_| ()).map_err(|(_, code)| code)
}

/// By partition: the preferred leader, and all replicas in order.
fn placed(topic: &Value) -> Vec<(i64, Vec<i64>)> {
    let partition = |partition: &Value| {
        let replicas = partition["replicas"].as_array().expect("a list").iter();
        let mut replicas: Vec<i64> = replicas.map(|broker| broker.as_i64().expect("an id")).collect();
        let preferred = replicas[0];
        replicas.sort_unstable();
        (preferred, replicas)
    };
    topic["partitions"].as_array().expect("a list").iter().map(partition).collect()
}

#[test]
fn partitions_are_where_a_client_put_them_on_brokers_1_2_and_3() {
    let mut cluster = Cluster::prepare(&[1, 1, 1]);
    let stride = ["--broker-id-stride".to_owned(), "1".to_owned()];
    cluster.nodes.iter_mut().for_each(|node| node.options.arguments.extend(stride.clone()));
    cluster.run();
    let admin: Admin = client(&cluster.bootstrap(), &[]).create().expect("an admin client");
    assert_eq!(create(&admin, "hand", &[&[2, 1, 3], &[3, 2, 1], &[1, 2, 3], &[2, 3, 1]]), Ok(()));
    let more: [&[i32]; 1] = [&[3, 1, 2]];
    let grown = NewPartitions::new("hand", 5).assign(&more);
    let grown = block_on(admin.create_partitions(&[grown], &AdminOptions::new())).expect("answered");
    assert_eq!(grown, [Ok("hand".to_owned())]);
    let expected: Vec<(i64, Vec<i64>)> = [2, 3, 1, 2, 3].map(|leader| (leader, vec![1, 2, 3])).to_vec();
    assert_eq!(placed(&cluster.described(1, "hand").expect("described")), expected);
    let refused = Err(RDKafkaErrorCode::InvalidReplicaAssignment);
    let wrong: [&[&[i32]]; 3] = [&[&[2, 1, 7]], &[&[2, 1, 1]], &[&[1000]]];
    for places in wrong {
        assert_eq!(create(&admin, "wrong", places), refused, "{places:?}");
    }
    assert_eq!(create(&admin, "single", &[&[3], &[3], &[1]]), Ok(()));
    Deadline::seconds(30).wait_for("each is led by the only broker that has it", || {
        let described = cluster.described(0, "single")?;
        let leaders =
            described["partitions"].as_array()?.iter().map(|partition| partition["leader"].as_i64());
        (leaders.collect::<Option<Vec<_>>>()? == [3, 3, 1]).then_some(())
    });
    let load = Load::new(&cluster.bootstrap(), &PATIENT);
    for topic in ["hand", "single"] {
        assert!((0..10).all(|number| load.send(topic, 1, number, 100)));
    }
    load.flush(60);
    cluster.stop();
    // What was chosen stays, whatever is said later.
    cluster.nodes.iter_mut().for_each(|node| node.options.arguments.truncate(4));
    cluster.nodes.iter_mut().for_each(Broker::spawn);
    cluster.nodes.iter_mut().for_each(Broker::wait_ready);
    assert_eq!(placed(&cluster.described(2, "hand").expect("described")), expected);
    for topic in ["hand", "single"] {
        assert_eq!(read_all(&cluster.bootstrap(), topic, 1, 30).len(), 10, "{topic}");
    }
    cluster.stop();
}
