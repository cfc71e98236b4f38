//! What administrators see of the queue, and what they do with it.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params_from_iter};
use serde::{Deserialize, Serialize};
use sterna_base::{OperationId, Timestamp};

use super::error::QueueError;
use super::message::{DeliveryId, Destination, QueueId};
use super::rows;
use super::store::Queue;

/// Deliveries that one transaction changes: others write in between.
const PER_TRANSACTION: usize = 500;

/// How long sending elsewhere and throwing away wait for tries that are under way: most end at once, and a server that
/// says nothing may take minutes, for which nobody waits at a command.
pub const TRY_PATIENCE: Duration = Duration::from_secs(5);

/// Which deliveries are meant: those for which everything holds that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// Of this message.
    pub id: Option<QueueId>,
    /// From this sender; `*` stands for anything, and `<>` for the null reverse-path.
    pub sender: Option<String>,
    /// With a recipient like this; `*` stands for anything.
    pub recipient: Option<String>,
    /// For this destination; `*` stands for anything.
    pub destination: Option<String>,
    /// Held, or not.
    pub held: Option<bool>,
}

/// A delivery as administrators see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// The row: listings go on after it.
    pub delivery: DeliveryId,
    /// The message.
    pub id: QueueId,
    /// The reverse-path.
    pub sender: String,
    /// Who brought it.
    pub origin: String,
    /// When.
    pub received: Timestamp,
    /// When it is given up.
    pub expires: Timestamp,
    /// Its length.
    pub size_bytes: u64,
    /// Where to.
    pub destination: String,
    /// Who waits.
    pub recipients: Vec<String>,
    /// Whether it waits for an administrator.
    pub held: bool,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next.
    pub next: Timestamp,
    /// When it was tried last.
    pub last: Option<Timestamp>,
    /// Which host was asked then.
    pub last_host: String,
    /// What was said.
    pub last_text: String,
}

/// What is done with deliveries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// They wait until they are released.
    Hold,
    /// They wait no longer.
    Release,
    /// They are tried now.
    Retry,
    /// They go somewhere else.
    Reroute(Destination),
    /// They are thrown away, and nobody is told.
    Delete,
}

/// With how many it was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acted {
    /// With so many.
    pub deliveries: u64,
    /// With so many it was not, because they are being tried.
    pub under_way: u64,
}

impl Action {
    /// Whether it must not happen during a try. Another server may have the message by then: what is sent elsewhere
    /// would arrive twice, and what is thrown away would arrive nevertheless. What only changes when it is tried next
    /// holds after the try.
    fn waits_for_tries(&self) -> bool {
        matches!(self, Action::Reroute(_) | Action::Delete)
    }
}

impl Filter {
    /// The condition and its values.
    fn condition(&self) -> (String, Vec<Value>) {
        let (mut parts, mut values) = (vec!["1".to_owned()], Vec::new());
        let mut add = |part: &str, value: Value| {
            values.push(value);
            parts.push(part.replace('?', &format!("?{}", values.len() + 1)));
        };
        if let Some(id) = &self.id {
            add("m.id = ?", Value::Blob(id.0.0.to_vec()));
        }
        if let Some(sender) = &self.sender {
            let sender = if sender == "<>" { "" } else { sender };
            add("m.mail_from LIKE ? ESCAPE '\\'", Value::Text(pattern(sender)));
        }
        if let Some(destination) = &self.destination {
            add("d.destination LIKE ? ESCAPE '\\'", Value::Text(pattern(destination)));
        }
        if let Some(recipient) = &self.recipient {
            let part = "EXISTS (SELECT 1 FROM recipient r WHERE r.delivery = d.id AND r.address LIKE ? ESCAPE '\\')";
            add(part, Value::Text(pattern(recipient)));
        }
        if let Some(held) = self.held {
            add("d.held = ?", Value::Integer(i64::from(held)));
        }
        (parts.join(" AND "), values)
    }
}

/// `*` stands for anything; everything else stands for itself.
fn pattern(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_").replace('*', "%")
}

impl Queue {
    /// Deliveries after this one, oldest first. A filter by anything but the message looks at every delivery.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn list(
        self: &Arc<Self>,
        filter: Filter,
        after: DeliveryId,
        limit: usize,
    ) -> Result<Vec<Listed>, QueueError> {
        self.read(move |connection| {
            let found = ids(connection, &filter, after, limit)?;
            let mut listed = Vec::with_capacity(found.len());
            for id in found {
                listed.extend(one(connection, id)?);
            }
            Ok(listed)
        })
        .await
    }

    /// Where deliveries go, as [`Destination`] writes it, and how many to each. Looks at every delivery.
    ///
    /// # Errors
    /// [`QueueError`].
    pub async fn count_by_destination(self: &Arc<Self>, limit: usize) -> Result<Vec<(Destination, u64)>, QueueError> {
        self.read(move |connection| {
            let sql = "SELECT destination, COUNT(*) FROM delivery GROUP BY destination ORDER BY destination LIMIT ?1";
            let mut statement = connection.prepare(sql)?;
            let rows =
                statement.query_map([limit as i64], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
            let mut found = Vec::new();
            for row in rows {
                let (destination, count) = row?;
                found.extend(destination.parse().ok().map(|destination| (destination, count.unsigned_abs())));
            }
            Ok(found)
        })
        .await
    }

    /// Does something with all deliveries that are meant, and says with how many; durable when it returns. What a try
    /// that is under way keeps from it is waited for, so long at most.
    ///
    /// # Errors
    /// [`QueueError`]; what was done before stays done.
    pub async fn act(
        self: &Arc<Self>,
        filter: Filter,
        action: Action,
        now: Timestamp,
        patience: Duration,
    ) -> Result<Acted, QueueError> {
        let (mut after, mut acted, mut tried) = (DeliveryId(0), Acted::default(), Vec::new());
        loop {
            let find = {
                let filter = filter.clone();
                move |connection: &Connection| ids(connection, &filter, after, PER_TRANSACTION)
            };
            let mut page = self.act_on(find, &action, now).await?;
            acted.deliveries += page.done;
            tried.append(&mut page.tried);
            match page.last {
                Some(last) if page.found == PER_TRANSACTION => after = last,
                _ => break,
            }
        }
        if !tried.is_empty() {
            self.tries.ended(&tried, patience).await;
        }
        for ids in tried.chunks(PER_TRANSACTION) {
            let (filter, ids) = (filter.clone(), ids.to_vec());
            // What became of the try decides whether they are still meant.
            let page = self.act_on(move |connection| still(connection, &filter, &ids), &action, now).await?;
            acted.deliveries += page.done;
            acted.under_way += page.tried.len() as u64;
        }
        Ok(acted)
    }

    /// Does it with those that are found and that nobody tries at present, in one transaction.
    async fn act_on(
        self: &Arc<Self>,
        find: impl FnOnce(&Connection) -> Result<Vec<DeliveryId>, QueueError> + Send + 'static,
        action: &Action,
        now: Timestamp,
    ) -> Result<ActedOn, QueueError> {
        let (action, tries) = (action.clone(), self.tries.clone());
        // No try begins with what is in these hands before the transaction is durable.
        let (page, gone, _leases) = self
            .write(move |connection| {
                let found = find(connection)?;
                let (mut gone, mut leases) = (Vec::new(), Vec::new());
                let mut page = ActedOn { found: found.len(), last: found.last().copied(), ..ActedOn::default() };
                for id in found {
                    if action.waits_for_tries() {
                        let Some(lease) = tries.take(id) else {
                            page.tried.push(id);
                            continue;
                        };
                        leases.push(lease);
                    }
                    gone.extend(apply(connection, id, &action, now)?);
                    page.done += 1;
                }
                Ok((page, gone, leases))
            })
            .await?;
        // Page by page: should a later one fail, what is due now by this one must not wait for the next news.
        self.news.tell_all();
        self.removed(gone).await?;
        Ok(page)
    }
}

/// What became of one transaction.
#[derive(Default)]
struct ActedOn {
    found: usize,
    last: Option<DeliveryId>,
    done: u64,
    /// Those that are being tried.
    tried: Vec<DeliveryId>,
}

/// Those that are still there and meant.
fn still(connection: &Connection, filter: &Filter, wanted: &[DeliveryId]) -> Result<Vec<DeliveryId>, QueueError> {
    let mut found = Vec::new();
    for id in wanted {
        found.extend(ids(connection, filter, DeliveryId(id.0 - 1), 1)?.into_iter().filter(|next| next == id));
    }
    Ok(found)
}

fn ids(
    connection: &Connection,
    filter: &Filter,
    after: DeliveryId,
    limit: usize,
) -> Result<Vec<DeliveryId>, QueueError> {
    let (condition, values) = filter.condition();
    let sql = format!(
        "SELECT d.id FROM delivery d JOIN message m ON m.seq = d.message WHERE d.id > ?1 AND {condition}
         ORDER BY d.id LIMIT {limit}"
    );
    let values = std::iter::once(Value::Integer(after.0)).chain(values);
    let mut statement = connection.prepare(&sql)?;
    let found = statement.query_map(params_from_iter(values), |row| Ok(DeliveryId(row.get(0)?)))?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

fn one(connection: &Connection, id: DeliveryId) -> Result<Option<Listed>, QueueError> {
    let sql = "SELECT m.id, m.mail_from, m.origin, m.received_ms, m.expires_ms, m.size_bytes, d.destination, d.held,
            d.attempts, d.next_ms, d.last_ms, d.last_host, d.last_text
        FROM delivery d JOIN message m ON m.seq = d.message WHERE d.id = ?1";
    let listed = |row: &Row<'_>| {
        Ok(Listed {
            delivery: id,
            id: QueueId(OperationId(row.get(0)?)),
            sender: row.get(1)?,
            origin: row.get(2)?,
            received: Timestamp(row.get(3)?),
            expires: Timestamp(row.get(4)?),
            size_bytes: row.get::<_, i64>(5)?.unsigned_abs(),
            destination: row.get(6)?,
            recipients: Vec::new(),
            held: row.get(7)?,
            attempts: row.get(8)?,
            next: Timestamp(row.get(9)?),
            last: row.get::<_, Option<i64>>(10)?.map(Timestamp),
            last_host: row.get(11)?,
            last_text: row.get(12)?,
        })
    };
    let Some(mut found) = connection.prepare_cached(sql)?.query_row([id.0], listed).optional()? else {
        return Ok(None);
    };
    found.recipients = rows::recipients(connection, id)?.into_iter().map(|known| known.rcpt.address).collect();
    Ok(Some(found))
}

/// Does it with one; the message that is gone with it, if one is.
fn apply(
    connection: &Connection,
    id: DeliveryId,
    action: &Action,
    now: Timestamp,
) -> Result<Option<QueueId>, QueueError> {
    let set = |sql: &str, value: Value| -> Result<Option<QueueId>, QueueError> {
        connection.prepare_cached(sql)?.execute([Value::Integer(id.0), value])?;
        Ok(None)
    };
    match action {
        Action::Hold => set("UPDATE delivery SET held = ?2 WHERE id = ?1", Value::Integer(1)),
        Action::Release => set("UPDATE delivery SET held = 0, next_ms = ?2 WHERE id = ?1", Value::Integer(now.0)),
        Action::Retry => set("UPDATE delivery SET next_ms = ?2 WHERE id = ?1", Value::Integer(now.0)),
        Action::Reroute(destination) => {
            connection
                .prepare_cached("UPDATE delivery SET next_ms = ?2 WHERE id = ?1")?
                .execute([Value::Integer(id.0), Value::Integer(now.0)])?;
            set("UPDATE delivery SET destination = ?2 WHERE id = ?1", Value::Text(destination.to_string()))
        }
        Action::Delete => {
            connection.prepare_cached("DELETE FROM recipient WHERE delivery = ?1")?.execute([id.0])?;
            rows::tidy(connection, id)
        }
    }
}
