//! How often each named event happened: what a run of many seeds really exercised.

use std::collections::BTreeMap;
use std::fmt;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<String, u64>);

impl Counts {
    pub fn add(&mut self, name: &str) {
        self.add_many(name, 1);
    }

    pub fn add_many(&mut self, name: &str, times: u64) {
        match self.0.get_mut(name) {
            Some(count) => *count += times,
            None => {
                self.0.insert(name.to_owned(), times);
            }
        }
    }

    pub fn get(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or(0)
    }

    pub fn merge(&mut self, other: &Counts) {
        for (name, count) in &other.0 {
            self.add_many(name, *count);
        }
    }

    /// Those of `names` that never happened. A star in a name stands for anything.
    pub fn missing(&self, names: &[&'static str]) -> Vec<&'static str> {
        let happened = |name: &&'static str| match name.split_once('*') {
            None => self.get(name) > 0,
            Some((begin, end)) => self.0.iter().any(|(name, count)| {
                *count > 0
                    && name.len() >= begin.len() + end.len()
                    && name.starts_with(begin)
                    && name.ends_with(end)
            }),
        };
        names.iter().copied().filter(|name| !happened(name)).collect()
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(name, count)| writeln!(f, "{count:>12}  {name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_anything_that_happened() {
        let mut counts = Counts::default();
        counts.add("crash while recovering: open checkpoint");
        let names = ["crash while recovering: *checkpoint", "crash *: read checkpoint", "segment sealed"];
        assert_eq!(counts.missing(&names), names[1..]);
    }
}
