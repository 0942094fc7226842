//! A node that is a cluster of its own becomes three while clients run: `--peer-listen`, `--join`, `duramen node add`.

use serde_json::Value;
use std::process::{Command, Output};
use tests::process::cluster::Cluster;
use tests::process::tls::Certificates;
use tests::process::verify::Verify;
use tests::process::{Broker, BrokerOptions, Deadline, binary, http};

const TOPIC: &str = "t";
const PATIENCE_SECONDS: u64 = 120;

/// Node `id`, which listens for others, and joins the cluster of one of them; it does not run yet.
fn node(id: u32, joins: Option<&Broker>) -> Broker {
    let mut node = Broker::prepare(BrokerOptions { shards: 1, ..BrokerOptions::default() });
    let listens = format!("127.0.0.1:{}", node.ports.peer());
    let mut arguments = vec!["--node-id".to_owned(), id.to_string(), "--peer-listen".to_owned(), listens];
    if let Some(member) = joins {
        arguments.extend(["--join".to_owned(), format!("127.0.0.1:{}", member.ports.peer())]);
    }
    node.options.arguments = arguments;
    node
}

/// `duramen node …`, asked of one node.
fn ask(asked: &Broker, arguments: &[&str]) -> Output {
    let mut command = Command::new(binary::duramen());
    command.arg("node").args(arguments).args(["--brokers", &asked.bootstrap()]);
    command.output().expect("it runs")
}

/// Node `id` comes to the cluster, invited in the life that it shows.
fn come(cluster: &mut Cluster, id: u32, mut new: Broker) {
    new.spawn();
    let life = Deadline::seconds(PATIENCE_SECONDS).wait_for("it says who it is", || {
        let log = new.log();
        let (_, said) = log.split_once("--incarnation ")?;
        said.get(..32).map(str::to_owned)
    });
    let (id, at) = (id.to_string(), format!("127.0.0.1:{}", new.ports.peer()));
    let unproven = ask(&cluster.nodes[0], &["add", &id, &at]);
    let said = String::from_utf8_lossy(&unproven.stderr).into_owned();
    assert!(unproven.status.code() == Some(5) && said.contains("--incarnation HEX"), "{said}");
    let invited = ask(&cluster.nodes[0], &["add", &id, &at, "--incarnation", &life]);
    assert!(invited.status.success(), "{}", String::from_utf8_lossy(&invited.stderr));
    new.wait_ready();
    cluster.nodes.push(new);
}

/// What `duramen node list` says of each node, asked of one of them.
fn states(asked: &Broker) -> Vec<(u64, String)> {
    let listed = ask(asked, &["list", "--json"]);
    let rows: Vec<Value> = serde_json::from_slice(&listed.stdout).unwrap_or_default();
    let state = |row: &Value| Some((row["id"].as_u64()?, row["state"].as_str()?.to_owned()));
    rows.iter().filter_map(state).collect()
}

#[test]
fn one_node_becomes_three_under_load_and_dies() {
    let mut cluster = Cluster { nodes: vec![node(1, None)] };
    // Nobody listens there, and nobody will; it gives up while the rest goes on.
    let nowhere = node(9, None);
    let mut lost = node(8, Some(&nowhere));
    lost.spawn();
    cluster.nodes[0].run();
    let folder = tests::process::broker::test_folder();
    // A client looks for new nodes every five minutes; this one is told where they will be.
    let [two, three] = [2, 3].map(|id| node(id, Some(&cluster.nodes[0])));
    let bootstrap = [&cluster.nodes[0], &two, &three].map(Broker::bootstrap).join(",");
    let load = "--topic t --partitions 3 --replication-factor 1 --rate 500 --record-bytes 300 --seconds 86400 \
                --timeout-seconds 2 --retry-seconds 120 --quiet";
    let arguments: Vec<&str> = load.split_whitespace().collect();
    let verify = Verify::start(&bootstrap, folder.path(), &arguments);
    verify.wait_for_acks(200);

    let mut taken = node(1, Some(&cluster.nodes[0]));
    taken.spawn();
    assert_eq!(taken.wait_end(PATIENCE_SECONDS).code(), Some(5), "{}", taken.log());
    assert!(taken.log().contains("node 1 is a member and runs"), "{}", taken.log());
    come(&mut cluster, 2, two);
    come(&mut cluster, 3, three);
    let member = |id: u64| (id, "member".to_owned());
    Deadline::seconds(PATIENCE_SECONDS).wait_for("all are members", || {
        (states(&cluster.nodes[2]) == [member(1), member(2), member(3)]).then_some(())
    });
    let altered = cluster.topic(0, &["alter", TOPIC, "--replication-factor", "3"]);
    assert!(altered.status.success(), "{}", String::from_utf8_lossy(&altered.stderr));
    cluster.wait_in_sync(TOPIC, PATIENCE_SECONDS);
    Deadline::seconds(PATIENCE_SECONDS).wait_for("the others can go on without the first", || {
        let page = http::get(cluster.nodes[0].ports.http(), "/maystop");
        page.is_ok_and(|page| page.0 == 200).then_some(())
    });
    verify.wait_for_acks(200);
    cluster.nodes[0].kill();
    verify.wait_for_acks(200);
    verify.enough();
    let (code, said) = verify.end();
    assert_eq!(code, 0, "{said}");

    cluster.nodes[0].run();
    cluster.wait_in_sync(TOPIC, PATIENCE_SECONDS);
    cluster.stop();
    cluster.assert_identical();
    assert_eq!(lost.wait_end(PATIENCE_SECONDS).code(), Some(2), "{}", lost.log());
    assert!(lost.log().contains("no member of a cluster answers there"), "{}", lost.log());
}

#[test]
fn within_tls_a_certificate_says_who_comes_and_nobody_else_is_told_anything() {
    let certificates = Certificates::make();
    let secure = |mut node: Broker, certified: u32| {
        let folder = certificates.node(certified).display().to_string();
        let arguments = ["--peer-tls", "require", "--tls-folder", &folder];
        node.options.arguments.extend(arguments.map(str::to_owned));
        node
    };
    let mut first = secure(node(2, None), 2);
    first.run();
    let mut strange = secure(node(1, Some(&first)), 7);
    let at = format!("127.0.0.1:{}", strange.ports.peer());
    let refused = strange.command().output().expect("it ends");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    let mut clear = node(1, Some(&first));
    clear.spawn();
    assert_eq!(clear.wait_end(PATIENCE_SECONDS).code(), Some(5), "{}", clear.log());
    assert!(clear.log().contains("in the clear"), "{}", clear.log());

    let invited = ask(&first, &["add", "1", &at]);
    assert!(invited.status.success(), "{}", String::from_utf8_lossy(&invited.stderr));
    assert_eq!(states(&first), [(1, "invited".to_owned()), (2, "member".to_owned())]);
    strange.options.arguments.truncate(strange.options.arguments.len() - 4);
    let mut new = secure(strange, 1);
    new.run();
    Deadline::seconds(PATIENCE_SECONDS).wait_for("both are members", || {
        (states(&new) == [(1, "member".to_owned()), (2, "member".to_owned())]).then_some(())
    });
    // Without --join and --peers it knows from its folder whom to call.
    assert_eq!(new.stop().code(), Some(0), "{}", new.log());
    let join = new.options.arguments.iter().position(|argument| argument == "--join").expect("it joined");
    new.options.arguments.drain(join..join + 2);
    new.run();
}
