//! Settings that nobody reads: a field that is accepted, described and then forgotten.

use super::Source;

/// The structs that settings become, and the file that fills each.
const SETTINGS: [(&str, &str, &str); 3] = [
    ("BrokerSettings", "engine/src/control/config/effective.rs", "engine/src/control/config/effective.rs"),
    ("TopicSettings", "engine/src/control/life.rs", "engine/src/control/config/effective.rs"),
    ("GroupConfig", "engine/src/groups/config.rs", "engine/src/control/config/effective.rs"),
];

/// Fields of settings that no code but what fills them, and no test, names.
pub fn unread(source: &Source) -> Vec<String> {
    let mut unread = Vec::new();
    for (name, declared, filled) in SETTINGS {
        let fields = fields_of(source, name, declared);
        let reads = |field: &str| {
            let access = format!(".{field}");
            source.files.iter().filter(|file| file.path.contains("/src/") && file.path != filled).any(
                |file| {
                    let code = file.code_lines().take_while(|(_, line)| line.trim() != "#[cfg(test)]");
                    code.into_iter().any(|(_, line)| is_named(line, &access))
                },
            )
        };
        if fields.is_empty() {
            unread.push(format!("{declared}: no struct {name} with public fields"));
        }
        let without = fields.iter().filter(|field| !reads(field));
        unread.extend(without.map(|field| format!("{declared}: nobody reads {name}::{field}")));
    }
    unread
}

/// Whether `access` stands in the line as a whole word.
fn is_named(line: &str, access: &str) -> bool {
    line.match_indices(access).any(|(at, _)| {
        let behind = line[at + access.len()..].chars().next();
        !behind.is_some_and(|next| next.is_alphanumeric() || next == '_')
    })
}

fn fields_of(source: &Source, name: &str, path: &str) -> Vec<String> {
    let Some(file) = source.files.iter().find(|file| file.path == path) else { return Vec::new() };
    let start = format!("pub struct {name} {{");
    let lines = file.text.lines().skip_while(|line| *line != start).skip(1);
    lines
        .take_while(|line| *line != "}")
        .filter_map(|line| line.trim().strip_prefix("pub ")?.split_once(':'))
        .map(|(field, _)| field.to_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::SourceFile;
    use super::*;

    #[test]
    fn a_field_that_only_its_filler_and_tests_name_is_found() {
        let file = |path: &str, text: &str| SourceFile { path: path.to_owned(), text: text.to_owned() };
        let one = |name: &str| format!("pub struct {name} {{\n    pub a: u32,\n    pub a_b: u32,\n}}\n");
        let (broker, topic, group) = SETTINGS.map(|(name, ..)| one(name)).into();
        let reader = "fn f(x: &X) {\n    x.a_b\n}\n#[cfg(test)]\nmod tests { fn g() { x.a } }\n";
        let files = vec![
            file(SETTINGS[0].1, &format!("{broker}fn fill() {{ x.a }}\n")),
            file(SETTINGS[1].1, &topic),
            file(SETTINGS[2].1, &group),
            file("net/src/reader.rs", reader),
        ];
        let found = unread(&Source { files, ..Source::default() });
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].ends_with("nobody reads BrokerSettings::a"), "{found:?}");
    }
}
