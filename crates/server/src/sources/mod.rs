//! Sources of people: directories elsewhere that fill a domain here, and check its log-ins.
//!
//! [`ldap`] reads what is there, [`plan`] compares it with what is here (a pure function, so that a dry run shows
//! exactly what a run does), [`apply`] does it, [`runs`] remembers what came of it, [`schedule`] begins runs by itself
//! on the main node, and [`logins`] checks passwords on every node.

pub mod apply;
pub mod ldap;
pub mod logins;
pub mod plan;
pub mod run;
pub mod runs;
pub mod schedule;
