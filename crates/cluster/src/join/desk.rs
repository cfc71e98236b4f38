//! The main node's side of joining and of renewal.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sterna_base::{BlobHash, Clock, NodeId};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::{
    JoinAnswer, JoinRefused, JoinRequest, JoinToken, RenewalAnswer, RenewalRequest, TokenBook, TokenBookError,
    TokenEntry, TokenGrant, from_base64, to_base64,
};
use crate::ca::{Authority, CertificateError};
use crate::identity::{Identity, PendingKey};
use crate::limits::{CLOCK_SKEW_MS_MAX, JOINS_MAX, NODE_NAME_BYTES_MAX, PROBE_TIMEOUT_MS};
use crate::nodes::NodeRoles;
use crate::rpc::wire::{RELEASE, releases_fit};

/// A node that is about to be let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNode {
    /// Its id.
    pub id: NodeId,
    /// What people will call it.
    pub name: String,
    /// What it does.
    pub roles: NodeRoles,
    /// Where the others reach it.
    pub address: String,
    /// The version of its binary.
    pub version: String,
    /// The node whose place it takes, if it does.
    pub replaces: Option<NodeId>,
}

/// Why the directory doesn't take a node.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdmitRefused {
    /// The id is there already.
    #[error("the node is known already")]
    NodeKnown,
    /// The name is there already.
    #[error("the name is taken")]
    NameTaken,
    /// Anything else, for the administrator.
    #[error("{0}")]
    Other(String),
}

/// Writes new nodes into the directory. The server wires the directory behind this.
#[async_trait]
pub trait Admission: Send + Sync {
    /// Whether the node could be taken; changes nothing.
    ///
    /// # Errors
    /// [`AdmitRefused`]
    async fn check(&self, node: &NewNode) -> Result<(), AdmitRefused>;

    /// Takes the node, durably; the very same node again is success.
    ///
    /// # Errors
    /// [`AdmitRefused`]
    async fn admit(&self, node: &NewNode) -> Result<(), AdmitRefused>;
}

/// Lets nodes in and renews their certificates.
pub struct JoinDesk {
    authority: Authority,
    main: NodeId,
    book: Arc<TokenBook>,
    admission: Arc<dyn Admission>,
    clock: Arc<dyn Clock>,
    version: String,
    places: Semaphore,
}

impl JoinDesk {
    /// The desk of the node `main`, which runs `version`.
    pub fn new(
        authority: Authority,
        main: NodeId,
        book: TokenBook,
        admission: Arc<dyn Admission>,
        clock: Arc<dyn Clock>,
        version: impl Into<String>,
    ) -> Arc<Self> {
        Arc::new(JoinDesk {
            authority,
            main,
            book: Arc::new(book),
            admission,
            clock,
            version: version.into(),
            places: Semaphore::new(JOINS_MAX),
        })
    }

    /// Makes a one-time token; its text is shown once and stored nowhere.
    ///
    /// # Errors
    /// When it can't be stored.
    pub async fn issue_token(&self, grant: TokenGrant) -> Result<(JoinToken, TokenEntry), TokenBookError> {
        let (book, authority, main) = (self.book.clone(), self.authority.fingerprint(), self.main);
        let task = tokio::task::spawn_blocking(move || book.issue(authority, main, grant));
        task.await.unwrap_or(Err(TokenBookError::Stopping))
    }

    /// Makes an open token worthless; says whether there was one of this id.
    ///
    /// # Errors
    /// When it can't be written down.
    pub async fn revoke_token(&self, id: &str) -> Result<bool, TokenBookError> {
        let (book, id) = (self.book.clone(), id.to_owned());
        let task = tokio::task::spawn_blocking(move || book.revoke(&id));
        task.await.unwrap_or(Err(TokenBookError::Stopping))
    }

    /// The tokens that can still be used.
    pub fn open_tokens(&self) -> Vec<TokenEntry> {
        let now = self.clock.now();
        let mut tokens = self.book.list();
        tokens.retain(|token| token.used.is_none() && token.expires_at > now);
        tokens
    }

    /// The tokens that are remembered, used and expired ones too.
    pub fn tokens(&self) -> Vec<TokenEntry> {
        self.book.list()
    }

    /// Lets a machine in, or says why not. The token is looked at first, so that a stranger learns nothing else; it is
    /// crossed out last, so that every other mistake can be mended and the same token used again.
    ///
    /// # Errors
    /// [`JoinRefused`]
    pub(crate) async fn join(&self, mut request: JoinRequest) -> Result<JoinAnswer, JoinRefused> {
        let _place = self.places.acquire().await.map_err(|error| JoinRefused::Failed(error.to_string()))?;
        let secret = decode_hex(&request.secret).ok_or(JoinRefused::WrongToken)?;
        let signing = from_base64(&request.request)
            .ok_or_else(|| JoinRefused::Invalid("the signing request is not base64".to_owned()))?;
        let signing_hash = BlobHash::of(&signing);
        let grant = self.book.check(&secret, request.node, signing_hash)?;
        if let Some(name) = grant.name {
            request.name = name;
        }
        if grant.replaces.is_some() {
            request.roles.clone_from(&grant.roles);
        }
        self.check_request(&request, &grant.roles, grant.replaces)?;
        let repetition = self.book.is_repetition(&secret, request.node, signing_hash);
        let node = NewNode {
            id: request.node,
            name: request.name.clone(),
            roles: request.roles.clone(),
            address: request.address.clone(),
            version: request.version.clone(),
            replaces: grant.replaces,
        };
        if !repetition {
            self.admission.check(&node).await.map_err(|error| refused(error, &node))?;
        }
        let certificate = self
            .authority
            .sign(&signing, node.id, &*self.clock)
            .map_err(|error| JoinRefused::Invalid(error.to_string()))?;
        let warnings = probe(&request).await.err().into_iter().collect();
        let (book, id) = (self.book.clone(), node.id);
        tokio::task::spawn_blocking(move || book.consume(&secret, id, signing_hash))
            .await
            .map_err(|error| JoinRefused::Failed(error.to_string()))??;
        self.admission.admit(&node).await.map_err(|error| refused(error, &node))?;
        tracing::info!(node = %node.id, name = %node.name, address = %node.address, "a node joined");
        Ok(JoinAnswer {
            certificate: to_base64(&certificate),
            authority: to_base64(self.authority.certificate()),
            installation: self.authority.installation(),
            main: self.main,
            name: node.name,
            roles: grant.replaces.map(|_| node.roles),
            warnings,
        })
    }

    fn check_request(
        &self,
        request: &JoinRequest,
        roles: &NodeRoles,
        replaces: Option<NodeId>,
    ) -> Result<(), JoinRefused> {
        match (request.migrates, replaces) {
            (true, None) => {
                let text = "this token lets a server join; one that takes another machine's place needs a token of \
                            sterna migrate token";
                return Err(JoinRefused::Invalid(text.to_owned()));
            }
            (false, Some(_)) => {
                let text = "this token is for a machine that takes another one's place: sterna migrate from HOST \
                            --token TOKEN";
                return Err(JoinRefused::Invalid(text.to_owned()));
            }
            _ => {}
        }
        let ahead_ms = request.now.0.saturating_sub(self.clock.now().0);
        if ahead_ms.saturating_abs() > CLOCK_SKEW_MS_MAX {
            return Err(JoinRefused::Clock { ahead_ms });
        }
        if !releases_fit(request.release, RELEASE) {
            return Err(JoinRefused::Version { theirs: request.version.clone(), ours: self.version.clone() });
        }
        let name = request.name.as_str();
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.';
        if name.is_empty() || name.len() > NODE_NAME_BYTES_MAX || !name.bytes().all(fits) {
            let text = format!("a server's name has 1 to {NODE_NAME_BYTES_MAX} of a-z, 0-9, - and .; {name:?} hasn't");
            return Err(JoinRefused::Invalid(text));
        }
        // Who takes the place of a machine that is the main node and nothing else has no role at first.
        let is_empty = request.roles.is_empty() && replaces.is_none();
        if is_empty || request.roles.contains(&crate::nodes::NodeRole::Main) {
            return Err(JoinRefused::Invalid("a joining server is data, edge or both".to_owned()));
        }
        if !request.roles.is_subset(roles) {
            return Err(JoinRefused::Roles);
        }
        Ok(())
    }

    /// Renews the main node's own certificate if more than half of its life time is over: to be called at every
    /// start, so that a main node that was off for months comes back by itself. Blocking.
    ///
    /// # Errors
    /// When the certificate can't be made or stored.
    pub fn renew_own(&self, identity: &Identity) -> Result<bool, CertificateError> {
        if self.clock.now() < identity.renewal_due() {
            return Ok(false);
        }
        let pending = PendingKey::generate(identity.node())?;
        let certificate = self.authority.sign(&pending.request, identity.node(), &*self.clock)?;
        identity.renew(pending, certificate)?;
        Ok(true)
    }

    /// Signs the next certificate of a node that came with a valid one.
    pub(crate) fn renew(&self, node: NodeId, request: &RenewalRequest) -> Result<RenewalAnswer, CertificateError> {
        let signing =
            from_base64(&request.request).ok_or_else(|| CertificateError::Request("it is not base64".to_owned()))?;
        let certificate = self.authority.sign(&signing, node, &*self.clock)?;
        tracing::info!(%node, "a node's certificate was renewed");
        Ok(RenewalAnswer { certificate: to_base64(&certificate) })
    }
}

fn refused(error: AdmitRefused, node: &NewNode) -> JoinRefused {
    match error {
        AdmitRefused::NodeKnown => JoinRefused::NodeKnown(node.id),
        AdmitRefused::NameTaken => JoinRefused::NameTaken(node.name.clone()),
        AdmitRefused::Other(text) => JoinRefused::Failed(text),
    }
}

/// Whether the address leads back to the joining machine. It only warns: a firewall may be opened later.
async fn probe(request: &JoinRequest) -> Result<(), String> {
    let address = &request.address;
    let warn = |cause: &str| {
        format!(
            "the main node can't reach this machine at {address} ({cause}); open the port or correct the address: \
             sterna server set {} --address HOST:PORT",
            request.name
        )
    };
    let reached = timeout(Duration::from_millis(PROBE_TIMEOUT_MS), async {
        let mut stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        if request.probe.is_empty() {
            return Ok(());
        }
        let mut answer = vec![0; request.probe.len()];
        stream.read_exact(&mut answer).await.map_err(|error| error.to_string())?;
        if answer == request.probe.as_bytes() { Ok(()) } else { Err("another machine answers there".to_owned()) }
    });
    match reached.await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(cause)) => Err(warn(&cause)),
        Err(_) => Err(warn("no answer")),
    }
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nodes::NodeRole;
    use sterna_base::{InstallationId, ManualClock, Timestamp};

    struct Nobody;

    #[async_trait]
    impl Admission for Nobody {
        async fn check(&self, _: &NewNode) -> Result<(), AdmitRefused> {
            Ok(())
        }

        async fn admit(&self, _: &NewNode) -> Result<(), AdmitRefused> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_release_that_is_no_neighbour_is_refused_and_the_next_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("cluster")).unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::from_seconds(1_800_000_000)));
        let authority = Authority::create(&folder.path().join("cluster"), InstallationId::random(), &*clock).unwrap();
        let book = TokenBook::open(folder.path(), clock.clone()).unwrap();
        let desk = JoinDesk::new(authority, NodeId::random(), book, Arc::new(Nobody), clock.clone(), "1.0.0");
        let roles: NodeRoles = [NodeRole::Data].into();
        let grant = TokenGrant { name: None, roles: roles.clone(), lifetime_ms: 60_000, replaces: None };
        let (token, _) = desk.issue_token(grant).await.unwrap();
        let node = NodeId::random();
        let mut request = JoinRequest {
            secret: token.secret_text(),
            node,
            request: to_base64(&PendingKey::generate(node).unwrap().request),
            name: "alpha".to_owned(),
            roles,
            address: "127.0.0.1:1".to_owned(),
            probe: String::new(),
            version: "3.0.0".to_owned(),
            release: RELEASE + 2,
            now: clock.now(),
            migrates: false,
        };
        let refused = desk.join(request.clone()).await.unwrap_err();
        assert_eq!(refused, JoinRefused::Version { theirs: "3.0.0".to_owned(), ours: "1.0.0".to_owned() });
        request.release = RELEASE + 1;
        assert_eq!(desk.join(request).await.unwrap().name, "alpha");
    }
}
