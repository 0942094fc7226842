//! What is known of one partition's log, and the checks of everything that is said about it.

use super::attempts::{Attempts, Sequence, Uid};
use super::damage::DamageLedger;
use engine::batch::BatchHeader;
use engine::ids::{Offset, PartitionId};
use std::collections::BTreeMap;

/// A batch at its place, for ever: it was acked or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Placed {
    uid: Uid,
    end: i64,
}

/// One partition's part of a fetch answer, as a client sees it.
pub struct Fetched<'a> {
    pub offset: Offset,
    pub high_watermark: Offset,
    pub log_start: Offset,
    pub records: &'a [u8],
}

pub struct PartitionModel {
    pub id: PartitionId,
    log: BTreeMap<i64, Placed>,
    /// Where each batch was seen.
    places: BTreeMap<Uid, Vec<i64>>,
    /// The highest that a client was shown.
    pub high_watermark: Offset,
    pub log_start: Offset,
    /// The highest offset below which a client ever asked to delete; `i64::MAX` for "all".
    pub delete_asked: i64,
    /// Time or size may have moved the log start.
    pub has_retention: bool,
    /// Its topic's deletion was asked for: anything may be answered.
    pub is_deleted: bool,
    /// Its journal lost descriptors: its end may have fallen, and offsets are skipped once the
    /// operator accepts that.
    pub is_lossy: bool,
    /// Answers come from several nodes, some of which may be behind.
    pub has_replicas: bool,
}

impl PartitionModel {
    pub fn new(id: PartitionId, has_replicas: bool) -> Self {
        Self {
            id,
            log: BTreeMap::new(),
            places: BTreeMap::new(),
            high_watermark: Offset(0),
            log_start: Offset(0),
            delete_asked: 0,
            has_retention: false,
            is_deleted: false,
            is_lossy: false,
            has_replicas,
        }
    }

    /// The end of the last batch known to be there.
    pub fn known_end(&self) -> i64 {
        self.log.last_key_value().map_or(0, |(_, placed)| placed.end)
    }

    /// A batch was acked as durable at this offset.
    pub fn acked(&mut self, attempts: &Attempts, uid: Uid, base: Offset) {
        self.place(attempts, uid, base.0);
    }

    /// Where a batch was acked or read.
    pub fn places_of(&self, uid: Uid) -> &[i64] {
        self.places.get(&uid).map_or(&[], Vec::as_slice)
    }

    fn place(&mut self, attempts: &Attempts, uid: Uid, base: i64) {
        let attempt = attempts.get(uid);
        assert_eq!(attempt.partition, self.id, "{uid:?} is in the wrong partition");
        let end = base + i64::from(attempt.records);
        if let Some(there) = self.log.get(&base) {
            assert_eq!(there.uid, uid, "{}: offset {base} was {:?} and is {uid:?}", self.id, there.uid);
            return;
        }
        let before = self.log.range(..base).next_back();
        let after = self.log.range(base..).next();
        assert!(
            before.is_none_or(|(_, placed)| placed.end <= base) && after.is_none_or(|(next, _)| end <= *next),
            "{}: {uid:?} at {base}..{end} lies over {before:?} or {after:?}",
            self.id
        );
        self.log.insert(base, Placed { uid, end });
        let places = self.places.entry(uid).or_default();
        places.push(base);
        let allowed = if attempt.sequence.is_some() { 1 } else { attempt.sends as usize };
        assert!(
            places.len() <= allowed,
            "{}: {uid:?}, sent {} times, sequence {:?}, stands at {places:?}",
            self.id,
            attempt.sends,
            attempt.sequence
        );
    }

    /// Bounds that any answer shows.
    pub fn bounds(&mut self, log_start: Offset, high_watermark: Offset) {
        if self.is_deleted {
            return;
        }
        if self.has_replicas && (log_start < self.log_start || high_watermark < self.high_watermark) {
            // One that led before, and does not know yet that it does no more.
            return;
        }
        if log_start.0 >= 0 {
            assert!(
                log_start >= self.log_start,
                "{}: log start fell from {} to {log_start}",
                self.id,
                self.log_start
            );
            let may_move = self.has_retention || self.delete_asked >= log_start.0;
            assert!(
                may_move || log_start == self.log_start,
                "{}: log start moved to {log_start} unasked",
                self.id
            );
            self.log_start = log_start;
        }
        if high_watermark.0 >= 0 && self.is_lossy {
            self.high_watermark = high_watermark;
        } else if high_watermark.0 >= 0 {
            assert!(
                high_watermark >= self.high_watermark,
                "{}: high watermark fell from {} to {high_watermark}",
                self.id,
                self.high_watermark
            );
            assert!(
                self.has_replicas || high_watermark.0 >= self.known_end(),
                "{}: high watermark {high_watermark} is below {} which was acked or read",
                self.id,
                self.known_end()
            );
            assert!(log_start <= high_watermark, "{}: log start {log_start} above {high_watermark}", self.id);
            self.high_watermark = high_watermark;
        }
    }

    /// Checks records that were read; gives the offset after them.
    pub fn read(&mut self, attempts: &Attempts, fetched: &Fetched<'_>) -> Offset {
        let mut rest = fetched.records;
        let mut next = None;
        while !rest.is_empty() {
            let header = BatchHeader::of(rest).unwrap_or_else(|| panic!("{} bytes are no batch", rest.len()));
            let bytes = usize::try_from(header.declared_bytes()).expect("a batch is not negative");
            assert!(bytes <= rest.len(), "half a batch was answered: {bytes} of {}", rest.len());
            let base = header.base_offset.get();
            let end = base + i64::from(header.offsets());
            match next {
                None => assert!(
                    (base <= fetched.offset.0 || self.is_lossy) && fetched.offset.0 < end,
                    "{}: asked for {}, got {base}..{end}",
                    self.id,
                    fetched.offset
                ),
                Some(next) if self.is_lossy && base > next => {}
                Some(next) => assert_eq!(base, next, "{}: a gap or an overlap before {base}", self.id),
            }
            let uid = attempts.recognise(&rest[..bytes]);
            self.place(attempts, uid, base);
            next = Some(end);
            rest = &rest[bytes..];
        }
        let next = next.unwrap_or(fetched.offset.0);
        assert!(
            fetched.high_watermark.0 < 0 || next <= fetched.high_watermark.0.max(fetched.offset.0),
            "{}: records up to {next} above the high watermark {}",
            self.id,
            fetched.high_watermark
        );
        Offset(next)
    }

    /// OFFSET_OUT_OF_RANGE for an offset that must be there is a loss.
    pub fn out_of_range(&self, offset: Offset) {
        let below = offset.0 < self.log_start.0 || self.has_retention || self.delete_asked > offset.0;
        let above = offset.0 > self.high_watermark.0;
        assert!(
            self.is_deleted || self.is_lossy || below || above,
            "{}: offset {offset} is said to be out of range",
            self.id
        );
    }

    /// After a whole pass from log start to high watermark every offset was seen: now the order
    /// within each producer can be told.
    pub fn whole_log_was_read(&self, attempts: &Attempts, damage: &DamageLedger) {
        if self.is_lossy {
            return;
        }
        let mut last: BTreeMap<(i64, i16), (i32, i64)> = BTreeMap::new();
        let mut expected = self.log_start.0;
        // The log start may lie within a batch, which is given whole.
        let across = self.log.range(..expected).next_back().filter(|(_, placed)| placed.end > expected);
        for (base, placed) in across.into_iter().chain(self.log.range(self.log_start.0..)) {
            let whole = *base <= expected || damage.is_hole(self.id, Offset(expected));
            assert!(whole, "{}: nobody knows what is at {expected}..{base}", self.id);
            expected = placed.end;
            let Some(Sequence { producer, epoch, first }) = attempts.get(placed.uid).sequence else {
                continue;
            };
            let next = first + attempts.get(placed.uid).records as i32;
            let before = last.insert((producer, epoch), (next, *base));
            if let Some((wanted, at)) = before
                && damage.holes.iter().all(|hole| hole.partition != self.id)
            {
                assert_eq!(
                    first, wanted,
                    "{}: producer {producer}: sequence {first} at {base} follows {wanted} at {at}",
                    self.id
                );
            }
        }
    }

    /// The batches from the log start on, for checks by time.
    pub fn batches(&self) -> impl Iterator<Item = (i64, Uid)> + '_ {
        self.log
            .iter()
            .filter(|(_, placed)| placed.end > self.log_start.0)
            .map(|(base, placed)| (*base, placed.uid))
    }
}
