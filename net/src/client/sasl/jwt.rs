//! What a token is worth (RFC 7519): signed by one of the keys, for this audience, by this issuer, at this time; and
//! whom it names. The signature is the library's; the claims are ours, because time comes in from outside.

use super::token_keys::TokenKeys;
use jsonwebtoken::{Algorithm, Validation};
use serde_json::{Map, Value};

/// Longer ones are nobody's: the whole message must fit what a client may send before it is known.
pub const TOKEN_BYTES_MAX: usize = 32 << 10;
/// A name that is longer is no user's (see `engine::control::quotas`).
const PRINCIPAL_BYTES_MAX: usize = 1024;
/// A token that ends later than in 100 years has a time in another unit.
const EXPIRY_S_MAX: u64 = 1 << 33;

/// What is asked of every token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRules {
    pub issuer: Option<String>,
    /// One of them must be among the token's; none: any.
    pub audiences: Vec<String>,
    /// How far clocks may differ.
    pub skew_s: u64,
    /// The claim that names the user.
    pub principal_claim: String,
}

/// Whom a good token names, and until when.
#[derive(Debug, PartialEq, Eq)]
pub struct TokenUser {
    pub name: String,
    /// Seconds since 1970.
    pub ends_s: u64,
}

/// Why a token is worth nothing: for the log, not for the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("it is longer than 32 KiB")]
    Length,
    #[error("it is no signed token")]
    Form,
    #[error("its algorithm is none of RS256, PS256 and ES256")]
    Algorithm,
    #[error("it names no key of the JWKS file")]
    Key,
    #[error("its signature is wrong")]
    Signature,
    #[error("it has no exp, or one that is no time")]
    NoExpiry,
    #[error("it has expired")]
    Expired,
    #[error("it is not valid yet")]
    Early,
    #[error("it is of another issuer")]
    Issuer,
    #[error("it is for another audience")]
    Audience,
    #[error("it names no user")]
    Principal,
}

/// Checks a token as of `now_s`, seconds since 1970.
pub fn check_token(
    token: &str,
    keys: &TokenKeys,
    rules: &TokenRules,
    now_s: u64,
) -> Result<TokenUser, TokenError> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(TokenError::Length);
    }
    let header = jsonwebtoken::decode_header(token).map_err(|_| TokenError::Form)?;
    if !matches!(header.alg, Algorithm::RS256 | Algorithm::PS256 | Algorithm::ES256) {
        return Err(TokenError::Algorithm);
    }
    let key = keys.find(header.kid.as_deref(), header.alg).ok_or(TokenError::Key)?;
    let mut only_signature = Validation::new(header.alg);
    only_signature.validate_exp = false;
    only_signature.validate_aud = false;
    only_signature.required_spec_claims.clear();
    let token = jsonwebtoken::decode::<Map<String, Value>>(token, key, &only_signature);
    let claims = token.map_err(|_| TokenError::Signature)?.claims;
    check_claims(&claims, rules, now_s)
}

fn check_claims(
    claims: &Map<String, Value>,
    rules: &TokenRules,
    now_s: u64,
) -> Result<TokenUser, TokenError> {
    let exp_s = time(claims.get("exp")).filter(|exp_s| *exp_s <= EXPIRY_S_MAX).ok_or(TokenError::NoExpiry)?;
    let late_s = exp_s + rules.skew_s;
    if now_s >= late_s {
        return Err(TokenError::Expired);
    }
    for claim in ["nbf", "iat"] {
        match claims.get(claim) {
            None | Some(Value::Null) => {}
            begins => {
                let begins_s = time(begins).ok_or(TokenError::Early)?;
                if begins_s > now_s + rules.skew_s {
                    return Err(TokenError::Early);
                }
            }
        }
    }
    let text = |claim: &str| claims.get(claim).and_then(Value::as_str);
    if rules.issuer.is_some() && text("iss") != rules.issuer.as_deref() {
        return Err(TokenError::Issuer);
    }
    if !rules.audiences.is_empty() && !is_for(claims.get("aud"), &rules.audiences) {
        return Err(TokenError::Audience);
    }
    let is_name =
        |name: &&str| (1..=PRINCIPAL_BYTES_MAX).contains(&name.len()) && !name.chars().any(char::is_control);
    let name = text(&rules.principal_claim).filter(is_name).ok_or(TokenError::Principal)?;
    // One that is over but for the difference of clocks is not over before it was begun with.
    let ends_s = if exp_s > now_s { exp_s } else { late_s };
    assert!(ends_s > now_s, "a token that is over was refused");
    Ok(TokenUser { name: name.to_owned(), ends_s })
}

fn time(claim: Option<&Value>) -> Option<u64> {
    let number = claim?;
    // Parts of seconds are allowed, and rounded down.
    number.as_u64().or_else(|| number.as_f64().filter(|time| *time >= 0.0).map(|time| time as u64))
}

fn is_for(audience: Option<&Value>, own: &[String]) -> bool {
    let is_own = |value: &Value| value.as_str().is_some_and(|text| own.iter().any(|own| own == text));
    match audience {
        Some(Value::Array(all)) => all.iter().any(is_own),
        Some(one) => is_own(one),
        None => false,
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
    use serde_json::json;

    /// Who makes tokens.
    pub struct Issuer(EcdsaKeyPair);

    impl Issuer {
        pub fn generate() -> Self {
            let random = SystemRandom::new();
            let made =
                EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).expect("a key");
            let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, made.as_ref(), &random);
            Self(pair.expect("a key"))
        }

        pub fn keys(&self) -> TokenKeys {
            let point = self.0.public_key().as_ref();
            let part = |from: usize| BASE64_URL_SAFE_NO_PAD.encode(&point[from..from + 32]);
            let key = json!({"kty": "EC", "crv": "P-256", "kid": "k", "x": part(1), "y": part(33)});
            TokenKeys::parse(&json!({"keys": [key]}).to_string()).expect("a key")
        }

        pub fn token(&self, claims: &Value) -> String {
            self.signed(&json!({"alg": "ES256", "kid": "k", "typ": "JWT"}), claims)
        }

        fn signed(&self, header: &Value, claims: &Value) -> String {
            let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
            let message = format!("{}.{}", part(header), part(claims));
            let signature = self.0.sign(&SystemRandom::new(), message.as_bytes()).expect("signed");
            format!("{message}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature.as_ref()))
        }
    }

    pub fn rules() -> TokenRules {
        TokenRules {
            issuer: Some("https://issuer".into()),
            audiences: vec!["kafka".into()],
            skew_s: 30,
            principal_claim: "sub".into(),
        }
    }

    fn good() -> Value {
        json!({"sub": "anna", "iss": "https://issuer", "aud": ["x", "kafka"], "exp": 2000, "nbf": 1000, "iat": 1000.5})
    }

    #[test]
    fn a_good_token_names_its_user_until_its_end() {
        let issuer = Issuer::generate();
        let check = |now_s| check_token(&issuer.token(&good()), &issuer.keys(), &rules(), now_s);
        let anna = |ends_s| Ok(TokenUser { name: "anna".into(), ends_s });
        assert_eq!(check(1500), anna(2000));
        assert_eq!(check(970), anna(2000));
        assert_eq!(check(969), Err(TokenError::Early));
        assert_eq!(check(2010), anna(2030), "within the skew");
        assert_eq!(check(2030), Err(TokenError::Expired));
    }

    #[test]
    fn each_claim_is_looked_at() {
        let issuer = Issuer::generate();
        let check = |claim: &str, value: Value| {
            let mut claims = good();
            claims[claim] = value;
            check_token(&issuer.token(&claims), &issuer.keys(), &rules(), 1500).map(|user| user.name)
        };
        assert_eq!(check("aud", json!("kafka")), Ok("anna".into()));
        for (claim, value, error) in [
            ("iss", json!("https://other"), TokenError::Issuer),
            ("iss", Value::Null, TokenError::Issuer),
            ("aud", json!("other"), TokenError::Audience),
            ("aud", json!([]), TokenError::Audience),
            ("aud", json!({"kafka": 1}), TokenError::Audience),
            ("exp", Value::Null, TokenError::NoExpiry),
            ("exp", json!("2000"), TokenError::NoExpiry),
            ("exp", json!(-1), TokenError::NoExpiry),
            ("exp", json!(2_000_000_000_000u64), TokenError::NoExpiry),
            ("exp", json!(1e300), TokenError::NoExpiry),
            ("nbf", json!("soon"), TokenError::Early),
            ("iat", json!(1e300), TokenError::Early),
            ("sub", Value::Null, TokenError::Principal),
            ("sub", json!(""), TokenError::Principal),
            ("sub", json!("a\nb"), TokenError::Principal),
            ("sub", json!(7), TokenError::Principal),
        ] {
            assert_eq!(check(claim, value.clone()), Err(error), "{claim} {value}");
        }
    }

    #[test]
    fn a_token_that_nobody_signed_is_worth_nothing() {
        let (issuer, other) = (Issuer::generate(), Issuer::generate());
        let check = |token: &str| check_token(token, &issuer.keys(), &rules(), 1500).unwrap_err();
        assert_eq!(check(&other.token(&good())), TokenError::Signature);
        let token = issuer.token(&good());
        let (head, signature) = token.rsplit_once('.').expect("three parts");
        let (header, _) = head.split_once('.').expect("three parts");
        let mut raised = good();
        raised["sub"] = json!("admin");
        let claims = BASE64_URL_SAFE_NO_PAD.encode(raised.to_string());
        assert_eq!(check(&format!("{header}.{claims}.{signature}")), TokenError::Signature);
        assert_eq!(check(&format!("{head}.")), TokenError::Signature);
        assert_eq!(check(head), TokenError::Form);
        assert_eq!(check(""), TokenError::Form);
        assert_eq!(check(&"a".repeat(TOKEN_BYTES_MAX + 1)), TokenError::Length);
        // The key as a password, and no signature at all.
        for algorithm in ["HS256", "RS512", "ES384", "EdDSA"] {
            let forged = issuer.signed(&json!({"alg": algorithm, "kid": "k"}), &good());
            assert_eq!(check(&forged), TokenError::Algorithm, "{algorithm}");
        }
        let none = issuer.signed(&json!({"alg": "none"}), &good());
        assert!(matches!(check(&none), TokenError::Form | TokenError::Algorithm));
        let unknown = issuer.signed(&json!({"alg": "ES256", "kid": "other"}), &good());
        assert_eq!(check(&unknown), TokenError::Key);
        let other_kind = issuer.signed(&json!({"alg": "RS256", "kid": "k"}), &good());
        assert_eq!(check(&other_kind), TokenError::Key);
        // One whose critical extension is not known here must not be taken (RFC 7515, section 4.1.11).
        let critical =
            issuer.signed(&json!({"alg": "ES256", "kid": "k", "crit": ["b64"], "b64": false}), &good());
        assert!(check_token(&critical, &issuer.keys(), &rules(), 1500).is_err());
    }
}
