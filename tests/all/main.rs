//! The program as its users see it.

mod cli;
mod clients;
mod corpus;
mod failures;
mod floods;
mod frozen;
mod full_disk;
mod joining;
mod ledger;
mod nodes;
mod partition;
