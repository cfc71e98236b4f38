//! WebDAV, CalDAV and CardDAV: calendars, address books, task lists and files of accounts over HTTP.
//!
//! [`DavProtocol`] is what the server starts. [`service`] takes a request, finds out who asks and for what, and hands
//! it to one file of [`method`], or to [`discovery`], for which nobody logs in. What a path leads to is [`resource`]'s
//! matter, what is told of it [`property`]'s. How paths, tags, properties and locks lie in accounts is decision 35.

mod answer;
pub mod api;
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
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
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
        let (facts, guesses, scheduling, api) = (None, Arc::default(), None, None);
        let spans = KeptSpans::default();
        let shared = Shared { config, accounts, authenticator, shares, clock, facts, guesses, scheduling, api, spans };
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
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 30\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            .to_owned()
    }

    async fn serve(&self, connection: Connection) {
        let (peer, encrypted) = (connection.peer(), connection.is_encrypted());
        let shutdown = connection.shutdown().clone();
        let shared = self.shared.clone();
        let serve = service_fn(move |request| {
            let shared = shared.clone();
            async move { Ok::<_, std::convert::Infallible>(service::answer(shared, request, peer, encrypted).await) }
        });
        let mut builder = Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(limits::HEAD_WAIT);
        builder.http2().timer(TokioTimer::new()).max_concurrent_streams(limits::STREAMS_MAX);
        builder.http2().keep_alive_interval(limits::HEAD_WAIT);
        let served = builder.serve_connection(TokioIo::new(connection), serve);
        tokio::pin!(served);
        let ended = tokio::select! {
            ended = served.as_mut() => ended,
            () = shutdown.cancelled() => {
                served.as_mut().graceful_shutdown();
                served.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%peer, %error, "a DAV connection broke");
        }
    }
}
