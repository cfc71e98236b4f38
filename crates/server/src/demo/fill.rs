//! Puts the generated messages into an account through the front door: IMAP APPEND with a date and flags.

use anyhow::{Context, Result, ensure};
use jiff::tz::TimeZone;
use sterna_base::Timestamp;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::User;
use super::corpus;

/// How many APPENDs are on their way before answers are read: the server commits what waits in groups.
const PIPELINE: usize = 32;

/// How often it is asked whether an account is served, and how long it waits in between.
const SERVED_TRIES_MAX: u32 = 300;
const SERVED_WAIT: std::time::Duration = std::time::Duration::from_millis(50);

/// Logs in and appends everything that the corpus has for this user.
pub async fn fill(imap: std::net::SocketAddr, user: &User, domain: &str, seed: u64) -> Result<usize> {
    let local_part = user.address.split('@').next().unwrap_or_default();
    let mut session = Session::open(imap).await?;
    session.send(&format!("LOGIN \"{}\" \"{}\"", user.address, user.password)).await?;
    session.answers(1).await.context("logging in")?;
    let mut known = vec!["INBOX", "Archive", "Drafts", "Junk", "Sent", "Trash"];
    let mut count = 0;
    let mut waiting = 0;
    for message in corpus::messages(local_part, domain, seed) {
        if !known.contains(&message.folder) {
            known.push(message.folder);
            session.answers(std::mem::take(&mut waiting)).await?;
            session.send(&format!("CREATE \"{}\"", message.folder)).await?;
            session.answers(1).await?;
        }
        let (folder, date, length) = (message.folder, date_time(message.date), message.bytes.len());
        let flags = message.flags.join(" ");
        session.send_start(&format!("APPEND \"{folder}\" ({flags}) \"{date}\" {{{length}+}}")).await?;
        session.stream.write_all(&message.bytes).await?;
        session.stream.write_all(b"\r\n").await?;
        waiting += 1;
        count += 1;
        if waiting == PIPELINE {
            session.answers(std::mem::take(&mut waiting)).await?;
        }
    }
    session.answers(waiting).await?;
    session.send("LOGOUT").await?;
    Ok(count)
}

/// Logs in again and again until the user's INBOX answers: a data server that has just started is found by the next
/// try.
pub async fn wait_until_served(imap: std::net::SocketAddr, user: &User) -> Result<()> {
    let mut last = Ok(());
    for _ in 0..SERVED_TRIES_MAX {
        let answer = async {
            let mut session = Session::open(imap).await?;
            session.send(&format!("LOGIN \"{}\" \"{}\"", user.address, user.password)).await?;
            session.send("STATUS INBOX (MESSAGES)").await?;
            session.answers(2).await
        };
        last = answer.await;
        if last.is_ok() {
            return last;
        }
        tokio::time::sleep(SERVED_WAIT).await;
    }
    last.with_context(|| format!("{} is not served", user.address))
}

/// `date-time` of RFC 9051 section 9, in UTC.
fn date_time(date: Timestamp) -> String {
    let date = jiff::Timestamp::from_millisecond(date.0).unwrap_or_default().to_zoned(TimeZone::UTC);
    date.strftime("%d-%b-%Y %H:%M:%S +0000").to_string()
}

struct Session {
    stream: BufReader<TcpStream>,
    sent: usize,
}

impl Session {
    async fn open(address: std::net::SocketAddr) -> Result<Self> {
        let mut stream = BufReader::new(TcpStream::connect(address).await?);
        stream.read_line(&mut String::new()).await?;
        Ok(Session { stream, sent: 0 })
    }

    async fn send(&mut self, command: &str) -> Result<()> {
        self.send_start(command).await?;
        Ok(self.stream.flush().await?)
    }

    async fn send_start(&mut self, command: &str) -> Result<()> {
        self.sent += 1;
        Ok(self.stream.write_all(format!("d{} {command}\r\n", self.sent).as_bytes()).await?)
    }

    /// Reads that many tagged answers; each must be OK.
    async fn answers(&mut self, count: usize) -> Result<()> {
        self.stream.flush().await?;
        let mut line = String::new();
        let mut left = count;
        while left > 0 {
            line.clear();
            ensure!(self.stream.read_line(&mut line).await? > 0, "the server closed the connection");
            if let Some((_, status)) = line.strip_prefix('d').and_then(|rest| rest.split_once(' ')) {
                ensure!(status.starts_with("OK"), "{status}");
                left -= 1;
            }
        }
        Ok(())
    }
}
