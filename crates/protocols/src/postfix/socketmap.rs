//! socketmap_table(5): netstrings. A request is the table's name, a space and the key; an answer is `OK` and the value,
//! `NOTFOUND`, `TEMP` or `PERM` with a reason.

use std::sync::Arc;

use async_trait::async_trait;
use sterna_base::session_limits::LiveSessionLimits;

use super::{IDLE, KEY_BYTES_MAX, MailTable, MailTables, key};
use crate::io::{Disconnect, Io};
use crate::listener::{Connection, Protocol};

/// Longest request, in bytes.
const REQUEST_BYTES_MAX: usize = KEY_BYTES_MAX + 64;
/// Digits of the length of the longest request.
const LENGTH_DIGITS_MAX: usize = 4;
/// Longest answer that Postfix takes, in bytes.
const ANSWER_BYTES_MAX: usize = 100_000;

/// All tables on one port.
pub struct Socketmap {
    tables: Arc<dyn MailTables>,
    limits: Arc<LiveSessionLimits>,
}

impl Socketmap {
    /// Over these tables.
    pub fn new(tables: Arc<dyn MailTables>, limits: Arc<LiveSessionLimits>) -> Self {
        Socketmap { tables, limits }
    }

    async fn session(&self, io: &mut Io) -> Result<(), Disconnect> {
        loop {
            while let Some(request) = take(io)? {
                let answer = self.answer(&request).await;
                io.output.extend_from_slice(format!("{}:{answer},", answer.len()).as_bytes());
                io.flush_if_full().await?;
            }
            io.fill(IDLE).await?;
        }
    }

    async fn answer(&self, request: &[u8]) -> String {
        let mut words = request.splitn(2, |byte| *byte == b' ');
        let table = words.next().and_then(|name| std::str::from_utf8(name).ok()).unwrap_or_default();
        let table = match table.parse::<MailTable>() {
            Ok(table) => table,
            Err(error) => return format!("PERM {error}"),
        };
        let Some(key) = words.next().and_then(key) else { return "NOTFOUND ".to_owned() };
        match self.tables.look_up(table, key).await {
            Ok(Some(value)) if value.len() + 3 > ANSWER_BYTES_MAX => "PERM the value is too long".to_owned(),
            Ok(Some(value)) => format!("OK {value}"),
            Ok(None) => "NOTFOUND ".to_owned(),
            Err(cause) => {
                tracing::warn!(%table, key, cause, "Postfix could not be told");
                "TEMP the directory can't be read".to_owned()
            }
        }
    }
}

/// The next request, if all of it has come.
fn take(io: &mut Io) -> Result<Option<Vec<u8>>, Disconnect> {
    const NOT_ONE: Disconnect = Disconnect::Hopeless("That is not a netstring");
    let digits = io.input.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if digits > LENGTH_DIGITS_MAX {
        return Err(NOT_ONE);
    }
    match io.input.get(digits) {
        None => return Ok(None),
        Some(b':') if digits > 0 => {}
        Some(_) => return Err(NOT_ONE),
    }
    let length = std::str::from_utf8(&io.input[..digits]).ok().and_then(|text| text.parse::<usize>().ok());
    let length = length.filter(|length| *length <= REQUEST_BYTES_MAX).ok_or(NOT_ONE)?;
    let end = digits + 1 + length;
    match io.input.get(end) {
        None => Ok(None),
        Some(b',') => Ok(Some(io.input.split_to(end + 1)[digits + 1..end].to_vec())),
        Some(_) => Err(NOT_ONE),
    }
}

#[async_trait]
impl Protocol for Socketmap {
    fn name(&self) -> &'static str {
        "socketmap"
    }

    fn busy(&self) -> String {
        "25:TEMP too many connections,".to_owned()
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

    fn socketmap(tables: Arc<dyn MailTables>) -> Arc<dyn Protocol> {
        Arc::new(Socketmap::new(tables, Arc::default()))
    }

    #[tokio::test]
    async fn requests_are_answered_in_their_order() {
        let requests = b"25:virtual-domains demo.test,26:virtual-domains other.test,25:virtual-domains down.test,";
        let answers = dialog(socketmap, requests).await;
        assert_eq!(answers, "14:OK demo.test !,9:NOTFOUND ,32:TEMP the directory can't be read,");
        let answers = dialog(socketmap, b"8:transport,18:transport demo.tes,6:nonsen,").await;
        assert_eq!(answers, "", "a length that is wrong ends it");
        assert!(dialog(socketmap, b"9:transport,").await.starts_with("9:NOTFOUND ,"));
        assert!(dialog(socketmap, b"10:nonsense x,").await.contains(":PERM there is no table"));
    }

    #[tokio::test]
    async fn what_is_no_netstring_ends_the_connection() {
        for bad in [&b"x"[..], b":", b"99999:", b"9999:", b"3:abcd", b"-1:,", b"00000:,"] {
            assert_eq!(dialog(socketmap, bad).await, "", "{bad:?}");
        }
        let control = dialog(socketmap, b"18:virtual-domains \x00\n,").await;
        assert_eq!(control, "9:NOTFOUND ,");
    }
}
