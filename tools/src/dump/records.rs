//! `records`: every record, decompressed.

use super::cli::{Common, Format};
use super::filter::Filter;
use super::journal::{Journal, Segment};
use super::list::{Limit, codec_name};
use super::names::Names;
use super::out::{Out, Row, printable};
use super::progress::Progress;
use super::scan::Entry;
use super::source::Source;
use super::trouble::{Trouble, complain, exit};
use super::{offsets_topic, transactions_topic};
use crate::row;
use engine::batch::records::Records;
use engine::batch::{Record, varint};
use engine::entry::BatchDescriptor;
use serde_json::{Value, json};
use std::ops::ControlFlow;

/// What one batch may grow to when it is decompressed: far above what clients send, low enough
/// for any machine.
pub const DECOMPRESSED_BYTES_MAX: usize = 1 << 30;

/// How keys and values are shown.
#[derive(Clone, Copy, Debug)]
pub struct Show {
    pub format: Format,
    pub redact: bool,
}

impl Show {
    pub fn bytes(self, bytes: Option<&[u8]>) -> Value {
        match (bytes, self.redact, self.format) {
            (None, ..) => Value::Null,
            (Some(bytes), true, _) => json!(format!("<{} bytes>", bytes.len())),
            (Some(bytes), false, Format::Hex) => {
                json!(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
            }
            (Some(bytes), false, Format::Text) => json!(text(bytes)),
        }
    }

    /// Committed offsets, groups and transactions by their fields.
    fn key_and_value(self, topic: Option<&str>, record: &Record<'_>) -> (Value, Value) {
        let is_plain = !self.redact && self.format == Format::Text;
        let decoded = record.key.filter(|_| is_plain).and_then(|key| match topic {
            topic if offsets_topic::is_of(topic) => offsets_topic::decode(key, record.value),
            topic if transactions_topic::is_of(topic) => transactions_topic::decode(key, record.value),
            _ => None,
        });
        decoded.unwrap_or_else(|| (self.bytes(record.key), self.bytes(record.value)))
    }

    /// `key=value` pairs.
    fn headers(self, mut raw: &[u8]) -> Value {
        let Some(count) = varint::take_i32(&mut raw) else { return Value::Null };
        let mut headers = Vec::new();
        for _ in 0..count {
            let Some(key) = take_sized(&mut raw) else { break };
            let Some(value) = take_sized(&mut raw) else { break };
            headers.push(json!({ "key": self.bytes(key), "value": self.bytes(value) }));
        }
        Value::Array(headers)
    }
}

fn take_sized<'a>(from: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let bytes = varint::take_i32(from)?;
    if bytes < 0 {
        return Some(None);
    }
    let (taken, rest) = from.split_at_checked(bytes as usize)?;
    *from = rest;
    Some(Some(taken))
}

/// Text as it is, but what would break the line or the terminal escaped; other bytes as `\xNN`.
fn text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(&printable(chunk.valid()));
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02x}")));
    }
    text
}

pub fn records(
    source: &Source,
    common: &Common,
    format: Format,
    filter: &Filter,
    names: &Names,
    out: &mut Out<'_>,
) -> Result<u8, Trouble> {
    let mut limit = Limit::new(common);
    let show = Show { format, redact: common.redact };
    let mut undecoded = exit::CLEAN;
    let code =
        super::walk::entries(source, true, &Progress::beside_rows(source), |journal, segment, entry| {
            for batch in entry.descriptors().iter().filter(|batch| filter.takes(batch)) {
                let topic = names.topic_partition(batch.partition());
                let place = Place { journal, segment, entry, batch, topic };
                match batch_records(&place, show, filter, &mut limit, out)? {
                    Shown::All => {}
                    Shown::Partly => undecoded = exit::DAMAGE,
                    Shown::Enough => return Ok(ControlFlow::Break(())),
                }
            }
            Ok(ControlFlow::Continue(()))
        })?;
    Ok(code.max(undecoded))
}

/// How much of a batch was shown.
enum Shown {
    All,
    /// Some of it cannot be decoded.
    Partly,
    /// The limit is reached.
    Enough,
}

struct Place<'a> {
    journal: &'a Journal,
    segment: &'a Segment,
    entry: &'a Entry<'a>,
    batch: &'a BatchDescriptor,
    /// `topic-number`.
    topic: Option<String>,
}

impl Place<'_> {
    fn position(&self) -> u64 {
        self.entry.position + u64::from(self.batch.position.get())
    }
}

fn batch_records(
    place: &Place<'_>,
    show: Show,
    filter: &Filter,
    limit: &mut Limit,
    out: &mut Out<'_>,
) -> Result<Shown, Trouble> {
    let fault = |error: &dyn std::fmt::Display| {
        complain(format_args!("{}: batch at byte {}: {error}", place.segment, place.position()));
    };
    let bytes = place.entry.batch(place.batch).expect("the whole entry was read");
    let opened = match Records::open(bytes, DECOMPRESSED_BYTES_MAX) {
        Ok(opened) => opened,
        Err(error) => {
            fault(&error);
            return Ok(Shown::Partly);
        }
    };
    let mut shown = Shown::All;
    for record in opened.iter() {
        match record {
            Ok(record) if filter.takes_record(record.offset, record.timestamp_ms) => {
                out.row(record_row(place, &record, show))?;
                if limit.count().is_break() {
                    return Ok(Shown::Enough);
                }
            }
            Ok(_) => {}
            Err(error) => {
                fault(&error);
                shown = Shown::Partly;
            }
        }
    }
    Ok(shown)
}

fn record_row(place: &Place<'_>, record: &Record<'_>, show: Show) -> Row {
    let (key, value) = show.key_and_value(place.topic.as_deref(), record);
    row! {
        "damaged" => place.entry.is_damaged,
        "topic" => place.topic,
        "offset" => record.offset,
        "timestamp" => record.timestamp_ms,
        "compression" => codec_name(place.batch.attributes.get()),
        "partition" => place.batch.partition().0,
        "journal" => place.journal.id().0,
        "file" => place.segment.name(),
        "position" => place.position(),
        "index" => place.entry.header().index().0,
        "key" => key,
        "value" => value,
        "headers" => show.headers(record.headers),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_keeps_its_line() {
        assert_eq!(text("grün\n\x1b[0m".as_bytes()), "grün\\n\\u{1b}[0m");
        assert_eq!(text(b"a\xff\x00"), "a\\xff\\u{0}");
        let show = Show { format: Format::Text, redact: true };
        assert_eq!(show.bytes(Some(b"secret")), json!("<6 bytes>"));
        assert_eq!(show.headers(b"\x02\x02k\x04vv"), json!([{ "key": "<1 bytes>", "value": "<2 bytes>" }]));
    }
}
