//! Who may depend on whom: `tests → net → engine`, `bench → net`, `tools → engine`, and bench's
//! benches also on the engine that they measure; glommio only behind the engine's disk seam, in net and in bench; raft only in the engine's raft folder.

use super::source::{Source, SourceFile};

/// A member and the members it may name in its manifest.
const ALLOWED: [(&str, &[&str]); 5] = [
    ("engine", &[]),
    ("net", &["engine"]),
    ("bench", &["net"]),
    ("tools", &["engine"]),
    ("tests", &["engine", "net"]),
];

/// What a member's tests and benches may name beside that, as dev-dependencies.
const ALLOWED_FOR_DEV: [(&str, &[&str]); 1] = [("bench", &["engine"])];

/// A package and the places that may use it.
const SEAMS: [(&str, &[&str]); 2] =
    [("glommio", &["engine/src/disk/", "net/", "bench/"]), ("raft", &["engine/src/raft/"])];

/// Arrows that point where they must not.
pub fn broken(source: &Source) -> Vec<String> {
    let mut broken = Vec::new();
    for (member, manifest) in &source.manifests {
        let allowed = allowed_for(&ALLOWED, member);
        let allowed_for_dev = allowed_for(&ALLOWED_FOR_DEV, member);
        let (shipped, dev) = manifest.split_once("[dev-dependencies]").unwrap_or((manifest, ""));
        for (other, _) in ALLOWED {
            let is_allowed_for_dev = allowed.contains(&other) || allowed_for_dev.contains(&other);
            if depends(shipped, other) && !allowed.contains(&other)
                || depends(dev, other) && !is_allowed_for_dev
            {
                broken.push(format!("{member}/Cargo.toml: {member} must not depend on {other}"));
            }
        }
    }
    for (package, places) in SEAMS {
        let outside = |file: &&SourceFile| !places.iter().any(|place| file.path.starts_with(place));
        for file in source.files.iter().filter(outside) {
            let uses = file.code_lines().filter(|(_, line)| uses(line, package));
            broken.extend(
                uses.map(|(number, _)| format!("{}:{number}: {package} is not for this place", file.path)),
            );
        }
    }
    broken
}

fn allowed_for<'a>(table: &[(&str, &'a [&'a str])], member: &str) -> &'a [&'a str] {
    table.iter().find(|(name, _)| *name == member).map_or(&[][..], |(_, allowed)| allowed)
}

fn depends(manifest: &str, on: &str) -> bool {
    manifest.lines().any(|line| {
        let name = line.split(['.', '=', ' ']).next().unwrap_or_default();
        name == on && line.len() > on.len()
    })
}

/// `use package::…`, `package::…` at the start of a path; a module of that name (`crate::raft`) is
/// another thing, and so is a word in a text.
fn uses(line: &str, package: &str) -> bool {
    let line = line.trim_start().trim_start_matches("pub ");
    let path = format!("{package}::");
    if line.strip_prefix("use ").is_some_and(|rest| rest.trim_start_matches("::").starts_with(&path)) {
        return true;
    }
    let inside_a_use_list = line.starts_with("use ") || line.ends_with(',') && !line.contains('(');
    !inside_a_use_list
        && line.match_indices(&path).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            let in_a_text = line[..at].matches('"').count() % 2 == 1;
            !in_a_text && before.is_none_or(|c| !c.is_alphanumeric() && c != '_' && c != ':' && c != '`')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_of_the_package_is_told_from_a_module_of_its_name() {
        for line in [
            "use raft::RawNode;",
            "    let x = raft::Config::new(1);",
            "pub use ::raft::prelude::*;",
            "fn f(x: &raft::Entry) {",
        ] {
            assert!(uses(line, "raft"), "{line}");
        }
        for line in [
            "use crate::raft::Replica;",
            "use crate::{ids::Term, raft::Replica};",
            "    crate::raft::f();",
            "    draft::f();",
            "let s = \"raft::x\";",
        ] {
            assert!(!uses(line, "raft"), "{line}");
        }
    }

    #[test]
    fn an_arrow_the_wrong_way_is_told() {
        let manifest = "[dependencies]\nnet.workspace = true\n";
        let source = Source { manifests: vec![("engine".into(), manifest.into())], ..Source::default() };
        assert_eq!(broken(&source), ["engine/Cargo.toml: engine must not depend on net"]);
        let of_bench = |manifest: &str| {
            broken(&Source { manifests: vec![("bench".into(), manifest.into())], ..Source::default() })
        };
        assert!(of_bench("[dev-dependencies]\nengine.workspace = true\n").is_empty());
        assert_eq!(of_bench("[dependencies]\nengine.workspace = true\n[dev-dependencies]\n").len(), 1);
    }

    #[test]
    fn glommio_outside_its_seam_is_told_with_its_line() {
        let file = SourceFile {
            path: "engine/src/shard/mod.rs".into(),
            text: "//! x\n// glommio::x\nuse glommio::Task;\n".into(),
        };
        let source = Source { files: vec![file], ..Source::default() };
        assert_eq!(broken(&source), ["engine/src/shard/mod.rs:3: glommio is not for this place"]);
    }
}
