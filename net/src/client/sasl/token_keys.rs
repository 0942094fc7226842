//! The keys that sign tokens: a JWKS file (RFC 7517), and what of it can check the three algorithms that are taken.

use jsonwebtoken::crypto::{CryptoProvider, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, RsaParameters,
    RsaPublicKeyComponents, UnparsedPublicKey,
};

/// A longer file is another one.
pub const TOKEN_KEYS_BYTES_MAX: usize = 256 << 10;
/// An issuer has two or three at a time: one that signs, and those that did.
const KEYS_MAX: usize = 64;
/// Checking a signature of 4,096 bits takes 0.1 ms, and a shard does nothing else meanwhile.
const RSA_BYTES: core::ops::RangeInclusive<usize> = 2048 / 8..=4096 / 8;

/// One key, and what it may check.
struct TokenKey {
    id: Option<String>,
    algorithms: &'static [Algorithm],
    key: DecodingKey,
}

/// All keys of a file.
pub struct TokenKeys(Vec<TokenKey>);

/// Why a file has no keys, in words for the operator.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TokenKeysError(String);

impl TokenKeys {
    /// Keys of other kinds and for other uses are passed over; a file with no key of ours is an error.
    pub fn parse(text: &str) -> Result<Self, TokenKeysError> {
        install_provider();
        if text.len() > TOKEN_KEYS_BYTES_MAX {
            return Err(TokenKeysError(format!("it is longer than {} KiB", TOKEN_KEYS_BYTES_MAX >> 10)));
        }
        let set: JwkSet = serde_json::from_str(text)
            .map_err(|error| TokenKeysError(format!("no JSON Web Key Set: {error}")))?;
        let keys: Vec<TokenKey> = set.keys.iter().filter_map(TokenKey::of).collect();
        if keys.is_empty() {
            let of = set.keys.len();
            return Err(TokenKeysError(format!(
                "none of its {of} keys is for RS256, PS256 (RSA, 2048 to 4096 bits) or ES256 (P-256)"
            )));
        }
        if keys.len() > KEYS_MAX {
            return Err(TokenKeysError(format!("it has more than {KEYS_MAX} keys")));
        }
        Ok(Self(keys))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The key that a token names; where it names none there must be one alone that it can be.
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&DecodingKey> {
        assert!(!self.0.is_empty(), "a set without a key is refused");
        let may_check = |key: &&TokenKey| key.algorithms.contains(&algorithm);
        let mut fitting =
            self.0.iter().filter(may_check).filter(|key| id.is_none() || key.id.as_deref() == id);
        let found = fitting.next()?;
        fitting.next().is_none().then_some(&found.key)
    }
}

impl TokenKey {
    fn of(jwk: &Jwk) -> Option<Self> {
        if !matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
            return None;
        }
        let key = DecodingKey::from_jwk(jwk).ok()?;
        let algorithms: &'static [Algorithm] = match (&jwk.algorithm, jwk.common.key_algorithm) {
            (AlgorithmParameters::RSA(_), None) => &[Algorithm::RS256, Algorithm::PS256],
            (AlgorithmParameters::RSA(_), Some(KeyAlgorithm::RS256)) => &[Algorithm::RS256],
            (AlgorithmParameters::RSA(_), Some(KeyAlgorithm::PS256)) => &[Algorithm::PS256],
            (AlgorithmParameters::EllipticCurve(curve), None | Some(KeyAlgorithm::ES256))
                if curve.curve == EllipticCurve::P256 =>
            {
                &[Algorithm::ES256]
            }
            _ => return None,
        };
        let has_size = match key.kind() {
            DecodingKeyKind::RsaModulusExponent { n, .. } => RSA_BYTES.contains(&n.len()),
            DecodingKeyKind::SecretOrDer(point) => point.len() == 1 + 2 * 32,
        };
        has_size.then(|| Self { id: jwk.common.key_id.clone(), algorithms, key })
    }
}

/// What checks signatures: ring, and of the algorithms those three alone.
static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |_, _| Err(ErrorKind::UnsupportedAlgorithm.into()),
    verifier_factory,
    key_utils: KeyUtils::new_unimplemented(),
};

fn install_provider() {
    // Once it is there it stays, and there is no other one in this process.
    let _ = PROVIDER.install_default();
}

fn verifier_factory(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>, Error> {
    match algorithm {
        Algorithm::RS256 | Algorithm::PS256 | Algorithm::ES256 => {
            Ok(Box::new(RingVerifier { algorithm: *algorithm, key: key.clone() }))
        }
        _ => Err(ErrorKind::UnsupportedAlgorithm.into()),
    }
}

struct RingVerifier {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl signature::Verifier<Vec<u8>> for RingVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), signature::Error> {
        let rsa = |parameters: &'static RsaParameters| match self.key.kind() {
            DecodingKeyKind::RsaModulusExponent { n, e } => {
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature)
            }
            DecodingKeyKind::SecretOrDer(_) => Err(ring::error::Unspecified),
        };
        let checked = match (self.algorithm, self.key.kind()) {
            (Algorithm::RS256, _) => rsa(&RSA_PKCS1_2048_8192_SHA256),
            (Algorithm::PS256, _) => rsa(&RSA_PSS_2048_8192_SHA256),
            (Algorithm::ES256, DecodingKeyKind::SecretOrDer(point)) => {
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message, signature)
            }
            _ => Err(ring::error::Unspecified),
        };
        checked.map_err(|_| signature::Error::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const P256: &str = r#""kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0""#;

    fn parse(keys: &[String]) -> Result<TokenKeys, TokenKeysError> {
        TokenKeys::parse(&format!(r#"{{"keys":[{}]}}"#, keys.join(",")))
    }

    fn rsa(bytes: usize, rest: &str) -> String {
        use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
        let n = BASE64_URL_SAFE_NO_PAD.encode(vec![0xc1; bytes]);
        format!(r#"{{"kty":"RSA","n":"{n}","e":"AQAB"{rest}}}"#)
    }

    #[test]
    fn keys_of_the_three_algorithms_are_taken_and_others_passed_over() {
        let keys = parse(&[
            format!(r#"{{{P256},"kid":"ec","use":"sig"}}"#),
            rsa(256, r#","kid":"rsa","alg":"RS256""#),
            rsa(512, r#","kid":"both""#),
            format!(r#"{{{P256},"kid":"enc","use":"enc"}}"#),
            rsa(128, r#","kid":"short""#),
            rsa(1024, r#","kid":"long""#),
            rsa(256, r#","kid":"rs512","alg":"RS512""#),
            r#"{"kty":"oct","k":"c2VjcmV0","kid":"hmac","alg":"HS256"}"#.to_owned(),
        ])
        .expect("three keys");
        assert_eq!(keys.len(), 3);
        let finds = |id, algorithm| keys.find(id, algorithm).is_some();
        assert!(finds(Some("ec"), Algorithm::ES256) && finds(Some("rsa"), Algorithm::RS256));
        assert!(finds(Some("both"), Algorithm::PS256) && finds(Some("both"), Algorithm::RS256));
        assert!(!finds(Some("rsa"), Algorithm::PS256) && !finds(Some("ec"), Algorithm::RS256));
        assert!(!finds(Some("hmac"), Algorithm::HS256) && !finds(Some("nobody"), Algorithm::ES256));
        assert!(finds(None, Algorithm::ES256), "the only one");
        assert!(!finds(None, Algorithm::RS256), "one of two");
    }

    #[test]
    fn a_file_without_a_key_of_ours_says_so() {
        let error = |text: &str| TokenKeys::parse(text).err().expect("refused").to_string();
        assert!(error("{}").contains("no JSON Web Key Set"));
        assert!(error(r#"{"keys":[]}"#).contains("none of its 0 keys"));
        assert!(error(&" ".repeat(TOKEN_KEYS_BYTES_MAX + 1)).contains("longer than 256 KiB"));
        let many: Vec<String> = (0..=KEYS_MAX).map(|_| format!("{{{P256}}}")).collect();
        assert!(parse(&many).is_err());
    }
}
