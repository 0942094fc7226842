//! What all decoders of peers' messages share.

use crate::codec::{Reader, Short};

/// The newest version written and understood.
pub const PEER_VERSION: u16 = 1;

/// A body that is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("peer message {0}")]
    Short(#[from] Short),
    #[error("peer message of version {0}; this program knows versions up to {PEER_VERSION}")]
    Newer(u16),
    #[error("peer message has {0} bytes left over")]
    Long(usize),
    #[error("{what} {number} is unknown")]
    Unknown { what: &'static str, number: u8 },
    #[error("a text in a peer message is not UTF-8")]
    Text,
    #[error("access rules in a peer message cannot be read")]
    Acls,
    #[error("a message that is no heartbeat stands among heartbeats")]
    NoHeartbeat,
    #[error("the entry that the message speaks of is missing, or there is one and it speaks of none")]
    Entry,
}

pub(super) fn flag(from: &mut Reader<'_>) -> Result<bool, DecodeError> {
    match from.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        number => Err(DecodeError::Unknown { what: "flag", number }),
    }
}
