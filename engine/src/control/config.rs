//! Kafka's settings: names, defaults, validation, what they mean here.
