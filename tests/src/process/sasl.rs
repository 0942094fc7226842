//! A broker with a listener that asks who its clients are, and users; and SASL's messages by hand.

use super::wire::Wire;
use super::{Broker, BrokerOptions, binary};
use engine::control::credentials::Mechanism;
use kafka_wire::{
    SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use net::client::sasl::scram_client::ScramClient;
use std::process::Command;

/// The password of every user that is made here.
pub const PASSWORD: &str = "pencil-or-not";

/// Of the listener that asks: behind those of the plaintext one.
pub fn sasl_port(broker: &Broker) -> u16 {
    broker.ports.kafka() + 3
}

/// A broker with a SASL_PLAINTEXT listener, on loopback, and the user `anna`.
pub fn start(set: &[&str]) -> Broker {
    let mut broker = Broker::prepare(BrokerOptions {
        set: set.iter().map(|one| (*one).to_owned()).collect(),
        ..BrokerOptions::default()
    });
    let listener = format!("ASKS=SASL_PLAINTEXT://127.0.0.1:{}", sasl_port(&broker));
    broker.options.arguments.extend(["--listener".to_owned(), listener]);
    broker.run();
    user(&broker, "anna");
    broker
}

pub fn user(broker: &Broker, name: &str) {
    let bootstrap = broker.bootstrap();
    let mut command = Command::new(binary::duramen());
    command.args(["user", "create", name, "--password", PASSWORD, "--brokers", &bootstrap]);
    let output = command.output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

pub fn handshake(wire: &mut Wire, mechanism: &str, version: i16) -> SaslHandshakeResponse {
    let mut request = SaslHandshakeRequest::default();
    request.mechanism = mechanism.into();
    wire.ask("sasl", version, &request)
}

pub fn authenticate(wire: &mut Wire, message: &[u8], version: i16) -> SaslAuthenticateResponse {
    let mut request = SaslAuthenticateRequest::default();
    request.auth_bytes = message.to_vec().into();
    wire.ask("sasl", version, &request)
}

/// SCRAM-SHA-256 to its end; the last answer.
pub fn scram(wire: &mut Wire, user: &str, password: &str, version: i16) -> SaslAuthenticateResponse {
    assert_eq!(handshake(wire, "SCRAM-SHA-256", 1).error_code, 0);
    scram_messages(user, password, |message| authenticate(wire, message, version))
}

/// The two messages of a SCRAM client, given to whoever carries them.
pub fn scram_messages(
    user: &str,
    password: &str,
    mut carry: impl FnMut(&[u8]) -> SaslAuthenticateResponse,
) -> SaslAuthenticateResponse {
    let client = ScramClient::new(Mechanism::ScramSha256, user, password.as_bytes(), "a-client's-nonce");
    let first = carry(client.first().as_bytes());
    assert_eq!(first.error_code, 0, "whoever it is");
    let (last, proof) = client.prove(&first.auth_bytes).expect("an answer of SCRAM");
    let answer = carry(last.as_bytes());
    assert!(answer.error_code != 0 || proof.is_answered_by(&answer.auth_bytes), "the broker's own proof");
    answer
}
