//! The list of mailboxes, `mailboxes.db`. From 3.6 on keys are `N` and the name with control characters as separators
//! (0x1f between parts, 0x1d behind the domain), and there is another row by id (`I`); before, keys are internal names.
//! Values are key-value lists (`T` type, `I` id, `P` partition, `A` rights, `F` and `C` modseqs), or the number of the
//! type, the partition and the rights as text, before 2.5.

use bytes::BytesMut;

use super::config::Config;
use super::{Bad, SpoolError, database};
use crate::cyrus::dlist::{Step, Tokens, Value};

/// What separates parts of names in keys.
const PARTS: char = '\u{1f}';
/// What separates a domain from what follows.
const DOMAIN: char = '\u{1d}';
/// Letters of types that are no mailboxes here: deleted, intermediate, moving, remote, reserved.
const NO_MAILBOX: &str = "dimrz";
/// Letters that say nothing about what a mailbox is: of mail, with a folder by its name.
const NO_KIND: &str = "el";
/// The same of the numbers before 2.5: remote, reserved, moving, deleted.
const NO_MAILBOX_BITS: u32 = 0b1_1011;

/// A mailbox of the list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listed {
    /// Its internal name.
    pub name: String,
    /// Its id; before 2.5 only its header says it.
    pub unique_id: Option<String>,
    /// Where it is.
    pub partition: String,
    /// Rights: identifiers and letters, with tabs between them.
    pub acl: String,
    /// What it is: nothing for mail, `c` for a calendar.
    pub kind: Option<String>,
    /// Whether its folder is named by its id.
    pub is_by_id: bool,
    /// When it changed last itself, in modseqs.
    pub folder_modseq: u64,
}

/// A value that stands alone.
///
/// # Errors
/// [`Bad`].
pub fn value(bytes: &[u8]) -> Result<Value, Bad> {
    let mut input = BytesMut::from(bytes.trim_ascii_end());
    input.extend_from_slice(b"\r\n");
    let mut tokens = Tokens::default();
    loop {
        match tokens.next(&mut input) {
            Ok(Step::Command(values)) if values.len() == 1 => {
                return Ok(values.into_iter().next().unwrap_or(Value::Nil));
            }
            Ok(Step::Continue) => {}
            _ => return Err(Bad("a list can't be read")),
        }
    }
}

/// Rights as a text.
pub fn rights(value: &Value) -> String {
    let Value::Map(pairs) = value else { return value.text() };
    pairs.iter().map(|(name, letters)| format!("{}\t{}\t", String::from_utf8_lossy(name), letters.text())).collect()
}

/// The internal name of a key with control characters.
pub fn internal(name: &str) -> String {
    let (domain, rest) = name.split_once(DOMAIN).map_or((None, name), |(domain, rest)| (Some(domain), rest));
    let parts: Vec<String> = rest.split(PARTS).map(|part| part.replace('.', "^")).collect();
    domain.map(|domain| format!("{domain}!")).unwrap_or_default() + &parts.join(".")
}

/// Reads the list, by name. `Err` stands for rows that can't be read.
///
/// # Errors
/// [`SpoolError`]; there must be a list.
pub fn read(config: &Config) -> Result<Vec<Result<Listed, String>>, SpoolError> {
    let usual = config.path("configdirectory").unwrap_or_default().join("mailboxes.db");
    let path = config.path("mboxlist_db_path").unwrap_or(usual);
    let mut rows: Vec<(String, Vec<u8>)> = Vec::new();
    let mut take = |key: &[u8], value: &[u8]| rows.push((String::from_utf8_lossy(key).into_owned(), value.to_owned()));
    if !database::read(&path, &mut take)? {
        return Err(SpoolError::damaged(&path, "there is no such file"));
    }
    Ok(mailboxes(rows))
}

fn mailboxes(rows: Vec<(String, Vec<u8>)>) -> Vec<Result<Listed, String>> {
    // Only the newer form has rows by id, which say a name.
    let by_id =
        |(key, body): &(String, Vec<u8>)| key.starts_with('I') && value(body).is_ok_and(|row| row.get("N").is_some());
    let is_new = rows.iter().any(by_id);
    let mut found = Vec::new();
    for (key, body) in rows {
        let name = match (is_new, key.strip_prefix('N')) {
            (true, Some(name)) => internal(name),
            // Of the list itself, and of who has rights where.
            (true, None) => continue,
            (false, _) if key.starts_with(['$', PARTS]) || key.is_empty() => continue,
            (false, _) => key,
        };
        match row(&name, &body, is_new) {
            Ok(listed) => found.extend(listed.map(Ok)),
            Err(cause) => found.push(Err(format!("{name}: {cause}"))),
        }
    }
    found.sort_by_key(|row| row.as_ref().map(|listed| listed.name.clone()).unwrap_or_default());
    found
}

fn row(name: &str, body: &[u8], is_new: bool) -> Result<Option<Listed>, Bad> {
    if !body.starts_with(b"%") {
        return old_row(name, body);
    }
    let value = value(body)?;
    let text = |key: &str| value.get(key).map(Value::text).filter(|text| !text.is_empty());
    let letters = text("T").unwrap_or_default();
    if letters.contains(|letter| NO_MAILBOX.contains(letter)) || text("S").is_some() {
        return Ok(None);
    }
    let kind: String = letters.chars().filter(|letter| !NO_KIND.contains(*letter)).collect();
    Ok(Some(Listed {
        name: name.to_owned(),
        unique_id: text("I"),
        partition: text("P").ok_or(Bad("its row says no partition"))?,
        acl: value.get("A").map(rights).unwrap_or_default(),
        kind: Some(kind).filter(|kind| !kind.is_empty()),
        is_by_id: is_new && !letters.contains('l'),
        folder_modseq: value.number_or_zero("F").map_err(|_| Bad("its row can't be read"))?,
    }))
}

fn old_row(name: &str, body: &[u8]) -> Result<Option<Listed>, Bad> {
    let text = String::from_utf8_lossy(body);
    let mut words = text.splitn(3, ' ');
    let bits: u32 = words.next().and_then(|word| word.parse().ok()).ok_or(Bad("its row can't be read"))?;
    let partition = words.next().unwrap_or_default().to_owned();
    if bits & NO_MAILBOX_BITS != 0 || partition.contains('!') {
        return Ok(None);
    }
    if partition.is_empty() {
        return Err(Bad("its row says no partition"));
    }
    let acl = words.next().unwrap_or_default().to_owned();
    Ok(Some(Listed { name: name.to_owned(), partition, acl, ..Listed::default() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(rows: &[(&str, &str)]) -> Vec<Result<Listed, String>> {
        mailboxes(rows.iter().map(|(key, value)| ((*key).to_owned(), value.as_bytes().to_vec())).collect())
    }

    #[test]
    fn rows_of_all_versions_are_read() {
        let new = found(&[
            ("Ifq4c", "%(T e N user\u{1f}ana P default)"),
            ("Nuser\u{1f}ana", "%(T e I fq4c P default V 1 C 1 F 2 M 3 A %(ana lrs ben l))"),
            ("Nx.test\u{1d}user\u{1f}a.b\u{1f}x y", "%(T elc I ehl P two F 1 A %())"),
            ("Nuser\u{1f}gone", "%(T ed I k3v V 1)"),
            ("Nnews", "%(T e I zz P default)"),
            ("$RACL$a", ""),
        ]);
        let names: Vec<&str> = new.iter().map(|row| row.as_ref().unwrap().name.as_str()).collect();
        assert_eq!(names, ["news", "user.ana", "x.test!user.a^b.x y"]);
        let ana = new[1].as_ref().unwrap();
        assert_eq!(
            (ana.acl.as_str(), ana.is_by_id, ana.folder_modseq, ana.kind.as_deref()),
            ("ana\tlrs\tben\tl\t", true, 2, None)
        );
        let calendar = new[2].as_ref().unwrap();
        assert_eq!(
            (calendar.is_by_id, calendar.kind.as_deref(), calendar.partition.as_str()),
            (false, Some("c"), "two")
        );

        let older = found(&[
            ("News", "%(A %(anyone lrs) I id1 P default V 5)"),
            ("user.ana", "0 default ana\tlrs\t"),
            ("user.ben", "1 server!default ben\tlrs\t"),
            ("user.odd", "what"),
        ]);
        assert_eq!(older.len(), 3);
        assert_eq!(older[0], Err("user.odd: its row can't be read".to_owned()));
        let (news, ana) = (older[1].as_ref().unwrap(), older[2].as_ref().unwrap());
        assert_eq!((news.name.as_str(), news.unique_id.as_deref(), news.is_by_id), ("News", Some("id1"), false));
        assert_eq!((ana.partition.as_str(), ana.acl.as_str()), ("default", "ana\tlrs\t"));
    }
}
