//! Names that were perhaps meant.

/// The name that `key` was most likely meant to be.
pub fn nearest<'a>(key: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let likeness = |name: &str| strsim::jaro_winkler(&key.to_lowercase(), name);
    names.max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
}
