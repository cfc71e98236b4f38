//! Hrefs (RFC 4918 section 8.3): paths whose parts are percent-encoded UTF-8.

/// Longest path that is looked at, in bytes.
pub const PATH_BYTES_MAX: usize = 8 * 1024;

/// Most parts of a path.
pub const PARTS_MAX: usize = 64;

/// Why a path leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HrefError {
    /// A percent sign without its two digits, bytes that are not UTF-8, a slash or a NUL within a part, or `..`.
    #[error("the path is malformed")]
    Malformed,
    /// It passes a limit.
    #[error("the path is too long")]
    TooLong,
}

/// The decoded parts of a path, and whether it ends with a slash. Empty parts and `.` are passed over.
///
/// # Errors
/// [`HrefError`].
pub fn parts(path: &str) -> Result<(Vec<String>, bool), HrefError> {
    if path.len() > PATH_BYTES_MAX {
        return Err(HrefError::TooLong);
    }
    let mut parts = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        let part = decode(part)?;
        if part == ".." || part.contains(['/', '\0']) {
            return Err(HrefError::Malformed);
        }
        if parts.len() >= PARTS_MAX {
            return Err(HrefError::TooLong);
        }
        parts.push(part);
    }
    Ok((parts, path.ends_with('/')))
}

/// The path of a URL or of an absolute path, without its query and fragment; `None` when it is neither.
pub fn path_of(href: &str) -> Option<&str> {
    let href = href.trim();
    let path = match href.split_once("://") {
        Some((scheme, rest)) if scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)) => {
            rest.find('/').map_or("/", |at| &rest[at..])
        }
        _ => href,
    };
    let end = path.find(['?', '#']).unwrap_or(path.len());
    path.starts_with('/').then(|| &path[..end])
}

/// Host and port of a URL, if it is one.
pub fn authority_of(href: &str) -> Option<&str> {
    let (_, rest) = href.trim().split_once("://")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    // Names and passwords of users don't matter.
    Some(rest[..end].rsplit('@').next().unwrap_or_default())
}

/// Without its percent signs.
///
/// # Errors
/// [`HrefError::Malformed`].
pub fn decode(part: &str) -> Result<String, HrefError> {
    if !part.contains('%') {
        return Ok(part.to_owned());
    }
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let digit = |at: usize| rest.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        let (Some(high), Some(low)) = (digit(0), digit(1)) else { return Err(HrefError::Malformed) };
        bytes.push((high * 16 + low) as u8);
        rest = &rest[2..];
    }
    String::from_utf8(bytes).map_err(|_| HrefError::Malformed)
}

/// A part with percent signs for everything that is not unreserved (RFC 3986 section 2.3), or harmless: clients compare
/// hrefs as texts, and most leave `@` and the like as they are.
pub fn encode(part: &str, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in part.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~@!$'()*,=:+".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(DIGITS[usize::from(byte >> 4)]));
            out.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
}

/// A path of parts, with a slash in front, and at the end if it is one of a collection.
pub fn join<'a>(parts: impl IntoIterator<Item = &'a str>, is_collection: bool) -> String {
    let mut path = String::new();
    for part in parts {
        path.push('/');
        encode(part, &mut path);
    }
    if is_collection || path.is_empty() {
        path.push('/');
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_odd_character_comes_back() {
        for name in ["a b", "ä€𝄞", "100%", "a?b#c", "a&b<c>", "\"';=", "tab\there", "..x", "%2F", "a+b"] {
            let path = join(["dav", name], false);
            assert!(path.is_ascii() && !path.contains(' '));
            assert_eq!(parts(&path), Ok((vec!["dav".to_owned(), name.to_owned()], false)), "{path}");
        }
        assert_eq!(join([], true), "/");
        assert_eq!(join(["a", "b"], true), "/a/b/");
    }

    #[test]
    fn what_leads_nowhere() {
        for bad in ["/a/../b", "/%2e%2e/b", "/a%2Fb", "/a%00", "/%zz", "/%f", "/%ff"] {
            assert_eq!(parts(bad), Err(HrefError::Malformed), "{bad}");
        }
        assert_eq!(parts(&"/a".repeat(100)), Err(HrefError::TooLong));
        assert_eq!(parts("//a/./b/"), Ok((vec!["a".into(), "b".into()], true)));
    }

    #[test]
    fn urls() {
        assert_eq!(path_of("https://x.test:8443/a/b?q#f"), Some("/a/b"));
        assert_eq!(path_of("http://x.test"), Some("/"));
        assert_eq!(path_of("/a%20b/"), Some("/a%20b/"));
        assert_eq!(path_of("a/b"), None);
        assert_eq!(authority_of("https://u@x.test:8443/a"), Some("x.test:8443"));
        assert_eq!(authority_of("/a"), None);
    }
}
