//! One shard on its thread: the loop around the engine, what it waits for, and what it tells the other shards of the
//! node; what a client's request means is not decided here.

pub mod audit_events;
pub mod completion;
pub mod coordinating;
pub mod errands;
pub mod hosting;
pub mod just_deleted;
pub mod leaders;
pub mod link_book;
pub mod mailbox;
pub mod marking;
pub mod pace;
pub mod publication;
pub mod requests;
pub mod results;
pub mod shard_events;
pub mod shard_loop;
pub mod shard_run;
pub mod written_members;
