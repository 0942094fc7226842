//! The settings of groups (Kafka's resource GROUP): what a group of the consumer protocol has of its
//! own; without them it has the broker's.

use super::broker;
use super::describe::{DescribedConfig, Synonym};
use super::effective::Configs;
use super::kinds::{Kind, Setting};
use super::source::Source;
use super::statics::Statics;
use crate::control::CommandError;
use crate::groups::GroupConfig;

pub const SESSION_MS: &str = "consumer.session.timeout.ms";
pub const INTERVAL_MS: &str = "consumer.heartbeat.interval.ms";

/// Groups that have some. Each takes about 200 bytes in every checkpoint of the metadata.
pub const GROUPS_MAX: usize = 10_000;
/// The longest name of such a group: Kafka's of a topic.
pub const NAME_BYTES_MAX: usize = 249;

#[rustfmt::skip]
pub const SETTINGS: [Setting; 2] = [
    Setting { name: INTERVAL_MS, kind: Kind::Int { min: 1, max: i32::MAX }, default: None,
        doc: "How often members of this group send heartbeats." },
    Setting { name: SESSION_MS, kind: Kind::Int { min: 1, max: i32::MAX }, default: None,
        doc: "A member of this group that is not heard of for this long is gone." },
];

pub fn setting(name: &str) -> Option<Setting> {
    SETTINGS.into_iter().find(|setting| setting.name == name)
}

/// A group's own value, as far as it has one.
pub fn own_ms(configs: Option<&Configs>, name: &str) -> Option<i32> {
    configs?.get(name)?.trim().parse().ok()
}

/// Whether a broker takes these: within its bounds, and heartbeats come within a session.
pub fn check(configs: &Configs, broker: &GroupConfig) -> Result<(), CommandError> {
    let refused = |reason: String| Err(CommandError::InvalidConfig(reason));
    let bounds = [
        (SESSION_MS, broker.consumer_session_range_ms, "session.timeout.ms"),
        (INTERVAL_MS, broker.consumer_interval_range_ms, "heartbeat.interval.ms"),
    ];
    for (name, (min, max), what) in bounds {
        let Some(value) = own_ms(Some(configs), name) else { continue };
        if !(min..=max).contains(&value) {
            return refused(format!(
                "{name} must be between group.consumer.min.{what} ({min}) and group.consumer.max.{what} ({max})"
            ));
        }
    }
    let session_ms = own_ms(Some(configs), SESSION_MS).unwrap_or(broker.consumer_session_ms);
    let interval_ms = own_ms(Some(configs), INTERVAL_MS).unwrap_or(broker.consumer_interval_ms);
    if session_ms <= interval_ms {
        return refused(format!("{SESSION_MS} ({session_ms}) must be above {INTERVAL_MS} ({interval_ms})"));
    }
    Ok(())
}

/// All settings of a group, as this node has them.
pub fn describe(own: Option<&Configs>, statics: &Statics) -> Vec<DescribedConfig> {
    let describe = |setting: Setting| {
        let broker_name = match setting.name {
            SESSION_MS => "group.consumer.session.timeout.ms",
            _ => "group.consumer.heartbeat.interval.ms",
        };
        let of_node = statics.get(broker_name).map(|value| (value.to_owned(), Source::Static));
        let default = broker::setting(broker_name).and_then(|setting| setting.default);
        let default = default.map(|value| (value.to_owned(), Source::Default));
        let set = own.and_then(|own| own.get(setting.name)).map(|value| (value.clone(), Source::Group));
        let all = [(setting.name, set), (broker_name, of_node), (broker_name, default)];
        let synonyms: Vec<Synonym> = all
            .into_iter()
            .filter_map(|(name, found)| found.map(|(value, source)| Synonym { name, value, source }))
            .collect();
        let first = synonyms.first();
        DescribedConfig {
            name: setting.name,
            value: first.map(|one| one.value.clone()),
            source: first.map_or(Source::Default, |one| one.source),
            read_only: false,
            kafka_type: setting.kind.kafka_type(),
            doc: setting.doc,
            synonyms,
        }
    };
    SETTINGS.into_iter().map(describe).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_keeps_within_the_brokers_bounds() {
        let broker = GroupConfig::default();
        let checked = |pairs: &[(&str, &str)]| {
            let configs = pairs.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
            check(&configs, &broker).is_ok()
        };
        assert!(checked(&[]) && checked(&[(SESSION_MS, "50000"), (INTERVAL_MS, "6000")]));
        assert!(!checked(&[(SESSION_MS, "44999")]) && !checked(&[(SESSION_MS, "60001")]));
        assert!(!checked(&[(INTERVAL_MS, "4999")]) && !checked(&[(INTERVAL_MS, "15001")]));
        let wide = GroupConfig { consumer_session_range_ms: (1, 60_000), ..broker.clone() };
        let configs = [(SESSION_MS.to_owned(), "5000".to_owned())].into();
        assert!(check(&configs, &wide).is_err(), "no heartbeat comes within it");
    }

    #[test]
    fn what_a_group_does_not_have_is_the_brokers() {
        let statics = Statics::new(&[("group.consumer.heartbeat.interval.ms".to_owned(), "7000".to_owned())]);
        let statics = statics.expect("valid");
        let own = [(SESSION_MS.to_owned(), "50000".to_owned())].into();
        let all = describe(Some(&own), &statics);
        let shown = |name| {
            let found = all.iter().find(|one| one.name == name).expect("shown");
            (found.value.as_deref().expect("a value"), found.source)
        };
        assert_eq!(shown(SESSION_MS), ("50000", Source::Group));
        assert_eq!(shown(INTERVAL_MS), ("7000", Source::Static));
    }
}
