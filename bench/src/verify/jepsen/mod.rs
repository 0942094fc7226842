//! Jepsen's rules for Kafka: judges a history of sends, polls and transactions, whoever made it, and names what is wrong
//! with it as Jepsen does. It knows no broker, no clock and no network.

pub mod anomaly;
pub mod check;
pub mod cycle;
pub mod history;
pub mod order;
pub mod versions;

#[cfg(test)]
mod planted;
