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
