//! What stands in the place of an attachment, in the sender's language.

use sterna_base::Timestamp;

use crate::dsn::Language;

/// The text with the link.
pub fn text(language: &str, name: &str, size: u64, url: &str, ends_at: Timestamp) -> String {
    let (size, date) = (megabytes(size), date(ends_at));
    let sentence = match Language::of(language) {
        Language::English => format!("The attachment “{name}” ({size} MB) can be downloaded until {date}:"),
        Language::French => format!("La pièce jointe « {name} » ({size} Mo) peut être téléchargée jusqu'au {date} :"),
        Language::German => format!("Der Anhang „{name}“ ({size} MB) kann bis {date} heruntergeladen werden:"),
    };
    format!("{sentence}\r\n{url}\r\n")
}

/// With one decimal place, and never nothing.
fn megabytes(bytes: u64) -> String {
    let tenths = bytes.div_ceil(100_000).max(1);
    format!("{}.{}", tenths / 10, tenths % 10)
}

/// ISO 8601: the same everywhere.
fn date(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_millisecond(at.0).unwrap_or_default();
    at.strftime("%Y-%m-%d").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_language_says_what_and_until_when() {
        for language in ["en", "fr", "de-AT", "xx"] {
            let said = text(language, "a.pdf", 25_000_000, "https://x/share/t", Timestamp(1_767_225_600_000));
            for part in ["a.pdf", "25.0 M", "2026-01-01", "https://x/share/t"] {
                assert!(said.contains(part), "{language}: {said}");
            }
        }
        assert!(text("de", "a", 1, "u", Timestamp(0)).starts_with("Der Anhang"));
        assert_eq!((megabytes(1), date(Timestamp(951_782_400_000))), ("0.1".into(), "2000-02-29".into()));
    }
}
