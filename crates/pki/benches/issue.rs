//! How long issuing takes.
fn main() {}
