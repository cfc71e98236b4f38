//! Log-in by SASL (RFC 4422) as IMAP (RFC 9051 section 6.2.2) and POP3 (RFC 5034) have it in common: challenges stand
//! behind `+ `, answers are base64, and `*` cancels.
//!
//! [`run`] carries one exchange through and says what the directory answered; what that means for the session, and in
//! which words, is the protocol's matter. Submission's AUTH has reply codes and stricter line ends, and is its own.

pub mod bearer;
mod external;
mod password;
mod scram;

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sterna_account::service::{Authenticator, Login, LoginError};
use sterna_formats::managesieve::{self, Frame, Framer, Token};
use tokio::time::Instant;

use crate::io::{Disconnect, Io};

/// What is offered besides PLAIN and LOGIN.
#[derive(Clone, Copy, Debug, Default)]
pub struct Offers {
    /// Somebody can be asked about tokens.
    pub bearer: bool,
    /// Users have what SCRAM needs.
    pub scram: bool,
}

impl Offers {
    /// What the directory says at present.
    pub async fn of(authenticator: &dyn Authenticator) -> Self {
        Offers { bearer: authenticator.offers_bearer().await, scram: authenticator.offers_scram().await }
    }
}

/// How users can log in on this connection.
pub fn mechanisms(offers: Offers, io: &Io) -> Vec<&'static str> {
    let mut mechanisms = Vec::new();
    if offers.scram {
        mechanisms.push("SCRAM-SHA-256");
        if io.tls_exporter().is_some() {
            mechanisms.push("SCRAM-SHA-256-PLUS");
        }
    }
    if offers.bearer {
        mechanisms.extend(["OAUTHBEARER", "XOAUTH2"]);
    }
    if !io.client_addresses().is_empty() {
        mechanisms.push("EXTERNAL");
    }
    mechanisms.extend(["PLAIN", "LOGIN"]);
    mechanisms
}

/// How challenges and answers stand on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// Challenges behind `+ `, answers as lines: IMAP and POP3.
    Lines,
    /// Both as strings: ManageSieve (RFC 5804 section 2.1).
    Strings,
}

/// Most bytes of an answer that is a literal.
const ANSWER_BYTES_MAX: u64 = 16 * 1024;

/// One exchange with a client.
pub struct Exchange<'a> {
    pub io: &'a mut Io,
    pub authenticator: &'a dyn Authenticator,
    pub offers: Offers,
    /// For the log line and for throttling.
    pub protocol: &'static str,
    /// Since when the client has been logging in.
    pub since: Instant,
    /// How the protocol writes it.
    pub wire: Wire,
}

/// Somebody who was checked.
#[derive(Debug)]
pub struct Attempt {
    /// As whom, for the log.
    pub login: String,
    /// What the directory said.
    pub answer: Result<Login, LoginError>,
}

impl Attempt {
    /// What can't be anybody's: the same answer as for a wrong password.
    fn invalid(login: impl Into<String>) -> Self {
        Attempt { login: login.into(), answer: Err(LoginError::Invalid) }
    }
}

/// Why nobody was checked.
#[derive(Debug)]
pub enum SaslError {
    /// There is no such mechanism, or not here and now.
    NoMechanism,
    /// The client cancelled, or said what is no message of the mechanism: the text for it.
    Malformed(String),
    /// The client is gone.
    Disconnect(Disconnect),
}

impl From<Disconnect> for SaslError {
    fn from(disconnect: Disconnect) -> Self {
        SaslError::Disconnect(disconnect)
    }
}

/// Carries an exchange through. `initial` is the initial response as it came, `=` for an empty one (RFC 4959).
///
/// # Errors
/// [`SaslError`]: then nobody was checked.
pub async fn run(mut exchange: Exchange<'_>, mechanism: &str, initial: Option<Vec<u8>>) -> Result<Attempt, SaslError> {
    let exchange = &mut exchange;
    match mechanism {
        "PLAIN" => password::plain(exchange, initial).await,
        "LOGIN" => password::login(exchange, initial).await,
        "OAUTHBEARER" if exchange.offers.bearer => bearer::run(exchange, initial, bearer::Form::Oauthbearer).await,
        "XOAUTH2" if exchange.offers.bearer => bearer::run(exchange, initial, bearer::Form::Xoauth2).await,
        "EXTERNAL" if !exchange.io.client_addresses().is_empty() => external::run(exchange, initial).await,
        "SCRAM-SHA-256" if exchange.offers.scram => scram::run(exchange, initial, false).await,
        "SCRAM-SHA-256-PLUS" if exchange.offers.scram && exchange.io.tls_exporter().is_some() => {
            scram::run(exchange, initial, true).await
        }
        _ => Err(SaslError::NoMechanism),
    }
}

impl Exchange<'_> {
    fn peer(&self) -> IpAddr {
        self.io.peer()
    }

    /// The client's first message: the initial response, or its answer to this.
    async fn first(&mut self, initial: Option<Vec<u8>>, challenge: &str) -> Result<Vec<u8>, SaslError> {
        match initial {
            Some(initial) => decode(&initial),
            None => self.ask(challenge).await,
        }
    }

    /// Sends a challenge and reads the answer.
    async fn ask(&mut self, challenge: &str) -> Result<Vec<u8>, SaslError> {
        let line = self.answer(challenge).await?;
        if line == b"*" { Err(malformed("Cancelled")) } else { decode(&line) }
    }

    /// The same, with the answer as it came.
    async fn answer(&mut self, challenge: &str) -> Result<Vec<u8>, Disconnect> {
        let challenge = STANDARD.encode(challenge);
        let wait = self.io.login_wait(self.since);
        match self.wire {
            Wire::Lines => {
                self.io.output.extend_from_slice(format!("+ {challenge}\r\n").as_bytes());
                self.io.line(wait).await
            }
            Wire::Strings => {
                managesieve::string(challenge.as_bytes(), &mut self.io.output);
                self.io.output.extend_from_slice(b"\r\n");
                self.string().await
            }
        }
    }

    /// The one string of the client's next line; what is none is an answer that nobody understands.
    async fn string(&mut self) -> Result<Vec<u8>, Disconnect> {
        let mut framer = Framer::new(ANSWER_BYTES_MAX);
        loop {
            match framer.next(&mut self.io.input) {
                Frame::More => self.io.fill(self.io.login_wait(self.since)).await?,
                Frame::Hopeless => return Err(Disconnect::Hopeless("The answer is too long")),
                Frame::Command(mut tokens) if tokens.len() == 1 => {
                    return Ok(match tokens.remove(0) {
                        Token::String(answer) => answer,
                        Token::Atom(_) | Token::Number(_) => NO_ANSWER.to_vec(),
                    });
                }
                Frame::Command(_) | Frame::Malformed(_) | Frame::TooLong(_) => return Ok(NO_ANSWER.to_vec()),
            }
        }
    }
}

/// Not base64, and not `*` either.
const NO_ANSWER: &[u8] = b"!";

fn malformed(why: impl Into<String>) -> SaslError {
    SaslError::Malformed(why.into())
}

fn decode(base64: &[u8]) -> Result<Vec<u8>, SaslError> {
    if base64 == b"=" {
        return Ok(Vec::new());
    }
    STANDARD.decode(base64).map_err(|_| malformed("Not base64"))
}
