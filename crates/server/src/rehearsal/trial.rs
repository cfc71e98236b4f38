//! In the network of the rehearsal: the node is started, and for each user a log-in and a delivery are tried.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::dialog::{Imap, deliver};
use crate::child::{self, Node};

/// Where the rehearsed node speaks IMAP. Nobody else is in its network.
pub const IMAP: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 143);
/// Where it takes mail.
pub const LMTP: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 24);

/// What came of it for one user.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tried {
    /// The main address.
    pub address: String,
    /// Folders that were found after the log-in.
    pub folders: usize,
    /// Messages in them.
    pub messages: u64,
    /// Whether the message that was delivered lies in the INBOX: a filter may have put it elsewhere.
    pub is_in_inbox: bool,
    /// What failed.
    pub trouble: Option<String>,
}

impl Tried {
    /// Nothing could be tried.
    pub fn failed(address: &str, trouble: String) -> Self {
        Tried { address: address.to_owned(), folders: 0, messages: 0, is_in_inbox: false, trouble: Some(trouble) }
    }
}

/// Starts the node of this folder, tries each of these users (a JSON list of addresses), ends it.
///
/// # Errors
/// When it doesn't come to serve.
pub async fn run(folder: &Path, inside: &str) -> Result<Vec<Tried>> {
    let addresses: Vec<String> = serde_json::from_str(inside)?;
    let node = Node::start(folder).await?;
    let mut tried = Vec::new();
    for address in &addresses {
        tried.push(match one(folder, address).await {
            Ok(tried) => tried,
            Err(error) => Tried::failed(address, format!("{error:#}")),
        });
    }
    node.stop().await?;
    Ok(tried)
}

async fn one(folder: &Path, address: &str) -> Result<Tried> {
    let password = password(folder, address).await.context("no password can be made")?;
    let mut imap = Imap::login(IMAP, address, &password).await.context("the log-in failed")?;
    let folders = imap.folders().await.context("the folders can't be listed")?;
    let mut messages = 0;
    for folder in &folders {
        messages += imap.messages(folder).await.with_context(|| format!("{folder} can't be read"))?;
    }
    let id = format!("<{:x}@rehearsal.invalid>", u128::from_le_bytes(sterna_base::ids::random_bytes()));
    deliver(LMTP, address, &id).await.context("mail is not delivered")?;
    let is_in_inbox = imap.has("INBOX", &id).await.context("the INBOX can't be searched")?;
    Ok(Tried { address: address.to_owned(), folders: folders.len(), messages, is_in_inbox, trouble: None })
}

/// A password of the copy only: nobody has to tell theirs.
async fn password(folder: &Path, address: &str) -> Result<String> {
    let socket = folder.join("admin.sock").to_string_lossy().into_owned();
    let create = ["--socket", &socket, "--json", "app-password", "create", address, "rehearsal", "--protocol", "imap"];
    let made: serde_json::Value = serde_json::from_str(&child::run(&create).await?)?;
    Ok(made["password"].as_str().context("the answer has no password")?.to_owned())
}
