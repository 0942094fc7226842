//! The metrics page in the form that is asked for: OpenMetrics, or Prometheus' plain text, which whatever names no
//! form gets, `promtool` among it. Knows lines, not figures.

use std::collections::BTreeSet;

/// How a page is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    OpenMetrics,
    Plain,
}

impl Form {
    /// By what a request says that it accepts.
    pub fn accepted(accept: Option<&str>) -> Self {
        match accept {
            Some(accept) if accept.contains("application/openmetrics-text") => Self::OpenMetrics,
            _ => Self::Plain,
        }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Plain => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// `page` is in OpenMetrics.
    pub fn write(self, page: String) -> String {
        match self {
            Self::OpenMetrics => page,
            Self::Plain => plain(&page),
        }
    }
}

/// In plain text a counter's family has the name of its samples, with `_total`, and there is no mark of the end.
fn plain(page: &str) -> String {
    let counter = |line: &'_ str| {
        let name = line.strip_prefix("# TYPE ")?.strip_suffix(" counter")?;
        Some(name.to_owned())
    };
    let counters: BTreeSet<String> = page.lines().filter_map(counter).collect();
    let mut text = String::with_capacity(page.len() + 4096);
    for line in page.lines().filter(|line| *line != "# EOF") {
        let head = ["# HELP ", "# TYPE "].into_iter().find_map(|mark| Some((mark, line.strip_prefix(mark)?)));
        let named = head.and_then(|(mark, rest)| Some((mark, rest.split_once(' ')?)));
        match named {
            Some((mark, (name, rest))) if counters.contains(name) => {
                text.extend([mark, name, "_total ", rest, "\n"]);
            }
            _ => text.extend([line, "\n"]),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observe::stats::ShardPage;
    use crate::observe::status::Status;
    use engine::ids::{Index, JournalId, NodeId, ShardId};
    use engine::journal::quorum::lead::FollowerStanding;
    use engine::peer::Space;
    use engine::shard::JournalMetrics;

    /// A page with every family in it.
    fn page() -> String {
        let status = Status::new(1);
        let mut page = ShardPage::default();
        page.engine.journals.push(JournalMetrics { journal: JournalId(3), ..JournalMetrics::default() });
        page.apis.entry(1).or_default().latency.record(20_000);
        let standing = FollowerStanding {
            node: NodeId(3),
            matched: Index(7),
            lag_entries: 2,
            lag_bytes: 8192,
            lag_ns: 1_500_000_000,
            in_sync: true,
            space: Space::Room,
        };
        page.followers.push((JournalId(3), standing));
        status.publish(ShardId(0), page);
        crate::observe::metrics::page(&status)
    }

    #[test]
    fn plain_text_is_what_no_form_is_asked_for() {
        assert_eq!(Form::accepted(None), Form::Plain);
        assert_eq!(Form::accepted(Some("*/*")), Form::Plain);
        let prometheus = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.4";
        assert_eq!(Form::accepted(Some(prometheus)), Form::OpenMetrics);
        let text =
            "# HELP a Help.\n# TYPE a counter\na_total 1\n# HELP b Help.\n# TYPE b gauge\nb 1\n# EOF\n";
        let expected =
            "# HELP a_total Help.\n# TYPE a_total counter\na_total 1\n# HELP b Help.\n# TYPE b gauge\nb 1\n";
        assert_eq!(Form::Plain.write(text.to_owned()), expected);
        assert_eq!(Form::OpenMetrics.write(text.to_owned()), text);
    }

    /// What promtool's `check metrics` looks for (promlint), and that a help text is a sentence.
    #[test]
    fn names_and_help_texts_are_as_promtool_wants_them() {
        let text = Form::Plain.write(page());
        let mut helped = BTreeSet::new();
        let mut typed = BTreeSet::new();
        let mut problems = Vec::new();
        for line in text.lines() {
            if let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
                assert!(helped.insert(name), "{name} has two help texts");
                if !help.ends_with('.') || help.ends_with("..") || help.len() < 5 {
                    problems.push(format!("{name}: help {help:?}"));
                }
            } else if let Some((name, kind)) =
                line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
            {
                assert!(helped.contains(name), "{name} has no help text");
                typed.insert(name);
                problems.extend(of_name(name, kind).map(|problem| format!("{name}: {problem}")));
            } else {
                let series = line.rsplit_once(' ').expect("a sample").0;
                let name = series.split('{').next().expect("a name");
                let family = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end));
                assert!(
                    typed.contains(name) || family.is_some_and(|family| typed.contains(family)),
                    "{line}"
                );
                let labels =
                    series.split(['{', ',']).skip(1).map(|label| label.split('=').next().expect("one"));
                problems.extend(labels.filter(|label| *label != label.to_lowercase()).map(str::to_owned));
            }
        }
        assert!(problems.is_empty(), "{problems:#?}");
        assert!(typed.len() > 60, "{}", typed.len());
    }

    fn of_name(name: &str, kind: &str) -> Option<&'static str> {
        let words: Vec<&str> = name.split('_').collect();
        let has = |wanted: &[&str]| words.iter().any(|word| wanted.contains(word));
        let ends = |end: &str| words.last() == Some(&end);
        if (kind == "counter") != ends("total") {
            Some("counters, and only they, end with _total")
        } else if has(&["s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "m", "h", "d", "pct"]) {
            Some("an abbreviated unit")
        } else if has(&["milliseconds", "microseconds", "minutes", "hours", "days", "kibibytes", "mebibytes"])
        {
            Some("no base unit")
        } else if has(&["gauge", "counter", "histogram", "summary"]) {
            Some("its type in its name")
        } else if kind != "histogram" && (ends("count") || ends("sum") || ends("bucket")) {
            Some("a histogram's ending")
        } else if name.chars().any(char::is_uppercase) {
            Some("capitals")
        } else {
            None
        }
    }
}
