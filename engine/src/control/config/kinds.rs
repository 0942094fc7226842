//! What a setting is: its kind, its bounds and what it takes.

use crate::control::command_error::CommandError;

/// One setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub name: &'static str,
    pub kind: Kind,
    /// `None`: not set, and another setting decides.
    pub default: Option<&'static str>,
    /// Shown by DescribeConfigs and `--help`-like listings.
    pub doc: &'static str,
}

/// What values a setting takes.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Boolean,
    Int {
        min: i32,
        max: i32,
    },
    Long {
        min: i64,
        max: i64,
    },
    Double {
        min: f64,
        max: f64,
    },
    /// One of these.
    Choice(&'static [&'static str]),
    /// Any text: a name, or a file's address.
    Text,
    /// Any of these, separated by commas.
    List(&'static [&'static str]),
}

impl Kind {
    /// DescribeConfigs' number for the type.
    pub fn kafka_type(self) -> i8 {
        match self {
            Kind::Boolean => 1,
            Kind::Choice(_) | Kind::Text => 2,
            Kind::Int { .. } => 3,
            Kind::Long { .. } => 5,
            Kind::Double { .. } => 6,
            Kind::List(_) => 7,
        }
    }

    /// What may be given, in words.
    pub fn values(self) -> String {
        match self {
            Kind::Boolean => "true or false".to_owned(),
            Kind::Int { min, max } => format!("a whole number from {min} to {max}"),
            Kind::Long { min, max } => format!("a whole number from {min} to {max}"),
            Kind::Double { min, max } => format!("a number from {min} to {max}"),
            Kind::Choice(of) => format!("one of {}", of.join(", ")),
            Kind::Text => "a text".to_owned(),
            Kind::List(of) => format!("a list of {}, with commas between", of.join(", ")),
        }
    }

    fn check(self, value: &str) -> Result<(), String> {
        match self {
            Kind::Boolean => match value.to_ascii_lowercase().as_str() {
                "true" | "false" => Ok(()),
                _ => Err("expected true or false".to_owned()),
            },
            Kind::Int { min, max } => number(value, "INT", min, max),
            Kind::Long { min, max } => number(value, "LONG", min, max),
            Kind::Double { min, max } => number(value, "DOUBLE", min, max),
            Kind::Text if value.is_empty() || value.chars().any(char::is_control) => {
                Err("it is empty, or not one line".to_owned())
            }
            Kind::Text => Ok(()),
            Kind::Choice(of) if of.contains(&value) => Ok(()),
            Kind::Choice(of) => Err(format!("must be one of: {}", of.join(", "))),
            Kind::List(of) => match list_of(value).find(|item| !of.contains(item)) {
                None => Ok(()),
                Some(_) if of.is_empty() => Err("not built yet: only the empty list is taken".to_owned()),
                Some(item) => Err(format!("'{item}' is not one of: {}", of.join(", "))),
            },
        }
    }
}

fn number<T: core::str::FromStr + PartialOrd + core::fmt::Display>(
    value: &str,
    kind: &str,
    min: T,
    max: T,
) -> Result<(), String> {
    let Ok(number) = value.parse::<T>() else {
        return Err(format!("not a number of type {kind}"));
    };
    // A NaN is in no range.
    if number >= min && number <= max { Ok(()) } else { Err(format!("must be between {min} and {max}")) }
}

/// The items of a list's value.
pub fn list_of(value: &str) -> impl Iterator<Item = &str> {
    value.split(',').map(str::trim).filter(|item| !item.is_empty())
}

impl Setting {
    /// False where its words say so: it is described, and whoever sets it for brokers is refused. A
    /// topic may be made with it, as the tools of other systems make theirs.
    pub fn has_effect(&self) -> bool {
        !self.doc.contains("Without effect")
    }

    /// Whether `value` may be set, and if not why, in Kafka's words where it has them.
    pub fn check(&self, value: &str) -> Result<(), CommandError> {
        let reason = match self.kind.check(value.trim()) {
            Err(reason) => Some(reason),
            Ok(()) => not_built(self.name, value.trim()).map(str::to_owned),
        };
        match reason {
            None => Ok(()),
            Some(reason) => Err(CommandError::InvalidConfig(format!(
                "Invalid value {value} for configuration {}: {reason}",
                self.name
            ))),
        }
    }
}

/// Values that Kafka takes and that would be a lie here: refused rather than ignored.
fn not_built(name: &str, value: &str) -> Option<&'static str> {
    let on = value.eq_ignore_ascii_case("true");
    match name {
        "log.cleanup.policy" if list_of(value).any(|policy| policy == "compact") => {
            Some("compaction is asked for by topic, when it is made: cleanup.policy")
        }
        "cleanup.policy" | "log.cleanup.policy" if list_of(value).next().is_none() => {
            Some("an empty policy is not built yet; retention.ms=-1 keeps records for ever")
        }
        "unclean.leader.election.enable" if on => {
            Some("a replica without all committed records never leads here")
        }
        "remote.storage.enable" | "remote.log.copy.disable" | "remote.log.delete.on.disable" if on => {
            Some("tiered storage is not built")
        }
        _ => None,
    }
}
