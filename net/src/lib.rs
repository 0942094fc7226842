//! The broker around the engine: sockets, the Kafka protocol, the process.
