//! The control plane: the meta journal's commands, their state machine and the view of it that
//! all shards share.
//!
//! A request becomes a [`Command`] in `propose`, the shard that leads the meta journal writes it,
//! every replica's [`MetaState`] applies it, and each node's [`ViewBuilder`] makes the [`View`].

pub mod acls;
pub mod by_hand;
pub mod bytes;
pub mod checkpoint;
pub mod command;
pub mod config;
pub mod credentials;
pub mod encoding;
mod joining;
pub mod names;
mod node_bytes;
pub mod placement;
pub mod propose;
pub mod quotas;
mod replication;
pub mod rules;
pub mod state;
pub mod view;
pub mod view_builder;

pub mod command_error;
pub mod life;
pub mod nodes;
#[cfg(test)]
mod security_tests;
#[cfg(test)]
mod tests;

pub use bytes::DecodeError;
pub use command::{Command, ControlRefusal, Outcome};
pub use command_error::CommandError;
pub use state::MetaState;
pub use view::View;
pub use view_builder::ViewBuilder;
