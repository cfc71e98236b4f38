//! URLs of calendars.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use sterna_account::calendars::external::URL_BYTES_MAX;
use sterna_formats::dav::href;

/// Why something is no URL of a calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadUrl {
    /// Longer than [`URL_BYTES_MAX`].
    #[error("the URL is longer than 4096 bytes")]
    TooLong,
    /// Anything else.
    #[error("the URL must begin with https://, http:// or webcal://, and name a host")]
    Form,
}

/// Where a file is.
#[derive(Clone, PartialEq, Eq)]
pub struct FileUrl {
    /// Whether it is asked for over TLS.
    pub is_https: bool,
    /// The host: a name, or an address without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Path and query.
    pub path: String,
    /// What the `Authorization` header says, for a URL with a name and a password in it.
    pub authorization: Option<String>,
}

impl FileUrl {
    /// From its text. `webcal:` is a way of saying that a program shall subscribe, and means HTTPS.
    ///
    /// # Errors
    /// [`BadUrl`].
    pub fn parse(text: &str) -> Result<Self, BadUrl> {
        let text = text.trim();
        if text.len() > URL_BYTES_MAX {
            return Err(BadUrl::TooLong);
        }
        let (scheme, rest) = text.split_once("://").ok_or(BadUrl::Form)?;
        let is_https = match scheme.to_ascii_lowercase().as_str() {
            "https" | "webcal" | "webcals" => true,
            "http" => false,
            _ => return Err(BadUrl::Form),
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, path) = match rest.find(['/', '?']) {
            Some(at) => rest.split_at(at),
            None => (rest, "/"),
        };
        let path = if path.starts_with('?') { format!("/{path}") } else { path.to_owned() };
        let (user, place) = match authority.rsplit_once('@') {
            Some((user, place)) => (Some(user), place),
            None => (None, authority),
        };
        // The reader of HTTP is strict about what hosts and paths may have in them.
        let checked: Uri = format!("http://{place}{path}").parse().map_err(|_| BadUrl::Form)?;
        let host = checked.host().filter(|host| !host.is_empty()).ok_or(BadUrl::Form)?;
        let port = checked.port_u16().unwrap_or(if is_https { 443 } else { 80 });
        let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        Ok(FileUrl { is_https, host, port, path, authorization: user.map(authorization) })
    }

    /// What the `Host` header says.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        match (self.is_https, self.port) {
            (true, 443) | (false, 80) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }

    /// Where a redirection leads. What was said to one server is not said to another, and what came over TLS is not
    /// asked for without.
    ///
    /// # Errors
    /// [`BadUrl`].
    pub fn redirected(&self, location: &str) -> Result<Self, BadUrl> {
        let scheme = if self.is_https { "https" } else { "http" };
        let location = location.trim();
        let whole = if location.contains("://") {
            location.to_owned()
        } else if let Some(rest) = location.strip_prefix("//") {
            format!("{scheme}://{rest}")
        } else if location.starts_with('/') {
            format!("{scheme}://{}{location}", self.authority())
        } else {
            let path = self.path.split('?').next().unwrap_or_default();
            let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
            format!("{scheme}://{}{folder}/{location}", self.authority())
        };
        let mut next = FileUrl::parse(&whole)?;
        if self.is_https && !next.is_https {
            return Err(BadUrl::Form);
        }
        if next.authorization.is_none() && (&next.host, next.port) == (&self.host, self.port) {
            next.authorization.clone_from(&self.authorization);
        }
        Ok(next)
    }
}

fn authorization(user: &str) -> String {
    let (name, password) = user.split_once(':').unwrap_or((user, ""));
    let decoded = |text: &str| href::decode(text).unwrap_or_else(|_| text.to_owned());
    format!("Basic {}", STANDARD.encode(format!("{}:{}", decoded(name), decoded(password))))
}

/// A URL as it is shown: without a password.
pub fn shown(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Option<(bool, String, String)> {
        let url = FileUrl::parse(text).ok()?;
        Some((url.is_https, url.authority(), url.path))
    }

    #[test]
    fn urls_are_read() {
        let of = |https, authority: &str, path: &str| Some((https, authority.to_owned(), path.to_owned()));
        assert_eq!(place("webcal://X.test/a.ics#top"), of(true, "x.test", "/a.ics"));
        assert_eq!(place("http://x.test:8080?q=1"), of(false, "x.test:8080", "/?q=1"));
        assert_eq!(place("https://[::1]:443"), of(true, "[::1]", "/"));
        for bad in ["", "x.test/a", "file:///etc/passwd", "https://", "https:///a", "gopher://x.test", "https://x y/"] {
            assert_eq!(place(bad), None, "{bad}");
        }
        assert_eq!(FileUrl::parse(&format!("https://x.test/{}", "a".repeat(5000))).err(), Some(BadUrl::TooLong));
        let secret = FileUrl::parse("https://ana:p%40ss@x.test/").unwrap();
        assert_eq!(secret.authorization.as_deref(), Some("Basic YW5hOnBAc3M="));
        assert_eq!(shown("https://ana:p%40ss@x.test/a@b"), "https://x.test/a@b");
        assert_eq!(shown("https://x.test/a@b"), "https://x.test/a@b");
    }

    #[test]
    fn redirections_keep_secrets_and_tls() {
        let from = FileUrl::parse("https://ana:x@x.test/folder/a.ics?q").unwrap();
        let to =
            |location| from.redirected(location).map(|url| (url.authority(), url.path, url.authorization.is_some()));
        assert_eq!(to("b.ics"), Ok(("x.test".into(), "/folder/b.ics".into(), true)));
        assert_eq!(to("/b.ics"), Ok(("x.test".into(), "/b.ics".into(), true)));
        assert_eq!(to("//y.test/b"), Ok(("y.test".into(), "/b".into(), false)));
        assert_eq!(to("https://x.test:8443/b"), Ok(("x.test:8443".into(), "/b".into(), false)));
        assert_eq!(to("http://x.test/b"), Err(BadUrl::Form));
    }
}
