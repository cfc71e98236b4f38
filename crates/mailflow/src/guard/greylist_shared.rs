//! What one edge's greylist tells the others, and takes from them; and what administrators see and delete.
//!
//! A row says by itself which of two is right, so that the order in which edges hear of each other does not matter: of
//! two that wait the one that waits longer, one that was let in before one that waits, and what was deleted goes unless
//! something was heard later.

use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use sterna_account::edge_guard::{GreylistRow, NetworkRow, ROWS_MAX};
use sterna_base::{NodeId, Timestamp};

use super::greylist_store::{NEVER_MS, Written};

/// How far the file of an edge is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known {
    /// Which file.
    pub file: i64,
    /// Up to which of its changes.
    pub seq: i64,
}

/// Own changes since then.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct OwnChanges {
    /// How far they go.
    pub upto: Known,
    /// Triples.
    pub triples: Vec<GreylistRow>,
    /// Networks.
    pub networks: Vec<NetworkRow>,
    /// Whether there is more.
    pub has_more: bool,
}

/// Which rows are meant: those for which everything holds that is given. `*` stands for anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GreylistFilter {
    /// The network.
    pub network: Option<String>,
    /// The sender; `<>` is the null reverse-path.
    pub sender: Option<String>,
    /// The recipient.
    pub recipient: Option<String>,
}

/// What a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GreylistState {
    /// It has to come again.
    Waiting,
    /// It was let in, and need not wait any more.
    Passed,
    /// A network from which nobody waits; it has no sender and no recipient.
    Good,
}

/// A row as administrators see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Greylisted {
    /// The network.
    pub network: String,
    /// The sender.
    pub sender: String,
    /// The recipient.
    pub recipient: String,
    /// What it is.
    pub state: GreylistState,
    /// When it was heard of first; of networks, last.
    pub first: Timestamp,
    /// When it was heard of last.
    pub last: Timestamp,
}

/// The key of a row, after which a listing goes on.
pub type GreylistKey = (String, String, String);

impl Written<'_> {
    /// This edge's own changes since, in their order.
    pub(super) fn changes(&self, since: Known) -> Result<OwnChanges, rusqlite::Error> {
        let sql = "SELECT file, seq FROM own";
        let own =
            self.tx.prepare_cached(sql)?.query_row([], |row| Ok(Known { file: row.get(0)?, seq: row.get(1)? }))?;
        let after = if since.file == own.file { since.seq } else { 0 };
        let limit = ROWS_MAX as i64;
        let sql = "SELECT network, sender, recipient, first_ms, last_ms, passed, seq FROM triple
            WHERE seq > ?1 AND seq > 0 ORDER BY seq LIMIT ?2";
        let mut triples = self.rows(sql, after, limit, 6, triple)?;
        let sql = "SELECT network, passed, last_ms, seq FROM client WHERE seq > ?1 AND seq > 0 ORDER BY seq LIMIT ?2";
        let network =
            |row: &Row<'_>| Ok(NetworkRow { network: row.get(0)?, passed: row.get(1)?, last_ms: row.get(2)? });
        let mut networks = self.rows(sql, after, limit, 3, network)?;
        // Of what is cut off nothing may be passed over: the answer goes as far as the shorter of the two.
        let full = |count: usize, last: Option<i64>| if count == ROWS_MAX { last } else { None };
        let cut = [
            full(triples.len(), triples.last().map(|(seq, _)| *seq)),
            full(networks.len(), networks.last().map(|(seq, _)| *seq)),
        ];
        let cut = cut.into_iter().flatten().min();
        if let Some(cut) = cut {
            triples.retain(|(seq, _)| *seq <= cut);
            networks.retain(|(seq, _)| *seq <= cut);
        }
        Ok(OwnChanges {
            upto: Known { seq: cut.unwrap_or(own.seq), ..own },
            triples: triples.into_iter().map(|(_, row)| row).collect(),
            networks: networks.into_iter().map(|(_, row)| row).collect(),
            has_more: cut.is_some(),
        })
    }

    /// Rows with the number of the change that made them, which is in this column.
    fn rows<T>(
        &self,
        sql: &str,
        after: i64,
        limit: i64,
        seq: usize,
        of: impl Fn(&Row<'_>) -> Result<T, rusqlite::Error>,
    ) -> Result<Vec<(i64, T)>, rusqlite::Error> {
        let mut statement = self.tx.prepare_cached(sql)?;
        let rows = statement.query_map([after, limit], |row| Ok((row.get(seq)?, of(row)?)))?;
        rows.collect()
    }

    /// How far another edge's file is known.
    pub(super) fn known_of(&self, node: NodeId) -> Result<Known, rusqlite::Error> {
        let sql = "SELECT file, seq FROM edge WHERE node = ?1";
        let known = |row: &Row<'_>| Ok(Known { file: row.get(0)?, seq: row.get(1)? });
        Ok(self.tx.prepare_cached(sql)?.query_row([&node.0[..]], known).optional()?.unwrap_or_default())
    }

    /// Takes what another edge said. `window_ms` is how long senders may wait.
    pub(super) fn learn(
        &mut self,
        node: NodeId,
        told: &OwnChanges,
        window_ms: i64,
        now: Timestamp,
    ) -> Result<(), rusqlite::Error> {
        self.tidy(told.triples.len() + told.networks.len(), window_ms, now)?;
        for row in &told.triples {
            self.learn_triple(row, window_ms)?;
        }
        for row in &told.networks {
            self.learn_network(row)?;
        }
        let sql = "INSERT INTO edge (node, file, seq) VALUES (?1, ?2, ?3)
            ON CONFLICT (node) DO UPDATE SET file = ?2, seq = ?3";
        self.tx.prepare_cached(sql)?.execute(params![&node.0[..], told.upto.file, told.upto.seq])?;
        Ok(())
    }

    fn learn_triple(&self, told: &GreylistRow, window_ms: i64) -> Result<(), rusqlite::Error> {
        let sql = "SELECT network, sender, recipient, first_ms, last_ms, passed FROM triple
            WHERE network = ?1 AND sender = ?2 AND recipient = ?3";
        let key = params![told.network, told.sender, told.recipient];
        let own = self.tx.prepare_cached(sql)?.query_row(key, triple).optional()?;
        let Some(right) = own.map_or_else(|| Some(told.clone()), |own| righter(&own, told, window_ms)) else {
            return Ok(());
        };
        let sql = "INSERT INTO triple (network, sender, recipient, first_ms, last_ms, passed, seq)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0) ON CONFLICT (network, sender, recipient) DO UPDATE
            SET first_ms = ?4, last_ms = ?5, passed = ?6";
        let GreylistRow { network, sender, recipient, first_ms, last_ms, passed } = right;
        self.tx.prepare_cached(sql)?.execute(params![network, sender, recipient, first_ms, last_ms, passed])?;
        Ok(())
    }

    /// Counts of several edges are not added up: nobody could say which of them were counted before. The larger one
    /// holds, and a network that was deleted (none came again) counts from then on.
    fn learn_network(&self, told: &NetworkRow) -> Result<(), rusqlite::Error> {
        let sql = "INSERT INTO client (network, passed, last_ms, seq) VALUES (?1, ?2, ?3, 0)
            ON CONFLICT (network) DO UPDATE
            SET passed = CASE WHEN ?2 = 0 OR passed = 0 THEN CASE WHEN ?3 >= last_ms THEN ?2 ELSE passed END
                ELSE max(passed, ?2) END,
            last_ms = max(last_ms, ?3)";
        self.tx.prepare_cached(sql)?.execute(params![told.network, told.passed, told.last_ms])?;
        Ok(())
    }

    /// Deletes these rows, at most [`ROWS_MAX`]; how many there were. They stay for a while as rows of what was never
    /// heard of, so that other edges hear that they are gone: each with a number of its own, because answers to other
    /// edges are cut off between numbers.
    pub(super) fn delete(&self, keys: &[GreylistKey], now: Timestamp) -> Result<u64, rusqlite::Error> {
        let mut deleted = 0;
        for (network, sender, recipient) in keys.iter().take(ROWS_MAX) {
            let seq = self.next_seq()?;
            // Only networks have neither: the null reverse-path is written as `@`.
            deleted += if sender.is_empty() && recipient.is_empty() {
                let sql = "UPDATE client SET passed = 0, last_ms = max(last_ms, ?2), seq = ?3
                    WHERE passed > 0 AND network = ?1";
                self.tx.prepare_cached(sql)?.execute(params![network, now.0, seq])?
            } else {
                let sql = "UPDATE triple SET first_ms = ?4, last_ms = max(last_ms, ?5), passed = 0, seq = ?6
                    WHERE first_ms > ?4 AND network = ?1 AND sender = ?2 AND recipient = ?3";
                let values = params![network, sender, recipient, NEVER_MS, now.0, seq];
                self.tx.prepare_cached(sql)?.execute(values)?
            };
        }
        Ok(deleted as u64)
    }
}

impl GreylistFilter {
    /// For LIKE: network, sender, recipient.
    pub(super) fn patterns(&self) -> [String; 3] {
        let pattern = |text: &Option<String>| {
            let text = text.as_deref().unwrap_or("*").to_lowercase();
            text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_").replace('*', "%")
        };
        // The null reverse-path has neither a local part nor a domain.
        let sender = if self.sender.as_deref() == Some("<>") { "@".to_owned() } else { pattern(&self.sender) };
        [pattern(&self.network), sender, pattern(&self.recipient)]
    }
}

fn triple(row: &Row<'_>) -> Result<GreylistRow, rusqlite::Error> {
    Ok(GreylistRow {
        network: row.get(0)?,
        sender: row.get(1)?,
        recipient: row.get(2)?,
        first_ms: row.get(3)?,
        last_ms: row.get(4)?,
        passed: row.get(5)?,
    })
}

/// What holds of two rows of the same triple; `None` when it is our own as it is.
fn righter(own: &GreylistRow, told: &GreylistRow, window_ms: i64) -> Option<GreylistRow> {
    let is_gone = |row: &GreylistRow| row.first_ms <= NEVER_MS;
    if is_gone(own) || is_gone(told) {
        return (told.last_ms > own.last_ms).then(|| told.clone());
    }
    // Who waited here longer than anybody may begins again when it comes: that is no reason to begin again elsewhere.
    let is_one_wait = (own.first_ms - told.first_ms).abs() <= window_ms;
    let first_ms = match (own.passed, told.passed) {
        (false, false) if !is_one_wait => own.first_ms.max(told.first_ms),
        _ => own.first_ms.min(told.first_ms),
    };
    let (last_ms, passed) = (own.last_ms.max(told.last_ms), own.passed || told.passed);
    let right = GreylistRow { first_ms, last_ms, passed, ..own.clone() };
    (right != *own).then_some(right)
}
