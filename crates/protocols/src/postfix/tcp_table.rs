//! tcp_table(5): one line asks, one line answers: `get key`, and `200 value`, `500` (there is none) or `400` (try
//! later). What isn't printable is written as `%` and two hexadecimal digits.

use std::fmt::Write;
use std::sync::Arc;

use async_trait::async_trait;
use sterna_base::session_limits::LiveSessionLimits;

use super::{IDLE, MailTable, MailTables, key};
use crate::io::{Disconnect, Io};
use crate::listener::{Connection, Protocol};

/// Longest answer that Postfix takes, in bytes, with its line ending.
const ANSWER_BYTES_MAX: usize = 4096;

/// One table on its own port.
pub struct TcpTable {
    table: MailTable,
    tables: Arc<dyn MailTables>,
    limits: Arc<LiveSessionLimits>,
}

impl TcpTable {
    /// This one of these tables.
    pub fn new(table: MailTable, tables: Arc<dyn MailTables>, limits: Arc<LiveSessionLimits>) -> Self {
        TcpTable { table, tables, limits }
    }

    async fn session(&self, io: &mut Io) -> Result<(), Disconnect> {
        loop {
            while let Some(line) = io.take_line()? {
                let answer = self.answer(&line).await;
                io.output.extend_from_slice(answer.as_bytes());
                io.output.extend_from_slice(b"\n");
                io.flush_if_full().await?;
            }
            io.fill(IDLE).await?;
        }
    }

    async fn answer(&self, line: &[u8]) -> String {
        let Some(word) = line.strip_prefix(b"get ") else {
            // `put` is in the protocol, and nothing here can be written that way.
            return "400 only get is answered here".to_owned();
        };
        let decoded = decoded(word);
        let Some(key) = decoded.as_deref().and_then(key) else { return "500 not found".to_owned() };
        match self.tables.look_up(self.table, key).await {
            Ok(Some(value)) => {
                let answer = format!("200 {}", encoded(&value));
                if answer.len() < ANSWER_BYTES_MAX { answer } else { "400 the value is too long".to_owned() }
            }
            Ok(None) => "500 not found".to_owned(),
            Err(cause) => {
                tracing::warn!(table = %self.table, key, cause, "Postfix could not be told");
                "400 the directory can't be read".to_owned()
            }
        }
    }
}

fn decoded(word: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((&first, after)) = rest.split_first() {
        if first != b'%' {
            bytes.push(first);
            rest = after;
            continue;
        }
        let digits = std::str::from_utf8(after.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = &after[2..];
    }
    Some(bytes)
}

fn encoded(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte == b'%' || !byte.is_ascii_graphic() {
            // Writing to a String doesn't fail.
            let _ = write!(text, "%{byte:02X}");
        } else {
            text.push(char::from(byte));
        }
    }
    text
}

#[async_trait]
impl Protocol for TcpTable {
    fn name(&self) -> &'static str {
        "tcp-table"
    }

    fn busy(&self) -> String {
        "400 too many connections\n".to_owned()
    }

    async fn serve(&self, connection: Connection) {
        let mut io = Io::new(connection, self.limits.get());
        if let Err(why @ Disconnect::Hopeless(_)) = self.session(&mut io).await {
            tracing::info!(peer = %io.peer(), %why, "lookups ended");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::dialog;
    use super::*;

    fn domains(tables: Arc<dyn MailTables>) -> Arc<dyn Protocol> {
        Arc::new(TcpTable::new(MailTable::VirtualDomains, tables, Arc::default()))
    }

    #[tokio::test]
    async fn lines_are_answered_in_their_order() {
        let answers =
            dialog(domains, b"get demo.test\nget %64emo.test\nget other.test\nget down.test\nput a b\n").await;
        let expected = "200 demo.test%20!\n200 demo.test%20!\n500 not found\n400 the directory can't be read\n400 only get \
            is answered here\n";
        assert_eq!(answers, expected);
        assert_eq!(dialog(domains, b"get %\nget %zz\nget %00\nget \n").await, "500 not found\n".repeat(4));
        assert_eq!(dialog(domains, &[b'a'; 100_000]).await, "", "an endless line ends it");
    }
}
