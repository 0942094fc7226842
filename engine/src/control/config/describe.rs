//! Settings as DescribeConfigs shows them: value, where it comes from, and what would stand in
//! if it were unset.

use super::broker;
use super::effective::{Configs, topic_value};
use super::kinds::Setting;
use super::source::Source;
use super::statics::Statics;
use super::topic::{self, TopicSetting};
use crate::control::view::View;

/// One setting of a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedConfig {
    pub name: &'static str,
    pub value: Option<String>,
    pub source: Source,
    pub read_only: bool,
    pub kafka_type: i8,
    pub doc: &'static str,
    /// All values there are for it, the strongest first.
    pub synonyms: Vec<Synonym>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Synonym {
    pub name: &'static str,
    pub value: String,
    pub source: Source,
}

/// Where a broker's settings stand.
#[derive(Clone, Copy, Debug)]
pub struct BrokerConfigs<'a> {
    /// Dynamic, for this broker.
    pub own: &'a Configs,
    /// Dynamic, for all brokers.
    pub all: &'a Configs,
    pub statics: &'a Statics,
}

impl<'a> BrokerConfigs<'a> {
    /// Those of one broker, as a view has them.
    pub fn of(view: &'a View, id: i32, statics: &'a Statics) -> Self {
        static NONE: Configs = Configs::new();
        let own = view.own_broker_configs.get(&id).unwrap_or(&NONE);
        Self { own, all: &view.broker_configs, statics }
    }
}

/// All settings of a topic as one broker has them, sorted by name.
pub fn describe_topic(topic: &Configs, broker: BrokerConfigs<'_>) -> Vec<DescribedConfig> {
    let BrokerConfigs { own, all, statics } = broker;
    let describe = |of: &TopicSetting| {
        let (mut value, mut source) = topic_value(of, topic, all, statics);
        let own_value = of.synonyms.iter().find_map(|synonym| own.get(synonym.name));
        if let Some(own) = own_value.filter(|_| source != Source::Topic) {
            (value, source) = (own.into(), Source::Broker);
        }
        let set_here = topic.get(of.setting.name).map(|value| Synonym {
            name: of.setting.name,
            value: value.clone(),
            source: Source::Topic,
        });
        let mut synonyms: Vec<_> = set_here.into_iter().collect();
        synonyms.extend(of.synonyms.iter().filter_map(|synonym| own_value_of(synonym.name, own)));
        synonyms.extend(of.synonyms.iter().filter_map(|synonym| dynamic_value(synonym.name, all)));
        synonyms.extend(of.synonyms.iter().filter_map(|synonym| static_value(synonym.name, statics)));
        let default = Synonym {
            name: of.setting.name,
            value: of.setting.default.unwrap_or("").to_owned(),
            source: Source::Default,
        };
        let broker_default = of.synonyms.iter().find_map(|synonym| default_value(synonym.name));
        synonyms.push(broker_default.unwrap_or(default));
        described(&of.setting, Some(value.into_owned()), source, false, synonyms)
    };
    topic::SETTINGS.iter().map(describe).collect()
}

/// All settings of a broker, sorted by name.
pub fn describe_broker(broker: BrokerConfigs<'_>) -> Vec<DescribedConfig> {
    let describe = |setting: Setting| {
        let values = [
            own_value_of(setting.name, broker.own),
            dynamic_value(setting.name, broker.all),
            static_value(setting.name, broker.statics),
            default_value(setting.name),
        ];
        let synonyms: Vec<_> = values.into_iter().flatten().collect();
        let (value, source) = synonyms
            .first()
            .map_or((None, Source::Default), |first| (Some(first.value.clone()), first.source));
        described(&setting, value, source, !broker::is_dynamic(setting.name), synonyms)
    };
    let mut described: Vec<_> = broker::settings().map(describe).collect();
    described.sort_unstable_by_key(|config| config.name);
    described
}

/// What was set for all brokers (Kafka's empty resource name).
pub fn describe_all_brokers(brokers: &Configs) -> Vec<DescribedConfig> {
    let set = |(name, value): (&String, &String)| {
        let setting = broker::setting(name)?;
        let synonyms = dynamic_value(setting.name, brokers).into_iter().collect();
        Some(described(&setting, Some(value.clone()), Source::AllBrokers, false, synonyms))
    };
    brokers.iter().filter_map(set).collect()
}

fn described(
    setting: &Setting,
    value: Option<String>,
    source: Source,
    read_only: bool,
    synonyms: Vec<Synonym>,
) -> DescribedConfig {
    DescribedConfig {
        name: setting.name,
        value,
        source,
        read_only,
        kafka_type: setting.kind.kafka_type(),
        doc: setting.doc,
        synonyms,
    }
}

fn own_value_of(name: &'static str, own: &Configs) -> Option<Synonym> {
    let value = own.get(name)?.clone();
    Some(Synonym { name, value, source: Source::Broker })
}

fn dynamic_value(name: &'static str, brokers: &Configs) -> Option<Synonym> {
    let value = brokers.get(name)?.clone();
    Some(Synonym { name, value, source: Source::AllBrokers })
}

fn static_value(name: &'static str, statics: &Statics) -> Option<Synonym> {
    let value = statics.get(name)?.to_owned();
    Some(Synonym { name, value, source: Source::Static })
}

fn default_value(name: &'static str) -> Option<Synonym> {
    let value = broker::setting(name)?.default?.to_owned();
    Some(Synonym { name, value, source: Source::Default })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topics_value_stands_before_its_synonyms() {
        let topic = Configs::from([("retention.ms".to_owned(), "5".to_owned())]);
        let brokers = Configs::from([("log.retention.ms".to_owned(), "6".to_owned())]);
        let statics = Statics::new(&[("log.retention.minutes".to_owned(), "7".to_owned())]).unwrap();
        let own = Configs::new();
        let broker = BrokerConfigs { own: &own, all: &brokers, statics: &statics };
        let all = describe_topic(&topic, broker);
        assert!(all.is_sorted_by_key(|config| config.name));
        let retention = all.iter().find(|config| config.name == "retention.ms").unwrap();
        assert_eq!((retention.value.as_deref(), retention.source), (Some("5"), Source::Topic));
        let synonyms: Vec<_> =
            retention.synonyms.iter().map(|s| (s.name, s.value.as_str(), s.source as i8)).collect();
        assert_eq!(
            synonyms,
            [
                ("retention.ms", "5", 1),
                ("log.retention.ms", "6", 3),
                ("log.retention.minutes", "7", 4),
                ("log.retention.hours", "168", 5),
            ]
        );
    }

    #[test]
    fn what_was_set_of_one_broker_is_stronger_than_what_was_set_of_all() {
        let set = |value: &str| Configs::from([("log.retention.ms".to_owned(), value.to_owned())]);
        let (own, all, statics) = (set("5"), set("6"), Statics::default());
        let broker = BrokerConfigs { own: &own, all: &all, statics: &statics };
        let find = |found: Vec<DescribedConfig>, name: &str| {
            let config = found.into_iter().find(|config| config.name == name).unwrap();
            let synonyms: Vec<i8> = config.synonyms.iter().map(|synonym| synonym.source as i8).collect();
            (config.value.unwrap(), config.source as i8, synonyms)
        };
        let expected = ("5".to_owned(), 2, vec![2, 3]);
        assert_eq!(find(describe_broker(broker), "log.retention.ms"), expected);
        let of_topic = find(describe_topic(&Configs::new(), broker), "retention.ms");
        assert_eq!((of_topic.0.as_str(), of_topic.1), ("5", 2));
        assert_eq!(find(describe_all_brokers(&all), "log.retention.ms").1, 3);
    }

    #[test]
    fn a_brokers_settings_say_which_are_read_only() {
        let statics = Statics::new(&[("num.partitions".to_owned(), "3".to_owned())]).unwrap();
        let none = Configs::new();
        let all = describe_broker(BrokerConfigs { own: &none, all: &none, statics: &statics });
        let find = |name| all.iter().find(|config| config.name == name).unwrap();
        assert_eq!(find("num.partitions").source, Source::Static);
        assert!(find("num.partitions").read_only);
        assert!(!find("message.max.bytes").read_only);
        assert_eq!(find("log.retention.ms").value, None);
        assert!(describe_all_brokers(&Configs::new()).is_empty());
    }
}
