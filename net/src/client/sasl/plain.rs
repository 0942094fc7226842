//! PLAIN's only message (RFC 4616): whom the client acts for, who it is, and its password.

use super::scram_message::SaslMalformed;
use zeroize::Zeroizing;

/// Longer ones are nobody's.
pub const PLAIN_MESSAGE_BYTES_MAX: usize = 4 << 10;

/// A user name with the password that is to prove it.
pub struct PlainMessage {
    pub user: String,
    pub password: Zeroizing<Vec<u8>>,
}

impl PlainMessage {
    pub fn read(message: &[u8]) -> Result<Self, SaslMalformed> {
        if message.len() > PLAIN_MESSAGE_BYTES_MAX {
            return Err(SaslMalformed("a message longer than 4 KiB"));
        }
        let text = core::str::from_utf8(message).map_err(|_| SaslMalformed("not UTF-8"))?;
        let mut parts = text.split('\0');
        let (Some(authzid), Some(user), Some(password), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(SaslMalformed("not three parts"));
        };
        if user.is_empty() || password.is_empty() {
            return Err(SaslMalformed("no user name or no password"));
        }
        if !authzid.is_empty() && authzid != user {
            return Err(SaslMalformed("it wants to act for another user"));
        }
        Ok(Self { user: user.to_owned(), password: Zeroizing::new(password.as_bytes().to_vec()) })
    }

    /// The message, for clients of ours.
    pub fn write(user: &str, password: &[u8]) -> Zeroizing<Vec<u8>> {
        assert!(!user.is_empty() && !user.contains('\0'), "a name that ends before its end");
        let mut message = Zeroizing::new(Vec::with_capacity(user.len() + password.len() + 2));
        message.push(0);
        message.extend_from_slice(user.as_bytes());
        message.push(0);
        message.extend_from_slice(password);
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(message: &[u8]) -> Option<(String, Vec<u8>)> {
        PlainMessage::read(message).ok().map(|read| (read.user, read.password.to_vec()))
    }

    #[test]
    fn user_and_password_are_read_and_an_authorization_id_must_be_the_users() {
        let expected = Some(("anna".to_owned(), b"pencil".to_vec()));
        assert_eq!(read(b"\0anna\0pencil"), expected);
        assert_eq!(read(b"anna\0anna\0pencil"), expected);
        assert_eq!(read(&PlainMessage::write("anna", b"pencil")), expected);
        for wrong in [
            &b""[..],
            b"\0",
            b"anna\0pencil",
            b"bert\0anna\0pencil",
            b"\0\0pencil",
            b"\0anna\0",
            b"\0anna\0a\0b",
            b"\0a\0\xff",
        ] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
        assert_eq!(read(&PlainMessage::write("anna", &[b'x'; PLAIN_MESSAGE_BYTES_MAX])), None);
    }
}
