//! Changes of settings: the rules of CreateTopics, AlterConfigs and IncrementalAlterConfigs.

use super::effective::Configs;
use super::elsewhere::elsewhere;
use super::kinds::{Kind, Setting, list_of};
use super::{broker, group, topic};
use crate::control::command::{ConfigChange, Resource};
use crate::control::command_error::CommandError;

/// A value's longest text, bytes: far above any valid one, and bounds a command.
pub const CONFIG_VALUE_BYTES_MAX: usize = 4096;

/// Checks the settings that a new topic is made with, each named once.
pub fn check_topic_configs(pairs: &[(String, String)]) -> Result<Configs, CommandError> {
    replaced(setting_of_topic, pairs)
}

/// What a topic's settings must not be together, or could be when older versions took them. Asked before a command is
/// made, never when one is applied: what was committed once is taken for ever.
pub fn check_proposed(configs: &Configs) -> Result<(), CommandError> {
    let number = |name: &str| -> i64 {
        let default = topic::setting(name).and_then(|topic| topic.setting.default);
        let value = configs.get(name).map(String::as_str).or(default).expect("a topic setting has a default");
        value.trim().parse().expect("checked when it was set")
    };
    if number("compression.gzip.level") == 0 {
        let reason = "compression.gzip.level is 1 to 9, or -1 for gzip's usual one".to_owned();
        return Err(CommandError::InvalidConfig(reason));
    }
    let (min, max) = (number("min.compaction.lag.ms"), number("max.compaction.lag.ms"));
    if min <= max {
        return Ok(());
    }
    let reason = format!(
        "conflict topic config setting min.compaction.lag.ms ({min}) > max.compaction.lag.ms ({max})"
    );
    Err(CommandError::InvalidConfig(reason))
}

/// The settings after `changes`, all or none of them.
pub fn apply_changes(
    resource: &Resource,
    before: &Configs,
    changes: &[ConfigChange],
) -> Result<Configs, CommandError> {
    let find = match resource {
        Resource::Topic(_) => setting_of_topic,
        Resource::Brokers | Resource::Broker(_) => setting_of_brokers,
        Resource::Group(_) => setting_of_group,
    };
    let mut configs = before.clone();
    for change in changes {
        match change {
            ConfigChange::ReplaceAll { configs: pairs } => configs = replaced(find, pairs)?,
            ConfigChange::Set { key, value } => set(&find(key)?, value, &mut configs)?,
            ConfigChange::Delete { key } => {
                find(key)?;
                configs.remove(key);
            }
            ConfigChange::Append { key, value } => edit_list(&find(key)?, &mut configs, |items| {
                for item in list_of(value) {
                    if !items.iter().any(|have| have == item) {
                        items.push(item.to_owned());
                    }
                }
            })?,
            ConfigChange::Subtract { key, value } => edit_list(&find(key)?, &mut configs, |items| {
                items.retain(|have| !list_of(value).any(|item| item == have));
            })?,
        }
    }
    Ok(configs)
}

/// The changes of brokers' settings that are worth a command: a deletion of what has no meaning
/// here, or cannot be set while a node runs, changes nothing; what would have no effect is refused.
/// Decided before a command is made, never when one is applied.
pub fn brokers_changes(changes: Vec<ConfigChange>) -> Result<Vec<ConfigChange>, CommandError> {
    let mut kept = Vec::with_capacity(changes.len());
    for change in changes {
        let is_kept = match &change {
            ConfigChange::Delete { key } => broker::is_dynamic(key) || !is_known(key),
            ConfigChange::Set { key, .. }
            | ConfigChange::Append { key, .. }
            | ConfigChange::Subtract { key, .. } => check_effect(key).map(|()| true)?,
            ConfigChange::ReplaceAll { configs } => {
                configs.iter().try_for_each(|(key, _)| check_effect(key)).map(|()| true)?
            }
        };
        if is_kept {
            kept.push(change);
        }
    }
    Ok(kept)
}

fn is_known(key: &str) -> bool {
    broker::setting(key).is_some() || elsewhere(key).is_some()
}

fn check_effect(key: &str) -> Result<(), CommandError> {
    if let Some(place) = elsewhere(key) {
        return Err(CommandError::InvalidRequest(format!("{key} has no meaning here: {place}")));
    }
    match broker::setting(key) {
        Some(setting) if !setting.has_effect() => {
            Err(CommandError::InvalidRequest(format!("{key} is not taken: {}", setting.doc)))
        }
        _ => Ok(()),
    }
}

type Find = fn(&str) -> Result<Setting, CommandError>;

fn replaced(find: Find, pairs: &[(String, String)]) -> Result<Configs, CommandError> {
    let mut configs = Configs::new();
    for (key, value) in pairs {
        if configs.contains_key(key) {
            return Err(CommandError::InvalidRequest(format!("'{key}' is given twice")));
        }
        set(&find(key)?, value, &mut configs)?;
    }
    Ok(configs)
}

fn setting_of_topic(key: &str) -> Result<Setting, CommandError> {
    topic::setting(key)
        .map(|topic| topic.setting)
        .ok_or_else(|| CommandError::InvalidConfig(format!("Unknown topic config name: {key}")))
}

fn setting_of_group(key: &str) -> Result<Setting, CommandError> {
    group::setting(key)
        .ok_or_else(|| CommandError::InvalidConfig(format!("Unknown group config name: {key}")))
}

fn setting_of_brokers(key: &str) -> Result<Setting, CommandError> {
    let setting = broker::setting(key)
        .ok_or_else(|| CommandError::InvalidConfig(format!("Unknown broker config name: {key}")))?;
    if !broker::is_dynamic(key) {
        let reason = format!("Cannot update these configs dynamically: {key}; set it in the node's file");
        return Err(CommandError::InvalidRequest(reason));
    }
    Ok(setting)
}

fn set(setting: &Setting, value: &str, configs: &mut Configs) -> Result<(), CommandError> {
    if value.len() > CONFIG_VALUE_BYTES_MAX {
        let reason = format!("{} has a value above {CONFIG_VALUE_BYTES_MAX} bytes", setting.name);
        return Err(CommandError::InvalidConfig(reason));
    }
    setting.check(value)?;
    configs.insert(setting.name.to_owned(), value.trim().to_owned());
    Ok(())
}

fn edit_list(
    setting: &Setting,
    configs: &mut Configs,
    edit: impl FnOnce(&mut Vec<String>),
) -> Result<(), CommandError> {
    if !matches!(setting.kind, Kind::List(_)) {
        let reason = format!("Can't append to or subtract from {}: its type is not LIST", setting.name);
        return Err(CommandError::InvalidConfig(reason));
    }
    let value = configs.get(setting.name).map_or(setting.default.unwrap_or(""), String::as_str);
    let mut items: Vec<String> = list_of(value).map(str::to_owned).collect();
    edit(&mut items);
    set(setting, &items.join(","), configs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::TopicId;

    const TOPIC: Resource = Resource::Topic(TopicId(1));

    fn pair(key: &str, value: &str) -> (String, String) {
        (key.to_owned(), value.to_owned())
    }

    fn change(resource: &Resource, change: ConfigChange) -> Result<Configs, CommandError> {
        apply_changes(resource, &Configs::from([pair("retention.ms", "5")]), &[change])
    }

    #[test]
    fn one_change_leaves_the_others() {
        let set = ConfigChange::Set { key: "retention.bytes".to_owned(), value: " 9 ".to_owned() };
        let after = change(&TOPIC, set).unwrap();
        assert_eq!(after, Configs::from([pair("retention.bytes", "9"), pair("retention.ms", "5")]));
        let delete = ConfigChange::Delete { key: "retention.ms".to_owned() };
        assert!(change(&TOPIC, delete).unwrap().is_empty());
        let replace = ConfigChange::ReplaceAll { configs: vec![pair("retention.bytes", "7")] };
        assert_eq!(change(&TOPIC, replace).unwrap(), Configs::from([pair("retention.bytes", "7")]));
    }

    #[test]
    fn what_settings_must_not_be_together_is_refused_before_it_is_proposed() {
        let check = |pairs: &[(&str, &str)]| {
            check_proposed(&pairs.iter().map(|(key, value)| pair(key, value)).collect())
        };
        let (min, max) = ("min.compaction.lag.ms", "max.compaction.lag.ms");
        assert!(check(&[]).is_ok() && check(&[(min, "6")]).is_ok());
        assert!(check(&[(min, "5"), (max, "5")]).is_ok());
        let error = check(&[(min, "6"), (max, "5")]).unwrap_err().to_string();
        assert!(error.contains("min.compaction.lag.ms (6) > max.compaction.lag.ms (5)"), "{error}");
        assert!(check(&[("compression.gzip.level", "9")]).is_ok());
        assert!(matches!(check(&[("compression.gzip.level", "0")]), Err(CommandError::InvalidConfig(_))));
    }

    #[test]
    fn lists_are_appended_to_and_subtracted_from() {
        let key = || "cleanup.policy".to_owned();
        let append = |value: &str| ConfigChange::Append { key: key(), value: value.to_owned() };
        assert_eq!(change(&TOPIC, append("delete")).unwrap()["cleanup.policy"], "delete");
        assert_eq!(change(&TOPIC, append("compact")).unwrap()["cleanup.policy"], "delete,compact");
        let subtract = ConfigChange::Subtract { key: key(), value: "delete".to_owned() };
        assert!(matches!(change(&TOPIC, subtract), Err(CommandError::InvalidConfig(_))));
        let number = ConfigChange::Append { key: "retention.ms".to_owned(), value: "1".to_owned() };
        assert!(matches!(change(&TOPIC, number), Err(CommandError::InvalidConfig(_))));
    }

    #[test]
    fn deletions_of_brokers_settings_without_meaning_change_nothing_and_sets_say_where_they_belong() {
        let delete = |key: &str| ConfigChange::Delete { key: key.to_owned() };
        let set = |key: &str| ConfigChange::Set { key: key.to_owned(), value: "1".to_owned() };
        let all = ["num.io.threads", "log.cleaner.threads", "num.partitions", "log.retention.ms", "no.such"];
        let kept = brokers_changes(all.map(delete).to_vec()).unwrap();
        assert_eq!(kept, [delete("log.retention.ms"), delete("no.such")], "the last one is refused later");
        assert!(change(&Resource::Brokers, delete("no.such")).is_err());
        let refused = |key: &str| brokers_changes(vec![set(key)]).unwrap_err().to_string();
        assert!(refused("num.io.threads").contains("--shards"));
        assert!(refused("log.segment.bytes").contains("Without effect"));
        let pairs = vec![pair("log.retention.ms", "1"), pair("log.dirs", "/x")];
        let replace = vec![ConfigChange::ReplaceAll { configs: pairs }];
        assert!(brokers_changes(replace).unwrap_err().to_string().contains("--data-dir"));
        for key in ["log.retention.ms", "log.flush.interval.messages", "no.such", "num.partitions"] {
            assert!(brokers_changes(vec![set(key)]).is_ok(), "{key}");
        }
    }

    #[test]
    fn unknown_twice_named_and_read_only_settings_are_refused() {
        let set = |key: &str| ConfigChange::Set { key: key.to_owned(), value: "1".to_owned() };
        assert!(matches!(change(&TOPIC, set("no.such")), Err(CommandError::InvalidConfig(_))));
        assert!(matches!(change(&Resource::Brokers, set("no.such")), Err(CommandError::InvalidConfig(_))));
        let read_only = change(&Resource::Brokers, set("num.partitions"));
        assert!(matches!(read_only, Err(CommandError::InvalidRequest(_))));
        assert!(change(&Resource::Brokers, set("log.retention.ms")).is_ok());
        let twice = [pair("retention.ms", "1"), pair("retention.ms", "2")];
        assert!(matches!(check_topic_configs(&twice), Err(CommandError::InvalidRequest(_))));
    }
}
