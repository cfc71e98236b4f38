//! Who asks, and whose homes they may look into.

use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use http::{Method, Uri};
use hyper::HeaderMap;
use hyper::body::Incoming;
use sterna_account::service::Login;
use sterna_account::shares::{SharesError, Sharing, Who};
use sterna_account::{Account, Acl, Container, Rights};
use sterna_base::{AccountId, Timestamp};
use sterna_formats::calendar::zone_text::Definitions;
use sterna_formats::dav::headers::{Depth, Prefer};
use tokio::sync::OnceCell;

use super::Shared;
use super::answer::Problem;
use super::paths;

/// What a method works with besides the body.
pub struct Context {
    pub(super) shared: Arc<Shared>,
    pub login: Login,
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    who: OnceCell<Arc<Who>>,
}

/// A request: its context, and its body that is still to come.
pub struct Request {
    pub context: Arc<Context>,
    pub body: Incoming,
}

/// Somebody's account, as the user sees it. Cheap to clone.
#[derive(Clone)]
pub struct Home {
    /// The owner's main address: in every path.
    pub address: String,
    pub account: Arc<dyn Account>,
    /// `None` for the user's own.
    who: Option<Arc<Who>>,
}

impl Home {
    /// Somebody else's.
    pub fn of(address: String, account: Arc<dyn Account>, who: Arc<Who>) -> Self {
        Home { address, account, who: Some(who) }
    }

    /// Of whoever made a public link: it has no address that is told, and who comes with the link is nobody.
    pub fn of_link(account: Arc<dyn Account>) -> Self {
        let nobody = Who { account: AccountId(0), groups: HashSet::new(), domain: None };
        Home { address: String::new(), account, who: Some(Arc::new(nobody)) }
    }

    /// Whether it is the user's own.
    pub fn is_own(&self) -> bool {
        self.who.is_none()
    }

    /// Its owner as a principal: a user, or a whole domain.
    pub fn principal(&self) -> String {
        match self.address.strip_prefix('@') {
            Some(domain) => paths::domain(domain),
            None => paths::principal(&self.address),
        }
    }

    /// What the user may do with a container.
    pub fn rights(&self, container: &Container) -> Rights {
        self.rights_by(&container.acl) & (container.kind.rights_of_owner() | Rights::FREE_BUSY)
    }

    /// What a list of rights gives the user.
    pub fn rights_by(&self, acl: &Acl) -> Rights {
        let rights = |who: &Arc<Who>| acl.rights(|identifier| who.is(identifier));
        self.who.as_ref().map_or(Rights::ALL, rights)
    }
}

impl Context {
    pub(super) fn new(shared: Arc<Shared>, login: Login, method: Method, uri: Uri, headers: HeaderMap) -> Self {
        Context { shared, login, method, uri, headers, who: OnceCell::new() }
    }

    /// A header as text, if it is one.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The `Depth` header.
    ///
    /// # Errors
    /// `400` when it is none.
    pub fn depth(&self, default: Depth) -> Result<Depth, Problem> {
        match self.header("depth") {
            None => Ok(default),
            Some(text) => Depth::parse(text).ok_or_else(|| Problem::bad_request("Depth is 0, 1 or infinity")),
        }
    }

    /// The `Prefer` header.
    pub fn prefer(&self) -> Prefer {
        Prefer::parse(self.header("prefer"), self.header("brief"))
    }

    /// Whether objects are told with the definitions of their zones (RFC 7809 section 7.1).
    pub fn definitions(&self) -> Definitions {
        Definitions::parse(self.header("caldav-timezones"))
    }

    pub fn now(&self) -> Timestamp {
        self.shared.clock.now()
    }

    /// The account behind the first part of a path in a space.
    ///
    /// # Errors
    /// `404` when nobody is called so.
    pub async fn home(&self, address: &str) -> Result<Home, Problem> {
        if address.eq_ignore_ascii_case(&self.login.address) {
            let account = self.shared.accounts.open(self.login.account).await?;
            return Ok(Home { address: self.login.address.clone(), account, who: None });
        }
        if self.login.is_sudo {
            return Err(Problem::not_found());
        }
        let shares = &self.shared.shares;
        let entry = shares.entry(address).await.map_err(no_directory)?.ok_or_else(Problem::not_found)?;
        let names = shares.addresses(vec![entry]).await.map_err(no_directory)?;
        let address = names.get(&entry).cloned().ok_or_else(Problem::not_found)?;
        let account = self.shared.accounts.open(entry).await?;
        let who = if entry == self.login.account { None } else { Some(self.who().await?) };
        Ok(Home { address, account, who })
    }

    /// The home of somebody else.
    ///
    /// # Errors
    /// `404` when there is no such account.
    pub async fn home_of(&self, owner: AccountId) -> Result<Home, Problem> {
        if self.login.is_sudo {
            return Err(Problem::not_found());
        }
        let names = self.shared.shares.addresses(vec![owner]).await.map_err(no_directory)?;
        let address = names.get(&owner).cloned().ok_or_else(Problem::not_found)?;
        let account = self.shared.accounts.open(owner).await?;
        Ok(Home::of(address, account, self.who().await?))
    }

    /// The user's own.
    ///
    /// # Errors
    /// When the account can't be had.
    pub async fn own_home(&self) -> Result<Home, Problem> {
        self.home(&self.login.address).await
    }

    /// The user and the user's groups.
    ///
    /// # Errors
    /// When the directory has no answer.
    pub async fn who(&self) -> Result<Arc<Who>, Problem> {
        let ask = async {
            let sharing = self.shared.shares.sharing(self.login.account).await.map_err(no_directory)?;
            let Sharing { groups, domain, .. } = sharing;
            Ok::<_, Problem>(Arc::new(Who { account: self.login.account, groups, domain }))
        };
        self.who.get_or_try_init(|| ask).await.cloned()
    }
}

/// The directory has no answer.
pub(super) fn no_directory(error: SharesError) -> Problem {
    tracing::warn!(%error, "the directory has no answer for a DAV request");
    Problem::unavailable(5)
}

pub(super) async fn peer_login(
    shared: &Shared,
    login: &str,
    password: &sterna_base::Secret,
    peer: IpAddr,
) -> Result<Login, Problem> {
    use sterna_account::service::{LoginAttempt, LoginError};
    let attempt = LoginAttempt { login, password, protocol: "dav", peer };
    shared.authenticator.authenticate(attempt).await.map_err(|error| match error {
        LoginError::Invalid => Problem::unauthorized(),
        LoginError::TooMany { wait_ms } => Problem::unavailable(wait_ms.div_ceil(1000).max(1)),
        LoginError::Unavailable(cause) => {
            tracing::warn!(%peer, login, cause, "a DAV log-in could not be checked");
            Problem::unavailable(5)
        }
    })
}
