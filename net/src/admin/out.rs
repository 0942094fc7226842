//! What a command found, written as a table for people or as JSON for scripts.

use crate::process::refusal::Refusal;
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;
use std::io::{self, Write};

#[derive(Clone, Copy, Debug)]
pub struct Out {
    pub json: bool,
}

impl Out {
    /// `found` whole as one JSON document, or what `text` makes of it.
    pub fn show<T: Serialize>(self, found: &T, text: impl FnOnce(&T) -> String) -> Result<(), Refusal> {
        let mut written = if self.json {
            serde_json::to_string_pretty(found).expect("reports are plain values")
        } else {
            text(found)
        };
        if !written.ends_with('\n') {
            written.push('\n');
        }
        match io::stdout().lock().write_all(written.as_bytes()) {
            // Whoever reads has read enough (`| head`).
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            Err(error) => {
                Err(Refusal::environment(format!("standard output: {error}"), "check where it goes"))
            }
            Ok(()) => Ok(()),
        }
    }
}

/// A table without lines, as wide as its cells.
pub fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header);
    rows.into_iter().for_each(|row| {
        table.add_row(row.map(|cell| printable(&cell)));
    });
    table.trim_fmt()
}

/// A name that somebody else chose, such that it cannot break the line or steer the terminal.
pub fn printable(name: &str) -> String {
    let mut shown = String::with_capacity(name.len());
    for char in name.chars() {
        if char.is_control() { shown.extend(char.escape_default()) } else { shown.push(char) }
    }
    shown
}

/// A value, or a dash where it is not known.
pub fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// Numbers with commas between them; a dash for none.
pub fn list(numbers: &[i32]) -> String {
    let texts: Vec<String> = numbers.iter().map(i32::to_string).collect();
    if texts.is_empty() { "-".to_owned() } else { texts.join(",") }
}

/// Bytes in the largest binary unit of which there is at least one.
pub fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let unit = (0..UNITS.len()).rev().find(|unit| count >> (10 * unit) > 0).unwrap_or(0);
    if unit == 0 {
        return format!("{count} B");
    }
    format!("{:.1} {}", count as f64 / (1u64 << (10 * unit)) as f64, UNITS[unit])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_for_people() {
        assert_eq!(
            [bytes(0), bytes(1023), bytes(1536), bytes(5 << 40)],
            ["0 B", "1023 B", "1.5 KiB", "5.0 TiB"]
        );
        assert_eq!([list(&[]), list(&[1, 1002])], ["-", "1,1002"]);
        let rows = [["a".to_owned(), or_dash(Some(1))], ["bb".to_owned(), or_dash(None::<i32>)]];
        assert_eq!(table(["name", "n"], rows), " name  n\n a     1\n bb    -");
    }

    #[test]
    fn names_cannot_steer_the_terminal() {
        let rows = [["g \n\u{1b}[31m\u{9b}ä €".to_owned()]];
        assert_eq!(table(["name"], rows), " name\n g \\n\\u{1b}[31m\\u{9b}ä €");
    }
}
