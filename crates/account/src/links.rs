//! Links by which people without an account reach something in one: a file, a folder, a calendar. They lie in the
//! account that they lead into, and so move with it; which account that is, is part of the token.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sterna_base::{AccountId, ContainerId, OperationId, Timestamp};

use crate::commit::Expect;
use crate::scram::{self, ScramVerifier};
use crate::{
    Account, AccountError, CommitError, ContainerKind, Content, ItemParts, Mutation, NewItem, UidSet, container_named,
};

/// The name of the container with the links, which stands at the top.
pub const CONTAINER: &str = "links";

/// Most links of one account; those that ended go first.
pub const LINKS_MAX: usize = 2000;

/// The version of the stored layout, in its first byte.
const VERSION: u8 = 1;

/// Bytes of a token that nobody can guess.
const SECRET_BYTES: usize = 16;

/// What passwords are checked with: the proof of SCRAM over a fixed text.
const PROOF_OF: &[u8] = b"link";

/// What is in a URL: whose account, and a secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Token {
    /// Whose.
    pub account: AccountId,
    secret: [u8; SECRET_BYTES],
}

impl Token {
    /// A new one for an account.
    pub fn random(account: AccountId) -> Self {
        Token { account, secret: sterna_base::ids::random_bytes() }
    }

    /// The secret alone: what items are called that the account keeps for it.
    pub fn name(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.secret)
    }
}

/// As URLs have it.
impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}.{}", self.account.0, self.name())
    }
}

/// Nothing for logs.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token(of account {})", self.account)
    }
}

/// A text that is no [`Token`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the token of a link")]
pub struct InvalidToken;

impl FromStr for Token {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Self, InvalidToken> {
        let (account, secret) = text.split_once('.').ok_or(InvalidToken)?;
        let account = u64::from_str_radix(account, 16).map_err(|_| InvalidToken)?;
        let secret = URL_SAFE_NO_PAD.decode(secret).map_err(|_| InvalidToken)?;
        let secret = secret.try_into().map_err(|_| InvalidToken)?;
        Ok(Token { account: AccountId(account), secret })
    }
}

/// What a link leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Target {
    /// The file that has this name: whatever it holds when it is fetched.
    File {
        /// Its folder.
        container: ContainerId,
        /// Its name there.
        name: String,
    },
    /// A folder and everything below it.
    Folder {
        /// Which.
        container: ContainerId,
    },
    /// A calendar, as one iCalendar object.
    Calendar {
        /// Which.
        container: ContainerId,
        /// Whether only when somebody is busy is told.
        busy_only: bool,
    },
}

impl Target {
    /// The container that it leads to, or into.
    pub fn container(&self) -> ContainerId {
        match self {
            Target::File { container, .. } | Target::Folder { container } | Target::Calendar { container, .. } => {
                *container
            }
        }
    }
}

/// A link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Where it leads.
    pub target: Target,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends; `None` is never.
    pub expires_at: Option<Timestamp>,
    /// What its password is checked with ([`Link::set_password`]).
    password: Option<String>,
    /// Whether what is there may be read.
    pub download: bool,
    /// Whether new files may be put into the folder. What is there is never replaced.
    pub upload: bool,
    /// What its owner calls it.
    pub label: String,
}

impl Link {
    /// One that may be read, for ever, by who has it.
    pub fn new(target: Target, created_at: Timestamp) -> Self {
        Link {
            target,
            created_at,
            expires_at: None,
            password: None,
            download: true,
            upload: false,
            label: String::new(),
        }
    }

    /// Asks for a password from now on. Takes a while: not on an async worker.
    pub fn set_password(&mut self, password: &str) {
        let verifier = ScramVerifier::new(password, sterna_base::ids::random_bytes(), scram::ITERATIONS);
        self.password = Some(verifier.to_string());
    }

    /// Whether it asks for one.
    pub fn has_password(&self) -> bool {
        self.password.is_some()
    }

    /// Whether this is its password, or it has none. Takes a while: not on an async worker.
    pub fn is_password(&self, given: &str) -> bool {
        let Some(stored) = &self.password else { return true };
        let Ok(verifier) = stored.parse::<ScramVerifier>() else { return false };
        let proof = scram::client_proof(given, verifier.salt(), verifier.iterations(), PROOF_OF);
        verifier.verify(PROOF_OF, &proof).is_some()
    }

    fn encode(&self) -> Vec<u8> {
        // Writing into a vector can't fail; were it to, an empty content is no link.
        postcard::to_extend(self, vec![VERSION]).unwrap_or_default()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let (version, rest) = bytes.split_first()?;
        if *version == VERSION { postcard::from_bytes(rest).ok() } else { None }
    }

    /// Whether its time is over.
    pub fn has_ended(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }
}

/// Makes a link.
///
/// # Errors
/// [`CommitError::Limit`] when there are too many that have not ended, or when the account can't be written.
pub async fn create(account: &dyn Account, link: &Link, now: Timestamp) -> Result<Token, AccountError> {
    let token = Token::random(account.id());
    let container = container(account).await?;
    let all = list(account).await?;
    let ended = all.iter().filter(|(_, link)| link.has_ended(now));
    let mut steps: Vec<Mutation> = ended.map(|(token, _)| Mutation::Remove { container, name: token.name() }).collect();
    if all.len() - steps.len() >= LINKS_MAX {
        return Err(AccountError::Refused(CommitError::Limit("links of one account".to_owned())));
    }
    let item = NewItem::named(token.name(), Content::Inline(Bytes::from(link.encode())));
    steps.push(Mutation::Put { container, item, expect: Expect::Absent });
    account.commit(OperationId::random(), steps).await?;
    Ok(token)
}

async fn container(account: &dyn Account) -> Result<ContainerId, AccountError> {
    Ok(container_named(account, ContainerKind::Settings, CONTAINER).await?.id)
}

/// The link of a token that has not ended.
///
/// # Errors
/// When the account can't be read.
pub async fn find(account: &dyn Account, token: &Token, now: Timestamp) -> Result<Option<Link>, AccountError> {
    let path = [CONTAINER.to_owned()];
    let Some(container) = account.containers_on_path(ContainerKind::Settings, &path).await?.pop() else {
        return Ok(None);
    };
    let parts = ItemParts { body: true, ..ItemParts::default() };
    let item = account.item_named(container.id, &token.name(), parts).await?;
    let link = item.and_then(|item| Link::decode(&item.body?));
    Ok(link.filter(|link| !link.has_ended(now)))
}

/// All links of an account, those that ended among them.
///
/// # Errors
/// When the account can't be read.
pub async fn list(account: &dyn Account) -> Result<Vec<(Token, Link)>, AccountError> {
    let path = [CONTAINER.to_owned()];
    let Some(container) = account.containers_on_path(ContainerKind::Settings, &path).await?.pop() else {
        return Ok(Vec::new());
    };
    let parts = ItemParts { body: true, ..ItemParts::default() };
    let items = account.items(container.id, &UidSet::all(), parts, LINKS_MAX * 2).await?;
    let id = account.id();
    let read = |item: crate::Item| {
        let token = format!("{:x}.{}", id.0, item.name?).parse().ok()?;
        Some((token, Link::decode(&item.body?)?))
    };
    Ok(items.into_iter().filter_map(read).collect())
}

/// Ends a link; whether there was one.
///
/// # Errors
/// When the account can't be written.
pub async fn revoke(account: &dyn Account, token: &Token) -> Result<bool, AccountError> {
    let path = [CONTAINER.to_owned()];
    let Some(container) = account.containers_on_path(ContainerKind::Settings, &path).await?.pop() else {
        return Ok(false);
    };
    let step = Mutation::Remove { container: container.id, name: token.name() };
    let done = account.commit(OperationId::random(), vec![step]).await?;
    Ok(matches!(done.outcomes.first(), Some(crate::Outcome::Expunged { uids }) if !uids.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_as_they_are_written() {
        let token = Token::random(AccountId(0x1f));
        let text = token.to_string();
        assert_eq!(text.parse(), Ok(token));
        assert!(text.starts_with("1f.") && text.len() == 3 + 22, "{text}");
        assert_ne!(Token::random(AccountId(1)).to_string(), Token::random(AccountId(1)).to_string());
        for bad in ["", "1f", "1f.", "x.AAAAAAAAAAAAAAAAAAAAAA", &text[..text.len() - 1], &format!("{text}A")] {
            assert_eq!(bad.parse::<Token>(), Err(InvalidToken), "{bad}");
        }
        assert!(!format!("{token:?}").contains(&text[3..]));
    }

    #[test]
    fn passwords_and_ends_are_kept() {
        let target = Target::File { container: ContainerId(3), name: "a.pdf".into() };
        let mut link = Link::new(target, Timestamp(1000));
        assert!(link.is_password("anything") && !link.has_ended(Timestamp(i64::MAX)));
        link.set_password("tern");
        link.expires_at = Some(Timestamp(2000));
        let read = Link::decode(&link.encode()).unwrap();
        assert_eq!(read, link);
        assert!(read.is_password("tern") && !read.is_password("gull") && !read.is_password(""));
        assert!(!read.has_ended(Timestamp(1999)) && read.has_ended(Timestamp(2000)));
        assert!(!String::from_utf8_lossy(&link.encode()).contains("tern"));
    }
}
