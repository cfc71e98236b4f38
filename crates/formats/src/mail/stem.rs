//! Which words are forms of one word, for searches that ask for it (FUZZY, RFC 6203).
//!
//! Nobody knows the language of a message, and many are in two. So words are taken for forms of one when they have the
//! same stem in one of the languages that are known here.

use std::sync::LazyLock;

use rust_stemmers::{Algorithm, Stemmer};

/// Shorter words have no forms worth finding.
const WORD_CHARS_MIN: usize = 3;

/// Longer ones are no words of these languages; an index has no whole words of more.
const WORD_CHARS_MAX: usize = 24;

/// The languages. A stored index has a bit for each, in this order.
const LANGUAGES: [Algorithm; 6] = [
    Algorithm::English,
    Algorithm::French,
    Algorithm::German,
    Algorithm::Spanish,
    Algorithm::Italian,
    Algorithm::Dutch,
];

static STEMMERS: LazyLock<[Stemmer; 6]> = LazyLock::new(|| LANGUAGES.map(Stemmer::create));

/// The different stems of a folded word, each with a bit for every language in which it is that; none for words without
/// forms.
pub fn stems(word: &str) -> Vec<(String, u8)> {
    let mut stems: Vec<(String, u8)> = Vec::new();
    let is_latin = |char: char| char.is_alphabetic() && char < '\u{250}';
    if !(WORD_CHARS_MIN..=WORD_CHARS_MAX).contains(&word.chars().count()) || !word.chars().all(is_latin) {
        return stems;
    }
    for (at, stemmer) in STEMMERS.iter().enumerate() {
        let stem = stemmer.stem(word);
        match stems.iter_mut().find(|(known, _)| *known == stem) {
            Some((_, languages)) => *languages |= 1 << at,
            None => stems.push((stem.into_owned(), 1 << at)),
        }
    }
    stems
}

/// Whether a folded word has one of these [`stems`] in the same language.
pub fn is_form(word: &str, of: &[(String, u8)]) -> bool {
    let is_same =
        |(stem, languages): &(String, u8)| of.iter().any(|(other, others)| stem == other && languages & others != 0);
    !of.is_empty() && stems(word).iter().any(is_same)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_a_word_are_found() {
        for (a, b, expected) in [
            ("connection", "connected", true),
            ("tern", "terns", true),
            ("maisons", "maison", true),
            ("hauser", "hausern", true),
            ("gatos", "gato", true),
            ("ragazzo", "ragazzi", true),
            ("lampen", "lamp", true),
            ("tern", "turn", false),
            ("report", "airport", false),
            ("2026", "2027", false),
            ("日本", "日本", false),
        ] {
            assert_eq!(is_form(a, &stems(b)), expected, "{a} {b}");
            assert_eq!(is_form(b, &stems(a)), expected, "{b} {a}");
        }
    }
}
