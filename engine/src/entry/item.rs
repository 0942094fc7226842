//! Control items: decisions that the leader made once and wrote down, so that the fold needs
//! nothing but the journal.
//!
//! An item is `tag: u16, bytes: u32, body`, little-endian; the body's layout is the tag's, and another
//! layout gets another tag. An unknown tag is an error: it was written by a newer version.

use super::run_made::{RunMade, RunMadeError};
use crate::codec::Reader;
use crate::ids::{Index, Offset, PartitionId, ProducerId, RunId, SpanNumber};

/// One decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A partition's span begins in this journal.
    PartitionOpened {
        partition: PartitionId,
        /// Which of the partition's spans: one that is not above the last one known here is void.
        span: SpanNumber,
        first_offset: Offset,
        /// The span's epoch base: leader epoch = base + journal term.
        epoch_base: i32,
        /// The idempotent producers known where the partition came from.
        producers: Vec<ProducerSnapshot>,
    },
    /// Records below `log_start` are gone for good.
    LogStartMoved {
        partition: PartitionId,
        log_start: Offset,
        /// Bytes of batches that remain, as the leader reckons.
        kept_bytes: u64,
    },
    /// The span takes no more batches; the next one begins elsewhere.
    SpanSealed { partition: PartitionId, end_offset: Offset },
    /// The partition was deleted; all of it in this journal is dead.
    PartitionDropped { partition: PartitionId },
    /// What every replica must find in a sealed segment.
    SegmentDigest { segment_base: Index, last: Index, headers: u64, checkpoint: u64 },
    /// The operator accepted that entries are lost: offsets move on by `skip`, so that none is
    /// used twice.
    LossAccepted { first: Index, last: Index, skip: u64 },
    /// The leader made a run. Void unless its inputs are what its partitions are read from, and while another one is
    /// neither settled nor void.
    RunMade(Box<RunMade>),
    /// A majority has that run: it is read in the place of its inputs by whoever has it.
    RunSettled { run: RunId },
    /// That run is not to be: nobody can give it.
    RunVoided { run: RunId },
}

/// What is known of one producer when a span begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProducerSnapshot {
    pub producer: ProducerId,
    pub epoch: i16,
    pub last_sequence: i32,
    pub last_offset: Offset,
    pub last_wall_ms: i64,
}

/// Why items could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ItemError {
    #[error("control item ends early")]
    Short,
    #[error("control item has {0} bytes left over")]
    Long(usize),
    #[error("control item has tag {0}, which a newer version wrote")]
    Unknown(u16),
    #[error("control item of a run {0}")]
    Run(#[from] RunMadeError),
}

const OPENED: u16 = 1;
const LOG_START: u16 = 2;
const SPAN_SEALED: u16 = 3;
const DROPPED: u16 = 4;
const DIGEST: u16 = 5;
const LOSS: u16 = 6;
/// As `OPENED`, of a span that is not the partition's first: its number stands behind the partition.
const OPENED_SPAN: u16 = 7;
const RUN_MADE: u16 = 8;
const RUN_SETTLED: u16 = 9;
const RUN_VOIDED: u16 = 10;

impl Item {
    /// Appends the item.
    pub fn encode(&self, to: &mut Vec<u8>) {
        let start = to.len();
        to.extend_from_slice(&self.tag().to_le_bytes());
        to.extend_from_slice(&[0; 4]);
        self.encode_body(to);
        let bytes = u32::try_from(to.len() - start - 6).expect("an item fits an entry");
        assert!(to[start + 2..start + 6] == [0; 4], "a length is written once");
        to[start + 2..start + 6].copy_from_slice(&bytes.to_le_bytes());
    }

    fn tag(&self) -> u16 {
        match self {
            // A program that knows no spans reads the first one as it always did.
            Item::PartitionOpened { span: SpanNumber(0), .. } => OPENED,
            Item::PartitionOpened { .. } => OPENED_SPAN,
            Item::LogStartMoved { .. } => LOG_START,
            Item::SpanSealed { .. } => SPAN_SEALED,
            Item::PartitionDropped { .. } => DROPPED,
            Item::SegmentDigest { .. } => DIGEST,
            Item::LossAccepted { .. } => LOSS,
            Item::RunMade(_) => RUN_MADE,
            Item::RunSettled { .. } => RUN_SETTLED,
            Item::RunVoided { .. } => RUN_VOIDED,
        }
    }

    fn encode_body(&self, to: &mut Vec<u8>) {
        match self {
            Item::PartitionOpened { partition, span, first_offset, epoch_base, producers } => {
                to.extend_from_slice(&partition.0.to_le_bytes());
                if *span != SpanNumber(0) {
                    to.extend_from_slice(&span.0.to_le_bytes());
                }
                to.extend_from_slice(&first_offset.0.to_le_bytes());
                to.extend_from_slice(&epoch_base.to_le_bytes());
                for producer in producers {
                    producer.encode(to);
                }
            }
            Item::LogStartMoved { partition, log_start, kept_bytes } => {
                to.extend_from_slice(&partition.0.to_le_bytes());
                to.extend_from_slice(&log_start.0.to_le_bytes());
                to.extend_from_slice(&kept_bytes.to_le_bytes());
            }
            Item::SpanSealed { partition, end_offset } => {
                to.extend_from_slice(&partition.0.to_le_bytes());
                to.extend_from_slice(&end_offset.0.to_le_bytes());
            }
            Item::PartitionDropped { partition } => to.extend_from_slice(&partition.0.to_le_bytes()),
            Item::SegmentDigest { segment_base, last, headers, checkpoint } => {
                for number in [segment_base.0, last.0, *headers, *checkpoint] {
                    to.extend_from_slice(&number.to_le_bytes());
                }
            }
            Item::LossAccepted { first, last, skip } => {
                for number in [first.0, last.0, *skip] {
                    to.extend_from_slice(&number.to_le_bytes());
                }
            }
            Item::RunMade(made) => made.encode(to),
            Item::RunSettled { run } | Item::RunVoided { run } => to.extend_from_slice(&run.0.to_le_bytes()),
        }
    }

    /// Reads all items of a control entry.
    pub fn decode_all(mut from: &[u8]) -> Result<Vec<Item>, ItemError> {
        let mut items = Vec::new();
        while !from.is_empty() {
            let tag = u16::from_le_bytes(take(&mut from)?);
            let bytes = u32::from_le_bytes(take(&mut from)?) as usize;
            let (body, rest) = from.split_at_checked(bytes).ok_or(ItemError::Short)?;
            items.push(Item::decode_body(tag, body)?);
            from = rest;
        }
        Ok(items)
    }

    fn decode_body(tag: u16, mut body: &[u8]) -> Result<Item, ItemError> {
        let from = &mut body;
        let item = match tag {
            OPENED | OPENED_SPAN => Item::PartitionOpened {
                partition: partition(from)?,
                span: match tag {
                    OPENED => SpanNumber(0),
                    _ => SpanNumber(u32::from_le_bytes(take(from)?)),
                },
                first_offset: offset(from)?,
                epoch_base: i32::from_le_bytes(take(from)?),
                producers: ProducerSnapshot::decode_all(from)?,
            },
            LOG_START => Item::LogStartMoved {
                partition: partition(from)?,
                log_start: offset(from)?,
                kept_bytes: number(from)?,
            },
            SPAN_SEALED => Item::SpanSealed { partition: partition(from)?, end_offset: offset(from)? },
            DROPPED => Item::PartitionDropped { partition: partition(from)? },
            DIGEST => Item::SegmentDigest {
                segment_base: Index(number(from)?),
                last: Index(number(from)?),
                headers: number(from)?,
                checkpoint: number(from)?,
            },
            LOSS => Item::LossAccepted {
                first: Index(number(from)?),
                last: Index(number(from)?),
                skip: number(from)?,
            },
            RUN_MADE => {
                let mut reader = Reader(from);
                let made = RunMade::decode(&mut reader)?;
                *from = reader.0;
                Item::RunMade(Box::new(made))
            }
            RUN_SETTLED => Item::RunSettled { run: RunId(number(from)?) },
            RUN_VOIDED => Item::RunVoided { run: RunId(number(from)?) },
            unknown => return Err(ItemError::Unknown(unknown)),
        };
        if body.is_empty() { Ok(item) } else { Err(ItemError::Long(body.len())) }
    }
}

impl ProducerSnapshot {
    const BYTES: usize = 30;

    fn encode(&self, to: &mut Vec<u8>) {
        to.extend_from_slice(&self.producer.0.to_le_bytes());
        to.extend_from_slice(&self.epoch.to_le_bytes());
        to.extend_from_slice(&self.last_sequence.to_le_bytes());
        to.extend_from_slice(&self.last_offset.0.to_le_bytes());
        to.extend_from_slice(&self.last_wall_ms.to_le_bytes());
    }

    fn decode_all(from: &mut &[u8]) -> Result<Vec<Self>, ItemError> {
        let mut producers = Vec::with_capacity(from.len() / Self::BYTES);
        while !from.is_empty() {
            producers.push(Self {
                producer: ProducerId(i64::from_le_bytes(take(from)?)),
                epoch: i16::from_le_bytes(take(from)?),
                last_sequence: i32::from_le_bytes(take(from)?),
                last_offset: offset(from)?,
                last_wall_ms: i64::from_le_bytes(take(from)?),
            });
        }
        Ok(producers)
    }
}

fn take<const N: usize>(from: &mut &[u8]) -> Result<[u8; N], ItemError> {
    let (bytes, rest) = from.split_first_chunk::<N>().ok_or(ItemError::Short)?;
    *from = rest;
    Ok(*bytes)
}

fn number(from: &mut &[u8]) -> Result<u64, ItemError> {
    Ok(u64::from_le_bytes(take(from)?))
}

fn partition(from: &mut &[u8]) -> Result<PartitionId, ItemError> {
    Ok(PartitionId(number(from)?))
}

fn offset(from: &mut &[u8]) -> Result<Offset, ItemError> {
    Ok(Offset(i64::from_le_bytes(take(from)?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::run_made::samples::run_made;

    fn one_of_each() -> Vec<Item> {
        let producer = ProducerSnapshot {
            producer: ProducerId(7),
            epoch: 2,
            last_sequence: 9,
            last_offset: Offset(40),
            last_wall_ms: 5,
        };
        let partition = PartitionId(3);
        vec![
            Item::PartitionOpened {
                partition,
                span: SpanNumber(0),
                first_offset: Offset(0),
                epoch_base: -1,
                producers: vec![producer, producer],
            },
            Item::PartitionOpened {
                partition,
                span: SpanNumber(2),
                first_offset: Offset(70),
                epoch_base: 4,
                producers: vec![producer],
            },
            Item::LogStartMoved { partition, log_start: Offset(10), kept_bytes: 99 },
            Item::SpanSealed { partition, end_offset: Offset(50) },
            Item::PartitionDropped { partition },
            Item::SegmentDigest { segment_base: Index(1), last: Index(5), headers: 6, checkpoint: 7 },
            Item::LossAccepted { first: Index(2), last: Index(3), skip: 1 << 33 },
            Item::RunMade(Box::new(run_made(3, &[2], &[(1, 9)]))),
            Item::RunSettled { run: RunId(3) },
            Item::RunVoided { run: RunId(3) },
        ]
    }

    #[test]
    fn items_come_back_as_they_went_in() {
        let mut bytes = Vec::new();
        one_of_each().iter().for_each(|item| item.encode(&mut bytes));
        assert_eq!(Item::decode_all(&bytes), Ok(one_of_each()));
    }

    #[test]
    fn a_cut_item_is_short_and_an_unknown_one_is_newer() {
        for item in one_of_each() {
            let mut bytes = Vec::new();
            item.encode(&mut bytes);
            for cut in 1..bytes.len() {
                assert!(Item::decode_all(&bytes[..cut]).is_err(), "{item:?} cut at {cut}");
            }
        }
        assert_eq!(Item::decode_all(&[99, 0, 0, 0, 0, 0]), Err(ItemError::Unknown(99)));
    }
}
