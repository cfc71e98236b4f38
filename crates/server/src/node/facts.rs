//! What this program is, for those who decide whether it may run.

use serde::{Deserialize, Serialize};
use sterna_base::Version;
use sterna_base::version;
use sterna_cluster::rpc::wire::RELEASE;

use crate::cli::Exit;

/// What a program says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    /// Its version.
    pub version: Version,
    /// Its release as nodes compare it.
    pub release: u32,
    /// The format of accounts that it writes.
    pub store_format: u32,
    /// The format of the directory that it writes.
    pub directory_format: i64,
}

/// Of this program.
pub fn own() -> Facts {
    Facts {
        version: version::own(),
        release: RELEASE,
        store_format: sterna_engines::sqlite::FORMAT,
        directory_format: sterna_directory::FORMAT,
    }
}

/// Prints them.
#[allow(clippy::print_stdout)]
pub fn print() -> Exit {
    match serde_json::to_string(&own()) {
        Ok(text) => {
            println!("{text}");
            Exit::Done
        }
        Err(_) => Exit::Failed,
    }
}
