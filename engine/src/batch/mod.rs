//! Kafka's record batch v2: its header in place, validation, and the records within.
