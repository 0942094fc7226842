//! An API and the versions of it that are advertised.

/// One API and the versions of it that are advertised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Api {
    pub key: i16,
    pub min: i16,
    pub max: i16,
    /// The first version with tagged fields in its header; above `max` when there is none.
    pub flexible_from: i16,
}

pub const PRODUCE: i16 = 0;

pub const FETCH: i16 = 1;

pub const SASL_HANDSHAKE: i16 = 17;

pub const API_VERSIONS: i16 = 18;

pub const SASL_AUTHENTICATE: i16 = 36;
