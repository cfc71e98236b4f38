//! The mailboxes of a source: what they are called, and what they are for.

use sterna_account::SpecialUse;
use sterna_formats::mutf7;

use super::client::{Session, SourceError, quoted};
use super::value::Value;
use crate::target::folders::{part, use_by_name};

/// A mailbox of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFolder {
    /// Its name as the source writes it.
    pub raw: Vec<u8>,
    /// Its name for people, as the source has it.
    pub shown: String,
    /// Where it comes to.
    pub path: Vec<String>,
    /// What it is for.
    pub special_use: Option<SpecialUse>,
    /// Whether its owner subscribed to it.
    pub is_subscribed: bool,
}

impl SourceFolder {
    /// Its name in commands.
    pub fn quoted(&self) -> String {
        quoted(&self.raw)
    }
}

/// The mailboxes of a user, and those that can't be called so here.
#[derive(Debug, Default)]
pub struct SourceFolders {
    /// INBOX first, parents before their children.
    pub folders: Vec<SourceFolder>,
    /// Names that have no path here.
    pub nameless: Vec<String>,
}

/// Lists the mailboxes of the personal namespace (RFC 2342): those of others and shared ones belong to other accounts.
///
/// # Errors
/// [`SourceError`].
pub async fn list(session: &mut Session) -> Result<SourceFolders, SourceError> {
    let (prefix, foreign) = namespaces(session).await?;
    let has_uses = session.has("SPECIAL-USE") && session.has("LIST-EXTENDED");
    let text = if has_uses { "LIST \"\" \"*\" RETURN (SPECIAL-USE SUBSCRIBED)" } else { "LIST \"\" \"*\"" };
    let listed = session.command(text).await?;
    let mut subscribed: Vec<Vec<u8>> = Vec::new();
    if !has_uses {
        let answers = session.command("LSUB \"\" \"*\"").await?;
        subscribed.extend(answers.data.iter().filter_map(|values| Some(values.get(3)?.bytes()?.to_vec())));
    }
    let mut found = SourceFolders::default();
    for values in &listed.data {
        let [word, attributes, separator, name, ..] = &values[..] else { continue };
        let Some(raw) = name.bytes().filter(|_| word.is("LIST")) else { continue };
        let has = |attribute: &str| attributes.list().iter().any(|value| value.is(attribute));
        if has("\\Noselect") || has("\\NonExistent") || foreign.iter().any(|prefix| raw.starts_with(prefix)) {
            continue;
        }
        let shown = mutf7::decode(raw).unwrap_or_else(|_| String::from_utf8_lossy(raw).into_owned());
        let Some(path) = path_of(raw, &prefix, separator.bytes().and_then(|bytes| bytes.first().copied())) else {
            found.nameless.push(shown);
            continue;
        };
        let special_use = special_use(attributes).or_else(|| use_by_name(&path));
        let is_subscribed = has("\\Subscribed") || subscribed.iter().any(|name| name == raw);
        found.folders.push(SourceFolder { raw: raw.to_vec(), shown, path, special_use, is_subscribed });
    }
    found.folders.sort_by_key(|folder| (folder.path != ["INBOX"], folder.path.len(), folder.raw.clone()));
    // Two of one use: the first one has it.
    let mut uses = Vec::new();
    for folder in &mut found.folders {
        folder.special_use = folder.special_use.filter(|special_use| !uses.contains(special_use));
        uses.extend(folder.special_use);
    }
    Ok(found)
}

/// The personal prefix, and the prefixes of what belongs to others.
async fn namespaces(session: &mut Session) -> Result<(Vec<u8>, Vec<Vec<u8>>), SourceError> {
    if !session.has("NAMESPACE") {
        return Ok((Vec::new(), Vec::new()));
    }
    let answers = session.command("NAMESPACE").await?;
    let values = answers.data.into_iter().find(|values| values.first().is_some_and(|word| word.is("NAMESPACE")));
    let Some(values) = values else { return Ok((Vec::new(), Vec::new())) };
    let prefixes = |value: Option<&Value>| -> Vec<Vec<u8>> {
        let all = value.map_or(&[][..], Value::list).iter();
        all.filter_map(|space| Some(space.list().first()?.bytes()?.to_vec())).collect()
    };
    let personal = prefixes(values.get(1)).into_iter().next().unwrap_or_default();
    let mut foreign = prefixes(values.get(2));
    foreign.extend(prefixes(values.get(3)));
    // Whose prefix is empty, or that of one's own, can't be told from one's own by it.
    foreign.retain(|prefix| !prefix.is_empty() && *prefix != personal);
    Ok((personal, foreign))
}

fn special_use(attributes: &Value) -> Option<SpecialUse> {
    let is = |word: &str| attributes.list().iter().any(|value| value.is(word));
    let uses = [
        ("\\Sent", SpecialUse::Sent),
        ("\\Drafts", SpecialUse::Drafts),
        ("\\Trash", SpecialUse::Trash),
        ("\\Junk", SpecialUse::Junk),
        ("\\Archive", SpecialUse::Archive),
    ];
    uses.into_iter().find(|(word, _)| is(word)).map(|(_, special_use)| special_use)
}

/// Where a mailbox comes to: without the personal prefix, and INBOX by its one name.
fn path_of(raw: &[u8], prefix: &[u8], separator: Option<u8>) -> Option<Vec<String>> {
    if raw.eq_ignore_ascii_case(b"INBOX") {
        return Some(vec!["INBOX".to_owned()]);
    }
    let raw = raw.strip_prefix(prefix).unwrap_or(raw);
    let parts: Vec<&[u8]> = match separator {
        Some(separator) => raw.split(|byte| *byte == separator).collect(),
        None => vec![raw],
    };
    let mut path = Vec::with_capacity(parts.len());
    for (at, bytes) in parts.iter().enumerate() {
        if at == 0 && parts.len() > 1 && bytes.eq_ignore_ascii_case(b"INBOX") {
            path.push("INBOX".to_owned());
            continue;
        }
        path.push(part(&mutf7::decode(bytes).ok().or_else(|| String::from_utf8(bytes.to_vec()).ok())?)?);
    }
    Some(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_to_paths() {
        let path = |raw: &str, prefix: &str, separator: u8| {
            path_of(raw.as_bytes(), prefix.as_bytes(), Some(separator)).map(|path| path.join("|"))
        };
        assert_eq!(path("inbox", "INBOX.", b'.').as_deref(), Some("INBOX"));
        assert_eq!(path("INBOX.Sent.a/b", "INBOX.", b'.').as_deref(), Some("Sent|a∕b"));
        assert_eq!(path("Entw&APw-rfe/x", "", b'/').as_deref(), Some("Entwürfe|x"));
        assert_eq!(path("Inbox/x", "", b'/').as_deref(), Some("INBOX|x"));
        assert_eq!(path("a//b", "", b'/'), None);
        assert_eq!(path("Käse", "", b'/').as_deref(), Some("Käse"), "servers that ignore RFC 3501");
    }
}
