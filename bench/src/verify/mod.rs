//! `verify`: produces records that prove themselves, notes what is acked, reads everything back
//! and says what is not as it must be. `exactly_once` does so with transactions.

pub mod acked;
pub mod command;
pub mod exactly_once;
pub mod jepsen;
pub mod judge;
pub mod seen;
