//! The queue's statements: each is part of a transaction of [`super::writer`], or of a reader.

use rusqlite::{Connection, OptionalExtension, Row, params};
use sterna_account::service::Rcpt;
use sterna_base::{BlobHash, OperationId, Timestamp};

use super::error::QueueError;
use super::message::{
    Again, Delivery, DeliveryId, Destination, NewDelivery, NewMessage, QueueId, QueuedEnvelope, QueuedRecipient,
    RecipientId, Said,
};
use crate::delivery::Keep;
use crate::provenance::{Provenance, Vouched};

/// Puts a message with its deliveries in; a content that is not given is in a file. A message that is there already
/// (a repeated request) is left as it is.
pub fn insert(
    connection: &Connection,
    message: &NewMessage,
    content: Option<&[u8]>,
) -> Result<Vec<DeliveryId>, QueueError> {
    let envelope = &message.envelope;
    let sql = "INSERT INTO message (id, mail_from, envelope_id, return_headers_only, eight_bit, utf8, origin,
            received_ms, expires_ms, size_bytes, hash, junk, verified, submitted, vouched)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15) ON CONFLICT (id) DO NOTHING";
    let added = connection.prepare_cached(sql)?.execute(params![
        message.id.0.0,
        envelope.mail_from,
        envelope.envelope_id,
        envelope.return_headers_only,
        envelope.eight_bit,
        envelope.utf8,
        envelope.origin,
        envelope.received.0,
        envelope.expires.0,
        i64::try_from(message.size_bytes).unwrap_or(i64::MAX),
        message.hash.0,
        number(envelope.keep),
        envelope.provenance.is_verified,
        envelope.provenance.is_submitted,
        vouched_text(&envelope.provenance.vouched),
    ])?;
    if added == 0 {
        return Ok(Vec::new());
    }
    let seq = connection.last_insert_rowid();
    connection.prepare_cached("INSERT INTO body (seq, content) VALUES (?1, ?2)")?.execute(params![seq, content])?;
    message.deliveries.iter().map(|delivery| insert_delivery(connection, seq, delivery)).collect()
}

/// Rows of [`is_new`] that go at a time, when one comes.
const FORGOTTEN_MAX: i64 = 64;

/// Notes that a message of this id was put in; false when that was noted before.
pub fn is_new(connection: &Connection, id: QueueId, now: Timestamp, until: Timestamp) -> Result<bool, QueueError> {
    let sql = "DELETE FROM once WHERE id IN (SELECT id FROM once WHERE until_ms <= ?1 ORDER BY until_ms LIMIT ?2)";
    connection.prepare_cached(sql)?.execute(params![now.0, FORGOTTEN_MAX])?;
    let sql = "INSERT INTO once (id, until_ms) VALUES (?1, ?2) ON CONFLICT (id) DO NOTHING";
    Ok(connection.prepare_cached(sql)?.execute(params![id.0.0, until.0])? > 0)
}

fn insert_delivery(connection: &Connection, seq: i64, delivery: &NewDelivery) -> Result<DeliveryId, QueueError> {
    let sql = "INSERT INTO delivery (message, destination, next_ms, deadline_ms, held, attempts, warned, last_host,
            last_text)
        VALUES (?1, ?2, ?3, ?4, 0, 0, 0, '', '')";
    let destination = delivery.destination.to_string();
    connection.prepare_cached(sql)?.execute(params![seq, destination, delivery.next.0, delivery.deadline.0])?;
    let id = connection.last_insert_rowid();
    let sql = "INSERT INTO recipient (delivery, address, original, notify) VALUES (?1, ?2, ?3, ?4)";
    let mut statement = connection.prepare_cached(sql)?;
    for rcpt in &delivery.recipients {
        statement.execute(params![id, rcpt.address, rcpt.original, rcpt.notify])?;
    }
    Ok(DeliveryId(id))
}

/// The destinations that something waits for, after this one, each with the time of its first delivery. It jumps from
/// one destination to the next in the index, whatever the number of messages.
pub fn destinations(
    connection: &Connection,
    after: &str,
    limit: usize,
) -> Result<Vec<(Destination, Timestamp)>, QueueError> {
    let sql = "SELECT destination, next_ms FROM delivery WHERE held = 0 AND destination > ?1
        ORDER BY destination, next_ms LIMIT 1";
    let mut statement = connection.prepare_cached(sql)?;
    let mut found: Vec<(Destination, Timestamp)> = Vec::new();
    let mut after = after.to_owned();
    while found.len() < limit {
        let next = statement.query_row([&after], |row| Ok((row.get::<_, String>(0)?, row.get(1)?))).optional()?;
        let Some((name, next_ms)) = next else { break };
        found.push((destination(&name)?, Timestamp(next_ms)));
        after = name;
    }
    Ok(found)
}

/// The deliveries for a destination whose time has come, oldest first, without those that are known already.
pub fn due(
    connection: &Connection,
    destination: &Destination,
    now: Timestamp,
    known: &dyn Fn(DeliveryId) -> bool,
    limit: usize,
) -> Result<Vec<DeliveryId>, QueueError> {
    let sql = "SELECT id FROM delivery WHERE held = 0 AND destination = ?1 AND next_ms <= ?2 ORDER BY next_ms, id";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(params![destination.to_string(), now.0])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let id = DeliveryId(row.get(0)?);
        if !known(id) {
            found.push(id);
        }
        if found.len() >= limit {
            break;
        }
    }
    Ok(found)
}

/// When the next delivery for a destination becomes due after now; `None` when none does.
pub fn next_due(
    connection: &Connection,
    destination: &Destination,
    now: Timestamp,
) -> Result<Option<Timestamp>, QueueError> {
    let sql = "SELECT next_ms FROM delivery WHERE held = 0 AND destination = ?1 AND next_ms > ?2
        ORDER BY next_ms LIMIT 1";
    let mut statement = connection.prepare_cached(sql)?;
    let found = statement.query_row(params![destination.to_string(), now.0], |row| row.get(0)).optional()?;
    Ok(found.map(Timestamp))
}

/// One delivery with its recipients; `None` when it is gone or held.
pub fn delivery(connection: &Connection, id: DeliveryId) -> Result<Option<Delivery>, QueueError> {
    let sql = "SELECT d.destination, d.attempts, d.warned, m.id, m.mail_from, m.envelope_id, m.return_headers_only,
            m.eight_bit, m.utf8, m.origin, m.received_ms, m.expires_ms, m.size_bytes, m.hash, m.junk,
            m.verified, m.submitted, m.vouched
        FROM delivery d JOIN message m ON m.seq = d.message WHERE d.id = ?1 AND d.held = 0";
    let found = connection
        .prepare_cached(sql)?
        .query_row([id.0], |row| {
            let delivery = Delivery {
                id,
                message: QueueId(OperationId(row.get(3)?)),
                // Replaced below, where its text can be judged.
                destination: Destination::Domain(String::new()),
                attempts: row.get(1)?,
                warned: row.get(2)?,
                envelope: envelope(row)?,
                size_bytes: row.get::<_, i64>(12)?.unsigned_abs(),
                hash: BlobHash(row.get(13)?),
                recipients: Vec::new(),
            };
            Ok((row.get::<_, String>(0)?, delivery))
        })
        .optional()?;
    let Some((name, mut delivery)) = found else { return Ok(None) };
    delivery.destination = destination(&name)?;
    delivery.recipients = recipients(connection, id)?;
    Ok(Some(delivery))
}

fn envelope(row: &Row<'_>) -> rusqlite::Result<QueuedEnvelope> {
    Ok(QueuedEnvelope {
        mail_from: row.get(4)?,
        envelope_id: row.get(5)?,
        return_headers_only: row.get(6)?,
        eight_bit: row.get(7)?,
        utf8: row.get(8)?,
        keep: keep(row.get(14)?),
        provenance: Provenance {
            is_verified: row.get(15)?,
            is_submitted: row.get(16)?,
            vouched: vouched(&row.get::<_, String>(17)?),
        },
        origin: row.get(9)?,
        received: Timestamp(row.get(10)?),
        expires: Timestamp(row.get(11)?),
    })
}

/// As stored; older versions knew the first two.
fn number(keep: Keep) -> i64 {
    match keep {
        Keep::Inbox => 0,
        Keep::Junk => 1,
        Keep::Calendar => 2,
    }
}

fn keep(number: i64) -> Keep {
    match number {
        0 => Keep::Inbox,
        2 => Keep::Calendar,
        _ => Keep::Junk,
    }
}

/// Who answers for a message, as stored: domains with spaces between them, and `*` for whoever handed it in.
fn vouched_text(vouched: &Vouched) -> String {
    match vouched {
        Vouched::Nobody => String::new(),
        Vouched::Domains(domains) => domains.join(" "),
        Vouched::Host => "*".to_owned(),
    }
}

fn vouched(text: &str) -> Vouched {
    match text {
        "" => Vouched::Nobody,
        "*" => Vouched::Host,
        domains => Vouched::Domains(domains.split(' ').map(str::to_owned).collect()),
    }
}

fn destination(name: &str) -> Result<Destination, QueueError> {
    name.parse().map_err(|_| QueueError::Damaged(format!("{name:?} is not a destination")))
}

/// Those who wait for a delivery.
pub fn recipients(connection: &Connection, id: DeliveryId) -> Result<Vec<QueuedRecipient>, QueueError> {
    let sql = "SELECT id, address, original, notify FROM recipient WHERE delivery = ?1 ORDER BY id";
    let mut statement = connection.prepare_cached(sql)?;
    let rows = statement.query_map([id.0], |row| {
        let rcpt = Rcpt { address: row.get(1)?, original: row.get(2)?, notify: row.get(3)? };
        Ok(QueuedRecipient { id: RecipientId(row.get(0)?), rcpt })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The content of a message: `Some(None)` when it is in a file, `None` when the message is gone.
pub fn content(connection: &Connection, id: QueueId) -> Result<Option<Option<Vec<u8>>>, QueueError> {
    let sql = "SELECT b.content FROM body b JOIN message m ON m.seq = b.seq WHERE m.id = ?1";
    Ok(connection.prepare_cached(sql)?.query_row([id.0.0], |row| row.get(0)).optional()?)
}

/// Takes a recipient out: it is done with.
pub fn remove_recipient(connection: &Connection, id: RecipientId) -> Result<(), QueueError> {
    connection.prepare_cached("DELETE FROM recipient WHERE id = ?1")?.execute([id.0])?;
    Ok(())
}

/// A delivery was tried and is tried again; at once, where an administrator has sent it somewhere else meanwhile.
pub fn postpone(connection: &Connection, id: DeliveryId, now: Timestamp, again: &Again) -> Result<(), QueueError> {
    let sql = "UPDATE delivery SET next_ms = iif(destination = ?8, ?2, next_ms), attempts = attempts + 1, last_ms = ?3, last_host = ?4, last_text = ?5,
            warned = warned OR ?6, deadline_ms = ?7 WHERE id = ?1";
    let Again { tried, next, said, warned, deadline } = again;
    let tried = tried.to_string();
    let values = params![id.0, next.0, now.0, said.host, said.text, warned, deadline.0, tried];
    connection.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

/// The deliveries for a destination that are due and have no deadline by now, after this place in their order, with
/// their times.
pub fn postponable(
    connection: &Connection,
    destination: &Destination,
    now: Timestamp,
    after: (Timestamp, DeliveryId),
    limit: usize,
) -> Result<Vec<(Timestamp, DeliveryId)>, QueueError> {
    let sql = "SELECT next_ms, id FROM delivery WHERE held = 0 AND destination = ?1 AND next_ms <= ?2
            AND deadline_ms > ?2 AND (next_ms, id) > (?3, ?4) ORDER BY next_ms, id LIMIT ?5";
    let mut statement = connection.prepare_cached(sql)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let values = params![destination.to_string(), now.0, after.0.0, after.1.0, limit];
    let rows = statement.query_map(values, |row| Ok((Timestamp(row.get(0)?), DeliveryId(row.get(1)?))))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// A delivery whose destination can't be reached waits until then, unless something else became of it. What nobody
/// tried is not counted as tried.
pub fn postpone_untried(
    connection: &Connection,
    (due, id): (Timestamp, DeliveryId),
    destination: &Destination,
    now: Timestamp,
    next: Timestamp,
    said: &Said,
) -> Result<(), QueueError> {
    let sql = "UPDATE delivery SET next_ms = ?4, last_ms = ?3, last_host = ?5, last_text = ?6
        WHERE id = ?1 AND next_ms = ?2 AND held = 0 AND destination = ?7 AND deadline_ms > ?3";
    let values = params![id.0, due.0, now.0, next.0, said.host, said.text, destination.to_string()];
    connection.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

/// Takes out a delivery without recipients, and its message with the last one. Tells whether the message is gone.
pub fn tidy(connection: &Connection, id: DeliveryId) -> Result<Option<QueueId>, QueueError> {
    if connection.prepare_cached("SELECT 1 FROM recipient WHERE delivery = ?1 LIMIT 1")?.exists([id.0])? {
        return Ok(None);
    }
    let sql = "DELETE FROM delivery WHERE id = ?1 RETURNING message";
    let seq: Option<i64> = connection.prepare_cached(sql)?.query_row([id.0], |row| row.get(0)).optional()?;
    let Some(seq) = seq else { return Ok(None) };
    if connection.prepare_cached("SELECT 1 FROM delivery WHERE message = ?1 LIMIT 1")?.exists([seq])? {
        return Ok(None);
    }
    connection.prepare_cached("DELETE FROM body WHERE seq = ?1")?.execute([seq])?;
    let sql = "DELETE FROM message WHERE seq = ?1 RETURNING id";
    let gone = connection.prepare_cached(sql)?.query_row([seq], |row| row.get(0)).optional()?;
    Ok(gone.map(|id| QueueId(OperationId(id))))
}

/// How many messages there are.
pub fn count(connection: &Connection) -> Result<u64, QueueError> {
    let count: i64 = connection.prepare_cached("SELECT COUNT(*) FROM message")?.query_row([], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// The names of all messages, for what is in files.
pub fn has_message(connection: &Connection, id: QueueId) -> Result<bool, QueueError> {
    Ok(connection.prepare_cached("SELECT 1 FROM message WHERE id = ?1")?.exists([id.0.0])?)
}
