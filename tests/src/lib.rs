//! The simulator, checkers and workloads that the tests share.

pub mod check;
pub mod sim;
pub mod workload;
