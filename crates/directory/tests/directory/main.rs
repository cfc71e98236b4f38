//! Tests of the directory from outside.

mod bin;
mod common;
mod contacts;
mod dkim;
mod follow;
mod forwards;
mod job_events;
mod leaving;
mod log_in_and_route;
mod many;
mod migration;
mod move_calls;
mod move_steps;
mod moves;
mod names;
mod settings;
mod shares;
mod standby;
mod update;
