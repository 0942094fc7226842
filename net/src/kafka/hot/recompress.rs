//! Batches whose codec is not the one that their topic asks for (`compression.type`): written again before the engine
//! gets them, in steps, between which the shard does other things. A batch whose codec is right never comes here.
//!
//! What is wrong with a batch is for the engine to say, of the batch as it was sent: one whose envelope or CRC is wrong
//! is handed on as it is, and so is one whose records are, together with what they were found to be.

use crate::client::budget::{FrameBudget, Share};
use crate::shard::completion::Waiters;
use crate::shard::pace::Pace;
use engine::batch::{
    BatchHeader, CRC_REGION_START, Checked, EnvelopeLimits, Packing, RecordBounds, Repack, Repacked,
    check_envelope,
};
use std::rc::Rc;

/// What the decompressor and the encoder of one batch hold, as a rule: windows grow with what comes out of them, and
/// both together have 12 MiB at most (`engine::batch::unpack` and `pack`).
const CODECS_BYTES: usize = 2 << 20;
/// The CRC of so much takes about 20 µs.
const CRC_STEP_BYTES: usize = 256 << 10;

/// A shard's batches that are being written again, and the memory that they may take.
pub struct Recompressor {
    budget: FrameBudget,
    /// Notified when one of them gave memory back.
    freed: Rc<Waiters>,
}

/// What a batch has to be.
#[derive(Clone, Copy, Debug)]
pub struct Recompression {
    pub packing: Packing,
    pub limits: EnvelopeLimits,
    pub bounds: RecordBounds,
}

/// What the engine is to be given.
pub enum ToEngine {
    /// The batch as it was sent, with what its records came to, if they were looked at.
    AsSent(Option<Checked>),
    Again(Recompressed),
}

/// A batch with the topic's codec. Its memory counts until it is dropped.
pub struct Recompressed {
    pub batch: Vec<u8>,
    pub checked: Checked,
    _held: Held,
}

/// A part of the budget; those that wait are told when it is given back.
struct Held {
    /// Gone before the notification.
    share: Option<Share>,
    freed: Rc<Waiters>,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.share = None;
        self.freed.notify();
    }
}

impl Held {
    fn share(&self) -> &Share {
        self.share.as_ref().expect("there until it is dropped")
    }

    /// Makes room for what `repack` may take in its next steps; false when there is none now. Its buffer doubles when
    /// it is full, and then both are there.
    fn reserve(&self, repack: &Repack<'_>) -> bool {
        self.share().grow_to(CODECS_BYTES + 3 * repack.held_bytes())
    }
}

impl Recompressor {
    /// All of its batches together take at most `bytes_max`, or are a single one.
    pub fn new(bytes_max: usize) -> Self {
        Self { budget: FrameBudget::new(bytes_max), freed: Rc::default() }
    }

    pub fn used_bytes(&self) -> usize {
        self.budget.used_bytes()
    }

    /// Writes a batch again; `None` when `over` came true before it ended.
    pub async fn recompress(
        &self,
        pace: &mut Pace,
        sent: &[u8],
        wanted: &Recompression,
        over: &impl Fn() -> bool,
    ) -> Option<ToEngine> {
        let Ok(header) = check_envelope(sent, &wanted.limits) else { return Some(ToEngine::AsSent(None)) };
        if !is_intact(pace, header, sent).await {
            return Some(ToEngine::AsSent(None));
        }
        let held = Held { share: Some(self.budget.begin()), freed: Rc::clone(&self.freed) };
        let bytes_max = wanted.limits.batch_bytes_max;
        let begin = || Repack::begin(sent, wanted.packing, wanted.bounds, bytes_max);
        let mut repack = match begin() {
            Ok(repack) => repack,
            Err(error) => return Some(ToEngine::AsSent(Some(Err(error)))),
        };
        loop {
            if !held.reserve(&repack) {
                self.freed.until(|| held.reserve(&repack) || over()).await;
            }
            if over() {
                return None;
            }
            match work(pace, &held, &mut repack) {
                Progress::Done(Ok(Repacked { batch, times })) => {
                    drop(repack);
                    held.share().shrink_to(batch.capacity());
                    self.freed.notify();
                    return Some(ToEngine::Again(Recompressed { batch, checked: Ok(times), _held: held }));
                }
                Progress::Done(Err(error)) => return Some(ToEngine::AsSent(Some(Err(error)))),
                Progress::NoRoom => {}
                Progress::Late => pace.rest_if_late().await,
            }
        }
    }
}

/// Whether the batch is the one that its client sent.
async fn is_intact(pace: &mut Pace, header: &BatchHeader, sent: &[u8]) -> bool {
    let mut crc = 0;
    for piece in sent[CRC_REGION_START..].chunks(CRC_STEP_BYTES) {
        pace.rest_if_late().await;
        crc = crc32c::crc32c_append(crc, piece);
    }
    crc == header.crc.get()
}

enum Progress {
    Done(Result<Repacked, engine::batch::BatchError>),
    Late,
    NoRoom,
}

/// Steps until the batch is there, a pause is due, or there is no room.
fn work(pace: &Pace, held: &Held, repack: &mut Repack<'_>) -> Progress {
    loop {
        if let Some(done) = repack.step() {
            return Progress::Done(done);
        }
        if pace.is_late() {
            return Progress::Late;
        }
        if !held.reserve(repack) {
            return Progress::NoRoom;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shard::pace::rest;
    use engine::batch::{BatchBuilder, BatchError, Codec, NewRecord};
    use futures_lite::future::poll_once;
    use glommio::LocalExecutor;
    use std::cell::Cell;

    const LIMITS: EnvelopeLimits = EnvelopeLimits {
        batch_bytes_max: 1 << 20,
        log_append_time: false,
        transactional: true,
        trusts_header: false,
        timestamp_before_max_ms: i64::MAX,
        timestamp_after_max_ms: i64::MAX,
        wall_ms: 1_000,
    };

    fn wanted(codec: Codec) -> Recompression {
        Recompression { packing: Packing::usual(codec), limits: LIMITS, bounds: RecordBounds::ANY }
    }

    fn batch(codec: Codec, bytes: usize) -> Vec<u8> {
        let mut builder = BatchBuilder::new(1_000);
        builder.codec(codec).push(NewRecord::value(&vec![7; bytes]));
        builder.build()
    }

    async fn recompress(of: &Recompressor, sent: &[u8], codec: Codec) -> ToEngine {
        of.recompress(&mut Pace::begin(), sent, &wanted(codec), &|| false).await.expect("not over")
    }

    #[test]
    fn a_batch_gets_the_topics_codec_and_its_memory_is_given_back_with_it() {
        LocalExecutor::default().run(async {
            let recompressor = Recompressor::new(64 << 20);
            let sent = batch(Codec::Gzip, 3_000);
            let outcome = recompress(&recompressor, &sent, Codec::Lz4).await;
            let ToEngine::Again(again) = outcome else { panic!("not written again") };
            assert_eq!(BatchHeader::of(&again.batch).unwrap().codec_number(), Codec::Lz4 as u8);
            assert!(check_envelope(&again.batch, &LIMITS).is_ok() && again.checked.is_ok());
            assert_eq!(recompressor.used_bytes(), again.batch.capacity());
            drop(again);
            assert_eq!(recompressor.used_bytes(), 0);
        });
    }

    #[test]
    fn what_is_wrong_is_left_to_the_engine() {
        LocalExecutor::default().run(async {
            let recompressor = Recompressor::new(64 << 20);
            let mut flipped = batch(Codec::Gzip, 3_000);
            *flipped.last_mut().unwrap() ^= 1;
            let outcome = recompress(&recompressor, &flipped, Codec::Lz4).await;
            assert!(matches!(outcome, ToEngine::AsSent(None)));
            let outcome = recompress(&recompressor, &flipped[..30], Codec::Lz4).await;
            assert!(matches!(outcome, ToEngine::AsSent(None)));
            let crc = crc32c::crc32c(&flipped[CRC_REGION_START..]);
            flipped[17..21].copy_from_slice(&crc.to_be_bytes());
            let outcome = recompress(&recompressor, &flipped, Codec::Lz4).await;
            assert!(matches!(outcome, ToEngine::AsSent(Some(Err(BatchError::Unpack(_))))));
            let outcome = recompress(&recompressor, &batch(Codec::Lz4, (1 << 20) + 1), Codec::None).await;
            assert!(matches!(outcome, ToEngine::AsSent(Some(Err(BatchError::TooLargeRepacked { .. })))));
            assert_eq!(recompressor.used_bytes(), 0);
        });
    }

    /// Turns of the reactor: more than a short batch has pauses.
    const TURNS: usize = 100;

    #[test]
    fn what_has_no_room_waits_for_it_until_it_is_over() {
        LocalExecutor::default().run(async {
            let recompressor = Recompressor::new(1);
            let sent = batch(Codec::Gzip, 3_000);
            let first = recompress(&recompressor, &sent, Codec::None).await;
            let is_over = Cell::new(false);
            let (mut pace, wants, over) = (Pace::begin(), wanted(Codec::None), || is_over.get());
            let mut second = Box::pin(recompressor.recompress(&mut pace, &sent, &wants, &over));
            for _ in 0..TURNS {
                assert!(poll_once(&mut second).await.is_none(), "the first one holds the room");
                rest().await;
            }
            drop(first);
            let second = second.await.expect("not over");
            assert!(matches!(second, ToEngine::Again(_)));
            let mut pace = Pace::begin();
            let mut third = Box::pin(recompressor.recompress(&mut pace, &sent, &wants, &over));
            assert!(poll_once(&mut third).await.is_none());
            is_over.set(true);
            drop(second);
            assert!(third.await.is_none());
        });
    }
}
