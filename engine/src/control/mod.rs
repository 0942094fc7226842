//! The control plane: the meta journal's commands, their state machine and the view of it that
//! all shards share.

pub mod command;
pub mod config;
pub mod placement;
pub mod state;
pub mod view;

pub use command::{Command, CommandError, Outcome};
pub use state::MetaState;
pub use view::View;
