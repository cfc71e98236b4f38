//! SEARCH (RFC 9051 section 6.4.4, RFC 4731, 5182, 7162).
//!
//! Keys are tried in the order of what they cost: first with the view alone, then with the item's row and summary, and
//! only for messages that are still undecided with the message itself.

use std::collections::HashMap;
use std::sync::Arc;

use sterna_account::{Account, Item, ItemParts, Keyword, SystemFlag, UidSet};
use sterna_base::{Timestamp, Uid};
use sterna_formats::imap::SequenceSet;
use sterna_formats::imap::command::{DateTest, Search, SearchKey};
use sterna_formats::imap::date::Date;
use sterna_formats::mail::Summary;
use sterna_formats::mail::text::{header_text, sent_day};

use super::object_id::email_id;
use super::search_result;
use super::search_text::{self, Inside, Needles};
use super::section;
use super::sets::{self, Wanted};
use crate::imap::limits::{STEP_BODIES, STEP_MESSAGES};
use crate::imap::picture::Picked;
use crate::imap::reply::{Fail, Outcome, Reply};
use crate::imap::session::Session;

/// What is known of a message so far.
struct Known<'a> {
    picked: &'a Picked,
    now: Timestamp,
    recent: bool,
    keywords: &'a [Keyword],
    item: Option<&'a Item>,
    summary: Option<&'a Summary>,
    inside: Option<&'a Inside>,
}

/// Sets in keys, as UIDs.
type Sets = Vec<UidSet>;

pub async fn run(session: &mut Session, search: Search) -> Outcome {
    if search.has_charset && session.enabled.utf8_accept {
        return Ok(Reply::bad("There is no CHARSET after ENABLE UTF8=ACCEPT"));
    }
    if let Some(refused) = refuse_charset(session, &search)? {
        return Ok(refused);
    }
    let Search { uid, returns, keys, .. } = search;
    let updates = returns.is_some_and(|returns| returns.update);
    let tag = session.tag.clone();
    if updates && session.selected()?.has_context(&tag) {
        return Ok(Reply::bad("A search of this tag is kept up to date already"));
    }
    let program = Program::new(session, keys)?;
    let found = program.find(session).await?;
    search_result::respond(session, "SEARCH", uid, returns, &found, program.has_modseq)?;
    if updates {
        session.keep_context(program, uid, &found)?;
    }
    Ok(Reply::ok("Done"))
}

/// The answer to a charset that is not known.
pub fn refuse_charset(session: &mut Session, search: &Search) -> Result<Option<Reply>, Fail> {
    if !search.unknown_charset {
        return Ok(None);
    }
    if search.returns.is_some_and(|returns| returns.save) {
        // RFC 5182 section 2.1: a SAVE that fails leaves nothing saved.
        session.selected()?.saved.clear();
    }
    Ok(Some(Reply::no("The charset must be UTF-8").code("BADCHARSET (UTF-8)")))
}

/// What a SEARCH, SORT or THREAD looks for.
pub struct Program {
    key: SearchKey,
    sets: Sets,
    /// Whether MODSEQ is among the keys, so that the answer tells it.
    pub has_modseq: bool,
}

impl Program {
    /// Of these keys, in the selected mailbox.
    ///
    /// # Errors
    /// BAD when they make no sense there.
    pub fn new(session: &mut Session, mut keys: Vec<SearchKey>) -> Result<Self, Fail> {
        let mut sets = Sets::new();
        let has_modseq = keys.iter().any(|key| contains(key, &|key| matches!(key, SearchKey::Modseq(_))));
        let is_numbered = |key: &SearchKey| matches!(key, SearchKey::Sequence(SequenceSet::Ranges(_)));
        if session.enabled.uid_only && keys.iter().any(|key| contains(key, &is_numbered)) {
            return Err(Reply::bad("Only UIDs name messages in this session").code("UIDREQUIRED").into());
        }
        let selected = session.selected()?;
        for key in &mut keys {
            lower(key);
            collect_sets(selected, key, &mut sets)?;
        }
        session.enabled.condstore |= has_modseq;
        Ok(Program { key: SearchKey::And(keys), sets, has_modseq })
    }

    /// The messages, in the order of the mailbox.
    ///
    /// # Errors
    /// When the account can't be read.
    pub async fn find(&self, session: &mut Session) -> Result<Vec<Picked>, Fail> {
        find(session, &self.key, &self.sets, Wanted::all()).await
    }

    /// Those among these.
    ///
    /// # Errors
    /// When the account can't be read.
    pub async fn find_among(&self, session: &mut Session, uids: &UidSet) -> Result<Vec<Picked>, Fail> {
        find(session, &self.key, &self.sets, Wanted::of(uids)).await
    }
}

async fn find(session: &mut Session, key: &SearchKey, sets: &Sets, mut wanted: Wanted) -> Result<Vec<Picked>, Fail> {
    let account = session.selected_account()?;
    let selected = session.selected()?;
    let (container, recent_from) = (selected.id, selected.recent_from);
    let (keywords, count) = {
        let picture = selected.view.picture();
        (picture.container.keywords.clone(), picture.count(selected.position) as usize)
    };
    let needles = Arc::new(Needles::of(key));
    let now = session.shared.clock.now();
    let parts = ItemParts { summary: true, body: !needles.is_empty(), ..ItemParts::default() };
    let mut looked_at = 0;
    let mut found = Vec::new();
    loop {
        let step = wanted.next(session.selected()?, STEP_MESSAGES);
        if step.is_empty() {
            return Ok(found);
        }
        let known = |picked| Known {
            picked,
            now,
            recent: picked.uid >= recent_from,
            keywords: &keywords,
            item: None,
            summary: None,
            inside: None,
        };
        let mut decided: HashMap<Uid, bool> = HashMap::new();
        let mut open = Vec::new();
        for picked in &step {
            match test(key, &known(picked), sets, &mut 0) {
                Some(answer) => drop(decided.insert(picked.uid, answer)),
                None => open.push(*picked),
            }
        }
        for part in open.chunks(STEP_BODIES) {
            let uids: UidSet = part.iter().map(|picked| picked.uid).collect();
            let items = account.items(container, &uids, parts, part.len()).await?;
            for item in items {
                session.tell_progress(looked_at + decided.len(), Some(count)).await?;
                let Ok(at) = part.binary_search_by_key(&item.uid, |picked| picked.uid) else { continue };
                let answer = look_inside(session, account.as_ref(), key, known(&part[at]), &item, sets, &needles);
                decided.insert(item.uid, answer.await?);
            }
        }
        looked_at += step.len();
        found.extend(step.into_iter().filter(|picked| decided.get(&picked.uid) == Some(&true)));
        session.tell_progress(looked_at, Some(count)).await?;
        // A search by flags never waits for anything: others on this thread get their turn.
        tokio::task::yield_now().await;
    }
}

/// With the row and the summary, and if that is not enough, with the message.
async fn look_inside(
    session: &Session,
    account: &dyn Account,
    key: &SearchKey,
    known: Known<'_>,
    item: &Item,
    sets: &Sets,
    needles: &Arc<Needles>,
) -> Result<bool, Fail> {
    let summary = section::summary(account, item).await?;
    let known = Known { item: Some(item), summary: Some(&summary), ..known };
    if let Some(answer) = test(key, &known, sets, &mut 0) {
        return Ok(answer);
    }
    let inside = search_text::look(&session.shared.search_memory, account, item, &summary, needles).await?;
    let known = Known { inside: Some(&inside), ..known };
    Ok(test(key, &known, sets, &mut 0).unwrap_or(false))
}

/// Whether the key or one inside it is such a one.
pub fn contains(key: &SearchKey, such: &dyn Fn(&SearchKey) -> bool) -> bool {
    such(key)
        || match key {
            SearchKey::Not(inner) => contains(inner, such),
            SearchKey::Or(pair) => contains(&pair.0, such) || contains(&pair.1, such),
            SearchKey::And(keys) => keys.iter().any(|key| contains(key, such)),
            _ => false,
        }
}

/// Texts are compared in lower case.
fn lower(key: &mut SearchKey) {
    match key {
        SearchKey::Header { name, text } => {
            name.make_ascii_lowercase();
            *text = text.to_lowercase();
        }
        SearchKey::Body(text) | SearchKey::Text(text) => *text = text.to_lowercase(),
        SearchKey::Not(inner) => lower(inner),
        SearchKey::Or(pair) => {
            lower(&mut pair.0);
            lower(&mut pair.1);
        }
        SearchKey::And(keys) => keys.iter_mut().for_each(lower),
        _ => {}
    }
}

/// The UIDs of each set, in the order in which [`test`] meets them.
fn collect_sets(selected: &crate::imap::selected::Selected, key: &SearchKey, sets: &mut Sets) -> Result<(), Fail> {
    match key {
        SearchKey::Uid(set) => sets.push(sets::searched_uids(selected, set, true)?),
        SearchKey::Sequence(set) => sets.push(sets::searched_uids(selected, set, false)?),
        SearchKey::Not(inner) => collect_sets(selected, inner, sets)?,
        SearchKey::Or(pair) => {
            collect_sets(selected, &pair.0, sets)?;
            collect_sets(selected, &pair.1, sets)?;
        }
        SearchKey::And(keys) => keys.iter().try_for_each(|key| collect_sets(selected, key, sets))?,
        _ => {}
    }
    Ok(())
}

/// Whether a message matches; `None` when more must be known. `set` counts the sets met so far, so every key is
/// visited.
fn test(key: &SearchKey, known: &Known<'_>, sets: &Sets, set: &mut usize) -> Option<bool> {
    let flags = known.picked.flags;
    match key {
        SearchKey::All => Some(true),
        SearchKey::Flag(name, wanted) => SystemFlag::parse(name).map(|flag| flags.has(flag) == *wanted),
        SearchKey::Keyword(name, wanted) => {
            let bit = known.keywords.iter().position(|keyword| keyword.as_str().eq_ignore_ascii_case(name));
            Some(bit.is_some_and(|bit| flags.keywords & 1 << bit != 0) == *wanted)
        }
        SearchKey::Recent(wanted) => Some(known.recent == *wanted),
        SearchKey::New => Some(known.recent && !flags.has(SystemFlag::Seen)),
        SearchKey::Modseq(since) => Some(known.picked.modseq.0 >= *since),
        SearchKey::Uid(_) | SearchKey::Sequence(_) => {
            *set += 1;
            Some(sets.get(*set - 1).is_some_and(|uids| uids.contains(known.picked.uid)))
        }
        SearchKey::Not(inner) => test(inner, known, sets, set).map(|answer| !answer),
        SearchKey::Or(pair) => {
            let (first, second) = (test(&pair.0, known, sets, set), test(&pair.1, known, sets, set));
            if first == Some(true) || second == Some(true) { Some(true) } else { first.and(second) }
        }
        SearchKey::And(keys) => {
            let answers: Vec<Option<bool>> = keys.iter().map(|key| test(key, known, sets, set)).collect();
            if answers.contains(&Some(false)) { Some(false) } else { (!answers.contains(&None)).then_some(true) }
        }
        SearchKey::Larger(size) => known.item.map(|item| item.size > *size),
        SearchKey::Smaller(size) => known.item.map(|item| item.size < *size),
        SearchKey::Internal(how, date) => known.item.map(|item| compare(*how, Date::of(item.internal_date), *date)),
        SearchKey::Within { older, seconds } => known.item.map(|item| {
            // Both include the moment itself (RFC 5032 section 3).
            let then = known.now.plus_ms(-i64::from(*seconds) * 1000);
            if *older { item.internal_date <= then } else { item.internal_date >= then }
        }),
        SearchKey::Saved(how, date) => known.item.map(|item| compare(*how, Date::of(item.saved_at), *date)),
        SearchKey::EmailId(id) => known.item.map(|item| email_id(&item.blob) == *id),
        SearchKey::ThreadId => Some(false),
        SearchKey::Sent(how, date) => known.summary.map(|summary| sent(summary, *how, *date)),
        SearchKey::Header { name, text } => header(known, name, text),
        SearchKey::Body(text) => known.inside.map(|inside| inside.has_in_body(text)),
        SearchKey::Text(text) => known.inside.map(|inside| inside.has_anywhere(text)),
    }
}

fn compare(how: DateTest, found: Date, wanted: Date) -> bool {
    match how {
        DateTest::Before => found < wanted,
        DateTest::On => found == wanted,
        DateTest::Since => found >= wanted,
    }
}

fn sent(summary: &Summary, how: DateTest, wanted: Date) -> bool {
    let day = summary.envelope.date.as_deref().and_then(sent_day);
    day.and_then(|(year, month, day)| Date::new(year, month, day)).is_some_and(|date| compare(how, date, wanted))
}

/// Subject is in the summary; other fields are looked up in the header.
fn header(known: &Known<'_>, name: &[u8], text: &str) -> Option<bool> {
    if name == b"subject" {
        let subject = known.summary?.envelope.subject.as_deref();
        return Some(subject.is_some_and(|subject| header_text(subject).to_lowercase().contains(text)));
    }
    known.inside.map(|inside| inside.has_field(name, text))
}
