//! Kafka's record batch v2: its header in place, validation, and the records within.
//!
//! A batch is stored byte for byte as the client sent it; only its first 21 bytes are written by
//! the leader ([`header::write_prefix`]), and its maximum timestamp where the topic has
//! LogAppendTime or the records have another one. Where the topic asks for another codec the
//! batch is written again before that ([`repack`](mod@repack)).

pub mod build;
pub mod check;
pub mod codec;
pub mod header;
pub mod marker;
pub mod pack;
pub mod places;
pub mod records;
pub mod repack;
mod snappy;
mod snappy_stream;
pub mod unpack;
pub mod validate;
pub mod varint;
pub mod walk;

pub use build::{BatchBuilder, NewRecord};
pub use check::{Checked, RecordCheck, UNPACKED_BYTES_MAX, check_records};
pub use codec::{Codec, CodecError};
pub use header::{BATCH_HEADER_BYTES, BatchHeader, CRC_REGION_START};
pub use marker::{EndMarker, Ending};
pub use pack::{Packer, Packing, TooLong};
pub use records::{Record, RecordsError, first_record_at_or_after, record_with_max_timestamp};
pub use repack::{Repack, Repacked, repack};
pub use validate::{BatchError, EnvelopeLimits, check_envelope};
pub use walk::{RecordBounds, RecordFault, RecordTimes, RecordWalk};
