//! What the cluster knows of users' passwords: per user and SCRAM mechanism the salt, the iterations and the two keys
//! that RFC 5802 lets a server keep. Neither a password nor what stands for one is ever here.

use super::bytes::{DecodeError, Reader, Writer};
use super::command_error::CommandError;
use std::collections::BTreeMap;
use std::fmt;

/// Credentials of all users: the whole map is in every view and every checkpoint. Above what clusters with a user for
/// each service have.
pub const CREDENTIALS_MAX: usize = 10_000;
/// A user's longest name, bytes; the same as a quota's.
pub const USER_BYTES_MAX: usize = 1_024;
/// A salt's longest; Kafka's tools make some 26 bytes.
pub const SALT_BYTES_MAX: usize = 128;
/// Kafka's bounds. Below them a stolen key is guessed too fast; above them a log-in holds a core too long.
pub const ITERATIONS_MIN: u32 = 4_096;
pub const ITERATIONS_MAX: u32 = 16_384;

/// With which hash, by Kafka's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Mechanism {
    ScramSha256 = 1,
    ScramSha512 = 2,
}

/// What proves a user's password without saying it.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    pub iterations: u32,
    pub salt: Vec<u8>,
    /// The hash of the client's key, as long as the mechanism's digest.
    pub stored_key: Vec<u8>,
    /// What proves the server to the client; as long.
    pub server_key: Vec<u8>,
}

/// All credentials, by user; none without one.
pub type Credentials = BTreeMap<String, BTreeMap<Mechanism, Credential>>;

impl Mechanism {
    pub const ALL: [Self; 2] = [Self::ScramSha256, Self::ScramSha512];

    pub fn of(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| *mechanism as u8 == number)
    }

    /// As SASL names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }

    pub fn digest_bytes(self) -> usize {
        match self {
            Self::ScramSha256 => 32,
            Self::ScramSha512 => 64,
        }
    }
}

/// With these keys a password can be guessed offline, and the server be played: no log shows them.
impl fmt::Debug for Credential {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.debug_struct("Credential").field("iterations", &self.iterations).finish_non_exhaustive()
    }
}

/// Checks a credential to be set, or (with `None`) taken away, without doing it.
pub fn check(
    credentials: &Credentials,
    user: &str,
    mechanism: Mechanism,
    credential: Option<&Credential>,
) -> Result<(), CommandError> {
    let unacceptable = |reason: &str| Err(CommandError::UnacceptableCredential(reason.to_owned()));
    if user.is_empty() {
        return unacceptable("Username must not be empty");
    }
    let existing = credentials.get(user).is_some_and(|of| of.contains_key(&mechanism));
    let Some(credential) = credential else {
        return if existing { Ok(()) } else { Err(CommandError::UnknownCredential) };
    };
    if user.len() > USER_BYTES_MAX {
        return unacceptable("Username is too long");
    }
    if credential.iterations < ITERATIONS_MIN {
        return unacceptable("Too few iterations");
    }
    if credential.iterations > ITERATIONS_MAX {
        return unacceptable("Too many iterations");
    }
    if credential.salt.is_empty() || credential.salt.len() > SALT_BYTES_MAX {
        return unacceptable("A salt has 1 to 128 bytes");
    }
    let keys = [&credential.stored_key, &credential.server_key];
    if keys.iter().any(|key| key.len() != mechanism.digest_bytes()) {
        return unacceptable("The keys do not have the mechanism's length");
    }
    if !existing && credentials.values().map(BTreeMap::len).sum::<usize>() >= CREDENTIALS_MAX {
        let reason = format!("there are {CREDENTIALS_MAX} credentials: no more are taken");
        return Err(CommandError::LimitReached(reason));
    }
    Ok(())
}

/// Makes a change that was checked.
pub fn change(
    credentials: &mut Credentials,
    user: &str,
    mechanism: Mechanism,
    credential: Option<&Credential>,
) {
    let of = credentials.entry(user.to_owned()).or_default();
    match credential {
        Some(credential) => {
            assert_eq!(credential.stored_key.len(), mechanism.digest_bytes());
            assert_eq!(credential.server_key.len(), mechanism.digest_bytes());
            of.insert(mechanism, credential.clone());
        }
        None => {
            of.remove(&mechanism);
        }
    }
    if of.is_empty() {
        credentials.remove(user);
    }
    assert!(credentials.len() <= CREDENTIALS_MAX, "{} users: they were checked", credentials.len());
}

/// A user with the shortest name and no credential.
pub(super) const USER_BYTES_MIN: usize = 4 + 4;
/// A credential without a byte of salt or keys.
const CREDENTIAL_BYTES_MIN: usize = 1 + 4 + 4 + 4 + 4;

pub(super) fn write_all(to: &mut Writer, credentials: &Credentials) {
    to.list(credentials.iter(), |to, (user, of)| {
        to.text(user);
        to.list(of.iter(), |to, (mechanism, credential)| {
            to.u8(*mechanism as u8);
            write(to, credential);
        });
    });
}

pub(super) fn read_all(from: &mut Reader<'_>) -> Result<Credentials, DecodeError> {
    let read_one = |from: &mut Reader<'_>| Ok((read_mechanism(from)?, read(from)?));
    let read_user = |from: &mut Reader<'_>| {
        Ok((from.text()?, from.list(CREDENTIAL_BYTES_MIN, read_one)?.into_iter().collect()))
    };
    Ok(from.list(USER_BYTES_MIN, read_user)?.into_iter().collect())
}

/// A change; one that takes away has no credential.
pub(super) fn write_change(to: &mut Writer, mechanism: Mechanism, credential: Option<&Credential>) {
    to.u8(mechanism as u8);
    to.u8(u8::from(credential.is_some()));
    if let Some(credential) = credential {
        write(to, credential);
    }
}

pub(super) fn read_change(from: &mut Reader<'_>) -> Result<(Mechanism, Option<Credential>), DecodeError> {
    let mechanism = read_mechanism(from)?;
    let credential = match from.u8()? {
        0 => None,
        1 => Some(read(from)?),
        number => return Err(DecodeError::Unknown { what: "presence", number: number.into() }),
    };
    Ok((mechanism, credential))
}

fn read_mechanism(from: &mut Reader<'_>) -> Result<Mechanism, DecodeError> {
    let number = from.u8()?;
    Mechanism::of(number).ok_or(DecodeError::Unknown { what: "SASL mechanism", number: number.into() })
}

fn write(to: &mut Writer, credential: &Credential) {
    to.u32(credential.iterations);
    for bytes in [&credential.salt, &credential.stored_key, &credential.server_key] {
        to.list(bytes.iter(), |to, byte| to.u8(*byte));
    }
}

fn read(from: &mut Reader<'_>) -> Result<Credential, DecodeError> {
    Ok(Credential {
        iterations: from.u32()?,
        salt: from.list(1, Reader::u8)?,
        stored_key: from.list(1, Reader::u8)?,
        server_key: from.list(1, Reader::u8)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credential(mechanism: Mechanism, iterations: u32) -> Credential {
        let key = |byte| vec![byte; mechanism.digest_bytes()];
        Credential { iterations, salt: b"salt".to_vec(), stored_key: key(0xab), server_key: key(0xcd) }
    }

    fn refused(user: &str, credential: &Credential) -> String {
        let refused = check(&Credentials::new(), user, Mechanism::ScramSha256, Some(credential));
        match refused {
            Err(CommandError::UnacceptableCredential(reason)) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_no_credential_is_refused() {
        let good = credential(Mechanism::ScramSha256, ITERATIONS_MIN);
        assert_eq!(check(&Credentials::new(), "u", Mechanism::ScramSha256, Some(&good)), Ok(()));
        assert_eq!(refused("", &good), "Username must not be empty");
        assert_eq!(refused(&"u".repeat(USER_BYTES_MAX + 1), &good), "Username is too long");
        for (iterations, reason) in
            [(4_095, "Too few iterations"), (16_385, "Too many iterations"), (0, "Too few iterations")]
        {
            assert_eq!(refused("u", &credential(Mechanism::ScramSha256, iterations)), reason);
        }
        let other_length = credential(Mechanism::ScramSha512, ITERATIONS_MIN);
        assert!(refused("u", &other_length).contains("length"));
        for salt in [0, SALT_BYTES_MAX + 1] {
            let wrong = Credential { salt: vec![1; salt], ..good.clone() };
            assert!(refused("u", &wrong).contains("salt"));
        }
        let unknown = check(&Credentials::new(), "u", Mechanism::ScramSha256, None);
        assert_eq!(unknown, Err(CommandError::UnknownCredential));
    }

    #[test]
    fn they_are_bounded_and_one_that_is_there_may_always_change() {
        let good = credential(Mechanism::ScramSha256, ITERATIONS_MIN);
        let mut full = Credentials::new();
        for number in 0..CREDENTIALS_MAX {
            change(&mut full, &number.to_string(), Mechanism::ScramSha256, Some(&good));
        }
        let set = |user| check(&full, user, Mechanism::ScramSha256, Some(&good));
        assert!(matches!(set("new"), Err(CommandError::LimitReached(_))));
        assert_eq!(set("7"), Ok(()));
        change(&mut full, "7", Mechanism::ScramSha256, None);
        assert!(!full.contains_key("7"), "a user without a credential is not kept");
        assert_eq!(check(&full, "new", Mechanism::ScramSha256, Some(&good)), Ok(()));
    }

    #[test]
    fn no_log_shows_a_key() {
        let shown = format!("{:?}", credential(Mechanism::ScramSha512, 8_192));
        assert_eq!(shown, "Credential { iterations: 8192, .. }");
    }
}
