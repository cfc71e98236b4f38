//! The account of the IMAP dialogs on another node: the sessions speak with it over mutual TLS.

use std::any::Any;
use std::sync::Arc;

use sterna_account::local::LocalAccounts;
use sterna_account::service::Accounts;
use sterna_base::AccountId;
use sterna_cluster::PlacedAccounts;

use crate::support::Installation;

/// Accounts with their first folders, as `place.rs` beside the dialogs describes it. All but the first are on a node of
/// their own.
pub struct Place {
    pub accounts: Arc<dyn Accounts>,
    pub local: Arc<LocalAccounts>,
    pub elsewhere: Arc<LocalAccounts>,
    pub kept: Box<dyn Any + Send + Sync>,
}

impl Place {
    pub async fn of(first: AccountId, others: &[AccountId]) -> Self {
        let installation = Installation::new().await;
        let data = installation.add_node("data").await;
        installation.add_account(first, &data).await;
        let mut elsewhere = data.local.clone();
        let mut nodes = vec![data];
        if !others.is_empty() {
            let node = installation.add_node("elsewhere").await;
            for other in others {
                installation.add_account(*other, &node).await;
            }
            elsewhere = node.local.clone();
            nodes.push(node);
        }
        // Without accounts of its own: there is no way around the network.
        let accounts = PlacedAccounts::new(installation.main.peers.clone(), installation.world.clone(), None);
        Place { accounts, local: nodes[0].local.clone(), elsewhere, kept: Box::new((installation, nodes)) }
    }
}

#[test]
fn every_dialog_is_played_here_too() {
    // Log-ins know no place, costs are an account's own; the others need what only one node has.
    let of_imap = [
        "main.rs",
        "place.rs",
        "authority.rs",
        "certificate.rs",
        "costs.rs",
        "ends.rs",
        "external.rs",
        "failing.rs",
        "faults.rs",
        "halves.rs",
        "recent.rs",
        "scram.rs",
        "tokens.rs",
    ];
    let of_pop3 = ["main.rs", "ends.rs", "faults.rs", "limits.rs", "log_ins.rs"];
    for (protocol, elsewhere) in [("imap", &of_imap[..]), ("pop3", &of_pop3)] {
        let folder = format!("{}/../crates/protocols/tests/{protocol}", env!("CARGO_MANIFEST_DIR"));
        for entry in std::fs::read_dir(folder).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let is_played = include_str!("main.rs").contains(&format!("{protocol}/{name}\"]"));
            assert!(elsewhere.contains(&name.as_str()) || is_played, "{protocol}/{name} is missing");
        }
    }
}
