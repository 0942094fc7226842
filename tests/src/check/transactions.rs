//! What transactions came to: of each record whether it is committed, aborted or open, as its client knows, and what
//! readers of committed records must be shown accordingly. Each loop reads a topic, writes what it read to the next one
//! and commits offsets with it: in the end its offsets and its output must tell the same, record by record.

use super::attempts::{Attempts, Uid};
use engine::batch::{BatchHeader, EndMarker, Ending};
use engine::ids::{Offset, PartitionId};
use engine::port::FetchedPartition;
use std::collections::{BTreeMap, BTreeSet};

/// How a transaction stands, as far as its client knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Open,
    /// Its client asked for that and heard no answer: whatever is seen first of it holds for all of it.
    CommitAsked,
    Committed,
    /// Its client said so, or a newer producer fenced it.
    Aborted,
}

/// Names a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TransactionId(usize);

#[derive(Debug)]
struct Transaction {
    of: usize,
    fate: Fate,
    /// The partition of the loop's input, and the offsets there that it took.
    input: i32,
    from: Offset,
    to: Offset,
    batches: Vec<Uid>,
}

#[derive(Debug, Default)]
struct Log {
    /// By base offset.
    placed: BTreeMap<i64, Uid>,
    /// By high watermark: the stable offset. Both are functions of the log.
    stable: BTreeMap<i64, i64>,
}

/// A batch of an answer.
pub struct Read {
    pub uid: Uid,
    pub base: Offset,
    pub is_shown: bool,
}

#[derive(Debug, Default)]
pub struct TransactionsModel {
    all: Vec<Transaction>,
    by_batch: BTreeMap<Uid, TransactionId>,
    /// What stands in the topics of loops outside of transactions, or was acked there.
    acked: BTreeSet<Uid>,
    logs: BTreeMap<PartitionId, Log>,
    is_read: bool,
}

impl TransactionsModel {
    /// A loop begins a transaction, over these offsets of its input.
    pub fn begin(&mut self, of: usize, input: i32, from: Offset, to: Offset) -> TransactionId {
        assert!(from < to, "a transaction over nothing");
        self.all.push(Transaction { of, fate: Fate::Open, input, from, to, batches: Vec::new() });
        TransactionId(self.all.len() - 1)
    }

    pub fn add_batch(&mut self, id: TransactionId, uid: Uid) {
        self.all[id.0].batches.push(uid);
        self.by_batch.insert(uid, id);
    }

    /// A batch was acked as durable.
    pub fn acked(&mut self, attempts: &Attempts, uid: Uid, base: Offset) {
        self.acked.insert(uid);
        self.place(attempts, attempts.get(uid).partition, uid, base.0);
    }

    fn place(&mut self, attempts: &Attempts, partition: PartitionId, uid: Uid, base: i64) {
        let attempt = attempts.get(uid);
        assert_eq!(attempt.partition, partition, "{uid:?} is in the wrong partition");
        let log = self.logs.entry(partition).or_default();
        let before = log.placed.insert(base, uid);
        assert!(
            before.is_none_or(|before| before == uid),
            "{partition}: {base} was {before:?} and is {uid:?}"
        );
        if self.by_batch.contains_key(&uid) {
            let places = log.placed.values().filter(|placed| **placed == uid).count();
            assert_eq!(places, 1, "{partition}: {uid:?} of a transaction stands there twice");
        }
    }

    /// Its client is about to ask for the commit. A producer that was fenced may ask, too: it must be refused.
    pub fn commit_asked(&mut self, id: TransactionId) {
        let transaction = &mut self.all[id.0];
        if transaction.fate == Fate::Open {
            transaction.fate = Fate::CommitAsked;
        }
    }

    /// An end was answered without error.
    pub fn ended(&mut self, id: TransactionId, ending: Ending) {
        let fate = if ending == Ending::Commit { Fate::Committed } else { Fate::Aborted };
        self.decide(id, fate, "its client was told so");
    }

    fn decide(&mut self, id: TransactionId, fate: Fate, why: &str) {
        let transaction = &mut self.all[id.0];
        let may_be = transaction.fate == fate
            || transaction.fate == Fate::CommitAsked
            || transaction.fate == Fate::Open && fate == Fate::Aborted;
        assert!(may_be, "{transaction:?} is now {fate:?}: {why}");
        transaction.fate = fate;
    }

    /// A producer of this loop was initialised: whatever was open before is aborted, however late its end is asked for.
    pub fn initialised(&mut self, of: usize) {
        let open = self.all.iter_mut().filter(|one| one.of == of && one.fate == Fate::Open);
        open.for_each(|one| one.fate = Fate::Aborted);
    }

    /// The stable offset is a function of the log up to the watermark, and never falls.
    fn bounds(&mut self, partition: PartitionId, high_watermark: Offset, stable: Offset) {
        assert!(stable <= high_watermark, "{partition}: stable to {stable} above {high_watermark}");
        let log = self.logs.entry(partition).or_default();
        let (before, after) =
            (log.stable.range(..=high_watermark.0).next_back(), log.stable.range(high_watermark.0..).next());
        assert!(
            before.is_none_or(|(_, before)| *before <= stable.0)
                && after.is_none_or(|(_, after)| stable.0 <= *after),
            "{partition}: stable to {stable} at {high_watermark}, between {before:?} and {after:?}"
        );
        log.stable.insert(high_watermark.0, stable.0);
    }

    /// Checks what a reader of committed records was given; tells it as Kafka's clients do, and where to go on.
    pub fn read(
        &mut self,
        attempts: &Attempts,
        partition: PartitionId,
        offset: Offset,
        part: &FetchedPartition,
    ) -> (Vec<Read>, Offset) {
        self.bounds(partition, part.high_watermark, part.last_stable);
        let bytes: Vec<u8> = part.records.iter().flat_map(|slice| slice.to_vec()).collect();
        let (batches, next) = told(&bytes, part, offset);
        assert!(
            next <= part.last_stable.max(offset),
            "{partition}: read to {next} above {}",
            part.last_stable
        );
        let mut reads = Vec::new();
        for Told { base, batch, is_shown } in batches {
            let uid = attempts.recognise(batch);
            self.place(attempts, partition, uid, base.0);
            match self.by_batch.get(&uid).copied() {
                Some(id) if is_shown => self.decide(id, Fate::Committed, "a record of it was shown"),
                Some(id) => self.decide(id, Fate::Aborted, "a record of it was passed over"),
                None => assert!(
                    is_shown,
                    "{partition}: {uid:?} at {base} is of no transaction, and was passed over"
                ),
            }
            reads.push(Read { uid, base, is_shown });
        }
        (reads, next)
    }

    /// A partition was read from its beginning to its end: whatever was promised is there.
    pub fn whole_log_was_read(&self, attempts: &Attempts, partition: PartitionId) {
        let log = self.logs.get(&partition);
        let is_there = |uid: &Uid| log.is_some_and(|log| log.placed.values().any(|placed| placed == uid));
        let committed = self.all.iter().filter(|one| one.fate == Fate::Committed);
        let of_committed = committed.flat_map(|one| &one.batches);
        let plain = self.acked.iter().filter(|uid| !self.by_batch.contains_key(uid));
        for uid in of_committed.chain(plain).filter(|uid| attempts.get(**uid).partition == partition) {
            assert!(is_there(uid), "{partition}: {uid:?} was committed and is lost");
        }
    }

    /// The end of the last batch that is known to be there.
    pub fn known_end(&self, partition: PartitionId) -> Offset {
        let last = self.logs.get(&partition).and_then(|log| log.stable.last_key_value());
        Offset(last.map_or(0, |(high_watermark, _)| *high_watermark))
    }

    /// How many transactions there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// What the coordinator says is committed of a loop's input: at any time, or with nothing undecided, by a producer
    /// at whose beginning there were so many transactions, which are all ended.
    pub fn saw_offset(&mut self, of: usize, input: i32, offset: Offset, ended: Option<usize>) {
        let (mut highest, mut found) = (Offset(0), None);
        for (at, one) in self.all.iter().enumerate().filter(|(_, one)| one.of == of && one.input == input) {
            match one.fate {
                Fate::Committed => highest = highest.max(one.to),
                Fate::CommitAsked if one.to == offset => found = Some(TransactionId(at)),
                _ => {}
            }
        }
        if offset > highest {
            let id = found.unwrap_or_else(|| {
                panic!(
                    "loop {of}: {offset} of partition {input} is committed, and only {highest} is known to be"
                )
            });
            return self.decide(id, Fate::Committed, "its offset counts");
        }
        // A commit that was asked for without an answer may have been answered behind this one's back.
        assert!(
            ended.is_none() || offset == highest,
            "loop {of}: {highest} of partition {input} was committed and {offset} is"
        );
        let asked = |(at, one): &(usize, &mut Transaction)| {
            let is_ended = ended.is_some_and(|ended| *at < ended);
            is_ended && one.of == of && one.input == input && one.fate == Fate::CommitAsked
        };
        self.all.iter_mut().enumerate().filter(asked).for_each(|(_, one)| one.fate = Fate::Aborted);
    }

    /// Exactly once: what a loop's committed transactions took of its input follows without gap or overlap, up to the
    /// offset that is committed; all records of their output were seen, and no others.
    pub fn is_exactly_once(&self, of: usize, input: i32, committed: Offset) {
        let mut next = Offset(0);
        let taken = self.all.iter().filter(|one| one.of == of && one.input == input);
        for one in taken.filter(|one| one.fate == Fate::Committed) {
            assert_eq!(one.from, next, "loop {of}: {one:?} does not follow {next} of partition {input}");
            next = one.to;
        }
        assert_eq!(next, committed, "loop {of}: offsets and output of partition {input} differ");
    }

    /// How many came to each fate.
    pub fn count(&self, fate: Fate) -> u64 {
        self.all.iter().filter(|one| one.fate == fate).count() as u64
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

struct Told<'a> {
    base: Offset,
    batch: &'a [u8],
    is_shown: bool,
}

/// As Kafka's clients do it: a producer's batches are passed over from where its aborted transaction began to its marker.
fn told<'a>(bytes: &'a [u8], part: &FetchedPartition, offset: Offset) -> (Vec<Told<'a>>, Offset) {
    let mut aborted = part.aborted.clone();
    aborted.sort_unstable_by_key(|one| one.first_offset);
    let mut aborted = aborted.into_iter().peekable();
    let mut passed_over = BTreeSet::new();
    let (mut batches, mut next, mut rest) = (Vec::new(), offset, bytes);
    while !rest.is_empty() {
        let header = BatchHeader::of(rest).expect("a whole header");
        let (batch, behind) = rest.split_at(header.declared_bytes() as usize);
        let (base, producer) = (Offset(header.base_offset.get()), header.producer_id.get());
        let end = base.plus(header.offsets());
        let is_first = batches.is_empty() && next == offset;
        assert!(base == next || is_first && base < next && next < end, "{base} does not follow {next}");
        while let Some(one) = aborted.next_if(|one| one.first_offset < end) {
            passed_over.insert(one.producer.0);
        }
        match EndMarker::decode(batch) {
            Some(marker) if marker.ending == Ending::Abort => drop(passed_over.remove(&producer)),
            Some(_) => {}
            None => {
                let is_shown = !header.is_transactional() || !passed_over.contains(&producer);
                batches.push(Told { base, batch, is_shown });
            }
        }
        (next, rest) = (end, behind);
    }
    (batches, next)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(model: &mut TransactionsModel, from: i64, to: i64) -> TransactionId {
        let id = model.begin(0, 1, Offset(from), Offset(to));
        model.commit_asked(id);
        id
    }

    #[test]
    fn an_offset_decides_what_nobody_answered() {
        let mut model = TransactionsModel::default();
        asked(&mut model, 0, 5);
        model.initialised(0);
        model.saw_offset(0, 1, Offset(5), Some(usize::MAX));
        asked(&mut model, 5, 9);
        model.saw_offset(0, 1, Offset(5), Some(usize::MAX));
        assert_eq!((model.count(Fate::Committed), model.count(Fate::Aborted)), (1, 1));
        let again = asked(&mut model, 5, 7);
        model.ended(again, Ending::Commit);
        model.is_exactly_once(0, 1, Offset(7));
    }

    #[test]
    #[should_panic(expected = "is committed, and only")]
    fn an_offset_of_an_open_transaction_is_noticed() {
        let mut model = TransactionsModel::default();
        model.begin(0, 1, Offset(0), Offset(5));
        model.saw_offset(0, 1, Offset(5), None);
    }

    #[test]
    #[should_panic(expected = "does not follow")]
    fn what_was_taken_twice_is_noticed() {
        let mut model = TransactionsModel::default();
        for _ in 0..2 {
            let id = asked(&mut model, 0, 5);
            model.ended(id, Ending::Commit);
        }
        model.is_exactly_once(0, 1, Offset(5));
    }

    #[test]
    #[should_panic(expected = "is now Committed")]
    fn a_fenced_producers_commit_is_noticed() {
        let mut model = TransactionsModel::default();
        let id = model.begin(0, 1, Offset(0), Offset(5));
        model.initialised(0);
        model.commit_asked(id);
        model.ended(id, Ending::Commit);
    }

    #[test]
    #[should_panic(expected = "stable to 4 at 9")]
    fn a_stable_offset_that_moves_back_is_noticed() {
        let mut model = TransactionsModel::default();
        model.bounds(PartitionId(1), Offset(8), Offset(5));
        model.bounds(PartitionId(1), Offset(9), Offset(4));
    }
}
