//! The client's side of SCRAM, for the commands and the load generator: in its order, each step's type leads to the
//! next one.

use super::scram_keys::{ScramDigest, ScramKeys, hmac};
use super::scram_message::{SaslMalformed, encode_name};
use super::stretch::Stretch;
use base64::prelude::{BASE64_STANDARD, Engine};
use engine::control::credentials::Mechanism;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// As many as Kafka allows: a server that asks for more only wants to keep us busy.
const ITERATIONS_MAX: u32 = 16_384;
/// Fewer would make the proof a gift to whoever guesses passwords (RFC 7677).
const ITERATIONS_MIN: u32 = 4096;

/// Before the server's first message.
pub struct ScramClient {
    hash: Mechanism,
    bare: String,
    nonce: String,
    password: Zeroizing<Vec<u8>>,
}

/// Before its second one.
pub struct ScramClientProof {
    signature: ScramDigest,
}

impl ScramClient {
    /// `nonce` is printable, without commas, and new each time.
    pub fn new(hash: Mechanism, user: &str, password: &[u8], nonce: &str) -> Self {
        assert!(
            !nonce.is_empty() && nonce.bytes().all(|byte| byte.is_ascii_graphic() && byte != b','),
            "no nonce"
        );
        let bare = format!("n={},r={nonce}", encode_name(user));
        Self { hash, bare, nonce: nonce.to_owned(), password: Zeroizing::new(password.to_vec()) }
    }

    pub fn first(&self) -> String {
        format!("n,,{}", self.bare)
    }

    /// Takes the server's first message; gives what to send, and what comes after.
    pub fn prove(self, server_first: &[u8]) -> Result<(String, ScramClientProof), SaslMalformed> {
        let text = core::str::from_utf8(server_first).map_err(|_| SaslMalformed("not UTF-8"))?;
        let mut attributes = text.split(',');
        let mut attribute = |name: &str| attributes.next().and_then(|next| next.strip_prefix(name));
        let nonce = attribute("r=").ok_or(SaslMalformed("no nonce"))?;
        let salt = attribute("s=").ok_or(SaslMalformed("no salt"))?;
        let iterations: Option<u32> = attribute("i=").and_then(|number| number.parse().ok());
        let in_range = |rounds: &u32| (ITERATIONS_MIN..=ITERATIONS_MAX).contains(rounds);
        let iterations =
            iterations.filter(in_range).ok_or(SaslMalformed("iterations beyond 4096 to 16384"))?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err(SaslMalformed("not the nonce that was sent"));
        }
        let salt = BASE64_STANDARD.decode(salt).map_err(|_| SaslMalformed("a salt that is not base64"))?;
        let hash = self.hash;
        let salted = Stretch::new(hash, &self.password, &salt, iterations).finish();
        let keys = ScramKeys::of_salted_password(hash, salted.as_bytes());
        let without_proof = format!("c=biws,r={nonce}");
        let signed = format!("{},{text},{without_proof}", self.bare);
        let mut proof = hmac(hash, salted.as_bytes(), &[b"Client Key"]);
        proof.xor(&hmac(hash, keys.stored_key.as_bytes(), &[signed.as_bytes()]));
        let message = format!("{without_proof},p={}", BASE64_STANDARD.encode(proof.as_bytes()));
        Ok((message, ScramClientProof { signature: keys.signature(&[signed.as_bytes()]) }))
    }
}

impl ScramClientProof {
    /// Whether the server proved that it knows the password: one that does not is another one.
    pub fn is_answered_by(&self, server_final: &[u8]) -> bool {
        let Some(said) = server_final.strip_prefix(b"v=") else { return false };
        let expected = BASE64_STANDARD.encode(self.signature.as_bytes());
        bool::from(said.ct_eq(expected.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_7677() {
        let client = ScramClient::new(Mechanism::ScramSha256, "user", b"pencil", "rOprNGfwEbeRWgbNEkqO");
        assert_eq!(client.first(), "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let server_first =
            b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let (message, proof) = client.prove(server_first).expect("an answer");
        assert_eq!(
            message,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert!(proof.is_answered_by(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
        assert!(!proof.is_answered_by(b"v=7rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
        assert!(!proof.is_answered_by(b"e=invalid-proof"));
    }

    #[test]
    fn a_server_that_is_none_learns_nothing() {
        let prove = |server_first: &str| {
            ScramClient::new(Mechanism::ScramSha256, "user", b"pencil", "nonce")
                .prove(server_first.as_bytes())
                .is_err()
        };
        assert!(!prove("r=nonce2,s=c2FsdA==,i=4096"));
        assert!(prove("r=nonce,s=c2FsdA==,i=4096"), "no nonce of its own");
        assert!(prove("r=other,s=c2FsdA==,i=4096"));
        assert!(prove("r=nonce2,s=c2FsdA==,i=1"), "a proof that is easily guessed from");
        assert!(prove("r=nonce2,s=c2FsdA==,i=4000000000"), "work for an hour");
        assert!(prove("r=nonce2,s=!,i=4096"));
        assert!(prove("e=other-error"));
    }
}
