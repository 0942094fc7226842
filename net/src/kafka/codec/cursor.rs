//! Reading Kafka's primitive types in place, and writing them. Nothing is allocated here, and no
//! count or length is believed beyond the bytes that are there.

/// The bytes are not what the protocol says; the connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed request: {0}")]
pub struct Malformed(pub &'static str);

/// Partitions of one Produce or Fetch, empty ones included: each takes some hundred bytes until the
/// answer is written, and is worked on in one step with the others.
pub const PARTITIONS_MAX: usize = 20_000;

pub type Parsed<T> = Result<T, Malformed>;

/// What remains of a message. `flexible` chooses compact lengths and tagged fields.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    rest: &'a [u8],
    pub flexible: bool,
}

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8], flexible: bool) -> Self {
        Self { rest: bytes, flexible }
    }

    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub fn take(&mut self, bytes: usize) -> Parsed<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(bytes).ok_or(Malformed("it ends early"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Parsed<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(Malformed("it ends early"))?;
        self.rest = rest;
        Ok(*taken)
    }

    pub fn i8(&mut self) -> Parsed<i8> {
        Ok(i8::from_be_bytes(self.array()?))
    }

    pub fn i16(&mut self) -> Parsed<i16> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    pub fn i32(&mut self) -> Parsed<i32> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub fn i64(&mut self) -> Parsed<i64> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    pub fn u128(&mut self) -> Parsed<u128> {
        Ok(u128::from_be_bytes(self.array()?))
    }

    /// An unsigned varint of at most 32 bits.
    pub fn uvarint(&mut self) -> Parsed<u32> {
        let mut value = 0u32;
        for shift in [0, 7, 14, 21, 28] {
            let [byte] = self.array()?;
            let bits = u32::from(byte & 0x7f);
            if shift == 28 && bits > 0x0f {
                return Err(Malformed("a varint is too large"));
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed("a varint is too long"))
    }

    /// The length of a string of this message's kind; `None` is null.
    fn string_length(&mut self) -> Parsed<Option<usize>> {
        if self.flexible {
            return Ok(self.uvarint()?.checked_sub(1).map(|length| length as usize));
        }
        match self.i16()? {
            -1 => Ok(None),
            length => usize::try_from(length).map(Some).map_err(|_| Malformed("a negative length")),
        }
    }

    /// The length of bytes or an array of this message's kind; `None` is null.
    fn length(&mut self) -> Parsed<Option<usize>> {
        if self.flexible {
            return Ok(self.uvarint()?.checked_sub(1).map(|length| length as usize));
        }
        match self.i32()? {
            -1 => Ok(None),
            length => usize::try_from(length).map(Some).map_err(|_| Malformed("a negative length")),
        }
    }

    pub fn nullable_string(&mut self) -> Parsed<Option<&'a str>> {
        let Some(length) = self.string_length()? else { return Ok(None) };
        let bytes = self.take(length)?;
        core::str::from_utf8(bytes).map(Some).map_err(|_| Malformed("a string is not UTF-8"))
    }

    pub fn string(&mut self) -> Parsed<&'a str> {
        self.nullable_string()?.ok_or(Malformed("a string is null"))
    }

    pub fn nullable_bytes(&mut self) -> Parsed<Option<&'a [u8]>> {
        self.length()?.map(|length| self.take(length)).transpose()
    }

    /// The same where elements take memory of their own: refused when, with those `before`, they are
    /// more than one request may name.
    pub fn count_named(&mut self, element_bytes_min: usize, before: usize) -> Parsed<usize> {
        let count = self.count(element_bytes_min)?;
        if before + count > PARTITIONS_MAX {
            return Err(Malformed("it names more than 20,000 partitions"));
        }
        Ok(count)
    }

    /// The number of elements of an array, each at least `element_bytes_min` long; null is none.
    pub fn count(&mut self, element_bytes_min: usize) -> Parsed<usize> {
        let count = self.length()?.unwrap_or(0);
        match count.checked_mul(element_bytes_min) {
            Some(bytes) if bytes <= self.rest.len() => Ok(count),
            _ => Err(Malformed("an array has more elements than bytes")),
        }
    }

    /// Passes over tagged fields, of which a message that is not flexible has none.
    pub fn skip_tags(&mut self) -> Parsed<()> {
        self.tags(|_, _| Ok(()))
    }

    /// Gives each tagged field's number and bytes.
    pub fn tags(&mut self, mut each: impl FnMut(u32, &'a [u8]) -> Parsed<()>) -> Parsed<()> {
        if !self.flexible {
            return Ok(());
        }
        for _ in 0..self.uvarint()? {
            let tag = self.uvarint()?;
            let length = self.uvarint()? as usize;
            each(tag, self.take(length)?)?;
        }
        Ok(())
    }

    /// Nothing may be left.
    pub fn finish(self) -> Parsed<()> {
        if self.rest.is_empty() { Ok(()) } else { Err(Malformed("bytes are left over")) }
    }
}

/// Writes primitive types behind each other; `flexible` as in [`Cursor`].
#[derive(Debug)]
pub struct Writer<'a> {
    pub to: &'a mut Vec<u8>,
    pub flexible: bool,
}

impl Writer<'_> {
    pub fn i8(&mut self, value: i8) {
        self.to.extend_from_slice(&value.to_be_bytes());
    }

    pub fn i16(&mut self, value: i16) {
        self.to.extend_from_slice(&value.to_be_bytes());
    }

    pub fn i32(&mut self, value: i32) {
        self.to.extend_from_slice(&value.to_be_bytes());
    }

    pub fn i64(&mut self, value: i64) {
        self.to.extend_from_slice(&value.to_be_bytes());
    }

    pub fn u128(&mut self, value: u128) {
        self.to.extend_from_slice(&value.to_be_bytes());
    }

    pub fn uvarint(&mut self, mut value: u32) {
        while value >= 0x80 {
            self.to.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.to.push(value as u8);
    }

    /// The length of bytes or of an array.
    pub fn length(&mut self, length: usize) {
        let length = u32::try_from(length).expect("messages are under 2 GiB");
        if self.flexible { self.uvarint(length + 1) } else { self.i32(length as i32) }
    }

    /// A null array, or null bytes.
    pub fn null(&mut self) {
        if self.flexible { self.uvarint(0) } else { self.i32(-1) }
    }

    pub fn string(&mut self, text: &str) {
        if self.flexible {
            self.uvarint(text.len() as u32 + 1);
        } else {
            self.i16(i16::try_from(text.len()).expect("strings are under 32 KiB"));
        }
        self.to.extend_from_slice(text.as_bytes());
    }

    pub fn nullable_string(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.string(text),
            None if self.flexible => self.uvarint(0),
            None => self.i16(-1),
        }
    }

    /// No tagged fields.
    pub fn no_tags(&mut self) {
        if self.flexible {
            self.to.push(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for flexible in [false, true] {
            let mut bytes = Vec::new();
            let mut writer = Writer { to: &mut bytes, flexible };
            writer.i64(-5);
            writer.string("name");
            writer.nullable_string(None);
            writer.length(3);
            writer.to.extend_from_slice(b"abc");
            writer.null();
            writer.uvarint(300);
            writer.no_tags();
            let mut cursor = Cursor::new(&bytes, flexible);
            assert_eq!(cursor.i64(), Ok(-5));
            assert_eq!(cursor.string(), Ok("name"));
            assert_eq!(cursor.nullable_string(), Ok(None));
            assert_eq!(cursor.nullable_bytes(), Ok(Some(&b"abc"[..])));
            assert_eq!(cursor.nullable_bytes(), Ok(None));
            assert_eq!(cursor.uvarint(), Ok(300));
            assert_eq!(cursor.skip_tags(), Ok(()));
            assert_eq!(cursor.finish(), Ok(()));
        }
    }

    #[test]
    fn counts_and_lengths_are_not_believed() {
        assert!(Cursor::new(&[0x7f, 0xff, 0xff, 0xff, 0], false).count(1).is_err());
        assert!(Cursor::new(&[0xff, 0xff, 0xff, 0xfe], false).count(0).is_err());
        assert!(Cursor::new(&[0xff, 0xff, 0xff, 0xff, 0x0f], true).count(1).is_err());
        assert!(Cursor::new(&[0xff; 6], true).uvarint().is_err());
        assert!(Cursor::new(&[0x80, 0, 1], false).string().is_err());
        assert!(Cursor::new(&[3, 0xff, 0xfe], true).string().is_err(), "not UTF-8");
        assert!(Cursor::new(&[9, 1], true).skip_tags().is_err());
    }
}
