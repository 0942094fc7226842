//! A topic gets more copies while clients run: `duramen topic alter --replication-factor`.

use serde_json::Value;
use tests::process::cluster::{Cluster, PATIENT};
use tests::process::records::Load;
use tests::process::{Deadline, http};

const TOPIC: &str = "t";
const PATIENCE_SECONDS: u64 = 120;

fn create_single(cluster: &Cluster) {
    let made = cluster.topic(0, &["create", TOPIC, "--partitions", "3", "--replication-factor", "1"]);
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

#[test]
fn one_copy_becomes_three_under_load_and_outlives_its_first_node() {
    let mut cluster = Cluster::start(&[1, 1, 1]);
    create_single(&cluster);
    let load = Load::new(&cluster.bootstrap(), &PATIENT);
    let send = |numbers: std::ops::Range<u64>| {
        for number in numbers {
            (0..3).for_each(|partition| assert!(load.send(TOPIC, partition, number, 1000)));
        }
    };
    send(0..500);
    let altered = cluster.topic(0, &["alter", TOPIC, "--replication-factor", "3"]);
    assert!(altered.status.success(), "{}", String::from_utf8_lossy(&altered.stderr));
    send(500..1000);
    cluster.wait_in_sync(TOPIC, PATIENCE_SECONDS);
    load.flush(PATIENCE_SECONDS);

    let refused = |factor: &str| cluster.topic(1, &["alter", TOPIC, "--replication-factor", factor]);
    for (factor, why) in
        [("2", "Replication factor 2 is refused"), ("1", "not supported yet"), ("5", "only 3 node(s)")]
    {
        let refused = refused(factor);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(refused.status.code() == Some(5) && said.contains(why), "{factor}: {said}");
    }
    let first = cluster.leader(0, TOPIC, 0).expect("a leader");
    cluster.nodes[first].kill();
    let asked = (first + 1) % 3;
    Deadline::seconds(PATIENCE_SECONDS).wait_for("the others lead all partitions", || {
        let described: Value = cluster.described(asked, TOPIC)?;
        let leads =
            |one: &Value| one["leader"].as_i64().is_some_and(|id| id >= 0 && id / 1000 != first as i64 + 1);
        described["partitions"].as_array()?.iter().all(leads).then_some(())
    });
    send(1000..1100);
    load.flush(PATIENCE_SECONDS);
    cluster.nodes[first].run();
    cluster.wait_in_sync(TOPIC, PATIENCE_SECONDS);
    Deadline::seconds(PATIENCE_SECONDS).wait_for("all is well", || {
        let well =
            |at: usize| http::get(cluster.nodes[at].ports.http(), "/maystop").is_ok_and(|page| page.0 == 200);
        (0..3).all(well).then_some(())
    });
    cluster.stop();
    cluster.assert_identical();
}
