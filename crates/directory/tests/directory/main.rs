//! Tests of the directory from outside.

mod common;
mod log_in_and_route;
