//! `sterna aside`: what failovers left behind on this server. Works on the node's folder, whether it runs or not.

use std::path::PathBuf;

use clap::Subcommand;

/// The commands of `sterna aside`.
#[derive(Debug, Subcommand)]
pub enum AsideCommand {
    /// List the stores that were set aside on this server because a failover lost what they have
    List,
    /// Write what an account lost into a folder: a file for each message, and a list of the other changes
    Export {
        /// Which, as `list` names it
        name: String,
        /// A folder that is made
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
    },
    /// Delete a store that was set aside; what it alone has is gone then
    Delete {
        /// Which, as `list` names it
        name: String,
        /// Really
        #[arg(long)]
        yes: bool,
    },
}
