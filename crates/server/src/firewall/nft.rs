//! nft(8), which loads rules. Netlink of our own would have to be as good as its parser, checks and transactions.

use std::io;
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::rules::table;

/// How long it may take.
const WAIT_MAX: Duration = Duration::from_secs(20);
/// Letters of its complaint that are told.
const COMPLAINT_MAX: usize = 300;

/// Why rules are not loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NftError {
    /// There is no such program.
    #[error("the program nft is not installed")]
    Missing,
    /// The system doesn't let this program do it.
    #[error("this program may not change the firewall of the machine")]
    Denied,
    /// It said something else.
    #[error("nft: {0}")]
    Failed(String),
    /// It hangs.
    #[error("nft did not end within {} s", WAIT_MAX.as_secs())]
    TimedOut,
}

impl NftError {
    /// What to do.
    pub fn remedy(&self) -> &'static str {
        match self {
            NftError::Missing => "Install it (apt install nftables); it is tried again every half minute.",
            NftError::Denied => {
                "Let the service do it: systemctl edit sterna, with [Service], \
                 AmbientCapabilities=CAP_NET_BIND_SERVICE CAP_NET_ADMIN, \
                 CapabilityBoundingSet=CAP_NET_BIND_SERVICE CAP_NET_ADMIN and \
                 RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK, then systemctl restart sterna. Or load \
                 the rules by hand there: sterna firewall rules SERVER."
            }
            NftError::Failed(_) | NftError::TimedOut => {
                "See what it says there: sterna firewall rules SERVER | nft --check --file -"
            }
        }
    }
}

/// Loads this, in place of what is loaded of ours.
pub async fn load(rules: &str) -> Result<(), NftError> {
    run(&["--file", "-"], rules).await.map(drop)
}

/// Takes our table away; there being none is success.
pub async fn unload(own_port: u16) -> Result<(), NftError> {
    let table = table(own_port);
    load(&format!("table {table}\ndelete table {table}\n")).await
}

/// Whether our table is loaded. Whoever may not look knows of none: nor could it have been loaded.
pub async fn is_loaded(own_port: u16) -> Result<bool, NftError> {
    let table = table(own_port);
    let arguments: Vec<_> = ["list", "table"].into_iter().chain(table.split(' ')).collect();
    match run(&arguments, "").await {
        Ok(_) => Ok(true),
        Err(NftError::Failed(complaint)) if complaint.contains("No such file or directory") => Ok(false),
        Err(error) => Err(error),
    }
}

async fn run(arguments: &[&str], input: &str) -> Result<Output, NftError> {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut program = Command::new("nft");
    // People who are not root often have no folder with it in their path.
    program.env("PATH", format!("{path}:/usr/sbin:/sbin")).env("LC_ALL", "C").args(arguments);
    program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut process = program.spawn().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => NftError::Missing,
        io::ErrorKind::PermissionDenied => NftError::Denied,
        _ => NftError::Failed(error.to_string()),
    })?;
    let (stdin, input) = (process.stdin.take(), input.to_owned());
    let done = async {
        if let Some(mut stdin) = stdin {
            // Whoever doesn't read to the end has complained already.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        process.wait_with_output().await
    };
    let output = tokio::time::timeout(WAIT_MAX, done).await.map_err(|_| NftError::TimedOut)?;
    let output = output.map_err(|error| NftError::Failed(error.to_string()))?;
    if output.status.success() {
        return Ok(output);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("Operation not permitted") || said.contains("Permission denied") {
        return Err(NftError::Denied);
    }
    Err(NftError::Failed(said.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(COMPLAINT_MAX).collect()))
}
