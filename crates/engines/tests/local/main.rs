//! The accounts of a node (`sterna_account::local`) over an engine that tests can hold up, break and count.

mod closing;
mod commits;
mod copies;
mod derived;
mod failures;
mod feeding;
mod lookups;
mod retention;
mod scripts;
mod watched;
