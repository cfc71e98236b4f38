//! PREVIEW of a message (RFC 8970), made when it is asked for: the beginning of one part is all that is read.

use sterna_account::Item;
use sterna_formats::imap::write;
use sterna_formats::mail::Summary;
use sterna_formats::mail::preview::{preview, preview_part, preview_range};

use super::section;
use crate::imap::reply::{Fail, Reply};
use crate::imap::session::Session;

/// Writes `PREVIEW "..."`. A message without text has an empty one.
pub async fn send(session: &mut Session, item: &Item, summary: &Summary) -> Result<(), Fail> {
    let mut text = String::new();
    if let Some(part) = preview_part(&summary.root) {
        let account = session.selected_account()?;
        let range = section::cut(preview_range(part), None);
        let bytes = section::read_all(account.as_ref(), item, range).await?;
        let part = part.clone();
        let made = tokio::task::spawn_blocking(move || preview(&part, &bytes)).await;
        text = made.map_err(|_| Reply::no("The message can't be read").code("SERVERBUG"))?;
    }
    let utf8 = session.enabled.utf8;
    let out = &mut session.io.output;
    out.extend_from_slice(b"PREVIEW ");
    write::string(text.as_bytes(), utf8, out);
    Ok(())
}
