//! Account handles: one interface, whether the account lives here or on another node.

mod doubt;
pub mod placed;
pub mod remote;
mod staged;
pub mod upload;
pub mod watches;

pub use placed::PlacedAccounts;
pub use remote::RemoteAccount;
