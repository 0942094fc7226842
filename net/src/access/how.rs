//! What the options of a client come to: whom to trust, and who to be.

use clap::ValueEnum;
use engine::control::credentials::Mechanism;
use rustls::ClientConfig;
use serde::Deserialize;
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroizing;

/// How a user proves who it is. Tokens are for programs that can fetch new ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize)]
pub enum LoginMechanism {
    #[value(name = "SCRAM-SHA-256", alias = "scram-sha-256")]
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    #[value(name = "SCRAM-SHA-512", alias = "scram-sha-512")]
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
    #[value(name = "PLAIN", alias = "plain")]
    #[serde(rename = "PLAIN")]
    Plain,
}

impl LoginMechanism {
    pub fn name(self) -> &'static str {
        self.hash().map_or("PLAIN", Mechanism::name)
    }

    /// None for the one that sends the password itself.
    pub fn hash(self) -> Option<Mechanism> {
        match self {
            Self::ScramSha256 => Some(Mechanism::ScramSha256),
            Self::ScramSha512 => Some(Mechanism::ScramSha512),
            Self::Plain => None,
        }
    }
}

/// Who to be.
#[derive(Clone)]
pub struct ClientLogin {
    pub user: String,
    pub password: Zeroizing<Vec<u8>>,
    pub mechanism: LoginMechanism,
}

/// How to reach a broker.
#[derive(Clone, Default)]
pub struct Access {
    /// `None`: in the clear.
    pub tls: Option<Arc<ClientConfig>>,
    /// `None`: as nobody, or as who the certificate says.
    pub login: Option<ClientLogin>,
}

impl Access {
    /// Whether nothing has to be said before the first request.
    pub fn is_plain(&self) -> bool {
        self.tls.is_none() && self.login.is_none()
    }
}

impl fmt::Debug for Access {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = self.login.as_ref().map(|login| &login.user);
        to.debug_struct("Access").field("tls", &self.tls.is_some()).field("user", &user).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_password_is_shown() {
        let password = Zeroizing::new(b"pencil".to_vec());
        let login = ClientLogin { user: "anna".into(), password, mechanism: LoginMechanism::Plain };
        let shown = format!("{:?}", Access { tls: None, login: Some(login) });
        assert!(shown.contains("anna") && !shown.contains("pencil"), "{shown}");
        assert_eq!(LoginMechanism::ScramSha256.name(), "SCRAM-SHA-256");
        assert_eq!(LoginMechanism::Plain.name(), "PLAIN");
    }
}
