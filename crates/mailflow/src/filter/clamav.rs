//! ClamAV's daemon: the message is streamed to it by INSTREAM (clamd(8)), and what it finds is refused or put into
//! Junk.

use async_trait::async_trait;
use sterna_account::service::Refusal;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::endpoint::Wire;
use super::field::words;
use super::{Action, Change, Common, ContentFilter, Direction, Draft, Facts, FilterError, Verdict, WhenDown};

/// Longest answer, in bytes.
const ANSWER_BYTES_MAX: u64 = 4096;

/// Longest name of a signature that is told, in bytes.
const NAME_BYTES_MAX: usize = 200;

/// What administrators set about ClamAV.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClamavSettings {
    /// What all filters have.
    pub common: Common,
    /// Whether infected mail from other servers goes into Junk instead of being refused.
    pub quarantines: bool,
    /// Largest message that is given to it, in bytes; its own `StreamMaxLength` may be less.
    pub bytes_max: u64,
    /// What becomes of larger ones.
    pub when_too_large: WhenDown,
}

/// See the module.
pub struct Clamav {
    settings: ClamavSettings,
}

/// What clamd says of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Answer {
    Clean,
    Found(String),
    TooLarge,
}

impl Clamav {
    /// With these settings; it is connected to for each message.
    pub fn new(settings: ClamavSettings) -> Self {
        Clamav { settings }
    }

    async fn scan(&self, draft: &Draft) -> Result<Answer, FilterError> {
        if draft.size() > self.settings.bytes_max {
            return Ok(Answer::TooLarge);
        }
        let wire = self.settings.common.endpoint.connect().await?;
        let (mut from, mut to) = tokio::io::split(wire);
        let mut answering = std::pin::pin!(answer(&mut from));
        // It may answer before it has everything: that the stream is too long, or that it can't.
        let sent = tokio::select! {
            biased;
            sent = send(&mut to, draft) => sent,
            answer = &mut answering => return understood(&answer?),
        };
        match sent {
            Ok(()) => understood(&answering.await?),
            Err(FilterError::Io(broken)) => match answering.await {
                Ok(said) if !said.is_empty() => understood(&said),
                _ => Err(broken.into()),
            },
            Err(error) => Err(error),
        }
    }

    /// A command without more than its answer.
    async fn ask(&self, command: &[u8]) -> Result<String, FilterError> {
        let mut wire: Box<dyn Wire> = self.settings.common.endpoint.connect().await?;
        wire.write_all(command).await?;
        Ok(answer(&mut wire).await?)
    }

    fn verdict(&self, answer: Answer, direction: Direction) -> Verdict {
        // What users send is for others, who believe only what they find out themselves.
        let tells = direction == Direction::Incoming;
        match answer {
            Answer::Clean => {
                let changes = tells.then(|| Change::top("X-Virus-Status", "Clean"));
                Verdict { changes: changes.into_iter().collect(), ..Verdict::new(Action::Accept, "clean") }
            }
            Answer::Found(name) => {
                let why = format!("{name} was found");
                if self.settings.quarantines {
                    let change = Change::top("X-Virus-Status", format!("Infected ({name})"));
                    return Verdict { changes: vec![change], ..Verdict::new(Action::Quarantine, why) };
                }
                let text = format!("The message is infected: {name}");
                Verdict::new(Action::Refuse(Refusal::new(550, (5, 7, 1), text)), why)
            }
            Answer::TooLarge => {
                let text = "The message is too large to be checked for viruses";
                let action = match self.settings.when_too_large {
                    WhenDown::Accept => Action::Accept,
                    WhenDown::Defer => Action::Refuse(Refusal::new(452, (4, 3, 4), text)),
                    WhenDown::Refuse => Action::Refuse(Refusal::new(552, (5, 3, 4), text)),
                };
                Verdict::new(action, "too large to be looked at")
            }
        }
    }
}

#[async_trait]
impl ContentFilter for Clamav {
    fn name(&self) -> &str {
        "clamav"
    }

    fn own_fields(&self) -> &'static [&'static str] {
        &["X-Virus-Status", "X-Virus-Scan"]
    }

    async fn look(&self, facts: &Facts<'_>, draft: &Draft) -> Result<Verdict, FilterError> {
        Ok(self.verdict(self.scan(draft).await?, facts.direction))
    }

    async fn health(&self) -> Result<String, FilterError> {
        match self.ask(b"zPING\0").await?.as_str() {
            "PONG" => Ok(words(&self.ask(b"zVERSION\0").await?, NAME_BYTES_MAX)),
            other => Err(FilterError::Protocol(words(other, NAME_BYTES_MAX))),
        }
    }
}

/// The message in chunks, each behind its length; an empty one is the end.
async fn send(to: &mut (impl AsyncWrite + Unpin), draft: &Draft) -> Result<(), FilterError> {
    to.write_all(b"zINSTREAM\0").await?;
    let mut reader = draft.read();
    while let Some(piece) = reader.next().await.map_err(FilterError::Message)? {
        let length = u32::try_from(piece.len()).map_err(std::io::Error::other)?;
        to.write_all(&length.to_be_bytes()).await?;
        to.write_all(&piece).await?;
    }
    to.write_all(&0_u32.to_be_bytes()).await?;
    Ok(to.flush().await?)
}

/// What comes up to a NUL or the end.
async fn answer(from: &mut (impl AsyncRead + Unpin)) -> std::io::Result<String> {
    let mut said = Vec::new();
    let mut from = from.take(ANSWER_BYTES_MAX);
    let mut piece = [0; 1024];
    loop {
        let count = from.read(&mut piece).await?;
        said.extend_from_slice(&piece[..count]);
        if let Some(end) = said.iter().position(|&byte| byte == 0) {
            said.truncate(end);
        } else if count > 0 {
            continue;
        }
        return Ok(String::from_utf8_lossy(&said).trim().to_owned());
    }
}

fn understood(said: &str) -> Result<Answer, FilterError> {
    let said = said.strip_prefix("stream: ").unwrap_or(said);
    if said == "OK" {
        return Ok(Answer::Clean);
    }
    if let Some(name) = said.strip_suffix(" FOUND") {
        return Ok(Answer::Found(words(name, NAME_BYTES_MAX)));
    }
    match said.strip_suffix("ERROR").map(|why| why.trim_end_matches([' ', '.'])) {
        Some("INSTREAM size limit exceeded") => Ok(Answer::TooLarge),
        Some(why) => Err(FilterError::Unable(words(why, NAME_BYTES_MAX))),
        None if said.is_empty() => Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into()),
        None => Err(FilterError::Protocol(words(said, NAME_BYTES_MAX))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_understood() {
        assert_eq!(understood("stream: OK").unwrap(), Answer::Clean);
        assert_eq!(understood("stream: Eicar-Test FOUND").unwrap(), Answer::Found("Eicar-Test".to_owned()));
        assert_eq!(understood("INSTREAM size limit exceeded. ERROR").unwrap(), Answer::TooLarge);
        assert!(matches!(understood("stream: Can't allocate memory ERROR"), Err(FilterError::Unable(_))));
        assert!(matches!(understood("UNKNOWN COMMAND"), Err(FilterError::Protocol(_))));
        assert!(matches!(understood(""), Err(FilterError::Io(_))));
        assert_eq!(understood("stream: a\r\n250 OK FOUND").unwrap(), Answer::Found("a 250 OK".to_owned()));
    }
}
