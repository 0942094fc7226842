//! Where the mechanisms look users up, and what they get for names that are nobody's: answers that look the same.

use super::scram_keys::{ScramDigest, ScramKeys, hmac};
use engine::control::View;
use engine::control::credentials::{Credential, Mechanism};

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
    fn scram(&self, user: &str, hash: Mechanism) -> Option<ScramCredential>;
}

impl ScramUsers for View {
    fn scram(&self, user: &str, hash: Mechanism) -> Option<ScramCredential> {
        let Credential { iterations, salt, stored_key, server_key } = self.credential(user, hash)?;
        const CHECKED: &str = "the metadata checked its length";
        let keys = ScramKeys {
            hash,
            stored_key: ScramDigest::from_bytes(hash, stored_key).expect(CHECKED),
            server_key: ScramDigest::from_bytes(hash, server_key).expect(CHECKED),
        };
        Some(ScramCredential { salt: salt.clone(), iterations: *iterations, keys })
    }
}

/// Gives what nobody has, always the same for a name: who asks cannot tell it from a user.
#[derive(Clone)]
pub struct Decoys {
    key: ScramDigest,
}

impl Decoys {
    /// `secret` is the cluster's, so that its nodes do not give each other away.
    pub fn new(secret: &[u8]) -> Self {
        Self { key: hmac(Mechanism::ScramSha256, secret, &[b"duramen: users that are none"]) }
    }

    pub fn of(&self, user: &str, hash: Mechanism) -> ScramCredential {
        let drawn = |what: &[u8]| {
            let parts = [what, hash.name().as_bytes(), b"\0", user.as_bytes()];
            hmac(hash, self.key.as_bytes(), &parts)
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
    pub struct Known(BTreeMap<(String, Mechanism), ScramCredential>);

    impl Known {
        pub fn with(mut self, user: &str, password: &str) -> Self {
            for hash in [Mechanism::ScramSha256, Mechanism::ScramSha512] {
                let (salt, iterations) = (b"a salt".to_vec(), 4096);
                let salted = Stretch::new(hash, password.as_bytes(), &salt, iterations).finish();
                let keys = ScramKeys::of_salted_password(hash, salted.as_bytes());
                self.0.insert((user.to_owned(), hash), ScramCredential { salt, iterations, keys });
            }
            self
        }
    }

    impl ScramUsers for Known {
        fn scram(&self, user: &str, hash: Mechanism) -> Option<ScramCredential> {
            self.0.get(&(user.to_owned(), hash)).cloned()
        }
    }

    #[test]
    fn what_the_metadata_keeps_of_a_user_is_what_is_checked() {
        let salted = Stretch::new(Mechanism::ScramSha256, b"pencil", b"salt", 4096).finish();
        let keys = ScramKeys::of_salted_password(Mechanism::ScramSha256, salted.as_bytes());
        let kept = keys.credential(4096, b"salt");
        let mut view = View::default();
        let of = [(Mechanism::ScramSha256, kept)].into();
        view.credentials = std::sync::Arc::new([("anna".to_owned(), of)].into());
        let found = view.scram("anna", Mechanism::ScramSha256).expect("there");
        assert!(found.keys.stored_key.is(&keys.stored_key) && found.keys.server_key.is(&keys.server_key));
        assert_eq!((found.salt, found.iterations), (b"salt".to_vec(), 4096));
        assert!(view.scram("anna", Mechanism::ScramSha512).is_none());
        assert!(view.scram("bert", Mechanism::ScramSha256).is_none());
    }

    #[test]
    fn a_name_that_is_nobodys_gets_the_same_salt_each_time_and_on_each_node() {
        let salt = |secret: &[u8], user: &str, hash| Decoys::new(secret).of(user, hash).salt;
        assert_eq!(
            salt(b"one", "anna", Mechanism::ScramSha256),
            salt(b"one", "anna", Mechanism::ScramSha256)
        );
        assert_ne!(
            salt(b"one", "anna", Mechanism::ScramSha256),
            salt(b"one", "bert", Mechanism::ScramSha256)
        );
        assert_ne!(
            salt(b"one", "anna", Mechanism::ScramSha256),
            salt(b"one", "anna", Mechanism::ScramSha512)
        );
        assert_ne!(
            salt(b"one", "anna", Mechanism::ScramSha256),
            salt(b"two", "anna", Mechanism::ScramSha256)
        );
    }

    #[test]
    fn who_learned_a_decoys_salt_cannot_prove_anything_with_it() {
        let decoy = Decoys::new(b"one").of("anna", Mechanism::ScramSha256);
        let salted = Stretch::new(Mechanism::ScramSha256, b"", &decoy.salt, decoy.iterations).finish();
        let keys = ScramKeys::of_salted_password(Mechanism::ScramSha256, salted.as_bytes());
        assert!(!keys.stored_key.is(&decoy.keys.stored_key));
    }
}
