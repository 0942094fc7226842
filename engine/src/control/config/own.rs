//! Settings of one broker alone: they lie over those of all brokers, for what that one leads.

use super::effective::Configs;
use super::statics::Statics;
use crate::control::life::TopicSettings;
use crate::control::view::View;
use std::sync::Arc;

impl View {
    /// This view as one broker (a shard) has it: its own settings applied to every topic. Nearly
    /// always the broker has none, and the view is the same.
    pub fn of_broker(self: Arc<Self>, id: i32, statics: impl FnOnce() -> Statics) -> Arc<Self> {
        let Some(own) = self.own_broker_configs.get(&id) else { return self };
        let brokers = laid_over(own, &self.broker_configs);
        let statics = statics();
        let mut view = Self::clone(&self);
        for topic in view.topics.values_mut() {
            let settings = TopicSettings::effective(&topic.configs, &brokers, &statics);
            if settings != topic.settings {
                Arc::make_mut(topic).settings = settings;
            }
        }
        Arc::new(view)
    }
}

fn laid_over(own: &Configs, all: &Configs) -> Configs {
    let mut configs = all.clone();
    configs.extend(own.iter().map(|(key, value)| (key.clone(), value.clone())));
    configs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::view::TopicView;
    use crate::ids::TopicId;
    use std::collections::BTreeMap;

    fn configs(key: &str, value: &str) -> Configs {
        Configs::from([(key.to_owned(), value.to_owned())])
    }

    fn topic(name: &str, own: Configs, brokers: &Configs) -> (Arc<str>, Arc<TopicView>) {
        let settings = TopicSettings::effective(&own, brokers, &Statics::default());
        let topic = TopicView {
            name: name.into(),
            id: TopicId(1),
            replication_factor: 1,
            partitions: Vec::new(),
            configs: own,
            settings,
        };
        (name.into(), Arc::new(topic))
    }

    #[test]
    fn a_brokers_own_settings_stand_between_the_topics_and_those_of_all() {
        let all = configs("log.retention.ms", "6");
        let own = BTreeMap::from([(1, configs("log.retention.ms", "5"))]);
        let topics = [topic("set", configs("retention.ms", "4"), &all), topic("unset", Configs::new(), &all)];
        let view = Arc::new(View {
            topics: topics.into(),
            broker_configs: Arc::new(all),
            own_broker_configs: Arc::new(own),
            ..View::default()
        });
        let retention = |id: i32| {
            let view = Arc::clone(&view).of_broker(id, Statics::default);
            ["set", "unset"].map(|name| view.topics[name].settings.retention_ms)
        };
        assert_eq!(retention(1), [4, 5]);
        assert_eq!(retention(0), [4, 6]);
        assert!(Arc::ptr_eq(&view, &Arc::clone(&view).of_broker(0, Statics::default)));
    }
}
