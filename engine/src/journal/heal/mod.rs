//! What is wrong with a replica, and how it becomes good again: from its peers, or not at all.

pub mod asking;
pub mod checkpoint_fetch;
pub mod digest;
pub mod done;
pub mod doubt;
pub mod incoming;
pub mod install;
pub mod lending;
pub mod mending;
pub mod proven_loss;
pub mod repair;
