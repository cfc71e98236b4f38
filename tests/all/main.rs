//! The program as its users see it.

mod clients;
mod corpus;
mod failures;
mod frozen;
mod ledger;
mod nodes;
mod partition;
