//! The server's side of one SCRAM exchange: two messages come, two go.

use super::credentials::{Decoys, ScramCredential, ScramUsers};
use super::scram_message::{ClientFinal, ClientFirst, SaslMalformed};
use base64::prelude::{BASE64_STANDARD, Engine};
use engine::control::credentials::Mechanism;

/// Between the two messages of the client.
pub struct ScramExchange {
    hash: Mechanism,
    user: String,
    is_known: bool,
    credential: ScramCredential,
    gs2_header: String,
    client_first_bare: String,
    server_first: String,
    nonce: String,
}

/// Who the client proved to be, and what tells it that this side knew the password, too.
#[derive(Debug, PartialEq, Eq)]
pub struct ScramProven {
    pub user: String,
    pub message: Vec<u8>,
}

impl ScramExchange {
    /// Takes the first message; gives the exchange and what to send. A name that is nobody's is answered alike.
    /// `server_nonce` must be new each time.
    pub fn begin(
        hash: Mechanism,
        message: &[u8],
        server_nonce: &[u8],
        users: &dyn ScramUsers,
        decoys: &Decoys,
    ) -> Result<(Self, Vec<u8>), SaslMalformed> {
        let first = ClientFirst::read(message)?;
        // Made in any case, so that it takes as long for a user as for nobody.
        let decoy = decoys.of(&first.user, hash);
        let found = users.scram(&first.user, hash);
        let is_known = found.is_some();
        let credential = found.unwrap_or(decoy);
        assert!(credential.keys.hash == hash, "a credential of another hash");
        let nonce = format!("{}{}", first.nonce, BASE64_STANDARD.encode(server_nonce));
        let salt = BASE64_STANDARD.encode(&credential.salt);
        let server_first = format!("r={nonce},s={salt},i={}", credential.iterations);
        let answer = server_first.clone().into_bytes();
        let exchange = Self {
            hash,
            is_known,
            credential,
            gs2_header: first.gs2_header.to_owned(),
            client_first_bare: first.bare.to_owned(),
            user: first.user,
            server_first,
            nonce,
        };
        Ok((exchange, answer))
    }

    /// Takes the second one; `None` when it proves nothing.
    pub fn finish(self, message: &[u8]) -> Result<Option<ScramProven>, SaslMalformed> {
        let last = ClientFinal::read(message, self.hash, &self.gs2_header)?;
        // Ends with, as in Kafka: librdkafka before 2.6.1 puts its own part before it once more. What is signed below
        // has all of it.
        if !last.nonce.ends_with(&self.nonce) {
            return Err(SaslMalformed("not the nonce of this exchange"));
        }
        let signed = format!("{},{},{}", self.client_first_bare, self.server_first, last.without_proof);
        let keys = &self.credential.keys;
        let proven = keys.proves(&[signed.as_bytes()], &last.proof);
        if !(proven & self.is_known) {
            return Ok(None);
        }
        let signature = keys.signature(&[signed.as_bytes()]);
        let message = format!("v={}", BASE64_STANDARD.encode(signature.as_bytes())).into_bytes();
        Ok(Some(ScramProven { user: self.user, message }))
    }

    /// Whom it was about, for the log.
    pub fn user(&self) -> &str {
        &self.user
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::sasl::credentials::tests::Known;
    use crate::client::sasl::scram_client::ScramClient;
    use crate::client::sasl::scram_keys::{ScramKeys, hmac};
    use crate::client::sasl::stretch::Stretch;

    /// RFC 7677, section 3, whose server's nonce is not base64: its messages are checked in `scram_keys`.
    struct Rfc;

    impl ScramUsers for Rfc {
        fn scram(&self, user: &str, hash: Mechanism) -> Option<ScramCredential> {
            let salt = BASE64_STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").expect("base64");
            let salted = Stretch::new(hash, b"pencil", &salt, 4096).finish();
            let keys = ScramKeys::of_salted_password(hash, salted.as_bytes());
            (user == "user").then_some(ScramCredential { salt, iterations: 4096, keys })
        }
    }

    fn begun(message: &str) -> (ScramExchange, String) {
        let decoys = Decoys::new(b"secret");
        let (exchange, answer) =
            ScramExchange::begin(Mechanism::ScramSha256, message.as_bytes(), b"server", &Rfc, &decoys)
                .expect("taken");
        (exchange, String::from_utf8(answer).expect("text"))
    }

    #[test]
    fn the_first_answer_has_both_nonces_the_salt_and_the_rounds() {
        let (_, answer) = begun("n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        assert_eq!(answer, "r=rOprNGfwEbeRWgbNEkqOc2VydmVy,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
        let (exchange, answer) = begun("n,,n=nobody,r=x");
        assert!(answer.starts_with("r=xc2VydmVy,s=") && answer.ends_with(",i=8192"), "{answer}");
        assert_eq!(exchange.user(), "nobody");
    }

    fn exchange(hash: Mechanism, user: &str, password: &str) -> Option<String> {
        let (users, decoys) = (Known::default().with("anna", "pencil"), Decoys::new(b"secret"));
        let client = ScramClient::new(hash, user, password.as_bytes(), "client");
        let (server, first) =
            ScramExchange::begin(hash, client.first().as_bytes(), b"server", &users, &decoys).expect("taken");
        let (last, client) = client.prove(&first).expect("an answer");
        let proven = server.finish(last.as_bytes()).expect("whole")?;
        assert!(client.is_answered_by(&proven.message), "the server knows it, too");
        Some(proven.user)
    }

    #[test]
    fn who_knows_the_password_gets_in_and_nobody_else() {
        for hash in [Mechanism::ScramSha256, Mechanism::ScramSha512] {
            assert_eq!(exchange(hash, "anna", "pencil"), Some("anna".to_owned()));
            assert_eq!(exchange(hash, "anna", "pencils"), None);
            assert_eq!(exchange(hash, "bert", "pencil"), None);
        }
    }

    #[test]
    fn a_nonce_with_the_clients_part_twice_is_taken_as_librdkafka_sends_it() {
        let users = Known::default().with("anna", "pencil");
        let decoys = Decoys::new(b"secret");
        let keys = users.scram("anna", Mechanism::ScramSha256).expect("there");
        let first = b"n,,n=anna,r=client";
        let (server, answer) =
            ScramExchange::begin(Mechanism::ScramSha256, first, b"server", &users, &decoys).expect("taken");
        let nonce = "clientclientc2VydmVy";
        let signed = format!("n=anna,r=client,{},c=biws,r={nonce}", String::from_utf8(answer).expect("text"));
        let salted = Stretch::new(Mechanism::ScramSha256, b"pencil", &keys.salt, keys.iterations).finish();
        let mut proof = hmac(Mechanism::ScramSha256, salted.as_bytes(), &[b"Client Key"]);
        let stored = keys.keys.stored_key.as_bytes();
        proof.xor(&hmac(Mechanism::ScramSha256, stored, &[signed.as_bytes()]));
        let last = format!("c=biws,r={nonce},p={}", BASE64_STANDARD.encode(proof.as_bytes()));
        assert_eq!(server.finish(last.as_bytes()).expect("whole").expect("proven").user, "anna");
    }

    #[test]
    fn a_proof_of_another_exchange_is_no_proof() {
        let users = Known::default().with("anna", "pencil");
        let decoys = Decoys::new(b"secret");
        let begin = |nonce: &[u8]| {
            let client = ScramClient::new(Mechanism::ScramSha256, "anna", b"pencil", "client");
            let first = client.first();
            let (server, answer) =
                ScramExchange::begin(Mechanism::ScramSha256, first.as_bytes(), nonce, &users, &decoys)
                    .expect("taken");
            (server, client.prove(&answer).expect("an answer").0)
        };
        let (_, heard) = begin(b"one");
        let (server, _) = begin(b"two");
        assert!(server.finish(heard.as_bytes()).is_err(), "replayed");
    }
}
