//! What is counted by folder: asserts, owners without tests, repeated names of public types, lines of the documents.

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

/// Owners without tests: files in which a type has methods that change it, and no tests, neither inside nor in a file
/// beside them. A file that only adds to a type of another one (what a journal does of its parts) owns nothing.
pub fn owners_without_tests(source: &Source) -> BTreeMap<String, Vec<String>> {
    let is_tested_beside = |file: &SourceFile| {
        let stem = file.path.strip_suffix(".rs").expect("a Rust file");
        let mut beside = vec![format!("{stem}_tests.rs"), format!("{stem}/tests.rs")];
        // What lives in a folder's own file has its tests in that folder.
        beside.extend(stem.strip_suffix("/mod").map(|folder| format!("{folder}/tests.rs")));
        source.files.iter().any(|other| beside.contains(&other.path))
    };
    let untested = |files: Vec<&SourceFile>| {
        let bare = files.into_iter().filter(|file| has_owner(file.shipped()) && !file.has_tests());
        bare.filter(|file| !is_tested_beside(file)).map(|file| file.path.clone()).collect()
    };
    shipped(source).into_iter().map(|(folder, files)| (folder.to_owned(), untested(files))).collect()
}

/// Whether a type that is made here has a method that changes it.
fn has_owner(text: &str) -> bool {
    let Ok(file) = syn::parse_file(text) else { return false };
    let made = |item: &syn::Item| match item {
        syn::Item::Struct(item) => Some(item.ident.to_string()),
        syn::Item::Enum(item) => Some(item.ident.to_string()),
        _ => None,
    };
    let made: Vec<String> = file.items.iter().filter_map(made).collect();
    let changes = |item: &syn::ImplItem| match item {
        syn::ImplItem::Fn(method) => matches!(
            method.sig.receiver(),
            Some(syn::Receiver { mutability: Some(_), reference: Some(_), .. })
        ),
        _ => false,
    };
    file.items.iter().any(|item| match item {
        syn::Item::Impl(block) if block.trait_.is_none() => match &*block.self_ty {
            syn::Type::Path(of) => {
                let name = of.path.segments.last().map(|segment| segment.ident.to_string());
                name.is_some_and(|name| made.contains(&name)) && block.items.iter().any(changes)
            }
            _ => false,
        },
        _ => false,
    })
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
    fn an_owner_is_tested_in_its_file_or_beside() {
        let owner = "pub struct B { a: u8 }\nimpl B {\n    fn set(&mut self) {}\n}\n";
        let reads = "pub struct C;\nimpl C {\n    fn get(&self) {}\n    fn take(mut self) {}\n}\nfn f(b: &mut C) {}\n";
        let adds = "use super::B;\nimpl B {\n    fn more(&mut self) {}\n}\n";
        let tested = format!("{owner}\n#[cfg(test)]\nmod tests {{}}\n");
        let files = vec![
            file("net/src/a/b.rs", owner),
            file("net/src/a/beside.rs", owner),
            file("net/src/a/beside_tests.rs", "fn t() {}"),
            file("net/src/a/folder/mod.rs", owner),
            file("net/src/a/folder/tests.rs", "fn t() {}"),
            file("net/src/a/inside.rs", &tested),
            file("net/src/a/reads.rs", reads),
            file("net/src/a/adds.rs", adds),
        ];
        let found = owners_without_tests(&source(files));
        assert_eq!(found, BTreeMap::from([("net/src/a".to_owned(), vec!["net/src/a/b.rs".to_owned()])]));
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
