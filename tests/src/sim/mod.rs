//! The simulated world: disks, clocks and nodes in one thread, from one seed.

mod bad_tail;
pub mod cluster;
pub mod coordinating;
mod coordinators;
pub mod counts;
mod decay;
pub mod disk;
pub mod events;
pub mod faults;
mod group_faults;
mod honesty;
pub mod narrate;
pub mod network;
pub mod node;
mod operator;
pub mod parcel;
mod peers;
pub mod promises;
pub mod rot;
pub mod run;
mod safety;
pub mod scenes;
pub mod schedule;
pub mod soak;
pub mod survey;
mod tamper;
pub mod trace;
pub mod transacting;
pub mod transaction_scenes;
pub mod world;

pub use counts::Counts;
pub use run::{Outcome, run};
pub use trace::Trace;
pub use world::{Happening, World, WorldOptions};
