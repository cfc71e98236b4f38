//! OBJECTID (RFC 8474): names of mailboxes and messages that stay, wherever these go.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sterna_base::{AccountId, BlobHash, ContainerId};

/// `MAILBOXID`: of a mailbox, whatever it is called and on whatever server it is.
pub fn mailbox_id(account: AccountId, container: ContainerId) -> String {
    format!("F{:x}-{:x}", account.0, container.0)
}

/// `EMAILID`: of a message's content, so that copies of a message have the same.
pub fn email_id(blob: &BlobHash) -> String {
    format!("M{}", URL_SAFE_NO_PAD.encode(blob.0))
}

/// The content that an `EMAILID` names; `None` for what none has.
pub fn content_of(email_id: &str) -> Option<BlobHash> {
    let bytes = URL_SAFE_NO_PAD.decode(email_id.strip_prefix('M')?).ok()?;
    bytes.try_into().ok().map(BlobHash)
}
