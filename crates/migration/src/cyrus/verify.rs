//! Whether an account is what the old server has told: each message of each mailbox, by UID, content, date and flags.
//! Asked before a switch.

use std::collections::BTreeMap;

use serde::Serialize;
use sterna_account::{Account, ContainerKind, ItemParts, UidSet};
use sterna_base::Uid;
use sterna_base::limits::PAGE_ITEMS_MAX;

use super::arrive::{ArriveError, same_flags};
use super::mailbox::Record;
use super::mirror::{Fact, Known, Mirror, sums};

/// Differences that are told.
const DIFFERENCES_MAX: usize = 100;

/// What came of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct Comparison {
    /// Mailboxes of mail that were compared.
    pub mailboxes: u64,
    /// Messages.
    pub messages: u64,
    /// Where they differ.
    pub differences: Vec<String>,
    /// What the old server has and can't be brought.
    pub troubles: Vec<String>,
    /// The most bytes that the user may have there, if there is a limit.
    pub quota_bytes: Option<u64>,
}

/// Compares the account of a user with what was told.
///
/// # Errors
/// [`ArriveError`].
pub async fn compare(account: &dyn Account, mirror: &Mirror, user: &str) -> Result<Comparison, ArriveError> {
    let mut found = Comparison::default();
    let troubles = mirror.facts(Fact::Trouble, user).await?;
    found.troubles = troubles.into_iter().map(|(text, _)| text).collect();
    found.quota_bytes = mirror.facts(Fact::Quota, user).await?.iter().find_map(|(_, body)| storage(body));
    let known = mirror.mailboxes(user).await?;
    if known.is_empty() {
        found.differences.push("nothing was told of the user yet".to_owned());
    }
    for known in &known {
        let records = mirror.records(&known.mailbox.unique_id, None).await?;
        let told = sums(records.iter());
        if (told.basic, told.annotations) != known.mailbox.sums {
            found.differences.push(format!("{}: the sums don't agree", known.mailbox.name));
        }
        if known.container.is_some() {
            found.mailboxes += 1;
            mailbox(account, mirror, user, known, records, &mut found).await?;
        }
    }
    // What nobody told of must have nothing in it.
    for container in account.containers().await? {
        let is_told = known.iter().any(|known| known.container == Some(container.id));
        if container.kind == ContainerKind::Mail && container.counts.items > 0 && !is_told {
            found.differences.push(format!("{}: it has messages that did not come from there", container.name));
        }
    }
    found.differences.truncate(DIFFERENCES_MAX);
    Ok(found)
}

async fn mailbox(
    account: &dyn Account,
    mirror: &Mirror,
    user: &str,
    known: &Known,
    records: Vec<Record>,
    found: &mut Comparison,
) -> Result<(), ArriveError> {
    let (Some(id), told) = (known.container, &known.mailbox) else { return Ok(()) };
    let Some(container) = account.container(id).await? else {
        found.differences.push(format!("{}: it is not here", told.name));
        return Ok(());
    };
    if container.uid_validity.0 != told.uid_validity || container.uid_next.0 != told.last_uid.saturating_add(1) {
        found.differences.push(format!("{}: its UIDVALIDITY or UIDNEXT is another one", told.name));
    }
    let mut there: BTreeMap<u32, Record> =
        records.into_iter().filter(|record| !record.is_expunged()).map(|record| (record.uid, record)).collect();
    let mut after = Uid(0);
    loop {
        let uids = UidSet::range(after.next(), Uid::MAX);
        let page = account.items(id, &uids, ItemParts::default(), PAGE_ITEMS_MAX).await?;
        let Some(last) = page.last().map(|item| item.uid) else { break };
        for item in page {
            found.messages += 1;
            let Some(record) = there.remove(&item.uid.0) else {
                found.differences.push(format!("{}: UID {} is only here", told.name, item.uid));
                continue;
            };
            let keywords = item.flags.keyword_bits();
            let keywords = keywords.filter_map(|bit| Some(container.keywords.get(bit)?.as_str().to_owned())).collect();
            let content = mirror.content(user, &record.guid).await?;
            let is_same = content.is_some_and(|(blob, _)| blob == item.blob)
                && record.size == item.size
                && item.internal_date.seconds().cast_unsigned() == record.internal_date
                && same_flags(&record, item.flags.system, keywords);
            if !is_same {
                found.differences.push(format!("{}: UID {} differs", told.name, item.uid));
            }
        }
        after = last;
    }
    found.differences.extend(there.keys().map(|uid| format!("{}: UID {uid} has not come", told.name)));
    Ok(())
}

/// `STORAGE` of a quota, which is in kibibytes.
fn storage(body: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(body);
    let mut words = text.split([' ', '(', ')']).skip_while(|word| *word != "STORAGE").skip(1);
    words.next()?.parse::<u64>().ok().filter(|kib| *kib < u64::from(u32::MAX))?.checked_mul(1024)
}
