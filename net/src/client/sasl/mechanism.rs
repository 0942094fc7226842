//! The mechanisms by which a client may say who it is.

use engine::control::credentials::Mechanism;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SaslMechanism {
    Scram(Mechanism),
    Plain,
    OauthBearer,
}

impl SaslMechanism {
    pub const ALL: [SaslMechanism; 4] = [
        SaslMechanism::Scram(Mechanism::ScramSha512),
        SaslMechanism::Scram(Mechanism::ScramSha256),
        SaslMechanism::Plain,
        SaslMechanism::OauthBearer,
    ];

    /// As it is registered, and as Kafka's settings write it.
    pub fn name(self) -> &'static str {
        match self {
            SaslMechanism::Scram(hash) => hash.name(),
            SaslMechanism::Plain => "PLAIN",
            SaslMechanism::OauthBearer => "OAUTHBEARER",
        }
    }

    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name() == name)
    }

    /// Whether what it sends is enough to be that user again: a password, or a token.
    pub fn tells_the_secret(self) -> bool {
        matches!(self, SaslMechanism::Plain | SaslMechanism::OauthBearer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_registry_and_nothing_is_guessed() {
        for mechanism in SaslMechanism::ALL {
            assert_eq!(SaslMechanism::of(mechanism.name()), Some(mechanism));
        }
        for other in ["", "GSSAPI", "plain", "SCRAM-SHA-1", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-256 "] {
            assert_eq!(SaslMechanism::of(other), None, "{other}");
        }
    }
}
