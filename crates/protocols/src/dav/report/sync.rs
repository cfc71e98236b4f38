//! sync-collection (RFC 6578): what changed in a collection since n. Costs what changed.

use std::collections::HashSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use http::Response;
use sterna_account::{Change, Changes, Container, Cursor, Expunged, Item, Retained, Rights, files};
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_base::{ContainerId, Modseq, Uid};
use sterna_formats::dav::report::SyncCollection;
use sterna_formats::dav::write;

use super::listing;
use crate::dav::answer::{Out, Problem, dav_text, multistatus};
use crate::dav::body::Body;
use crate::dav::context::Context;
use crate::dav::home;
use crate::dav::limits::BODIES_AT_ONCE;
use crate::dav::method::propfind::one_of_others;
use crate::dav::mounted::{self, Listed, Mount};
use crate::dav::paths::Space;
use crate::dav::property::{Background, Selection, Teller};
use crate::dav::resource::{Collection, Resource, SEEING};

/// A place in the changes of a collection: everything up to a modseq, or up to an item of that modseq.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token {
    container: ContainerId,
    modseq: Modseq,
    /// `None` when all of that modseq is known.
    uid: Option<Uid>,
}

impl Token {
    /// After everything there is.
    pub fn head_of(container: &Container) -> Self {
        Token { container: container.id, modseq: container.highest_modseq, uid: None }
    }

    fn at(cursor: Cursor) -> Self {
        Token { container: cursor.container, modseq: cursor.modseq, uid: Some(cursor.uid) }
    }

    fn cursor(self) -> Cursor {
        match self.uid {
            None => Cursor::since(self.modseq),
            Some(uid) => Cursor { modseq: self.modseq, container: self.container, uid },
        }
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "urn:sterna:sync:{}:{}", self.container, self.modseq)?;
        self.uid.map_or(Ok(()), |uid| write!(f, ":{uid}"))
    }
}

impl FromStr for Token {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.strip_prefix("urn:sterna:sync:").ok_or(())?.split(':');
        let mut part = || parts.next();
        let container = part().and_then(|part| part.parse().ok()).ok_or(())?;
        let modseq = part().and_then(|part| part.parse().ok()).ok_or(())?;
        let uid = part().map(|uid| uid.parse().map_err(|_| ())).transpose()?;
        if part().is_some() { Err(()) } else { Ok(Token { container, modseq, uid }) }
    }
}

fn invalid() -> Problem {
    Problem::forbidden("<D:valid-sync-token/>", "The token is not known any more; begin anew")
}

pub async fn run(context: Arc<Context>, report: SyncCollection) -> Result<Response<Body>, Problem> {
    let selection = Selection::of(&report.props, context.prefer().minimal)?;
    let resource = Resource::find(&context, context.uri.path(), Default::default()).await?;
    let mut collection = match resource {
        Resource::Collection(collection) => collection,
        Resource::Missing(_) => return Err(Problem::not_found()),
        _ => return Err(Problem::forbidden("<D:supported-report/>", "That can't be kept in step with")),
    };
    collection.check(Rights::READ, "read")?;
    // What is below the folders in a folder is not looked through (RFC 6578 section 3.3).
    if report.infinite && collection.space == Space::Files {
        return Err(Problem::forbidden("<D:sync-traversal-supported/>", "Ask for one level after the other"));
    }
    if report.limit == Some(0) {
        return Err(Problem::forbidden("<D:number-of-matches-within-limits/>", "Nothing would be told"));
    }
    let of_others = mounted::in_own_files(&context, &mut collection).await?;
    let since = match &report.token {
        None => None,
        Some(token) => {
            let token: Token = token.parse().map_err(|()| invalid())?;
            let is_ours = token.container == collection.container.id;
            // This node's copy of the directory may be behind that of the edge that gave the token.
            let is_directory = collection.mounted.as_ref().is_some_and(|mounted| mounted.mount == Mount::DIRECTORY);
            let is_ahead = token.modseq > collection.container.highest_modseq && !is_directory;
            if !is_ours || is_ahead {
                return Err(invalid());
            }
            Some(token)
        }
    };
    let teller = Teller { context, selection };
    let sync = Sync { teller, collection, of_others, limit: report.limit, is_first: since.is_none() };
    multistatus(move |out| sync.tell(since, out)).await
}

struct Sync {
    teller: Teller,
    collection: Collection,
    /// What others share into it.
    of_others: Vec<Listed>,
    limit: Option<usize>,
    /// Whether the client knows nothing: what is gone it never had.
    is_first: bool,
}

impl Sync {
    async fn tell(self, since: Option<Token>, mut out: Out) -> Result<Out, Problem> {
        let background = self.teller.background(&self.collection).await?;
        if self.is_first {
            for below in home::folders(&self.collection).await? {
                self.folder(&below, &mut out).await?;
            }
            for listed in &self.of_others {
                one_of_others(&self.teller, listed, &mut out).await?;
            }
        }
        let end = match (since, self.limit) {
            // In the order of UIDs, without the tombstones in between.
            (None, None) => {
                listing::all(&self.teller, &self.collection, &background, &mut out).await?;
                Token::head_of(&self.collection.container)
            }
            (since, limit) => {
                let from = since.map_or_else(Cursor::start, Token::cursor);
                self.changes(from, limit, &background, &mut out).await?
            }
        };
        out.text.push_str(&dav_text("sync-token", &end.to_string()));
        Ok(out)
    }

    async fn changes(
        &self,
        from: Cursor,
        limit: Option<usize>,
        background: &Background,
        out: &mut Out,
    ) -> Result<Token, Problem> {
        let (account, id) = (self.collection.home.account.as_ref(), self.collection.container.id);
        let mut room = limit.unwrap_or(usize::MAX);
        let mut page = account.container_changes(id, from, room.min(PAGE_ITEMS_MAX)).await?;
        // Pages are few; whether the token is too old must be known before the first is told.
        self.must_know(&page).await?;
        loop {
            room = room.saturating_sub(page.rows.len());
            let is_last = page.next.is_none();
            let last = page.rows.last().map(Change::cursor);
            self.page(page.rows, !is_last, background, out).await?;
            match page.next {
                // What came meanwhile may be later than the collection's row.
                None => {
                    let head = Token::head_of(&self.collection.container);
                    let later = last.filter(|last| *last > head.cursor());
                    return Ok(later.map_or(head, Token::at));
                }
                Some(next) if room == 0 => {
                    let condition = "<D:number-of-matches-within-limits/>";
                    let (href, status) = (self.collection.href(), "507 Insufficient Storage");
                    write::status_response(&href, status, Some(condition), &mut out.text);
                    return Ok(Token::at(next));
                }
                Some(next) => page = account.container_changes(id, next, room.min(PAGE_ITEMS_MAX)).await?,
            }
        }
    }

    /// Whether what is gone since then is still known by its name: contents and names of what was expunged long ago
    /// are purged.
    async fn must_know(&self, first: &Changes) -> Result<(), Problem> {
        if self.is_first {
            return Ok(());
        }
        let (account, id) = (self.collection.home.account.as_ref(), self.collection.container.id);
        let is_purged = |row: &Change| matches!(row, Change::Expunged(Expunged { retained: None, .. }));
        let check = |page: &Changes| if page.rows.iter().any(is_purged) { Err(invalid()) } else { Ok(()) };
        check(first)?;
        let mut next = first.next;
        while let Some(at) = next {
            let page = account.container_changes(id, at, PAGE_ITEMS_MAX).await?;
            check(&page)?;
            next = page.next;
        }
        Ok(())
    }

    async fn page(
        &self,
        rows: Vec<Change>,
        has_more: bool,
        background: &Background,
        out: &mut Out,
    ) -> Result<(), Problem> {
        let (mut items, mut gone, mut marks) = (Vec::new(), Vec::new(), Vec::new());
        let is_file_space = self.collection.space == Space::Files;
        for row in rows {
            match row {
                Change::Item(item) => items.push(item),
                Change::Expunged(Expunged { retained: Some(retained), .. }) if !self.is_first => {
                    let Some(name) = &retained.name else { continue };
                    match files::changed_folder(name).filter(|_| is_file_space) {
                        _ if is_file_space && files::is_of_versions(name) => {}
                        Some(folder) => marks.push((folder.to_owned(), retained)),
                        None => gone.push(name.clone()),
                    }
                }
                _ => {}
            }
        }
        self.folders(marks, out).await?;
        let live: HashSet<&str> = items.iter().filter_map(|item| item.name.as_deref()).collect();
        let mut told = HashSet::new();
        for name in gone.iter().filter(|name| !live.contains(name.as_str())) {
            if told.insert(name) && !(has_more && self.is_live(name).await?) {
                write::status_response(&self.collection.href_of(name), "404 Not Found", None, &mut out.text);
                out.pause().await?;
            }
        }
        for some in items.chunks(BODIES_AT_ONCE) {
            for item in self.with_parts(some).await? {
                listing::one(&self.teller, &self.collection, item, background, out).await?;
            }
        }
        Ok(())
    }

    /// Folders that came or went, or that others see than before, as their marks call them.
    async fn folders(&self, marks: Vec<(String, Retained)>, out: &mut Out) -> Result<(), Problem> {
        if marks.is_empty() {
            return Ok(());
        }
        let here = home::folders(&self.collection).await?;
        let mut told = HashSet::new();
        for (name, mark) in &marks {
            let other = || self.of_others.iter().find(|listed| listed.name().as_ref() == Some(name));
            if told.contains(name) {
                continue;
            }
            match (here.iter().find(|folder| folder.container.name == *name), other()) {
                (Some(folder), _) => self.folder(folder, out).await?,
                (None, Some(other)) => one_of_others(&self.teller, other, out).await?,
                // Another mark of that name may say that the user knew of it.
                (None, None) if !self.was_known(mark).await? => continue,
                (None, None) => {
                    let href = self.collection.href_of(name) + "/";
                    write::status_response(&href, "404 Not Found", None, &mut out.text);
                }
            }
            told.insert(name);
            out.pause().await?;
        }
        Ok(())
    }

    /// Whether the user saw the folder before: that something is gone that nobody knew of says that it was there.
    async fn was_known(&self, mark: &Retained) -> Result<bool, Problem> {
        let home = &self.collection.home;
        if home.is_own() {
            return Ok(true);
        }
        let known_to = files::known_to(home.account.as_ref(), mark).await?;
        Ok(home.rights_by(&known_to).has_any(SEEING))
    }

    async fn folder(&self, folder: &Collection, out: &mut Out) -> Result<(), Problem> {
        let background = self.teller.background(folder).await?;
        self.teller.collection(folder, &background, &mut out.text);
        out.pause().await
    }

    /// Whether a name that was given up is given again: then it is told further on.
    async fn is_live(&self, name: &str) -> Result<bool, Problem> {
        let account = self.collection.home.account.as_ref();
        Ok(account.item_named(self.collection.container.id, name, Default::default()).await?.is_some())
    }

    async fn with_parts(&self, items: &[Item]) -> Result<Vec<Item>, Problem> {
        let parts = self.teller.selection.parts();
        // What changes are told with is enough for tags, and those are what programs ask for.
        if !parts.summary && !parts.body {
            return Ok(items.to_vec());
        }
        listing::with_bodies(&self.collection, self.collection.container.id, items, parts).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_lead_back() {
        for uid in [None, Some(Uid(9))] {
            let token = Token { container: ContainerId(3), modseq: Modseq(77), uid };
            assert_eq!(token.to_string().parse(), Ok(token));
        }
        for bad in ["", "urn:sterna:sync:", "urn:sterna:sync:1", "urn:sterna:sync:1:x", "urn:sterna:sync:1:2:3:4", "77"]
        {
            assert_eq!(bad.parse::<Token>(), Err(()), "{bad}");
        }
    }
}
