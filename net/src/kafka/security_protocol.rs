//! How a listener is spoken to: in the clear or within TLS, and whether a client says who it is by SASL.

use std::fmt;

/// Kafka's four, with its names and numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecurityProtocol {
    Plaintext = 0,
    Ssl = 1,
    SaslPlaintext = 2,
    SaslSsl = 3,
}

const ALL: [SecurityProtocol; 4] = [
    SecurityProtocol::Plaintext,
    SecurityProtocol::Ssl,
    SecurityProtocol::SaslPlaintext,
    SecurityProtocol::SaslSsl,
];

impl SecurityProtocol {
    /// By Kafka's name of it, in capitals as Kafka's files have it.
    pub fn named(name: &str) -> Option<Self> {
        ALL.into_iter().find(|protocol| protocol.name() == name)
    }

    pub fn numbered(number: u8) -> Option<Self> {
        ALL.into_iter().find(|protocol| protocol.number() == number)
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "PLAINTEXT",
            Self::Ssl => "SSL",
            Self::SaslPlaintext => "SASL_PLAINTEXT",
            Self::SaslSsl => "SASL_SSL",
        }
    }

    /// As it stands in a node's registration.
    pub fn number(self) -> u8 {
        self as u8
    }

    pub fn is_encrypted(self) -> bool {
        matches!(self, Self::Ssl | Self::SaslSsl)
    }

    /// Whether a client says who it is by SASL before anything else.
    pub fn asks_sasl(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }
}

impl fmt::Display for SecurityProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_kafkas() {
        let expected = ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"];
        for (number, (protocol, name)) in ALL.into_iter().zip(expected).enumerate() {
            assert_eq!((usize::from(protocol.number()), protocol.to_string()), (number, name.to_owned()));
            assert_eq!(SecurityProtocol::named(name), Some(protocol));
            assert_eq!(SecurityProtocol::numbered(number as u8), Some(protocol));
        }
        assert_eq!((SecurityProtocol::named("TLS"), SecurityProtocol::numbered(4)), (None, None));
    }

    #[test]
    fn each_of_the_two_questions_halves_them() {
        let asked = ALL.map(|protocol| (protocol.is_encrypted(), protocol.asks_sasl()));
        assert_eq!(asked, [(false, false), (true, false), (false, true), (true, true)]);
    }
}
