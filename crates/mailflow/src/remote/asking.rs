//! Whether another server takes mail for an address: MAIL and RCPT, and nothing sent (RFC 5321 section 3.3).

use std::net::IpAddr;

use async_trait::async_trait;

use super::carrier::RemoteCarrier;
use super::connection::{Connection, ConnectionError};
use crate::call_forward::{Asked, AsksRecipients};
use crate::queue::{Destination, Said};

#[async_trait]
impl AsksRecipients for RemoteCarrier {
    /// With the null reverse-path: what is asked for is an address, and no answer is to be sent to anybody.
    async fn ask(&self, destination: &Destination, address: &str) -> Asked {
        let waiting = self.waiting(destination).await;
        let has_waited = waiting.is_some();
        let mut connection = match waiting {
            Some(connection) => connection,
            None => match self.connect(destination, false).await {
                Ok(connection) => connection,
                Err(no_connection) => return Asked::Unreachable(no_connection.said()),
            },
        };
        let mut asked = connection.ask(address).await;
        // A connection that waited may be gone without a word; that says nothing of the server.
        if asked.is_err() && has_waited {
            connection = match self.connect(destination, false).await {
                Ok(connection) => connection,
                Err(no_connection) => return Asked::Unreachable(no_connection.said()),
            };
            asked = connection.ask(address).await;
        }
        match asked {
            Ok(asked) => {
                if !connection.broken {
                    self.pool.put(destination, connection);
                }
                asked
            }
            Err(error) => Asked::Unreachable(error.said(&connection.peer)),
        }
    }

    async fn addresses(&self, destination: &Destination) -> Vec<IpAddr> {
        let settings = self.settings.borrow().clone();
        let Ok(route) = self.route(destination, &settings).await else { return Vec::new() };
        let mut found = Vec::new();
        for host in &route.hosts {
            if let Ok(way) = self.way(host, &route, &settings).await {
                found.extend(way.addresses);
            }
        }
        found
    }
}

impl Connection {
    async fn ask(&mut self, address: &str) -> Result<Asked, ConnectionError> {
        if !address.is_ascii() && !self.extensions.smtputf8 {
            let text = "the server does not take addresses with letters outside ASCII".to_owned();
            let said = Said { host: self.peer.clone(), text, status: (5, 6, 7), is_reply: false };
            return Ok(Asked::Refused(said));
        }
        self.begin_anew().await?;
        self.messages += 1;
        let mail = if address.is_ascii() { "MAIL FROM:<>" } else { "MAIL FROM:<> SMTPUTF8" };
        let sender = self.command(mail, "asking for an address").await?;
        if !sender.is_positive() {
            // It is the question that is refused, not the address.
            self.broken = true;
            let said = self.said(&sender);
            return Ok(if sender.code / 100 == 5 { Asked::NoQuestions(said) } else { Asked::Unknown(said) });
        }
        self.is_in_transaction = true;
        let answer = self.command(&format!("RCPT TO:<{address}>"), "asking for an address").await?;
        let said = self.said(&answer);
        // 421 closes the connection (RFC 5321 section 3.8).
        self.broken = answer.code == 421;
        Ok(match answer.code / 100 {
            2 => Asked::Taken,
            5 => Asked::Refused(said),
            _ => Asked::Unknown(said),
        })
    }
}
