//! Rows out: tables for people, one JSON object per line for scripts.
//!
//! A table shows times as people read them and damage as a `!`; JSON has milliseconds since 1970 and booleans.

use super::times::Clock;
use super::trouble::Trouble;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;
use std::io::Write;

/// Rows per table: columns are as wide as these need, and memory stays bounded.
const TABLE_ROWS_MAX: usize = 1_000;

/// Columns, and fields within them, that are milliseconds since 1970.
const TIMES: [&str; 9] = [
    "timestamp",
    "base_timestamp",
    "max_timestamp",
    "first_time",
    "last_time",
    "wall_ms",
    "commit_time",
    "expire_time",
    "state_since",
];
/// The column that marks rows not to be believed.
const DAMAGED: &str = "damaged";

/// One row: column names and values, the same columns in every row of a command.
pub type Row = Vec<(&'static str, Value)>;

/// Makes a row: `row! { "index" => 5, "kind" => "batches" }`.
#[macro_export]
macro_rules! row {
    ($($name:literal => $value:expr),* $(,)?) => {
        vec![$(($name, serde_json::json!($value))),*]
    };
}

/// Where rows go.
pub struct Out<'a> {
    to: Box<dyn Write + 'a>,
    json: bool,
    clock: Clock,
    columns: Vec<&'static str>,
    waiting: Vec<Vec<String>>,
}

impl<'a> Out<'a> {
    pub fn new(to: impl Write + 'a, json: bool, clock: Clock) -> Self {
        Self { to: Box::new(to), json, clock, columns: Vec::new(), waiting: Vec::new() }
    }

    pub fn row(&mut self, row: Row) -> Result<(), Trouble> {
        if self.json {
            return self.json_line(&row);
        }
        let columns: Vec<_> = row.iter().map(|(name, _)| *name).collect();
        if columns != self.columns || self.waiting.len() == TABLE_ROWS_MAX {
            self.table()?;
            self.columns = columns;
        }
        self.waiting.push(row.iter().map(|(name, value)| self.cell(name, value)).collect());
        Ok(())
    }

    /// A row of a verdict: the exit code stands even when nobody reads the rows.
    pub fn verdict(&mut self, row: Row) -> Result<(), Trouble> {
        match self.row(row) {
            Err(Trouble::Closed) => Ok(()),
            other => other,
        }
    }

    pub fn finish(&mut self) -> Result<(), Trouble> {
        self.table()?;
        Ok(self.to.flush()?)
    }

    /// Keys in the order of the columns.
    fn json_line(&mut self, row: &Row) -> Result<(), Trouble> {
        let mut line = String::from("{");
        for (number, (name, value)) in row.iter().enumerate() {
            let comma = if number > 0 { "," } else { "" };
            line.push_str(&format!("{comma}\"{name}\":{value}"));
        }
        Ok(writeln!(self.to, "{line}}}")?)
    }

    fn table(&mut self) -> Result<(), Trouble> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let mut table = Table::new();
        table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        table.set_header(self.columns.iter().map(|name| if *name == DAMAGED { "!" } else { name }));
        for row in self.waiting.drain(..) {
            table.add_row(row);
        }
        Ok(writeln!(self.to, "{}", table.trim_fmt())?)
    }

    fn cell(&self, name: &str, value: &Value) -> String {
        match value {
            Value::Null => "-".to_owned(),
            Value::Bool(damaged) if name == DAMAGED => if *damaged { "!" } else { "" }.to_owned(),
            Value::Number(ms) if TIMES.contains(&name) => {
                ms.as_i64().and_then(|ms| self.clock.show(ms)).unwrap_or_else(|| ms.to_string())
            }
            Value::String(text) => printable(text),
            Value::Object(fields) => {
                let field = |(name, value): (&String, &Value)| format!("{name}={}", self.cell(name, value));
                fields.iter().map(field).collect::<Vec<_>>().join(" ")
            }
            Value::Array(values) if values.iter().any(Value::is_object) => {
                let one = |value: &Value| format!("({})", self.cell(name, value));
                values.iter().map(one).collect::<Vec<_>>().join(" ")
            }
            other => other.to_string(),
        }
    }
}

/// Text that cannot break the line or the terminal.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_control() { shown.extend(char.escape_default()) } else { shown.push(char) }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(json: bool, rows: Vec<Row>) -> String {
        let mut bytes = Vec::new();
        let mut out = Out::new(&mut bytes, json, Clock::new(true));
        rows.into_iter().for_each(|row| out.row(row).expect("memory"));
        out.finish().expect("memory");
        drop(out);
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn rows_become_a_table_or_lines_in_the_order_of_the_columns() {
        let rows = || vec![row! { "b" => 1, "a" => "x" }, row! { "b" => 22, "a" => Option::<u8>::None }];
        assert_eq!(written(true, rows()), "{\"b\":1,\"a\":\"x\"}\n{\"b\":22,\"a\":null}\n");
        assert_eq!(written(false, rows()), " b   a\n 1   x\n 22  -\n");
    }

    #[test]
    fn times_and_marks_are_for_people_in_tables_and_plain_in_json() {
        let rows = || {
            vec![
                row! { "damaged" => true, "timestamp" => 1_750_000_000_123i64 },
                row! { "damaged" => false, "timestamp" => -1 },
            ]
        };
        let table = " !  timestamp\n !  2025-06-15 15:06:40.123Z\n    -1\n";
        assert_eq!(written(false, rows()), table);
        assert!(written(true, rows()).starts_with("{\"damaged\":true,\"timestamp\":1750000000123}\n"));
    }

    #[test]
    fn what_a_field_holds_is_shown_in_its_cell_without_control_characters() {
        let value = serde_json::json!({ "group": "a\u{1b}[31m", "commit_time": 0, "members": [{ "id": 1 }] });
        let table = written(false, vec![row! { "value" => value }]);
        let cell = "commit_time=1970-01-01 00:00:00.000Z group=a\\u{1b}[31m members=(id=1)";
        assert!(table.contains(cell), "{table}");
    }
}
