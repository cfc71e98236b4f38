//! The trace fields that a receiving server puts in front of a message (RFC 5321 section 4.4).

use std::net::IpAddr;

use sterna_base::Timestamp;

/// What a Received field says.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    /// The name given with EHLO, HELO or LHLO.
    pub helo: &'a str,
    /// Where the connection came from.
    pub peer: IpAddr,
    /// This server.
    pub by: &'a str,
    /// By which protocol.
    pub with: With,
    /// The name of the transaction, found again in the log.
    pub id: &'a str,
    /// The forward-path, if there is only one: otherwise recipients would learn of each other.
    pub recipient: Option<&'a str>,
    /// When.
    pub now: Timestamp,
}

/// The protocol keyword (RFC 3848, RFC 6531 section 4.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct With {
    /// LMTP instead of SMTP.
    pub lmtp: bool,
    /// EHLO was said (LHLO always counts).
    pub extended: bool,
    /// The connection is encrypted.
    pub tls: bool,
    /// The client logged in.
    pub authenticated: bool,
    /// SMTPUTF8 was said.
    pub utf8: bool,
}

impl With {
    /// `ESMTPSA` and its relatives.
    pub fn keyword(self) -> String {
        let base = match (self.utf8, self.lmtp, self.extended) {
            (true, true, _) => "UTF8LMTP",
            (true, false, _) => "UTF8SMTP",
            (false, true, _) => "LMTP",
            (false, false, true) => "ESMTP",
            (false, false, false) => return "SMTP".to_owned(),
        };
        format!("{base}{}{}", if self.tls { "S" } else { "" }, if self.authenticated { "A" } else { "" })
    }
}

impl Received<'_> {
    /// The field with its CRLF.
    pub fn field(&self) -> String {
        let peer = match self.peer.to_canonical() {
            IpAddr::V4(address) => format!("[{address}]"),
            IpAddr::V6(address) => format!("[IPv6:{address}]"),
        };
        let with = self.with.keyword();
        let recipient = self.recipient.map(|address| format!("\r\n\tfor <{address}>")).unwrap_or_default();
        let (helo, by, id, date) = (self.helo, self.by, self.id, date(self.now));
        format!("Received: from {helo} ({peer})\r\n\tby {by} with {with} id {id}{recipient};\r\n\t{date}\r\n")
    }
}

/// The Return-Path field with its CRLF: the reverse-path of the envelope, empty for bounces.
pub fn return_path(reverse_path: &str) -> String {
    format!("Return-Path: <{reverse_path}>\r\n")
}

/// `date-time` of RFC 5322 section 3.3, in UTC.
pub fn date(now: Timestamp) -> String {
    let time = jiff::Timestamp::from_millisecond(now.0).unwrap_or_default();
    time.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_received_field() {
        let with = With { extended: true, tls: true, authenticated: true, ..With::default() };
        let received = Received {
            helo: "client.test",
            peer: "::ffff:192.0.2.1".parse().unwrap(),
            by: "mx.demo.test",
            with,
            id: "0123",
            recipient: Some("ana@demo.test"),
            now: Timestamp::from_seconds(1_000_000_000),
        };
        assert_eq!(
            received.field(),
            "Received: from client.test ([192.0.2.1])\r\n\tby mx.demo.test with ESMTPSA id 0123\r\n\t\
             for <ana@demo.test>;\r\n\tSun, 09 Sep 2001 01:46:40 +0000\r\n"
        );
        assert_eq!(With { lmtp: true, utf8: true, tls: true, ..With::default() }.keyword(), "UTF8LMTPS");
        assert_eq!(With::default().keyword(), "SMTP");
    }
}
