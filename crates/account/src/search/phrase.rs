//! What an index knows of a text: its words.

use sterna_formats::mail::fold::{fold, is_word_char, words};

/// Longest word that is kept as one. Longer ones are opaque.
const WORD_CHARS_MAX: usize = 24;

/// Longest word with a digit in it that is kept as one: years, numbers, names of products.
const WORD_WITH_DIGIT_CHARS_MAX: usize = 6;

/// Whether a word is no word of a language: signatures, ids and encoded bytes, of which every message has others, and
/// scripts that don't separate words. An index has only the [`grams`] of those, or it would know as many words as there
/// are messages. A word with an opaque one inside is opaque, too.
pub fn is_opaque(word: &str) -> bool {
    let (mut chars, mut has_digit) = (0, false);
    for char in word.chars() {
        if is_unseparated(char) {
            return true;
        }
        chars += 1;
        has_digit |= char.is_numeric();
    }
    chars > WORD_CHARS_MAX || (has_digit && chars > WORD_WITH_DIGIT_CHARS_MAX)
}

/// Thai, Lao, Burmese, Khmer; Hangul (as fold leaves it), kana, Han.
fn is_unseparated(char: char) -> bool {
    matches!(char as u32,
        0x0e00..=0x0eff | 0x1000..=0x109f | 0x1100..=0x11ff | 0x1780..=0x17ff | 0x2e80..=0x2fdf | 0x3040..=0x30ff
        | 0x3100..=0x31ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xac00..=0xd7ff | 0xf900..=0xfaff
        | 0x2_0000..=0x3_ffff)
}

/// Every three characters of a word that stand together.
pub fn grams(word: &str) -> impl Iterator<Item = &str> {
    let starts: Vec<usize> = word.char_indices().map(|(at, _)| at).chain([word.len()]).collect();
    let count = starts.len().saturating_sub(3);
    (0..count).map(move |at| &word[starts[at]..starts[at + 3]])
}

/// What is left of a word after its last [`grams`]: the last two characters and the last one. With these, everything
/// that a word has inside begins one of its pieces.
pub fn tails(word: &str) -> impl Iterator<Item = &str> {
    word.char_indices().rev().take(2).map(|(at, _)| &word[at..])
}

/// A text that is looked for, as the words that a text must have to have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Phrase {
    /// In their order; none when there is no letter and no digit in the text.
    pub runs: Vec<Run>,
    /// Whether the text is nothing but one run: whatever has the run has the text then.
    pub is_exact: bool,
}

/// A run of letters and digits in the text that is looked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The run, folded.
    pub text: String,
    /// Whether the word may begin before it.
    pub is_open_left: bool,
    /// Whether the word may go on after it.
    pub is_open_right: bool,
}

impl Phrase {
    /// Of a text, folded or not.
    pub fn of(text: &str) -> Self {
        let folded = fold(text);
        let begins_inside = folded.starts_with(is_word_char);
        let ends_inside = folded.ends_with(is_word_char);
        let mut runs: Vec<Run> = words(&folded)
            .map(|word| Run { text: word.to_owned(), is_open_left: false, is_open_right: false })
            .collect();
        if let Some(first) = runs.first_mut() {
            first.is_open_left = begins_inside;
        }
        if let Some(last) = runs.last_mut() {
            last.is_open_right = ends_inside;
        }
        let is_exact = runs.len() == 1 && runs[0].text == folded;
        Phrase { runs, is_exact }
    }
}

impl Run {
    /// Whether this word of a text has the run where it must be.
    pub fn is_in(&self, word: &str) -> bool {
        match (self.is_open_left, self.is_open_right) {
            (true, true) => word.contains(&self.text),
            (true, false) => word.ends_with(&self.text),
            (false, true) => word.starts_with(&self.text),
            (false, false) => word == self.text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_runs() {
        let run = |text: &str, is_open_left, is_open_right| Run { text: text.into(), is_open_left, is_open_right };
        for (text, runs, is_exact) in [
            ("Été", vec![run("ete", true, true)], true),
            ("a b.c", vec![run("a", true, false), run("b", false, false), run("c", false, true)], false),
            (" a", vec![run("a", false, true)], false),
            ("<a@b>", vec![run("a", false, false), run("b", false, false)], false),
            ("?!", vec![], false),
            ("", vec![], false),
        ] {
            assert_eq!(Phrase::of(text), Phrase { runs, is_exact }, "{text}");
        }
    }

    #[test]
    fn opaque_words_have_pieces() {
        for (word, expected) in [
            ("sterna", false),
            ("2026", false),
            ("a320neo", true),
            ("k8s", false),
            ("donaudampfschifffahrts", false),
            ("donaudampfschifffahrtsgesellschaft", true),
            ("日本", true),
        ] {
            assert_eq!(is_opaque(word), expected, "{word}");
        }
        assert_eq!(grams("日本語で").collect::<Vec<_>>(), ["日本語", "本語で"]);
        assert_eq!(tails("日本語で").collect::<Vec<_>>(), ["で", "語で"]);
        assert_eq!((grams("日").count(), tails("日").count()), (0, 1));
    }
}
