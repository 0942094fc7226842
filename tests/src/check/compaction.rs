//! What compaction may take of topics whose records have keys, and what must be there: of each key the last record that
//! is committed, and every record above what was compared. Offsets and order never change, a key that was deleted never
//! comes back, and a reader arrives at the end.
//!
//! Each record names its batch, so that it is known again wherever it is read, whatever became of its neighbours.

use engine::batch::header::batch_crc;
use engine::batch::records::Records;
use engine::batch::{BatchHeader, EndMarker, Ending};
use engine::ids::{Offset, PartitionId};
use engine::port::FetchedPartition;
use std::collections::{BTreeMap, BTreeSet};

const UNPACKED_BYTES_MAX: usize = 4 << 20;

/// How the transaction of a batch stands; its client alone decides that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Of no transaction.
    Plain,
    Open,
    Committed,
    Aborted,
}

/// Names a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyedBatch(pub u64);

/// A record as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sent {
    key: Vec<u8>,
    value: Option<Vec<u8>>,
    timestamp_ms: i64,
}

#[derive(Debug)]
struct Batch {
    partition: PartitionId,
    fate: Fate,
    bytes: Vec<u8>,
    records: Vec<Sent>,
    /// Without a sequence each of these may stand in the log.
    sends: usize,
    places: BTreeSet<i64>,
}

#[derive(Debug, Default)]
struct KeyLog {
    /// By base offset: what was acked or read there, for ever.
    placed: BTreeMap<i64, KeyedBatch>,
    /// Records below it may have been compared by their keys.
    clean_to: i64,
}

/// What a reader was given so far, from one offset on.
#[derive(Debug)]
pub struct Reading {
    pub partition: PartitionId,
    from: i64,
    next: i64,
    /// The highest stable offset that it was told.
    end: i64,
    log_start: i64,
    /// By key: the newest record that it was shown.
    newest: BTreeMap<Vec<u8>, i64>,
    seen: BTreeSet<i64>,
    /// Whoever answered, and how often another run took its place so far; none once that changed.
    calm: Option<(usize, u64)>,
    is_begun: bool,
    /// Batches without records, that stand for the end of what was there.
    pub emptied: u64,
}

impl Reading {
    pub fn new(partition: PartitionId, from: Offset) -> Self {
        Self {
            partition,
            from: from.0,
            next: from.0,
            end: 0,
            log_start: 0,
            newest: BTreeMap::new(),
            seen: BTreeSet::new(),
            calm: None,
            is_begun: false,
            emptied: 0,
        }
    }

    pub fn next(&self) -> Offset {
        Offset(self.next)
    }

    /// One node answered, and no other run was read meanwhile: what was deleted is judged, too.
    pub fn is_calm(&self) -> bool {
        self.calm.is_some()
    }
}

#[derive(Debug, Default)]
pub struct CompactionModel {
    batches: Vec<Batch>,
    logs: BTreeMap<PartitionId, KeyLog>,
    /// Topics with these partitions lose records by size, too.
    pub deletes: BTreeSet<PartitionId>,
    /// How often any node began to read another run.
    pub switches: u64,
    is_read: bool,
}

impl CompactionModel {
    /// What the next batch is called, so that its records can carry it.
    pub fn next_batch(&self) -> KeyedBatch {
        KeyedBatch(self.batches.len() as u64)
    }

    /// A batch that is going to be sent.
    pub fn add(&mut self, partition: PartitionId, fate: Fate, bytes: Vec<u8>) -> KeyedBatch {
        let id = self.next_batch();
        let opened = Records::open(&bytes, UNPACKED_BYTES_MAX).expect("built here");
        let records = opened.iter().map(|record| {
            let record = record.expect("built here");
            assert_eq!(named_in(record.headers), id, "a record names its batch");
            let key = record.key.expect("all have keys").to_vec();
            Sent { key, value: record.value.map(<[u8]>::to_vec), timestamp_ms: record.timestamp_ms }
        });
        let records = records.collect();
        self.batches.push(Batch { partition, fate, bytes, records, sends: 0, places: BTreeSet::new() });
        id
    }

    fn batch(&self, id: KeyedBatch) -> &Batch {
        &self.batches[id.0 as usize]
    }

    pub fn sent(&mut self, id: KeyedBatch) -> Vec<u8> {
        let batch = &mut self.batches[id.0 as usize];
        batch.sends += 1;
        batch.bytes.clone()
    }

    /// A batch was acked as durable.
    pub fn acked(&mut self, id: KeyedBatch, base: Offset) {
        self.place(id, base.0);
    }

    /// The transaction of these batches is over, whenever its marker comes.
    pub fn ended(&mut self, batches: &[KeyedBatch], ending: Ending) {
        let fate = if ending == Ending::Commit { Fate::Committed } else { Fate::Aborted };
        for id in batches {
            let batch = &mut self.batches[id.0 as usize];
            assert_eq!(batch.fate, Fate::Open, "{id:?} is ended twice");
            batch.fate = fate;
        }
    }

    fn place(&mut self, id: KeyedBatch, base: i64) {
        let batch = &mut self.batches[id.0 as usize];
        let (partition, end) = (batch.partition, base + batch.records.len() as i64);
        let log = self.logs.entry(partition).or_default();
        if let Some(there) = log.placed.get(&base) {
            assert_eq!(*there, id, "{partition}: {base} was {there:?} and is {id:?}");
            return;
        }
        let before = log.placed.range(..base).next_back();
        let after = log.placed.range(base..).next();
        let ends = |of: &KeyedBatch, at: i64| at + self.batches[of.0 as usize].records.len() as i64;
        assert!(
            before.is_none_or(|(at, of)| ends(of, *at) <= base) && after.is_none_or(|(at, _)| end <= *at),
            "{partition}: {id:?} at {base}..{end} lies over {before:?} or {after:?}"
        );
        log.placed.insert(base, id);
        let batch = &mut self.batches[id.0 as usize];
        batch.places.insert(base);
        let allowed = if batch.fate == Fate::Plain { batch.sends } else { 1 };
        assert!(batch.places.len() <= allowed, "{partition}: {id:?} stands at {:?}", batch.places);
    }

    /// Records below this offset may have been compared: some replica's journal says so.
    pub fn compared(&mut self, partition: PartitionId, clean_to: Offset) {
        let log = self.logs.entry(partition).or_default();
        log.clean_to = log.clean_to.max(clean_to.0);
    }

    pub fn known_end(&self, partition: PartitionId) -> Offset {
        let last = self.logs.get(&partition).and_then(|log| log.placed.last_key_value());
        Offset(last.map_or(0, |(base, id)| base + self.batch(*id).records.len() as i64))
    }

    /// Checks what a reader of committed records was given by a node; true when it is at the end.
    pub fn read(&mut self, reading: &mut Reading, node: usize, part: &FetchedPartition) -> bool {
        let partition = reading.partition;
        let asked = reading.next;
        let now = Some((node, self.switches));
        reading.calm = if reading.is_begun { reading.calm.filter(|calm| Some(*calm) == now) } else { now };
        reading.is_begun = true;
        reading.end = reading.end.max(part.last_stable.0);
        reading.log_start = reading.log_start.max(part.log_start.0);
        assert!(
            reading.log_start == 0 || self.deletes.contains(&partition),
            "{partition}: its log start moved to {}",
            reading.log_start
        );
        let bytes: Vec<u8> = part.records.iter().flat_map(|slice| slice.to_vec()).collect();
        let mut told = Told::new(part);
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let header = BatchHeader::of(rest).expect("a whole header");
            let (batch, behind) = rest.split_at(header.declared_bytes() as usize);
            self.read_batch(reading, (batch, header), &mut told);
            rest = behind;
        }
        assert!(
            reading.next <= part.last_stable.0.max(asked),
            "{partition}: read to {} above {}",
            reading.next,
            part.last_stable
        );
        let is_starved = reading.next == asked && asked < part.last_stable.0;
        assert!(!is_starved, "{partition}: nothing at {asked} below {}", part.last_stable);
        reading.next >= reading.end
    }

    fn read_batch(&mut self, reading: &mut Reading, (batch, header): (&[u8], &BatchHeader), told: &mut Told) {
        let partition = reading.partition;
        let base = header.base_offset.get();
        let end = base + i64::from(header.offsets());
        assert!(end > reading.next, "{partition}: {base}..{end} comes again at {}", reading.next);
        let is_first = core::mem::take(&mut told.is_first);
        assert!(base >= reading.next || is_first, "{partition}: {base} does not follow {}", reading.next);
        assert_eq!(batch_crc(batch), header.crc.get(), "{partition}: a wrong checksum at {base}");
        reading.next = end;
        let is_shown = told.shows(batch, header, end);
        if header.is_control() {
            return;
        }
        let opened = Records::open(batch, UNPACKED_BYTES_MAX).expect("a stored batch can be opened");
        let mut before = base - 1;
        let mut of_batch = None;
        for record in opened.iter() {
            let record = record.expect("a stored record can be read");
            assert!(
                record.offset > before && record.offset < end,
                "{partition}: {before}, {}",
                record.offset
            );
            before = record.offset;
            let id = named_in(record.headers);
            assert!((id.0 as usize) < self.batches.len(), "{partition}: {} is of nobody", record.offset);
            assert_eq!(*of_batch.get_or_insert(id), id, "{partition}: two batches in one at {base}");
            let sent = &self.batch(id).records[(record.offset - base) as usize];
            let (key, value) = (record.key.map(<[u8]>::to_vec), record.value.map(<[u8]>::to_vec));
            let is_as_sent = key.as_ref() == Some(&sent.key)
                && value == sent.value
                && record.timestamp_ms == sent.timestamp_ms;
            assert!(is_as_sent, "{partition}: {} is not what was sent", record.offset);
            let fate = self.batch(id).fate;
            let may_be =
                if is_shown { matches!(fate, Fate::Plain | Fate::Committed) } else { fate == Fate::Aborted };
            assert!(may_be, "{partition}: {} of {id:?} is {fate:?}; it is shown: {is_shown}", record.offset);
            if is_shown && record.offset >= reading.from {
                reading.seen.insert(record.offset);
                reading.newest.insert(key.expect("compared above"), record.offset);
            }
        }
        match of_batch {
            Some(id) => {
                self.place(id, base);
                self.is_its_header(id, header);
            }
            None => reading.emptied += 1,
        }
    }

    /// Whatever went of a batch, it is the batch of its producer.
    fn is_its_header(&self, id: KeyedBatch, header: &BatchHeader) {
        let sent = BatchHeader::of(&self.batch(id).bytes).expect("built here");
        let of = |header: &BatchHeader| {
            (
                header.last_offset_delta.get(),
                header.producer_id.get(),
                header.producer_epoch.get(),
                header.base_sequence.get(),
                header.codec_number(),
                header.is_transactional(),
            )
        };
        assert_eq!(of(header), of(sent), "{id:?} has another header");
    }

    /// A reader is at the end: what must be there was shown. Says how many records are gone.
    pub fn arrived(&self, reading: &Reading) -> usize {
        let partition = reading.partition;
        let Some(log) = self.logs.get(&partition) else { return 0 };
        let from = reading.from.max(reading.log_start);
        let mut last: BTreeMap<&[u8], (i64, bool)> = BTreeMap::new();
        let mut gone = 0;
        for (base, id) in &log.placed {
            let batch = self.batch(*id);
            if !matches!(batch.fate, Fate::Plain | Fate::Committed) {
                continue;
            }
            for (offset, record) in (*base..).zip(&batch.records) {
                if !(from..reading.end).contains(&offset) {
                    continue;
                }
                last.insert(&record.key, (offset, record.value.is_none()));
                let is_seen = reading.seen.contains(&offset);
                gone += usize::from(!is_seen);
                assert!(
                    is_seen || offset < log.clean_to,
                    "{partition}: {offset} of {id:?} is lost, and only what is below {} was compared",
                    log.clean_to
                );
            }
        }
        for (key, (offset, is_deleted)) in last {
            let shown = reading.newest.get(key).copied().filter(|shown| *shown >= from);
            let is_right = shown == Some(offset) || is_deleted && (shown.is_none() || !reading.is_calm());
            assert!(
                is_right,
                "{partition}: the last record of {key:?} is at {offset}, deleted: {is_deleted}, and {shown:?} was shown"
            );
        }
        gone
    }

    pub fn look_again(&mut self) {
        self.is_read = false;
    }

    pub fn looked(&mut self) {
        self.is_read = true;
    }

    pub fn is_read(&self) -> bool {
        self.is_read
    }
}

/// The batch that a record's only header names.
fn named_in(headers: &[u8]) -> KeyedBatch {
    // One header; its key of one byte; its value of eight.
    assert_eq!(headers[..4], [2, 2, b'n', 16], "another header than it was sent with");
    KeyedBatch(u64::from_be_bytes(headers[4..].try_into().expect("eight bytes")))
}

/// As Kafka's clients do it: a producer's batches are passed over from where its aborted transaction began to its marker.
struct Told {
    aborted: std::vec::IntoIter<(i64, i64)>,
    ahead: Option<(i64, i64)>,
    passed_over: BTreeSet<i64>,
    is_first: bool,
}

impl Told {
    fn new(part: &FetchedPartition) -> Self {
        let mut aborted: Vec<_> =
            part.aborted.iter().map(|one| (one.first_offset.0, one.producer.0)).collect();
        aborted.sort_unstable();
        let mut aborted = aborted.into_iter();
        let ahead = aborted.next();
        Self { aborted, ahead, passed_over: BTreeSet::new(), is_first: true }
    }

    fn shows(&mut self, batch: &[u8], header: &BatchHeader, end: i64) -> bool {
        while let Some((_, producer)) = self.ahead.filter(|(first, _)| *first < end) {
            self.passed_over.insert(producer);
            self.ahead = self.aborted.next();
        }
        let producer = header.producer_id.get();
        if EndMarker::decode(batch).is_some_and(|marker| marker.ending == Ending::Abort) {
            self.passed_over.remove(&producer);
        }
        !header.is_transactional() || !self.passed_over.contains(&producer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::batch::{BatchBuilder, NewRecord};

    const P: PartitionId = PartitionId(4);

    /// Batches of one record each, by key and whether it has a value, acked one behind the other; all compared.
    fn model(records: &[(&str, bool)]) -> CompactionModel {
        let mut model = CompactionModel::default();
        for (offset, (key, has_value)) in (0..).zip(records) {
            let name = model.next_batch().0.to_be_bytes();
            let headers: [(&str, Option<&[u8]>); 1] = [("n", Some(&name))];
            let value = has_value.then_some(&b"v"[..]);
            let record =
                NewRecord { key: Some(key.as_bytes()), value, headers: &headers, ..Default::default() };
            let batch = BatchBuilder::new(1_000).push(record).build();
            let id = model.add(P, Fate::Plain, batch);
            model.sent(id);
            model.acked(id, Offset(offset));
        }
        model.compared(P, Offset(records.len() as i64));
        model
    }

    /// Who was shown these, by key and offset, and is at the end.
    fn reading(end: i64, shown: &[(&str, i64)]) -> Reading {
        let mut reading = Reading::new(P, Offset(0));
        (reading.end, reading.calm) = (end, Some((0, 0)));
        for (key, offset) in shown {
            reading.seen.insert(*offset);
            reading.newest.insert(key.as_bytes().to_vec(), *offset);
        }
        reading
    }

    #[test]
    fn the_newest_record_of_each_key_is_enough() {
        let model = model(&[("a", true), ("b", true), ("a", true), ("b", false)]);
        assert_eq!(model.arrived(&reading(4, &[("a", 2), ("b", 3)])), 2);
        assert_eq!(model.arrived(&reading(4, &[("a", 2)])), 3, "a deleted key's tombstone may go");
        assert_eq!(model.known_end(P), Offset(4));
    }

    #[test]
    #[should_panic(expected = "the last record of")]
    fn a_newest_record_that_is_lost_is_noticed() {
        model(&[("a", true), ("b", true), ("a", true)]).arrived(&reading(3, &[("a", 0), ("b", 1)]));
    }

    #[test]
    #[should_panic(expected = "the last record of")]
    fn a_deleted_key_that_comes_back_is_noticed() {
        model(&[("a", true), ("a", false)]).arrived(&reading(2, &[("a", 0)]));
    }

    #[test]
    #[should_panic(expected = "is lost, and only what is below")]
    fn a_record_above_what_was_compared_stays() {
        let mut model = model(&[("a", true), ("a", true)]);
        model.logs.get_mut(&P).expect("it has records").clean_to = 0;
        model.arrived(&reading(2, &[("a", 1)]));
    }

    #[test]
    #[should_panic(expected = "lies over")]
    fn an_offset_that_is_given_twice_is_noticed() {
        let mut model = model(&[("a", true), ("b", true)]);
        model.batches[0].sends = 2;
        // Of two records now: behind the end of one and over the begin of another.
        model.batches[0].records.push(Sent { key: b"c".to_vec(), value: None, timestamp_ms: 0 });
        model.acked(KeyedBatch(0), Offset(-1));
    }
}
