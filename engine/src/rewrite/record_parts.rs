//! A batch's records as they come out of a decompressor, in parts: a record may lie across any number of pieces, and is
//! never held. What a pass looks at is the head and the key; all else goes by.

/// The fields of a record before its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHead {
    /// Its place in the batch, from 0.
    pub record: u32,
    /// Bytes behind its length.
    pub bytes: u32,
    pub attributes: u8,
    pub time_delta: i64,
    pub offset_delta: i32,
    /// `None`: it has no key.
    pub key_bytes: Option<u32>,
    /// Bytes of the record that follow these fields: key, value's length, value, headers.
    pub behind: u32,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordPart<'a> {
    Head(RecordHead),
    /// A piece of the key.
    Key(&'a [u8]),
    /// The key is over; `None`: there is no value.
    Value(Option<u32>),
    /// A piece of what follows the value's length: the value and the headers.
    Rest(&'a [u8]),
    End,
}

/// The records are not what a batch of so many may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("record {0} of the batch is cut or malformed")]
pub struct MalformedRecord(pub u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Length,
    Attributes,
    TimeDelta,
    OffsetDelta,
    KeyLength,
    Key,
    ValueLength,
    Rest,
}

/// The walk over one batch's records.
#[derive(Clone, Debug)]
pub struct RecordParts {
    count: u32,
    head: RecordHead,
    field: Field,
    /// Bytes of the record that have not come.
    left: u32,
    key_left: u32,
    /// The part of a varint that has come.
    raw: u64,
    shift: u32,
    /// The value's length as it came: an encoder may have made it longer than it need be.
    value_length: ([u8; 5], usize),
}

impl RecordParts {
    /// For a batch of so many records.
    pub fn new(count: u32) -> Self {
        let head = RecordHead {
            record: 0,
            bytes: 0,
            attributes: 0,
            time_delta: 0,
            offset_delta: 0,
            key_bytes: None,
            behind: 0,
        };
        Self {
            count,
            head,
            field: Field::Length,
            left: 0,
            key_left: 0,
            raw: 0,
            shift: 0,
            value_length: ([0; 5], 0),
        }
    }

    /// The next part in `input`, which moves on; `None` when more must come first.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<RecordPart<'a>>, MalformedRecord> {
        let malformed = MalformedRecord(self.head.record);
        loop {
            match self.field {
                Field::Key if self.key_left > 0 => {
                    let piece = self.take(input, self.key_left);
                    self.key_left -= piece.len() as u32;
                    return Ok((!piece.is_empty()).then_some(RecordPart::Key(piece)));
                }
                Field::Key => self.field = Field::ValueLength,
                Field::Rest if self.left > 0 => {
                    let piece = self.take(input, self.left);
                    return Ok((!piece.is_empty()).then_some(RecordPart::Rest(piece)));
                }
                Field::Rest => {
                    assert!(self.shift == 0 && self.key_left == 0, "record {} is over", self.head.record);
                    self.field = Field::Length;
                    self.head.record += 1;
                    return Ok(Some(RecordPart::End));
                }
                _ => {
                    let Some((&byte, rest)) = input.split_first() else { return Ok(None) };
                    *input = rest;
                    if let Some(part) = self.byte(byte).ok_or(malformed)? {
                        return Ok(Some(part));
                    }
                }
            }
        }
    }

    /// The bytes of the length that the last [`RecordPart::Value`] told of.
    pub fn value_length(&self) -> &[u8] {
        &self.value_length.0[..self.value_length.1]
    }

    /// Whether all records came whole.
    pub fn finish(&self) -> Result<(), MalformedRecord> {
        let is_over = self.head.record == self.count && self.field == Field::Length && self.shift == 0;
        if is_over { Ok(()) } else { Err(MalformedRecord(self.head.record)) }
    }

    fn take<'a>(&mut self, input: &mut &'a [u8], bytes_max: u32) -> &'a [u8] {
        let (piece, rest) = input.split_at(input.len().min(bytes_max as usize));
        *input = rest;
        assert!(
            piece.len() <= self.left as usize,
            "a part reaches over the end of record {}",
            self.head.record
        );
        self.left -= piece.len() as u32;
        piece
    }

    /// One byte of a field that has a few; `None` where it cannot be.
    fn byte<'a>(&mut self, byte: u8) -> Option<Option<RecordPart<'a>>> {
        if self.field == Field::Length {
            // Bytes behind the last record are no record.
            (self.head.record < self.count).then_some(())?;
        } else {
            self.left = self.left.checked_sub(1)?;
        }
        if self.field == Field::Attributes {
            self.head.attributes = byte;
            self.field = Field::TimeDelta;
            return Some(None);
        }
        if self.field == Field::ValueLength {
            let (bytes, count) = &mut self.value_length;
            *bytes.get_mut(*count)? = byte;
            *count += 1;
        }
        let bytes_max = if self.field == Field::TimeDelta { 10 } else { 5 };
        self.raw |= u64::from(byte & 0x7F) << self.shift;
        self.shift += 7;
        if byte >= 0x80 {
            return (self.shift < 7 * bytes_max).then_some(None);
        }
        let number = (self.raw >> 1) as i64 ^ -((self.raw & 1) as i64);
        (self.raw, self.shift) = (0, 0);
        self.number(number)
    }

    fn number<'a>(&mut self, number: i64) -> Option<Option<RecordPart<'a>>> {
        if self.field == Field::TimeDelta {
            self.head.time_delta = number;
            self.field = Field::OffsetDelta;
            return Some(None);
        }
        let number = i32::try_from(number).ok()?;
        match self.field {
            Field::Length => {
                self.head.bytes = u32::try_from(number).ok()?;
                self.left = self.head.bytes;
                self.field = Field::Attributes;
                Some(None)
            }
            Field::OffsetDelta => {
                self.head.offset_delta = number;
                self.field = Field::KeyLength;
                Some(None)
            }
            Field::KeyLength => {
                self.head.key_bytes = self.nullable(number)?;
                self.key_left = self.head.key_bytes.unwrap_or(0);
                self.head.behind = self.left;
                self.value_length.1 = 0;
                self.field = Field::Key;
                Some(Some(RecordPart::Head(self.head)))
            }
            Field::ValueLength => {
                let value_bytes = self.nullable(number)?;
                self.field = Field::Rest;
                Some(Some(RecordPart::Value(value_bytes)))
            }
            Field::Attributes | Field::TimeDelta | Field::Key | Field::Rest => {
                unreachable!("no number of 32 bits")
            }
        }
    }

    /// A length of what must come within the record; −1 is none.
    fn nullable(&self, bytes: i32) -> Option<Option<u32>> {
        if bytes == -1 {
            return Some(None);
        }
        let bytes = u32::try_from(bytes).ok()?;
        (bytes <= self.left).then_some(Some(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::records::Records;
    use crate::batch::{BATCH_HEADER_BYTES, BatchBuilder, NewRecord};
    use proptest::prelude::*;

    type KeyValue = (Option<Vec<u8>>, Option<Vec<u8>>);

    /// Key and whether there is a value, by record.
    type Seen = Vec<(Option<Vec<u8>>, bool, i64, usize)>;

    fn walk(count: u32, body: &[u8], piece_bytes: usize) -> Result<Seen, MalformedRecord> {
        let mut parts = RecordParts::new(count);
        let (mut seen, mut key, mut has_value, mut rest, mut time) = (Vec::new(), None, false, 0, 0);
        for mut piece in body.chunks(piece_bytes.max(1)) {
            while let Some(part) = parts.next(&mut piece)? {
                match part {
                    RecordPart::Head(head) => {
                        assert_eq!(head.record as usize, seen.len());
                        (key, time, rest) = (head.key_bytes.map(|_| Vec::new()), head.time_delta, 0);
                    }
                    RecordPart::Key(piece) => key.as_mut().expect("it has one").extend_from_slice(piece),
                    RecordPart::Value(bytes) => has_value = bytes.is_some(),
                    RecordPart::Rest(piece) => rest += piece.len(),
                    RecordPart::End => seen.push((key.take(), has_value, time, rest)),
                }
            }
            assert!(piece.is_empty());
        }
        parts.finish().map(|()| seen)
    }

    fn batch(records: &[KeyValue]) -> Vec<u8> {
        let mut builder = BatchBuilder::new(5_000);
        for (at, (key, value)) in records.iter().enumerate() {
            builder.push(NewRecord {
                timestamp_ms: 5_000 - at as i64,
                key: key.as_deref(),
                value: value.as_deref(),
                headers: &[("h", None)],
            });
        }
        builder.build()
    }

    #[test]
    fn what_is_no_record_is_malformed() {
        let records = [(Some(b"k".to_vec()), Some(b"v".to_vec())), (None, None)];
        let bytes = batch(&records);
        let body = &bytes[BATCH_HEADER_BYTES..];
        assert!(walk(2, body, 1).is_ok());
        assert_eq!(walk(3, body, 9), Err(MalformedRecord(2)));
        assert_eq!(walk(1, body, 9), Err(MalformedRecord(1)), "bytes behind the last one");
        assert_eq!(walk(2, &body[..body.len() - 1], 9), Err(MalformedRecord(1)));
        let mut long_key = body.to_vec();
        long_key[4] = 60;
        assert_eq!(walk(2, &long_key, 9), Err(MalformedRecord(0)));
        assert_eq!(walk(1, &[0x80; 11], 3), Err(MalformedRecord(0)));
        assert_eq!(walk(1, &[2, 0], 3), Err(MalformedRecord(0)), "shorter than its fields");
    }

    proptest! {
        #[test]
        fn parts_are_what_the_records_have_however_they_are_cut(
            records in proptest::collection::vec(
                (
                    proptest::option::of(proptest::collection::vec(any::<u8>(), 0..90)),
                    proptest::option::of(proptest::collection::vec(any::<u8>(), 0..90)),
                ),
                0..20,
            ),
            piece_bytes in 1usize..70,
        ) {
            let bytes = batch(&records);
            let seen = walk(records.len() as u32, &bytes[BATCH_HEADER_BYTES..], piece_bytes).unwrap();
            prop_assert_eq!(seen.len(), records.len());
            let opened = Records::open(&bytes, 0).unwrap();
            for (seen, record) in seen.iter().zip(opened.iter()) {
                let record = record.unwrap();
                prop_assert_eq!(seen.0.as_deref(), record.key);
                prop_assert_eq!(seen.1, record.value.is_some());
                prop_assert_eq!(5_000 + seen.2, record.timestamp_ms);
                prop_assert_eq!(seen.3, record.value.map_or(0, <[u8]>::len) + record.headers.len());
            }
        }

        #[test]
        fn garbage_never_panics(
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
            count in 0u32..5,
            piece_bytes in 1usize..40,
        ) {
            _ = walk(count, &bytes, piece_bytes);
        }
    }
}
