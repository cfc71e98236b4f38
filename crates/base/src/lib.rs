//! What every other crate stands on: ids, time, randomness, named sizes and atomic files.
//!
//! Small and calm on purpose: an edit here rebuilds everything. It knows no protocol, no store and no network.

pub mod atomic_file;
pub mod clock;
pub mod failpoint;
pub mod ids;
pub mod limits;
pub mod secret;
pub mod session_limits;
pub mod shared_file;
pub mod version;

pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use ids::{
    AccountId, BlobHash, ContainerId, DomainId, Epoch, InstallationId, JobId, Modseq, NodeId, OperationId, Uid,
    UidValidity,
};
pub use secret::Secret;
pub use version::Version;
