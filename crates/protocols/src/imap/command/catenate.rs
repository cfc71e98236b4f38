//! CATENATE (RFC 4469): a part of a message that is there already, named by a URL.

use std::sync::Arc;

use bytes::Bytes;
use sterna_account::{Account, Item, ItemParts, Rights, UidSet};
use sterna_base::{ContainerId, Uid, UidValidity};
use sterna_formats::imap::command::{SectionFetch, SectionForm};
use sterna_formats::imap::url::MessageUrl;

use super::incoming::Incoming;
use super::section::{self, Extent};
use crate::imap::reply::{Fail, Reply};
use crate::imap::session::Session;

/// Adds the bytes that the URL names to a message: octets as they are, and `\Seen` stays as it is.
///
/// # Errors
/// BADURL when it names nothing that the user may read.
pub async fn url(session: &mut Session, incoming: &mut Incoming, text: &str) -> Result<(), Fail> {
    let url = MessageUrl::parse(text).map_err(|_| bad_url(text))?;
    let found = match find(session, &url).await {
        Ok(Some(found)) => found,
        Ok(None) => return Err(bad_url(text)),
        // Whatever it is that keeps it from the user: RFC 4469 section 4.1 has one code for that.
        Err(Fail::Reply(reply)) if reply.code.as_deref() != Some("UNAVAILABLE") => return Err(bad_url(text)),
        Err(fail) => return Err(fail),
    };
    let (account, item) = found;
    let summary = section::summary(account.as_ref(), &item).await?;
    let MessageUrl { part, text: section, partial, .. } = url;
    let fetch = SectionFetch { form: SectionForm::Body, peek: true, part, text: section, partial };
    match section::extent(account.as_ref(), &item, &summary, &fetch).await? {
        None => Err(bad_url(text)),
        Some(Extent::Bytes(bytes)) => copy(incoming, bytes).await,
        Some(Extent::Range(mut range)) => {
            incoming.expect(range.end.saturating_sub(range.start)).await?;
            while !range.is_empty() {
                let piece = section::read(account.as_ref(), &item, range.clone()).await?;
                range.start += piece.len() as u64;
                incoming.write(piece).await?;
            }
            Ok(())
        }
    }
}

async fn copy(incoming: &mut Incoming, bytes: Bytes) -> Result<(), Fail> {
    incoming.expect(bytes.len() as u64).await?;
    incoming.write(bytes).await
}

async fn find(session: &mut Session, url: &MessageUrl) -> Result<Option<(Arc<dyn Account>, Item)>, Fail> {
    let Some((account, container, uid_validity)) = mailbox(session, url).await? else { return Ok(None) };
    if url.uid_validity.is_some_and(|given| given != uid_validity.0) {
        return Ok(None);
    }
    let uids: UidSet = [Uid(url.uid)].into_iter().collect();
    let found =
        account.items(container, &uids, ItemParts { summary: true, body: true, ..ItemParts::default() }, 1).await?;
    Ok(found.into_iter().next().map(|item| (account, item)))
}

async fn mailbox(
    session: &mut Session,
    url: &MessageUrl,
) -> Result<Option<(Arc<dyn Account>, ContainerId, UidValidity)>, Fail> {
    let selected = session.selected.as_ref();
    let Some(mailbox) = &url.mailbox else {
        let of = |selected: &crate::imap::selected::Selected| {
            let uid_validity = selected.view.picture().container.uid_validity;
            (selected.account.clone(), selected.id, uid_validity)
        };
        return Ok(selected.map(of));
    };
    let name = mailbox.resolve(selected.map(|selected| selected.name.as_str()));
    let located = session.locate(&name).await?;
    let container = located.get(Rights::READ)?;
    let (id, uid_validity) = (container.id, container.uid_validity);
    Ok(Some((located.mailboxes.account, id, uid_validity)))
}

/// What can't stand in a response code is encoded as in any URL.
fn bad_url(url: &str) -> Fail {
    let mut shown = String::with_capacity(url.len());
    for byte in url.bytes() {
        match byte {
            b'!'..=b'Z' | b'^'..=b'~' => shown.push(byte.into()),
            byte => shown.push_str(&format!("%{byte:02X}")),
        }
    }
    Reply::no("The URL names no message or part that can be read here").code(format!("BADURL {shown}")).into()
}
