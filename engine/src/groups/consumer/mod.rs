//! Consumer groups of the newer protocol (KIP-848): the coordinator assigns, and members move to
//! what they are assigned one by one, without a common halt.
//!
//! [`ConsumerGroup`] is that part of a group; committed offsets stay the group's. A member sends
//! heartbeats and nothing else. Its subscription, or the topics that there are, raise the group's
//! epoch; an assignor makes the target assignment of that epoch; each member reconciles what it has
//! with its target: it gives up first, then gets what others gave up.
//!
//! ```text
//! heartbeat → subscription → (epoch) → assignor → target → reconcile → records → (committed) → answer
//! ```

pub mod admin;
pub mod assignor;
pub mod classic;
pub mod compact;
pub mod convert;
pub mod dispatch;
pub mod embedded;
pub mod flight;
pub mod group;
pub mod heartbeat;
pub mod leave;
pub mod load;
pub mod member;
pub mod partitions;
pub mod pattern;
pub mod plan;
pub mod reconcile;
pub mod record;
pub mod settings;
pub mod topics;
pub mod writing;

pub use group::ConsumerGroup;
