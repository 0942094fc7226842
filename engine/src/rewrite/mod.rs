//! Rewriting: sealed segments and older runs of a journal become *runs*, immutable files of batches sorted by
//! (partition, offset). Here are its pure parts; who makes a run and when, and how it gets to other replicas, is the
//! journal's, which is what uses this room. Nothing here reads a clock, waits, or knows what a journal is.
//!
//! # A run is written
//!
//! ```text
//! let mut writer = RunWriter::new(identity, plan, pool);
//! for each partition, by its number:  writer.begin(partition, covered);
//!     for each batch, by offset:      writer.push(batch, time);    // the batch as it is stored
//!                                     while let Some(piece) = writer.next_piece() { write it }
//!     writer.end();
//! writer.finish();
//! while let Some(piece) = writer.next_piece() { write it }          // at most 256 KiB each
//! writer.rows(), writer.foot()                                      // what the entry of kind 6 says of the run
//! ```
//!
//! # A run is read
//!
//! [`RunFoot::decode`](run_file::RunFoot::decode) of the file's last block, then [`RunIndex`] finds chunks through
//! whatever gives it blocks ([`RunBlocks`]), [`span_of`] says which bytes to read for them, and [`check_chunk`] gives the
//! batches of a chunk once its bytes are proven.
//!
//! # A partition is compacted
//!
//! Its batches are read twice, in the order of offsets; each is whole and its CRC was checked.
//!
//! ```text
//! let mut map = KeyMap::new(random, KEY_MAP_BYTES, records);        // of one pass, over any number of partitions
//! for each batch from the first that was not compacted on:
//!     let mut scan = KeyScan::begin(range, &aborted, batch);
//!     loop { match scan.step(&mut map) { None => rest a turn,       // 64 KiB of records a step
//!                                        Some(FullAt(offset)) => the horizon is this offset, and the scan is over,
//!                                        Some(_) => next batch } }
//! let mut compactor = Compactor::new(rules, &map, &aborted);        // rules.horizon as the scan left it
//! for each batch of the inputs:
//!     let mut work = compactor.begin(batch);
//!     loop { match work.step() { None => rest a turn, Some(fate) => push what it says to the run } }
//! let (emptied, counts) = compactor.end();                          // `emptied` is pushed last
//! ```
//!
//! The first half may begin behind what an older run has, if that run was compacted: of its records only those go whose
//! key comes again. The horizon is the least of the stable offset, the end of the inputs and the first batch younger
//! than `min.compaction.lag.ms`; which transactions were aborted is asked up to the stable offset, not up to the horizon.

pub mod aborted;
pub mod check;
pub mod chunk;
pub mod compact;
pub mod due;
pub mod key_map;
pub mod key_scan;
mod opened;
pub mod record_parts;
pub mod run_file;
pub mod run_index;
pub mod run_writer;

pub use aborted::{AbortedRange, AbortedRanges};
pub use check::{RunFault, check_run};
pub use chunk::{ReadSpan, check_chunk, span_of};
pub use compact::{BatchWork, Compactor, Fate, PassCounts, PassRules};
pub use due::{CompactionDue, Dirt, young_from_ms};
pub use key_map::{KEY_MAP_BYTES, KeyMap};
pub use key_scan::{KeyScan, KeyScanned, ScanRange};
pub use opened::Undecodable;
pub use run_file::{RewriteRule, RunChunk, RunInput, RunPlan};
pub use run_index::{RunBlocks, RunIndex, WholeRun};
pub use run_writer::{RunPiece, RunWriter};
