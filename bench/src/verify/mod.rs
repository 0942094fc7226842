//! `verify`: produces records that prove themselves, notes what is acked, reads everything back
//! and says what is not as it must be.

pub mod acked;
pub mod command;
pub mod jepsen;
pub mod judge;
pub mod seen;
