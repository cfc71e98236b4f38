//! Mailboxes of another server as containers of an account.

use sterna_account::{Account, AccountError, CommitError, Container, ContainerKind, Mutation, SpecialUse};
use sterna_base::limits::CONTAINER_NAME_BYTES_MAX;
use sterna_base::{ContainerId, OperationId, Uid};

/// What stands for a slash in names of servers that separate by something else: here it separates.
const SLASH: char = '∕';

/// Names that servers and clients use for what RFC 6154 has attributes for, where the source doesn't say it by those.
const KNOWN_NAMES: &[(SpecialUse, &[&str])] = &[
    (SpecialUse::Sent, &["Sent Items", "Sent Messages", "Sent Mail", "Gesendet", "Gesendete Objekte", "Envoyés"]),
    (SpecialUse::Drafts, &["Draft", "Entwürfe", "Brouillons"]),
    (SpecialUse::Trash, &["Deleted Items", "Deleted Messages", "Papierkorb", "Corbeille"]),
    (SpecialUse::Junk, &["Spam", "Junk E-mail", "Junk-E-Mail", "Unerwünscht", "Indésirables"]),
    (SpecialUse::Archive, &["Archives", "Archiv"]),
];

/// What a mailbox is for that says nothing about it.
pub fn use_by_name(path: &[String]) -> Option<SpecialUse> {
    let [name] = path else { return None };
    let has_it = |names: &[&str]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
    KNOWN_NAMES.iter().find(|(_, names)| has_it(names)).map(|(special_use, _)| *special_use)
}

/// A part of a path as it can be called here; `None` when it can't.
pub fn part(name: &str) -> Option<String> {
    let name: String = name.chars().map(|c| if c == '/' { SLASH } else { c }).filter(|c| !c.is_control()).collect();
    (!name.is_empty() && name.len() <= CONTAINER_NAME_BYTES_MAX).then_some(name)
}

/// The mail folders of an account, as long as nobody else changes them.
pub struct Folders<'a> {
    account: &'a dyn Account,
    all: Vec<Container>,
}

impl<'a> Folders<'a> {
    /// Reads them.
    ///
    /// # Errors
    /// When the account can't be read; the same holds for the other methods.
    pub async fn of(account: &'a dyn Account) -> Result<Self, AccountError> {
        Ok(Folders { account, all: account.containers().await? })
    }

    /// One by its id.
    pub fn get(&self, id: ContainerId) -> Option<&Container> {
        self.all.iter().find(|container| container.id == id)
    }

    /// One by its path.
    pub fn find(&self, path: &[String]) -> Option<&Container> {
        let mut found: Option<&Container> = None;
        for part in path {
            let parent = found.map(|container| container.id);
            let is_next = |container: &&Container| {
                container.kind == ContainerKind::Mail && container.parent == parent && container.name == *part
            };
            found = Some(self.all.iter().find(is_next)?);
        }
        found
    }

    /// The path of one.
    pub fn path(&self, id: ContainerId) -> String {
        let (mut names, mut at) = (Vec::new(), self.get(id));
        while let Some(container) = at {
            names.push(container.name.as_str());
            at = container.parent.and_then(|parent| self.get(parent));
        }
        names.reverse();
        names.join("/")
    }

    /// The folder that a mailbox of this path and use comes into, made if need be. A folder that has the use already is
    /// called like the mailbox from now on, when nobody has put anything into it; else the mailbox comes into it.
    pub async fn target(
        &mut self,
        path: &[String],
        special_use: Option<SpecialUse>,
    ) -> Result<ContainerId, AccountError> {
        let holder = special_use.and_then(|special_use| {
            self.all.iter().find(|container| container.special_use == Some(special_use)).cloned()
        });
        if let Some(found) = self.find(path) {
            return Ok(found.id);
        }
        match holder {
            Some(holder) if holder.uid_next == Uid(1) => {
                self.rename(holder.id, path).await?;
                Ok(holder.id)
            }
            Some(holder) => Ok(holder.id),
            None => self.make(path, special_use).await,
        }
    }

    /// Gives a folder another path, and makes what is missing above it.
    pub async fn rename(&mut self, id: ContainerId, path: &[String]) -> Result<(), AccountError> {
        let step = self.rename_step(id, path).await?;
        self.account.commit(OperationId::random(), vec![step]).await?;
        self.again().await
    }

    /// The step that gives a folder another path; what is missing above it is made before.
    pub async fn rename_step(&mut self, id: ContainerId, path: &[String]) -> Result<Mutation, AccountError> {
        let invalid = AccountError::Refused(CommitError::InvalidName);
        let (name, above) = path.split_last().ok_or(invalid)?;
        let parent = match above {
            [] => None,
            above => Some(self.make_all(above, None).await?),
        };
        Ok(Mutation::RenameContainer { container: id, parent, name: name.clone() })
    }

    /// Reads them again.
    pub async fn again(&mut self) -> Result<(), AccountError> {
        self.all = self.account.containers().await?;
        Ok(())
    }

    async fn make(&mut self, path: &[String], special_use: Option<SpecialUse>) -> Result<ContainerId, AccountError> {
        self.make_all(path, special_use).await
    }

    async fn make_all(
        &mut self,
        path: &[String],
        special_use: Option<SpecialUse>,
    ) -> Result<ContainerId, AccountError> {
        let mut parent = None;
        for (at, name) in path.iter().enumerate() {
            if let Some(found) = self.find(&path[..=at]) {
                parent = Some(found.id);
                continue;
            }
            let (kind, name) = (ContainerKind::Mail, name.clone());
            let special_use = special_use.filter(|_| at + 1 == path.len());
            let step = Mutation::CreateContainer { parent, kind, name, special_use };
            match self.account.commit(OperationId::random(), vec![step]).await {
                // Another one was faster.
                Ok(_) | Err(AccountError::Refused(CommitError::NameTaken)) => {}
                Err(error) => return Err(error),
            }
            self.all = self.account.containers().await?;
            parent = self.find(&path[..=at]).map(|container| container.id);
        }
        parent.ok_or(AccountError::Refused(CommitError::InvalidName))
    }

    /// Deletes one that has nothing below it; whether it was.
    pub async fn delete(&mut self, id: ContainerId) -> Result<bool, AccountError> {
        let about = ContainerKind::about(Some(id));
        let metadata = self.all.iter().find(|other| other.kind == ContainerKind::Metadata && other.name == about);
        let mut steps: Vec<Mutation> =
            metadata.map(|found| Mutation::DeleteContainer { container: found.id }).into_iter().collect();
        steps.push(Mutation::DeleteContainer { container: id });
        match self.account.commit(OperationId::random(), steps).await {
            Ok(_) => {}
            Err(AccountError::Refused(CommitError::HasChildren | CommitError::InboxStays)) => return Ok(false),
            Err(error) => return Err(error),
        }
        self.all = self.account.containers().await?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_others_become_names_here() {
        assert_eq!(part("a/b").as_deref(), Some("a∕b"));
        assert_eq!(part("tab\tx").as_deref(), Some("tabx"));
        assert_eq!((part(""), part(&"x".repeat(256))), (None, None));
        assert_eq!(use_by_name(&["gesendet".to_owned()]), Some(SpecialUse::Sent));
        assert_eq!(use_by_name(&["a".to_owned(), "Spam".to_owned()]), None);
    }
}
