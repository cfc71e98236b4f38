//! What an answer shows a client: the mailbox it knows moves on, everything else becomes lines that can be compared.

use std::collections::{BTreeMap, BTreeSet};

use super::mailbox::{self, Mailbox};
use super::wire::{Answer, Response, Value};

/// What a command showed, by what it is about: `FETCH 7 ENVELOPE`, `STATUS "A" UNSEEN`, `result`.
pub type Observed = BTreeMap<String, String>;

/// Response codes whose meaning clients act upon.
const CODES: &[&str] =
    &["APPENDUID", "COPYUID", "MODIFIED", "TRYCREATE", "READ-ONLY", "READ-WRITE", "UIDNEXT", "UNSEEN", "NOTSAVED"];

/// One client of one server.
#[derive(Clone, Debug, Default)]
pub struct Client {
    pub mailbox: Option<Mailbox>,
    /// The highest modification sequence told of the selected mailbox.
    pub highest: u64,
    /// Whether it enabled QRESYNC: then expunges are told by UID.
    pub qresync: bool,
    /// Whether it enabled CONDSTORE: then every change is told with its modification sequence.
    pub condstore: bool,
    /// UIDVALIDITY by mailbox.
    pub validity: BTreeMap<String, u64>,
    /// The mailbox as it was known when it was last open, while it is opened again with QRESYNC.
    pub kept: Option<Mailbox>,
    /// What VANISHED (EARLIER) named during one command.
    earlier: BTreeSet<u32>,
}

impl Client {
    /// The first of a server's clients knows IMAP4rev1 only, the second enables CONDSTORE, the third QRESYNC.
    pub fn new(number: usize) -> Self {
        Client { condstore: number > 0, qresync: number > 1, ..Client::default() }
    }

    /// Takes in an answer; what it showed, or the rule that it breaks.
    pub fn observe(&mut self, command: &str, answer: &Answer) -> Result<Observed, String> {
        let words: Vec<String> = command.split(' ').map(str::to_uppercase).collect();
        let (by_uid, verb) = match words[0].as_str() {
            "UID" => (true, words[1].as_str()),
            verb => (false, verb),
        };
        let mut seen = Observed::new();
        let silent = self.silently_stored(&words, by_uid, verb);
        for response in &answer.untagged {
            self.response(response, verb, by_uid, &mut seen)?;
        }
        self.response(&answer.tagged, verb, by_uid, &mut seen)?;
        let result = answer.tagged.status.clone().unwrap_or_default();
        let ok = result == "OK";
        if self.mailbox.as_ref().is_some_and(|mailbox| mailbox.read_only) {
            seen.insert("read-only".to_owned(), String::new());
        }
        seen.insert("result".to_owned(), result);
        if ["CLOSE", "UNSELECT"].contains(&verb) && ok || ["SELECT", "EXAMINE"].contains(&verb) && !ok {
            self.mailbox = None;
        }
        let (earlier, kept) = (std::mem::take(&mut self.earlier), self.kept.take());
        if let Some(mailbox) = &mut self.mailbox {
            if let Some(kept) = kept {
                mailbox.resynchronised(&kept, &earlier)?;
            }
            mailbox.flags.retain(|uid, _| !silent.contains(uid));
            mailbox.check()?;
        }
        Ok(seen)
    }

    /// What a STORE with .SILENT changes: the client must ask to know it for sure.
    fn silently_stored(&self, words: &[String], by_uid: bool, verb: &str) -> BTreeSet<u32> {
        let set = words.get(if by_uid { 2 } else { 1 });
        match (&self.mailbox, set) {
            (Some(mailbox), Some(set)) if verb == "STORE" && words.iter().any(|word| word.ends_with(".SILENT")) => {
                mailbox.meant(set, by_uid)
            }
            _ => BTreeSet::new(),
        }
    }

    fn response(&mut self, response: &Response, verb: &str, by_uid: bool, seen: &mut Observed) -> Result<(), String> {
        let values = &response.values;
        if response.status.is_some() {
            self.code(values, seen);
            return Ok(());
        }
        let word = |at: usize| values.get(at).and_then(Value::string).unwrap_or_default().to_uppercase();
        let count = values.first().and_then(Value::number).map(|number| number as usize);
        match (word(0).as_str(), word(1).as_str(), count) {
            (_, "EXISTS", Some(count)) => self.mailbox.as_mut().map_or(Ok(()), |mailbox| mailbox.exists(count)),
            (_, "EXPUNGE", Some(sequence)) => {
                if !by_uid && ["FETCH", "STORE", "SEARCH", "SORT", "THREAD"].contains(&verb) {
                    return Err(format!("EXPUNGE during {verb}"));
                }
                if self.qresync {
                    return Err("EXPUNGE after ENABLE QRESYNC".to_owned());
                }
                self.mailbox.as_mut().map_or(Ok(()), |mailbox| mailbox.expunge(sequence))
            }
            (_, "FETCH", Some(sequence)) => self.fetch(sequence, values[2].list(), verb, seen),
            ("VANISHED", _, _) => {
                let earlier = values[1].list().iter().any(|value| value.string().as_deref() == Some("EARLIER"));
                if !earlier && !by_uid && ["FETCH", "STORE", "SEARCH", "SORT", "THREAD"].contains(&verb) {
                    return Err(format!("VANISHED during {verb}"));
                }
                if !self.qresync {
                    return Err("VANISHED without ENABLE QRESYNC".to_owned());
                }
                let set = values.last().and_then(Value::string).unwrap_or_default();
                let gone = mailbox::expand(&set, u32::MAX);
                if let Some(mailbox) = &mut self.mailbox {
                    mailbox.vanished(&gone, earlier);
                }
                if earlier {
                    self.earlier.extend(gone);
                }
                Ok(())
            }
            _ => {
                self.listed(&word(0), &values[1..], by_uid, seen);
                Ok(())
            }
        }
    }

    fn code(&mut self, values: &[Value], seen: &mut Observed) {
        let Some(name) = values.first().and_then(Value::string).map(|name| name.to_uppercase()) else { return };
        let number = values.get(1).and_then(Value::number);
        if name == "HIGHESTMODSEQ" {
            self.highest = self.highest.max(number.unwrap_or(0));
        }
        if let ("UIDVALIDITY", Some(number), Some(mailbox)) = (name.as_str(), number, &self.mailbox) {
            self.validity.insert(mailbox.name.clone(), number);
        }
        if let ("READ-ONLY", Some(mailbox)) = (name.as_str(), &mut self.mailbox) {
            mailbox.read_only = true;
        }
        if CODES.contains(&name.as_str()) {
            let value: Vec<String> = values[1..].iter().map(Value::canonical).collect();
            seen.insert(format!("code {name}"), value.join(" "));
        }
    }

    fn fetch(&mut self, sequence: usize, items: &[Value], verb: &str, seen: &mut Observed) -> Result<(), String> {
        let Some(mailbox) = &mut self.mailbox else { return Err("FETCH without a mailbox".to_owned()) };
        let uid = mailbox.fetched(sequence, items)?;
        let modseq = mailbox::item(items, "MODSEQ").and_then(|value| value.list().first()?.number());
        self.highest = self.highest.max(modseq.unwrap_or(0));
        let has_flags = mailbox::item(items, "FLAGS").is_some();
        if self.condstore && has_flags && modseq.is_none() && !["FETCH", "SELECT", "EXAMINE"].contains(&verb) {
            return Err(format!("flags of message {sequence} without MODSEQ"));
        }
        for pair in items.chunks(2) {
            let name = pair[0].string().unwrap_or_default().to_uppercase().replace('"', "");
            if let Some(value) = pair.get(1).filter(|_| !["UID", "FLAGS", "MODSEQ"].contains(&name.as_str())) {
                let uid = uid.map_or_else(|| format!("?{sequence}"), |uid| uid.to_string());
                seen.insert(format!("FETCH {uid} {name}"), value.canonical());
            }
        }
        Ok(())
    }

    /// Answers to SEARCH, SORT, THREAD, STATUS, LIST and whatever else.
    fn listed(&self, name: &str, values: &[Value], by_uid: bool, seen: &mut Observed) {
        match name {
            "SEARCH" | "SORT" => {
                let numbers = values.iter().filter(|value| !matches!(value, Value::List(_)));
                let mut uids: Vec<u32> = numbers.filter_map(|number| self.uid(number.number()?, by_uid)).collect();
                if name == "SEARCH" {
                    uids.sort_unstable();
                }
                seen.insert(name.to_owned(), format!("{uids:?}"));
                if values.iter().any(|value| matches!(value, Value::List(_))) {
                    seen.insert(format!("{name} MODSEQ"), "told".to_owned());
                }
            }
            "ESEARCH" => self.esearch(values, seen),
            "THREAD" => {
                let threads: Vec<String> = values.iter().map(|thread| self.thread(thread, by_uid)).collect();
                seen.insert(name.to_owned(), threads.join(""));
            }
            "STATUS" => {
                let mailbox = values[0].string().unwrap_or_default();
                for pair in values.get(1).map(Value::list).unwrap_or_default().chunks(2) {
                    let item = pair[0].string().unwrap_or_default().to_uppercase();
                    seen.insert(
                        format!("STATUS {mailbox} {item}"),
                        pair.get(1).map_or_else(String::new, Value::canonical),
                    );
                }
            }
            "LIST" | "LSUB" => {
                let mailbox = values.get(2).and_then(Value::string).unwrap_or_default();
                let mut attributes: Vec<String> = values[0].list().iter().filter_map(Value::string).collect();
                attributes.iter_mut().for_each(|attribute| attribute.make_ascii_lowercase());
                attributes.sort();
                seen.insert(format!("{name} {mailbox}"), attributes.join(" "));
                for more in values.iter().skip(3) {
                    seen.insert(format!("{name} {mailbox} more"), more.canonical());
                }
            }
            _ => {}
        }
    }

    fn esearch(&self, values: &[Value], seen: &mut Observed) {
        let by_uid = values.iter().any(|value| value.string().as_deref() == Some("UID"));
        let pairs =
            values.iter().filter(|value| !matches!(value, Value::List(_)) && value.string().as_deref() != Some("UID"));
        let pairs: Vec<String> = pairs.filter_map(Value::string).collect();
        for pair in pairs.chunks(2) {
            let (name, value) = (pair[0].to_uppercase(), pair.get(1).cloned().unwrap_or_default());
            let shown = match name.as_str() {
                "ALL" | "MIN" | "MAX" => {
                    let numbers = mailbox::expand(&value, 0);
                    let uids: Vec<_> =
                        numbers.iter().filter_map(|number| self.uid(u64::from(*number), by_uid)).collect();
                    format!("{uids:?}")
                }
                "MODSEQ" => "told".to_owned(),
                _ => value,
            };
            seen.insert(format!("ESEARCH {name}"), shown);
        }
        seen.insert("ESEARCH".to_owned(), if by_uid { "by UID" } else { "by number" }.to_owned());
    }

    fn thread(&self, value: &Value, by_uid: bool) -> String {
        match value {
            Value::List(list) => {
                let members: Vec<String> = list.iter().map(|member| self.thread(member, by_uid)).collect();
                format!("({})", members.join(" "))
            }
            value => {
                value.number().and_then(|number| self.uid(number, by_uid)).map_or("?".to_owned(), |uid| uid.to_string())
            }
        }
    }

    fn uid(&self, number: u64, by_uid: bool) -> Option<u32> {
        if by_uid { Some(number as u32) } else { self.mailbox.as_ref()?.uid_of(number) }
    }
}
