//! A vCard file as its cards.

use std::io::{self, BufRead};

use super::lines::{Lines, is_folded, name_and_value};
use super::{Fault, OBJECTS_MAX, Object, uid_of};
use crate::content_line::OBJECT_BYTES_MAX;

/// Cards of a file, one in memory at a time.
pub struct Cards<R> {
    lines: Lines<R>,
    /// A card whose beginning was read with the end of the one before it missing.
    begun: Option<usize>,
    count: usize,
    ended: bool,
}

impl<R: BufRead> Cards<R> {
    /// Of a file.
    pub fn new(reader: R) -> Self {
        Cards { lines: Lines::new(reader), begun: None, count: 0, ended: false }
    }

    fn read(&mut self) -> io::Result<Option<Result<Object, Fault>>> {
        let (mut text, mut start, mut has_uid) = (Vec::new(), self.begun.take(), false);
        if start.is_some() {
            text.extend_from_slice(b"BEGIN:VCARD\r\n");
        }
        loop {
            let Some((_, line)) = self.lines.next()? else {
                self.ended = true;
                return Ok(start.map(|line| Err(Fault::new(line, "the card has no end"))));
            };
            let (line, number) = (line.to_vec(), self.lines.number);
            let line = &line[..];
            let parsed = if is_folded(line) { None } else { name_and_value(line) };
            let is = |name: &str, value: &str| {
                let found = parsed.as_ref();
                found.is_some_and(|(known, said)| known == name && said.eq_ignore_ascii_case(value.as_bytes()))
            };
            let (begins, ends) = (is("BEGIN", "VCARD"), is("END", "VCARD"));
            has_uid |= parsed.as_ref().is_some_and(|(name, value)| name == "UID" && !value.is_empty());
            let blank = line.trim_ascii().is_empty();
            match start {
                None if begins => start = Some(number),
                None if blank => continue,
                None => {
                    // Told once, however much of it there is.
                    self.skip()?;
                    return Ok(Some(Err(Fault::new(number, "this is not a vCard"))));
                }
                Some(line) if begins => {
                    self.begun = Some(number);
                    return Ok(Some(Err(Fault::new(line, "the card has no end"))));
                }
                Some(_) if blank => continue,
                Some(_) => {}
            }
            if text.len() + line.len() <= OBJECT_BYTES_MAX {
                text.extend_from_slice(line);
                text.extend_from_slice(b"\r\n");
            }
            if let (Some(at), true) = (start, ends) {
                self.count += 1;
                return Ok(Some(card(at, text, has_uid)));
            }
        }
    }

    /// On to the next beginning.
    fn skip(&mut self) -> io::Result<()> {
        while let Some((_, line)) = self.lines.next()? {
            let begins = name_and_value(line)
                .is_some_and(|(name, value)| name == "BEGIN" && value.eq_ignore_ascii_case(b"VCARD"));
            if begins {
                self.begun = Some(self.lines.number);
                return Ok(());
            }
        }
        self.ended = true;
        Ok(())
    }
}

fn card(line: usize, text: Vec<u8>, has_uid: bool) -> Result<Object, Fault> {
    if text.len() + 2 > OBJECT_BYTES_MAX {
        return Err(Fault::new(line, "it is longer than 10 MiB"));
    }
    let mut text = String::from_utf8(text).map_err(|_| Fault::new(line, "it is not UTF-8"))?;
    if !has_uid {
        let uid = uid_of(text.as_bytes());
        let at = text.rfind("END:").or_else(|| text.to_ascii_uppercase().rfind("END:")).unwrap_or(text.len());
        text.insert_str(at, &format!("UID:{uid}\r\n"));
    }
    Ok(Object { line, text })
}

impl<R: BufRead> Iterator for Cards<R> {
    type Item = Result<Object, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended || self.count > OBJECTS_MAX {
            return None;
        }
        match self.read() {
            Ok(found) => found,
            Err(error) => {
                self.ended = true;
                Some(Err(Fault::new(self.lines.number + 1, error.to_string())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::card;

    fn apart(text: &str) -> (Vec<Object>, Vec<usize>) {
        let (mut objects, mut faults) = (Vec::new(), Vec::new());
        for found in Cards::new(text.as_bytes()) {
            match found {
                Ok(object) => objects.push(object),
                Err(fault) => faults.push(fault.line),
            }
        }
        (objects, faults)
    }

    #[test]
    fn cards_are_cut_out_and_named() {
        let file = "\u{feff}BEGIN:VCARD\nVERSION:3.0\nUID:a\nFN:Ana\nNOTE:one\n two\nEND:VCARD\n\n\
            begin:vcard\r\nVERSION:4.0\r\nFN:Ben\r\nend:vcard\r\n";
        let (objects, faults) = apart(file);
        assert_eq!((objects.len(), faults.len()), (2, 0));
        assert_eq!((objects[0].line, objects[1].line), (1, 9));
        assert_eq!(
            objects[0].text,
            "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:a\r\nFN:Ana\r\nNOTE:one\r\n two\r\nEND:VCARD\r\n"
        );
        for object in &objects {
            let facts = card::Facts::of(&card::parse(object.text.as_bytes()).unwrap()).unwrap();
            assert!(!facts.uid.is_empty());
        }
        assert_eq!(apart(file).0, objects);
    }

    #[test]
    fn what_is_broken_is_told_and_the_rest_is_read() {
        let file =
            "junk\nmore junk\nBEGIN:VCARD\nFN:lost\nBEGIN:VCARD\nVERSION:3.0\nFN:b\nEND:VCARD\nBEGIN:VCARD\nFN:x\n";
        let (objects, faults) = apart(file);
        assert_eq!((objects.len(), faults), (1, vec![1, 3, 9]));
        assert!(objects[0].text.starts_with("BEGIN:VCARD\r\nVERSION:3.0\r\nFN:b\r\n"));
        assert_eq!(apart("").0.len(), 0);
    }
}
