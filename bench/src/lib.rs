//! The load generator `duramen-bench`: it drives any broker that speaks Kafka's protocol, measures
//! it from outside, and proves that what was acked is there. `bench/workloads` has loads to run.

pub mod batch;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod consumer;
pub mod interrupt;
pub mod options;
pub mod output;
pub mod plan;
pub mod producer;
pub mod report;
pub mod run;
pub mod search;
pub mod shared;
pub mod stats;
pub mod threads;
pub mod transactions;
pub mod trouble;
pub mod verify;
pub mod wake;
pub mod workload;
