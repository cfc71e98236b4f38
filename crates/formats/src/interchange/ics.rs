//! An iCalendar file as the objects of a calendar: one for each UID, with the zones that it names.
//!
//! The file is gone through twice: first for where things are, because the parts of one object may stand anywhere, then
//! object by object. Nothing but these places is in memory.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufRead, Read, Seek, SeekFrom};

use super::lines::{Lines, is_folded, name_and_value};
use super::{Fault, OBJECTS_MAX, Object, uid_of};
use crate::content_line::OBJECT_BYTES_MAX;

/// Where the parts of one object are.
#[derive(Clone, Debug, Default)]
struct Places {
    line: usize,
    /// From and to, in bytes.
    parts: Vec<(u64, u64)>,
    has_uid: bool,
}

/// Where everything in a file is.
#[derive(Debug, Default)]
pub struct Index {
    objects: Vec<Places>,
    zones: HashMap<String, (u64, u64)>,
    /// What can't be read.
    pub faults: Vec<Fault>,
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
    /// When it can't be read.
    pub fn of(reader: impl BufRead) -> io::Result<Self> {
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
                    index.faults.push(Fault::new(number, "this is not iCalendar"));
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
                    None => index.faults.push(Fault::new(number, format!("END:{upper} without its beginning"))),
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
                    index.faults.push(Fault::new(number, "this is not iCalendar"));
                }
                _ => {}
            }
            if index.objects.len() > OBJECTS_MAX {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "there are more than a million objects in it"));
            }
        }
        index.give_up(open, "it has no end");
        Ok(index)
    }

    fn give_up(&mut self, open: Option<Open>, why: &str) {
        if let Some(open) = open {
            self.faults.push(Fault::new(open.line, format!("{}: {why}", open.name)));
        }
    }

    fn close(&mut self, done: Open, end: u64, by_uid: &mut BTreeMap<String, usize>) {
        let place = (done.start, end);
        let id = done.id.map(|id| id.trim().to_owned()).filter(|id| !id.is_empty());
        if done.name == "VTIMEZONE" {
            if let Some(id) = id {
                self.zones.entry(id).or_insert(place);
            }
            return;
        }
        let at = self.objects.len();
        match id {
            Some(uid) => {
                let at = *by_uid.entry(format!("{}:{uid}", done.name)).or_insert(at);
                if at == self.objects.len() {
                    self.objects.push(Places { line: done.line, parts: Vec::new(), has_uid: true });
                }
                self.objects[at].parts.push(place);
            }
            None => self.objects.push(Places { line: done.line, parts: vec![place], has_uid: false }),
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

    /// Object by object, out of the same file.
    pub fn objects<'a, F: Read + Seek>(&'a self, file: &'a mut F) -> impl Iterator<Item = Result<Object, Fault>> + 'a {
        self.objects.iter().map(move |places| self.object(places, file))
    }

    fn object<F: Read + Seek>(&self, places: &Places, file: &mut F) -> Result<Object, Fault> {
        let fault = |reason: String| Fault::new(places.line, reason);
        let mut body = String::new();
        for place in &places.parts {
            body.push_str(&read(file, *place).map_err(|error| fault(error.to_string()))?);
        }
        if !places.has_uid {
            let uid = uid_of(body.as_bytes());
            let at = body.find('\n').map_or(body.len(), |at| at + 1);
            body.insert_str(at, &format!("UID:{uid}\r\n"));
        }
        let mut text = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Sterna//Import//EN\r\n".to_owned();
        let mut zones: Vec<_> = self.zones.iter().filter(|(id, _)| names_zone(&body, id)).collect();
        zones.sort();
        for (_, place) in zones {
            text.push_str(&read(file, *place).map_err(|error| fault(error.to_string()))?);
        }
        text.push_str(&body);
        text.push_str("END:VCALENDAR\r\n");
        if text.len() > OBJECT_BYTES_MAX {
            return Err(fault("it is longer than 10 MiB".to_owned()));
        }
        Ok(Object { line: places.line, text })
    }
}

/// Whether some property names this zone, with or without quotes, folded or not.
fn names_zone(body: &str, id: &str) -> bool {
    let is_in = |text: &str| text.contains(&format!("TZID={id}")) || text.contains(&format!("TZID=\"{id}\""));
    is_in(body) || (body.contains("\r\n ") && is_in(&body.replace("\r\n ", "")))
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

    fn apart(text: &str) -> (Vec<Object>, Vec<Fault>) {
        let index = Index::of(text.as_bytes()).unwrap();
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
