//! What the connections of one shard share of SASL: what is offered, what is checked against, and who waits.

use super::credentials::{Decoys, ScramUsers};
use super::jwt::TokenRules;
use super::mechanism::SaslMechanism;
use super::password_turns::PasswordTurns;
use super::penalties::Penalties;
use super::session::SaslGround;
use super::token_file::TokenFile;
use crate::process::entropy;
use engine::clock::Now;
use engine::control::View;
use engine::control::config::effective::SaslSettings;
use engine::ids::META_JOURNAL;
use std::cell::RefCell;
use std::sync::Arc;

/// What a node is told of SASL beside Kafka's settings.
#[derive(Clone, Default)]
pub struct SaslSetup {
    /// None where OAUTHBEARER is not offered.
    pub tokens: Option<Arc<TokenFile>>,
    /// Passwords and tokens are taken over connections that others can read, too.
    pub plaintext_passwords: bool,
}

pub struct ShardSasl {
    setup: SaslSetup,
    mechanisms: Vec<SaslMechanism>,
    rules: TokenRules,
    reauth_max_ms: u64,
    /// The largest message of who is not known yet.
    pub receive_bytes_max: usize,
    pub penalties: RefCell<Penalties>,
    pub passwords: PasswordTurns,
    /// For decoys while there is no metadata.
    secret: u64,
}

impl ShardSasl {
    pub fn new(setup: SaslSetup, settings: &SaslSettings) -> Self {
        let known = |name: &String| SaslMechanism::of(name).expect("checked when it was set");
        Self {
            setup,
            mechanisms: settings.mechanisms.iter().map(known).collect(),
            rules: TokenRules {
                issuer: settings.issuer.clone(),
                audiences: settings.audiences.clone(),
                skew_s: settings.clock_skew_s,
                principal_claim: settings.principal_claim.clone(),
            },
            reauth_max_ms: settings.reauth_max_ms,
            receive_bytes_max: settings.receive_bytes_max as usize,
            penalties: RefCell::default(),
            passwords: PasswordTurns::default(),
            secret: entropy::random::<1>()[0],
        }
    }

    /// What a connection is offered: nothing that tells a secret where others can read it.
    pub fn offered(&self, keeps_secrets: bool) -> Vec<SaslMechanism> {
        let may = |one: &SaslMechanism| {
            let is_safe = keeps_secrets || self.setup.plaintext_passwords || !one.tells_the_secret();
            is_safe && (*one != SaslMechanism::OauthBearer || self.setup.tokens.is_some())
        };
        self.mechanisms.iter().copied().filter(may).collect()
    }

    /// The decoys of a cluster are those of its metadata's secret, which no client is told.
    pub fn decoys(&self, view: &View) -> Decoys {
        let secret = view.journals.get(&META_JOURNAL).map_or(self.secret, |journal| journal.secret);
        Decoys::new(&secret.to_be_bytes())
    }

    pub fn ground<'a>(&'a self, users: &'a dyn ScramUsers, decoys: &'a Decoys, now: Now) -> SaslGround<'a> {
        assert!(now.wall_ms >= 0, "a clock before 1970");
        let mut nonce = [0; 24];
        for (place, word) in nonce.chunks_exact_mut(8).zip(entropy::random::<3>()) {
            place.copy_from_slice(&word.to_be_bytes());
        }
        let tokens = self.setup.tokens.as_ref().map(|file| (file.keys(), &self.rules));
        SaslGround {
            users,
            decoys,
            tokens,
            nonce,
            wall_s: u64::try_from(now.wall_ms / 1000).unwrap_or(0),
            mono_ns: now.mono_ns,
            reauth_max_ms: self.reauth_max_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::control::config::{BrokerSettings, Statics};

    #[test]
    fn what_tells_a_secret_is_offered_only_where_nobody_else_reads_it() {
        let settings = [("sasl.enabled.mechanisms".to_owned(), "PLAIN,OAUTHBEARER,SCRAM-SHA-256".to_owned())];
        let settings = BrokerSettings::effective(&Statics::new(&settings).expect("valid")).sasl;
        let offered = |plaintext_passwords, keeps_secrets| {
            let setup = SaslSetup { tokens: None, plaintext_passwords };
            let names = ShardSasl::new(setup, &settings).offered(keeps_secrets);
            names.into_iter().map(SaslMechanism::name).collect::<Vec<_>>().join(",")
        };
        assert_eq!(offered(false, false), "SCRAM-SHA-256");
        assert_eq!(offered(false, true), "PLAIN,SCRAM-SHA-256", "and no tokens without keys");
        assert_eq!(offered(true, false), "PLAIN,SCRAM-SHA-256");
    }
}
