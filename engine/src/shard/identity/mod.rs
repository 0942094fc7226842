//! Who this node is: its record, the register of what it has, how it joins and how a cluster forms.

pub mod beginning;
pub mod forming;
pub mod joining;
pub mod registry;
