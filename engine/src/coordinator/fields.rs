//! The fields of internal topics' records, as Kafka's generated code writes them in versions
//! without tagged fields. Big-endian.

use std::sync::Arc;

/// Why a record cannot be used. Such a record is passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRecord {
    #[error("it ends early")]
    Short,
    #[error("a version that is not known: {0}")]
    Version(i16),
    #[error("text that is not UTF-8, or null")]
    Text,
}

pub fn count_of(count: usize) -> i32 {
    i32::try_from(count).expect("what a record holds is bounded")
}

/// Requests' strings are below 32 KiB each; those made of two of them may be longer.
pub fn put_text(to: &mut Vec<u8>, text: &str) {
    let bytes = i16::try_from(text.len()).expect("checked when it came in");
    to.extend_from_slice(&bytes.to_be_bytes());
    to.extend_from_slice(text.as_bytes());
}

pub fn put_nullable(to: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => put_text(to, text),
        None => to.extend_from_slice(&(-1i16).to_be_bytes()),
    }
}

pub fn put_bytes(to: &mut Vec<u8>, bytes: &[u8]) {
    to.extend_from_slice(&count_of(bytes.len()).to_be_bytes());
    to.extend_from_slice(bytes);
}

/// What remains of a key or value.
pub struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn take(&mut self, bytes: usize) -> Result<&'a [u8], BadRecord> {
        let (taken, rest) = self.0.split_at_checked(bytes).ok_or(BadRecord::Short)?;
        self.0 = rest;
        Ok(taken)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], BadRecord> {
        Ok(self.take(N)?.try_into().expect("as many were taken"))
    }

    pub fn i16(&mut self) -> Result<i16, BadRecord> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    pub fn i32(&mut self) -> Result<i32, BadRecord> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub fn i64(&mut self) -> Result<i64, BadRecord> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    pub fn nullable(&mut self) -> Result<Option<String>, BadRecord> {
        let Ok(bytes) = usize::try_from(self.i16()?) else { return Ok(None) };
        let text = core::str::from_utf8(self.take(bytes)?).map_err(|_| BadRecord::Text)?;
        Ok(Some(text.to_owned()))
    }

    pub fn text(&mut self) -> Result<String, BadRecord> {
        self.nullable()?.ok_or(BadRecord::Text)
    }

    pub fn bytes(&mut self) -> Result<Arc<[u8]>, BadRecord> {
        let bytes = usize::try_from(self.i32()?).unwrap_or(0);
        Ok(self.take(bytes)?.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_is_read_and_a_cut_is_told() {
        let mut bytes = Vec::new();
        put_text(&mut bytes, "t");
        put_nullable(&mut bytes, None);
        put_bytes(&mut bytes, &[7, 8]);
        assert_eq!(bytes, [0, 1, b't', 0xff, 0xff, 0, 0, 0, 2, 7, 8]);
        let mut from = Fields::new(&bytes);
        assert_eq!((from.text(), from.nullable()), (Ok("t".to_owned()), Ok(None)));
        assert_eq!(from.bytes().as_deref(), Ok(&[7, 8][..]));
        assert_eq!(from.i16(), Err(BadRecord::Short));
        assert_eq!(Fields::new(&bytes[3..]).text(), Err(BadRecord::Text), "null is no text");
    }
}
