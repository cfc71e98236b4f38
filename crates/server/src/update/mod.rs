//! Updates of the program: which version runs here, and how the next one takes over.

pub mod desk;
pub mod handover;
pub mod programs;
pub mod record;
pub mod repository;
pub mod sockets;
pub mod surroundings;
pub mod trial;
