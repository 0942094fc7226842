//! A shard: the journals of its lanes and their partitions, behind one `step`.
//!
//! [`Shard`] is in `running`, with what it does of each part; the parts stand by themselves and do not know it.

pub mod config;
mod elect;
mod fetches;
mod health;
mod heartbeats;
mod identity;
mod lifecycle;
mod metrics;
mod peers;
pub mod rewriting;
mod running;
pub mod scrub;
mod slot;
mod times;

pub use crate::control::nodes::{Advertised, AdvertisedListener, LISTENERS_MAX, PEER_LISTENER};
pub use config::ShardConfig;
pub use metrics::{JournalMetrics, ShardMetrics};
pub use running::Shard;
