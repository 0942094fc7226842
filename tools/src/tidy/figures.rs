//! What is counted by folder: asserts, files without tests, repeated names of public types, lines of the documents.

use super::source::{Source, SourceFile};
use std::collections::BTreeMap;

/// The folders are those below `src`: `engine/src/journal`; a file right in `src` counts for `engine/src`.
pub fn folder_of(file: &SourceFile) -> &str {
    let mut ends = file.path.match_indices('/').map(|(at, _)| at);
    let (second, third) = (ends.nth(1), ends.next());
    let end = third.or(second).unwrap_or(file.path.len());
    &file.path[..end]
}

/// Shipped files of the product's members, by folder.
fn shipped(source: &Source) -> BTreeMap<&str, Vec<&SourceFile>> {
    let mut folders: BTreeMap<&str, Vec<&SourceFile>> = BTreeMap::new();
    let counts = |file: &&SourceFile| matches!(file.member(), "engine" | "net") && !file.is_test();
    for file in source.files.iter().filter(counts) {
        folders.entry(folder_of(file)).or_default().push(file);
    }
    folders
}

/// Asserts in 1,000 lines of shipped code, rounded down.
pub fn asserts(source: &Source) -> BTreeMap<String, usize> {
    let count = |files: Vec<&SourceFile>| {
        let lines: usize = files.iter().map(|file| file.shipped().lines().count()).sum();
        let asserts: usize = files.iter().map(|file| asserts_in(file.shipped())).sum();
        asserts * 1000 / lines.max(1)
    };
    shipped(source).into_iter().map(|(folder, files)| (folder.to_owned(), count(files))).collect()
}

fn asserts_in(text: &str) -> usize {
    let code = text.lines().map(str::trim_start).filter(|line| !line.starts_with("//"));
    let is_assert = |line: &&str| {
        let line = line.strip_prefix("debug_").unwrap_or(line);
        ["assert!(", "assert_eq!(", "assert_ne!("].iter().any(|name| line.starts_with(name))
    };
    code.filter(is_assert).count()
}

/// Files that have a function and no tests, neither inside nor in a file beside them.
pub fn without_tests(source: &Source) -> BTreeMap<String, Vec<String>> {
    let is_tested_beside = |file: &SourceFile| {
        let stem = file.path.strip_suffix(".rs").expect("a Rust file");
        let beside = [format!("{stem}_tests.rs"), format!("{stem}/tests.rs")];
        source.files.iter().any(|other| beside.contains(&other.path))
    };
    let has_function = |file: &SourceFile| file.shipped().lines().any(|line| line.contains("fn "));
    let untested = |files: Vec<&SourceFile>| {
        let bare = files.into_iter().filter(|file| has_function(file) && !file.has_tests());
        bare.filter(|file| !is_tested_beside(file)).map(|file| file.path.clone()).collect()
    };
    shipped(source).into_iter().map(|(folder, files)| (folder.to_owned(), untested(files))).collect()
}

/// Names that stand for more than one public type of the engine and the broker, each with its places.
pub fn repeated_types(source: &Source) -> BTreeMap<String, Vec<String>> {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in shipped(source).into_values().flatten() {
        for line in file.shipped().lines() {
            if let Some(name) = public_type(line) {
                places.entry(name.to_owned()).or_default().push(file.path.clone());
            }
        }
    }
    places.retain(|_, places| places.len() > 1);
    places
}

/// The type's name, when a line makes one that others may name.
fn public_type(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("pub")?;
    let rest = if rest.starts_with('(') { rest.split_once(')')?.1 } else { rest };
    let rest = rest.strip_prefix(' ')?;
    let rest = ["struct ", "enum ", "trait ", "type "].iter().find_map(|kind| rest.strip_prefix(kind))?;
    rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> SourceFile {
        SourceFile { path: path.into(), text: text.into() }
    }

    fn source(files: Vec<SourceFile>) -> Source {
        Source { files, ..Source::default() }
    }

    #[test]
    fn a_folder_is_the_one_below_src() {
        assert_eq!(folder_of(&file("engine/src/journal/read/index.rs", "")), "engine/src/journal");
        assert_eq!(folder_of(&file("engine/src/lib.rs", "")), "engine/src");
    }

    #[test]
    fn asserts_are_those_of_shipped_code() {
        let text = "fn f() {\n    assert!(a);\n    debug_assert_eq!(a, b);\n    // assert!(c);\n    x();\n}\n\n\
                    #[cfg(test)]\nmod tests {\n    assert!(d);\n}\n";
        let found = asserts(&source(vec![file("net/src/a/b.rs", text)]));
        assert_eq!(found, BTreeMap::from([("net/src/a".to_owned(), 2 * 1000 / 7)]));
    }

    #[test]
    fn a_test_beside_counts() {
        let files = vec![
            file("net/src/a/b.rs", "fn f() {}"),
            file("net/src/a/b_tests.rs", "fn t() {}"),
            file("net/src/a/c.rs", "fn f() {}"),
            file("net/src/a/d.rs", "pub struct D;"),
        ];
        let found = without_tests(&source(files));
        assert_eq!(found, BTreeMap::from([("net/src/a".to_owned(), vec!["net/src/a/c.rs".to_owned()])]));
    }

    #[test]
    fn one_name_for_two_types_is_told() {
        let files = vec![
            file("net/src/a/b.rs", "pub struct State {\n}\npub(crate) enum Once {}\n"),
            file("engine/src/c.rs", "pub(super) enum State<T> {\n}\nstruct Once;\n"),
        ];
        let found = repeated_types(&source(files));
        assert_eq!(found.into_keys().collect::<Vec<_>>(), ["State"]);
    }
}
