//! Sessions of POP3 beside those of IMAP on the same account.

use std::sync::Arc;

use sterna_account::service::Accounts;
use sterna_protocols::listener::{Connection, Protocol};
use sterna_protocols::pop3::{Pop3Config, Pop3Protocol};
use tokio::io::BufReader;

use crate::dialog::{Client, Server};

fn protocol(server: &Server) -> Pop3Protocol {
    Pop3Protocol::new(Pop3Config::default(), server.doors.clone(), server.people.clone())
}

/// A server with ana's account.
pub struct Pop {
    pub server: Server,
    protocol: Pop3Protocol,
}

impl Pop {
    /// With these messages in the INBOX, in this order.
    pub async fn with(messages: &[&str]) -> Self {
        let server = Server::start().await;
        let pop = Pop { protocol: protocol(&server), server };
        pop.append(messages).await;
        pop
    }

    /// The same account behind other doors, of which nothing is kept.
    pub fn through(&mut self, accounts: Arc<dyn Accounts>) {
        self.server.through(accounts);
        self.protocol = protocol(&self.server);
    }

    /// More of them.
    pub async fn append(&self, messages: &[&str]) {
        let mut imap = self.server.login().await;
        for message in messages {
            imap.send(format!("a APPEND INBOX {{{}+}}\r\n{message}\r\n", message.len()).as_bytes()).await;
            imap.say("S: a OK *").await;
        }
    }

    /// A connection that was greeted.
    pub async fn connect(&self) -> Client {
        self.connect_as(|connection| connection, None, true).await
    }

    /// The same, with a certificate, or with the token that ends the node, or where passwords need encryption.
    pub async fn connect_as(
        &self,
        prepare: impl FnOnce(Connection) -> Connection,
        tls: Option<Arc<rustls::ServerConfig>>,
        plaintext_login: bool,
    ) -> Client {
        connect(self.protocol.with_config(Pop3Config { plaintext_login }), prepare, tls).await
    }

    /// A session that is logged in, at a protocol that has kept nothing.
    pub async fn login_anew(&self) -> Client {
        let protocol = protocol(&self.server).with_config(Pop3Config { plaintext_login: true });
        let mut client = connect(protocol, |connection| connection, None).await;
        client.say("C: USER ana\nS: +OK *\nC: PASS pw\nS: +OK * messages").await;
        client
    }

    /// A session that is logged in.
    pub async fn login(&self) -> Client {
        let mut client = self.connect().await;
        client.say("C: USER ana\nS: +OK *\nC: PASS pw\nS: +OK * messages").await;
        client
    }

    /// Runs one dialog in a session of its own, and checks the account at its end.
    pub async fn dialog(&self, dialog: &str) {
        self.login().await.say(dialog).await;
        self.server.check().await;
    }

    /// A dialog of IMAP.
    pub async fn imap(&self, dialog: &str) {
        self.server.login().await.say(dialog).await;
    }
}

async fn connect(
    protocol: Pop3Protocol,
    prepare: impl FnOnce(Connection) -> Connection,
    tls: Option<Arc<rustls::ServerConfig>>,
) -> Client {
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let connection = prepare(Connection::new(theirs, [127, 0, 0, 1].into(), tls));
    tokio::spawn(async move { protocol.serve(connection).await });
    let mut client = Client { stream: BufReader::new(ours) };
    client.say("S: +OK Sterna ready").await;
    client
}
