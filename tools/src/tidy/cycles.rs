//! Modules of a crate that need each other in a circle, by whatever path they name each other.
//!
//! A module is a file. It needs another one when its shipped code names something that lives there: by `use`, or by
//! a path that begins with `crate`, `super`, `self`, a child module or an alias of one. A name that a module only
//! passes on (`pub use child::Name`) is followed to where it lives, so a folder that gathers its children's names is
//! no circle by that alone.

use super::source::{Source, SourceFile};
use std::collections::{BTreeMap, BTreeSet};
use syn::visit::Visit;

type Path = Vec<String>;
type Graph = BTreeMap<Path, BTreeSet<Path>>;

/// A name can be passed on through so many modules; more is a circle of `use`.
const ALIAS_HOPS_MAX: usize = 16;

/// Each circle of a member's modules: the modules, by their paths in the crate, that all reach each other.
pub fn circles(source: &Source, member: &str) -> Vec<Vec<String>> {
    let modules = Modules::of(source, member);
    let graph = modules.graph();
    let named = |path: &Path| if path.is_empty() { "crate".to_owned() } else { path.join("::") };
    let found = strongly_connected(&graph);
    found.into_iter().map(|circle| circle.iter().map(named).collect()).collect()
}

/// One file of a crate.
struct Module {
    path: Path,
    syntax: syn::File,
    /// Names that a `use` brings in, and what they stand for.
    aliases: BTreeMap<String, Path>,
}

struct Modules(BTreeMap<Path, Module>);

impl Modules {
    fn of(source: &Source, member: &str) -> Self {
        let files = source.files.iter().filter(|file| file.member() == member && !file.is_test());
        let paths: Vec<(Path, &SourceFile)> =
            files.filter_map(|file| Some((module_path(&file.path)?, file))).collect();
        let known: BTreeSet<Path> = paths.iter().map(|(path, _)| path.clone()).collect();
        let mut modules = BTreeMap::new();
        for (path, file) in paths {
            // Binaries beside a library (`src/main.rs`) are another crate.
            let Ok(syntax) = syn::parse_file(file.shipped()) else { continue };
            let mut aliases = BTreeMap::new();
            for item in &syntax.items {
                if let syn::Item::Use(item) = item {
                    aliases_of(&item.tree, &mut Vec::new(), &mut aliases);
                }
            }
            let absolute =
                aliases.into_iter().filter_map(|(name, to)| Some((name, absolute(&known, &path, &to)?)));
            let aliases = absolute.collect();
            modules.insert(path.clone(), Module { path, syntax, aliases });
        }
        Self(modules)
    }

    fn graph(&self) -> Graph {
        let known: BTreeSet<Path> = self.0.keys().cloned().collect();
        let mut graph = Graph::new();
        for module in self.0.values() {
            let mut named = Named::default();
            named.visit_file(&module.syntax);
            let needed = named.paths.iter().filter_map(|path| {
                let whole = absolute(&known, &module.path, path).or_else(|| {
                    // `Name::new` where a `use` brought `Name`: the `use` says it already. `child::f` with
                    // `use super::child`: its first name is an alias of a module.
                    let to = module.aliases.get(path.first()?)?;
                    Some(to.iter().chain(&path[1..]).cloned().collect())
                })?;
                self.home(whole)
            });
            let needed: BTreeSet<Path> = needed.filter(|path| *path != module.path).collect();
            graph.insert(module.path.clone(), needed);
        }
        graph
    }

    /// The module in which the last name of `path` lives.
    fn home(&self, mut path: Path) -> Option<Path> {
        for _ in 0..ALIAS_HOPS_MAX {
            let depth = (0..=path.len()).rev().find(|depth| self.0.contains_key(&path[..*depth]))?;
            let module = &self.0[&path[..depth]];
            match path.get(depth).and_then(|name| module.aliases.get(name)) {
                Some(to) => path = to.iter().chain(&path[depth + 1..]).cloned().collect(),
                None => return Some(module.path.clone()),
            }
        }
        None
    }
}

/// `engine/src/journal/mod.rs` is `[journal]`, `engine/src/lib.rs` is `[]`.
fn module_path(file: &str) -> Option<Path> {
    let inside = file.split_once("/src/")?.1.strip_suffix(".rs")?;
    let mut path: Path = inside.split('/').map(str::to_owned).collect();
    if path == ["lib"] || path.last().is_some_and(|last| last == "mod") {
        path.pop();
    }
    Some(path)
}

/// From the crate's root; none for another crate's names and for locals.
fn absolute(known: &BTreeSet<Path>, from: &Path, path: &[String]) -> Option<Path> {
    let first = path.first()?;
    if first == "crate" {
        return Some(path[1..].to_vec());
    }
    let ups = path.iter().take_while(|name| *name == "super").count();
    if ups > 0 {
        let base = from.len().checked_sub(ups)?;
        return Some(from[..base].iter().chain(&path[ups..]).cloned().collect());
    }
    let rest = if first == "self" { &path[1..] } else { path };
    let inside: Path = from.iter().chain(rest).cloned().collect();
    let child = &inside[..(from.len() + 1).min(inside.len())];
    (first == "self" || known.contains(child)).then_some(inside)
}

fn aliases_of(tree: &syn::UseTree, before: &mut Path, aliases: &mut BTreeMap<String, Path>) {
    match tree {
        syn::UseTree::Path(path) => {
            before.push(path.ident.to_string());
            aliases_of(&path.tree, before, aliases);
            before.pop();
        }
        syn::UseTree::Name(name) if name.ident == "self" => {
            if let Some(last) = before.last() {
                aliases.insert(last.clone(), before.clone());
            }
        }
        syn::UseTree::Name(name) => {
            let name = name.ident.to_string();
            aliases.insert(name.clone(), before.iter().cloned().chain([name]).collect());
        }
        syn::UseTree::Rename(rename) => {
            let to = before.iter().cloned().chain([rename.ident.to_string()]).collect();
            aliases.insert(rename.rename.to_string(), to);
        }
        syn::UseTree::Group(group) => {
            group.items.iter().for_each(|tree| aliases_of(tree, before, aliases));
        }
        syn::UseTree::Glob(_) => {}
    }
}

/// All paths of two names and more in a file.
#[derive(Default)]
struct Named {
    paths: BTreeSet<Path>,
}

impl Named {
    fn uses(&mut self, tree: &syn::UseTree, before: &mut Path) {
        match tree {
            syn::UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.uses(&path.tree, before);
                before.pop();
            }
            syn::UseTree::Name(name) if name.ident == "self" => self.add(before.clone()),
            syn::UseTree::Name(name) => self.add(joined(before, &name.ident)),
            syn::UseTree::Rename(rename) => self.add(joined(before, &rename.ident)),
            syn::UseTree::Glob(_) => self.add(before.clone()),
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.uses(tree, before)),
        }
    }

    fn add(&mut self, path: Path) {
        self.paths.insert(path);
    }
}

fn joined(before: &Path, name: &syn::Ident) -> Path {
    before.iter().cloned().chain([name.to_string()]).collect()
}

impl<'ast> Visit<'ast> for Named {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        match item {
            // What a module only passes on is its name's home's, and is followed there by who asks.
            syn::Item::Use(item) if matches!(item.vis, syn::Visibility::Inherited) => {
                self.uses(&item.tree, &mut Vec::new());
            }
            syn::Item::Use(_) => {}
            _ => syn::visit::visit_item(self, item),
        }
    }

    /// `pub(in crate::a)` says who may see something; it needs nothing of `a`.
    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 {
            self.add(path.segments.iter().map(|segment| segment.ident.to_string()).collect());
        }
        syn::visit::visit_path(self, path);
    }
}

/// Sets of more than one module that all reach each other, each sorted.
fn strongly_connected(graph: &Graph) -> Vec<Vec<Path>> {
    let reach: BTreeMap<&Path, BTreeSet<&Path>> =
        graph.keys().map(|from| (from, reached(graph, from))).collect();
    let mut seen = BTreeSet::new();
    let mut circles = Vec::new();
    for (from, to) in &reach {
        if seen.contains(from) {
            continue;
        }
        let circle: Vec<&Path> = to
            .iter()
            .copied()
            .filter(|other| reach.get(other).is_some_and(|back| back.contains(from)))
            .collect();
        seen.extend(circle.iter().copied());
        if circle.len() > 1 {
            circles.push(circle.into_iter().cloned().collect());
        }
    }
    circles
}

fn reached<'a>(graph: &'a Graph, from: &'a Path) -> BTreeSet<&'a Path> {
    let mut reached = BTreeSet::from([from]);
    let mut open = vec![from];
    while let Some(module) = open.pop() {
        for next in graph.get(module).into_iter().flatten() {
            if reached.insert(next) {
                open.push(next);
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(files: &[(&str, &str)]) -> Source {
        let file = |(path, text): &(&str, &str)| SourceFile {
            path: format!("net/src/{path}.rs"),
            text: (*text).into(),
        };
        Source { files: files.iter().map(file).collect(), ..Source::default() }
    }

    fn found(files: &[(&str, &str)]) -> Vec<Vec<String>> {
        circles(&source(files), "net")
    }

    #[test]
    fn a_circle_is_found_and_a_chain_is_none() {
        let chain = [("a", "use crate::b::X;"), ("b", "use crate::c::Y;"), ("c", "use crate::d::Z;")];
        assert!(found(&chain).is_empty());
        let circle = [&chain[..], &[("d", "fn f() { crate::b::g() }")]].concat();
        assert_eq!(found(&circle), [["b", "c", "d"]]);
    }

    #[test]
    fn super_makes_circles_too() {
        let files = [
            ("a/mod", "mod b; pub struct Owner; impl Owner { fn f() { b::g() } }"),
            ("a/b", "use super::Owner; pub fn g() {}"),
        ];
        assert_eq!(found(&files), [["a", "a::b"]]);
    }

    #[test]
    fn a_name_that_is_passed_on_lives_where_it_is_made() {
        let files = [
            ("a/mod", "mod b; mod c; pub use b::X;"),
            ("a/b", "pub struct X;"),
            ("a/c", "use super::X;"),
            ("d", "use crate::a::X;"),
        ];
        assert!(found(&files).is_empty());
        // And so a circle through such a name is one.
        let files =
            [("a/mod", "mod b; mod c; pub use b::X;"), ("a/b", "use super::c;"), ("a/c", "use super::X;")];
        assert_eq!(found(&files), [["a::b", "a::c"]]);
    }

    #[test]
    fn who_may_see_something_is_no_need() {
        let files = [("a/mod", "use crate::a::b::X;"), ("a/b", "pub(in crate::a) struct X;")];
        assert!(found(&files).is_empty());
    }

    #[test]
    fn tests_and_other_crates_are_not_counted() {
        let files = [
            ("a", "use std::fmt;\nuse crate::b::Y;\n"),
            ("b", "pub struct Y;\n\n#[cfg(test)]\nmod tests {\n    use crate::a::Z;\n}\n"),
        ];
        assert!(found(&files).is_empty());
    }
}
