//! The figures of today, in a file: a change may only improve them.

use super::source::{MEMBERS, Source};
use super::{cycles, figures, sizes};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    Less,
    More,
}

/// A figure by its name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ratchet(BTreeMap<String, usize>);

const HEAD: &str = "\
# Figures of the workspace, each with which way is better. `cargo test -p duramen-tools --test tidy` refuses what is
# worse than here, writes what is better, and says where the worst is. A figure that is new is written, too.
";

/// Figures in whose name this stands are better when they are more.
const MORE: &str = "asserts";

impl Ratchet {
    /// Today's figures; beside some, where what they count was found.
    pub fn measure(source: &Source) -> (Self, BTreeMap<String, String>) {
        let (mut values, mut places) = (BTreeMap::new(), BTreeMap::new());
        let mut note = |name: String, value: usize, place: String| {
            places.insert(name.clone(), place);
            values.insert(name, value);
        };
        for (name, sizes) in
            [("file-lines", sizes::files(source)), ("function-lines", sizes::functions(source))]
        {
            let worst = sizes.worst().cloned();
            let (lines, place) = worst.map_or((0, String::new()), |worst| (worst.lines, worst.place));
            note(name.into(), lines, place);
        }
        for member in MEMBERS {
            let circles = cycles::circles(source, member);
            let modules = circles.iter().map(Vec::len).sum();
            let told: Vec<String> = circles.iter().map(|circle| circle.join(" ")).collect();
            note(format!("{member}: modules in circles"), modules, told.join(" | "));
        }
        for (folder, count) in figures::asserts(source) {
            note(format!("{folder}: asserts in 1,000 lines"), count, String::new());
        }
        for (folder, files) in figures::owners_without_tests(source) {
            note(format!("{folder}: owners without tests"), files.len(), files.join(" "));
        }
        let repeated = figures::repeated_types(source);
        let names: Vec<&str> = repeated.keys().map(String::as_str).collect();
        note("public type names that stand twice".into(), repeated.len(), names.join(" "));
        for (path, lines) in &source.documents {
            note(format!("{path}: lines"), *lines, String::new());
        }
        (Self(values), places)
    }

    pub fn parse(text: &str) -> Result<Self, String> {
        let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
        let value = |line: &str| {
            let (name, value) =
                line.rsplit_once('=').ok_or_else(|| format!("`{line}` is no `name = value`"))?;
            let value = value.trim().parse().map_err(|error| format!("{line}: {error}"))?;
            Ok((name.trim().to_owned(), value))
        };
        lines.map(value).collect::<Result<_, _>>().map(Self)
    }

    pub fn text(&self) -> String {
        let mut text = HEAD.to_owned();
        for (name, value) in &self.0 {
            writeln!(text, "{name} = {value}").expect("a string takes all");
        }
        text
    }

    fn better(name: &str) -> Better {
        if name.contains(MORE) { Better::More } else { Better::Less }
    }

    /// What is worse in `measured` than here.
    pub fn worsened(&self, measured: &Self) -> Vec<String> {
        let worse = self.0.iter().filter_map(|(name, recorded)| {
            let now = measured.0.get(name)?;
            let is_worse = match Self::better(name) {
                Better::Less => now > recorded,
                Better::More => now < recorded,
            };
            is_worse.then(|| format!("{name}: {now}, recorded is {recorded}"))
        });
        worse.collect()
    }

    /// The better of both, figure by figure; one that is no longer measured goes, a new one comes.
    pub fn improved(&self, measured: &Self) -> Self {
        let better = measured.0.iter().map(|(name, now)| {
            let recorded = self.0.get(name).unwrap_or(now);
            let value = match Self::better(name) {
                Better::Less => now.min(recorded),
                Better::More => now.max(recorded),
            };
            (name.clone(), *value)
        });
        Self(better.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratchet(values: &[(&str, usize)]) -> Ratchet {
        Ratchet(values.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect())
    }

    #[test]
    fn figures_come_back() {
        let recorded = ratchet(&[("file-lines", 500), ("engine/src/raft: asserts in 1,000 lines", 3)]);
        assert_eq!(Ratchet::parse(&recorded.text()), Ok(recorded));
        assert!(Ratchet::parse("file-lines 1").is_err());
        assert!(Ratchet::parse("file-lines = many").is_err());
    }

    #[test]
    fn they_only_improve_each_in_its_own_direction() {
        let recorded = ratchet(&[("file-lines", 500), ("a: asserts in 1,000 lines", 3), ("gone", 1)]);
        let measured = ratchet(&[("file-lines", 501), ("a: asserts in 1,000 lines", 2), ("new", 9)]);
        assert_eq!(
            recorded.worsened(&measured),
            ["a: asserts in 1,000 lines: 2, recorded is 3", "file-lines: 501, recorded is 500"]
        );
        let expected = ratchet(&[("file-lines", 500), ("a: asserts in 1,000 lines", 3), ("new", 9)]);
        assert_eq!(recorded.improved(&measured), expected);
        let better = ratchet(&[("file-lines", 499), ("a: asserts in 1,000 lines", 4)]);
        assert!(recorded.worsened(&better).is_empty());
        assert_eq!(recorded.improved(&better), better);
    }
}
