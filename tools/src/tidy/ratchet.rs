//! The worst values of today, in a file: a change may only improve them.

use super::source::Source;
use super::{cycles, sizes};
use std::fmt::Write;

/// The recorded values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratchet {
    pub file_lines: usize,
    pub function_lines: usize,
    pub module_cycle: usize,
}

const HEAD: &str = "\
# The worst values in the workspace; `tools/tests/tidy.rs` refuses what is worse than these.
# DURAMEN_TIDY_RECORD=1 cargo test -p duramen-tools --test tidy   writes better ones.
";

impl Ratchet {
    /// Today's values, each with where it was found.
    pub fn measure(source: &Source) -> (Self, String) {
        let (files, functions, cycle) =
            (sizes::files(source), sizes::functions(source), cycles::worst(source));
        let lines = |sizes: &sizes::Sizes| sizes.worst().map_or(0, |worst| worst.lines);
        let place = |sizes: &sizes::Sizes| sizes.worst().map_or(String::new(), |worst| worst.place.clone());
        let places = format!(
            "longest file {}\nlongest function {}\nlargest circle of modules {}",
            place(&files),
            place(&functions),
            cycle.join(" ")
        );
        let measured =
            Self { file_lines: lines(&files), function_lines: lines(&functions), module_cycle: cycle.len() };
        (measured, places)
    }

    fn values(&self) -> [(&'static str, usize); 3] {
        [
            ("file-lines", self.file_lines),
            ("function-lines", self.function_lines),
            ("module-cycle", self.module_cycle),
        ]
    }

    pub fn parse(text: &str) -> Result<Self, String> {
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix('='));
            let number = line.ok_or_else(|| format!("{name} is missing"))?.trim();
            number.parse::<usize>().map_err(|error| format!("{name} = {number}: {error}"))
        };
        Ok(Self {
            file_lines: value("file-lines")?,
            function_lines: value("function-lines")?,
            module_cycle: value("module-cycle")?,
        })
    }

    pub fn text(&self) -> String {
        let mut text = HEAD.to_owned();
        for (name, value) in self.values() {
            writeln!(text, "{name} = {value}").expect("a string takes all");
        }
        text
    }

    /// What is worse in `measured` than here.
    pub fn worsened(&self, measured: &Self) -> Vec<String> {
        let pairs = self.values().into_iter().zip(measured.values());
        let worse = pairs.filter(|((_, recorded), (_, now))| now > recorded);
        worse.map(|((name, recorded), (_, now))| format!("{name}: {now}, recorded is {recorded}")).collect()
    }

    /// The better of both, value by value.
    pub fn improved(&self, measured: &Self) -> Self {
        Self {
            file_lines: self.file_lines.min(measured.file_lines),
            function_lines: self.function_lines.min(measured.function_lines),
            module_cycle: self.module_cycle.min(measured.module_cycle),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back_and_only_improve() {
        let recorded = Ratchet { file_lines: 500, function_lines: 60, module_cycle: 3 };
        assert_eq!(Ratchet::parse(&recorded.text()), Ok(recorded));
        let measured = Ratchet { file_lines: 501, function_lines: 50, module_cycle: 3 };
        assert_eq!(recorded.worsened(&measured), ["file-lines: 501, recorded is 500"]);
        assert_eq!(recorded.improved(&measured), Ratchet { function_lines: 50, ..recorded });
        assert!(Ratchet::parse("file-lines = 1").is_err());
    }
}
