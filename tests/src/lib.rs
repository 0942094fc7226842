//! The simulator, checkers and workloads that the tests share.

pub mod sim;
