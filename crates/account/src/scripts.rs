//! Sieve scripts as an account keeps them: the named items of one container, of which at most one is active.
//!
//! Everything here is optimistic: what is read is expected to be so still in the commit that changes it
//! ([`Mutation::ExpectContainer`]), so that two sessions can't make two scripts active, and a delivery never runs one
//! that is not active any more.

use bytes::Bytes;
use sterna_base::limits::INLINE_BLOB_BYTES_MAX;
use sterna_base::{BlobHash, ContainerId, Modseq, OperationId, Timestamp, Uid};

use crate::commit::Expect;
use crate::{
    Account, AccountError, CommitError, Container, ContainerKind, Content, FlagAction, FlagSet, Item, ItemParts,
    Keyword, Mutation, NewItem, UidSet, container_named,
};

/// The name of the container, which stands at the top.
pub const CONTAINER: &str = "sieve";

/// The keyword of the active script.
pub const ACTIVE: &str = "$active";

/// Longest name of a script in bytes (RFC 5804 section 1.6 asks for 128 characters, which are 512 bytes).
pub const NAME_BYTES_MAX: usize = 512;

/// Largest script of any installation: it travels in one piece.
pub const SCRIPT_BYTES_MAX: u64 = INLINE_BLOB_BYTES_MAX as u64;

/// Most scripts that an account may be given; more are not listed.
pub const SCRIPTS_MAX: usize = 1000;

/// How often a change is tried again because another one came first.
const TRIES: usize = 8;

/// One script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    /// Its name, unique in the account.
    pub name: String,
    /// Its content's name.
    pub hash: BlobHash,
    /// Its length in bytes.
    pub size: u64,
    /// Whether it runs when mail arrives.
    pub active: bool,
    /// When it was last written.
    pub written_at: Timestamp,
    uid: Uid,
}

/// The scripts of an account at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scripts {
    /// Where they are; `None` while there was never one.
    pub container: Option<ContainerId>,
    /// The container's highest modseq: what a commit expects that depends on these scripts.
    pub highest_modseq: Option<Modseq>,
    /// Themselves, by name.
    pub scripts: Vec<Script>,
}

/// What an account may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScriptLimits {
    /// Bytes of one script.
    pub script_bytes: u64,
    /// Number of scripts.
    pub scripts: u64,
}

/// Why scripts were not changed.
#[derive(Debug, thiserror::Error)]
pub enum ScriptError {
    /// The account could not be asked.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// There is no script of that name.
    #[error("there is no such script")]
    NoSuchScript,
    /// There is one of that name already.
    #[error("a script of that name exists")]
    NameTaken,
    /// The name is empty, too long, or has control characters.
    #[error("a script can't be called so")]
    InvalidName,
    /// The active script can't be deleted.
    #[error("the script is active")]
    Active,
    /// It is longer than scripts may be.
    #[error("the script is longer than {0} bytes")]
    TooLarge(u64),
    /// There are as many as there may be.
    #[error("there are {0} scripts already")]
    TooMany(u64),
    /// Others changed the scripts again and again.
    #[error("the scripts are being changed by somebody else")]
    Busy,
}

impl Scripts {
    /// Reads them.
    ///
    /// # Errors
    /// When the account can't be read.
    pub async fn read(account: &dyn Account) -> Result<Self, AccountError> {
        let found = account.containers_on_path(ContainerKind::Sieve, &[CONTAINER.to_owned()]).await?;
        let Some(container) = found.into_iter().next() else { return Ok(Scripts::default()) };
        let items = account.items(container.id, &UidSet::all(), ItemParts::default(), SCRIPTS_MAX).await?;
        let mut scripts: Vec<Script> = items.into_iter().filter_map(|item| script(&container, item)).collect();
        scripts.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        Ok(Scripts { container: Some(container.id), highest_modseq: Some(container.highest_modseq), scripts })
    }

    /// The one that runs.
    pub fn active(&self) -> Option<&Script> {
        self.scripts.iter().find(|script| script.active)
    }

    /// The one of this name.
    pub fn named(&self, name: &str) -> Option<&Script> {
        self.scripts.iter().find(|script| script.name == name)
    }

    /// The step of a commit that holds only while these are the account's scripts.
    pub fn expectation(&self) -> Mutation {
        let (kind, name) = (ContainerKind::Sieve, CONTAINER.to_owned());
        Mutation::ExpectContainer { kind, name, highest_modseq: self.highest_modseq }
    }

    /// Whether one of this name and size would find room.
    ///
    /// # Errors
    /// [`ScriptError`], as [`put`] would give it.
    pub fn has_space(&self, name: &str, size: u64, limits: ScriptLimits) -> Result<(), ScriptError> {
        check_name(name)?;
        if size > limits.script_bytes.min(SCRIPT_BYTES_MAX) {
            return Err(ScriptError::TooLarge(limits.script_bytes));
        }
        let others = self.scripts.iter().filter(|script| script.name != name).count() as u64;
        if others >= limits.scripts.min(SCRIPTS_MAX as u64) {
            return Err(ScriptError::TooMany(limits.scripts));
        }
        Ok(())
    }
}

fn script(container: &Container, item: Item) -> Option<Script> {
    let is_active = |keyword: &Keyword| keyword.as_str() == ACTIVE;
    let bit = container.keywords.iter().position(is_active);
    Some(Script {
        active: bit.is_some_and(|bit| item.flags.keywords & 1 << bit != 0),
        name: item.name?,
        hash: item.blob,
        size: item.size,
        written_at: item.internal_date,
        uid: item.uid,
    })
}

/// A script's text; `None` when there is none of this name.
///
/// # Errors
/// When the account can't be read.
pub async fn text(account: &dyn Account, name: &str) -> Result<Option<Bytes>, AccountError> {
    let found = account.containers_on_path(ContainerKind::Sieve, &[CONTAINER.to_owned()]).await?;
    let Some(container) = found.first() else { return Ok(None) };
    let parts = ItemParts { body: true, ..ItemParts::default() };
    let Some(item) = account.item_named(container.id, name, parts).await? else { return Ok(None) };
    match item.body {
        Some(body) => Ok(Some(body)),
        None => Ok(Some(account.blob(item.blob, 0..item.size).await?)),
    }
}

/// Writes a script, over one of the same name; it stays active if it was.
///
/// # Errors
/// [`ScriptError`].
pub async fn put(account: &dyn Account, name: &str, text: Bytes, limits: ScriptLimits) -> Result<(), ScriptError> {
    change(account, |scripts, container| {
        scripts.has_space(name, text.len() as u64, limits)?;
        let active = scripts.named(name).is_some_and(|script| script.active);
        Ok(vec![write(container, name, Content::Inline(text.clone()), active)])
    })
    .await
}

/// Makes a script the one that runs; `None` makes none run.
///
/// # Errors
/// [`ScriptError`].
pub async fn activate(account: &dyn Account, name: Option<&str>) -> Result<(), ScriptError> {
    change(account, |scripts, container| {
        let chosen = match name {
            Some(name) => Some(scripts.named(name).ok_or(ScriptError::NoSuchScript)?),
            None => None,
        };
        if scripts.active().map(|script| script.uid) == chosen.map(|script| script.uid) {
            return Ok(Vec::new());
        }
        let flag = |uids, action| Mutation::StoreFlags {
            container,
            uids,
            action,
            flags: active_flag(true),
            unchanged_since: None,
        };
        let mut steps = vec![flag(UidSet::all(), FlagAction::Remove)];
        steps.extend(chosen.map(|script| flag(UidSet::one(script.uid), FlagAction::Add)));
        Ok(steps)
    })
    .await
}

/// Deletes a script that is not active.
///
/// # Errors
/// [`ScriptError`].
pub async fn delete(account: &dyn Account, name: &str) -> Result<(), ScriptError> {
    change(account, |scripts, container| match scripts.named(name) {
        None => Err(ScriptError::NoSuchScript),
        Some(script) if script.active => Err(ScriptError::Active),
        Some(_) => Ok(vec![Mutation::Remove { container, name: name.to_owned() }]),
    })
    .await
}

/// Gives a script another name; it stays active if it was.
///
/// # Errors
/// [`ScriptError`].
pub async fn rename(account: &dyn Account, from: &str, to: &str) -> Result<(), ScriptError> {
    check_name(to)?;
    change(account, |scripts, container| {
        let script = scripts.named(from).ok_or(ScriptError::NoSuchScript)?;
        if from == to {
            return Ok(Vec::new());
        }
        if scripts.named(to).is_some() {
            return Err(ScriptError::NameTaken);
        }
        let written = write(container, to, Content::Stored(script.hash), script.active);
        Ok(vec![written, Mutation::Remove { container, name: from.to_owned() }])
    })
    .await
}

fn check_name(name: &str) -> Result<(), ScriptError> {
    // RFC 5804 section 1.6: no control characters, and no line or paragraph separators.
    let allowed = |c: char| !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}');
    let good = !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.chars().all(allowed);
    if good { Ok(()) } else { Err(ScriptError::InvalidName) }
}

fn active_flag(active: bool) -> FlagSet {
    let mut flags = FlagSet::default();
    if active && let Ok(keyword) = Keyword::new(ACTIVE) {
        flags.insert(keyword);
    }
    flags
}

fn write(container: ContainerId, name: &str, content: Content, active: bool) -> Mutation {
    let (summary, internal_date, flags, name) = (None, None, active_flag(active), Some(name.to_owned()));
    let item = NewItem { content, summary, internal_date, flags, name, object_uid: None };
    Mutation::Put { container, item, expect: Expect::Any }
}

/// Reads the scripts, and does what follows from them; again, when they changed in between.
async fn change(
    account: &dyn Account,
    steps: impl Fn(&Scripts, ContainerId) -> Result<Vec<Mutation>, ScriptError>,
) -> Result<(), ScriptError> {
    for _ in 0..TRIES {
        let mut scripts = Scripts::read(account).await?;
        // What is refused makes no container.
        let planned = steps(&scripts, scripts.container.unwrap_or(ContainerId(0)))?;
        if planned.is_empty() {
            return Ok(());
        }
        if scripts.container.is_none() {
            make_container(account).await?;
            scripts = Scripts::read(account).await?;
        }
        let Some(container) = scripts.container else { continue };
        let mut mutations = vec![scripts.expectation()];
        mutations.extend(steps(&scripts, container)?);
        match account.commit(OperationId::random(), mutations).await {
            Err(AccountError::Refused(CommitError::Unexpected)) => {}
            result => return Ok(result.map(drop)?),
        }
    }
    Err(ScriptError::Busy)
}

async fn make_container(account: &dyn Account) -> Result<(), AccountError> {
    container_named(account, ContainerKind::Sieve, CONTAINER).await.map(drop)
}
