//! The birthdays and anniversaries of an account's contacts as a calendar that can only be read.
//!
//! It follows the address books by what changed in them since it looked the last time; how far that is is an item of
//! the account, as is whether the owner wants it at all. It comes into being with the first contact that has such a
//! day, and whoever deletes it has switched it off.

use std::collections::HashMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_base::{BlobHash, ContainerId, Modseq, OperationId, Uid};
use sterna_formats::calendar::birthday::{Language, Occasion, Titled, YearlyDay};
use sterna_formats::calendar::{Calendar, Facts};
use sterna_formats::card;

use super::external::{self, items};
use super::receive::put;
use super::writing::Writer;
use super::{body, is_elsewhere_named, make_derived, name_shown_step};
use crate::commit::{Expect, MADE};
use crate::{
    Account, AccountError, Change, CommitError, Container, ContainerKind, Content, Cursor, Item, ItemParts, Mutation,
    NewItem, StoreError, UidSet, container_named,
};

/// The container of what is known about it, and the name of that item; and the calendar's own name.
pub const NAME: &str = "birthdays";

/// Its name where the owner has another calendar of that name.
const SECOND_NAME: &str = "contact-birthdays";

/// The version of the state's layout, in its first byte.
const VERSION: u8 = 1;

/// Cards that are read at once.
const CARDS_AT_ONCE: usize = 200;

/// And their bytes: what is read is in memory.
const CARDS_BYTES_AT_ONCE: u64 = 8 * 1024 * 1024;

/// How often a change is tried that others hinder by theirs.
const TRIES_MAX: usize = 4;

/// Longest card that is looked at, in bytes: longer ones have a large picture, and its day stands before that or not at
/// all.
const CARD_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How far the calendar has followed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    is_off: bool,
    calendar: Option<ContainerId>,
    /// In which language the titles are.
    language: String,
    /// Each book that was there, and up to where its changes are in the calendar.
    books: Vec<(ContainerId, Modseq)>,
}

/// Whether the owner wants the calendar.
///
/// # Errors
/// When the account can't be read.
pub async fn is_on(account: &dyn Account) -> Result<bool, AccountError> {
    Ok(!read(account).await?.0.is_off)
}

/// Switches the calendar on or off; whether that changed anything. Off takes it away, on makes it anew.
///
/// # Errors
/// When the account can't be read or written.
pub async fn switch(account: &dyn Account, on: bool) -> Result<bool, AccountError> {
    for _ in 0..TRIES_MAX {
        match switch_once(account, on).await {
            // A follow was under way.
            Err(AccountError::Refused(CommitError::Unexpected | CommitError::NoSuchContainer(_))) => {}
            other => return other,
        }
    }
    Err(AccountError::Unavailable("the calendar of birthdays is changed all the time".to_owned()))
}

async fn switch_once(account: &dyn Account, on: bool) -> Result<bool, AccountError> {
    let (state, known) = read(account).await?;
    let all = account.containers().await?;
    let calendar = state.calendar.filter(|id| all.iter().any(|one| one.id == *id));
    let is_deleted = state.calendar.is_some() && calendar.is_none();
    if on != (state.is_off || is_deleted) {
        return Ok(false);
    }
    let mut steps = match calendar {
        Some(calendar) => external::removed(account, calendar).await?,
        None => Vec::new(),
    };
    steps.push(noted(account, &State { is_off: !on, ..State::default() }, known).await?);
    account.commit(OperationId::random(), steps).await?;
    Ok(true)
}

/// Brings the calendar up to date with the address books.
///
/// # Errors
/// When the account can't be read or written; the next time goes on.
pub async fn follow(account: &dyn Account, language: Language) -> Result<(), AccountError> {
    let mut made = None;
    match follow_once(account, language, &mut made).await {
        // Somebody has switched it off, or taken it or a book away. Whoever did that has marked the account: it is
        // looked at again.
        Err(AccountError::Refused(CommitError::Unexpected | CommitError::NoSuchContainer(_))) => {}
        other => return other,
    }
    if let Some(calendar) = made
        && read(account).await?.0.calendar != Some(calendar)
    {
        let steps = external::removed(account, calendar).await?;
        match account.commit(OperationId::random(), steps).await {
            Ok(_) | Err(AccountError::Refused(CommitError::NoSuchContainer(_))) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// As [`follow`]; `made` is the calendar that was made for it.
async fn follow_once(
    account: &dyn Account,
    language: Language,
    made: &mut Option<ContainerId>,
) -> Result<(), AccountError> {
    let all = account.containers().await?;
    let books: Vec<&Container> = all.iter().filter(|one| one.kind == ContainerKind::AddressBook).collect();
    let (mut state, mut known) = read(account).await?;
    if state.is_off {
        return Ok(());
    }
    if state.calendar.is_some_and(|id| !all.iter().any(|one| one.id == id)) {
        state = State { is_off: true, ..State::default() };
        return write(account, &state, known).await.map(drop);
    }
    if state.language != language.tag() {
        // Every title is another one.
        (state.books, state.language) = (Vec::new(), language.tag().to_owned());
    }
    let behind: Vec<(ContainerId, Modseq)> = books.iter().filter_map(|book| state.behind(book)).collect();
    let is_gone = |(id, _): &(ContainerId, Modseq)| !books.iter().any(|book| book.id == *id);
    if behind.is_empty() && !state.books.iter().any(is_gone) {
        return Ok(());
    }
    let there = match state.calendar {
        Some(calendar) => items(account, calendar).await?,
        None => HashMap::new(),
    };
    let mut round = Round { account, language, all: &all, calendar: state.calendar, made, there };
    for (book, since) in behind {
        let place = round.book(book, since).await?;
        state.books.retain(|(known, _)| *known != book);
        state.books.push((book, place));
        state.calendar = round.calendar;
        // After each: what fails later is not done anew from the beginning.
        known = write(account, &state, known).await?;
    }
    if state.books.iter().any(is_gone) {
        round.without_book(&books).await?;
        state.books.retain(|place| !is_gone(place));
        write(account, &state, known).await?;
    }
    Ok(())
}

impl State {
    /// A book with changes that are not in the calendar, and since when.
    fn behind(&self, book: &Container) -> Option<(ContainerId, Modseq)> {
        let place = self.books.iter().find(|(id, _)| *id == book.id).map(|(_, place)| *place);
        let since = place.unwrap_or(Modseq::ZERO);
        (place.is_none() || since < book.highest_modseq).then_some((book.id, since))
    }
}

/// One time of following.
struct Round<'a> {
    account: &'a dyn Account,
    language: Language,
    all: &'a [Container],
    calendar: Option<ContainerId>,
    /// The same when it was made in this round.
    made: &'a mut Option<ContainerId>,
    /// What is in the calendar, by name.
    there: HashMap<String, Item>,
}

impl Round<'_> {
    /// Takes in what changed in a book; up to where.
    async fn book(&mut self, book: ContainerId, since: Modseq) -> Result<Modseq, AccountError> {
        let mut cursor = Cursor::since(since);
        loop {
            let page = self.account.container_changes(book, cursor, PAGE_ITEMS_MAX).await?;
            let (mut changed, mut gone) = (Vec::new(), Vec::new());
            for row in &page.rows {
                match row {
                    Change::Item(item) => changed.push((item.uid, item.size)),
                    Change::Expunged(row) => gone.push(row.uid),
                    Change::Container(_) | Change::ContainerDeleted { .. } => {}
                }
            }
            changed.sort_unstable();
            for some in pieces(&changed) {
                self.cards(book, &some).await?;
            }
            let mut writer = Writer::new(self.account);
            for uid in gone {
                for occasion in Occasion::ALL {
                    remove(&mut writer, self.calendar, &mut self.there, &name_of(book, uid, occasion)).await?;
                }
            }
            writer.flush().await?;
            match page.next {
                Some(next) => cursor = next,
                None => return Ok(page.head),
            }
        }
    }

    /// Makes the events of some cards what the cards say.
    async fn cards(&mut self, book: ContainerId, uids: &[Uid]) -> Result<(), AccountError> {
        let uids = UidSet::from_ranges(uids.iter().map(|uid| (*uid, *uid)).collect());
        let parts = ItemParts { body: true, ..ItemParts::default() };
        let items = self.account.items(book, &uids, parts, CARDS_AT_ONCE).await?;
        let mut cards = Vec::with_capacity(items.len());
        for item in items.into_iter().filter(|item| item.size <= CARD_BYTES_MAX as u64) {
            match body(self.account, &item).await {
                Ok(bytes) => cards.push((item.uid, item.internal_date.seconds(), bytes)),
                // One that is damaged hinders no other one.
                Err(AccountError::Store(error @ (StoreError::NoSuchBlob(_) | StoreError::Corrupt(_)))) => {
                    let account = self.account.id();
                    tracing::warn!(%account, %book, uid = %item.uid, %error, "a card can't be read for its birthday");
                }
                Err(error) => return Err(error),
            }
        }
        let language = self.language;
        let made = tokio::task::spawn_blocking(move || {
            let of = |(uid, stamp_s, bytes): (Uid, i64, Bytes)| (uid, events(book, uid, &bytes, language, stamp_s));
            cards.into_iter().map(of).collect::<Vec<_>>()
        });
        let made = made.await.map_err(|error| AccountError::Unavailable(error.to_string()))?;
        if self.calendar.is_none() && made.iter().any(|(_, events)| events.iter().any(Option::is_some)) {
            let made = make(self.account, self.all, language).await?;
            (self.calendar, *self.made) = (Some(made), Some(made));
        }
        let Some(calendar) = self.calendar else { return Ok(()) };
        let mut writer = Writer::new(self.account);
        for (uid, events) in made {
            for (occasion, event) in Occasion::ALL.into_iter().zip(events) {
                let name = name_of(book, uid, occasion);
                let Some((text, facts)) = event else {
                    remove(&mut writer, self.calendar, &mut self.there, &name).await?;
                    continue;
                };
                let is_same = |item: &Item| item.blob == BlobHash::of(text.as_bytes());
                if !self.there.get(&name).is_some_and(is_same) {
                    writer.push(put(self.account, (calendar, name), &text, &facts, Expect::Any).await?).await?;
                }
            }
        }
        writer.flush().await
    }

    /// Takes out what came from books that are gone.
    async fn without_book(&mut self, books: &[&Container]) -> Result<(), AccountError> {
        let prefixes: Vec<String> = books.iter().map(|book| format!("{}-", book.id)).collect();
        let is_left = |name: &&String| !prefixes.iter().any(|prefix| name.starts_with(prefix.as_str()));
        let left: Vec<String> = self.there.keys().filter(is_left).cloned().collect();
        let mut writer = Writer::new(self.account);
        for name in left {
            remove(&mut writer, self.calendar, &mut self.there, &name).await?;
        }
        writer.flush().await
    }
}

/// Cards that are read at once, of all with their sizes in bytes.
fn pieces(cards: &[(Uid, u64)]) -> Vec<Vec<Uid>> {
    let (mut pieces, mut piece, mut bytes) = (Vec::new(), Vec::new(), 0_u64);
    for (uid, size) in cards.iter().filter(|(_, size)| *size <= CARD_BYTES_MAX as u64) {
        if piece.len() >= CARDS_AT_ONCE || (!piece.is_empty() && bytes + size > CARDS_BYTES_AT_ONCE) {
            pieces.push(std::mem::take(&mut piece));
            bytes = 0;
        }
        piece.push(*uid);
        bytes += size;
    }
    pieces.extend(Some(piece).filter(|piece| !piece.is_empty()));
    pieces
}

async fn remove(
    writer: &mut Writer<'_>,
    calendar: Option<ContainerId>,
    there: &mut HashMap<String, Item>,
    name: &str,
) -> Result<(), AccountError> {
    match (calendar, there.remove(name)) {
        (Some(container), Some(_)) => writer.push(Mutation::Remove { container, name: name.to_owned() }).await,
        _ => Ok(()),
    }
}

/// An event that is to be there, and what is kept beside it.
type Event = Option<(String, Facts)>;

/// The events of a card, in the order of [`Occasion::ALL`].
fn events(book: ContainerId, uid: Uid, bytes: &[u8], language: Language, stamp_s: i64) -> [Event; 2] {
    let upper = bytes.to_ascii_uppercase();
    let says = |word: &[u8]| upper.windows(word.len()).any(|part| part == word);
    if !says(b"BDAY") && !says(b"ANNIVERSARY") {
        return [None, None];
    }
    let Ok(card) = card::parse(bytes) else { return [None, None] };
    let Ok(facts) = card::Facts::of(&card) else { return [None, None] };
    Occasion::ALL.map(|occasion| {
        let titled = Titled { name: &facts.name, occasion, language };
        let day = YearlyDay::of(&card, occasion).filter(|_| !facts.name.is_empty() && !facts.is_group)?;
        let name = name_of(book, uid, occasion);
        let made = day.event(titled, name.trim_end_matches(".ics"), stamp_s).ok();
        made.map(|(event, facts): (Calendar, Facts)| (event.text(), facts))
    })
}

/// The name of an event: it leads to its card and back.
fn name_of(book: ContainerId, uid: Uid, occasion: Occasion) -> String {
    let kind = match occasion {
        Occasion::Birthday => "birthday",
        Occasion::Anniversary => "anniversary",
    };
    format!("{book}-{uid}-{kind}.ics")
}

/// Makes the calendar, or finds the one that was made just before a crash.
async fn make(account: &dyn Account, all: &[Container], language: Language) -> Result<ContainerId, AccountError> {
    for name in [NAME, SECOND_NAME] {
        let derived = |one: &&Container| one.kind == ContainerKind::DerivedCalendar && one.name == name;
        if let Some(found) = all.iter().find(derived) {
            if external::read(account, found.id).await?.is_none() {
                return Ok(found.id);
            }
        } else if !is_elsewhere_named(all, name) {
            let notes = vec![name_shown_step(MADE, language.calendar())];
            return make_derived(account, name, notes).await;
        }
    }
    Err(AccountError::Refused(CommitError::NameTaken))
}

/// What is noted, and what a change of it expects to be there.
async fn read(account: &dyn Account) -> Result<(State, Expect), AccountError> {
    let path = [NAME.to_owned()];
    let Some(container) = account.containers_on_path(ContainerKind::Settings, &path).await?.pop() else {
        return Ok((State::default(), Expect::Absent));
    };
    let parts = ItemParts { body: true, ..ItemParts::default() };
    let Some(item) = account.item_named(container.id, NAME, parts).await? else {
        return Ok((State::default(), Expect::Absent));
    };
    let decode = |body: &Bytes| {
        let (version, rest) = body.split_first()?;
        if *version == VERSION { postcard::from_bytes(rest).ok() } else { None }
    };
    Ok((item.body.as_ref().and_then(decode).unwrap_or_default(), Expect::Content(item.blob)))
}

/// Notes how far it is, if nobody has noted something else; what the next change expects.
async fn write(account: &dyn Account, state: &State, known: Expect) -> Result<Expect, AccountError> {
    let step = noted(account, state, known).await?;
    account.commit(OperationId::random(), vec![step]).await?;
    Ok(Expect::Content(BlobHash::of(&encoded(state))))
}

async fn noted(account: &dyn Account, state: &State, known: Expect) -> Result<Mutation, AccountError> {
    let container = container_named(account, ContainerKind::Settings, NAME).await?.id;
    let item = NewItem::named(NAME, Content::Inline(Bytes::from(encoded(state))));
    Ok(Mutation::Put { container, item, expect: known })
}

fn encoded(state: &State) -> Vec<u8> {
    postcard::to_extend(state, vec![VERSION]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_cards_are_read_few_at_a_time() {
        let large: Vec<_> = (1..=5).map(|uid| (Uid(uid), CARD_BYTES_MAX as u64)).chain([(Uid(6), 1 << 30)]).collect();
        assert_eq!(pieces(&large), [vec![Uid(1), Uid(2)], vec![Uid(3), Uid(4)], vec![Uid(5)]]);
        let small: Vec<_> = (1..=201).map(|uid| (Uid(uid), 300)).collect();
        assert_eq!(pieces(&small).iter().map(Vec::len).collect::<Vec<_>>(), [200, 1]);
        assert!(pieces(&[]).is_empty());
    }
}
