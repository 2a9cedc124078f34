//! Chores: checks, tests, benches.

fn main() {}
