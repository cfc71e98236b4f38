//! The readable text of HTML, for searching and for previews.
//!
//! No parser: nothing is shown as HTML, so no tree is needed, and there is no depth. One pass cuts a document into tags
//! and texts as browsers do (HTML, section 13.2.5), in proportion to its length whatever is in it. What is no HTML is
//! text.

use encoding_rs::WINDOWS_1252;

use super::html_names::{NAME_BYTES_MAX, named};

/// What is a text beside what stands between the tags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Titles {
    /// The document's title, and what pictures and links are said to be (`alt`, `title`).
    Kept,
    /// Nothing.
    LeftOut,
}

/// Elements that stand inside words; all others separate them.
const INLINE: &[&str] = &[
    "a",
    "abbr",
    "acronym",
    "b",
    "bdi",
    "bdo",
    "big",
    "blink",
    "cite",
    "code",
    "data",
    "del",
    "dfn",
    "em",
    "font",
    "i",
    "ins",
    "kbd",
    "label",
    "mark",
    "nobr",
    "o:p",
    "q",
    "s",
    "samp",
    "small",
    "span",
    "strike",
    "strong",
    "sub",
    "sup",
    "time",
    "tt",
    "u",
    "var",
    "wbr",
    "ruby",
    "rb",
    "st1:place",
];

/// Elements that stand on a line with others, but not inside of a word.
const ON_A_LINE: &[&str] = &["button", "img", "input", "option", "rp", "rt", "td", "th"];

/// Elements whose contents are no text.
const HIDDEN: &[&str] = &["iframe", "noembed", "noframes", "script", "style"];

/// How much of a document is looked at for the name of its charset (HTML, section 13.2.3.2).
const CHARSET_WITHIN_BYTES: usize = 1024;

/// The readable text: without tags and comments, with characters instead of their names. Spaces are one space wherever
/// a browser shows one, and blocks begin a line.
pub fn text(html: &str, titles: Titles) -> String {
    let mut reader = Reader { rest: html, titles, text: String::with_capacity(html.len() / 2), gap: Gap::None };
    while let Some(at) = memchr::memchr(b'<', reader.rest.as_bytes()) {
        let (before, tag) = reader.rest.split_at(at);
        reader.push(before);
        reader.rest = &tag[1..];
        reader.markup();
    }
    let last = reader.rest;
    reader.push(last);
    reader.text
}

/// What stands between two texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    None,
    Space,
    Line,
}

struct Reader<'a> {
    rest: &'a str,
    titles: Titles,
    text: String,
    /// What is to be written before the next text.
    gap: Gap,
}

impl<'a> Reader<'a> {
    fn separate(&mut self, gap: Gap) {
        self.gap = self.gap.max(gap);
    }

    /// Text with names of characters in it.
    fn push(&mut self, text: &str) {
        let mut rest = text;
        while let Some(at) = memchr::memchr(b'&', rest.as_bytes()) {
            self.push_plain(&rest[..at]);
            rest = &rest[at + 1..];
            match reference(rest) {
                Some((letter, length)) => {
                    self.push_plain(letter.encode_utf8(&mut [0; 4]));
                    rest = &rest[length..];
                }
                None => self.push_plain("&"),
            }
        }
        self.push_plain(rest);
    }

    fn push_plain(&mut self, text: &str) {
        for (at, word) in text.split(|letter: char| letter.is_ascii_whitespace()).enumerate() {
            if at > 0 {
                self.separate(Gap::Space);
            }
            if word.is_empty() {
                continue;
            }
            match std::mem::replace(&mut self.gap, Gap::None) {
                Gap::Space if !self.text.is_empty() => self.text.push(' '),
                Gap::Line if !self.text.is_empty() => self.text.push('\n'),
                _ => {}
            }
            self.text.push_str(word);
        }
    }

    /// A text of an attribute.
    fn push_title(&mut self, text: &str) {
        if self.titles == Titles::Kept {
            self.separate(Gap::Line);
            self.push(text);
            self.separate(Gap::Line);
        }
    }

    /// What comes after `<`.
    fn markup(&mut self) {
        let after_slash = self.rest.strip_prefix('/').unwrap_or(self.rest);
        if let Some(comment) = self.rest.strip_prefix('!').filter(|comment| comment.starts_with("--")) {
            // `<!-->` is a whole comment.
            self.rest = after(comment, "-->");
        } else if after_slash.starts_with(|letter: char| letter.is_ascii_alphabetic()) {
            let is_end = after_slash.len() < self.rest.len();
            let ends = |letter: char| letter.is_ascii_whitespace() || matches!(letter, '>' | '/');
            let (name, rest) = after_slash.split_at(after_slash.find(ends).unwrap_or(after_slash.len()));
            self.rest = rest;
            self.element(name, is_end);
        } else if self.rest.starts_with(['!', '?', '/']) {
            self.rest = after(self.rest, ">");
        } else {
            self.push_plain("<");
        }
    }

    fn element(&mut self, name: &str, is_end: bool) {
        let is_among = |names: &[&str]| names.iter().any(|known| name.eq_ignore_ascii_case(known));
        let gap = match () {
            () if is_among(INLINE) => Gap::None,
            () if is_among(ON_A_LINE) => Gap::Space,
            () => Gap::Line,
        };
        self.separate(gap);
        self.attributes();
        if is_end {
            return;
        }
        if is_among(HIDDEN) {
            self.contents_until_end_of(name);
        } else if name.eq_ignore_ascii_case("title") {
            let title = self.contents_until_end_of(name);
            self.push_title(title);
        }
    }

    /// Everything up to the end tag of this name, which is passed over; tags in it are none.
    fn contents_until_end_of(&mut self, name: &str) -> &'a str {
        let (contents, bytes) = (self.rest, self.rest.as_bytes());
        let is_end = |at: &usize| {
            let named = bytes.get(at + 2..at + 2 + name.len());
            bytes[*at..].starts_with(b"</") && named.is_some_and(|named| named.eq_ignore_ascii_case(name.as_bytes()))
        };
        let Some(at) = memchr::memchr_iter(b'<', bytes).find(is_end) else {
            self.rest = "";
            return contents;
        };
        self.rest = after(&contents[at..], ">");
        &contents[..at]
    }

    /// The rest of a tag, with its `>`. One that stands in quotes doesn't end it.
    fn attributes(&mut self) {
        let is_space = |letter: char| letter.is_ascii_whitespace();
        loop {
            self.rest = self.rest.trim_start_matches(|letter: char| is_space(letter) || letter == '/');
            if self.rest.is_empty() {
                return;
            }
            if let Some(rest) = self.rest.strip_prefix('>') {
                self.rest = rest;
                return;
            }
            let ends = |(at, letter): &(usize, char)| {
                is_space(*letter) || matches!(letter, '/' | '>') || (*letter == '=' && *at > 0)
            };
            let length = self.rest.char_indices().find(ends).map_or(self.rest.len(), |(at, _)| at);
            let name = &self.rest[..length];
            self.rest = self.rest[length..].trim_start_matches(is_space);
            let Some(value) = self.rest.strip_prefix('=').map(|value| value.trim_start_matches(is_space)) else {
                continue;
            };
            let value = match value.chars().next() {
                Some(quote @ ('"' | '\'')) => {
                    let (value, rest) = value[1..].split_once(quote).unwrap_or((&value[1..], ""));
                    self.rest = rest;
                    value
                }
                _ => {
                    let length = value.find(|letter| is_space(letter) || letter == '>').unwrap_or(value.len());
                    self.rest = &value[length..];
                    &value[..length]
                }
            };
            if name.eq_ignore_ascii_case("alt") || name.eq_ignore_ascii_case("title") {
                self.push_title(value);
            }
        }
    }
}

/// What comes after the first of these; nothing when there is none.
fn after<'a>(text: &'a str, end: &str) -> &'a str {
    text.find(end).map_or("", |at| &text[at + end.len()..])
}

/// The character that is named after `&`, and how long that was.
fn reference(text: &str) -> Option<(char, usize)> {
    /// `#x10FFFF`
    const DIGITS_MAX: usize = 8;
    if let Some(number) = text.strip_prefix('#') {
        let (digits, radix) = number.strip_prefix(['x', 'X']).map_or((number, 10), |digits| (digits, 16));
        let count = digits.bytes().take(DIGITS_MAX).take_while(|digit| char::from(*digit).is_digit(radix)).count();
        let code = u32::from_str_radix(&digits[..count], radix).ok()?;
        let length = text.len() - digits.len() + count;
        return Some((numbered(code)?, length + usize::from(digits[count..].starts_with(';'))));
    }
    let length = text.bytes().take(NAME_BYTES_MAX).take_while(u8::is_ascii_alphanumeric).count();
    if text[length..].starts_with(';') {
        return Some((named(&text[..length])?, length + 1));
    }
    // The oldest names need no semicolon, and end where they end: `&uumlber`.
    (2..=length).rev().find_map(|length| {
        let letter = named(&text[..length])?;
        let is_old = matches!(letter, '\u{a0}'..='\u{ff}' | '&' | '<' | '>' | '"');
        is_old.then_some((letter, length))
    })
}

fn numbered(code: u32) -> Option<char> {
    match u8::try_from(code) {
        // Programs that take Windows-1252 for Unicode.
        Ok(byte @ 0x80..=0x9f) => WINDOWS_1252.decode_without_bom_handling(&[byte]).0.chars().next(),
        _ => char::from_u32(code),
    }
}

/// The charset that a document says it is in, for one whose header doesn't say.
pub fn declared_charset(html: &[u8]) -> Option<&[u8]> {
    let beginning = &html[..html.len().min(CHARSET_WITHIN_BYTES)];
    let at = memchr::memchr2_iter(b'c', b'C', beginning)
        .find(|at| beginning.get(*at..at + 7).is_some_and(|name| name.eq_ignore_ascii_case(b"charset")))?;
    let value = beginning[at + 7..].trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let value = value.strip_prefix(b"\"").or_else(|| value.strip_prefix(b"'")).unwrap_or(value);
    let is_end = |byte: &u8| !(byte.is_ascii_alphanumeric() || b"-_.:".contains(byte));
    let name = &value[..value.iter().position(is_end)?];
    // Whoever could read this is not reading UTF-16.
    let is_wide = name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case(b"utf-16"));
    (!name.is_empty() && !is_wide).then_some(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_a_reader_sees_is_text() {
        for (html, expected) in [
            ("<p>Ter<b>n</b>s &amp; g&uuml;lls</p><p>K&#246;ln&#x21;</p>", "Terns & gülls\nKöln!"),
            ("one\r\n  two<br/>three<td>four</td><td>five", "one two\nthree four five"),
            ("<!-- no --> a <!--> b <!-- > --> c <!doctype html><?xml no?></ no>d", "a b c d"),
            ("<script>if (a < b) '</p>'</script x>e<STYLE>p {}</Style>f", "e\nf"),
            (
                "<title>A &lt;b&gt; c</title><p title='one > \"two\"'>three<img src=x alt=four>",
                "A <b> c\none > \"two\"\nthree\nfour",
            ),
            ("1 < 2 <3 &c &#; &#xzz; &nosuch; a&b", "1 < 2 <3 &c &#; &#xzz; &nosuch; a&b"),
            ("&uumlber &euro;1 &euro2 &#8364 &#128; &#xd800;", "über €1 &euro2 € € &#xd800;"),
            ("<a href='x>y'>Lin</a>k<span\n>s</span>", "Links"),
            ("<o:p>&nbsp;</o:p>x", "\u{a0}x"),
            ("<p>never <!-- closed", "never"),
            ("<p>never <a href='closed > x", "never"),
            ("no <", "no <"),
            ("<>a</>b", "<>ab"),
            ("<p =x alt = 'y' title>z", "y\nz"),
        ] {
            assert_eq!(text(html, Titles::Kept), expected, "{html}");
        }
        let html = "<head><title>no</title></head><p title=no>yes <img alt=no> &shy;";
        assert_eq!(text(html, Titles::LeftOut), "yes \u{ad}");
    }

    #[test]
    fn documents_say_their_charset() {
        for (html, expected) in [
            (&b"<meta charset=utf-8>"[..], Some(&b"utf-8"[..])),
            (b"<META content=\"text/html; Charset = 'koi8-r'\">", Some(b"koi8-r")),
            (b"<meta charset=utf-16>", None),
            (b"<meta charset>", None),
            (b"<meta charset=", None),
            (b"cchars", None),
        ] {
            assert_eq!(declared_charset(html), expected, "{}", html.escape_ascii());
        }
    }

    #[test]
    fn length_is_all_that_it_costs() {
        for piece in ["<", "<!--", "&", "&#", "<a ", "<a b='", "<script>", "</", "<title>", "<a b=", "&notaname", "<p>"]
        {
            let html = piece.repeat(200_000);
            assert!(text(&html, Titles::Kept).len() <= html.len(), "{piece}");
        }
    }

    proptest! {
        #[test]
        fn anything_is_read(pieces in prop::collection::vec(prop_oneof![
            prop::sample::select(vec!["<", ">", "/", "!", "--", "&", "#", "x", "é", ";", " ", "'", "\"", "=", "<p ",
                "<script>", "</script", "title", "alt", "amp", "uuml", "41", "<!--", "-->"]).prop_map(str::to_owned),
            "\\PC{0,3}",
        ], 0..40)) {
            let html = pieces.concat();
            let kept = text(&html, Titles::Kept);
            prop_assert!(kept.len() <= html.len());
            prop_assert!(text(&html, Titles::LeftOut).len() <= kept.len());
            let _ = declared_charset(html.as_bytes());
        }
    }
}
