//! Rewriting: sealed segments and older runs of a journal become *runs*, immutable files of batches sorted by
//! (partition, offset). Here are its pure parts; who makes a run and when, and how it gets to other replicas, is the
//! journal's, which is what uses this room. Nothing here reads a clock, waits, or knows what a journal is.
//!
//! # A run is written
//!
//! ```text
//! let mut writer = RunWriter::new(identity, plan, pool);
//! for each partition, by its number:  writer.begin(partition, covered);
//!     for each batch, by offset:      writer.push(batch);          // the batch as it is stored
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

pub mod check;
pub mod chunk;
pub mod run_file;
pub mod run_index;
pub mod run_writer;

pub use check::{RunFault, check_run};
pub use chunk::{ReadSpan, check_chunk, span_of};
pub use run_file::{RewriteRule, RunChunk, RunInput, RunPlan};
pub use run_index::{RunBlocks, RunIndex, WholeRun};
pub use run_writer::{RunPiece, RunWriter};
