//! OAUTHBEARER's first message (RFC 7628), of which the token is all that is used. What is in the token, and whether it
//! is worth anything, is `jwt`'s.

use super::scram_message::SaslMalformed;

/// The client's second message after a refusal: it has heard it.
pub const BEARER_REFUSAL_HEARD: &[u8] = b"\x01";
/// What tells a client that its token was refused, and no more than that.
pub const BEARER_REFUSAL: &[u8] = br#"{"status":"invalid_token"}"#;

/// A token, and whom the client says that it is.
#[derive(Debug, PartialEq, Eq)]
pub struct BearerMessage<'a> {
    pub token: &'a str,
    /// It must be whom the token names, then.
    pub authzid: Option<&'a str>,
}

impl<'a> BearerMessage<'a> {
    /// Extensions are passed over.
    pub fn read(message: &'a [u8]) -> Result<Self, SaslMalformed> {
        let text = core::str::from_utf8(message).map_err(|_| SaslMalformed("not UTF-8"))?;
        let rest = text.strip_prefix("n,").ok_or(SaslMalformed("channel binding other than n"))?;
        let (authzid, rest) = rest.split_once(',').ok_or(SaslMalformed("no GS2 header"))?;
        let authzid = match authzid {
            "" => None,
            named => Some(named.strip_prefix("a=").ok_or(SaslMalformed("no GS2 header"))?),
        };
        let pairs = rest.strip_prefix('\x01').and_then(|rest| rest.strip_suffix("\x01\x01"));
        let pairs = pairs.ok_or(SaslMalformed("no key-value pairs"))?;
        let mut token = None;
        for pair in pairs.split('\x01') {
            let (key, value) = pair.split_once('=').ok_or(SaslMalformed("a pair without ="))?;
            if key == "auth" && token.replace(bearer(value)?).is_some() {
                return Err(SaslMalformed("two tokens"));
            }
        }
        Ok(Self { token: token.ok_or(SaslMalformed("no token"))?, authzid })
    }

    /// The message, for clients of ours.
    pub fn write(token: &str) -> Vec<u8> {
        assert!(!token.contains('\x01'), "a token that ends before its end");
        format!("n,,\x01auth=Bearer {token}\x01\x01").into_bytes()
    }
}

fn bearer(value: &str) -> Result<&str, SaslMalformed> {
    let (scheme, token) = value.split_once(' ').ok_or(SaslMalformed("no scheme of the token"))?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(SaslMalformed("a scheme other than bearer"));
    }
    let token = token.trim_matches(' ');
    let is_of_token = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte);
    if token.is_empty() || !token.bytes().all(is_of_token) {
        return Err(SaslMalformed("no token behind bearer"));
    }
    Ok(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_found_among_extensions() {
        let read = |text: &'static str| BearerMessage::read(text.as_bytes());
        assert_eq!(
            read("n,,\x01auth=Bearer a.b-c_d\x01\x01"),
            Ok(BearerMessage { token: "a.b-c_d", authzid: None })
        );
        let with_all = "n,a=anna,\x01ext=1\x01auth=bearer a.b.c\x01host=x\x01\x01";
        assert_eq!(read(with_all), Ok(BearerMessage { token: "a.b.c", authzid: Some("anna") }));
        assert_eq!(BearerMessage::read(&BearerMessage::write("a.b.c")).map(|read| read.token), Ok("a.b.c"));
    }

    #[test]
    fn what_has_no_token_or_two_is_refused() {
        for text in [
            "",
            "n,,",
            "y,,\x01auth=Bearer a\x01\x01",
            "n,,\x01\x01",
            "n,,\x01auth=Bearer a\x01",
            "n,,\x01auth=Basic a\x01\x01",
            "n,,\x01auth=Bearer \x01\x01",
            "n,,\x01auth=Bearer\x01\x01",
            "n,,\x01auth=Bearer a b\x01\x01",
            "n,,\x01auth=Bearer a\x01auth=Bearer b\x01\x01",
            "n,anna,\x01auth=Bearer a\x01\x01",
            "n,,\x01x=1\x01\x01",
            "n,,\x01noequals\x01\x01",
        ] {
            assert!(BearerMessage::read(text.as_bytes()).is_err(), "{text:?}");
        }
    }
}
