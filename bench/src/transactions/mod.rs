//! A transactional client by itself: a producer that says at each step what it knows, readers of either isolation, and
//! a group's members. They block, retry what a client may retry, and never take silence for an answer. And the loads that
//! are made of them: `transact` and `rebalance`.

pub mod brokers;
pub mod consumer_member;
pub mod isolated_reader;
pub mod load;
pub mod member;
pub mod rebalance;
pub mod trouble;
pub mod txn_producer;
