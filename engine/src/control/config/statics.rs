//! The settings of one node's file and command line. They differ between nodes, so nothing that
//! replicas must agree on may read them.

use super::broker;
use std::collections::BTreeMap;

/// Valid settings by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statics(BTreeMap<String, String>);

/// Why a node's settings are refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StaticsError {
    #[error("unknown setting '{0}'")]
    Unknown(String),
    #[error("{reason}")]
    Invalid { key: String, reason: String },
}

impl Statics {
    /// Checks names and values; the last of two for one name counts.
    pub fn new(pairs: &[(String, String)]) -> Result<Self, StaticsError> {
        let mut values = BTreeMap::new();
        for (key, value) in pairs {
            let setting = broker::setting(key).ok_or_else(|| StaticsError::Unknown(key.clone()))?;
            let invalid = |reason| StaticsError::Invalid { key: key.clone(), reason };
            setting.check(value).map_err(|error| invalid(error.to_string()))?;
            if !setting.has_effect() {
                return Err(invalid(format!("{key} has no effect here")));
            }
            values.insert(key.clone(), value.trim().to_owned());
        }
        Ok(Self(values))
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_values_are_checked() {
        let new = |key: &str, value: &str| Statics::new(&[(key.to_owned(), value.to_owned())]);
        assert_eq!(new("num.partitions", " 3 ").unwrap().get("num.partitions"), Some("3"));
        assert_eq!(new("num.partition", "3"), Err(StaticsError::Unknown("num.partition".to_owned())));
        assert!(matches!(new("log.segment.bytes", "1000000"), Err(StaticsError::Invalid { .. })));
        assert!(matches!(new("num.partitions", "0"), Err(StaticsError::Invalid { .. })));
        assert!(matches!(new("log.cleanup.policy", "compact"), Err(StaticsError::Invalid { .. })));
    }
}
