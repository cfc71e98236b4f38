//! Who asks: somebody at the node's own socket, somebody who signed in, or a program with a token.

use std::convert::Infallible;
use std::net::IpAddr;

use axum::extract::FromRequestParts;
use axum::http::StatusCode;
use axum::http::request::Parts;
use sterna_base::AccountId;
use sterna_directory::Entry;
use sterna_directory::rights::{Area, Permission, Rights, Within};

use super::problem::Problem;

/// Who asks, and what they may.
#[derive(Clone, Debug)]
pub struct Principal {
    /// For people, in histories and the record.
    pub name: String,
    /// Whose account; `None` at the socket, and of tokens made there.
    pub account: Option<AccountId>,
    /// What is permitted to them.
    pub rights: Rights,
    /// How they came in.
    pub via: Via,
    /// From where; `None` at the socket.
    pub peer: Option<IpAddr>,
}

/// How somebody came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Via {
    /// By the node's own socket: the kernel says who it is.
    Socket,
    /// By a session of the console, with its id in lists.
    Session(String),
    /// With a token, by its id.
    Token(String),
    /// As somebody else, by the id of what lets them.
    Sudo(String),
}

impl Principal {
    /// Somebody at the socket, who may do everything.
    pub fn at_socket(name: String) -> Self {
        Principal { name, account: None, rights: Rights::all(), via: Via::Socket, peer: None }
    }

    /// Whether everything is permitted, so that nothing has to be looked at.
    pub fn is_unlimited(&self) -> bool {
        self.rights == Rights::all()
    }

    /// Whether it is not a program with a token: a token that could make another would outlive its own end.
    ///
    /// # Errors
    /// 403 for programs.
    pub fn must_be_present(&self) -> Result<(), Problem> {
        match self.via {
            Via::Socket | Via::Session(_) => Ok(()),
            Via::Sudo(_) => Err(Problem::as_another()),
            Via::Token(_) => {
                let (title, detail) = ("Not permitted", "programs with a token may not do this: it lets somebody in");
                let remedy = "Sign in at the console, or use the command line on the main node.";
                Err(Problem::new(StatusCode::FORBIDDEN, "not-permitted", title, detail, remedy))
            }
        }
    }

    /// Whose account it is.
    ///
    /// # Errors
    /// 403 for who has none.
    pub fn own_account(&self) -> Result<AccountId, Problem> {
        self.account.ok_or_else(|| {
            let (title, detail) = ("You have no account", "whoever asks has no account of their own here");
            let remedy = "Name the user (/api/v1/users/...), or sign in as one.";
            Problem::new(StatusCode::FORBIDDEN, "no-account", title, detail, remedy)
        })
    }

    /// How they came in, for people: `session 3f`, `token 9a`.
    pub fn via_text(&self) -> String {
        match &self.via {
            Via::Socket => "socket".to_owned(),
            Via::Session(id) => format!("session {id}"),
            Via::Token(id) => format!("token {id}"),
            Via::Sudo(id) => format!("sudo {id}"),
        }
    }
}

/// Whoever asks, or 401.
impl<S: Send + Sync> FromRequestParts<S> for Principal {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Principal>().cloned().ok_or_else(Problem::not_signed_in)
    }
}

/// Which people are shown to whoever asks.
#[derive(Clone, Debug)]
pub(super) struct Seen(Rights);

impl Seen {
    /// Whether an entry is.
    pub(super) fn entry(&self, entry: &Entry) -> bool {
        self.at(entry.address.domain, &entry.unit)
    }

    /// Whether what lies in a unit of a domain is.
    pub(super) fn at(&self, domain: sterna_base::DomainId, unit: &str) -> bool {
        self.0.may(Permission::read(Area::People), Within::Unit(domain, unit))
    }

    /// Whether an external contact is.
    pub(super) fn of_contacts(&self) -> impl Fn(&sterna_directory::Contact) -> bool + '_ {
        |contact| self.at(contact.domain, &contact.unit)
    }

    /// Whether a domain is: its own administrators see it, and those of its people.
    pub(super) fn domain(&self, domain: sterna_base::DomainId) -> bool {
        let areas = [Area::Domains, Area::People, Area::Settings].map(Permission::read);
        areas.into_iter().any(|permission| {
            self.0.may(permission, Within::Domain(domain)) || self.0.domains_with(permission).contains(&domain)
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Seen {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Seen(parts.extensions.get::<Principal>().map(|principal| principal.rights.clone()).unwrap_or_default()))
    }
}

/// What an entry's address and unit say of where it lies.
pub(super) fn place_of(entry: &Entry) -> Within<'_> {
    Within::Unit(entry.address.domain, &entry.unit)
}
