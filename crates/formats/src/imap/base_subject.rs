//! The base subject of RFC 5256 section 2.1: what is left of a subject without the marks of replies and forwards; and
//! the order of texts that SORT and THREAD go by.

use unicode_normalization::UnicodeNormalization;

use crate::mail::text::header_text;

/// Most rounds of taking marks away; nobody's subject needs more, and one made to is left as it is.
const ROUNDS_MAX: usize = 1000;

/// A subject without its marks.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct BaseSubject {
    /// What is left, as it is written.
    pub text: String,
    /// Whether a mark of a reply or forward was taken away (RFC 5256 section 2.1).
    pub is_reply_or_forward: bool,
}

/// The base subject of a Subject field's value.
pub fn base_subject(value: &[u8]) -> BaseSubject {
    // Step 1: decoded, and every run of blanks one space.
    let decoded = header_text(value);
    let text = decoded.split([' ', '\t', '\r', '\n']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    let (mut rest, mut is_reply_or_forward) = (text.as_str(), false);
    for _ in 0..ROUNDS_MAX {
        let before = rest;
        // Step 2.
        rest = rest.trim_end_matches(' ');
        if let Some(start) = strip_suffix(rest, "(fwd)") {
            (rest, is_reply_or_forward) = (start, true);
            continue;
        }
        // Steps 3 to 5.
        rest = rest.trim_start_matches(' ');
        if let Some(end) = reply_or_forward(rest) {
            (rest, is_reply_or_forward) = (end, true);
            continue;
        }
        // All of them at once: no mark stands behind them.
        let mut without = rest;
        while let Some(end) = blob(without).filter(|end| !end.is_empty()) {
            without = end;
        }
        if without.len() < rest.len() {
            rest = without;
            continue;
        }
        // Step 6.
        if let Some(inner) = strip_prefix(rest, "[fwd:").and_then(|inner| inner.strip_suffix(']')) {
            (rest, is_reply_or_forward) = (inner, true);
            continue;
        }
        if rest.len() == before.len() {
            break;
        }
    }
    BaseSubject { text: rest.to_owned(), is_reply_or_forward }
}

fn strip_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let start = text.get(..prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then(|| &text[prefix.len()..])
}

fn strip_suffix<'a>(text: &'a str, suffix: &str) -> Option<&'a str> {
    let at = text.len().checked_sub(suffix.len())?;
    text.get(at..)?.eq_ignore_ascii_case(suffix).then(|| &text[..at])
}

/// `subj-blob`: something in brackets without brackets in it, and the blanks behind.
fn blob(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('[')?;
    let end = inner.find(['[', ']'])?;
    inner[end..].strip_prefix(']').map(|rest| rest.trim_start_matches(' '))
}

/// `*subj-blob subj-refwd`: "re", "fw" or "fwd", perhaps blobs around, and a colon.
fn reply_or_forward(text: &str) -> Option<&str> {
    let mut rest = text;
    while let Some(end) = blob(rest) {
        rest = end;
    }
    let word = ["fwd", "fw", "re"].into_iter().find_map(|word| strip_prefix(rest, word))?;
    let word = word.trim_start_matches(' ');
    blob(word).unwrap_or(word).strip_prefix(':')
}

/// What texts are compared by: the collation `i;unicode-casemap` of RFC 5051, its steps approximated by the simple
/// upper case of each letter and its compatibility decomposition. Two texts are equal when their keys are.
pub fn collation_key(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_uppercase();
    }
    let upper = |letter: char| {
        let mut upper = letter.to_uppercase();
        // A letter that has no single upper one, like the German sharp s, stays.
        if upper.len() == 1 { upper.next().unwrap_or(letter) } else { letter }
    };
    text.chars().map(upper).nfkd().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_taken_away_as_the_rfc_says() {
        for (subject, base, is_reply) in [
            ("Hello", "Hello", false),
            ("Re: Hello", "Hello", true),
            ("RE:Hello", "Hello", true),
            ("re : Hello", "Hello", true),
            ("Fw: Hello", "Hello", true),
            ("FWD: re: Hello", "Hello", true),
            ("Re[2]: Hello", "Hello", true),
            ("Re [2] : Hello", "Hello", true),
            ("Re: [list] Re: Hello", "Hello", true),
            ("[list] Hello", "Hello", false),
            ("[list] [other] Hello", "Hello", false),
            ("[list] re: Hello", "Hello", true),
            ("[list]", "[list]", false),
            ("Re: [list]", "[list]", true),
            ("[a][b]", "[b]", false),
            ("Hello (fwd)", "Hello", true),
            ("Hello (FWD)  (fwd) ", "Hello", true),
            ("[Fwd: Hello]", "Hello", true),
            ("[fwd: re: [fwd: Hello]]", "Hello", true),
            ("Re: [fwd: [list] Hello (fwd)]", "Hello", true),
            ("  Hello \t  there  ", "Hello there", false),
            ("Re:", "", true),
            ("(fwd)", "", true),
            ("Regarding: this", "Regarding: this", false),
            ("Re Hello", "Re Hello", false),
            ("[un[balanced] Hello", "[un[balanced] Hello", false),
            ("[Fwd: open", "[Fwd: open", false),
            ("=?utf-8?q?Re:_Gr=C3=BC=C3=9Fe?=", "Grüße", true),
            ("Re: Hello\r\n\tagain", "Hello again", true),
            ("é", "é", false),
            ("", "", false),
        ] {
            let found = base_subject(subject.as_bytes());
            assert_eq!((found.text.as_str(), found.is_reply_or_forward), (base, is_reply), "{subject:?}");
        }
    }

    #[test]
    fn marks_without_end_cost_no_more_than_they_are_long() {
        let found = base_subject("re:".repeat(100_000).as_bytes());
        assert!(found.is_reply_or_forward);
        base_subject("[".repeat(100_000).as_bytes());
        base_subject("[x]".repeat(100_000).as_bytes());
    }

    #[test]
    fn texts_are_ordered_without_regard_to_case() {
        let mut words = ["b", "É", "A", "_", "Z", "a", "ß", "e", "F"];
        words.sort_by_key(|word| collation_key(word));
        assert_eq!(words, ["A", "a", "b", "e", "É", "F", "Z", "_", "ß"]);
        assert_eq!(collation_key("straße É"), collation_key("STRAßE e\u{301}"));
    }
}
