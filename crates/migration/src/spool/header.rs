//! `cyrus.header`: what a mailbox has once. After the magic, versions from 3.6 on write key-value lists (`N` name, `I`
//! id, `Q` quota root, `A` rights, `U` keywords, `T` type), earlier ones three lines: quota root and id with a tab
//! between them, keywords with blanks, rights. A keyword that was removed leaves its place empty.

use super::{Bad, list};
use crate::cyrus::dlist::Value;

const MAGIC: &[u8] =
    b"\xa1\x02\x8b\x0dCyrus mailbox header\n\"The best thing about this system was that it had lots of \
goals.\"\n\t--Jim Morris on Andrew\n";

/// Keywords that a mailbox can have.
pub const KEYWORDS_MAX: usize = 128;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Its id.
    pub unique_id: Option<String>,
    /// Where its quota is.
    pub quota_root: Option<String>,
    /// Keywords by their bits.
    pub keywords: Vec<Option<String>>,
    /// Rights, as the list of mailboxes has them, too.
    pub acl: String,
}

/// Reads one.
///
/// # Errors
/// [`Bad`].
pub fn read(bytes: &[u8]) -> Result<Header, Bad> {
    let body = bytes.strip_prefix(MAGIC).ok_or(Bad("it is no header of a mailbox"))?;
    let header = if body.starts_with(b"%") { lists(body)? } else { lines(body)? };
    if header.keywords.len() > KEYWORDS_MAX { Err(Bad("it has too many keywords")) } else { Ok(header) }
}

fn lists(body: &[u8]) -> Result<Header, Bad> {
    let value = list::value(body)?;
    let text = |key: &str| value.get(key).map(Value::text).filter(|text| !text.is_empty());
    let keywords = value.get("U").map_or(&[][..], Value::list).iter();
    Ok(Header {
        unique_id: text("I"),
        quota_root: text("Q"),
        keywords: keywords.map(|name| Some(name.text()).filter(|name| !name.is_empty())).collect(),
        acl: value.get("A").map(list::rights).unwrap_or_default(),
    })
}

fn lines(body: &[u8]) -> Result<Header, Bad> {
    let text = String::from_utf8_lossy(body);
    // The last line may go on with tabs only; the end of each says that it is whole.
    if text.matches('\n').count() < 3 {
        return Err(Bad("it ends too early"));
    }
    let mut lines = text.split('\n');
    let mut next = || lines.next().unwrap_or_default().to_owned();
    let (first, keywords, acl) = (next(), next(), next());
    let mut parts = first.split('\t').map(|part| Some(part.to_owned()).filter(|part| !part.is_empty()));
    let (quota_root, unique_id) = (parts.next().flatten(), parts.next().flatten());
    let keyword = |name: &str| Some(name.to_owned()).filter(|name| !name.is_empty());
    let mut keywords: Vec<Option<String>> = keywords.split(' ').map(keyword).collect();
    while keywords.last().is_some_and(Option::is_none) {
        keywords.pop();
    }
    Ok(Header { unique_id, quota_root, keywords, acl })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(body: &str) -> Vec<u8> {
        [MAGIC, body.as_bytes()].concat()
    }

    #[test]
    fn both_forms_say_the_same() {
        let wanted = Header {
            unique_id: Some("fq4c".to_owned()),
            quota_root: Some("user.ana".to_owned()),
            keywords: vec![Some("$Forwarded".to_owned()), None, Some("NonJunk".to_owned())],
            acl: "ana\tlrs\tben\tl\t".to_owned(),
        };
        let old = file("user.ana\tfq4c\n$Forwarded  NonJunk \nana\tlrs\tben\tl\t\n");
        assert_eq!(read(&old), Ok(wanted.clone()));
        let new = "%(T e N user.ana I fq4c Q user.ana A %(ana lrs ben l) U ($Forwarded NIL NonJunk))\n";
        assert_eq!(read(&file(new)), Ok(wanted));
        assert_eq!(read(&file("\tid\n\na\tl\t\n")).unwrap().keywords, []);
        for bad in [&b"x"[..], &file("user.ana\tx\n"), &file("%(T e"), &old[..MAGIC.len()]] {
            assert!(read(bad).is_err());
        }
        let many = "x ".repeat(KEYWORDS_MAX + 1);
        assert!(read(&file(&format!("\tid\n{many}\na\tl\t\n"))).is_err());
        for at in 0..old.len() {
            let _ = read(&old[..at]);
        }
    }
}
