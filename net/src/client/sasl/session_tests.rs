//! Whole exchanges of a connection, and what may not be asked during them.

use super::*;
use crate::client::sasl::credentials::tests::Known;
use crate::client::sasl::jwt::tests::{Issuer, rules};
use crate::client::sasl::scram_client::ScramClient;
use serde_json::json;

const S: u64 = 1_000_000_000;
const SCRAM: SaslMechanism = SaslMechanism::Scram(Mechanism::ScramSha256);

struct Broker {
    users: Known,
    decoys: Decoys,
    issuer: Issuer,
    rules: TokenRules,
    reauth_max_ms: u64,
}

impl Broker {
    fn new() -> Self {
        let users = Known::default().with("anna", "pencil").with("bert", "eraser");
        let decoys = Decoys::new(b"secret");
        Self { users, decoys, issuer: Issuer::generate(), rules: rules(), reauth_max_ms: 0 }
    }

    fn at(&self, mono_ns: u64) -> SaslGround<'_> {
        SaslGround {
            users: &self.users,
            decoys: &self.decoys,
            tokens: Some((Arc::new(self.issuer.keys()), &self.rules)),
            nonce: [7; 24],
            wall_s: 1500 + mono_ns / S,
            mono_ns,
            reauth_max_ms: self.reauth_max_ms,
        }
    }

    fn token(&self, sub: &str, exp: u64) -> String {
        self.issuer.token(&json!({"sub": sub, "iss": "https://issuer", "aud": "kafka", "exp": exp}))
    }
}

fn session() -> SaslSession {
    SaslSession::new(SaslMechanism::ALL.to_vec())
}

fn scram(session: &mut SaslSession, broker: &Broker, user: &str, password: &str, now_ns: u64) -> SaslStep {
    assert_eq!(session.handshake("SCRAM-SHA-256", 1, now_ns), HandshakeAnswer::Chosen);
    let client = ScramClient::new(Mechanism::ScramSha256, user, password.as_bytes(), "client");
    let SaslStep::Reply(first) = session.message(client.first().as_bytes(), &broker.at(now_ns)) else {
        panic!("no answer to the first message");
    };
    let (last, _) = client.prove(&first).expect("an answer");
    session.message(last.as_bytes(), &broker.at(now_ns))
}

fn plain(session: &mut SaslSession, broker: &Broker, message: &[u8], now_ns: u64) -> SaslStep {
    match session.message(message, &broker.at(now_ns)) {
        SaslStep::Password(mut check) => {
            while !check.stretch.advance(100) {}
            session.checked(check, &broker.at(now_ns))
        }
        other => other,
    }
}

#[track_caller]
fn failure(step: SaslStep) -> SaslFailure {
    match step {
        SaslStep::Failed(failure) => failure,
        SaslStep::Proven { .. } => panic!("it got in"),
        _ => panic!("it goes on"),
    }
}

#[track_caller]
fn lifetime(step: SaslStep) -> Option<u64> {
    match step {
        SaslStep::Proven { lifetime_ms, .. } => lifetime_ms,
        SaslStep::Failed(failure) => panic!("{failure}"),
        _ => panic!("it goes on"),
    }
}

#[test]
fn nothing_but_api_versions_is_served_before_a_proof_and_all_behind_it() {
    let (broker, mut session) = (Broker::new(), session());
    assert_eq!(session.admits(true, 0), SaslAdmission::Served);
    assert!(matches!(session.admits(false, 0), SaslAdmission::Refused(_)));
    assert_eq!(session.handshake("SCRAM-SHA-256", 1, 0), HandshakeAnswer::Chosen);
    assert!(matches!(session.admits(true, 0), SaslAdmission::Refused(_)), "an exchange is under way");
    assert_eq!(session.handshake("SCRAM-SHA-256", 1, 0), HandshakeAnswer::Illegal);
    let mut session = self::session();
    assert_eq!(lifetime(scram(&mut session, &broker, "anna", "pencil", 0)), None);
    assert_eq!(session.user(), Some("anna"));
    assert_eq!(session.admits(false, u64::MAX), SaslAdmission::Served, "nothing ends it");
}

#[test]
fn wrong_passwords_unknown_users_and_mechanisms_that_are_not_offered() {
    let broker = Broker::new();
    for (user, password) in [("anna", "eraser"), ("nobody", "pencil"), ("anna", "")] {
        let mut session = session();
        assert_eq!(failure(scram(&mut session, &broker, user, password, 0)), SaslFailure::Credentials);
        assert_eq!(session.user(), None);
        assert!(matches!(session.message(b"", &broker.at(0)), SaslStep::Illegal(_)), "it is over");
        assert_eq!(session.handshake("PLAIN", 1, 0), HandshakeAnswer::Illegal);
    }
    let mut only = SaslSession::new(vec![SCRAM]);
    assert_eq!(only.handshake("PLAIN", 1, 0), HandshakeAnswer::Unsupported);
    let mut none = session();
    assert!(matches!(none.message(b"\0anna\0pencil", &broker.at(0)), SaslStep::Illegal(_)), "no handshake");
}

#[test]
fn plain_is_checked_against_what_scram_keeps() {
    let broker = Broker::new();
    let try_it = |message: &[u8]| {
        let mut session = session();
        assert_eq!(session.handshake("PLAIN", 0, 0), HandshakeAnswer::Chosen);
        assert!(session.awaits_raw());
        let step = plain(&mut session, &broker, message, 0);
        let is_in = matches!(step, SaslStep::Proven { .. });
        assert_eq!(session.user().is_some(), is_in);
        is_in
    };
    assert!(try_it(b"\0anna\0pencil"));
    for wrong in [&b"\0anna\0pencils"[..], b"\0nobody\0pencil", b"bert\0anna\0pencil", b"anna", b""] {
        assert!(!try_it(wrong), "{wrong:?}");
    }
}

#[test]
fn a_token_counts_until_it_ends_and_ends_the_connection() {
    let broker = Broker::new();
    let bearer = |session: &mut SaslSession, token: &str, now_ns| {
        assert_eq!(session.handshake("OAUTHBEARER", 1, now_ns), HandshakeAnswer::Chosen);
        session.message(&BearerMessage::write(token), &broker.at(now_ns))
    };
    let mut session = session();
    assert_eq!(lifetime(bearer(&mut session, &broker.token("anna", 1600), 0)), Some(100_000));
    assert_eq!(session.ends_ns(), Some(100 * S));
    assert_eq!(session.admits(false, 100 * S - 1), SaslAdmission::Served);
    assert!(matches!(session.admits(false, 100 * S), SaslAdmission::Refused(_)));
    assert_eq!(lifetime(bearer(&mut session, &broker.token("anna", 1700), 90 * S)), Some(110_000));
    assert_eq!(session.ends_ns(), Some(200 * S));
    let mut late = self::session();
    let SaslStep::Reply(told) = bearer(&mut late, &broker.token("anna", 1400), 0) else {
        panic!("no answer")
    };
    assert_eq!(told, br#"{"status":"invalid_token"}"#);
    let failed = failure(late.message(b"\x01", &broker.at(0)));
    assert_eq!(failed, SaslFailure::Token(TokenError::Expired));
}

#[test]
fn an_authorization_id_must_be_the_tokens_user() {
    let (broker, mut session) = (Broker::new(), session());
    assert_eq!(session.handshake("OAUTHBEARER", 1, 0), HandshakeAnswer::Chosen);
    let message = format!("n,a=root,\x01auth=Bearer {}\x01\x01", broker.token("anna", 1600));
    assert!(matches!(session.message(message.as_bytes(), &broker.at(0)), SaslStep::Reply(_)));
    assert_eq!(failure(session.message(b"\x01", &broker.at(0))), SaslFailure::OtherName);
}

#[test]
fn a_proof_expires_and_may_be_made_again_by_the_same_user_and_mechanism() {
    let broker = Broker { reauth_max_ms: 60_000, ..Broker::new() };
    let mut session = session();
    assert_eq!(lifetime(scram(&mut session, &broker, "anna", "pencil", 0)), Some(60_000));
    assert_eq!(session.handshake("SCRAM-SHA-256", 1, S / 2), HandshakeAnswer::Illegal, "too soon");
    assert_eq!(session.admits(false, 60 * S - 1), SaslAdmission::Served);
    assert!(matches!(session.admits(false, 60 * S), SaslAdmission::Refused(_)));
    assert_eq!(session.ends_ns(), None, "an idle connection may wait with it");
    assert_eq!(lifetime(scram(&mut session, &broker, "anna", "pencil", 70 * S)), Some(60_000));
    assert_eq!(session.admits(false, 129 * S), SaslAdmission::Served);
    assert_eq!(failure(scram(&mut session, &broker, "bert", "eraser", 80 * S)), SaslFailure::OtherUser);
    let mut session = self::session();
    assert_eq!(lifetime(scram(&mut session, &broker, "anna", "pencil", 0)), Some(60_000));
    assert_eq!(session.handshake("PLAIN", 1, 2 * S), HandshakeAnswer::Chosen);
    assert!(matches!(session.admits(false, 2 * S), SaslAdmission::Refused(_)), "while it proves itself");
    let other = plain(&mut session, &broker, b"\0anna\0pencil", 2 * S);
    assert_eq!(failure(other), SaslFailure::OtherMechanism);
}
