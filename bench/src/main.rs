//! The load generator's binary.
fn main() {}
