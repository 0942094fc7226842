//! Lengths of files and functions, in lines.

use super::source::{Source, SourceFile};

/// Something with a length; `place` is for the reader.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sized {
    pub place: String,
    pub lines: usize,
}

/// Lengths in ascending order, with their places.
#[derive(Clone, Debug, Default)]
pub struct Sizes(Vec<Sized>);

impl Sizes {
    pub fn of(mut all: Vec<Sized>) -> Self {
        all.sort_by_key(|sized| sized.lines);
        Self(all)
    }

    /// The length that `percent` of all do not exceed.
    pub fn percentile(&self, percent: usize) -> usize {
        assert!(percent <= 100, "{percent} %");
        let rank = (self.0.len() * percent).div_ceil(100);
        self.0.get(rank.saturating_sub(1)).map_or(0, |sized| sized.lines)
    }

    pub fn worst(&self) -> Option<&Sized> {
        self.0.last()
    }
}

pub fn files(source: &Source) -> Sizes {
    Sizes::of(
        source.files.iter().map(|f| Sized { place: f.path.clone(), lines: f.text.lines().count() }).collect(),
    )
}

pub fn functions(source: &Source) -> Sizes {
    Sizes::of(source.files.iter().flat_map(functions_of).collect())
}

/// rustfmt closes a function with a line that is its indentation and a bracket, nothing else.
fn functions_of(file: &SourceFile) -> Vec<Sized> {
    let lines: Vec<&str> = file.text.lines().collect();
    let mut found = Vec::new();
    for (at, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let indentation = &line[..line.len() - line.trim_start().len()];
        let closing = format!("{indentation}}}");
        let Some(signature_end) = (at..lines.len()).find(|end| lines[*end].ends_with(['{', ';', '}'])) else {
            continue;
        };
        let has_body = lines[signature_end].ends_with('{');
        let closes = |end: &usize| lines[*end] == closing;
        let body_end = if has_body { (signature_end..lines.len()).find(closes) } else { None };
        let end = body_end.unwrap_or(signature_end);
        found.push(Sized { place: format!("{}:{} {name}", file.path, at + 1), lines: end - at + 1 });
    }
    found
}

/// The name, when a function begins in this line.
fn function_name(line: &str) -> Option<&str> {
    let mut rest = line.trim_start();
    loop {
        let word = rest.split([' ', '(']).next()?;
        rest = match word {
            "fn" => return rest[3..].split(['(', '<']).next(),
            "pub" | "const" | "async" | "unsafe" => rest[word.len()..].trim_start(),
            "extern" => rest.split_once("\" ").map(|(_, after)| after)?,
            _ => return None,
        };
        // `pub(crate)`, `pub(super)`.
        if rest.starts_with('(') {
            rest = rest.split_once(") ").map(|(_, after)| after)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lengths(text: &str) -> Vec<(String, usize)> {
        let file = SourceFile { path: "net/src/a.rs".into(), text: text.into() };
        functions_of(&file).into_iter().map(|sized| (sized.place, sized.lines)).collect()
    }

    #[test]
    fn functions_are_found_by_rustfmts_shape() {
        let text = "pub(crate) async fn long(\n    a: u8,\n) {\n    if a {\n    }\n}\n\nfn short() {}\n";
        let expected = [("net/src/a.rs:1 long".to_owned(), 6), ("net/src/a.rs:8 short".to_owned(), 1)];
        assert_eq!(lengths(text), expected);
    }

    #[test]
    fn a_traits_function_without_a_body_is_its_signature() {
        let text = "trait T {\n    fn a(&self);\n    fn b(\n        &self,\n    ) -> u8;\n    fn c() {\n        x();\n    }\n}\n";
        let found: Vec<usize> = lengths(text).into_iter().map(|(_, lines)| lines).collect();
        assert_eq!(found, [1, 3, 3]);
    }

    #[test]
    fn percentiles_are_by_rank() {
        let sizes = Sizes::of((1..=10).rev().map(|lines| Sized { place: String::new(), lines }).collect());
        assert_eq!((sizes.percentile(50), sizes.percentile(90), sizes.percentile(100)), (5, 9, 10));
        assert_eq!(Sizes::default().percentile(90), 0);
    }
}
