//! The simulator, checkers and workloads that the tests share, and brokers as processes.

pub mod check;
pub mod counting;
pub mod fuzz;
pub mod fuzz_names;
pub mod fuzz_target;
pub mod process;
pub mod sim;
pub mod workload;
