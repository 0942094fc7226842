//! Links between nodes within TLS: a cluster that requires it, one that gets it while it runs, and who is not let in.

use net::peer::frame::{self, FrameKind, HEADER_BYTES};
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;
use tests::process::cluster::{Cluster, PATIENT};
use tests::process::records::{Load, read_all};
use tests::process::tls::Certificates;
use tests::process::{Broker, Deadline};

const TOPIC: &str = "t";
const PATIENCE_SECONDS: u64 = 60;

/// Sets how a node speaks to the others from its next start on.
fn set(node: &mut Broker, mode: &str, folder: &Path) {
    let arguments = &mut node.options.arguments;
    if let Some(at) = arguments.iter().position(|argument| argument == "--peer-tls") {
        arguments.drain(at..at + 4);
    }
    let folder = folder.display().to_string();
    arguments.extend(["--peer-tls".into(), mode.into(), "--tls-folder".into(), folder]);
}

fn logs(node: &Broker, text: &str) {
    Deadline::seconds(PATIENCE_SECONDS)
        .wait_for(&format!("the log says '{text}'"), || node.log().contains(text).then_some(()));
}

/// Produces this many records, all of them acked.
fn produce(cluster: &Cluster, from: u64, count: u64) {
    let load = Load::new(&cluster.bootstrap(), &[&[("acks", "all")], &PATIENT[..]].concat());
    (from..from + count).for_each(|number| assert!(load.send(TOPIC, (number % 3) as i32, number, 1000)));
    load.flush(PATIENCE_SECONDS);
}

/// How many links of all nodes were made within TLS, and how many in the clear.
fn linked(cluster: &Cluster) -> (usize, usize) {
    let logs: String = cluster.nodes.iter().map(Broker::log).collect();
    (logs.matches("tls=true").count(), logs.matches("tls=false").count())
}

fn lines_of_links(cluster: &Cluster) -> usize {
    let (within, clear) = linked(cluster);
    within + clear
}

#[test]
fn a_cluster_that_requires_it_forms_serves_and_lets_nobody_else_in() {
    let (certificates, others) = (Certificates::make(), Certificates::make());
    let mut cluster = Cluster::prepare(&[1, 1, 1]);
    for (id, node) in (1..).zip(&mut cluster.nodes) {
        set(node, "require", &certificates.node(id));
    }
    cluster.run();
    cluster.create(TOPIC, 3);
    produce(&cluster, 0, 3_000);
    cluster.wait_in_sync(TOPIC, PATIENCE_SECONDS);
    let (within, clear) = linked(&cluster);
    assert!(within >= 6 && clear == 0, "{within} within TLS, {clear} in the clear");
    // A caller in the clear is told why.
    let mut caller = TcpStream::connect(("127.0.0.1", cluster.nodes[0].ports.peer())).expect("accepted");
    caller.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
    caller.write_all(&frame::small(FrameKind::Hello, &[0; 64])).expect("sent");
    let mut header = [0; HEADER_BYTES];
    caller.read_exact(&mut header).expect("a frame");
    let coming = frame::read_header(&header).expect("a header");
    let mut text = vec![0; coming.body_bytes];
    caller.read_exact(&mut text).expect("its body");
    assert_eq!(coming.kind, FrameKind::Refusal);
    assert!(String::from_utf8_lossy(&text).contains("in the clear"), "{text:?}");
    logs(&cluster.nodes[0], "a caller was refused: its link is in the clear");
    // One with another authority's certificate, and one that says to be another node.
    cluster.nodes[2].stop();
    set(&mut cluster.nodes[2], "require", &others.node(3));
    cluster.nodes[2].spawn();
    logs(&cluster.nodes[0], "is of an authority that is not trusted here");
    cluster.nodes[2].kill();
    let folder = certificates.node(2);
    set(&mut cluster.nodes[2], "require", &folder);
    let output = cluster.nodes[2].command().output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("it is the certificate of node 2, this is node 3"), "{said}");
    set(&mut cluster.nodes[2], "require", &certificates.node(3));
    cluster.nodes[2].run();
    cluster.wait_in_sync(TOPIC, PATIENCE_SECONDS);
}

#[test]
fn a_running_cluster_gets_it_node_by_node_and_keeps_every_record() {
    let certificates = Certificates::make();
    let mut cluster = Cluster::start(&[1, 1, 1]);
    cluster.create(TOPIC, 3);
    produce(&cluster, 0, 300);
    let mut produced = 300;
    for mode in ["prefer", "require"] {
        for node in 0..3 {
            cluster.nodes[node].stop();
            let folder = certificates.node(node as u32 + 1);
            set(&mut cluster.nodes[node], mode, &folder);
            produce(&cluster, produced, 300);
            produced += 300;
            let before = lines_of_links(&cluster);
            cluster.nodes[node].run();
            // Both ends of a link tell of it, not both at once.
            Deadline::seconds(PATIENCE_SECONDS)
                .wait_for("its links to both others, told by both ends", || {
                    (lines_of_links(&cluster) >= before + 4).then_some(())
                });
            cluster.wait_in_sync(TOPIC, PATIENCE_SECONDS);
        }
    }
    // All certificates anew, under the same authority: links live on.
    let before = linked(&cluster);
    for (id, node) in (1..).zip(&cluster.nodes) {
        certificates.node(id);
        node.signal("HUP");
    }
    cluster.nodes.iter().for_each(|node| logs(node, "new certificates"));
    produce(&cluster, produced, 300);
    produced += 300;
    assert_eq!(linked(&cluster), before, "no link was made anew");
    assert!(before.0 > 0 && before.1 > 0);
    let read =
        (0..3).flat_map(|partition| read_all(&cluster.bootstrap(), TOPIC, partition, PATIENCE_SECONDS));
    let numbers: BTreeSet<u64> = read.map(|(_, number)| number).collect();
    assert!(numbers.into_iter().eq(0..produced), "every record, {produced} of them");
}
