//! Listings of users, groups, shared mailboxes and resources: by domain and address, narrowed to what has a text.

use axum::Json;
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_directory::{AnyEntry, Reader, RowKind, StorageError};

use super::doors::AdminState;
use super::input::Params;
use super::principal::Seen;
use super::problem::Problem;
use super::users::cursor;
use super::view::{EntryView, Page};
use super::{resolve, view};

/// Entries that one request looks at. What comes after is for the next page: where few fit, or few may be seen, pages
/// can be short, even empty, and still go on.
const LOOKED_AT_MAX: usize = 10_000;

/// A page of entries of one kind that `is_meant`; `after` is the address that the page before said.
pub(super) async fn page(
    state: AdminState,
    kind: RowKind,
    params: Params,
    seen: Seen,
    is_meant: fn(&AnyEntry) -> bool,
) -> Result<Json<Page<EntryView>>, Problem> {
    let limit = params.limit();
    let read = move |reader: &Reader<'_>| {
        let domain =
            params.domain.as_deref().map(|name| resolve::domain(reader, name)).transpose()?.map(|found| found.value.id);
        let mut after = params.after.as_deref().map(|text| cursor(reader, text)).transpose()?;
        let text = params.text.as_deref().map(|text| text.trim().to_lowercase()).filter(|text| !text.is_empty());
        let chunk = if text.is_some() { PAGE_ITEMS_MAX } else { limit + 1 };
        let (mut page, mut looked_at) = (Page { items: Vec::new(), next: None }, 0);
        loop {
            let found = reader.entries(kind, domain, after.as_ref(), chunk)?;
            let is_last = found.len() < chunk;
            for any in found.into_iter().map(|found| found.value) {
                if page.items.len() == limit || looked_at == LOOKED_AT_MAX {
                    page.next = after.map(|address| reader.address_text(&address)).transpose()?.flatten();
                    return Ok(page);
                }
                looked_at += 1;
                after = Some(any.entry().address.clone());
                if is_meant(&any) && seen.entry(any.entry()) && has(reader, &any, text.as_deref())? {
                    page.items.push(view::entry(reader, &any)?);
                }
            }
            if is_last {
                return Ok::<_, Problem>(page);
            }
        }
    };
    Ok(Json(state.directory.read(read).await?))
}

/// Whether a text, in small letters, is in a name, an address or the log-in.
fn has(reader: &Reader<'_>, any: &AnyEntry, text: Option<&str>) -> Result<bool, StorageError> {
    let Some(text) = text else { return Ok(true) };
    let entry = any.entry();
    let login = match any {
        AnyEntry::User(user) => user.login.as_deref().unwrap_or_default(),
        _ => "",
    };
    if entry.display_name.to_lowercase().contains(text) || login.to_lowercase().contains(text) {
        return Ok(true);
    }
    for address in entry.addresses() {
        let whole = reader.address_text(address)?;
        if whole.is_some_and(|whole| whole.to_lowercase().contains(text)) {
            return Ok(true);
        }
    }
    Ok(false)
}
