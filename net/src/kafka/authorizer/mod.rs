//! Who may do what, before anything is done: Kafka's rules, judged by the access rules of the metadata.
//!
//! `judge` decides for one request, `table` says what each API asks, `admit` takes out of a request what may not be
//! asked, and the files below it do so API by API: an API without one does not build.

pub mod admit;
mod admit_acls;
mod admit_cluster;
mod admit_configs;
mod admit_consumer_groups;
mod admit_groups;
mod admit_metadata;
mod admit_topics;
mod admit_transactions;
mod denials;
pub mod judge;
pub mod table;

pub use admit::{Admission, Admit};
pub use judge::Judge;

use crate::kafka::request_context::{ANONYMOUS, Peer};
use crate::kafka::security_protocol::SecurityProtocol;
use engine::control::config::BrokerSettings;
use std::collections::BTreeSet;

/// What a node is told of access; the rules themselves are the cluster's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorizer {
    /// They may do everything, whatever the rules say.
    super_users: BTreeSet<String>,
    /// What is about no resource with a rule.
    allows_without_rule: bool,
    /// Whoever comes from this machine, in the clear, is one of them.
    local_admin: bool,
}

impl Authorizer {
    /// None where it is off: everybody may do everything.
    pub fn of(settings: &BrokerSettings) -> Option<Self> {
        settings.authorizer.then(|| Self {
            super_users: settings.super_users.iter().cloned().collect(),
            allows_without_rule: settings.allow_without_rule,
            local_admin: settings.local_admin,
        })
    }

    pub fn is_super(&self, peer: &Peer) -> bool {
        let is_local = peer.principal == ANONYMOUS
            && peer.address.to_canonical().is_loopback()
            && peer.listener.protocol == SecurityProtocol::Plaintext;
        self.super_users.contains(&peer.principal) || (self.local_admin && is_local)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::listener::Listener;
    use engine::control::config::Statics;
    use std::sync::Arc;

    fn authorizer(pairs: &[(&str, &str)]) -> Option<Authorizer> {
        let pairs: Vec<_> = pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        Authorizer::of(&BrokerSettings::effective(&Statics::new(&pairs).expect("valid")))
    }

    fn peer(principal: &str, address: &str, protocol: SecurityProtocol) -> Peer {
        let listener = Arc::new(Listener { name: "L".to_owned(), protocol });
        Peer { principal: principal.to_owned(), listener, address: address.parse().expect("an address") }
    }

    const ON: (&str, &str) =
        ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer");

    #[test]
    fn it_is_off_unless_turned_on_and_super_users_are_named() {
        assert_eq!(authorizer(&[]), None);
        assert_eq!(authorizer(&[("super.users", "User:a")]), None);
        let on = authorizer(&[ON, ("super.users", "User:a; User:CN=b,OU=c ;")]).expect("on");
        let ssl = SecurityProtocol::Ssl;
        for (principal, is_super) in [("User:a", true), ("User:CN=b,OU=c", true), ("User:", false)] {
            assert_eq!(on.is_super(&peer(principal, "10.0.0.1", ssl)), is_super, "{principal}");
        }
    }

    #[test]
    fn who_is_on_the_machine_is_an_administrator_unless_they_said_who_they_are() {
        let on = authorizer(&[ON]).expect("on");
        let plain = SecurityProtocol::Plaintext;
        assert!(on.is_super(&peer(ANONYMOUS, "127.0.0.1", plain)));
        assert!(on.is_super(&peer(ANONYMOUS, "::ffff:127.0.0.1", plain)));
        assert!(!on.is_super(&peer(ANONYMOUS, "10.0.0.1", plain)));
        assert!(!on.is_super(&peer(ANONYMOUS, "127.0.0.1", SecurityProtocol::Ssl)));
        assert!(!on.is_super(&peer("User:a", "127.0.0.1", plain)));
        let without = authorizer(&[ON, ("duramen.local.admin", "false")]).expect("on");
        assert!(!without.is_super(&peer(ANONYMOUS, "127.0.0.1", plain)));
    }
}
