//! Sessions of ManageSieve.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use sterna_account::scripts::ScriptLimits;
use sterna_account::service::{Accounts, ScriptChecker, ScriptFault};
use sterna_protocols::listener::{Connection, Protocol};
use sterna_protocols::managesieve::{ManageSieveConfig, ManageSieveProtocol};
use tokio::io::BufReader;

use crate::dialog::{Client, Server};

/// Scripts with the word `wrong` are none.
struct Checker;

#[async_trait]
impl ScriptChecker for Checker {
    fn extensions(&self) -> String {
        "fileinto vacation".to_owned()
    }

    fn limits(&self) -> ScriptLimits {
        ScriptLimits { script_bytes: 1000, scripts: 3 }
    }

    fn redirects_max(&self) -> u64 {
        4
    }

    async fn check(&self, script: Bytes) -> Result<(), ScriptFault> {
        let text = String::from_utf8_lossy(&script);
        match text.lines().position(|line| line.contains("wrong")) {
            None => Ok(()),
            Some(at) => Err(ScriptFault { line: at as u64 + 1, text: "There is no command \"wrong\"".into() }),
        }
    }
}

/// What a client hears first.
pub const GREETING: &str = "S: \"IMPLEMENTATION\" \"Sterna\"\nS: \"VERSION\" \"1.0\"\nS: \"SASL\" *\n\
                            S: \"SIEVE\" \"fileinto vacation\"\nS: \"NOTIFY\" \"mailto\"\nS: \"MAXREDIRECTS\" \"4\"\n";

/// ana's password, as PLAIN has it.
pub const PLAIN: &str = "AGFuYQBwdw==";

/// A server with ana's account.
pub struct Sieve {
    pub server: Server,
    accounts: Option<Arc<dyn Accounts>>,
}

impl Sieve {
    pub async fn start() -> Self {
        Sieve { server: Server::start().await, accounts: None }
    }

    /// The same account behind other doors.
    pub fn through(&mut self, accounts: Arc<dyn Accounts>) {
        self.accounts = Some(accounts);
    }

    /// A connection whose greeting is still to come.
    pub fn connect_as(
        &self,
        prepare: impl FnOnce(Connection) -> Connection,
        tls: Option<Arc<rustls::ServerConfig>>,
        plaintext_login: bool,
    ) -> Client {
        let accounts = self.accounts.clone().unwrap_or_else(|| self.server.doors.clone());
        let config = ManageSieveConfig { plaintext_login };
        let protocol = ManageSieveProtocol::new(config, accounts, self.server.people.clone(), Arc::new(Checker));
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        let connection = prepare(Connection::new(theirs, [127, 0, 0, 1].into(), tls));
        tokio::spawn(async move { protocol.serve(connection).await });
        Client { stream: BufReader::new(ours) }
    }

    /// A connection that was greeted.
    pub async fn connect(&self) -> Client {
        let mut client = self.connect_as(|connection| connection, None, true);
        client.say(&format!("{GREETING}S: \"UNAUTHENTICATE\"\nS: OK \"Sterna ready\"")).await;
        client
    }

    /// A session that is logged in.
    pub async fn login(&self) -> Client {
        let mut client = self.connect().await;
        client.say(&format!("C: AUTHENTICATE \"PLAIN\" \"{PLAIN}\"\nS: OK")).await;
        client
    }

    /// Runs one dialog in a session of its own, and checks the account at its end.
    pub async fn dialog(&self, dialog: &str) {
        self.login().await.say(dialog).await;
        self.server.check().await;
    }
}
