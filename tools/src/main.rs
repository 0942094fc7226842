//! The dump tool's binary.
fn main() {}
