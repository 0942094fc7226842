//! Rows out: tables for people, one JSON object per line for scripts.

use super::trouble::Trouble;
use comfy_table::{ContentArrangement, Table, presets};
use serde_json::Value;
use std::io::Write;

/// Rows per table: columns are as wide as these need, and memory stays bounded.
const TABLE_ROWS_MAX: usize = 1_000;

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
    columns: Vec<&'static str>,
    waiting: Vec<Vec<String>>,
}

impl<'a> Out<'a> {
    pub fn new(to: impl Write + 'a, json: bool) -> Self {
        Self { to: Box::new(to), json, columns: Vec::new(), waiting: Vec::new() }
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
        self.waiting.push(row.into_iter().map(|(_, value)| cell(&value)).collect());
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
        table.set_header(&self.columns);
        for row in self.waiting.drain(..) {
            table.add_row(row);
        }
        Ok(writeln!(self.to, "{}", table.trim_fmt())?)
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(json: bool) -> String {
        let mut bytes = Vec::new();
        let mut out = Out::new(&mut bytes, json);
        out.row(row! { "b" => 1, "a" => "x" }).expect("memory");
        out.row(row! { "b" => 22, "a" => Option::<u8>::None }).expect("memory");
        out.finish().expect("memory");
        drop(out);
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn rows_become_a_table_or_lines_in_the_order_of_the_columns() {
        assert_eq!(written(true), "{\"b\":1,\"a\":\"x\"}\n{\"b\":22,\"a\":null}\n");
        assert_eq!(written(false), " b   a\n 1   x\n 22  -\n");
    }
}
