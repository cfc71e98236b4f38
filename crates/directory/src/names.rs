//! Names as they are compared and stored: lower case, checked.

use crate::RequestError;

/// Longest local part, in bytes (RFC 5321 section 4.5.3.1.1).
pub const LOCAL_PART_BYTES_MAX: usize = 64;
/// Longest domain name, in bytes (RFC 5321 section 4.5.3.1.2).
pub const DOMAIN_BYTES_MAX: usize = 255;
/// Longest label of a domain name, in bytes (RFC 1035 section 2.3.4).
pub const LABEL_BYTES_MAX: usize = 63;
/// Longest login, in bytes.
pub const LOGIN_BYTES_MAX: usize = 128;
/// Longest display name or description, in bytes.
pub const DISPLAY_BYTES_MAX: usize = 512;
/// Longest server name, in bytes.
pub const SERVER_NAME_BYTES_MAX: usize = 63;

/// A domain name in its stored form; `None` when it can't be one. Lower case; labels of letters, digits and hyphens, in
/// any script (RFC 6531 section 3.3); no trailing dot, no address literal.
pub fn domain(name: &str) -> Option<String> {
    let name = name.trim().to_lowercase();
    let good_label = |label: &str| {
        !label.is_empty()
            && label.len() <= LABEL_BYTES_MAX
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    (name.len() <= DOMAIN_BYTES_MAX && name.split('.').all(good_label)).then_some(name)
}

/// A local part in its stored form; `None` when it can't be one. Lower case: RFC 5321 section 2.4 lets the receiving
/// system decide, and nobody expects Ana@ and ana@ to be two people. A dot-atom (RFC 5322 section 3.2.3, with RFC 6532)
/// only: mail to a quoted local part reaches it when it is a dot-atom inside its quotes.
pub fn local_part(local: &str) -> Option<String> {
    let local = local.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(local).to_lowercase();
    let atext =
        |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || (!c.is_ascii() && !c.is_control());
    let good = !local.is_empty()
        && local.len() <= LOCAL_PART_BYTES_MAX
        && local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(atext));
    good.then_some(local)
}

/// An address as local part and domain, both in their stored form.
pub fn address(text: &str) -> Option<(String, String)> {
    let (local, name) = text.trim().rsplit_once('@')?;
    Some((local_part(local)?, domain(name)?))
}

/// Somebody else's address in its stored form: the local part keeps its case (RFC 5321 section 2.4).
pub(crate) fn external(text: &str) -> Option<String> {
    let (local, name) = text.trim().rsplit_once('@')?;
    local_part(local)?;
    Some(format!("{local}@{}", domain(name)?))
}

/// A login in its stored form: no `@`, which would make it an address.
pub(crate) fn login(login: &str) -> Result<String, RequestError> {
    let login = login.trim().to_lowercase();
    let good = !login.is_empty()
        && login.len() <= LOGIN_BYTES_MAX
        && login.chars().all(|c| c.is_alphanumeric() || "._-+".contains(c));
    if good { Ok(login) } else { Err(invalid("login", "letters, digits, and . _ - + only; it must not be an address")) }
}

/// A server's name: one label of a domain name, so that it can be typed and stand in a table.
pub(crate) fn server_name(name: &str) -> Result<String, RequestError> {
    domain(name)
        .filter(|name| name.len() <= SERVER_NAME_BYTES_MAX)
        .ok_or_else(|| invalid("name", "letters, digits, hyphens and dots only, at most 63 bytes"))
}

/// A text for people: one line, no control characters.
pub(crate) fn display(field: &'static str, text: &str) -> Result<String, RequestError> {
    let text = text.trim();
    if text.len() > DISPLAY_BYTES_MAX {
        return Err(invalid(field, "it is longer than 512 bytes"));
    }
    if text.chars().any(char::is_control) {
        return Err(invalid(field, "it has control characters in it"));
    }
    Ok(text.to_owned())
}

/// A reason for people, made to fit: it may hold what another program said.
pub(crate) fn one_line(text: &str) -> String {
    let mut line: String = text.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    line.truncate(line.floor_char_boundary(DISPLAY_BYTES_MAX));
    line
}

pub(crate) fn invalid(field: &'static str, reason: impl Into<String>) -> RequestError {
    RequestError::Invalid { field, reason: reason.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_lower_case_and_checked() {
        assert_eq!(domain("Demo.TEST").as_deref(), Some("demo.test"));
        assert_eq!(domain("bücher.example").as_deref(), Some("bücher.example"));
        for bad in ["", ".", "a..b", "-a.b", "a-.b", "a b", "[127.0.0.1]", "a.", "a_b.c"] {
            assert_eq!(domain(bad), None, "{bad}");
        }
        assert_eq!(local_part("Ana.Lima").as_deref(), Some("ana.lima"));
        assert_eq!(local_part("\"ana\"").as_deref(), Some("ana"));
        for bad in ["", ".a", "a.", "a..b", "a b", "a@b", "\"a b\"", "a\u{7f}", "<a>"] {
            assert_eq!(local_part(bad), None, "{bad}");
        }
        assert_eq!(local_part(&"a".repeat(LOCAL_PART_BYTES_MAX + 1)), None);
        assert_eq!(address(" Ana@Demo.Test "), Some(("ana".to_owned(), "demo.test".to_owned())));
        assert_eq!(address("ana"), None);
    }
}
