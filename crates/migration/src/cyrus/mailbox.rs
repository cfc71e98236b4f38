//! A mailbox of Cyrus and its records, as replication tells them.

use serde::{Deserialize, Serialize};

use super::dlist::{Malformed, MapWriter, Value};

/// An annotation, of a mailbox or of a message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Annotation {
    /// Its name.
    pub entry: String,
    /// Whose it is; empty when it is shared.
    pub user: String,
    /// When it changed.
    pub modseq: u64,
    /// Its value.
    pub value: Vec<u8>,
}

impl Annotation {
    fn read(value: &Value) -> Result<Self, Malformed> {
        Ok(Annotation {
            entry: value.text_of("ENTRY")?,
            user: value.get("USERID").map(Value::text).unwrap_or_default(),
            modseq: value.number_or_zero("MODSEQ")?,
            value: value.get("VALUE").and_then(Value::bytes).map(|bytes| bytes.to_vec()).unwrap_or_default(),
        })
    }

    fn read_all(value: &Value) -> Result<Vec<Self>, Malformed> {
        value.get("ANNOTATIONS").map_or(&[][..], Value::list).iter().map(Annotation::read).collect()
    }

    fn write_all(all: &[Annotation]) -> Vec<u8> {
        let one = |annotation: &Annotation| {
            let map = MapWriter::default().text("ENTRY", &annotation.entry).text("USERID", &annotation.user);
            map.number("MODSEQ", annotation.modseq).text("VALUE", &annotation.value).end()
        };
        list(all.iter().map(one))
    }
}

/// What a mailbox is, without its messages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mailbox {
    /// Names it for ever.
    pub unique_id: String,
    /// Its internal name.
    pub name: String,
    /// What it is: nothing for mail, `c` for a calendar, `a` for an address book.
    pub kind: Option<String>,
    /// Sums, as they were told last; zero when they were not.
    pub sums: (u32, u32),
    /// UIDs up to this one were given.
    pub last_uid: u32,
    /// All numbers that it only has to be given back.
    pub numbers: Vec<(String, u64)>,
    /// HIGHESTMODSEQ.
    pub highest_modseq: u64,
    /// UIDVALIDITY.
    pub uid_validity: u32,
    /// Where Cyrus keeps it.
    pub partition: String,
    /// Rights: identifiers and letters, with tabs between them.
    pub acl: String,
    /// Letters.
    pub options: String,
    /// Where its quota is.
    pub quota_root: Option<String>,
    /// Its own annotations.
    pub annotations: Vec<Annotation>,
}

/// Numbers that are kept and given back, in the order in which Cyrus writes them.
const NUMBERS_FIRST: [&str; 5] = ["RECENTUID", "RECENTTIME", "LAST_APPENDDATE", "POP3_LAST_LOGIN", "POP3_SHOW_AFTER"];
/// The same of those that stand behind the quota root.
const NUMBERS_LAST: [&str; 4] = ["XCONVMODSEQ", "RACLMODSEQ", "CREATEDMODSEQ", "FOLDERMODSEQ"];

impl Mailbox {
    /// From the arguments of APPLY MAILBOX.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn read(value: &Value) -> Result<Self, Malformed> {
        let sum = |key| u32::try_from(value.number_or_zero(key)?).map_err(|_| Malformed(key));
        let mut numbers = Vec::new();
        for key in NUMBERS_FIRST.into_iter().chain(NUMBERS_LAST) {
            if value.get(key).is_some() {
                numbers.push((key.to_owned(), value.number_of(key)?));
            }
        }
        let text = |key: &str| value.get(key).map(Value::text);
        Ok(Mailbox {
            unique_id: value.text_of("UNIQUEID")?,
            name: value.text_of("MBOXNAME")?,
            kind: text("MBOXTYPE"),
            sums: (sum("SYNC_CRC")?, sum("SYNC_CRC_ANNOT")?),
            last_uid: value.small_of("LAST_UID")?,
            numbers,
            highest_modseq: value.number_of("HIGHESTMODSEQ")?,
            uid_validity: value.small_of("UIDVALIDITY")?,
            partition: text("PARTITION").unwrap_or_default(),
            acl: text("ACL").unwrap_or_default(),
            options: text("OPTIONS").unwrap_or_default(),
            quota_root: text("QUOTAROOT"),
            annotations: Annotation::read_all(value)?,
        })
    }

    /// As an answer, with its records if they are wanted.
    pub fn write(&self, records: Option<&[Record]>) -> Vec<u8> {
        let mut map = MapWriter::default().text("UNIQUEID", &self.unique_id).text("MBOXNAME", &self.name);
        if let Some(kind) = &self.kind {
            map = map.text("MBOXTYPE", kind);
        }
        map = map.number("SYNC_CRC", self.sums.0).number("SYNC_CRC_ANNOT", self.sums.1);
        map = map.number("LAST_UID", self.last_uid).number("HIGHESTMODSEQ", self.highest_modseq);
        let numbers = |mut map: MapWriter, keys: &[&str]| {
            for key in keys {
                if let Some((_, number)) = self.numbers.iter().find(|(name, _)| name == key) {
                    map = map.number(key, *number);
                }
            }
            map
        };
        map = numbers(map, &NUMBERS_FIRST);
        map = map.number("UIDVALIDITY", self.uid_validity).text("PARTITION", &self.partition);
        map = map.text("ACL", &self.acl).text("OPTIONS", &self.options);
        if let Some(root) = &self.quota_root {
            map = map.text("QUOTAROOT", root);
        }
        map = numbers(map, &NUMBERS_LAST);
        if !self.annotations.is_empty() {
            map = map.raw("ANNOTATIONS", &Annotation::write_all(&self.annotations));
        }
        if let Some(records) = records {
            map = map.raw("RECORD", &list(records.iter().map(Record::write)));
        }
        map.end()
    }

    /// Whether its sums are over the same as the letters of its owner's special use.
    pub fn special_use(&self) -> Option<String> {
        let found = self.annotations.iter().find(|annotation| annotation.entry == "/specialuse");
        found.map(|annotation| String::from_utf8_lossy(&annotation.value).into_owned())
    }
}

/// One message of a mailbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Its UID.
    pub uid: u32,
    /// When it changed last, in modseqs of its mailbox.
    pub modseq: u64,
    /// The same in seconds.
    pub last_updated: u64,
    /// System flags, keywords, and `\Expunged`.
    pub flags: Vec<String>,
    /// INTERNALDATE in seconds.
    pub internal_date: u64,
    /// Its length.
    pub size: u64,
    /// Its SHA-1.
    pub guid: String,
    /// Its annotations.
    pub annotations: Vec<Annotation>,
}

impl Record {
    /// From a list of records.
    ///
    /// # Errors
    /// [`Malformed`].
    pub fn read(value: &Value) -> Result<Self, Malformed> {
        let guid = value.text_of("GUID")?.to_ascii_lowercase();
        if guid.len() != 40 || !guid.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Malformed("GUID"));
        }
        let uid = value.small_of("UID")?;
        if uid == 0 {
            return Err(Malformed("UID"));
        }
        let flags = value.get("FLAGS").ok_or(Malformed("FLAGS"))?;
        Ok(Record {
            uid,
            modseq: value.number_of("MODSEQ")?,
            last_updated: value.number_of("LAST_UPDATED")?,
            flags: flags.list().iter().map(Value::text).collect(),
            internal_date: value.number_of("INTERNALDATE")?,
            size: value.number_of("SIZE")?,
            guid,
            annotations: Annotation::read_all(value)?,
        })
    }

    fn write(&self) -> Vec<u8> {
        let map = MapWriter::default().number("UID", self.uid).number("MODSEQ", self.modseq);
        let map = map.number("LAST_UPDATED", self.last_updated);
        // Flags are written as they are: `\Seen` is no atom elsewhere.
        let map = map.raw("FLAGS", &list(self.flags.iter().map(|flag| flag.clone().into_bytes())));
        let map = map.number("INTERNALDATE", self.internal_date).number("SIZE", self.size).text("GUID", &self.guid);
        if self.annotations.is_empty() {
            return map.end();
        }
        map.raw("ANNOTATIONS", &Annotation::write_all(&self.annotations)).end()
    }

    /// Whether it is only remembered.
    pub fn is_expunged(&self) -> bool {
        self.flags.iter().any(|flag| flag.eq_ignore_ascii_case("\\Expunged"))
    }
}

/// A list of what is written already.
pub fn list(values: impl Iterator<Item = Vec<u8>>) -> Vec<u8> {
    let mut out = b"(".to_vec();
    for (at, value) in values.enumerate() {
        if at > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(&value);
    }
    out.push(b')');
    out
}
