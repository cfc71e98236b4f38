//! FETCH (RFC 9051 section 6.4.5).
//!
//! Flags, UIDs and modseqs come from the view; nothing else is read for them. What needs more is read in steps, and
//! goes out while the next is read.

use bytes::BufMut;
use sterna_account::{
    AccountError, FlagAction, FlagSet, Item, ItemParts, Keyword, Mutation, Rights, StoreError, SystemFlag, UidSet,
};
use sterna_base::Modseq;
use sterna_formats::imap::command::{Fetch, FetchItem, SectionFetch};
use sterna_formats::imap::date::write_date_time;
use sterna_formats::imap::envelope;
use sterna_formats::imap::write::number;
use sterna_formats::mail::Summary;
use tokio_util::task::AbortOnDropHandle;

use super::object_id::email_id;
use super::sets::{self, Wanted};
use super::{binary, preview, section};
use crate::imap::limits::{STEP_BODIES, STEP_MESSAGES};
use crate::imap::picture::Picked;
use crate::imap::reply::{Fail, Outcome, Reply};
use crate::imap::session::Session;
use crate::imap::updates;
use crate::io::Disconnect;
use crate::message::scan;

/// What a FETCH needs of each message.
#[derive(Clone, Copy, Debug, Default)]
struct Needs {
    row: bool,
    summary: bool,
    body: bool,
    sets_seen: bool,
}

impl Needs {
    fn of(items: &[FetchItem]) -> Self {
        let mut needs = Needs::default();
        for item in items {
            match item {
                FetchItem::Flags | FetchItem::Uid | FetchItem::Modseq | FetchItem::ThreadId => {}
                FetchItem::InternalDate | FetchItem::Size | FetchItem::SaveDate | FetchItem::EmailId => {
                    needs.row = true;
                }
                FetchItem::Envelope | FetchItem::Body | FetchItem::BodyStructure => needs.summary = true,
                FetchItem::BinarySize(_) | FetchItem::Preview => needs.body = true,
                FetchItem::Section(SectionFetch { peek, .. }) => {
                    needs.body = true;
                    needs.sets_seen |= !peek;
                }
            }
        }
        needs.summary |= needs.body;
        needs.row |= needs.summary;
        needs
    }
}

pub async fn run(session: &mut Session, fetch: Fetch) -> Outcome {
    let Fetch { set, uid, mut items, changed_since, vanished, partial } = fetch;
    let selected = session.selected()?;
    let mut wanted = Wanted::new(selected, &set, uid)?;
    if let Some(range) = partial {
        let since = changed_since.map(Modseq);
        wanted = wanted.part(selected, range, |picked| since.is_none_or(|since| picked.modseq > since));
    }
    // Without the right to set `\Seen` it is as if every section were asked for with PEEK (RFC 4314 section 4).
    let sets_seen = !selected.read_only && selected.rights.has(Rights::SEEN);
    if vanished && !session.enabled.qresync {
        return Ok(Reply::bad("ENABLE QRESYNC first"));
    }
    let gone = if vanished { Some(sets::uids(session.selected()?, &set, true)?) } else { None };
    session.enabled.condstore |= changed_since.is_some() || items.contains(&FetchItem::Modseq);
    if session.enabled.uid_only {
        // It stands before every answer already.
        if items.iter().any(|item| *item != FetchItem::Uid) {
            items.retain(|item| *item != FetchItem::Uid);
        }
    } else if uid && !items.contains(&FetchItem::Uid) {
        items.insert(0, FetchItem::Uid);
    }
    if (changed_since.is_some() || session.enabled.condstore && items.contains(&FetchItem::Flags))
        && !items.contains(&FetchItem::Modseq)
    {
        items.push(FetchItem::Modseq);
    }
    let needs = Needs::of(&items);
    if let (Some(known), Some(since)) = (gone, changed_since) {
        super::vanished::earlier(session, &known, Modseq(since)).await?;
    }
    session.tell_keywords();
    let step = if needs.body { STEP_BODIES } else { STEP_MESSAGES };
    let mut all_there = true;
    let mut ahead = None;
    loop {
        let picked = wanted.next(session.selected()?, step);
        let is_last = picked.is_empty();
        let since = Modseq(changed_since.unwrap_or_default());
        let picked: Vec<Picked> = picked.into_iter().filter(|picked| picked.modseq > since).collect();
        // The next step is read while this one is written.
        let begun = Step::begin(session, picked, needs)?;
        if let Some(step) = ahead.replace(begun) {
            if needs.sets_seen && sets_seen {
                set_seen(session, &step.picked).await?;
            }
            all_there &= messages(session, step, &items, needs).await?;
        }
        if is_last {
            let expunged = || Reply::ok("Some of the messages were expunged meanwhile").code("EXPUNGEISSUED");
            return Ok(if all_there { Reply::ok("Done") } else { expunged() });
        }
    }
}

/// Messages whose rows are being read.
struct Step {
    picked: Vec<Picked>,
    reading: Option<AbortOnDropHandle<Result<Vec<Row>, AccountError>>>,
}

/// A message's row, with its summary if that was asked for and is readable.
struct Row {
    item: Item,
    summary: Option<Summary>,
}

impl Row {
    /// Unpacks the summary where the row is read, not where answers are written: both take about as long, and go on at
    /// the same time.
    fn new(mut item: Item) -> Self {
        let summary = item.summary.take().and_then(|stored| Summary::decode(&stored).ok());
        Row { item, summary }
    }
}

impl Step {
    fn begin(session: &mut Session, picked: Vec<Picked>, needs: Needs) -> Result<Self, Fail> {
        if !needs.row || picked.is_empty() {
            return Ok(Step { picked, reading: None });
        }
        let (account, container) = (session.selected_account()?, session.selected()?.id);
        let uids: UidSet = picked.iter().map(|picked| picked.uid).collect();
        let parts = ItemParts { summary: needs.summary, body: needs.body, ..ItemParts::default() };
        let count = picked.len();
        let reading = tokio::spawn(async move {
            let items = account.items(container, &uids, parts, count).await?;
            Ok(items.into_iter().map(Row::new).collect())
        });
        Ok(Step { picked, reading: Some(AbortOnDropHandle::new(reading)) })
    }

    /// The messages, and the rows of those that are still there.
    async fn read(self) -> Result<(Vec<Picked>, Vec<Row>), AccountError> {
        let Some(reading) = self.reading else { return Ok((self.picked, Vec::new())) };
        let ended = |error| AccountError::Store(StoreError::Io(format!("messages could not be read: {error}")));
        Ok((self.picked, reading.await.map_err(ended)??))
    }
}

/// One commit for a step; the change of flags is told after the command like everybody's.
async fn set_seen(session: &mut Session, picked: &[Picked]) -> Result<(), Fail> {
    let unseen = picked.iter().filter(|picked| !picked.flags.has(SystemFlag::Seen));
    let uids: UidSet = unseen.map(|picked| picked.uid).collect();
    if uids.is_empty() {
        return Ok(());
    }
    let container = session.selected()?.id;
    let (action, flags) = (FlagAction::Add, FlagSet::default().with(SystemFlag::Seen));
    let step = Mutation::StoreFlags { container, uids, action, flags, unchanged_since: None };
    session.commit_selected(vec![step]).await?;
    Ok(())
}

/// Tells these items of messages that nobody asked for with a command (RFC 5465 section 5.2), and never sets `\Seen`.
pub async fn tell(session: &mut Session, picked: &[Picked], mut items: Vec<FetchItem>) -> Result<(), Fail> {
    if !session.enabled.uid_only && !items.contains(&FetchItem::Uid) {
        items.insert(0, FetchItem::Uid);
    }
    let needs = Needs::of(&items);
    let step = if needs.body { STEP_BODIES } else { STEP_MESSAGES };
    for some in picked.chunks(step) {
        let step = Step::begin(session, some.to_vec(), needs)?;
        messages(session, step, &items, needs).await?;
    }
    Ok(())
}

/// Whether all of them are still there.
async fn messages(session: &mut Session, step: Step, items: &[FetchItem], needs: Needs) -> Result<bool, Fail> {
    let (picked, rows) = step.read().await?;
    // Both rise by UID.
    let mut rows = rows.into_iter().peekable();
    let selected = session.selected()?;
    let recent_from = selected.recent_from;
    let keywords: Vec<Keyword> = selected.view.picture().container.keywords.clone();
    let mut all_there = true;
    for message in &picked {
        let recent = message.uid >= recent_from && !session.enabled.rev2;
        if !needs.row {
            from_view(session, message, items, &keywords, recent);
            session.io.flush_if_full().await?;
            continue;
        }
        let Some(row) = rows.next_if(|row| row.item.uid == message.uid) else {
            all_there = false; // expunged by somebody else; the client will be told (RFC 2180 section 4.1.2)
            continue;
        };
        one(session, message, row, items, &keywords, recent, needs).await?;
        session.io.flush_if_full().await?;
    }
    Ok(all_there)
}

/// One message of which nothing has to be read. Apart from the others, because a large mailbox's flags are asked for
/// with every SELECT: nothing here can wait or fail.
fn from_view(session: &mut Session, message: &Picked, items: &[FetchItem], keywords: &[Keyword], recent: bool) {
    let (enabled, out) = (session.enabled, &mut session.io.output);
    updates::fetch_start(message, enabled, out);
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            out.push(b' ');
        }
        simple(item, message, None, None, keywords, recent, enabled.utf8, out);
    }
    out.extend_from_slice(b")\r\n");
}

async fn one(
    session: &mut Session,
    message: &Picked,
    row: Row,
    items: &[FetchItem],
    keywords: &[Keyword],
    recent: bool,
    needs: Needs,
) -> Result<(), Fail> {
    let Row { item: row, mut summary } = row;
    if needs.summary && summary.is_none() {
        summary = Some(scan(session.selected_account()?.as_ref(), &row).await?);
    }
    if summary.as_ref().is_some_and(|summary| items.iter().any(|item| binary::is_undecodable(item, summary))) {
        // RFC 9051 section 6.4.5 asks to fail the command; before anything of this message is written.
        return Err(Reply::no("The part has an unknown transfer encoding").code("UNKNOWN-CTE").into());
    }
    let (start, flushes) = (session.io.output.len(), session.io.flushes);
    match write_one(session, message, &row, summary.as_ref(), items, keywords, recent).await {
        // Nothing of this message went out yet: the answer to the command is the error.
        Err(fail @ Fail::Account(_)) if session.io.flushes == flushes => {
            session.io.output.truncate(start);
            Err(fail)
        }
        // A response that stops in its middle would be read together with whatever follows it.
        Err(Fail::Account(error)) => {
            tracing::warn!(peer = %session.peer, %error, "a message broke off while it was sent");
            Err(Disconnect::Hopeless("The message can't be read to its end").into())
        }
        done => done,
    }
}

/// `* n FETCH (..)`
async fn write_one(
    session: &mut Session,
    message: &Picked,
    row: &Item,
    summary: Option<&Summary>,
    items: &[FetchItem],
    keywords: &[Keyword],
    recent: bool,
) -> Result<(), Fail> {
    updates::fetch_start(message, session.enabled, &mut session.io.output);
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            session.io.output.put_u8(b' ');
        }
        match (item, summary) {
            (FetchItem::Section(fetch), Some(summary)) => {
                section::send(session, row, summary, fetch).await?;
            }
            (FetchItem::Preview, Some(summary)) => preview::send(session, row, summary).await?,
            (FetchItem::BinarySize(part), Some(summary)) => {
                let account = session.selected_account()?;
                let size = binary::size(account.as_ref(), row, summary, part).await?;
                let numbers: Vec<String> = part.iter().map(u32::to_string).collect();
                let text = format!("BINARY.SIZE[{}] {}", numbers.join("."), size);
                session.io.output.extend_from_slice(text.as_bytes());
            }
            _ => {
                let utf8 = session.enabled.utf8;
                simple(item, message, Some(row), summary, keywords, recent, utf8, &mut session.io.output);
            }
        }
    }
    session.io.output.extend_from_slice(b")\r\n");
    Ok(())
}

/// Items that need no reading.
fn simple(
    item: &FetchItem,
    message: &Picked,
    row: Option<&Item>,
    summary: Option<&Summary>,
    keywords: &[Keyword],
    recent: bool,
    utf8: bool,
    out: &mut Vec<u8>,
) {
    match (item, row, summary) {
        (FetchItem::Uid, ..) => {
            out.extend_from_slice(b"UID ");
            number(u64::from(message.uid.0), out);
        }
        (FetchItem::Flags, ..) => {
            out.extend_from_slice(b"FLAGS ");
            updates::flags(message.flags, keywords, recent, out);
        }
        (FetchItem::Modseq, ..) => {
            out.extend_from_slice(b"MODSEQ (");
            number(message.modseq.0, out);
            out.put_u8(b')');
        }
        (FetchItem::InternalDate, Some(row), _) => {
            out.extend_from_slice(b"INTERNALDATE ");
            write_date_time(row.internal_date, out);
        }
        (FetchItem::SaveDate, Some(row), _) => {
            out.extend_from_slice(b"SAVEDATE ");
            write_date_time(row.saved_at, out);
        }
        (FetchItem::EmailId, Some(row), _) => {
            out.extend_from_slice(format!("EMAILID ({})", email_id(&row.blob)).as_bytes());
        }
        // RFC 8474 section 5.2: a server without threads of its own says NIL for every message.
        (FetchItem::ThreadId, ..) => out.extend_from_slice(b"THREADID NIL"),
        (FetchItem::Size, Some(row), _) => {
            out.extend_from_slice(b"RFC822.SIZE ");
            number(row.size, out);
        }
        (FetchItem::Envelope, _, Some(summary)) => {
            out.extend_from_slice(b"ENVELOPE ");
            envelope::envelope(&summary.envelope, utf8, out);
        }
        (FetchItem::Body, _, Some(summary)) => {
            out.extend_from_slice(b"BODY ");
            envelope::body(&summary.root, false, utf8, out);
        }
        (FetchItem::BodyStructure, _, Some(summary)) => {
            out.extend_from_slice(b"BODYSTRUCTURE ");
            envelope::body(&summary.root, true, utf8, out);
        }
        _ => {}
    }
}
