//! WebDAV, CalDAV and CardDAV: calendars, address books, task lists and files of accounts over HTTP.
//!
//! [`DavProtocol`] is what the server starts. [`service`] takes a request, finds out who asks and for what, and hands
//! it to one file of [`method`], or to [`discovery`], for which nobody logs in. What a path leads to is [`resource`]'s
//! matter, what is told of it [`property`]'s. How paths, tags, properties and locks lie in accounts is decision 35.

mod answer;
pub mod api;
mod attachments;
mod body;
mod context;
pub mod discovery;
mod file_links;
mod guesses;
mod home;
pub mod import;
mod limits;
mod locks;
mod method;
mod mounted;
mod one_look;
pub mod pages;
mod paths;
mod precondition;
mod principals;
mod property;
mod proxies;
mod public;
mod report;
mod resource;
mod scheduling;
mod service;
mod shared_links;
mod stored;
mod versions;

use std::sync::Arc;

use async_trait::async_trait;
use sterna_account::calendars::spans::KeptSpans;
use sterna_account::scheduling::Scheduling;
use sterna_account::service::{Accounts, Authenticator};
use sterna_account::shares::Shares;
use sterna_base::Clock;

use crate::listener::{Connection, Protocol};

/// Settings of a listener.
#[derive(Clone, Debug, Default)]
pub struct DavConfig {
    /// Whether users may log in although the connection is not encrypted: a proxy on this machine does that.
    pub plaintext_login: bool,
}

/// The protocol of one listener. Cheap to clone.
#[derive(Clone)]
pub struct DavProtocol {
    shared: Arc<Shared>,
}

/// What all requests have in common.
#[derive(Clone)]
struct Shared {
    config: DavConfig,
    accounts: Arc<dyn Accounts>,
    authenticator: Arc<dyn Authenticator>,
    shares: Arc<dyn Shares>,
    clock: Arc<dyn Clock>,
    facts: Option<Arc<dyn discovery::Facts>>,
    guesses: Arc<guesses::Guesses>,
    scheduling: Option<Arc<dyn Scheduling>>,
    api: Option<Arc<dyn api::Api>>,
    pages: Option<Arc<dyn pages::Pages>>,
    spans: KeptSpans,
}

impl DavProtocol {
    /// With these settings, over these accounts.
    pub fn new(
        config: DavConfig,
        accounts: Arc<dyn Accounts>,
        authenticator: Arc<dyn Authenticator>,
        shares: Arc<dyn Shares>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let shared = Shared {
            config,
            accounts,
            authenticator,
            shares,
            clock,
            facts: None,
            guesses: Arc::default(),
            scheduling: None,
            api: None,
            pages: None,
            spans: KeptSpans::default(),
        };
        DavProtocol { shared: Arc::new(shared) }
    }

    /// With the documents that tell programs where services are.
    pub fn with_facts(&self, facts: Arc<dyn discovery::Facts>) -> Self {
        DavProtocol { shared: Arc::new(Shared { facts: Some(facts), ..(*self.shared).clone() }) }
    }

    /// With somebody who carries invitations.
    pub fn with_scheduling(self, scheduling: Arc<dyn Scheduling>) -> Self {
        DavProtocol { shared: Arc::new(Shared { scheduling: Some(scheduling), ..(*self.shared).clone() }) }
    }

    /// With what others keep of calendars, too.
    pub fn with_spans(&self, spans: KeptSpans) -> Self {
        DavProtocol { shared: Arc::new(Shared { spans, ..(*self.shared).clone() }) }
    }

    /// With what answers users who ask for something else.
    pub fn with_api(&self, api: Arc<dyn api::Api>) -> Self {
        DavProtocol { shared: Arc::new(Shared { api: Some(api), ..(*self.shared).clone() }) }
    }

    /// With pages and interfaces that are no DAV, by the same listener.
    pub fn with_pages(&self, pages: Arc<dyn pages::Pages>) -> Self {
        DavProtocol { shared: Arc::new(Shared { pages: Some(pages), ..(*self.shared).clone() }) }
    }

    /// The same accounts with other settings: for a second listener.
    pub fn with_config(&self, config: DavConfig) -> Self {
        DavProtocol { shared: Arc::new(Shared { config, ..(*self.shared).clone() }) }
    }
}

#[async_trait]
impl Protocol for DavProtocol {
    fn name(&self) -> &'static str {
        "dav"
    }

    fn busy(&self) -> String {
        pages::BUSY.to_owned()
    }

    async fn serve(&self, connection: Connection) {
        let (peer, encrypted) = (connection.peer(), connection.is_encrypted());
        let shared = self.shared.clone();
        pages::serve(connection, move |request| service::answer(shared.clone(), request, peer, encrypted)).await;
    }
}
