//! Arguments of the commands that work on the machine itself.

use std::path::PathBuf;

use clap::Args;

/// Arguments of `sterna init`.
#[derive(Clone, Debug, Default, Args)]
pub struct InitArgs {
    /// Join an installation with this one-time token; without it, this machine becomes the first node of a new one
    #[arg(long, value_name = "TOKEN", env = "STERNA_JOIN_TOKEN", hide_env_values = true)]
    pub join: Option<String>,
    /// What this node is called
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Where the node keeps its data
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
}

/// Arguments of `sterna serve`.
#[derive(Clone, Debug, Default, Args)]
pub struct ServeArgs {}

/// Arguments of `sterna check`.
#[derive(Clone, Debug, Default, Args)]
pub struct CheckArgs {
    /// The accounts to verify, by address or id; all of this node when none is given
    #[arg(value_name = "ACCOUNT")]
    pub accounts: Vec<String>,
}

/// Arguments of `sterna demo`.
#[derive(Clone, Debug, Default, Args)]
pub struct DemoArgs {
    /// Keep the data in this folder and start again from it
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Take ports from this number on instead of free ones
    #[arg(long, value_name = "PORT")]
    pub port_base: Option<u16>,
}
