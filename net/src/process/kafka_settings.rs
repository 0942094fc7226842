//! Kafka's broker settings as an operator gives them: in the file's table kafka, or by `--set`.
//! What the names mean and which values are valid is `engine::control::config`'s.

use super::likeness::nearest;
use crate::process::refusal::Refusal;
use engine::control::config::elsewhere::elsewhere;
use engine::control::config::{Statics, StaticsError, broker};

/// The file's settings with those of the command line over them, each of them valid.
pub fn merge(file: Vec<(String, String)>, set: &[String]) -> Result<Vec<(String, String)>, Refusal> {
    let mut all = file;
    for text in set {
        let (key, value) = text.split_once('=').ok_or_else(|| {
            Refusal::usage(format!("--set '{text}' is not KEY=VALUE"), "write such as --set num.partitions=3")
        })?;
        all.retain(|(known, _)| known != key.trim());
        all.push((key.trim().to_owned(), value.trim().to_owned()));
    }
    all.iter().try_for_each(|(key, value)| check(key, value))?;
    Ok(all)
}

/// Gives a setting, whatever the operator gave.
pub fn set(settings: &mut Vec<(String, String)>, key: &str, value: &str) {
    settings.retain(|(known, _)| known != key);
    settings.push((key.to_owned(), value.to_owned()));
}

/// Gives a setting where the operator gave none.
pub fn add_default(settings: &mut Vec<(String, String)>, key: &str, value: &str) {
    if settings.iter().all(|(known, _)| known != key) {
        settings.push((key.to_owned(), value.to_owned()));
    }
}

pub fn is_known(key: &str) -> bool {
    names().any(|name| name == key)
}

fn names() -> impl Iterator<Item = &'static str> {
    broker::settings().map(|setting| setting.name)
}

/// How alike a name must be to be taken for a slip of the pen.
const LIKENESS_MIN: f64 = 0.9;

/// What to do about a name that is none.
fn remedy_of_unknown(key: &str) -> String {
    match nearest(key, names()).filter(|name| strsim::jaro_winkler(key, name) >= LIKENESS_MIN) {
        Some(nearest) => format!("did you mean '{nearest}'?"),
        None => "leave it out: it has no meaning here".to_owned(),
    }
}

fn check(key: &str, value: &str) -> Result<(), Refusal> {
    match Statics::new(&[(key.to_owned(), value.to_owned())]) {
        Ok(_) => Ok(()),
        Err(StaticsError::Unknown(_)) => {
            if let Some(place) = elsewhere(key) {
                return Err(Refusal::usage(format!("Kafka's setting '{key}' has no meaning here"), place));
            }
            let what = format!("unknown Kafka setting '{key}'");
            Err(Refusal::usage(what, remedy_of_unknown(key)))
        }
        Err(StaticsError::Invalid { reason, .. }) => {
            let setting = broker::setting(key).expect("it is known");
            let remedy = format!("give {}. {key}: {}", setting.kind.values(), setting.doc);
            Err(Refusal::usage(reason, remedy))
        }
    }
}

/// The `[kafka]` table. Kafka's names have dots, which TOML reads as tables in tables.
pub fn from_file(kafka: Option<toml::Value>) -> Result<Vec<(String, String)>, Refusal> {
    let mut settings = Vec::new();
    match kafka {
        None => {}
        Some(toml::Value::Table(table)) => flatten("", table, &mut settings)?,
        Some(other) => {
            let what = format!("'kafka' is a table of settings, not {}", other.type_str());
            return Err(Refusal::usage(what, "write [kafka] and the settings below it"));
        }
    }
    Ok(settings)
}

fn flatten(prefix: &str, table: toml::Table, settings: &mut Vec<(String, String)>) -> Result<(), Refusal> {
    for (key, value) in table {
        let name = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
        let text = match value {
            toml::Value::Table(inner) => {
                flatten(&name, inner, settings)?;
                continue;
            }
            toml::Value::String(text) => text,
            toml::Value::Integer(_) | toml::Value::Float(_) | toml::Value::Boolean(_) => value.to_string(),
            toml::Value::Array(_) | toml::Value::Datetime(_) => {
                let what = format!("Kafka setting '{name}' is {}", value.type_str());
                return Err(Refusal::usage(
                    what,
                    "write a number, true, false or a string; lists with commas in one string",
                ));
            }
        };
        settings.push((name, text));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_replaces_what_the_file_says() {
        let file = vec![("num.partitions".to_owned(), "3".to_owned())];
        let merged =
            merge(file, &["num.partitions = 5".to_owned(), "log.retention.ms=-1".to_owned()]).expect("valid");
        let expected = [("num.partitions", "5"), ("log.retention.ms", "-1")];
        assert_eq!(merged, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }

    #[test]
    fn an_unknown_setting_names_the_nearest_one() {
        let refusal = merge(Vec::new(), &["num.partition=3".to_owned()]).expect_err("refused");
        assert!(refusal.to_string().contains("'num.partitions'"), "{refusal}");
        assert!(merge(Vec::new(), &["num.partitions".to_owned()]).is_err());
        let refusal = merge(Vec::new(), &["num.partitions=0".to_owned()]).expect_err("refused");
        assert!(refusal.to_string().contains("between 1 and"), "{refusal}");
        let refusal = merge(Vec::new(), &["num.partitions=abc".to_owned()]).expect_err("refused");
        assert!(refusal.remedy.starts_with("give a whole number from 1 to 2147483647."), "{refusal}");
    }

    #[test]
    fn what_is_an_option_here_is_named_and_what_is_nothing_like_it_suggests_nothing() {
        for (name, option) in
            [("listeners", "--listen"), ("advertised.listeners", "--advertise"), ("log.dirs", "--data-dir")]
        {
            let refusal = merge(Vec::new(), &[format!("{name}=x")]).expect_err("refused");
            assert!(refusal.remedy.contains(option) && !refusal.remedy.contains("did you mean"), "{refusal}");
        }
        let refusal = merge(Vec::new(), &["zookeeper.connect=x".to_owned()]).expect_err("refused");
        assert!(!refusal.remedy.contains("did you mean"), "{refusal}");
    }

    #[test]
    fn what_would_have_no_effect_is_refused_with_the_place_where_it_belongs() {
        let refused = |set: &str| merge(Vec::new(), &[set.to_owned()]).expect_err("refused").to_string();
        assert!(refused("num.io.threads=8").contains("--shards"));
        assert!(
            refused("log.segment.bytes=1000000").contains("their size is set when the cluster is formed")
        );
    }

    #[test]
    fn a_list_is_no_value() {
        let table: toml::Table = toml::from_str("kafka.x = [1]").expect("toml");
        assert!(from_file(table.get("kafka").cloned()).is_err());
        assert!(from_file(Some(toml::Value::Integer(1))).is_err());
    }
}
