//! What the server writes to people by itself, in their languages.

use crate::i18n::{Lang, text};

/// Somebody works as the reader: what the message is about.
pub fn sudo_subject(lang: Lang) -> String {
    text::web_sudo_subject(lang).to_string()
}

/// Somebody works as the reader: who, why and until when. Lines end with CRLF.
pub fn sudo_text(lang: Lang, by: &str, user: &str, reason: &str, until: &str) -> String {
    text::web_sudo_text(lang, by, user, reason, until).to_string().replace('\n', "\r\n")
}

/// How many things are new in the morning mail, how many are mended, and whether others are as they were: what it is
/// about.
pub fn morning_subject(lang: Lang, host: &str, new: usize, gone: usize, still: usize) -> String {
    match (new, gone) {
        (0, _) if still == 0 => text::web_morning_again(lang, host),
        (0, _) => text::web_morning_mended(lang, host, gone),
        (_, 0) => text::web_morning_news(lang, host, new),
        _ => text::web_morning_both(lang, host, new, gone),
    }
}

/// The morning mail: what is new, what is mended, what is as it was. Lines end with CRLF.
pub fn morning_text(lang: Lang, new: &[String], gone: &[String], still: &[String]) -> String {
    let titles = [text::web_morning_new(lang), text::web_morning_gone(lang), text::web_morning_still(lang)];
    let mut letter = String::new();
    for (title, list) in titles.into_iter().zip([new, gone, still]).filter(|(_, list)| !list.is_empty()) {
        letter += &format!("{title}\r\n\r\n");
        list.iter().for_each(|line| letter += &format!("- {}\r\n\r\n", line.replace('\n', "\r\n  ")));
    }
    letter + &format!("{}\r\n\r\n    sterna doctor\r\n", text::web_morning_end(lang))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_why_and_until_when_are_said_in_every_language() {
        for lang in Lang::ALL {
            let text = sudo_text(lang, "ada@x.test", "ben@x.test", "ticket 7", "2026-11-23T01:00:00Z");
            for part in ["ada@x.test", "ben@x.test", "ticket 7", "2026-11-23T01:00:00Z"] {
                assert!(text.contains(part), "{lang:?}: {text}");
            }
            assert!(!sudo_subject(lang).is_empty());
        }
    }
}
