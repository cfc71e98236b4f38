//! Every log-in of an administrator as a user is written into the record of the main node before it is one: an edge
//! that can't tell the main node lets nobody in so (decision 63).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sterna_base::{AccountId, NodeId, Timestamp};
use sterna_cluster::{ControlClient, Nodes};
use sterna_directory::auth::sudo::{SudoRecord, SudoUse};
use sterna_directory::{Directory, Reader, StorageError};

use crate::admin::records::{AuditLine, Records};

/// How long the main node is waited for.
const MAIN_WAIT_MAX: Duration = Duration::from_secs(5);

/// Programs that speak HTTP log in with every request: those of one from one place are one use for so long, in
/// milliseconds.
const SAME_USE_MS: i64 = 5 * 60 * 1000;

/// Uses that are remembered for that. All are forgotten when there are more.
const USES_MAX: usize = 10_000;

/// What an edge tells the main node.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Report {
    account: AccountId,
    id: String,
    protocol: String,
    peer: IpAddr,
}

/// See the module.
pub(crate) struct SudoDesk {
    directory: Directory,
    nodes: Arc<dyn Nodes>,
    others: ControlClient,
    records: OnceLock<Records>,
    noted: Mutex<HashMap<(String, IpAddr), Timestamp>>,
}

impl SudoDesk {
    /// Of a node.
    pub fn new(directory: Directory, nodes: Arc<dyn Nodes>, others: ControlClient) -> Self {
        SudoDesk { directory, nodes, others, records: OnceLock::new(), noted: Mutex::default() }
    }

    /// On the main node: where it is written.
    pub fn tell_records(&self, records: Option<Records>) {
        if let Some(records) = records {
            let _ = self.records.set(records);
        }
    }

    /// Writes down what an edge reports, on the main node.
    ///
    /// # Errors
    /// Why not, for the operator; then the edge lets nobody in.
    pub async fn take(&self, by: NodeId, report: Value) -> Result<(), String> {
        let report: Report = serde_json::from_value(report).map_err(|error| error.to_string())?;
        tracing::info!(edge = %by, account = %report.account, protocol = report.protocol, "an administrator as a user");
        self.write(report).await
    }

    async fn write(&self, report: Report) -> Result<(), String> {
        let records = self.records.get().ok_or("there is no record on this node, or not yet")?;
        let Report { account, id, protocol, peer } = report;
        let asked = id.clone();
        let read = move |reader: &Reader<'_>| {
            let found = reader.app_passwords(account)?.into_iter().map(|found| found.value);
            let sudo = found.into_iter().find(|found| found.id == asked).and_then(|found| found.sudo);
            let entry = reader.entry(account)?;
            let user = entry.map(|entry| reader.address_text(&entry.value.entry().address)).transpose()?.flatten();
            Ok::<_, StorageError>(sudo.zip(user))
        };
        let found = self.directory.read(read).await.map_err(|error| error.to_string())?;
        let (sudo, user) = found.ok_or("nobody works as this user with it any more")?;
        let line = AuditLine {
            number: 0,
            at: self.directory.now(),
            who: format!("{} as {user}", sudo.by),
            via: format!("sudo {id}"),
            peer: peer.to_string(),
            method: "LOGIN".to_owned(),
            path: protocol,
            status: 200,
            subject: Some(account),
            body: String::new(),
        };
        records.note(line).await.map(drop).map_err(|error| error.to_string())
    }

    /// Whether it is the same use as one that was noted a short while ago.
    fn is_noted(&self, key: &(String, IpAddr), now: Timestamp) -> bool {
        self.noted.lock().get(key).is_some_and(|at| now.0 - at.0 < SAME_USE_MS)
    }
}

#[async_trait]
impl SudoRecord for SudoDesk {
    async fn note(&self, used: SudoUse) -> Result<(), String> {
        let SudoUse { account, id, protocol, peer } = used;
        let (key, now) = ((id.clone(), peer), self.directory.now());
        let repeats = protocol == "dav";
        if repeats && self.is_noted(&key, now) {
            return Ok(());
        }
        let report = Report { account, id, protocol, peer };
        if self.directory.is_main() {
            self.write(report).await?;
        } else {
            let main = self.nodes.main().ok_or("no main node is known")?;
            let report = serde_json::to_value(report).map_err(|error| error.to_string())?;
            let told = tokio::time::timeout(MAIN_WAIT_MAX, self.others.report(main, &report)).await;
            told.map_err(|_| "the main node did not answer in time".to_owned())?.map_err(|error| error.to_string())?;
        }
        if repeats {
            let mut noted = self.noted.lock();
            if noted.len() >= USES_MAX {
                noted.clear();
            }
            noted.insert(key, now);
        }
        Ok(())
    }
}
