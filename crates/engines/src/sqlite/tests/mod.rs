//! What only this engine can be asked: power cuts, failed flushes, full disks, formats and costs. What every engine
//! must do is in the conformance suite.

mod cost;
mod duplicate;
mod failed_sync;
mod follow;
mod formats;
mod full_disk;
mod history;
mod inspection;
mod power_cut;
