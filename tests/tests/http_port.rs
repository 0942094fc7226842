//! The HTTP port beyond this machine: within TLS, and for who shows a certificate or has the token.

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;
use tests::process::tls::{Certificates, TlsWire};
use tests::process::{Broker, BrokerOptions, Deadline, binary};

const DAY: Duration = Duration::from_secs(86_400);
const PATIENCE_SECONDS: u64 = 60;
const TOKEN: &str = "0123456789abcdef0123";

fn secret(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    net::tls::files::write(&path, text).expect("written");
    path.display().to_string()
}

fn get(port: u16, config: &Arc<ClientConfig>, path: &str, token: Option<&str>) -> io::Result<String> {
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(30)))?;
    let name = ServerName::try_from("localhost").expect("a name");
    let session = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(session, stream);
    let token = token.map_or_else(String::new, |token| format!("Authorization: Bearer {token}\r\n"));
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\n{token}Connection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[test]
fn within_tls_who_is_known_sees_figures_and_others_at_most_whether_it_lives() {
    let certificates = Certificates::make();
    let mut broker = Broker::prepare(BrokerOptions { shards: 1, ..BrokerOptions::default() });
    let kafka = broker.ports.kafka() + 2;
    let token = secret(broker.folder(), "token", &format!("{TOKEN}\n"));
    let folder = certificates.node(0).display().to_string();
    let listener = format!("SECURE=SSL://127.0.0.1:{kafka}");
    let options =
        ["--tls-folder", &folder, "--listener", &listener, "--http-tls", "on", "--http-token-file", &token];
    broker.options.arguments = options.map(str::to_owned).to_vec();
    broker.options.arguments.push("--http-open-probes".to_owned());
    broker.spawn();
    let (nobody, port) = (certificates.client(None), broker.ports.http());
    Deadline::seconds(PATIENCE_SECONDS).wait_for("it is ready", || {
        get(port, &nobody, "/readyz", None).ok()?.starts_with("HTTP/1.1 200").then_some(())
    });
    let starts = |config, path, token, text: &str| {
        let answer = get(port, config, path, token).expect("an answer");
        assert!(answer.starts_with(text), "{path} {token:?}: {answer}");
    };
    starts(&nobody, "/metrics", None, "HTTP/1.1 401");
    starts(&nobody, "/metrics", Some("0123456789abcdef0124"), "HTTP/1.1 401");
    starts(&nobody, "/readyz?verbose", None, "HTTP/1.1 401");
    starts(&nobody, "/metrics", Some(TOKEN), "HTTP/1.1 200");
    let alice = certificates.client(Some(&certificates.user("alice", DAY)));
    starts(&alice, "/metrics", None, "HTTP/1.1 200");
    let stranger = Certificates::make();
    let stranger = certificates.client(Some(&stranger.user("alice", DAY)));
    assert!(get(port, &stranger, "/livez", None).is_err(), "another authority's certificate");
    assert!(tests::process::http::get(port, "/livez").is_err(), "in the clear");
    // Handshakes that are never ended have a bound and an end, and keep others out no longer.
    let silent: Vec<TcpStream> =
        (0..40).map(|_| TcpStream::connect(("127.0.0.1", port)).expect("accepted")).collect();
    starts(&alice, "/metrics", None, "HTTP/1.1 200");
    drop(silent);

    TlsWire::connect(kafka, &nobody, "localhost").expect("accepted").asks_versions().expect("served");
    let status = |token: &str| {
        let output = Command::new(binary::duramen())
            .args(["cluster", "status", "--brokers", &format!("localhost:{kafka}"), "--tls-ca"])
            .arg(certificates.ca())
            .args(["--metrics", &format!("https://localhost:{port}"), "--metrics-token-file", token])
            .output()
            .expect("it runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let said = status(&token);
    assert!(said.contains("the certificate of node 0 ends in 0 day(s)"), "{said}");
    assert!(said.contains("all is well") && said.contains("durable"), "{said}");
    let said = status(&secret(broker.folder(), "wrong", "0123456789abcdef9999"));
    assert!(said.contains("it asks for a certificate (--tls-cert) or a token"), "{said}");
    assert!(!broker.log().contains(TOKEN));
}

#[test]
fn beyond_this_machine_in_the_clear_is_refused_unless_it_is_asked_for() {
    let broker = Broker::prepare(BrokerOptions::default());
    let start = |arguments: &[&str]| {
        let mut command = Command::new(binary::duramen());
        command.args(["check-config", "--data-dir"]).arg(broker.data_dir());
        command.args(["--http-listen", &format!("0.0.0.0:{}", broker.ports.http())]).args(arguments);
        let output = command.output().expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let (code, said) = start(&[]);
    assert!(
        code == Some(1) && said.contains("is to be within TLS") && said.contains("--insecure-http"),
        "{said}"
    );
    let (code, said) = start(&["--http-tls", "off"]);
    assert!(code == Some(1) && said.contains("in the clear"), "{said}");
    let (code, said) = start(&["--insecure-http"]);
    assert!(code == Some(0) && said.contains("insecure-http = true"), "{said}");
}

/// Secrets are in files, which are named; one that is given where none belongs is not told, either.
#[test]
fn check_config_tells_no_secret() {
    let certificates = Certificates::make();
    let broker = Broker::prepare(BrokerOptions::default());
    let check = |arguments: &[&str]| {
        let mut command = Command::new(binary::duramen());
        command.args(["check-config", "--data-dir"]).arg(broker.data_dir()).args(arguments);
        let output = command.output().expect("it runs");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(!said.contains(TOKEN), "{said}");
        (output.status.code(), said)
    };
    let (token, tls) = (secret(broker.folder(), "token", TOKEN), certificates.node(0).display().to_string());
    let listen = format!("0.0.0.0:{}", broker.ports.http());
    let within = ["--http-listen", &listen, "--http-token-file", &token, "--tls-folder", &tls];
    let (code, said) = check(&within);
    assert!(code == Some(0) && said.contains(&token), "{said}");
    for name in ["ssl.key.password", "sasl.jaas.config", "listener.name.sasl_ssl.plain.sasl.jaas.config"] {
        let (code, said) = check(&["--set", &format!("{name}={TOKEN}")]);
        assert!(code == Some(1) && said.contains(name), "{said}");
        let file = secret(broker.folder(), "config.toml", &format!("[kafka]\n\"{name}\" = \"{TOKEN}\"\n"));
        let (code, said) = check(&["--config", &file]);
        assert!(code == Some(1) && said.contains(name), "{said}");
    }
}
