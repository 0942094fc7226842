//! Who a client is by its certificate: Kafka's `ssl.principal.mapping.rules`, applied to the subject.

use regex::Regex;

/// The first rule that fits counts.
#[derive(Clone, Debug)]
pub struct PrincipalRules(Vec<Rule>);

#[derive(Clone, Debug)]
enum Rule {
    /// The subject as it is.
    Default,
    Mapped {
        pattern: Regex,
        replacement: String,
        case: Case,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    Kept,
    Lower,
    Upper,
}

/// A pattern is a line of configuration; what it is compiled to is bounded, and so is what it costs to match: in time
/// the regex engine is linear in the subject.
const COMPILED_BYTES_MAX: usize = 1 << 20;

impl Default for PrincipalRules {
    fn default() -> Self {
        Self(vec![Rule::Default])
    }
}

impl PrincipalRules {
    /// `DEFAULT`, or `RULE:PATTERN/REPLACEMENT/` with `L` or `U` behind, separated by commas.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut rules = Vec::new();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let (rule, behind) = parse_rule(rest)?;
            rules.push(rule);
            let behind = behind.trim_start_matches([' ', '\t']);
            rest = match behind.chars().next() {
                None => "",
                Some(',' | '\n') => behind[1..].trim_start(),
                Some(_) => return Err(format!("'{behind}' is neither a comma nor the end")),
            };
        }
        Ok(if rules.is_empty() { Self::default() } else { Self(rules) })
    }

    /// The name of a subject; none where no rule fits.
    pub fn name(&self, subject: &str) -> Option<String> {
        self.0.iter().find_map(|rule| rule.name(subject))
    }
}

impl Rule {
    fn name(&self, subject: &str) -> Option<String> {
        match self {
            Self::Default => Some(subject.to_owned()),
            Self::Mapped { pattern, replacement, case } => {
                let found = pattern.find(subject)?;
                // As Java's `matches`: the whole of it.
                if found.len() != subject.len() {
                    return None;
                }
                let name = pattern.replace(subject, replacement.as_str()).into_owned();
                Some(match case {
                    Case::Kept => name,
                    Case::Lower => name.to_lowercase(),
                    Case::Upper => name.to_uppercase(),
                })
            }
        }
    }
}

fn parse_rule(text: &str) -> Result<(Rule, &str), String> {
    if let Some(rest) = text.strip_prefix("DEFAULT") {
        return Ok((Rule::Default, rest));
    }
    let wrong = || format!("'{text}' does not begin with DEFAULT or RULE:PATTERN/REPLACEMENT/");
    let rest = text.strip_prefix("RULE:").ok_or_else(wrong)?;
    let (pattern, rest) = part(rest).ok_or_else(wrong)?;
    let (replacement, rest) = part(rest).ok_or_else(wrong)?;
    let (case, rest) = match rest.chars().next() {
        Some('L') => (Case::Lower, &rest[1..]),
        Some('U') => (Case::Upper, &rest[1..]),
        _ => (Case::Kept, rest),
    };
    // The whole subject is to match, whatever the alternatives in the pattern.
    let pattern = regex::RegexBuilder::new(&format!("^(?:{pattern})$"))
        .size_limit(COMPILED_BYTES_MAX)
        .build()
        .map_err(|error| format!("pattern '{pattern}': {error}"))?;
    let replacement = references(replacement, pattern.captures_len());
    Ok((Rule::Mapped { pattern, replacement, case }, rest))
}

/// Up to the next slash that no backslash stands before.
fn part(text: &str) -> Option<(&str, &str)> {
    let mut is_escaped = false;
    for (at, char) in text.char_indices() {
        match char {
            '/' if !is_escaped => return Some((&text[..at], &text[at + 1..])),
            _ => is_escaped = char == '\\' && !is_escaped,
        }
    }
    None
}

/// Java's `$1` as regex wants it, `${1}`; a dollar that refers to nothing, and what a backslash stands before, is itself.
fn references(replacement: &str, groups: usize) -> String {
    let mut text = String::new();
    let mut chars = replacement.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '$' => {
                let mut number = None;
                // Java takes further digits only while there is such a group.
                while let Some(digit) = chars.peek().and_then(|next| next.to_digit(10)) {
                    let longer = number.unwrap_or(0) * 10 + digit as usize;
                    if longer >= groups {
                        break;
                    }
                    number = Some(longer);
                    chars.next();
                }
                match number {
                    Some(number) => text += &format!("${{{number}}}"),
                    None => text += "$$",
                }
            }
            '\\' => match chars.next() {
                Some('$') => text += "$$",
                Some(other) => text.push(other),
                None => {}
            },
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(rules: &str, subject: &str) -> Option<String> {
        PrincipalRules::parse(rules).expect(rules).name(subject)
    }

    #[test]
    fn without_rules_the_subject_is_the_name() {
        for rules in ["", "DEFAULT", "  DEFAULT  "] {
            assert_eq!(name(rules, "CN=a,O=b").as_deref(), Some("CN=a,O=b"), "{rules}");
        }
    }

    /// The examples of Kafka's documentation.
    #[test]
    fn kafkas_examples_give_kafkas_names() {
        let rules = "RULE:^CN=(.*?),OU=ServiceUsers.*$/$1/,\
                     RULE:^CN=(.*?),OU=(.*?),O=(.*?),L=(.*?),ST=(.*?),C=(.*?)$/$1@$2/L,\
                     RULE:^.*[Cc][Nn]=([a-zA-Z0-9.]*).*$/$1/L,DEFAULT";
        let cases = [
            ("CN=serviceuser,OU=ServiceUsers,O=Unknown,L=Unknown,ST=Unknown,C=Unknown", "serviceuser"),
            ("CN=adminUser,OU=Admin,O=Unknown,L=Unknown,ST=Unknown,C=Unknown", "adminuser@admin"),
            ("cn=test1,ou=SMEs", "test1"),
            ("OU=none", "OU=none"),
        ];
        for (subject, expected) in cases {
            assert_eq!(name(rules, subject).as_deref(), Some(expected), "{subject}");
        }
    }

    #[test]
    fn the_whole_subject_matches_or_the_rule_does_not_fit() {
        assert_eq!(name("RULE:CN=a/x/", "CN=ab"), None);
        assert_eq!(name("RULE:CN=a|CN=ab/x/", "CN=ab").as_deref(), Some("x"));
        assert_eq!(name("RULE:CN=(.*)/$1/U", "CN=ab").as_deref(), Some("AB"));
    }

    #[test]
    fn slashes_and_dollars_may_be_escaped() {
        assert_eq!(name("RULE:CN=a\\/(b)/\\/$1/", "CN=a/b").as_deref(), Some("/b"));
        assert_eq!(name("RULE:CN=(a)/$2$1x\\$1/", "CN=a").as_deref(), Some("$2ax$1"));
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for wrong in [
            "RULE:a",
            "RULE:a/b",
            "default",
            "RULE:(/b/",
            "DEFAULT DEFAULT",
            "RULE:a/b/X",
            "RULE:(a{1000}){1000}/b/",
        ] {
            assert!(PrincipalRules::parse(wrong).is_err(), "{wrong}");
        }
    }
}
