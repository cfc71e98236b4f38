//! An iCalendar file as the objects of a calendar: one for each UID, with the zones that it names.
//!
//! The file is gone through twice: first for where things are, because the parts of one object may stand anywhere, then
//! object by object. Nothing but these places is in memory.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, BufRead, Read, Seek, SeekFrom};

use super::lines::{Lines, is_folded, name_and_value};
use super::{Fault, Object, uid_of};
use crate::content_line::{OBJECT_BYTES_MAX, unescape};

/// Most zones of one file; as many as one object may define.
const ZONES_MAX: usize = 500;

/// Longest zone, in bytes: every object that names it gets a copy. The whole history of a place is a third of this.
const ZONE_BYTES_MAX: u64 = 64 * 1024;

/// Most faults that are kept with their text; the others are counted.
const FAULTS_MAX: usize = 1000;

/// Where the parts of one object are.
#[derive(Clone, Debug, Default)]
struct Places {
    line: usize,
    /// From and to, in bytes.
    parts: Vec<(u64, u64)>,
    uid: Option<String>,
}

/// Where everything in a file is.
#[derive(Debug, Default)]
pub struct Index {
    objects: Vec<Places>,
    zones: HashMap<String, (u64, u64)>,
    /// What can't be read: the first thousand.
    pub faults: Vec<Fault>,
    /// How many faults there are.
    pub faults_count: usize,
    /// Whether objects may be among what can't be read, so that nobody knows what is missing.
    pub is_broken: bool,
}

/// A component that is open.
struct Open {
    name: String,
    start: u64,
    line: usize,
    depth: usize,
    id: Option<String>,
}

impl Index {
    /// Goes through a file.
    ///
    /// # Errors
    /// When it can't be read; [`io::ErrorKind::FileTooLarge`] when there are more than `objects_max` objects in it.
    pub fn of(reader: impl BufRead, objects_max: usize) -> io::Result<Self> {
        let mut lines = Lines::new(reader);
        let mut index = Index::default();
        let mut by_uid: BTreeMap<String, usize> = BTreeMap::new();
        let (mut is_within, mut open, mut folded): (bool, Option<Open>, bool) = (false, None, false);
        let mut is_strange = false;
        while let Some((start, line)) = lines.next()? {
            let line = line.to_vec();
            let (number, end) = (lines.number, lines.offset);
            if is_folded(&line) {
                // A UID that is longer than a line.
                if let Some(Open { id: Some(id), depth: 1, .. }) = &mut open
                    && folded
                {
                    id.push_str(&String::from_utf8_lossy(&line[1..]));
                }
                continue;
            }
            folded = false;
            if line.trim_ascii().is_empty() {
                continue;
            }
            let parsed = name_and_value(&line).map(|(name, value)| (name, String::from_utf8_lossy(value).into_owned()));
            let Some((name, value)) = parsed else {
                if open.is_none() && !std::mem::replace(&mut is_strange, true) {
                    index.fault(number, "this is not iCalendar");
                }
                continue;
            };
            let upper = value.to_ascii_uppercase();
            match name.as_str() {
                "BEGIN" if upper == "VCALENDAR" => {
                    index.give_up(open.take(), "it has no end");
                    (is_within, is_strange) = (true, false);
                }
                "END" if upper == "VCALENDAR" => {
                    index.give_up(open.take(), "it has no end");
                    is_within = false;
                }
                "BEGIN" if is_within => match &mut open {
                    // A component of the same kind can't be within one: its end is missing.
                    Some(outer) if outer.name != upper => outer.depth += 1,
                    _ => {
                        index.give_up(open.take(), "it has no end");
                        open = Some(Open { name: upper, start, line: number, depth: 1, id: None });
                    }
                },
                "END" if is_within => match &mut open {
                    Some(inner) if inner.depth > 1 => inner.depth -= 1,
                    Some(_) => {
                        let Some(done) = open.take() else { continue };
                        if done.name == upper {
                            index.close(done, end, &mut by_uid);
                        } else {
                            index.give_up(Some(done), "its BEGIN and END don't match");
                        }
                    }
                    None => {
                        index.is_broken = true;
                        index.fault(number, format!("END:{} without its beginning", shortened(&upper)));
                    }
                },
                "UID" | "TZID" => {
                    if let Some(open) = open.as_mut().filter(|open| open.depth == 1) {
                        let is_id = (name == "TZID") == (open.name == "VTIMEZONE");
                        if is_id {
                            open.id = Some(value);
                            folded = true;
                        }
                    }
                }
                _ if !is_within && !std::mem::replace(&mut is_strange, true) => {
                    index.fault(number, "this is not iCalendar");
                }
                _ => {}
            }
            if index.objects.len() > objects_max {
                let why = format!("there are more than {objects_max} objects in it");
                return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
            }
        }
        index.give_up(open, "it has no end");
        Ok(index)
    }

    fn give_up(&mut self, open: Option<Open>, why: &str) {
        if let Some(open) = open {
            // Others may have been swallowed with it.
            self.is_broken = true;
            self.fault(open.line, format!("{}: {why}", shortened(&open.name)));
        }
    }

    fn fault(&mut self, line: usize, reason: impl Into<String>) {
        self.faults_count += 1;
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(Fault::new(line, reason));
        }
    }

    fn close(&mut self, done: Open, end: u64, by_uid: &mut BTreeMap<String, usize>) {
        let place = (done.start, end);
        let id = done.id.map(|id| id.trim().to_owned()).filter(|id| !id.is_empty());
        if done.name == "VTIMEZONE" {
            let Some(id) = id.filter(|id| !self.zones.contains_key(id)) else { return };
            if end - done.start > ZONE_BYTES_MAX {
                self.fault(done.line, format!("VTIMEZONE: it is longer than {} KiB", ZONE_BYTES_MAX / 1024));
            } else if self.zones.len() >= ZONES_MAX {
                self.fault(done.line, format!("VTIMEZONE: there are more than {ZONES_MAX} of them"));
            } else {
                self.zones.insert(id, place);
            }
            return;
        }
        let at = self.objects.len();
        match id {
            Some(uid) => {
                let at = *by_uid.entry(format!("{}:{uid}", done.name)).or_insert(at);
                if at == self.objects.len() {
                    self.objects.push(Places { line: done.line, parts: Vec::new(), uid: Some(unescape(&uid)) });
                }
                self.objects[at].parts.push(place);
            }
            None => self.objects.push(Places { line: done.line, parts: vec![place], uid: None }),
        }
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// The UIDs of the objects, in the same order; of those that have none, none.
    pub fn uids(&self) -> impl Iterator<Item = Option<&str>> {
        self.objects.iter().map(|places| places.uid.as_deref())
    }

    /// Object by object, out of the same file.
    pub fn objects<'a, F: Read + Seek>(&'a self, file: &'a mut F) -> impl Iterator<Item = Result<Object, Fault>> + 'a {
        self.objects.iter().map(move |places| self.object(places, file))
    }

    fn object<F: Read + Seek>(&self, places: &Places, file: &mut F) -> Result<Object, Fault> {
        let fault = |reason: String| Fault::new(places.line, reason);
        let is_fitting = |bytes: u64| match bytes <= OBJECT_BYTES_MAX as u64 {
            true => Ok(()),
            false => Err(fault("it is longer than 10 MiB".to_owned())),
        };
        // Before anything is read: what is too long costs nothing.
        let body_bytes = places.parts.iter().map(|(start, end)| end - start).sum::<u64>();
        is_fitting(body_bytes)?;
        let mut body = String::new();
        for place in &places.parts {
            body.push_str(&read(file, *place).map_err(|error| fault(error.to_string()))?);
        }
        if places.uid.is_none() {
            let uid = uid_of(body.as_bytes());
            let at = body.find('\n').map_or(body.len(), |at| at + 1);
            body.insert_str(at, &format!("UID:{uid}\r\n"));
        }
        let mut text = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Sterna//Import//EN\r\n".to_owned();
        let zones: Vec<(u64, u64)> = zones_named(&body).iter().filter_map(|id| self.zones.get(id).copied()).collect();
        is_fitting(body_bytes + zones.iter().map(|(start, end)| end - start).sum::<u64>())?;
        for place in zones {
            text.push_str(&read(file, place).map_err(|error| fault(error.to_string()))?);
        }
        text.push_str(&body);
        text.push_str("END:VCALENDAR\r\n");
        is_fitting(text.len() as u64)?;
        Ok(Object { line: places.line, text })
    }
}

/// The zones that properties name, with or without quotes, folded or not. One pass, however many zones there are.
fn zones_named(body: &str) -> BTreeSet<String> {
    let is_folded = body.contains("\r\n ") || body.contains("\r\n\t");
    let body = match is_folded {
        true => Cow::Owned(body.replace("\r\n ", "").replace("\r\n\t", "")),
        false => Cow::Borrowed(body),
    };
    let mut named = BTreeSet::new();
    for (at, _) in body.match_indices("TZID=") {
        let value = &body[at + "TZID=".len()..];
        let value = match value.strip_prefix('"') {
            Some(quoted) => quoted.split(['"', '\r']).next(),
            None => value.split([':', ';', ',', '\r']).next(),
        };
        named.extend(value.map(|value| value.trim().to_owned()));
    }
    named
}

/// A name as it is told: what calls itself one may be a whole line of anything.
fn shortened(name: &str) -> String {
    name.chars().take(50).collect()
}

/// Some lines, each ended by CRLF.
fn read<F: Read + Seek>(file: &mut F, (start, end): (u64, u64)) -> io::Result<String> {
    if end - start > OBJECT_BYTES_MAX as u64 {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "it is longer than 10 MiB"));
    }
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(end - start).read_to_end(&mut bytes)?;
    let text = String::from_utf8(bytes).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))?;
    let mut lines = String::with_capacity(text.len() + 64);
    for line in text.lines().map(|line| line.trim_end_matches('\r')).filter(|line| !line.trim().is_empty()) {
        lines.push_str(line);
        lines.push_str("\r\n");
    }
    Ok(lines)
}

/// One file of many objects, piece by piece: zones stand in it once.
#[derive(Default)]
pub struct Writer {
    zones: std::collections::BTreeSet<String>,
    is_begun: bool,
}

impl Writer {
    /// What stands in the file for this object; `None` when it is none.
    pub fn add(&mut self, object: &[u8]) -> Option<String> {
        let calendars = crate::content_line::parse(object).ok()?;
        let mut text = if std::mem::replace(&mut self.is_begun, true) { String::new() } else { self.begin() };
        for calendar in calendars.iter().filter(|component| component.name == "VCALENDAR") {
            for component in &calendar.components {
                let is_zone = component.name == "VTIMEZONE";
                if is_zone && !self.zones.insert(component.value("TZID").unwrap_or_default().to_owned()) {
                    continue;
                }
                crate::content_line::write(component, &mut text);
            }
        }
        Some(text)
    }

    fn begin(&self) -> String {
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Sterna//Export//EN\r\n".to_owned()
    }

    /// The end of the file.
    pub fn end(self) -> String {
        let begin = if self.is_begun { String::new() } else { self.begin() };
        begin + "END:VCALENDAR\r\n"
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::calendar::{Calendar, Facts};
    use crate::interchange::OBJECTS_MAX;

    fn apart(text: &str) -> (Vec<Object>, Vec<Fault>) {
        let index = Index::of(text.as_bytes(), OBJECTS_MAX).unwrap();
        let mut file = Cursor::new(text.as_bytes());
        let mut faults = index.faults.clone();
        let mut objects = Vec::new();
        for object in index.objects(&mut file) {
            match object {
                Ok(object) => objects.push(object),
                Err(fault) => faults.push(fault),
            }
        }
        (objects, faults)
    }

    const FILE: &str = "BEGIN:VCALENDAR\nVERSION:2.0\nBEGIN:VTIMEZONE\nTZID:X/Y\nBEGIN:STANDARD\nDTSTART:19700101T000000\n\
        TZOFFSETFROM:+0100\nTZOFFSETTO:+0100\nEND:STANDARD\nEND:VTIMEZONE\n\
        BEGIN:VEVENT\nUID:one\nDTSTART;TZID=X/Y:20250101T100000\nRRULE:FREQ=DAILY\nEND:VEVENT\n\
        BEGIN:VEVENT\nUID:two\nDTSTART:20250101T100000Z\nBEGIN:VALARM\nUID:inner\nEND:VALARM\nEND:VEVENT\n\
        BEGIN:VEVENT\nUID:one\nRECURRENCE-ID;TZID=X/Y:20250102T100000\nDTSTART;TZID=X/Y:20250102T110000\nEND:VEVENT\n\
        BEGIN:VTODO\nSUMMARY:nameless\nEND:VTODO\nEND:VCALENDAR\n";

    #[test]
    fn parts_of_an_object_find_together_with_their_zone() {
        let (objects, faults) = apart(FILE);
        assert_eq!((objects.len(), faults.len()), (3, 0), "{faults:?}");
        assert_eq!(objects.iter().map(|object| object.line).collect::<Vec<_>>(), [11, 16, 28]);
        let uid = |object: &Object| {
            let calendar = Calendar::parse(object.text.as_bytes()).unwrap();
            Facts::of(&calendar).unwrap_or_else(|error| panic!("{error}: {}", object.text)).uid
        };
        let uids: Vec<String> = objects.iter().map(uid).collect();
        assert_eq!(&uids[..2], ["one", "two"]);
        assert!(uids[2].starts_with("import-"));
        assert_eq!(objects[0].text.matches("BEGIN:VEVENT").count(), 2);
        assert!(objects[0].text.contains("TZID:X/Y") && !objects[1].text.contains("VTIMEZONE"));
        assert_eq!(apart(FILE).0, objects, "the same file gives the same objects");
    }

    #[test]
    fn what_is_broken_is_told_with_its_line_and_the_rest_is_read() {
        let broken = FILE.replace("END:VEVENT\nBEGIN:VEVENT\nUID:two", "BEGIN:VEVENT\nUID:two");
        let (objects, faults) = apart(&format!("hello\n{broken}BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:three\n"));
        let lines: Vec<usize> = faults.iter().map(|fault| fault.line).collect();
        assert_eq!(lines, [1, 12, 33], "{faults:?}");
        assert_eq!(objects.len(), 3, "{objects:?}");
        let (objects, faults) = apart("BEGIN:VCALENDAR\nEND:VEVENT\nEND:VCALENDAR\n");
        assert!(objects.is_empty() && faults[0].line == 2);
    }

    fn zone(id: &str, filling_bytes: usize) -> String {
        format!("BEGIN:VTIMEZONE\nTZID:{id}\nX-A:{}\nEND:VTIMEZONE\n", "a".repeat(filling_bytes))
    }

    fn wrapped(inner: &str) -> String {
        format!("BEGIN:VCALENDAR\n{inner}END:VCALENDAR\n")
    }

    #[test]
    fn zones_have_limits_and_only_those_named_come_along() {
        let event = "BEGIN:VEVENT\nUID:one\nDTSTART;TZID=\"A\":20250101T100000\nEXDATE;TZID=Eur\n ope/Lo\n\tng:2025\n\
            END:VEVENT\n";
        let short = zone("A", 1) + &zone("Europe/Long", 1) + &zone("Europe", 1);
        let (objects, faults) = apart(&wrapped(&(short + event)));
        let has = |id: &str| objects[0].text.contains(&format!("TZID:{id}\r\n"));
        assert!(faults.is_empty() && has("A") && has("Europe/Long") && !has("Europe"), "{objects:?}");
        let (objects, faults) = apart(&wrapped(&(zone("A", 70_000) + event)));
        assert!(objects.len() == 1 && !objects[0].text.contains("VTIMEZONE"));
        assert!(faults[0].reason.contains("64 KiB"), "{faults:?}");
        let many: String = (0..ZONES_MAX + 2).map(|at| zone(&at.to_string(), 1)).collect();
        let index = Index::of(wrapped(&(many + event)).as_bytes(), OBJECTS_MAX).unwrap();
        assert_eq!((index.zones.len(), index.faults_count, index.is_broken), (ZONES_MAX, 2, false));
    }

    #[test]
    fn what_names_too_many_zones_is_not_even_read() {
        let zones: String = (0..200).map(|at| zone(&at.to_string(), 60_000)).collect();
        let names: String = (0..200).map(|at| format!("X-A;TZID={at}:\n")).collect();
        let file = wrapped(&format!("{zones}BEGIN:VEVENT\nUID:a\\,b\n{names}END:VEVENT\n"));
        let index = Index::of(file.as_bytes(), OBJECTS_MAX).unwrap();
        let bad = index.objects(&mut Cursor::new(file.as_bytes())).next().unwrap().unwrap_err();
        assert!(bad.reason.contains("10 MiB") && index.uids().next() == Some(Some("a,b")), "{bad:?}");
    }

    #[test]
    fn faults_are_counted_but_not_all_kept() {
        let index = Index::of(wrapped(&"END:X\n".repeat(FAULTS_MAX + 5)).as_bytes(), OBJECTS_MAX).unwrap();
        assert_eq!((index.faults.len(), index.faults_count, index.is_broken), (FAULTS_MAX, FAULTS_MAX + 5, true));
        let error = Index::of(FILE.as_bytes(), 2).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn a_written_file_comes_apart_again() {
        let (objects, _) = apart(FILE);
        let mut writer = Writer::default();
        let mut file: String = objects.iter().map(|object| writer.add(object.text.as_bytes()).unwrap()).collect();
        file.push_str(&writer.end());
        assert_eq!(file.matches("BEGIN:VTIMEZONE").count(), 1);
        let (again, faults) = apart(&file);
        let texts = |objects: &[Object]| objects.iter().map(|object| object.text.clone()).collect::<Vec<_>>();
        assert_eq!((texts(&again), faults.len()), (texts(&objects), 0));
        assert_eq!(apart(&Writer::default().end()).0.len(), 0);
    }
}
