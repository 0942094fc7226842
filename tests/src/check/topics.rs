//! What the metadata must say: the topics, partitions and settings whose changes were answered.

use engine::control::View;
use engine::ids::TopicId;
use std::collections::{BTreeMap, BTreeSet};

/// One topic, as its client knows it.
#[derive(Clone, Debug, Default)]
pub struct TopicModel {
    pub name: String,
    pub create_answered: bool,
    pub delete_asked: bool,
    pub delete_answered: bool,
    /// At least this many; asked for but unanswered ones may be there too.
    pub partitions_answered: u32,
    pub partitions_asked: u32,
    /// Time or size may have taken records, whatever the settings are now.
    pub retention_asked: bool,
    /// Values that a setting may have; one, when all changes were answered.
    pub configs: BTreeMap<String, BTreeSet<Option<String>>>,
    /// Values of changes whose answer nobody waited for: they may be made at any time.
    pub configs_lost: BTreeSet<(String, Option<String>)>,
}

impl TopicModel {
    /// A change of a setting was answered.
    pub fn configured(&mut self, key: String, value: Option<String>) {
        let lost = self.configs_lost.iter().filter(|(of, _)| *of == key).map(|(_, value)| value.clone());
        let possible = lost.chain([value]).collect();
        self.configs.insert(key, possible);
    }

    /// A setting that lets records go was ever asked for.
    pub fn has_retention(&self) -> bool {
        let limits = |(key, values): (&String, &BTreeSet<Option<String>>)| {
            key.starts_with("retention") && values.iter().flatten().any(|value| value != "-1")
        };
        self.retention_asked || self.configs.iter().any(limits)
    }
}

#[derive(Default)]
pub struct Topics {
    pub by_id: BTreeMap<TopicId, TopicModel>,
}

impl Topics {
    /// A view that includes everything answered so far.
    pub fn check(&self, view: &View) {
        for (id, topic) in &self.by_id {
            let there = view.topic_ids.get(id).map(|name| &view.topics[name]);
            assert!(
                there.is_none() || !topic.delete_answered,
                "topic {} was deleted and is back",
                topic.name
            );
            let must_be = topic.create_answered && !topic.delete_asked;
            let Some(there) = there else {
                assert!(!must_be, "topic {} was created and is gone", topic.name);
                continue;
            };
            assert_eq!(&*there.name, topic.name.as_str());
            let partitions = there.partitions.len() as u32;
            assert!(
                (topic.partitions_answered..=topic.partitions_asked).contains(&partitions),
                "topic {} has {partitions} partitions, {topic:?}",
                topic.name
            );
            for (key, values) in &topic.configs {
                let value = there.configs.get(key).cloned();
                assert!(
                    values.contains(&value),
                    "view {}: topic {}: {key} is {value:?}, not {values:?}",
                    view.version,
                    topic.name
                );
            }
        }
    }
}
