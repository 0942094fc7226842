//! One line: a JSON object whose first fields are when, which of this process, which node and what.

use serde_json::{Map, Value};
use std::fmt::Write;
use std::time::SystemTime;
use time::OffsetDateTime;

/// What a text in a line may have. Names of topics and users are shorter; what a client sends may be anything.
const TEXT_BYTES_MAX: usize = 4 << 10;

/// The line with its end.
pub fn line(at: SystemTime, number: u64, node: u32, event: &str, fields: Value) -> String {
    let Value::Object(fields) = fields else { panic!("the fields of a line are an object: {fields}") };
    let mut text = format!("{{\"time\":\"{}\",\"number\":{number},\"node\":{node}", timestamp(at));
    push(&mut text, "event", Value::from(event));
    for (key, value) in fields.into_iter().filter(|(_, value)| !value.is_null()) {
        push(&mut text, &key, shortened(value));
    }
    text.push_str("}\n");
    text
}

fn push(text: &mut String, key: &str, value: Value) {
    write!(text, ",\"{key}\":{value}").expect("a string takes all");
}

/// Long texts end where they are too long, and say so.
fn shortened(value: Value) -> Value {
    match value {
        Value::String(mut text) if text.len() > TEXT_BYTES_MAX => {
            let bytes = text.len();
            text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
            Value::from(format!("{text}… ({bytes} bytes)"))
        }
        Value::Array(values) => values.into_iter().map(shortened).collect(),
        Value::Object(fields) => Value::Object(
            fields.into_iter().map(|(key, value)| (key, shortened(value))).collect::<Map<_, _>>(),
        ),
        other => other,
    }
}

/// `2026-12-01T11:30:00.123456Z`.
pub fn timestamp(at: SystemTime) -> String {
    let at = OffsetDateTime::from(at);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z",
        at.year(),
        u8::from(at.month()),
        at.day(),
        at.hour(),
        at.minute(),
        at.second(),
        at.microsecond()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::time::Duration;

    #[test]
    fn a_line_is_one_object_and_what_is_null_is_left_out() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_micros(1_796_029_272_000_007);
        let text = line(at, 7, 3, "denied", json!({"who": "User:a\nb\"", "listener": null}));
        assert_eq!(
            text,
            "{\"time\":\"2026-11-30T09:01:12.000007Z\",\"number\":7,\"node\":3,\"event\":\"denied\",\
             \"who\":\"User:a\\nb\\\"\"}\n"
        );
        let read: Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(read["who"], "User:a\nb\"");
    }

    #[test]
    fn a_text_of_any_length_makes_no_line_of_any_length() {
        let long = "ü".repeat(TEXT_BYTES_MAX);
        let text = line(SystemTime::now(), 1, 0, "x", json!({"a": [{"b": long}]}));
        assert!(text.len() < 2 * TEXT_BYTES_MAX, "{} bytes", text.len());
        assert!(text.contains(&format!("({} bytes)", 2 * TEXT_BYTES_MAX)));
    }
}
