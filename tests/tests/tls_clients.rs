//! Clients within TLS: what is served, what is refused and in which words, and certificates that change meanwhile.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use tests::process::tls::{Certificates, TlsWire};
use tests::process::wire::Wire;
use tests::process::{Broker, BrokerOptions, Deadline, foreign};

const DAY: Duration = Duration::from_secs(86_400);
const PATIENCE_SECONDS: u64 = 60;

/// The port of shard 0 within TLS.
fn tls_port(broker: &Broker) -> u16 {
    broker.ports.kafka() + 4
}

fn start(folder: &Path, set: &[&str]) -> Broker {
    let set = set.iter().map(|one| (*one).to_owned()).collect();
    let mut broker = Broker::prepare(BrokerOptions { shards: 2, set, ..BrokerOptions::default() });
    let listener = format!("SECURE=SSL://127.0.0.1:{}", tls_port(&broker));
    let folder = folder.display().to_string();
    broker.options.arguments =
        ["--listener".into(), listener, "--tls-folder".into(), folder, "--log=net=debug,info".into()]
            .to_vec();
    broker.run();
    broker
}

fn logs(broker: &Broker, text: &str) {
    Deadline::seconds(PATIENCE_SECONDS)
        .wait_for(&format!("the log says '{text}'"), || broker.log().contains(text).then_some(()));
}

#[test]
fn old_versions_are_refused_and_new_ones_served() {
    let certificates = Certificates::make();
    let broker = start(&certificates.node(0), &[]);
    if Command::new("openssl").arg("version").output().is_err() {
        let _: Option<()> = foreign::skip("old_versions_are_refused", "openssl is not installed");
        return;
    }
    for (version, is_served) in [("-tls1", false), ("-tls1_1", false), ("-tls1_2", true), ("-tls1_3", true)] {
        let said = Command::new("openssl")
            .args(["s_client", "-connect", &format!("127.0.0.1:{}", tls_port(&broker)), version])
            // The library's own floor is not what is tested.
            .args(["-cipher", "ALL:@SECLEVEL=0", "-verify_return_error", "-CAfile"])
            .arg(certificates.ca())
            .stdin(Stdio::null())
            .output()
            .expect("it runs");
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        assert_eq!(said.contains("Cipher is (NONE)"), !is_served, "{version}: {said}");
    }
    logs(&broker, "offers no version of TLS from 1.2 on");
}

#[test]
fn a_foreign_client_produces_and_fetches() {
    let Some(kcat) = foreign::kcat("a_foreign_client_produces_and_fetches") else { return };
    let certificates = Certificates::make();
    let broker = start(&certificates.node(0), &["ssl.client.auth=required"]);
    let user = certificates.user("alice", DAY);
    let file = |name: &str| user.join(name).display().to_string();
    let run = |arguments: &[&str], input: &[u8]| {
        let mut child = Command::new(&kcat)
            // Cargo's names another librdkafka, built without TLS.
            .env_remove("LD_LIBRARY_PATH")
            .args(["-b", &format!("127.0.0.1:{}", tls_port(&broker)), "-t", "t"])
            .args(["-X", "security.protocol=SSL", "-X", &format!("ssl.ca.location={}", file("ca.pem"))])
            .args(["-X", &format!("ssl.certificate.location={}", file("user.pem"))])
            .args(["-X", &format!("ssl.key.location={}", file("user.key"))])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        child.stdin.take().expect("a pipe").write_all(input).expect("it reads");
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success(), "{arguments:?}");
        output.stdout
    };
    // Short records, and those that take many records of TLS.
    let lines: Vec<String> =
        (0..3_000).map(|line| format!("{line} {}", "x".repeat(line % 7 * 3_000))).collect();
    let all = lines.join("\n") + "\n";
    run(&["-P", "-X", "linger.ms=50"], all.as_bytes());
    let read = run(&["-C", "-e", "-q", "-o", "beginning"], &[]);
    assert!(read == all.as_bytes(), "{} bytes of {}", read.len(), all.len());
    let told = run(&["-L"], &[]);
    let told = String::from_utf8_lossy(&told).into_owned();
    assert!(told.contains(&format!("127.0.0.1:{}", tls_port(&broker) + 1)), "{told}");
    assert!(broker.metrics().contains("duramen_tls_certificate_end_timestamp_seconds "));
}

#[test]
fn each_mistake_is_refused_and_named_in_the_log() {
    let (certificates, others) = (Certificates::make(), Certificates::make());
    let broker = start(&certificates.node(0), &["ssl.client.auth=required"]);
    let asks = |config, host| {
        let mut wire = TlsWire::connect(tls_port(&broker), &config, host).expect("accepted");
        wire.asks_versions()
    };
    let good = certificates.user("alice", DAY);
    asks(certificates.client(Some(&good)), "localhost").expect("served");
    asks(certificates.client(None), "localhost").expect_err("no certificate");
    logs(&broker, "the client shows no certificate");
    asks(certificates.client(Some(&others.user("mallory", DAY))), "localhost")
        .expect_err("another authority");
    logs(&broker, "is of an authority that is not trusted here");
    let short = certificates.user("short", Duration::from_secs(1));
    Deadline::seconds(PATIENCE_SECONDS).wait_for("it expires", || {
        asks(certificates.client(Some(&short)), "localhost").is_err().then_some(())
    });
    logs(&broker, "the certificate of the client has expired");
    asks(others.client(Some(&good)), "localhost").expect_err("the client trusts another authority");
    logs(&broker, "does not trust this node's certificate");
    asks(certificates.client(Some(&good)), "other.example").expect_err("another name");
    // Plaintext to TLS, and the reverse.
    assert!(Wire::connect(tls_port(&broker)).expect("accepted").asks_versions(1).is_err());
    logs(&broker, "it does not speak TLS, which this listener does");
    let mut http = TcpStream::connect(("127.0.0.1", tls_port(&broker))).expect("accepted");
    http.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("sent");
    let _ = http.read_to_end(&mut Vec::new());
    logs(&broker, "it looks like HTTP: this listener speaks Kafka's protocol within TLS");
    let mut reverse =
        TlsWire::connect(broker.ports.kafka(), &certificates.client(None), "localhost").expect("accepted");
    reverse.asks_versions().expect_err("plaintext");
    logs(&broker, "it looks like TLS: this listener is plaintext");
    asks(certificates.client(Some(&good)), "localhost").expect("served as before");
}

/// Who keeps what goes over the network and sends it again gets nothing done: not on a connection of its own, and not on
/// the one that it was kept from.
#[test]
fn what_is_sent_again_is_taken_for_nothing() {
    let certificates = Certificates::make();
    let broker = start(&certificates.node(0), &[]);
    let asked = || {
        let metrics = broker.metrics();
        let of_versions = metrics
            .lines()
            .filter(|line| line.starts_with("duramen_request_seconds_count") && line.contains("ApiVersions"));
        of_versions.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>() as u64
    };
    let mut wire =
        TlsWire::connect(tls_port(&broker), &certificates.client(None), "localhost").expect("accepted");
    wire.asks_versions().expect("served");
    let first = wire.sent().len();
    wire.asks_versions().expect("served");
    Deadline::seconds(PATIENCE_SECONDS).wait_for("both are counted", || (asked() == 2).then_some(()));
    let (all, last) = (wire.sent().to_vec(), wire.sent()[first..].to_vec());
    assert!(first > 100 && last.len() > 20, "{first} {}", last.len());
    let mut again = TcpStream::connect(("127.0.0.1", tls_port(&broker))).expect("accepted");
    again.set_read_timeout(Some(Duration::from_secs(30))).expect("set");
    again.write_all(&all).expect("sent");
    let _ = again.read_to_end(&mut Vec::new());
    logs(&broker, "the TLS handshake failed");
    wire.inject(&last).expect("sent");
    let said = wire.receive();
    assert!(!matches!(said, Ok(1..)), "an answer to what was sent again: {said:?}");
    let mut other =
        TlsWire::connect(tls_port(&broker), &certificates.client(None), "localhost").expect("accepted");
    other.asks_versions().expect("served");
    Deadline::seconds(PATIENCE_SECONDS).wait_for("the third is counted", || (asked() >= 3).then_some(()));
    assert_eq!(asked(), 3, "and nothing else was asked");
}

#[test]
fn half_open_handshakes_by_the_thousand_leave_others_served_and_end() {
    let certificates = Certificates::make();
    let broker = start(&certificates.node(0), &[]);
    let hello = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
    let silent: Vec<TcpStream> = (0..1_500)
        .map(|one| {
            let mut stream = TcpStream::connect(("127.0.0.1", tls_port(&broker))).expect("accepted");
            if one % 2 == 0 {
                stream.write_all(&hello[..1 + one % 10]).expect("sent");
            }
            stream
        })
        .collect();
    let before = broker.resident_bytes();
    let config = certificates.client(None);
    for _ in 0..20 {
        TlsWire::connect(tls_port(&broker), &config, "localhost")
            .expect("accepted")
            .asks_versions()
            .expect("served");
        Wire::connect(broker.ports.kafka()).expect("accepted").asks_versions(1).expect("served");
    }
    // Each ends within its 10 s.
    for mut stream in silent {
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("set");
        let ended = stream.read(&mut [0; 64]);
        assert!(!matches!(&ended, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock), "{ended:?}");
    }
    let grown = broker.resident_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "{grown} bytes more");
}

#[test]
fn new_certificates_are_taken_and_a_bad_one_is_not() {
    let certificates = Certificates::make();
    let folder = certificates.node(0);
    let broker = start(&folder, &[]);
    let config = certificates.client(None);
    let connect = || {
        let mut wire = TlsWire::connect(tls_port(&broker), &config, "localhost").expect("accepted");
        wire.asks_versions().expect("served");
        wire
    };
    let mut old = connect();
    let first = old.certificate();
    certificates.node(0);
    broker.signal("HUP");
    Deadline::seconds(PATIENCE_SECONDS)
        .wait_for("the new certificate", || (connect().certificate() != first).then_some(()));
    let second = connect().certificate();
    old.asks_versions().expect("who began before lives on");
    std::fs::write(folder.join("node.pem"), "nothing").expect("written");
    broker.signal("HUP");
    logs(&broker, "certificates are not taken, those from before stay");
    assert_eq!(connect().certificate(), second);
    old.asks_versions().expect("still");
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let certificates = Certificates::make();
    let folder = certificates.node(0);
    let loose = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(folder.join("node.key"), loose).expect("set");
    let mut broker = Broker::prepare(BrokerOptions::default());
    broker.options.arguments = vec!["--tls-folder".into(), folder.display().to_string()];
    let output = broker.command().output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("node.key") && said.contains("chmod 600"), "{said}");
}
