//! Turning security on as the commands say it: an authority, a node's certificate, and the options that are printed;
//! and certificates that run out and are renewed under load.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tests::process::tls::{self, TlsWire};
use tests::process::verify::{Verify, last_line, whole};
use tests::process::{Broker, BrokerOptions, Deadline, binary};

fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(binary::duramen());
    let output = command.args(arguments).stdin(Stdio::null()).output().expect("it runs");
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

fn done(arguments: &[&str]) -> String {
    let (code, said) = run(arguments);
    assert_eq!(code, Some(0), "{arguments:?}: {said}");
    said
}

fn secret(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    net::tls::files::write(&path, text).expect("written");
    path.display().to_string()
}

/// The options of the line that has this text, with a port that is free here.
fn printed(said: &str, with: &str, port: u16) -> Vec<String> {
    let line =
        said.lines().find(|line| line.contains(with)).unwrap_or_else(|| panic!("no {with} in: {said}"));
    let words = line.split_whitespace().map(|word| match word.rsplit_once(':') {
        Some((place, "9192" | "9292")) => format!("{place}:{port}"),
        _ => word.to_owned(),
    });
    words.collect()
}

#[test]
fn two_commands_turn_it_on() {
    let mut broker = Broker::prepare(BrokerOptions { shards: 1, ..BrokerOptions::default() });
    let (port, by_certificate) = (broker.ports.kafka() + 2, broker.ports.kafka() + 4);
    let ca = broker.folder().join("ca").display().to_string();
    done(&["ca", "init", &ca]);
    let said = done(&["ca", "node", "1", "--ca", &ca, "--host", "localhost", "--host", "127.0.0.1"]);
    broker.options.arguments = printed(&said, "SASL_SSL=", port);
    broker.options.arguments.extend(["--node-id", "1"].map(str::to_owned));
    broker.run();
    let admin = secret(broker.folder(), "admin", "the-password-of-admin");
    let plain = broker.bootstrap();
    assert!(said.contains("duramen user create admin --password-file FILE"), "{said}");
    done(&["user", "create", "admin", "--password-file", &admin, "--brokers", &plain]);
    let (brokers, trust) = (format!("localhost:{port}"), format!("{ca}/ca.pem"));
    let reach = ["--brokers", &brokers, "--tls-ca", &trust];
    let as_admin = [&reach[..], &["--user", "admin", "--password-file", &admin]].concat();
    done(&[&["topic", "create", "orders"][..], &as_admin].concat());
    // Another user may do what a rule lets it, and nobody without a name gets in.
    let bob = secret(broker.folder(), "bob", "the-password-of-bob");
    done(&["user", "create", "bob", "--password-file", &bob, "--brokers", &plain]);
    let as_bob = [&reach[..], &["--user", "bob", "--password-file", &bob]].concat();
    assert!(!done(&[&["topic", "list"][..], &as_bob].concat()).contains("orders"), "he may not see it");
    let rule = ["acl", "create", "--allow", "User:bob", "--operation", "describe", "--topic", "orders"];
    done(&[&rule[..], &as_admin].concat());
    assert!(done(&[&["topic", "list"][..], &as_bob].concat()).contains("orders"));
    assert_ne!(run(&[&["topic", "list"][..], &reach].concat()).0, Some(0), "who does not say who they are");
    // The other line that is printed: users by their certificates.
    assert!(broker.stop().success());
    broker.options.arguments = printed(&said, "ssl.client.auth=required", by_certificate);
    broker.options.arguments.extend(["--node-id", "1"].map(str::to_owned));
    broker.run();
    done(&["ca", "user", "admin", "--ca", &ca]);
    let brokers = format!("localhost:{by_certificate}");
    let (own, key) = (format!("{ca}/user-admin/user.pem"), format!("{ca}/user-admin/user.key"));
    let reach = ["--brokers", &brokers, "--tls-ca", &trust, "--tls-cert", &own, "--tls-key", &key];
    assert!(done(&[&["topic", "list"][..], &reach].concat()).contains("orders"));
}

/// Certificates that run out while they are renewed, under load: of seconds here; `DURAMEN_RENEWAL_SECONDS` says for how
/// long at night, with certificates of a fifth of it.
#[test]
fn certificates_that_run_out_are_renewed_under_load_and_no_connection_ends() {
    let seconds = std::env::var("DURAMEN_RENEWAL_SECONDS").map_or(15, |text| text.parse().expect("seconds"));
    let life = Duration::from_secs(seconds / 5);
    let mut broker = Broker::prepare(BrokerOptions { shards: 1, ..BrokerOptions::default() });
    let port = broker.ports.kafka() + 2;
    let ca = broker.folder().join("ca").display().to_string();
    done(&["ca", "init", &ca]);
    let renew = || {
        let life = format!("{}s", life.as_secs());
        done(&["ca", "node", "1", "--ca", &ca, "--host", "localhost", "--valid-for", &life]);
    };
    renew();
    let folder = format!("{ca}/node-1");
    let listener = format!("SSL=SSL://localhost:{port}");
    let options = ["--node-id", "1", "--tls-folder", &folder, "--listener", &listener];
    broker.options.arguments = options.map(str::to_owned).to_vec();
    broker.run();
    let trust = Path::new(&ca).join("ca.pem");
    let config = tls::client(&trust, None);
    let connect = || {
        let mut wire = TlsWire::connect(port, &config, "localhost").expect("accepted");
        // On a busy machine it may have run out.
        wire.asks_versions().is_ok().then_some(wire)
    };
    let next = |last: &[u8]| {
        renew();
        broker.signal("HUP");
        Deadline::seconds(60).wait_for("a connection with the new certificate", || {
            connect().filter(|wire| wire.certificate() != last)
        })
    };
    // A connection of each certificate: all of them live on.
    let mut wires = vec![next(&[])];
    let trusts = trust.display().to_string();
    let load = ["--rate", "200", "--seconds", "3600", "--tls-ca", &trusts];
    let verify = Verify::start(&format!("localhost:{port}"), broker.folder(), &load);
    verify.wait_for_acks(100);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(seconds) {
        wires.push(next(&wires.last().expect("the first").certificate()));
        let half = Instant::now() + life / 2;
        while Instant::now() < half {
            verify.wait_for_acks(100);
            wires.iter_mut().for_each(|wire| wire.asks_versions().expect("it lives on"));
        }
    }
    verify.enough();
    let (code, said) = verify.end();
    assert_eq!(code, 0, "{said}");
    let result = last_line(&broker.folder().join("verify.json"), "result");
    let dropped = (&result["errors"], whole(&result["retries"]), whole(&result["failed"]));
    assert_eq!(dropped, (&serde_json::json!({}), 0, 0), "{result}");
    assert!(wires.len() >= 5, "{} certificates", wires.len());
}
