//! What public links lead to: `/share/TOKEN` is a file, a folder with everything below it, or a calendar. Who has
//! the link needs no account; a password, where there is one, is asked for by Basic authentication with any name.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderName, LOCATION,
    RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::request::Parts;
use http::{Method, Response, StatusCode};
use hyper::body::Incoming;
use sterna_account::commit::Expect;
use sterna_account::files::numbered;
use sterna_account::links::{self, Link, Target, Token};
use sterna_account::{
    Account, AccountError, CommitError, Container, ContainerKind, Item, ItemParts, Mutation, NewItem, UidSet,
    attachments,
};
use sterna_base::{ContainerId, OperationId, ids};
use sterna_formats::dav::href;
use sterna_formats::dav::write::escape;

use super::Shared;
use super::answer::{Problem, done, response, with_header};
use super::body::{self, Body};
use super::limits::FILE_BYTES_MAX;
use super::method::get::content;
use super::method::put::{check_name, receive};
use super::property::etag;
use super::public;

/// Files and folders that a page lists.
const LISTED_MAX: usize = 2000;

/// Names that are tried for a file that has the name of another.
const NAMES_MAX: u32 = 50;

/// A request by link.
struct Visit {
    token: Token,
    link: Link,
    account: std::sync::Arc<dyn Account>,
    /// What stands behind the token in the path.
    below: Vec<String>,
}

/// Answers who comes with a link.
///
/// # Errors
/// `404` for a link that is none, not any more, or leads to nothing any more: nobody learns which.
pub async fn answer(
    shared: &Shared,
    head: &Parts,
    body: Incoming,
    peer: IpAddr,
    encrypted: bool,
) -> Result<Response<Body>, Problem> {
    let visit = match visit(shared, head, peer, encrypted).await {
        Ok(Found::Link(visit)) => visit,
        Ok(Found::Attachment(account, item)) => {
            body::drain(body, &head.headers).await;
            return match head.method {
                Method::GET | Method::HEAD => {
                    let answer = file(account, &item, head.method == Method::HEAD);
                    let answer = with_header(answer, CACHE_CONTROL, "private, no-cache");
                    Ok(with_header(answer, HeaderName::from_static("x-content-type-options"), "nosniff"))
                }
                _ => Err(Problem::not_allowed()),
            };
        }
        Err(problem) => {
            body::drain(body, &head.headers).await;
            return Err(problem);
        }
    };
    let answer = match head.method {
        Method::GET | Method::HEAD => visit.show(head).await?,
        Method::PUT => visit.upload(body).await?,
        _ => {
            body::drain(body, &head.headers).await;
            return Err(Problem::not_allowed());
        }
    };
    let is_kept = answer.headers().contains_key(CACHE_CONTROL);
    let answer = if is_kept { answer } else { with_header(answer, CACHE_CONTROL, "private, no-store") };
    let answer = with_header(answer, HeaderName::from_static("referrer-policy"), "no-referrer");
    let answer = with_header(answer, HeaderName::from_static("x-robots-tag"), "noindex, nofollow");
    Ok(with_header(answer, HeaderName::from_static("x-content-type-options"), "nosniff"))
}

/// What a token stands for.
enum Found {
    Link(Visit),
    /// An attachment of a calendar object (RFC 8607), under the name that the URL gives it.
    Attachment(std::sync::Arc<dyn Account>, Item),
}

async fn visit(shared: &Shared, head: &Parts, peer: IpAddr, encrypted: bool) -> Result<Found, Problem> {
    let now = shared.clock.now();
    let (parts, _) = href::parts(head.uri.path()).map_err(|error| Problem::bad_request(error.to_string()))?;
    let mut parts = parts.into_iter().skip(1);
    // Links that are there are never refused for the mistakes of others behind the same address.
    let strange = || {
        let wait = shared.guesses.stranger_wait(peer, now);
        shared.guesses.strange(peer, now);
        wait.map_or_else(Problem::not_found, too_many)
    };
    let token: Token = parts.next().and_then(|token| token.parse().ok()).ok_or_else(strange)?;
    let account = shared.accounts.open(token.account).await.map_err(|error| match error {
        AccountError::NoSuchAccount(_) => strange(),
        error => error.into(),
    })?;
    let Some(link) = links::find(account.as_ref(), &token, now).await? else {
        let wanted = ItemParts { body: true, ..ItemParts::default() };
        let found = attachments::find(account.as_ref(), &token, wanted).await?;
        let (Some(mut item), name, None) = (found, parts.next(), parts.next()) else { return Err(strange()) };
        item.name = name;
        return Ok(Found::Attachment(account, item));
    };
    if link.has_password() {
        if !encrypted && !shared.config.plaintext_login {
            return Err(Problem::new(StatusCode::FORBIDDEN, "Passwords are only taken over TLS; use https"));
        }
        check_password(shared, &token, &link, head).await?;
    }
    Ok(Found::Link(Visit { token, link, account, below: parts.collect() }))
}

fn too_many(seconds: u64) -> Problem {
    let text = "There were too many mistakes; please try again later";
    Problem::new(StatusCode::TOO_MANY_REQUESTS, text).header(RETRY_AFTER, seconds.into())
}

async fn check_password(shared: &Shared, token: &Token, link: &Link, head: &Parts) -> Result<(), Problem> {
    let now = shared.clock.now();
    if let Some(wait) = shared.guesses.password_wait(token, now) {
        return Err(too_many(wait));
    }
    let challenge = || {
        let value = http::HeaderValue::from_static("Basic realm=\"Shared files\", charset=\"UTF-8\"");
        let problem = Problem::new(StatusCode::UNAUTHORIZED, "This link has a password; any user name will do");
        problem.header(WWW_AUTHENTICATE, value)
    };
    let given = head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(password);
    let given = given.ok_or_else(challenge)?;
    // Counted before it is looked at: otherwise any number could be looked at side by side.
    shared.guesses.wrong_password(token, now);
    let link = link.clone();
    let is_right = tokio::task::spawn_blocking(move || link.is_password(&given)).await.unwrap_or(false);
    if !is_right {
        return Err(challenge());
    }
    shared.guesses.right_password(token);
    Ok(())
}

fn password(header: &str) -> Option<String> {
    let (scheme, rest) = header.split_once(' ')?;
    let decoded = scheme.eq_ignore_ascii_case("basic").then(|| STANDARD.decode(rest.trim()).ok())??;
    let (_, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some(password.to_owned())
}

/// Where a path below a link leads.
enum Place {
    Folder(Container),
    File(Item),
    /// Nothing yet: a name in a folder.
    Free(Container, String),
}

impl Visit {
    async fn find(&self) -> Result<Place, Problem> {
        let root = self.account.container(self.link.target.container()).await?;
        let root = root.filter(|root| root.kind == ContainerKind::Files).ok_or_else(Problem::not_found)?;
        if let Target::File { name, .. } = &self.link.target {
            let is_it = self.below.is_empty() || self.below == [name.clone()];
            let item = if is_it { self.item(root.id, name).await? } else { None };
            return item.map(Place::File).ok_or_else(Problem::not_found);
        }
        let all = if self.below.is_empty() { Vec::new() } else { self.account.containers().await? };
        let mut folder = root;
        for (at, name) in self.below.iter().enumerate() {
            let child = all.iter().find(|child| child.parent == Some(folder.id) && child.name == *name);
            if let Some(child) = child {
                folder = child.clone();
                continue;
            }
            if at + 1 < self.below.len() {
                return Err(Problem::not_found());
            }
            return Ok(match self.item(folder.id, name).await? {
                Some(item) => Place::File(item),
                None => Place::Free(folder, name.clone()),
            });
        }
        Ok(Place::Folder(folder))
    }

    async fn item(&self, folder: ContainerId, name: &str) -> Result<Option<Item>, Problem> {
        let parts = ItemParts { body: true, ..ItemParts::default() };
        Ok(self.account.item_named(folder, name, parts).await?)
    }

    async fn show(&self, head: &Parts) -> Result<Response<Body>, Problem> {
        let is_head = head.method == Method::HEAD;
        if let Target::Calendar { container, busy_only } = self.link.target {
            let is_it = self.below.is_empty() || self.below == ["calendar.ics"];
            if !is_it || !self.link.download {
                return Err(Problem::not_found());
            }
            return public::calendar(self.account.clone(), container, busy_only, &head.headers, is_head).await;
        }
        match self.find().await? {
            Place::File(item) if self.link.download => Ok(file(self.account.clone(), &item, is_head)),
            Place::Folder(folder) => self.page(&folder).await,
            _ => Err(Problem::not_found()),
        }
    }

    /// The list of a folder, or only the door through which files come in.
    async fn page(&self, folder: &Container) -> Result<Response<Body>, Problem> {
        let token = self.token.to_string();
        let base = href::join(["share", &token].into_iter().chain(self.below.iter().map(String::as_str)), false);
        let mut list = String::new();
        if self.link.download {
            let all = self.account.containers().await?;
            let mut children: Vec<_> = all.iter().filter(|child| child.parent == Some(folder.id)).collect();
            children.sort_by(|one, other| one.name.cmp(&other.name));
            for child in children.into_iter().take(LISTED_MAX) {
                row(&base, &child.name, None, &mut list);
            }
            let items = self.account.items(folder.id, &UidSet::all(), ItemParts::default(), LISTED_MAX).await?;
            let mut files: Vec<_> = items.iter().filter_map(|item| Some((item.name.as_deref()?, item.size))).collect();
            files.sort_unstable();
            for (name, size) in files {
                row(&base, name, Some(size), &mut list);
            }
        }
        let nonce = STANDARD.encode(ids::random_bytes::<16>());
        let mut page = String::from(
            "<!doctype html><html><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\"><title>",
        );
        let title = if self.link.label.is_empty() { "Shared files" } else { &self.link.label };
        escape(title, &mut page);
        page.push_str("</title></head><body><h1>");
        escape(title, &mut page);
        page.push_str("</h1><ul>");
        page.push_str(&list);
        page.push_str("</ul>");
        if self.link.upload {
            page.push_str(&format!(
                "<p><input type=\"file\" id=\"files\" multiple> <output id=\"said\"></output></p>\
                 <script nonce=\"{nonce}\">{UPLOAD}</script>"
            ));
        }
        page.push_str("</body></html>\n");
        let policy = format!(
            "default-src 'none'; script-src 'nonce-{nonce}'; connect-src 'self'; base-uri 'none'; \
             form-action 'none'; frame-ancestors 'none'"
        );
        let answer = response(StatusCode::OK, "text/html; charset=utf-8", page);
        Ok(with_header(answer, HeaderName::from_static("content-security-policy"), &policy))
    }

    /// Puts a new file into the folder; one that has its name already stays, and the new one gets another.
    async fn upload(&self, mut body: Incoming) -> Result<Response<Body>, Problem> {
        if !self.link.upload {
            return Err(Problem::new(StatusCode::FORBIDDEN, "Nothing is taken in by this link"));
        }
        let (folder, name) = match (self.find().await?, self.below.last()) {
            (Place::Free(folder, name), _) => (folder.id, name),
            (Place::File(item), Some(name)) => (item.container, name.clone()),
            _ => return Err(Problem::conflict("A folder is there")),
        };
        check_name(&name)?;
        let (prepared, _) = receive(&mut body, self.account.as_ref(), FILE_BYTES_MAX).await?;
        for attempt in 0..NAMES_MAX {
            let name = numbered(&name, attempt);
            let item = NewItem::named(name.clone(), prepared.content.clone());
            let step = Mutation::Put { container: folder, item, expect: Expect::Absent };
            match self.account.commit(OperationId::random(), vec![step]).await {
                Ok(_) => {
                    tracing::info!(account = %self.token.account, name, "a file came in by a link");
                    let above = self.below.iter().take(self.below.len().saturating_sub(1)).map(String::as_str);
                    let token = self.token.to_string();
                    let path = ["share", &token].into_iter().chain(above).chain([name.as_str()]);
                    return Ok(with_header(done(StatusCode::CREATED), LOCATION, &href::join(path, false)));
                }
                Err(AccountError::Refused(CommitError::Unexpected | CommitError::NameTaken)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Problem::conflict("There are too many files of this name"))
    }
}

fn file(account: std::sync::Arc<dyn Account>, item: &Item, is_head: bool) -> Response<Body> {
    let answer = match is_head {
        true => with_header(done(StatusCode::OK), CONTENT_LENGTH, &item.size.to_string()),
        false => content(account, item),
    };
    let answer = with_header(answer, ETAG, &etag(item.blob));
    // Whatever it is, it is saved and not shown: it isn't a page of this server.
    let answer = with_header(answer, CONTENT_TYPE, "application/octet-stream");
    let answer = with_header(answer, CONTENT_DISPOSITION, &attachment(item.name.as_deref().unwrap_or_default()));
    with_header(answer, HeaderName::from_static("content-security-policy"), "sandbox; default-src 'none'")
}

/// RFC 6266, with the name as RFC 8187 writes it.
fn attachment(name: &str) -> String {
    let mut encoded = String::new();
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    format!("attachment; filename*=UTF-8''{encoded}")
}

fn row(base: &str, name: &str, size: Option<u64>, out: &mut String) {
    out.push_str("<li><a href=\"");
    let mut link = String::new();
    href::encode(name, &mut link);
    // Percent-encoded, so that nothing in it ends an attribute.
    out.push_str(&format!("{base}/{link}"));
    out.push_str(if size.is_none() { "/\">" } else { "\">" });
    escape(name, out);
    out.push_str("</a>");
    if let Some(size) = size {
        out.push_str(&format!(" ({size})"));
    }
    out.push_str("</li>");
}

/// Sends the chosen files one after the other, each by its own PUT.
const UPLOAD: &str = "const f=document.getElementById('files'),s=document.getElementById('said');\
    f.onchange=async()=>{for(const x of f.files){s.value=x.name+' …';\
    const r=await fetch(location.pathname.replace(/\\/$/,'')+'/'+encodeURIComponent(x.name),{method:'PUT',body:x});\
    s.value=x.name+(r.ok?' ✓':' ✗ '+r.status);if(!r.ok)return;}location.reload();};";

/// A path as logs have it: who knows a link can read by it.
pub fn without_token(path: &str) -> &str {
    if is_shared(path) { super::file_links::PUBLIC } else { path }
}

/// Whether a path is one of these.
pub fn is_shared(path: &str) -> bool {
    path.starts_with(super::file_links::PUBLIC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_leave_their_places() {
        let mut out = String::new();
        row("/share/x", "a\"b<c>&'.txt", Some(3), &mut out);
        let told = "<li><a href=\"/share/x/a%22b%3Cc%3E%26'.txt\">a\"b&lt;c&gt;&amp;'.txt</a> (3)</li>";
        assert_eq!(out, told, "nothing ends the attribute, nothing in the text begins an element");
        assert_eq!(attachment("a b\r\n\"é.txt"), "attachment; filename*=UTF-8''a%20b%0D%0A%22%C3%A9.txt");
        assert_eq!(numbered("a.tar.gz", 0), "a.tar.gz");
        assert_eq!(numbered("a.pdf", 1), "a (2).pdf");
        assert_eq!(numbered(".rc", 2), ".rc (3)");
    }

    #[test]
    fn passwords_come_with_any_name() {
        let header = |text: &str| format!("Basic {}", STANDARD.encode(text));
        assert_eq!(password(&header("x:a:b")).as_deref(), Some("a:b"));
        assert_eq!(password(&header(":p")).as_deref(), Some("p"));
        assert_eq!(password("Bearer x"), None);
    }
}
