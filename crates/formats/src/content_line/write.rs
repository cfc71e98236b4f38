//! From the tree to bytes.

use super::{Component, Parameter, Property};

/// Longest line in octets, without its end (RFC 5545 section 3.1).
const LINE_BYTES_MAX: usize = 75;

/// A component as text, folded.
pub fn write(component: &Component, out: &mut String) {
    write_filtered(component, out, &mut |_, _| true);
}

/// A component as text, with those of its own properties (and of those below it) that are wanted.
pub fn write_filtered(
    component: &Component,
    out: &mut String,
    is_wanted: &mut dyn FnMut(&Component, &Property) -> bool,
) {
    line(&format!("BEGIN:{}", component.name), out);
    for property in &component.properties {
        if is_wanted(component, property) {
            line(&unfolded(property), out);
        }
    }
    for below in &component.components {
        write_filtered(below, out, is_wanted);
    }
    line(&format!("END:{}", component.name), out);
}

fn unfolded(property: &Property) -> String {
    let mut text = String::with_capacity(property.value.len() + 32);
    if !property.group.is_empty() {
        text.push_str(&property.group);
        text.push('.');
    }
    text.push_str(&property.name);
    for parameter in &property.parameters {
        text.push(';');
        write_parameter(parameter, &mut text);
    }
    text.push(':');
    text.push_str(&property.value);
    text
}

fn write_parameter(parameter: &Parameter, text: &mut String) {
    if !parameter.name.is_empty() {
        text.push_str(&parameter.name);
        text.push('=');
    }
    for (n, value) in parameter.values.iter().enumerate() {
        if n > 0 {
            text.push(',');
        }
        let encoded = value.replace('^', "^^").replace('\n', "^n").replace('"', "^'");
        // A bare caret is no escape unless something that it escapes follows; most products write it bare.
        let encoded = if value.contains(['\n', '"']) || needs_carets(value) { encoded } else { value.clone() };
        let is_bare_word = parameter.name.is_empty();
        if encoded.contains([';', ':']) || (encoded.contains(',') && !is_bare_word) {
            text.push('"');
            text.push_str(&encoded);
            text.push('"');
        } else {
            text.push_str(&encoded);
        }
    }
}

/// Whether the value would be read as an escape of RFC 6868.
fn needs_carets(value: &str) -> bool {
    value.contains("^n") || value.contains("^^") || value.contains("^'")
}

/// Folds between characters, never within one.
fn line(text: &str, out: &mut String) {
    let (mut rest, mut room) = (text, LINE_BYTES_MAX);
    while rest.len() > room {
        let mut end = room;
        while !rest.is_char_boundary(end) {
            end -= 1;
        }
        out.push_str(&rest[..end]);
        out.push_str("\r\n ");
        rest = &rest[end..];
        room = LINE_BYTES_MAX - 1;
    }
    out.push_str(rest);
    out.push_str("\r\n");
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn again(text: &str) -> String {
        let mut out = String::new();
        parse(text.as_bytes()).unwrap().iter().for_each(|component| write(component, &mut out));
        out
    }

    #[test]
    fn what_is_read_is_written() {
        let text = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:1\r\n\
            ATTENDEE;CN=\"Doe, Jane\";ROLE=CHAIR:mailto:j@x.test\r\nX-A;P=^^^'^n:v\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
        assert_eq!(again(text), text);
        let card = "BEGIN:VCARD\r\nVERSION:2.1\r\nitem1.TEL;HOME;VOICE:1\r\nEND:VCARD\r\n";
        assert_eq!(again(card), card);
        let odd = "BEGIN:VCARD\r\nTEL;A,B;C^^D;^':1\r\nEND:VCARD\r\n";
        assert_eq!(again(&again(odd)), again(odd));
        for bad in ["TEL;CN\"x=y:1", "TEL;x\"y:1", "TEL;=\"a;b\":1"] {
            assert!(parse(format!("BEGIN:VCARD\r\n{bad}\r\nEND:VCARD\r\n").as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn long_lines_are_folded_between_characters() {
        let long = format!("BEGIN:VCARD\r\nNOTE:{}\r\nEND:VCARD\r\n", "ä€𝄞".repeat(60));
        let folded = again(&long);
        assert!(folded.lines().all(|line| line.len() <= LINE_BYTES_MAX), "{folded}");
        assert_eq!(parse(folded.as_bytes()), parse(long.as_bytes()));
    }
}
