//! Little-endian numbers, texts and lists as the meta journal writes them. A count is checked
//! against the bytes that remain before anything is allocated for it.

/// Why bytes of the meta journal could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("it ends early")]
    Short,
    #[error("{0} bytes are left over")]
    LeftOver(usize),
    #[error("{what} has version {version}; this program knows versions up to {newest}: upgrade it")]
    Newer { what: &'static str, version: u16, newest: u16 },
    #[error("{what} {number} is unknown")]
    Unknown { what: &'static str, number: u64 },
    #[error("a text is not UTF-8")]
    Text,
    #[error("{0}")]
    Contradiction(&'static str),
}

/// Appends to a vector.
#[derive(Default)]
pub struct Writer(pub Vec<u8>);

impl Writer {
    pub fn u8(&mut self, value: u8) {
        self.0.push(value);
    }
    pub fn u16(&mut self, value: u16) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }
    pub fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }
    pub fn i32(&mut self, value: i32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }
    pub fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }
    pub fn i64(&mut self, value: i64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }
    pub fn u128(&mut self, value: u128) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub fn count(&mut self, count: usize) {
        self.u32(u32::try_from(count).expect("bounded far below 2^32"));
    }

    pub fn text(&mut self, text: &str) {
        self.count(text.len());
        self.0.extend_from_slice(text.as_bytes());
    }

    pub fn optional_text(&mut self, text: Option<&str>) {
        self.u8(u8::from(text.is_some()));
        if let Some(text) = text {
            self.text(text);
        }
    }

    /// A count and then each item.
    pub fn list<T>(&mut self, items: impl ExactSizeIterator<Item = T>, mut write: impl FnMut(&mut Self, T)) {
        self.count(items.len());
        for item in items {
            write(self, item);
        }
    }

    pub fn pair(&mut self, key: &str, value: &str) {
        self.text(key);
        self.text(value);
    }
}

/// Reads from the front.
pub struct Reader<'a>(pub &'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (bytes, rest) = self.0.split_first_chunk::<N>().ok_or(DecodeError::Short)?;
        self.0 = rest;
        Ok(*bytes)
    }

    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(u8::from_le_bytes(self.take()?))
    }
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_le_bytes(self.take()?))
    }
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_le_bytes(self.take()?))
    }
    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        Ok(i32::from_le_bytes(self.take()?))
    }
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_le_bytes(self.take()?))
    }
    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        Ok(i64::from_le_bytes(self.take()?))
    }
    pub fn u128(&mut self) -> Result<u128, DecodeError> {
        Ok(u128::from_le_bytes(self.take()?))
    }

    pub fn text(&mut self) -> Result<String, DecodeError> {
        let bytes = self.u32()? as usize;
        let (text, rest) = self.0.split_at_checked(bytes).ok_or(DecodeError::Short)?;
        self.0 = rest;
        String::from_utf8(text.to_vec()).map_err(|_| DecodeError::Text)
    }

    pub fn optional_text(&mut self) -> Result<Option<String>, DecodeError> {
        match self.u8()? {
            0 => Ok(None),
            1 => self.text().map(Some),
            number => Err(DecodeError::Unknown { what: "presence", number: number.into() }),
        }
    }

    /// A count and then each item; an item has at least `item_bytes_min` bytes, above 0.
    pub fn list<T>(
        &mut self,
        item_bytes_min: usize,
        mut read: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let count = self.u32()? as usize;
        if count > self.0.len() / item_bytes_min {
            return Err(DecodeError::Short);
        }
        (0..count).map(|_| read(self)).collect()
    }

    pub fn pair(&mut self) -> Result<(String, String), DecodeError> {
        Ok((self.text()?, self.text()?))
    }

    /// Two texts with their counts.
    pub const PAIR_BYTES_MIN: usize = 8;

    /// All must have been read.
    pub fn end(&self) -> Result<(), DecodeError> {
        if self.0.is_empty() { Ok(()) } else { Err(DecodeError::LeftOver(self.0.len())) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut to = Writer::default();
        to.text("né");
        to.optional_text(None);
        to.optional_text(Some(""));
        to.list([1u16, 2].into_iter(), Writer::u16);
        to.pair("key", "value");
        let mut from = Reader(&to.0);
        assert_eq!(from.text(), Ok("né".to_owned()));
        assert_eq!((from.optional_text(), from.optional_text()), (Ok(None), Ok(Some(String::new()))));
        assert_eq!(from.list(2, Reader::u16), Ok(vec![1, 2]));
        assert_eq!(from.end(), Err(DecodeError::LeftOver(16)));
        assert_eq!(from.pair(), Ok(("key".to_owned(), "value".to_owned())));
        assert_eq!(from.end(), Ok(()));
    }

    #[test]
    fn what_is_no_text_or_no_list_is_told() {
        assert_eq!(Reader(&[1, 0, 0, 0, 0xff]).text(), Err(DecodeError::Text));
        assert_eq!(Reader(&[9, 0, 0, 0, b'a']).text(), Err(DecodeError::Short));
        let unknown = DecodeError::Unknown { what: "presence", number: 2 };
        assert_eq!(Reader(&[2]).optional_text(), Err(unknown));
        // Four thousand million elements of a byte that is not there.
        assert_eq!(Reader(&[0xff; 4]).list(1, Reader::u8), Err(DecodeError::Short));
    }
}
