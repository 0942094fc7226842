//! What the options say of access, as Kafka's settings have it, and whether anybody can give rights then.

use super::kafka_settings;
use super::node_config::NodeConfig;
use super::options::{Options, Switch};
use super::refusal::Refusal;
use crate::kafka::security_protocol::SecurityProtocol;
use engine::control::config::broker::AUTHORIZER;
use engine::control::config::{BrokerSettings, Statics};

/// Puts the options among Kafka's settings, over those.
pub fn settings(options: &Options, kafka: &mut Vec<(String, String)>) -> Result<(), Refusal> {
    let named =
        |one: &&String| one.split_once(':').is_none_or(|(kind, name)| kind.is_empty() || name.is_empty());
    if let Some(wrong) = options.super_user.iter().find(named) {
        let what = format!("--super-user '{wrong}' names no type: names are such as User:alice");
        return Err(Refusal::usage(what, format!("write --super-user User:{wrong}")));
    }
    if let Some(wrong) = options.super_user.iter().find(|one| one.contains(';')) {
        let what = format!("--super-user '{wrong}' has a semicolon");
        return Err(Refusal::usage(what, "give --super-user once for each"));
    }
    let is_on = match options.authorizer {
        Some(switch) => Some(switch == Switch::On),
        None => (!options.super_user.is_empty()).then_some(true),
    };
    if let Some(is_on) = is_on {
        kafka_settings::set(kafka, "authorizer.class.name", if is_on { AUTHORIZER } else { "" });
    }
    if !options.super_user.is_empty() {
        kafka_settings::set(kafka, "super.users", &options.super_user.join(";"));
    }
    if let Some(without) = options.no_local_admin {
        kafka_settings::set(kafka, "duramen.local.admin", if without { "false" } else { "true" });
    }
    Ok(())
}

/// Nobody could ever give anybody a right where there is no super user.
pub fn check(node: &NodeConfig) -> Result<(), Refusal> {
    let statics = Statics::new(&node.kafka).expect("checked when they were merged");
    let settings = BrokerSettings::effective(&statics);
    if !settings.authorizer {
        return match settings.local_admin {
            true => Ok(()),
            false => Err(Refusal::usage(
                "--no-local-admin without an authorizer: everybody may do everything",
                "give --super-user User:NAME, or --authorizer on, or leave it out",
            )),
        };
    }
    let takes_local = node.listeners.0.iter().any(|one| {
        let ip = one.listen.ip();
        one.listener.protocol == SecurityProtocol::Plaintext && (ip.is_loopback() || ip.is_unspecified())
    });
    if settings.super_users.is_empty() && !(settings.local_admin && takes_local) {
        return Err(Refusal::usage(
            "the authorizer is on and there is no super user: nobody could give anybody a right",
            "give --super-user User:NAME, or listen on 127.0.0.1 without --no-local-admin",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kafka(options: &Options) -> Result<Vec<(String, String)>, Refusal> {
        let mut kafka = vec![("super.users".to_owned(), "User:file".to_owned())];
        settings(options, &mut kafka).map(|()| kafka)
    }

    fn value<'a>(kafka: &'a [(String, String)], key: &str) -> Option<&'a str> {
        kafka.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    #[test]
    fn options_are_kafkas_settings_and_a_super_user_turns_it_on() {
        let none = kafka(&Options::default()).expect("valid");
        assert_eq!(
            (value(&none, "authorizer.class.name"), value(&none, "super.users")),
            (None, Some("User:file"))
        );
        let super_user = vec!["User:a".to_owned(), "User:CN=b,O=c".to_owned()];
        let given =
            Options { super_user: super_user.clone(), no_local_admin: Some(true), ..Options::default() };
        let on = kafka(&given).expect("valid");
        assert_eq!(value(&on, "authorizer.class.name"), Some(AUTHORIZER));
        assert_eq!(value(&on, "super.users"), Some("User:a;User:CN=b,O=c"));
        assert_eq!(value(&on, "duramen.local.admin"), Some("false"));
        let off = Options { super_user, authorizer: Some(Switch::Off), ..Options::default() };
        assert_eq!(value(&kafka(&off).expect("valid"), "authorizer.class.name"), Some(""));
    }

    #[test]
    fn a_super_user_has_a_type() {
        for wrong in ["alice", ":alice", "User:", "User:a;User:b"] {
            let options = Options { super_user: vec![wrong.to_owned()], ..Options::default() };
            assert!(kafka(&options).is_err(), "{wrong}");
        }
    }
}
