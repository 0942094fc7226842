//! Who may do what: access rules as Kafka has them, kept in the metadata, and what they come to for one request.
//!
//! `acl` has the words, `rules` all rules there are and how they change, `filter` which of them are meant, `index`
//! what a request is judged by, `encoding` their bytes. Who is a super user, and what holds where there is no rule, is
//! each node's own and not known here.

pub mod acl;
pub mod encoding;
pub mod filter;
pub mod index;
pub mod rules;

pub use acl::{Acl, AclHost, Operation, Pattern, PatternType, Permission, ResourceType};
pub use filter::AclFilter;
pub use index::{AclIndex, Ruling, Who};
pub use rules::Acls;
