//! The log on the disk: entries are appended, made durable and cut; segments are prepared, sealed and deleted.

pub mod appender;
pub mod aside;
pub mod covering;
pub mod cursor;
pub mod cut;
pub mod deleting;
pub mod done;
pub mod procedures;
pub mod segment;
pub mod stages;
pub mod zeroing;
