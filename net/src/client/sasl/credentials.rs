//! Where the mechanisms look users up, and what they get for names that are nobody's: answers that look the same.

use super::scram_keys::{ScramDigest, ScramHash, ScramKeys};

/// Rounds of the answers for names that are nobody's: what users get who are made without a number.
const DECOY_ITERATIONS: u32 = 8192;
/// Bytes of their salts, as long as those that `duramen user create` draws.
const DECOY_SALT_BYTES: usize = 16;

/// What SCRAM knows of a user under one hash.
#[derive(Clone)]
pub struct ScramCredential {
    pub salt: Vec<u8>,
    pub iterations: u32,
    pub keys: ScramKeys,
}

/// The users.
pub trait ScramUsers {
    /// `None` where there is no such user, or none with a credential of this hash.
    fn scram(&self, user: &str, hash: ScramHash) -> Option<ScramCredential>;
}

/// Gives what nobody has, always the same for a name: who asks cannot tell it from a user.
#[derive(Clone)]
pub struct Decoys {
    key: ScramDigest,
}

impl Decoys {
    /// `secret` is the cluster's, so that its nodes do not give each other away.
    pub fn new(secret: &[u8]) -> Self {
        Self { key: ScramHash::Sha256.hmac(secret, &[b"duramen: users that are none"]) }
    }

    pub fn of(&self, user: &str, hash: ScramHash) -> ScramCredential {
        let drawn = |what: &[u8]| {
            let parts = [what, hash.mechanism().as_bytes(), b"\0", user.as_bytes()];
            hash.hmac(self.key.as_bytes(), &parts)
        };
        ScramCredential {
            salt: drawn(b"salt\0").as_bytes()[..DECOY_SALT_BYTES].to_vec(),
            iterations: DECOY_ITERATIONS,
            keys: ScramKeys { hash, stored_key: drawn(b"stored\0"), server_key: drawn(b"server\0") },
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::client::sasl::stretch::Stretch;
    use std::collections::BTreeMap;

    /// Users with a password each, under both hashes.
    #[derive(Default)]
    pub struct Known(BTreeMap<(String, ScramHash), ScramCredential>);

    impl Known {
        pub fn with(mut self, user: &str, password: &str) -> Self {
            for hash in [ScramHash::Sha256, ScramHash::Sha512] {
                let (salt, iterations) = (b"a salt".to_vec(), 4096);
                let salted = Stretch::new(hash, password.as_bytes(), &salt, iterations).finish();
                let keys = ScramKeys::of_salted_password(hash, &salted);
                self.0.insert((user.to_owned(), hash), ScramCredential { salt, iterations, keys });
            }
            self
        }
    }

    impl ScramUsers for Known {
        fn scram(&self, user: &str, hash: ScramHash) -> Option<ScramCredential> {
            self.0.get(&(user.to_owned(), hash)).cloned()
        }
    }

    #[test]
    fn a_name_that_is_nobodys_gets_the_same_salt_each_time_and_on_each_node() {
        let salt = |secret: &[u8], user: &str, hash| Decoys::new(secret).of(user, hash).salt;
        assert_eq!(salt(b"one", "anna", ScramHash::Sha256), salt(b"one", "anna", ScramHash::Sha256));
        assert_ne!(salt(b"one", "anna", ScramHash::Sha256), salt(b"one", "bert", ScramHash::Sha256));
        assert_ne!(salt(b"one", "anna", ScramHash::Sha256), salt(b"one", "anna", ScramHash::Sha512));
        assert_ne!(salt(b"one", "anna", ScramHash::Sha256), salt(b"two", "anna", ScramHash::Sha256));
    }

    #[test]
    fn who_learned_a_decoys_salt_cannot_prove_anything_with_it() {
        let decoy = Decoys::new(b"one").of("anna", ScramHash::Sha256);
        let salted = Stretch::new(ScramHash::Sha256, b"", &decoy.salt, decoy.iterations).finish();
        let keys = ScramKeys::of_salted_password(ScramHash::Sha256, &salted);
        assert!(!keys.stored_key.is(&decoy.keys.stored_key));
    }
}
