//! The open entry: batches are copied into it as they arrive.
