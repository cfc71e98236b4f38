//! SEARCH (RFC 9051 section 6.4.4, RFC 4731, 5182, 7162).
//!
//! What the view knows (flags, numbers) is decided here, message by message. The rest is a filter that the account
//! applies where it lives; messages for which the view says the same are asked about together.

use std::collections::HashMap;

use sterna_account::search::relevancy::UNKNOWN;
use sterna_account::search::{Filter, Span};
use sterna_account::{Account, Keyword, SystemFlag, UidSet};
use sterna_base::{ContainerId, Timestamp, Uid};
use sterna_formats::imap::SequenceSet;
use sterna_formats::imap::command::{DateTest, Search, SearchKey};
use sterna_formats::imap::date::Date;

use super::object_id::content_of;
use super::search_result;
use super::sets::{self, Wanted};
use crate::imap::limits::{ASKED_RANGES_MAX, STEP_MESSAGES};
use crate::imap::picture::Picked;
use crate::imap::reply::{Fail, Outcome, Reply};
use crate::imap::session::Session;

/// What a message has that matches without FUZZY, too: more than any other.
const SCORE_OF_TEXT: u8 = 50;

/// Messages whose relevancy is asked for at once.
const SCORED_MESSAGES: usize = 4096;

/// Sets in keys, as UIDs.
type Sets = Vec<UidSet>;

pub async fn run(session: &mut Session, search: Search) -> Outcome {
    if search.has_charset && session.enabled.utf8_accept {
        return Ok(Reply::bad("There is no CHARSET after ENABLE UTF8=ACCEPT"));
    }
    if let Some(refused) = refuse_charset(session, &search)? {
        return Ok(refused);
    }
    let Search { uid, returns, update_items, keys, .. } = search;
    let updates = returns.is_some_and(|returns| returns.update);
    let tag = session.tag.clone();
    if updates && session.selected()?.has_context(&tag) {
        return Ok(Reply::bad("A search of this tag is kept up to date already"));
    }
    let program = Program::new(session, keys)?;
    let found = program.find(session).await?;
    let scores = search_result::scores(session, &program, returns, &found).await?;
    search_result::respond(session, "SEARCH", uid, returns, &found, scores, program.has_modseq)?;
    if updates {
        session.keep_context(program, uid, update_items, &found, None)?;
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
    pub fn new(session: &mut Session, keys: Vec<SearchKey>) -> Result<Self, Fail> {
        let mut sets = Sets::new();
        let has_modseq = keys.iter().any(|key| contains(key, &|key| matches!(key, SearchKey::Modseq(_))));
        let is_numbered = |key: &SearchKey| matches!(key, SearchKey::Sequence(SequenceSet::Ranges(_)));
        if session.enabled.uid_only && keys.iter().any(|key| contains(key, &is_numbered)) {
            return Err(Reply::bad("Only UIDs name messages in this session").code("UIDREQUIRED").into());
        }
        let selected = session.selected()?;
        for key in &keys {
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

    /// Whether there is a FUZZY in it.
    pub fn is_fuzzy(&self) -> bool {
        contains(&self.key, &|key| matches!(key, SearchKey::Fuzzy(_)))
    }

    /// How well each of these messages matches, from 1 to 100 (RFC 6203 section 4), by the index of the account: up to
    /// 50 for those that have forms of the words, above that for those that are found without FUZZY, too.
    ///
    /// # Errors
    /// BAD without FUZZY; when the account can't be read.
    pub async fn relevancy(&self, session: &mut Session, found: &[Picked]) -> Result<HashMap<Uid, u8>, Fail> {
        if !self.is_fuzzy() {
            return Err(Reply::bad("RELEVANCY needs FUZZY").into());
        }
        let uids: UidSet = found.iter().map(|picked| picked.uid).collect();
        let exact = find(session, &strict(&self.key), &self.sets, Wanted::of(&uids)).await?;
        let mut texts = Vec::new();
        fuzzy_texts(&self.key, false, &mut texts);
        let (account, container, texts) = (session.selected_account()?, session.selected()?.id, Filter::Or(texts));
        let mut scores: HashMap<Uid, u8> = found.iter().map(|picked| (picked.uid, UNKNOWN)).collect();
        for some in found.chunks(SCORED_MESSAGES) {
            let uids: UidSet = some.iter().map(|picked| picked.uid).collect();
            scores.extend(account.relevancy(container, &texts, &uids).await?);
        }
        scores.values_mut().for_each(|score| *score = score.div_ceil(2));
        for picked in &exact {
            scores.entry(picked.uid).and_modify(|score| *score += SCORE_OF_TEXT);
        }
        Ok(scores)
    }

    /// Those among these.
    ///
    /// # Errors
    /// When the account can't be read.
    pub async fn find_among(&self, session: &mut Session, uids: &UidSet) -> Result<Vec<Picked>, Fail> {
        find(session, &self.key, &self.sets, Wanted::of(uids)).await
    }
}

async fn find(session: &mut Session, key: &SearchKey, sets: &Sets, wanted: Wanted) -> Result<Vec<Picked>, Fail> {
    let account = session.selected_account()?;
    let container = session.selected()?.id;
    let now = session.shared.clock.now();
    let Sorted { mut matching, groups } = sort(session, key, sets, wanted, now).await?;
    for (filter, uids) in groups {
        ask(session, account.as_ref(), container, &filter, uids, &mut matching).await?;
    }
    let matching = UidSet::from_ranges(matching);
    Ok(Wanted::of(&matching).next(session.selected()?, usize::MAX))
}

/// What the view decides.
struct Sorted {
    /// Those that match, whatever is in them.
    matching: Vec<(Uid, Uid)>,
    /// Those of which the account must say whether they match.
    groups: Vec<(Filter, UidSet)>,
}

/// Decides with the view what it can decide.
async fn sort(
    session: &mut Session,
    key: &SearchKey,
    sets: &Sets,
    mut wanted: Wanted,
    now: Timestamp,
) -> Result<Sorted, Fail> {
    let selected = session.selected()?;
    let recent_from = selected.recent_from;
    let (keywords, count) = {
        let picture = selected.view.picture();
        (picture.container.keywords.clone(), picture.count(selected.position) as usize)
    };
    let (mut matching, mut groups) = (Vec::new(), Vec::new());
    if !contains(key, &is_of_view) {
        // The same is asked of every message: no need to look at each.
        let uids = wanted.uids(session.selected()?);
        return Ok(Sorted { matching, groups: vec![(filter_of(key, now, &mut std::iter::empty()), uids)] });
    }
    // For each answer of the view to its keys: which group that is.
    let mut known: HashMap<Vec<bool>, usize> = HashMap::new();
    let mut answers = Vec::new();
    let mut looked_at = 0;
    loop {
        let step = wanted.next(session.selected()?, STEP_MESSAGES);
        if step.is_empty() {
            break;
        }
        for picked in &step {
            answers.clear();
            let known_of = Known { picked, recent: picked.uid >= recent_from, keywords: &keywords };
            view_answers(key, &known_of, sets, &mut 0, &mut answers);
            let at = match known.get(&answers) {
                Some(at) => *at,
                None => {
                    groups.push((filter_of(key, now, &mut answers.iter().copied()), UidSet::new()));
                    known.insert(answers.clone(), groups.len() - 1);
                    groups.len() - 1
                }
            };
            groups[at].1.push(picked.uid);
        }
        looked_at += step.len();
        session.tell_progress(looked_at, Some(count)).await?;
        // Deciding by flags never waits for anything: others on this thread get their turn.
        tokio::task::yield_now().await;
    }
    groups.retain(|(filter, uids)| {
        if *filter == Filter::Const(true) {
            matching.extend_from_slice(uids.ranges());
        }
        !matches!(filter, Filter::Const(_))
    });
    Ok(Sorted { matching, groups })
}

/// Asks the account about these messages, step by step.
async fn ask(
    session: &mut Session,
    account: &dyn Account,
    container: ContainerId,
    filter: &Filter,
    uids: UidSet,
    matching: &mut Vec<(Uid, Uid)>,
) -> Result<(), Fail> {
    if let Filter::Const(answer) = filter {
        if *answer {
            matching.extend_from_slice(uids.ranges());
        }
        return Ok(());
    }
    let (asked, count) = (uids.span(), {
        let selected = session.selected()?;
        selected.view.picture().count(selected.position) as usize
    });
    for ranges in uids.ranges().chunks(ASKED_RANGES_MAX) {
        let mut open = UidSet::from_ranges(ranges.to_vec());
        while !open.is_empty() {
            let left = open.span();
            let found = account.search(container, filter, &open).await?;
            matching.extend_from_slice(found.matching.ranges());
            open = found.open;
            // As many of the messages as of the UIDs, about.
            let done = count as u64 * (asked - open.span().min(asked)) / asked.max(1);
            session.tell_progress(done as usize, Some(count)).await?;
            if open.span() >= left {
                return Err(Reply::no("The search does not come to an end").code("SERVERBUG").into());
            }
        }
    }
    Ok(())
}

/// Whether the key or one inside it is such a one.
pub fn contains(key: &SearchKey, such: &dyn Fn(&SearchKey) -> bool) -> bool {
    such(key)
        || match key {
            SearchKey::Not(inner) | SearchKey::Fuzzy(inner) => contains(inner, such),
            SearchKey::Or(pair) => contains(&pair.0, such) || contains(&pair.1, such),
            SearchKey::And(keys) => keys.iter().any(|key| contains(key, such)),
            _ => false,
        }
}

/// The UIDs of each set, in the order in which [`test`] meets them.
fn collect_sets(selected: &crate::imap::selected::Selected, key: &SearchKey, sets: &mut Sets) -> Result<(), Fail> {
    match key {
        SearchKey::Uid(set) => sets.push(sets::searched_uids(selected, set, true)?),
        SearchKey::Sequence(set) => sets.push(sets::searched_uids(selected, set, false)?),
        SearchKey::Not(inner) | SearchKey::Fuzzy(inner) => collect_sets(selected, inner, sets)?,
        SearchKey::Or(pair) => {
            collect_sets(selected, &pair.0, sets)?;
            collect_sets(selected, &pair.1, sets)?;
        }
        SearchKey::And(keys) => keys.iter().try_for_each(|key| collect_sets(selected, key, sets))?,
        _ => {}
    }
    Ok(())
}

/// What the view knows of a message.
struct Known<'a> {
    picked: &'a Picked,
    recent: bool,
    keywords: &'a [Keyword],
}

/// Whether the view answers this key.
fn is_of_view(key: &SearchKey) -> bool {
    matches!(
        key,
        SearchKey::Flag(..)
            | SearchKey::Keyword(..)
            | SearchKey::Recent(_)
            | SearchKey::New
            | SearchKey::Modseq(_)
            | SearchKey::Uid(_)
            | SearchKey::Sequence(_)
    )
}

/// The view's answers to its keys, in their order. `set` counts the sets met so far, so every key is visited.
fn view_answers(key: &SearchKey, known: &Known<'_>, sets: &Sets, set: &mut usize, answers: &mut Vec<bool>) {
    let flags = known.picked.flags;
    answers.push(match key {
        SearchKey::Flag(name, wanted) => SystemFlag::parse(name).is_some_and(|flag| flags.has(flag) == *wanted),
        SearchKey::Keyword(name, wanted) => {
            let bit = known.keywords.iter().position(|keyword| keyword.as_str().eq_ignore_ascii_case(name));
            bit.is_some_and(|bit| flags.keywords & 1 << bit != 0) == *wanted
        }
        SearchKey::Recent(wanted) => known.recent == *wanted,
        SearchKey::New => known.recent && !flags.has(SystemFlag::Seen),
        SearchKey::Modseq(since) => known.picked.modseq.0 >= *since,
        SearchKey::Uid(_) | SearchKey::Sequence(_) => {
            *set += 1;
            sets.get(*set - 1).is_some_and(|uids| uids.contains(known.picked.uid))
        }
        SearchKey::Not(inner) | SearchKey::Fuzzy(inner) => return view_answers(inner, known, sets, set, answers),
        SearchKey::Or(pair) => {
            view_answers(&pair.0, known, sets, set, answers);
            return view_answers(&pair.1, known, sets, set, answers);
        }
        SearchKey::And(keys) => return keys.iter().for_each(|key| view_answers(key, known, sets, set, answers)),
        _ => return,
    });
}

/// What is left to ask when the view has answered its keys.
fn filter_of(key: &SearchKey, now: Timestamp, answers: &mut dyn Iterator<Item = bool>) -> Filter {
    match key {
        key if is_of_view(key) => Filter::Const(answers.next().unwrap_or(false)),
        SearchKey::Not(inner) => match filter_of(inner, now, answers) {
            Filter::Const(answer) => Filter::Const(!answer),
            filter => Filter::Not(Box::new(filter)),
        },
        SearchKey::Fuzzy(inner) => fuzzy(filter_of(inner, now, answers)),
        SearchKey::Or(pair) => {
            let both = [filter_of(&pair.0, now, answers), filter_of(&pair.1, now, answers)];
            joined(both.into_iter(), true, Filter::Or)
        }
        SearchKey::And(keys) => {
            let all: Vec<Filter> = keys.iter().map(|key| filter_of(key, now, answers)).collect();
            joined(all.into_iter(), false, Filter::And)
        }
        SearchKey::Larger(size) => Filter::Larger(*size),
        SearchKey::Smaller(size) => Filter::Smaller(*size),
        SearchKey::Internal(how, date) => Filter::Internal(span(*how, *date)),
        SearchKey::Saved(how, date) => Filter::Saved(span(*how, *date)),
        SearchKey::Sent(how, date) => Filter::Sent(span(*how, *date)),
        SearchKey::Within { older, seconds } => {
            // Both include the moment itself (RFC 5032 section 3).
            let then = now.plus_ms(-i64::from(*seconds) * 1000);
            Filter::Internal(match older {
                true => Span { from: None, before: Some(then.plus_ms(1)) },
                false => Span { from: Some(then), before: None },
            })
        }
        SearchKey::EmailId(id) => content_of(id).map_or(Filter::Const(false), Filter::Content),
        SearchKey::ThreadId => Filter::Const(false),
        SearchKey::Header { name, text } => Filter::Header { name: name.to_ascii_lowercase(), text: text.clone() },
        SearchKey::Body(text) => Filter::Body(text.clone()),
        SearchKey::Text(text) => Filter::Text(text.clone()),
        // ALL; those that the view answers were met before.
        _ => Filter::Const(true),
    }
}

/// With similar texts; what is not about texts is as it is.
fn fuzzy(filter: Filter) -> Filter {
    match filter {
        Filter::Not(inner) => Filter::Not(Box::new(fuzzy(*inner))),
        Filter::And(inner) => Filter::And(inner.into_iter().map(fuzzy).collect()),
        Filter::Or(inner) => Filter::Or(inner.into_iter().map(fuzzy).collect()),
        filter @ (Filter::Header { .. } | Filter::Body(_) | Filter::Text(_)) => Filter::Fuzzy(Box::new(filter)),
        filter => filter,
    }
}

/// The texts that messages are to have, or something like them.
fn fuzzy_texts(key: &SearchKey, is_fuzzy: bool, texts: &mut Vec<Filter>) {
    match key {
        SearchKey::Fuzzy(inner) => fuzzy_texts(inner, true, texts),
        SearchKey::Or(pair) => {
            fuzzy_texts(&pair.0, is_fuzzy, texts);
            fuzzy_texts(&pair.1, is_fuzzy, texts);
        }
        SearchKey::And(keys) => keys.iter().for_each(|key| fuzzy_texts(key, is_fuzzy, texts)),
        SearchKey::Header { .. } | SearchKey::Body(_) | SearchKey::Text(_) if is_fuzzy => {
            texts.push(fuzzy(filter_of(key, Timestamp(0), &mut std::iter::empty())));
        }
        // What they are not to have says nothing of what they have.
        _ => {}
    }
}

/// Without FUZZY.
fn strict(key: &SearchKey) -> SearchKey {
    match key {
        SearchKey::Fuzzy(inner) => strict(inner),
        SearchKey::Not(inner) => SearchKey::Not(Box::new(strict(inner))),
        SearchKey::Or(pair) => SearchKey::Or(Box::new((strict(&pair.0), strict(&pair.1)))),
        SearchKey::And(keys) => SearchKey::And(keys.iter().map(strict).collect()),
        key => key.clone(),
    }
}

/// Several filters as one: a constant that decides stands for all, and the others add nothing.
fn joined(filters: impl Iterator<Item = Filter>, deciding: bool, join: fn(Vec<Filter>) -> Filter) -> Filter {
    let mut left = Vec::new();
    for filter in filters {
        match filter {
            Filter::Const(answer) if answer == deciding => return Filter::Const(deciding),
            Filter::Const(_) => {}
            filter => left.push(filter),
        }
    }
    match left.len() {
        0 => Filter::Const(!deciding),
        1 => left.remove(0),
        _ => join(left),
    }
}

fn span(how: DateTest, date: Date) -> Span {
    let next = date.tomorrow().and_then(Date::midnight);
    match how {
        DateTest::Before => Span { from: None, before: date.midnight() },
        DateTest::On => Span { from: date.midnight(), before: next },
        DateTest::Since => Span { from: date.midnight(), before: None },
    }
}
