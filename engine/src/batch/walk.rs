//! Looks at every record of a batch, piece by piece as its (decompressed) bytes come: whether they
//! are what the header says, and when they were made. Nothing is kept but a few numbers; a record
//! may lie across any number of pieces.
//!
//! A record that lies whole in a piece is looked at in place. One that does not goes field by
//! field, which remembers where it stopped.

use super::header::BatchHeader;

/// What lies in a batch, by its own records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordTimes {
    /// The latest time of a record; −1 when none has one.
    pub newest_ms: i64,
    /// Some record has no time (−1, as Kafka has it; any negative one is none).
    pub some_without: bool,
}

/// What records may be: their times, both ends allowed, and whether each needs a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordBounds {
    pub oldest_ms: i64,
    pub newest_ms: i64,
    /// The topic is compacted: a record without a key would be lost.
    pub needs_keys: bool,
}

impl RecordBounds {
    pub const ANY: Self = Self { oldest_ms: i64::MIN, newest_ms: i64::MAX, needs_keys: false };

    fn allows(self, timestamp_ms: i64) -> bool {
        timestamp_ms == NO_TIME || (self.oldest_ms <= timestamp_ms && timestamp_ms <= self.newest_ms)
    }
}

/// How Kafka writes "no timestamp".
const NO_TIME: i64 = -1;

/// Why records are not what their header says. Records count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum RecordFault {
    #[error("record {0} is cut or malformed")]
    Malformed(i32),
    #[error("record {record} has offset delta {found}")]
    OffsetDelta { record: i32, found: i32 },
    #[error("record {0} has no key, which a compacted topic does not take")]
    Keyless(i32),
    #[error("the header says {expected} records, {found} are there")]
    TooFew { found: i32, expected: i32 },
    #[error("bytes follow the last of {0} records")]
    LeftOver(i32),
}

/// A record whose time is outside the bounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct EarlyOrLate {
    pub record: i32,
    pub timestamp_ms: i64,
}

/// How many of them are named; Kafka's text has as many.
const NAMED_MAX: usize = 3;

/// All records whose time is outside the bounds, the first ones by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TimeFaults {
    named: [EarlyOrLate; NAMED_MAX],
    pub count: u32,
    pub oldest_ms: i64,
    pub newest_ms: i64,
}

impl TimeFaults {
    fn none(bounds: RecordBounds) -> Self {
        let RecordBounds { oldest_ms, newest_ms, .. } = bounds;
        Self { named: [EarlyOrLate::default(); NAMED_MAX], count: 0, oldest_ms, newest_ms }
    }

    /// The first ones.
    pub fn named(&self) -> &[EarlyOrLate] {
        &self.named[..NAMED_MAX.min(self.count as usize)]
    }

    fn add(&mut self, record: i32, timestamp_ms: i64) {
        if let Some(place) = self.named.get_mut(self.count as usize) {
            *place = EarlyOrLate { record, timestamp_ms };
        }
        self.count += 1;
    }
}

/// What a whole walk came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WalkError {
    Fault(RecordFault),
    Times(TimeFaults),
}

/// The walk over one batch's records.
#[derive(Clone, Copy, Debug)]
pub struct RecordWalk {
    /// From the header.
    count: i32,
    base_timestamp_ms: i64,
    bounds: RecordBounds,
    /// Records that were seen whole.
    done: i32,
    times: RecordTimes,
    outside: TimeFaults,
    /// The first one ends the walk.
    fault: Option<RecordFault>,
    cut: CutRecord,
}

/// Where a record stopped that lies across two pieces.
#[derive(Clone, Copy, Debug, Default)]
struct CutRecord {
    field: Field,
    /// Bytes of the record behind its length that were not looked at; `skip` is within them.
    left: u32,
    /// Bytes to pass over before `field`.
    skip: u32,
    headers_left: u32,
    /// The part of a varint that has come.
    raw: u64,
    shift: u32,
    seen: SeenRecord,
}

/// The field that comes next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Field {
    #[default]
    Length,
    Attributes,
    TimeDelta,
    OffsetDelta,
    KeyLength,
    ValueLength,
    HeaderCount,
    HeaderKeyLength,
    HeaderValueLength,
    End,
}

impl RecordWalk {
    /// For the batch that begins with `header`; its records may lie within `bounds`.
    pub fn new(header: &BatchHeader, bounds: RecordBounds) -> Self {
        Self {
            count: header.record_count.get(),
            base_timestamp_ms: header.base_timestamp.get(),
            bounds,
            done: 0,
            times: RecordTimes { newest_ms: NO_TIME, some_without: false },
            outside: TimeFaults::none(bounds),
            fault: None,
            cut: CutRecord::default(),
        }
    }

    /// Takes the next bytes. After a fault they do not matter.
    pub fn feed(&mut self, piece: &[u8]) {
        if self.fault.is_none()
            && let Err(fault) = self.try_feed(piece)
        {
            self.fault = Some(fault);
        }
    }

    /// Whether nothing that comes can make it good.
    pub fn has_failed(&self) -> bool {
        self.fault.is_some()
    }

    /// What it came to, after the last byte.
    pub fn finish(&self) -> Result<RecordTimes, WalkError> {
        if let Some(fault) = self.fault {
            return Err(WalkError::Fault(fault));
        }
        if self.cut.is_begun() {
            return Err(WalkError::Fault(RecordFault::Malformed(self.done)));
        }
        if self.done < self.count {
            return Err(WalkError::Fault(RecordFault::TooFew { found: self.done, expected: self.count }));
        }
        if self.outside.count > 0 { Err(WalkError::Times(self.outside)) } else { Ok(self.times) }
    }

    fn try_feed(&mut self, mut piece: &[u8]) -> Result<(), RecordFault> {
        while !piece.is_empty() {
            if !self.cut.is_begun() {
                piece = self.whole_records(piece)?;
                if piece.is_empty() {
                    break;
                }
                if self.done == self.count {
                    return Err(RecordFault::LeftOver(self.count));
                }
            }
            let malformed = RecordFault::Malformed(self.done);
            piece = self.cut.resume(piece).ok_or(malformed)?;
            if self.cut.is_whole() {
                self.record(self.cut.seen)?;
                self.cut = CutRecord::default();
            }
        }
        Ok(())
    }

    /// Looks at the records that lie whole at the front of `piece`; gives the rest.
    fn whole_records<'a>(&mut self, mut piece: &'a [u8]) -> Result<&'a [u8], RecordFault> {
        while self.done < self.count {
            let mut reader = Reader { bytes: piece, at: 0 };
            // One whose length is cut, or wrong, is found to be so field by field.
            let Some(bytes) = reader.length() else { break };
            let Some((record, rest)) = piece[reader.at..].split_at_checked(bytes) else { break };
            self.record(seen(record).ok_or(RecordFault::Malformed(self.done))?)?;
            piece = rest;
        }
        Ok(piece)
    }

    /// One more record was there whole.
    #[inline]
    fn record(&mut self, seen: SeenRecord) -> Result<(), RecordFault> {
        let SeenRecord { time_delta, offset_delta, has_key } = seen;
        let record = self.done;
        if offset_delta != record {
            return Err(RecordFault::OffsetDelta { record, found: offset_delta });
        }
        if self.bounds.needs_keys && !has_key {
            return Err(RecordFault::Keyless(record));
        }
        let timestamp_ms =
            self.base_timestamp_ms.checked_add(time_delta).ok_or(RecordFault::Malformed(record))?;
        self.times.newest_ms = self.times.newest_ms.max(timestamp_ms);
        self.times.some_without |= timestamp_ms < 0;
        if !self.bounds.allows(timestamp_ms) {
            self.outside.add(record, timestamp_ms);
        }
        self.done += 1;
        Ok(())
    }
}

/// What is looked at of a record.
#[derive(Clone, Copy, Debug, Default)]
struct SeenRecord {
    time_delta: i64,
    offset_delta: i32,
    has_key: bool,
}

/// A record that lies whole in `bytes`; `None` when it is malformed.
#[inline]
fn seen(bytes: &[u8]) -> Option<SeenRecord> {
    let mut reader = Reader { bytes, at: 1 };
    let time_delta = reader.varlong()?;
    let offset_delta = reader.varint()?;
    let has_key = reader.skip_nullable()?;
    reader.skip_nullable()?;
    let mut headers = reader.length()?;
    while headers > 0 {
        let key_bytes = reader.length()?;
        reader.skip(key_bytes)?;
        reader.skip_nullable()?;
        headers -= 1;
    }
    (reader.at == bytes.len()).then_some(SeenRecord { time_delta, offset_delta, has_key })
}

/// A place in bytes that are at hand.
struct Reader<'a> {
    bytes: &'a [u8],
    /// May lie behind the end: then the next read fails.
    at: usize,
}

impl Reader<'_> {
    /// A varint of at most `BYTES`, zigzag undone.
    #[inline]
    fn number<const BYTES: usize>(&mut self) -> Option<i64> {
        let mut raw = 0u64;
        for step in 0..BYTES {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            raw |= u64::from(byte & 0x7F) << (7 * step);
            if byte < 0x80 {
                return Some(zigzag(raw));
            }
        }
        None
    }

    #[inline]
    fn varlong(&mut self) -> Option<i64> {
        self.number::<VARLONG_BYTES_MAX>()
    }

    #[inline]
    fn varint(&mut self) -> Option<i32> {
        i32::try_from(self.number::<VARINT_BYTES_MAX>()?).ok()
    }

    #[inline]
    fn length(&mut self) -> Option<usize> {
        usize::try_from(self.varint()?).ok()
    }

    #[inline]
    fn skip(&mut self, bytes: usize) -> Option<()> {
        self.at += bytes;
        (self.at <= self.bytes.len()).then_some(())
    }

    /// Passes over bytes with their length before them, or a null; whether there were any.
    #[inline]
    fn skip_nullable(&mut self) -> Option<bool> {
        match self.varint()? {
            -1 => Some(false),
            bytes => self.skip(usize::try_from(bytes).ok()?).map(|()| true),
        }
    }
}

/// Kafka takes no longer ones.
pub(super) const VARINT_BYTES_MAX: usize = 5;
const VARLONG_BYTES_MAX: usize = 10;

#[inline]
fn zigzag(raw: u64) -> i64 {
    (raw >> 1) as i64 ^ -((raw & 1) as i64)
}

impl CutRecord {
    fn is_begun(&self) -> bool {
        self.field != Field::Length || self.shift > 0
    }

    /// All fields have come; what is skipped, too.
    fn is_whole(&self) -> bool {
        self.field == Field::End && self.skip == 0
    }

    /// Goes on until the record or the piece ends; gives the rest of the piece, `None` when the
    /// record is malformed.
    fn resume<'a>(&mut self, mut piece: &'a [u8]) -> Option<&'a [u8]> {
        loop {
            let skipped = piece.len().min(self.skip as usize);
            piece = &piece[skipped..];
            self.skip -= skipped as u32;
            self.left -= skipped as u32;
            if self.is_whole() {
                return (self.left == 0).then_some(piece);
            }
            let Some((&byte, rest)) = piece.split_first() else { return Some(piece) };
            piece = rest;
            if self.field != Field::Length {
                self.left = self.left.checked_sub(1)?;
            }
            self.byte(byte)?;
        }
    }

    fn byte(&mut self, byte: u8) -> Option<()> {
        if self.field == Field::Attributes {
            self.field = Field::TimeDelta;
            return Some(());
        }
        let is_long = self.field == Field::TimeDelta;
        let bytes_max = if is_long { VARLONG_BYTES_MAX } else { VARINT_BYTES_MAX };
        self.raw |= u64::from(byte & 0x7F) << self.shift;
        self.shift += 7;
        if byte >= 0x80 {
            return (self.shift < 7 * bytes_max as u32).then_some(());
        }
        let number = zigzag(self.raw);
        (self.raw, self.shift) = (0, 0);
        if is_long {
            self.seen.time_delta = number;
            self.field = Field::OffsetDelta;
            return Some(());
        }
        self.number(i32::try_from(number).ok()?)
    }

    fn number(&mut self, number: i32) -> Option<()> {
        self.field = match self.field {
            Field::Length => {
                self.left = u32::try_from(number).ok()?;
                Field::Attributes
            }
            Field::OffsetDelta => {
                self.seen.offset_delta = number;
                Field::KeyLength
            }
            Field::KeyLength => {
                self.seen.has_key = number != -1;
                self.pass_over_nullable(number)?;
                Field::ValueLength
            }
            Field::ValueLength => {
                self.pass_over_nullable(number)?;
                Field::HeaderCount
            }
            Field::HeaderCount => {
                self.headers_left = u32::try_from(number).ok()?;
                self.next_header()
            }
            Field::HeaderKeyLength => {
                self.pass_over(u32::try_from(number).ok()?)?;
                Field::HeaderValueLength
            }
            Field::HeaderValueLength => {
                self.pass_over_nullable(number)?;
                self.headers_left -= 1;
                self.next_header()
            }
            Field::Attributes | Field::TimeDelta | Field::End => unreachable!("no number of 32 bits"),
        };
        Some(())
    }

    fn next_header(&self) -> Field {
        if self.headers_left > 0 { Field::HeaderKeyLength } else { Field::End }
    }

    fn pass_over_nullable(&mut self, bytes: i32) -> Option<()> {
        if bytes == -1 { Some(()) } else { self.pass_over(u32::try_from(bytes).ok()?) }
    }

    fn pass_over(&mut self, bytes: u32) -> Option<()> {
        self.skip = bytes;
        (bytes <= self.left).then_some(())
    }
}

#[cfg(test)]
#[path = "walk_tests.rs"]
mod tests;
