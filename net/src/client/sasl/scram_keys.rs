//! What SCRAM makes of a password (RFC 5802, section 3): the salted password, and the two keys that are kept in its
//! place. Whoever reads them can check a password and cannot log in with them.

use engine::control::credentials::{Credential, Mechanism};
use ring::{digest, hmac};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// The iterations that a new credential gets where nobody says: twice Kafka's own, which a client pays at each log-in.
pub const ITERATIONS_DEFAULT: u32 = 8_192;

/// The longest digest.
const DIGEST_BYTES_MAX: usize = 64;

fn hmac_of(hash: Mechanism) -> hmac::Algorithm {
    match hash {
        Mechanism::ScramSha256 => hmac::HMAC_SHA256,
        Mechanism::ScramSha512 => hmac::HMAC_SHA512,
    }
}

pub fn digest(hash: Mechanism, data: &[u8]) -> ScramDigest {
    ScramDigest::of(digest::digest(hmac_of(hash).digest_algorithm(), data).as_ref())
}

/// Of these, one behind the other.
pub fn hmac(hash: Mechanism, key: &[u8], parts: &[&[u8]]) -> ScramDigest {
    KeyedHash::new(hash, key).of(parts)
}

/// A digest of either length. It may be secret: it is compared in constant time, shown by nothing, and wiped.
#[derive(Clone)]
pub struct ScramDigest {
    bytes: [u8; DIGEST_BYTES_MAX],
    len: usize,
}

impl ScramDigest {
    fn of(digest: &[u8]) -> Self {
        assert!(digest.len() <= DIGEST_BYTES_MAX, "a digest of {} bytes", digest.len());
        let mut bytes = [0; DIGEST_BYTES_MAX];
        bytes[..digest.len()].copy_from_slice(digest);
        Self { bytes, len: digest.len() }
    }

    /// What was kept; `None` where it is no digest of this hash.
    pub fn from_bytes(hash: Mechanism, bytes: &[u8]) -> Option<Self> {
        (bytes.len() == hash.digest_bytes()).then(|| Self::of(bytes))
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// Both must be of one hash.
    pub fn xor(&mut self, other: &Self) {
        assert_eq!(self.len, other.len, "digests of two hashes");
        self.bytes.iter_mut().zip(&other.bytes).for_each(|(byte, with)| *byte ^= with);
    }

    /// In a time that does not depend on what they are.
    pub fn is(&self, other: &Self) -> bool {
        self.len == other.len && bool::from(self.bytes.ct_eq(&other.bytes))
    }
}

impl Drop for ScramDigest {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

/// HMAC under one key, which is worked into it once however often it is used.
pub struct KeyedHash(hmac::Key);

impl KeyedHash {
    pub fn new(hash: Mechanism, key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac_of(hash), key))
    }

    /// Of these, one behind the other.
    pub fn of(&self, parts: &[&[u8]]) -> ScramDigest {
        let mut mac = hmac::Context::with_key(&self.0);
        parts.iter().for_each(|part| mac.update(part));
        ScramDigest::of(mac.sign().as_ref())
    }
}

/// What is kept of a password: enough to check who knows it, not enough to be who knows it.
#[derive(Clone)]
pub struct ScramKeys {
    pub hash: Mechanism,
    pub stored_key: ScramDigest,
    pub server_key: ScramDigest,
}

impl ScramKeys {
    /// From PBKDF2's result, or what a client says that it is.
    pub fn of_salted_password(hash: Mechanism, salted: &[u8]) -> Self {
        let client_key = hmac(hash, salted, &[b"Client Key"]);
        Self {
            hash,
            stored_key: digest(hash, client_key.as_bytes()),
            server_key: hmac(hash, salted, &[b"Server Key"]),
        }
    }

    /// As the metadata keeps them, with how the password was salted.
    pub fn credential(&self, iterations: u32, salt: &[u8]) -> Credential {
        Credential {
            iterations,
            salt: salt.to_vec(),
            stored_key: self.stored_key.as_bytes().to_vec(),
            server_key: self.server_key.as_bytes().to_vec(),
        }
    }

    /// Whether who made this proof of `auth_message` knows the password.
    pub fn proves(&self, auth_message: &[&[u8]], proof: &ScramDigest) -> bool {
        let signature = hmac(self.hash, self.stored_key.as_bytes(), auth_message);
        let mut client_key = proof.clone();
        client_key.xor(&signature);
        digest(self.hash, client_key.as_bytes()).is(&self.stored_key)
    }

    /// What proves to the client that this side knows it, too.
    pub fn signature(&self, auth_message: &[&[u8]]) -> ScramDigest {
        hmac(self.hash, self.server_key.as_bytes(), auth_message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::sasl::stretch::Stretch;

    #[test]
    fn what_is_kept_has_the_mechanisms_length() {
        for mechanism in Mechanism::ALL {
            let kept = ScramKeys::of_salted_password(mechanism, b"salted").credential(4_096, b"salt");
            assert_eq!(kept.stored_key.len(), mechanism.digest_bytes());
            assert_eq!(kept.server_key.len(), mechanism.digest_bytes());
            assert_ne!(kept.stored_key, kept.server_key);
            assert_eq!((kept.iterations, kept.salt), (4_096, b"salt".to_vec()));
        }
    }

    #[test]
    fn keys_of_rfc_7677_prove_and_a_changed_proof_does_not() {
        use base64::prelude::{BASE64_STANDARD, Engine};
        let salt = BASE64_STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").expect("base64");
        let salted = Stretch::new(Mechanism::ScramSha256, b"pencil", &salt, 4096).finish();
        let keys = ScramKeys::of_salted_password(Mechanism::ScramSha256, salted.as_bytes());
        let message: [&[u8]; 3] = [
            b"n=user,r=rOprNGfwEbeRWgbNEkqO,",
            b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,",
            b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        ];
        let proof = BASE64_STANDARD.decode("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=").expect("base64");
        let proof = ScramDigest::from_bytes(Mechanism::ScramSha256, &proof).expect("its length");
        assert!(keys.proves(&message, &proof));
        let signature = BASE64_STANDARD.encode(keys.signature(&message).as_bytes());
        assert_eq!(signature, "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        let mut wrong = proof.clone();
        wrong.bytes[31] ^= 1;
        assert!(!keys.proves(&message, &wrong));
        assert!(ScramDigest::from_bytes(Mechanism::ScramSha512, proof.as_bytes()).is_none());
    }
}
