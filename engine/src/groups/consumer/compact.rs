//! The fields of internal topics' records in versions with tagged fields, as Kafka's generated code
//! writes them; [`crate::coordinator::fields`] has those of the others.

use crate::coordinator::fields::{BadRecord, Fields};

/// Writes one value.
#[derive(Default)]
pub struct CompactWriter(Vec<u8>);

impl CompactWriter {
    pub fn new(version: i16) -> Self {
        Self(version.to_be_bytes().to_vec())
    }

    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub fn number(&mut self, mut number: u32) -> &mut Self {
        while number >= 0x80 {
            self.0.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
        self
    }

    /// What a list begins with.
    pub fn count(&mut self, count: usize) -> &mut Self {
        self.number(u32::try_from(count).expect("what a record holds is bounded") + 1)
    }

    pub fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.count(bytes.len()).raw(bytes)
    }

    pub fn text(&mut self, text: &str) -> &mut Self {
        self.bytes(text.as_bytes())
    }

    pub fn nullable(&mut self, text: Option<&str>) -> &mut Self {
        match text {
            Some(text) => self.text(text),
            None => self.number(0),
        }
    }

    pub fn no_tags(&mut self) -> &mut Self {
        self.number(0)
    }

    /// The only tagged field.
    pub fn tag(&mut self, tag: u32, bytes: &[u8]) -> &mut Self {
        let length = u32::try_from(bytes.len()).expect("what a record holds is bounded");
        self.number(1).number(tag).number(length).raw(bytes)
    }

    pub fn done(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.0)
    }
}

/// Reads one value.
pub struct CompactReader<'a> {
    pub fields: Fields<'a>,
}

impl<'a> CompactReader<'a> {
    /// Of a value of this version alone.
    pub fn of(bytes: &'a [u8]) -> Result<Self, BadRecord> {
        let mut fields = Fields::new(bytes);
        match fields.i16()? {
            0 => Ok(Self { fields }),
            other => Err(BadRecord::Version(other)),
        }
    }

    pub fn number(&mut self) -> Result<u32, BadRecord> {
        let mut number = 0u32;
        for shift in (0..35).step_by(7) {
            let [byte] = self.fields.array()?;
            number |= u32::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err(BadRecord::Short)
    }

    /// None for null. What is claimed is not believed: nothing is made room for.
    pub fn count(&mut self) -> Result<Option<usize>, BadRecord> {
        Ok(self.number()?.checked_sub(1).map(|count| count as usize))
    }

    pub fn bytes(&mut self) -> Result<&'a [u8], BadRecord> {
        let count = self.count()?.unwrap_or(0);
        self.fields.take(count)
    }

    pub fn nullable(&mut self) -> Result<Option<&'a str>, BadRecord> {
        let Some(count) = self.count()? else { return Ok(None) };
        core::str::from_utf8(self.fields.take(count)?).map(Some).map_err(|_| BadRecord::Text)
    }

    pub fn text(&mut self) -> Result<&'a str, BadRecord> {
        self.nullable()?.ok_or(BadRecord::Text)
    }

    /// Tagged fields, each with its number.
    pub fn tags(&mut self) -> Result<Vec<(u32, &'a [u8])>, BadRecord> {
        let mut tags = Vec::new();
        for _ in 0..self.number()? {
            let (tag, length) = (self.number()?, self.number()?);
            tags.push((tag, self.fields.take(length as usize)?));
        }
        Ok(tags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_a_cut_is_told() {
        let mut writer = CompactWriter::new(0);
        let bytes = writer.text("ab").nullable(None).number(300).tag(2, &[7]).done();
        assert_eq!(bytes, [0, 0, 3, b'a', b'b', 0, 0xac, 2, 1, 2, 1, 7]);
        let mut from = CompactReader::of(&bytes).expect("version 0");
        assert_eq!((from.text(), from.nullable(), from.number()), (Ok("ab"), Ok(None), Ok(300)));
        assert_eq!(from.tags(), Ok(vec![(2, &[7][..])]));
        assert_eq!(from.number(), Err(BadRecord::Short));
        assert!(matches!(CompactReader::of(&[0, 1]), Err(BadRecord::Version(1))));
        assert!(CompactReader::of(&[0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]).unwrap().number().is_err());
        assert!(CompactReader::of(&[0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f]).unwrap().bytes().is_err());
    }
}
