//! A machine takes another one's place (decision 48): what is done next, and what the two machines say to each other.

pub mod calls;
pub mod step;
#[cfg(test)]
mod step_tests;
