//! When two texts are the same to a search: case, accents and forms of a character don't matter.
//!
//! [`fold`] looks at one character after the other and at nothing around it. So the folded form of a part of a text is
//! a part of the text's folded form, and an index over folded texts never loses what a comparison would find.

use unicode_normalization::UnicodeNormalization;

/// The form of a text in which it is compared: lower case, compatibility forms resolved (NFKD), accents dropped.
///
/// Coarser than `i;unicode-casemap` (RFC 5051), which RFC 9051 section 6.4.4 allows: who types `cafe` finds `café`.
pub fn fold(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let mut folded = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_ascii() {
            folded.push(char.to_ascii_lowercase());
        } else {
            // Resolving gives capitals at times (`™`, `ℌ`), and lowering gives accents (`İ`).
            char.to_lowercase().nfkd().flat_map(char::to_lowercase).for_each(|char| push_base(char, &mut folded));
        }
    }
    folded
}

/// Without accents, and letters that have no decomposition as they are written without them.
fn push_base(char: char, folded: &mut String) {
    match char {
        'ß' => folded.push_str("ss"),
        'æ' => folded.push_str("ae"),
        'œ' => folded.push_str("oe"),
        'þ' => folded.push_str("th"),
        'ø' => folded.push('o'),
        'đ' | 'ð' => folded.push('d'),
        'ł' => folded.push('l'),
        'ı' => folded.push('i'),
        'ħ' => folded.push('h'),
        'ς' => folded.push('σ'),
        '’' | '‘' | 'ʼ' => folded.push('\''),
        '‐' | '‑' => folded.push('-'),
        char if is_accent(char) => {}
        char => folded.push(char),
    }
}

/// Marks that change how a letter is pronounced and not which one it is, and what can't be seen. Marks of scripts in
/// which they are letters of their own (Devanagari, Thai, kana) are not among them.
fn is_accent(char: char) -> bool {
    matches!(char,
        '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}'
        | '\u{fe20}'..='\u{fe2f}'
        // Points of Hebrew, vowels of Arabic
        | '\u{591}'..='\u{5bd}' | '\u{5bf}' | '\u{5c1}' | '\u{5c2}' | '\u{5c4}' | '\u{5c5}' | '\u{5c7}'
        | '\u{610}'..='\u{61a}' | '\u{64b}'..='\u{65f}' | '\u{670}' | '\u{640}'
        // Soft hyphen, joiners, marks of direction, variants
        | '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}')
}

/// Whether words are made of it: letters, digits, and the marks that [`fold`] leaves.
pub fn is_word_char(char: char) -> bool {
    char.is_alphanumeric() || (!char.is_ascii() && unicode_normalization::char::is_combining_mark(char))
}

/// The words of a folded text: what stands between characters that are no letters and no digits.
pub fn words(folded: &str) -> impl Iterator<Item = &str> {
    folded.split(|char| !is_word_char(char)).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_the_same_is_the_same() {
        for (text, expected) in [
            ("Hello, World 42", "hello, world 42"),
            ("Café CAFE\u{301} café", "cafe cafe cafe"),
            ("Straße STRASSE ẞ", "strasse strasse ss"),
            ("İstanbul ıstanbul", "istanbul istanbul"),
            ("ΌΔΟΣ οδός", "οδοσ οδοσ"),
            ("ﬁn ™ ℌ ２０", "fin tm h 20"),
            ("Łódź, smørrebrød, œuvre", "lodz, smorrebrod, oeuvre"),
            ("don’t co\u{ad}op", "don't coop"),
            ("हिन्दी", "हिन्दी"),
            ("", ""),
        ] {
            assert_eq!(fold(text), expected, "{text}");
        }
        assert_eq!(fold("が"), fold("か\u{3099}"));
        assert_ne!(fold("が"), fold("か"));
    }

    #[test]
    fn words_are_letters_and_digits() {
        let text = fold("Re: Ärger, d'accord! 日本");
        assert_eq!(words(&text).collect::<Vec<_>>(), ["re", "arger", "d", "accord", "日本"]);
    }

    proptest::proptest! {
        #[test]
        fn parts_fold_to_parts(before in "\\PC{0,8}", inside in "\\PC{0,8}", after in "\\PC{0,8}") {
            let whole = fold(&format!("{before}{inside}{after}"));
            assert_eq!(whole, format!("{}{}{}", fold(&before), fold(&inside), fold(&after)));
            assert_eq!(fold(&whole), whole, "folding again changes nothing");
        }
    }
}
