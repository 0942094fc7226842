//! Whoever issues tokens: a key of its own, and what a broker is told of it.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

pub struct TokenIssuer(EcdsaKeyPair);

impl TokenIssuer {
    pub fn generate() -> Self {
        let random = SystemRandom::new();
        let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("a key");
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, made.as_ref(), &random);
        Self(pair.expect("a key"))
    }

    /// Writes the JWKS file.
    pub fn write_keys(&self, path: &Path) {
        let point = self.0.public_key().as_ref();
        let part = |from: usize| BASE64_URL_SAFE_NO_PAD.encode(&point[from..from + 32]);
        let key = json!({"kty": "EC", "crv": "P-256", "kid": "k", "x": part(1), "y": part(33)});
        std::fs::write(path, json!({"keys": [key]}).to_string()).expect("written");
        let only_owner_writes = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        std::fs::set_permissions(path, only_owner_writes).expect("owned");
    }

    /// For `user`, from now on for so long.
    pub fn token(&self, user: &str, seconds: u64) -> String {
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
        let claims =
            json!({"sub": user, "iss": "tests", "aud": "duramen", "iat": now_s, "exp": now_s + seconds});
        let header = json!({"alg": "ES256", "kid": "k", "typ": "JWT"});
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&header), part(&claims));
        let signature = self.0.sign(&SystemRandom::new(), message.as_bytes()).expect("signed");
        format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature.as_ref()))
    }
}
