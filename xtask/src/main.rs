//! Part of Lanyard.
fn main() {}
