//! Arguments of the commands that work on the machine itself.

use std::path::PathBuf;

use clap::Args;

/// Where a node keeps everything unless told otherwise.
pub const NODE_FOLDER: &str = "/var/lib/sterna";

/// Arguments of `sterna init`.
#[derive(Clone, Debug, Args)]
pub struct InitArgs {
    /// What this node is called; the machine's own name when left out
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The main node's address: join its installation. Without it, this machine becomes the first node of a new one
    #[arg(long, value_name = "HOST:PORT", requires = "token")]
    pub join: Option<String>,
    /// The one-time token from `sterna server invite`; @FILE reads it from a file
    #[arg(long, value_name = "TOKEN", env = "STERNA_JOIN_TOKEN", hide_env_values = true, requires = "join")]
    pub token: Option<String>,
    /// What this node does: main, data, edge. All three for a new installation, data for a joining node
    #[arg(long, value_name = "ROLES", value_delimiter = ',')]
    pub roles: Vec<String>,
    /// Where other nodes reach this one; NAME:7700 when left out
    #[arg(long, value_name = "HOST:PORT")]
    pub address: Option<String>,
    /// Where this node listens for other nodes
    #[arg(long, value_name = "IP:PORT", default_value = "0.0.0.0:7700")]
    pub cluster_listen: std::net::SocketAddr,
    /// Whether it takes another machine's place: `sterna migrate from`.
    #[arg(skip)]
    pub migrates: bool,
}

impl Default for InitArgs {
    fn default() -> Self {
        let cluster_listen = std::net::SocketAddr::from(([0, 0, 0, 0], 7700));
        InitArgs {
            name: None,
            join: None,
            token: None,
            roles: Vec::new(),
            address: None,
            cluster_listen,
            migrates: false,
        }
    }
}

/// Arguments of `sterna check`.
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// The accounts to verify, by address or id; all of this node when none is given
    #[arg(value_name = "ACCOUNT")]
    pub accounts: Vec<String>,
    /// Also read every body and compare it with its name
    #[arg(long)]
    pub deep: bool,
}

/// Arguments of `sterna demo`.
#[derive(Clone, Debug, Args)]
pub struct DemoArgs {
    /// Keep the data in this folder and start again from it
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Take ports from this number on instead of free ones
    #[arg(long, value_name = "PORT")]
    pub port_base: Option<u16>,
}
