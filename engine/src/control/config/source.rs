//! Where a setting has its value from.

/// Where a value comes from; the number is Kafka's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i8)]
pub enum Source {
    Topic = 1,
    /// Dynamic, for one broker.
    Broker = 2,
    /// Dynamic, for all brokers.
    AllBrokers = 3,
    /// The node's file or command line.
    Static = 4,
    Default = 5,
    Group = 8,
}
