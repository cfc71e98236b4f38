//! Sessions of protocols that are open on an edge, as nodes ask each other for them. It lies here because neither those
//! who hold them nor those who carry the question know the other.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use sterna_base::{AccountId, Timestamp};

/// Most sessions of one account that one answer names.
pub const SESSIONS_TOLD_MAX: usize = 500;

/// A session that is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenSession {
    /// Names it on its node until it ends, and is not given again.
    pub number: u64,
    /// What it speaks: "imap", "pop3", "managesieve", "submission".
    pub protocol: String,
    /// Where it comes from.
    pub peer: IpAddr,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// Since when somebody is logged in.
    pub since: Timestamp,
    /// The id of the app password that it was opened with, if it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_password: Option<String>,
    /// What the client calls itself, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
}

/// Asks for the sessions of one account, and ends some of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionsQuestion {
    /// Whose.
    pub account: AccountId,
    /// Which to end.
    #[serde(default)]
    pub end: Ending,
}

/// Which sessions are ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// None of them.
    #[default]
    Nothing,
    /// The one with this number.
    One(u64),
    /// All.
    All,
}
