//! Partitions: what a journal's entries add up to.
