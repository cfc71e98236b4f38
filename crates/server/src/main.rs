//! The binary: configuration, roles, wiring, command line. The only crate that knows everyone.

mod admin;
mod cli;

fn main() {}
