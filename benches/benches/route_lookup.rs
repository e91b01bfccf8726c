//! Route lookup.
fn main() {}
