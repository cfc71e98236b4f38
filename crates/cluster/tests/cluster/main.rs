//! Nodes of an installation talking over real TLS on loopback, all in one process.

mod accounts;
mod joining;
mod limits;
mod outages;
mod support;
mod trust;
