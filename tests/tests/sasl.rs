//! Who a client is, by SASL: what the broker answers on the wire, and other people's clients.

use kafka_wire::{ApiVersionsRequest, MetadataRequest, SaslAuthenticateResponse};
use net::client::sasl::oauthbearer::BearerMessage;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tests::process::broker::test_folder;
use tests::process::sasl::{self, PASSWORD, authenticate, handshake, sasl_port, scram};
use tests::process::tokens::TokenIssuer;
use tests::process::wire::{Wire, request};
use tests::process::{Broker, Deadline, binary, foreign};

const UNSUPPORTED_SASL_MECHANISM: i16 = 33;
const ILLEGAL_SASL_STATE: i16 = 34;
const SASL_AUTHENTICATION_FAILED: i16 = 58;

fn connect(broker: &Broker) -> Wire {
    Wire::connect(sasl_port(broker)).expect("accepted")
}

/// Whether the broker closed it; it may have sent its last answer before.
fn is_closed(wire: &mut Wire) -> bool {
    matches!(
        wire.receive().map_err(|error| error.kind()),
        Err(std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::ConnectionReset)
    )
}

fn asks_metadata(wire: &mut Wire) -> usize {
    wire.ask("sasl", 9, &MetadataRequest::default()).brokers.len()
}

#[test]
fn nothing_but_versions_and_the_proof_is_answered_before_the_proof() {
    let broker = sasl::start(&[]);
    let mut wire = connect(&broker);
    assert_eq!(wire.ask("sasl", 0, &ApiVersionsRequest::default()).error_code, 0);
    assert_eq!(scram(&mut wire, "anna", PASSWORD, 2).error_code, 0);
    assert_eq!(asks_metadata(&mut wire), 2);
    let mut early = connect(&broker);
    early.begin(1, 9, &MetadataRequest::default());
    assert!(is_closed(&mut early));
    let mut between = connect(&broker);
    assert_eq!(handshake(&mut between, "SCRAM-SHA-256", 1).error_code, 0);
    between.begin(1, 9, &MetadataRequest::default());
    assert!(is_closed(&mut between));
    let mut long = connect(&broker);
    long.send(&request(36, 1, 1, &vec![0; 100_000])).ok();
    assert!(is_closed(&mut long), "more than sasl.server.max.receive.size");
    let mut plain = Wire::connect(broker.ports.kafka()).expect("accepted");
    assert_eq!(handshake(&mut plain, "SCRAM-SHA-256", 1).error_code, ILLEGAL_SASL_STATE);
    assert_eq!(authenticate(&mut plain, b"", 1).error_code, ILLEGAL_SASL_STATE);
    assert_eq!(asks_metadata(&mut plain), 2, "a listener that does not ask");
}

#[test]
fn who_does_not_get_in_learns_nothing() {
    let broker = sasl::start(&["sasl.enabled.mechanisms=SCRAM-SHA-256,PLAIN"]);
    let told = |answer: SaslAuthenticateResponse| {
        assert_eq!(answer.error_code, SASL_AUTHENTICATION_FAILED);
        (answer.error_message, answer.auth_bytes)
    };
    let scram_as = |user: &str, password: &str| {
        let mut wire = connect(&broker);
        let answer = told(scram(&mut wire, user, password, 1));
        assert!(is_closed(&mut wire));
        answer
    };
    let plain_as = |message: &[u8]| {
        let mut wire = connect(&broker);
        assert_eq!(handshake(&mut wire, "PLAIN", 1).error_code, 0);
        told(authenticate(&mut wire, message, 1))
    };
    let known = scram_as("anna", "wrong");
    assert_eq!(known, scram_as("nobody", "wrong"));
    assert_eq!(known, plain_as(b"\0anna\0wrong"));
    assert_eq!(known, plain_as(b"\0nobody\0wrong"));
    assert_eq!(known, plain_as(b"no message of PLAIN"));
    let log = broker.log();
    assert!(log.contains("no such user, or a wrong password"), "the log knows");
    assert!(!log.contains(PASSWORD) && !log.contains("\\0"), "and no password");
}

#[test]
fn a_mechanism_that_is_not_offered_is_told_what_is() {
    let broker = sasl::start(&["sasl.enabled.mechanisms=SCRAM-SHA-512"]);
    for mechanism in ["PLAIN", "GSSAPI", "OAUTHBEARER", "SCRAM-SHA-256", ""] {
        let mut wire = connect(&broker);
        let answer = handshake(&mut wire, mechanism, 1);
        let offered: Vec<&str> = answer.mechanisms.iter().map(|one| one.as_str()).collect();
        assert_eq!((answer.error_code, offered), (UNSUPPORTED_SASL_MECHANISM, vec!["SCRAM-SHA-512"]));
        assert!(is_closed(&mut wire));
    }
}

/// What kcat with librdkafka 1, and old clients, send: messages without a request around them.
#[test]
fn behind_a_handshake_of_version_0_messages_come_alone() {
    let broker = sasl::start(&["sasl.enabled.mechanisms=SCRAM-SHA-256,PLAIN"]);
    let alone = |wire: &mut Wire, message: &[u8]| {
        wire.send(&[&(message.len() as u32).to_be_bytes()[..], message].concat()).expect("sent");
        wire.receive()
    };
    let mut wire = connect(&broker);
    assert_eq!(handshake(&mut wire, "SCRAM-SHA-256", 0).error_code, 0);
    sasl::scram_messages("anna", PASSWORD, |message| {
        let mut answer = SaslAuthenticateResponse::default();
        answer.auth_bytes = alone(&mut wire, message).expect("answered").into();
        answer
    });
    assert_eq!(asks_metadata(&mut wire), 2);
    let mut wire = connect(&broker);
    assert_eq!(handshake(&mut wire, "PLAIN", 0).error_code, 0);
    assert_eq!(alone(&mut wire, format!("\0anna\0{PASSWORD}").as_bytes()).expect("answered"), b"");
    assert_eq!(asks_metadata(&mut wire), 2);
    let mut wire = connect(&broker);
    assert_eq!(handshake(&mut wire, "PLAIN", 0).error_code, 0);
    assert!(alone(&mut wire, b"\0anna\0wrong").is_err(), "there is no place for an error");
}

#[test]
fn a_proof_is_for_a_time_and_is_made_again_on_the_same_connection() {
    let broker = sasl::start(&["connections.max.reauth.ms=3000"]);
    let mut wire = connect(&broker);
    assert_eq!(scram(&mut wire, "anna", PASSWORD, 1).session_lifetime_ms, 3000);
    assert_eq!(handshake(&mut wire, "SCRAM-SHA-256", 1).error_code, ILLEGAL_SASL_STATE, "too soon");
    let begun = Instant::now();
    for _ in 0..3 {
        let until = begun.elapsed() + Duration::from_millis(1500);
        while begun.elapsed() < until {
            assert_eq!(asks_metadata(&mut wire), 2);
            std::thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(scram(&mut wire, "anna", PASSWORD, 2).session_lifetime_ms, 3000);
    }
    assert!(begun.elapsed() > Duration::from_millis(4500), "longer than one proof is for");
    let last = Instant::now();
    Deadline::seconds(30).wait_for("a request is not answered any more", || {
        wire.begin(1, 9, &MetadataRequest::default());
        wire.receive().is_err().then_some(())
    });
    assert!(last.elapsed() > Duration::from_millis(2900), "{:?}", last.elapsed());
}

fn command(broker: &Broker, arguments: &[&str]) {
    let mut command = Command::new(binary::duramen());
    foreign::run(command.args(arguments).args(["--brokers", &broker.bootstrap()]).stdin(Stdio::null()));
}

#[test]
fn a_user_that_is_taken_away_is_out_when_it_is_to_prove_itself_again() {
    let broker = sasl::start(&["connections.max.reauth.ms=4000"]);
    let come = || {
        let mut wire = connect(&broker);
        assert_eq!(scram(&mut wire, "anna", PASSWORD, 1).error_code, 0);
        (wire, Instant::now())
    };
    let ((mut silent, _), (mut again, begun)) = (come(), come());
    command(&broker, &["user", "delete", "anna"]);
    let refused = scram(&mut connect(&broker), "anna", PASSWORD, 1);
    assert_eq!(refused.error_code, SASL_AUTHENTICATION_FAILED, "who comes now");
    if begun.elapsed() < Duration::from_secs(3) {
        assert_eq!(asks_metadata(&mut again), 2, "who is there stays until then, as in Kafka");
    }
    Deadline::seconds(30).wait_for("it is not too soon to prove itself again", || {
        (handshake(&mut again, "SCRAM-SHA-256", 1).error_code == 0).then_some(())
    });
    let last = sasl::scram_messages("anna", PASSWORD, |message| authenticate(&mut again, message, 1));
    assert_eq!(last.error_code, SASL_AUTHENTICATION_FAILED);
    assert!(is_closed(&mut again));
    Deadline::seconds(30).wait_for("who does not prove itself is out, too", || {
        silent.begin(1, 9, &MetadataRequest::default());
        silent.receive().is_err().then_some(())
    });
}

#[test]
fn a_rule_that_denies_holds_for_connections_that_are_there() {
    let broker =
        sasl::start(&["authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer"]);
    command(&broker, &["topic", "create", "orders"]);
    let rule = |effect: &str, what: &str| {
        command(&broker, &["acl", "create", effect, "User:anna", "--operation", what, "--topic", "orders"]);
    };
    rule("--allow", "read");
    let mut wire = connect(&broker);
    assert_eq!(scram(&mut wire, "anna", PASSWORD, 1).error_code, 0);
    let mut sees = || {
        let mut all = MetadataRequest::default();
        all.topics = None;
        wire.ask("sasl", 9, &all).topics.len() == 1
    };
    Deadline::seconds(30).wait_for("she may read it", || sees().then_some(()));
    rule("--deny", "all");
    Deadline::seconds(30).wait_for("she may not any more", || (!sees()).then_some(()));
}

/// Of SCRAM: what a client proved itself with proves nothing on another connection.
#[test]
fn a_proof_that_is_sent_again_proves_nothing() {
    let broker = sasl::start(&[]);
    let (mut wire, mut sent) = (connect(&broker), Vec::new());
    assert_eq!(handshake(&mut wire, "SCRAM-SHA-256", 1).error_code, 0);
    let answer = sasl::scram_messages("anna", PASSWORD, |message| {
        sent.push(message.to_vec());
        authenticate(&mut wire, message, 1)
    });
    assert_eq!((answer.error_code, sent.len()), (0, 2));
    let mut again = connect(&broker);
    assert_eq!(handshake(&mut again, "SCRAM-SHA-256", 1).error_code, 0);
    assert_eq!(authenticate(&mut again, &sent[0], 1).error_code, 0, "the first message is no proof");
    assert_eq!(authenticate(&mut again, &sent[1], 1).error_code, SASL_AUTHENTICATION_FAILED);
    assert!(is_closed(&mut again));
}

#[test]
fn who_is_not_known_within_ten_seconds_is_closed_and_others_are_not() {
    let broker = sasl::start(&[]);
    let mut known = connect(&broker);
    assert_eq!(scram(&mut known, "anna", PASSWORD, 1).error_code, 0);
    let begun = Instant::now();
    let mut silent = connect(&broker);
    let mut busy = connect(&broker);
    assert!(is_closed(&mut silent));
    assert!(begun.elapsed() > Duration::from_secs(9), "{:?}", begun.elapsed());
    Deadline::seconds(10)
        .wait_for("asking for versions is no progress", || busy.asks_versions(1).is_err().then_some(()));
    assert_eq!(asks_metadata(&mut known), 2);
}

#[test]
fn each_guess_waits_longer_and_those_who_are_in_do_not() {
    let broker = sasl::start(&[]);
    let mut known = connect(&broker);
    assert_eq!(scram(&mut known, "anna", PASSWORD, 1).error_code, 0);
    let begun = Instant::now();
    for guess in 0..5 {
        let answer = scram(&mut connect(&broker), "anna", &format!("guess {guess}"), 1);
        assert_eq!(answer.error_code, SASL_AUTHENTICATION_FAILED);
        assert_eq!(asks_metadata(&mut known), 2);
    }
    // 0.1 + 0.2 + 0.4 + 0.8 s before the second to the fifth, on the shard that all of them asked.
    assert!(begun.elapsed() > Duration::from_millis(1500), "{:?}", begun.elapsed());
    assert_eq!(scram(&mut connect(&broker), "anna", PASSWORD, 1).error_code, 0);
    let metrics = broker.metrics();
    let refused = metrics.lines().filter_map(|line| line.strip_prefix("duramen_logins_refused_total{"));
    let counts: Vec<&str> = refused.filter_map(|line| line.rsplit(' ').next()).collect();
    assert!(counts.contains(&"5"), "{counts:?}");
}

#[test]
fn kcat_by_each_mechanism() {
    let Some(kcat) = foreign::kcat("kcat_by_each_mechanism") else { return };
    let broker = sasl::start(&["sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512,PLAIN"]);
    for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"] {
        let run = |password: &str, arguments: &[&str], stdin: Stdio| {
            let mut command = Command::new("timeout");
            // Cargo's would give it the library that these tests are linked with, which has PLAIN alone.
            command.env_remove("LD_LIBRARY_PATH");
            command.arg("60").arg(&kcat).args(["-b", &format!("127.0.0.1:{}", sasl_port(&broker))]);
            command.args([
                "-X",
                "security.protocol=SASL_PLAINTEXT",
                "-X",
                &format!("sasl.mechanism={mechanism}"),
            ]);
            command.args(["-X", "sasl.username=anna", "-X", &format!("sasl.password={password}")]);
            command.args(["-t", mechanism, "-p", "0"]).args(arguments).stdin(stdin);
            command.output().expect("kcat starts")
        };
        let given = broker.folder().join("given");
        std::fs::write(&given, mechanism).expect("written");
        let file = std::fs::File::open(&given).expect("there");
        let produced = run(PASSWORD, &["-P"], file.into());
        assert!(produced.status.success(), "{}", String::from_utf8_lossy(&produced.stderr));
        let got = run(PASSWORD, &["-C", "-o", "beginning", "-e", "-q"], Stdio::null());
        assert_eq!(String::from_utf8_lossy(&got.stdout).trim_end(), mechanism);
        let refused = run("wrong", &["-C", "-o", "beginning", "-e", "-q"], Stdio::null());
        assert!(!refused.status.success(), "{mechanism}");
    }
}

/// `duramen` as a client: who it is by options and by a profile, and what it says when it is not let in.
#[test]
fn duramen_commands_say_who_they_are() {
    let broker = sasl::start(&["sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512,PLAIN"]);
    let secret = |name: &str, text: &str| {
        let path = broker.folder().join(name);
        std::fs::write(&path, text).expect("written");
        let only_owner = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&path, only_owner).expect("owned");
        path.display().to_string()
    };
    let run = |arguments: &[&str]| {
        let brokers = format!("127.0.0.1:{}", sasl_port(&broker));
        let mut command = Command::new(binary::duramen());
        command.args(arguments).args(["--brokers", &brokers]).stdin(Stdio::null());
        let output = command.output().expect("it starts");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    };
    let password = secret("password", PASSWORD);
    for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512", "PLAIN"] {
        let login = ["--user", "anna", "--password-file", &password, "--sasl-mechanism", mechanism];
        let (code, said) = run(&[&["topic", "create", mechanism][..], &login].concat());
        assert_eq!(code, Some(0), "{said}");
    }
    let profile = secret("profile", &format!("user = \"anna\"\npassword = \"{PASSWORD}\"\n"));
    let (code, said) = run(&["topic", "list", "--profile", &profile]);
    assert!(code == Some(0) && said.contains("PLAIN"), "{said}");
    let (code, said) = run(&["cluster", "status", "--profile", &profile]);
    assert_eq!(code, Some(0), "{said}");
    // The password is the new user's; who makes it is in the profile.
    let other = secret("other", "another-password");
    let (code, said) = run(&["user", "create", "bert", "--password-file", &other, "--profile", &profile]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = run(&["topic", "list", "--user", "bert", "--password-file", &other]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = run(&["topic", "list", "--user", "bert", "--password-file", &password]);
    assert!(code == Some(5) && said.contains("user bert is not let in"), "{code:?} {said}");
    let (code, said) = run(&["topic", "list", "--user", "anna"]);
    assert!(code == Some(1) && said.contains("--password-file"), "{code:?} {said}");
    let (code, said) = run(&["topic", "list"]);
    assert!(code == Some(2) && said.contains("closed"), "{code:?} {said}");
}

/// A broker that takes tokens, and who issues them.
fn with_tokens() -> (Broker, TokenIssuer) {
    let issuer = TokenIssuer::generate();
    let folder = test_folder();
    let keys = folder.path().join("jwks.json");
    issuer.write_keys(&keys);
    let url = format!("sasl.oauthbearer.jwks.endpoint.url=file://{}", keys.display());
    let broker = sasl::start(&[
        "sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512,PLAIN,OAUTHBEARER",
        "sasl.oauthbearer.expected.issuer=tests",
        "sasl.oauthbearer.expected.audience=duramen",
        &url,
    ]);
    // It is read when the broker starts, and missed by nobody in the time of a test.
    drop(folder);
    (broker, issuer)
}

#[test]
fn a_token_ends_its_connection() {
    let (broker, issuer) = with_tokens();
    let mut wire = connect(&broker);
    let begun = Instant::now();
    assert_eq!(handshake(&mut wire, "OAUTHBEARER", 1).error_code, 0);
    let answer = authenticate(&mut wire, &BearerMessage::write(&issuer.token("toni", 4)), 1);
    assert_eq!(answer.error_code, 0, "{:?}", answer.error_message);
    assert!((2000..=4000).contains(&answer.session_lifetime_ms), "{}", answer.session_lifetime_ms);
    assert_eq!(asks_metadata(&mut wire), 2);
    assert!(is_closed(&mut wire), "though it asks nothing");
    assert!(begun.elapsed() > Duration::from_secs(2), "{:?}", begun.elapsed());
    let mut other = connect(&broker);
    assert_eq!(handshake(&mut other, "OAUTHBEARER", 1).error_code, 0);
    let forged = TokenIssuer::generate().token("toni", 60);
    let refused = authenticate(&mut other, &BearerMessage::write(&forged), 1);
    assert_eq!(&refused.auth_bytes[..], br#"{"status":"invalid_token"}"#);
    assert_eq!(authenticate(&mut other, b"\x01", 1).error_code, SASL_AUTHENTICATION_FAILED);
}

/// More at once than an attacker's host opens in a moment: those who are known are served, and nobody leads anew.
#[test]
fn a_flood_of_handshakes_moves_no_leader() {
    let broker = sasl::start(&["sasl.enabled.mechanisms=SCRAM-SHA-256,PLAIN"]);
    let mut known = connect(&broker);
    assert_eq!(scram(&mut known, "anna", PASSWORD, 1).error_code, 0);
    let elections = || {
        let page = broker.metrics();
        let lines = page.lines().filter(|line| line.starts_with("duramen_journal_elections_total"));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let before = elections();
    let until = Instant::now() + Duration::from_secs(5);
    let asked = std::thread::scope(|scope| {
        for thread in 0..16 {
            let port = sasl_port(&broker) + thread % 2;
            scope.spawn(move || {
                while Instant::now() < until {
                    let Ok(mut wire) = Wire::connect(port) else { continue };
                    let mut request = kafka_wire::SaslHandshakeRequest::default();
                    request.mechanism = "SCRAM-SHA-256".into();
                    wire.begin(1, 1, &request);
                    if wire.receive().is_ok() {
                        let mut first = kafka_wire::SaslAuthenticateRequest::default();
                        first.auth_bytes = b"n,,n=nobody,r=nonce".to_vec().into();
                        wire.begin(2, 1, &first);
                        _ = wire.receive();
                    }
                }
            });
        }
        let mut asked = 0;
        while Instant::now() < until {
            assert_eq!(asks_metadata(&mut known), 2);
            asked += 1;
        }
        asked
    });
    assert!(asked > 20, "{asked} requests in 5 s");
    assert_eq!(elections(), before);
}
