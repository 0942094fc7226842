//! SCRAM's two messages of the client, as they are written (RFC 5802, section 7, in the form that Kafka takes).

use super::scram_keys::ScramDigest;
use base64::prelude::{BASE64_STANDARD, Engine};
use engine::control::credentials::Mechanism;

/// Longer ones are nobody's: Kafka's clients send about a hundred bytes.
pub const SCRAM_MESSAGE_BYTES_MAX: usize = 4 << 10;

/// Why a message of a client is not taken. The client is told no more than that it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SaslMalformed(pub &'static str);

type Read<T> = Result<T, SaslMalformed>;

/// `n,,n=user,r=nonce`: who it wants to be.
#[derive(Debug, PartialEq, Eq)]
pub struct ClientFirst<'a> {
    /// With its commas: what the second message repeats.
    pub gs2_header: &'a str,
    /// All behind it: part of what is signed.
    pub bare: &'a str,
    pub user: String,
    pub nonce: &'a str,
}

impl<'a> ClientFirst<'a> {
    pub fn read(message: &'a [u8]) -> Read<Self> {
        let text = text_of(message)?;
        let rest = text.strip_prefix("n,").ok_or(SaslMalformed("channel binding other than n"))?;
        let (authzid, bare) = rest.split_once(',').ok_or(SaslMalformed("no GS2 header"))?;
        let gs2_header = &text[..text.len() - bare.len()];
        let mut attributes = bare.split(',');
        let user = attributes.next().and_then(|first| first.strip_prefix("n="));
        let user = decode_name(user.ok_or(SaslMalformed("no user name first"))?)?;
        let nonce = attributes.next().and_then(|second| second.strip_prefix("r="));
        let nonce = nonce.filter(|nonce| is_printable(nonce)).ok_or(SaslMalformed("no nonce"))?;
        if user.is_empty() {
            return Err(SaslMalformed("an empty user name"));
        }
        if !authzid.is_empty() && !is_the_same(authzid, &user)? {
            return Err(SaslMalformed("it wants to act for another user"));
        }
        for extension in attributes {
            let (name, value) = extension.split_once('=').ok_or(SaslMalformed("an extension without ="))?;
            // Kafka's delegation tokens, of which there are none here.
            if name == "tokenauth" && value.eq_ignore_ascii_case("true") {
                return Err(SaslMalformed("delegation tokens are not built"));
            }
        }
        Ok(Self { gs2_header, bare, user, nonce })
    }
}

fn is_the_same(authzid: &str, user: &str) -> Read<bool> {
    let name = authzid.strip_prefix("a=").ok_or(SaslMalformed("no GS2 header"))?;
    Ok(decode_name(name)? == user)
}

/// `c=biws,r=nonce,p=proof`: that it knows the password.
pub struct ClientFinal<'a> {
    /// All before the proof: part of what is signed.
    pub without_proof: &'a str,
    pub nonce: &'a str,
    pub proof: ScramDigest,
}

impl<'a> ClientFinal<'a> {
    pub fn read(message: &'a [u8], hash: Mechanism, gs2_header: &str) -> Read<Self> {
        let text = text_of(message)?;
        let (without_proof, proof) = text.rsplit_once(",p=").ok_or(SaslMalformed("no proof at its end"))?;
        let mut attributes = without_proof.split(',');
        let binding = attributes.next().and_then(|first| first.strip_prefix("c="));
        if binding != Some(&BASE64_STANDARD.encode(gs2_header)) {
            return Err(SaslMalformed("not the channel binding of the first message"));
        }
        let nonce = attributes.next().and_then(|second| second.strip_prefix("r="));
        let nonce = nonce.ok_or(SaslMalformed("no nonce"))?;
        let proof = BASE64_STANDARD.decode(proof).map_err(|_| SaslMalformed("a proof that is not base64"))?;
        let proof =
            ScramDigest::from_bytes(hash, &proof).ok_or(SaslMalformed("a proof of another length"))?;
        Ok(Self { without_proof, nonce, proof })
    }
}

fn text_of(message: &[u8]) -> Read<&str> {
    if message.len() > SCRAM_MESSAGE_BYTES_MAX {
        return Err(SaslMalformed("a message longer than 4 KiB"));
    }
    core::str::from_utf8(message).map_err(|_| SaslMalformed("not UTF-8"))
}

fn is_printable(nonce: &str) -> bool {
    !nonce.is_empty() && nonce.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A comma is written =2C in a name, and an equals sign =3D.
fn decode_name(written: &str) -> Read<String> {
    let mut name = String::with_capacity(written.len());
    let mut rest = written;
    while let Some((before, after)) = rest.split_once('=') {
        name.push_str(before);
        let (code, after) = after.split_at_checked(2).ok_or(SaslMalformed("an equals sign in a name"))?;
        name.push(match code {
            "2C" => ',',
            "3D" => '=',
            _ => return Err(SaslMalformed("an equals sign in a name")),
        });
        rest = after;
    }
    name.push_str(rest);
    Ok(name)
}

/// The same the other way round, for clients of ours.
pub fn encode_name(name: &str) -> String {
    name.replace('=', "=3D").replace(',', "=2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first(text: &str) -> Read<ClientFirst<'_>> {
        ClientFirst::read(text.as_bytes())
    }

    #[test]
    fn a_first_message_is_taken_apart() {
        let read = first("n,,n=user,r=fyko").expect("read");
        assert_eq!((read.gs2_header, read.bare), ("n,,", "n=user,r=fyko"));
        assert_eq!((read.user.as_str(), read.nonce), ("user", "fyko"));
        let read = first("n,a=us=2Cer,n=us=2Cer,r=x,ext=1").expect("read");
        assert_eq!((read.gs2_header, read.user.as_str()), ("n,a=us=2Cer,", "us,er"));
        assert_eq!(first("n,,n==3D=3D,r=x").expect("read").user, "==");
        assert_eq!(decode_name(&encode_name("a=b,c=2C")).expect("read"), "a=b,c=2C");
    }

    #[test]
    fn what_is_not_offered_or_not_whole_is_refused() {
        for text in [
            "",
            "n",
            "n,,",
            "y,,n=user,r=x",
            "p=tls-unique,,n=user,r=x",
            "n,,n=,r=x",
            "n,,n=user",
            "n,,n=user,r=",
            "n,,r=x,n=user",
            "n,,n=us=er,r=x",
            "n,,n=us=,r=x",
            "n,,n=user,r=a b",
            "n,a=other,n=user,r=x",
            "n,b=user,n=user,r=x",
            "n,,m=must,n=user,r=x",
            "n,,n=user,r=x,tokenauth=true",
            "n,,n=user,r=x,e",
        ] {
            assert!(first(text).is_err(), "{text}");
        }
        assert!(ClientFirst::read(b"n,,n=\xff,r=x").is_err());
        let long = format!("n,,n={},r=x", "u".repeat(SCRAM_MESSAGE_BYTES_MAX));
        assert!(first(&long).is_err());
    }

    #[test]
    fn a_final_message_must_repeat_the_header_and_end_with_a_proof() {
        let proof = BASE64_STANDARD.encode([7; 32]);
        let read = |text: String| {
            ClientFinal::read(text.as_bytes(), Mechanism::ScramSha256, "n,,")
                .map(|read| read.without_proof.to_owned())
        };
        assert_eq!(read(format!("c=biws,r=ab,p={proof}")), Ok("c=biws,r=ab".to_owned()));
        assert!(read(format!("c=eSws,r=ab,p={proof}")).is_err());
        assert!(read(format!("r=ab,p={proof}")).is_err());
        assert!(read("c=biws,r=ab".to_owned()).is_err());
        assert!(read("c=biws,r=ab,p=!".to_owned()).is_err());
        assert!(read(format!("c=biws,r=ab,p={}", BASE64_STANDARD.encode([7; 31]))).is_err());
        assert!(read(format!("c=biws,r=ab,p={proof},x=1")).is_err());
    }
}
