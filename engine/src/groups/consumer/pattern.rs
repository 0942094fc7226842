//! Subscriptions by regular expression: RE2's syntax, over the bytes of a name, the whole of it. The
//! time to match is linear in the name's length whatever the expression is.

use regex::bytes::{Regex, RegexBuilder};

/// The longest expression. One that lists topics can name a hundred of usual length.
const PATTERN_BYTES_MAX: usize = 8 << 10;
/// What it may take when it is compiled, and again while it is matched. `[a-z]{1,100}-.*` takes 60 KiB.
const COMPILED_BYTES_MAX: usize = 512 << 10;
/// Groups within groups.
const NESTING_MAX: u32 = 50;

/// None where it is no such expression, or is too large.
pub fn compile(pattern: &str) -> Option<Regex> {
    if pattern.len() > PATTERN_BYTES_MAX {
        return None;
    }
    // By itself first: `a)(b` is no expression, though `(?:a)(b)` is one.
    build(pattern)?;
    build(&format!("^(?:{pattern})$"))
}

fn build(pattern: &str) -> Option<Regex> {
    let mut builder = RegexBuilder::new(pattern);
    builder.unicode(false).size_limit(COMPILED_BYTES_MAX).dfa_size_limit(COMPILED_BYTES_MAX);
    builder.nest_limit(NESTING_MAX).build().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_name_matches() {
        let matches =
            |pattern: &str, name: &str| compile(pattern).expect("a pattern").is_match(name.as_bytes());
        assert!(matches("orders-.*", "orders-eu") && !matches("orders-.*", "my-orders-eu"));
        assert!(matches("a|b", "b") && !matches("a|b", "ab"));
        assert!(matches("(?i)A", "a") && matches("^t[0-9]+$", "t12") && matches(r"\w+", "a_b"));
    }

    #[test]
    fn what_is_no_expression_or_too_large_is_refused() {
        for bad in ["(", "a)(b", "[", "*", r"\1", "(?=a)", &"(".repeat(60), "(a{1000}){1000}"] {
            assert!(compile(bad).is_none(), "{bad}");
        }
        assert!(compile(&"a".repeat(PATTERN_BYTES_MAX + 1)).is_none());
        assert!(compile(&"a|".repeat(1000)).is_some());
    }
}
