//! Kafka's settings by name: type, default, validation, and what they mean here.
//!
//! `topic` and `broker` are the tables, `effective` turns them into what the code reads,
//! `describe` into what DescribeConfigs shows. Nothing here holds state.

pub mod broker;
pub mod change;
pub mod describe;
pub mod effective;
pub mod elsewhere;
pub mod group;
pub mod kinds;
mod own;
pub mod source;
pub mod statics;
pub mod topic;

pub use change::{apply_changes, brokers_changes, check_proposed, check_topic_configs};
pub use describe::{BrokerConfigs, DescribedConfig, Synonym, describe_broker, describe_topic};
pub use effective::{BrokerSettings, life_of};
pub use source::Source;
pub use statics::{Statics, StaticsError};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_valid() {
        for setting in topic::SETTINGS.iter().map(|topic| topic.setting).chain(broker::settings()) {
            if let Some(default) = setting.default {
                assert_eq!(setting.check(default), Ok(()), "{}", setting.name);
            }
            assert!(setting.doc.ends_with('.'), "{}", setting.name);
        }
    }

    #[test]
    fn bad_values_are_refused_with_the_reason() {
        let refused = |name: &str, value: &str, part: &str| {
            let error = topic::setting(name).unwrap().setting.check(value).unwrap_err().to_string();
            assert!(error.contains(part), "{name}={value}: {error}");
        };
        refused("retention.ms", "abc", "not a number of type LONG");
        refused("retention.ms", "-2", "between -1");
        refused("max.message.bytes", "16777217", "between 0 and 16777216");
        refused("min.cleanable.dirty.ratio", "NaN", "between 0 and 1");
        refused("message.timestamp.type", "Never", "CreateTime, LogAppendTime");
        refused("preallocate", "yes", "true or false");
        refused("cleanup.policy", "shred", "'shred' is not one of");
        assert_eq!(topic::setting("cleanup.policy").unwrap().setting.check("compact,delete"), Ok(()));
        refused("cleanup.policy", "", "empty policy");
        refused("compression.type", "brotli", "producer");
        refused("unclean.leader.election.enable", "TRUE", "never leads");
        refused("leader.replication.throttled.replicas", "0:1", "not built");
    }
}
