//! What users have besides mailboxes: subscriptions, what they have seen of others' mailboxes, quotas.

use std::path::PathBuf;

use super::config::Config;
use super::layout::{self, Person};
use super::{Bad, SpoolError, database, list, read_file};
use crate::cyrus::dlist::{MapWriter, Value};
use crate::limits::SMALL_FILE_BYTES_MAX;

/// The row that says the version of a list of subscriptions; from 3.6 on there is one.
const VERSION_KEY: &[u8] = b"\x1fVER\x1f";
/// How an unlimited number goes over the wire.
const UNLIMITED: u32 = u32::MAX;
/// Quotas in files, and how replication calls them.
const RESOURCES: [(&str, &str); 4] =
    [("S", "STORAGE"), ("M", "MESSAGE"), ("AS", "X-ANNOTATION-STORAGE"), ("NF", "X-NUM-FOLDERS")];

/// What a user has seen of a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Which mailbox.
    pub unique_id: String,
    /// `LASTREAD`, `LASTUID`, `LASTCHANGE`.
    pub numbers: [u64; 3],
    /// UIDs, as a set.
    pub uids: String,
}

/// Reads the first of these files that is there.
fn first(paths: Vec<PathBuf>, visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), SpoolError> {
    for path in paths {
        if database::read(&path, visit)? {
            break;
        }
    }
    Ok(())
}

/// Internal names of mailboxes that somebody subscribes to; `inbox` is the name of the own one.
///
/// # Errors
/// [`SpoolError`].
pub fn subscriptions(config: &Config, person: &Person, inbox: &str) -> Result<Vec<String>, SpoolError> {
    let (mut keys, mut is_new) = (Vec::new(), false);
    first(person.files(config, "sub"), &mut |key, _| match key == VERSION_KEY {
        true => is_new = true,
        false => keys.push(String::from_utf8_lossy(key).into_owned()),
    })?;
    if !is_new {
        return Ok(keys);
    }
    let names = keys.iter().filter_map(|key| key.strip_prefix('N')).map(list::internal);
    Ok(names
        .map(|name| match name.strip_prefix("INBOX") {
            Some(rest) if rest.is_empty() || rest.starts_with('.') => format!("{inbox}{rest}"),
            _ => name,
        })
        .collect())
}

/// What somebody has seen of which mailboxes.
///
/// # Errors
/// [`SpoolError`].
pub fn seen(config: &Config, person: &Person) -> Result<Vec<Seen>, SpoolError> {
    let mut found = Vec::new();
    first(person.files(config, "seen"), &mut |key, value| {
        found.extend(one_seen(&String::from_utf8_lossy(key), &String::from_utf8_lossy(value)));
    })?;
    Ok(found)
}

/// `1 LASTREAD LASTUID LASTCHANGE UIDS`; what has another version is of no use any more.
fn one_seen(unique_id: &str, value: &str) -> Option<Seen> {
    let mut words = value.splitn(5, ' ');
    if words.next() != Some("1") {
        return None;
    }
    let mut number = || words.next()?.parse().ok();
    let numbers = [number()?, number()?, number()?];
    let uids = words.next().unwrap_or_default().trim().to_owned();
    Some(Seen { unique_id: unique_id.to_owned(), numbers, uids })
}

/// Limits of a quota root; empty when there are none.
///
/// # Errors
/// [`SpoolError`].
pub fn quota(config: &Config, root: &str) -> Result<Vec<(&'static str, u32)>, SpoolError> {
    for path in layout::quota_files(config, root) {
        if let Some(bytes) = read_file(&path, SMALL_FILE_BYTES_MAX)? {
            return limits(&bytes).map_err(|cause| SpoolError::damaged(&path, cause));
        }
    }
    let path = config.path("configdirectory").unwrap_or_default().join("quotas.db");
    let (path, mut value) = (config.path("quota_db_path").unwrap_or(path), None);
    database::read(&path, &mut |key, found| {
        if key == root.as_bytes() {
            value = Some(found.to_vec());
        }
    })?;
    value.map_or(Ok(Vec::new()), |value| limits(&value).map_err(|cause| SpoolError::damaged(&path, cause)))
}

/// `%(S (USED LIMIT) ..)`, or before 2.5 the used bytes and the limit in kibibytes, each on a line.
fn limits(bytes: &[u8]) -> Result<Vec<(&'static str, u32)>, Bad> {
    let bytes = bytes.trim_ascii();
    if !bytes.starts_with(b"%") {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let limit: i64 =
            text.split_whitespace().nth(1).and_then(|word| word.parse().ok()).ok_or(Bad("it is no quota"))?;
        return Ok(u32::try_from(limit).ok().map(|limit| ("STORAGE", limit)).into_iter().collect());
    }
    let value = list::value(bytes)?;
    let limit = |(key, name): &(&str, &'static str)| {
        let limit = value.get(key)?.list().get(1)?.text().parse().ok()?;
        Some((*name, limit))
    };
    Ok(RESOURCES.iter().filter_map(limit).collect())
}

/// A quota as replication tells it.
pub fn told_quota(root: &str, limits: &[(&'static str, u32)]) -> Vec<u8> {
    let storage = limits.iter().find(|(name, _)| *name == "STORAGE").map_or(UNLIMITED, |(_, limit)| *limit);
    let map = MapWriter::default().text("ROOT", root).number("LIMIT", storage);
    limits.iter().fold(map, |map, (name, limit)| map.number(name, *limit)).end()
}

/// Whether both say the same limits.
pub fn same_quota(told: &Value, limits: &[(&'static str, u32)]) -> bool {
    let limit = |name| told.get(name).and_then(|value| value.text().parse().ok());
    RESOURCES.iter().all(|(_, name)| limit(name) == limits.iter().find(|(own, _)| own == name).map(|(_, limit)| *limit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_of_all_versions_are_read() {
        assert_eq!(
            limits(b"%(S (802 100000) M (28) AS (17) NF (6 50) MODSEQ 44)\n"),
            Ok(vec![("STORAGE", 100_000), ("X-NUM-FOLDERS", 50)])
        );
        assert_eq!(limits(b"1234\n2048\n"), Ok(vec![("STORAGE", 2048)]));
        assert_eq!(limits(b"1234\n-1\n"), Ok(Vec::new()));
        assert!(limits(b"").is_err() && limits(b"%(S").is_err());
        let told = list::value(&told_quota("user.ana", &[("STORAGE", 7)])).unwrap();
        assert_eq!((told.text_of("LIMIT").unwrap(), told.text_of("STORAGE").unwrap()), ("7".into(), "7".into()));
        assert!(same_quota(&told, &[("STORAGE", 7)]) && !same_quota(&told, &[]));
    }

    #[test]
    fn subscriptions_and_seen_state_of_all_versions_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.set("configdirectory", &folder.path().to_string_lossy());
        let ana = Person { local: "ana".into(), domain: None, inbox_id: Some("fq4c".into()) };
        assert_eq!(subscriptions(&config, &ana, "user.ana"), Ok(Vec::new()));
        let users = folder.path().join("user/a");
        std::fs::create_dir_all(&users).unwrap();
        std::fs::write(users.join("ana.sub"), "user.ana.Sent\t\nshared\t\n").unwrap();
        std::fs::write(users.join("ana.seen"), "id1\t1 5 6 7 1:3,6\nid2\t1 5 0 7 \nid3\t0 x\n").unwrap();
        assert_eq!(subscriptions(&config, &ana, "user.ana").unwrap(), ["user.ana.Sent", "shared"]);
        let seen = seen(&config, &ana).unwrap();
        assert_eq!(
            (seen.len(), seen[0].uids.as_str(), seen[0].numbers, seen[1].uids.as_str()),
            (2, "1:3,6", [5, 6, 7], "")
        );
        let by_id = folder.path().join("user/uuid/f/q/fq4c");
        std::fs::create_dir_all(&by_id).unwrap();
        std::fs::write(by_id.join("sub.db"), "\u{1f}VER\u{1f}\tI2\nNINBOX\u{1f}a.b\t\nNINBOXES\t\nNshared\t\n")
            .unwrap();
        assert_eq!(subscriptions(&config, &ana, "user.ana").unwrap(), ["user.ana.a^b", "INBOXES", "shared"]);
    }
}
