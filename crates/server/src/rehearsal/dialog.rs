//! The little of IMAP (RFC 9051) and LMTP (RFC 2033) that a trial says. The other end is this same program.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufStream};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long one answer may take.
const ANSWER_WAIT: Duration = Duration::from_secs(30);
/// Lines of one answer; nobody has so many folders.
const LINES_MAX: usize = 100_000;

struct Lines(BufStream<TcpStream>);

impl Lines {
    async fn connect(address: SocketAddr) -> Result<Self> {
        Ok(Lines(BufStream::new(timeout(ANSWER_WAIT, TcpStream::connect(address)).await??)))
    }

    async fn say(&mut self, line: &str) -> Result<()> {
        self.0.write_all(line.as_bytes()).await?;
        self.0.write_all(b"\r\n").await?;
        Ok(self.0.flush().await?)
    }

    async fn line(&mut self) -> Result<String> {
        let mut line = Vec::new();
        let length = timeout(ANSWER_WAIT, self.0.read_until(b'\n', &mut line)).await.context("no answer")??;
        ensure!(length > 0, "the connection was closed");
        Ok(String::from_utf8_lossy(&line).trim_end().to_owned())
    }
}

/// A session.
pub struct Imap {
    lines: Lines,
    commands: u32,
}

impl Imap {
    /// Logs in.
    pub async fn login(address: SocketAddr, login: &str, password: &str) -> Result<Self> {
        let mut imap = Imap { lines: Lines::connect(address).await?, commands: 0 };
        let greeting = imap.lines.line().await?;
        ensure!(greeting.starts_with("* OK"), "{greeting}");
        imap.command(&format!("LOGIN {} {}", quoted(login), quoted(password))).await?;
        Ok(imap)
    }

    /// The names of all folders that can be selected, as they are written.
    pub async fn folders(&mut self) -> Result<Vec<String>> {
        let listed = self.command("LIST \"\" \"*\"").await?;
        let selectable = listed.iter().filter(|line| line.starts_with("* LIST (") && !line.contains("\\Noselect"));
        Ok(selectable.filter_map(|line| line.split_once(") ").map(|(_, rest)| rest)).filter_map(name).collect())
    }

    /// Messages in a folder; all of their flags and sizes are read.
    pub async fn messages(&mut self, folder: &str) -> Result<u64> {
        self.command(&format!("EXAMINE {folder}")).await?;
        let fetched = self.command("UID FETCH 1:* (FLAGS RFC822.SIZE)").await?;
        Ok(fetched.iter().filter(|line| line.contains(" FETCH (")).count() as u64)
    }

    /// Whether a folder has the message with this Message-ID.
    pub async fn has(&mut self, folder: &str, id: &str) -> Result<bool> {
        self.command(&format!("EXAMINE {folder}")).await?;
        let found = self.command(&format!("UID SEARCH HEADER Message-ID {}", quoted(id))).await?;
        Ok(found.iter().any(|line| {
            let has_numbers =
                line.split_whitespace().skip(2).any(|word| word.bytes().all(|byte| byte.is_ascii_digit()));
            line.starts_with("* SEARCH") && has_numbers
        }))
    }

    /// Says a command, and gives the lines before the tagged one, which must say OK.
    async fn command(&mut self, command: &str) -> Result<Vec<String>> {
        self.commands += 1;
        let tag = format!("r{} ", self.commands);
        self.lines.say(&format!("{tag}{command}")).await?;
        let mut lines = Vec::new();
        while lines.len() < LINES_MAX {
            let line = self.lines.line().await?;
            match line.strip_prefix(&tag) {
                Some(done) if done.starts_with("OK") => return Ok(lines),
                Some(done) => bail!("{done}"),
                None => lines.push(line),
            }
        }
        bail!("the answer is too long")
    }
}

/// The mailbox of a LIST response after its flags: a delimiter and a name, which may be quoted.
fn name(rest: &str) -> Option<String> {
    let name = rest.split_once(' ')?.1;
    (!name.starts_with('{')).then(|| name.to_owned())
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Delivers one message.
pub async fn deliver(lmtp: SocketAddr, address: &str, id: &str) -> Result<()> {
    let mut lines = Lines::connect(lmtp).await?;
    answer(&mut lines).await?;
    for command in ["LHLO rehearsal.invalid", "MAIL FROM:<>", &format!("RCPT TO:<{address}>"), "DATA"] {
        lines.say(command).await?;
        answer(&mut lines).await?;
    }
    let message = format!(
        "From: Rehearsal <rehearsal@rehearsal.invalid>\r\nTo: <{address}>\r\nSubject: Rehearsal\r\nMessage-ID: {id}\r\n\
         Auto-Submitted: auto-generated\r\n\r\nThis message is thrown away.\r\n."
    );
    lines.say(&message).await?;
    answer(&mut lines).await
}

/// The last line of a reply, which must not refuse.
async fn answer(lines: &mut Lines) -> Result<()> {
    loop {
        let line = lines.line().await?;
        match line.as_bytes() {
            [b'2' | b'3', _, _, b'-', ..] => {}
            [b'2' | b'3', ..] => return Ok(()),
            _ => bail!("{line}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_as_they_are_written() {
        let rest = |line: &'static str| line.split_once(") ").map(|(_, rest)| rest).and_then(name);
        assert_eq!(rest("* LIST (\\HasNoChildren) \"/\" \"a (b) c\"").as_deref(), Some("\"a (b) c\""));
        assert_eq!(rest("* LIST () \"/\" INBOX").as_deref(), Some("INBOX"));
        assert_eq!(quoted("a\"b\\"), "\"a\\\"b\\\\\"");
    }
}
