//! Modules of a crate that need each other in a circle.

use super::source::Source;
use std::collections::{BTreeMap, BTreeSet};

type Graph = BTreeMap<String, BTreeSet<String>>;

/// The largest set of a crate's top-level modules that reach each other.
pub fn worst(source: &Source) -> Vec<String> {
    let members: BTreeSet<&str> = source.files.iter().map(|file| file.member()).collect();
    let circles = members.into_iter().flat_map(|member| circles(&graph(source, member), member));
    circles.max_by_key(Vec::len).unwrap_or_default()
}

/// From each module in `src` to those that its code names by `crate::`.
fn graph(source: &Source, member: &str) -> Graph {
    let mut graph = Graph::new();
    for file in source.files.iter().filter(|file| file.member() == member) {
        let Some(inside) = file.path.split_once("/src/").map(|(_, inside)| inside) else { continue };
        let module = inside.split('/').next().unwrap_or(inside).trim_end_matches(".rs");
        let named = graph.entry(module.to_owned()).or_default();
        for (_, line) in file.code_lines() {
            for after in line.split("crate::").skip(1) {
                let name: String = after.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                named.insert(name);
            }
        }
    }
    graph
}

fn circles(graph: &Graph, member: &str) -> Vec<Vec<String>> {
    let reach: BTreeMap<&String, BTreeSet<&String>> =
        graph.keys().map(|from| (from, reached(graph, from))).collect();
    let mut circles = Vec::new();
    for (from, to) in &reach {
        let circle: Vec<String> = to
            .iter()
            .filter(|other| reach[*other].contains(from))
            .map(|m| format!("{member}::{m}"))
            .collect();
        if circle.len() > 1 {
            circles.push(circle);
        }
    }
    circles
}

fn reached<'a>(graph: &'a Graph, from: &'a String) -> BTreeSet<&'a String> {
    let mut reached = BTreeSet::from([from]);
    let mut open = vec![from];
    while let Some(module) = open.pop() {
        for name in &graph[module] {
            if let Some((next, _)) = graph.get_key_value(name)
                && reached.insert(next)
            {
                open.push(next);
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::super::source::SourceFile;
    use super::*;

    #[test]
    fn the_largest_circle_is_found_and_a_chain_is_none() {
        let file = |name: &str, names: &str| SourceFile {
            path: format!("net/src/{name}.rs"),
            text: format!("use crate::{names};"),
        };
        let chain = vec![file("a", "b::X"), file("b", "c::Y"), file("c", "d::Z")];
        assert!(worst(&Source { files: chain.clone(), manifests: Vec::new() }).is_empty());
        let mut circle = chain;
        circle.push(file("d", "b::X"));
        let found = worst(&Source { files: circle, manifests: Vec::new() });
        assert_eq!(found, ["net::b", "net::c", "net::d"]);
    }
}
