//! Languages, and the texts in them.

use http::{HeaderMap, header};

/// A language that all texts exist in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Lang {
    /// English.
    #[default]
    En,
    /// French.
    Fr,
    /// German.
    De,
}

/// The cookie with what somebody chose on the page.
pub const COOKIE: &str = "sterna-lang";

/// Longest Accept-Language that is looked at, in bytes.
const HEADER_BYTES_MAX: usize = 400;

impl Lang {
    /// All of them, in the order of the switch.
    pub const ALL: [Lang; 3] = [Lang::En, Lang::Fr, Lang::De];

    /// Its subtag (RFC 5646 section 2.2.1).
    pub fn tag(self) -> &'static str {
        match self {
            Lang::En => "en",
            Lang::Fr => "fr",
            Lang::De => "de",
        }
    }

    /// As those call it who speak it.
    pub fn own_name(self) -> &'static str {
        match self {
            Lang::En => "English",
            Lang::Fr => "Français",
            Lang::De => "Deutsch",
        }
    }

    /// From a tag, whatever region and script it names.
    pub fn from_tag(tag: &str) -> Option<Self> {
        let primary = tag.trim().split(['-', '_']).next()?;
        Lang::ALL.into_iter().find(|lang| lang.tag().eq_ignore_ascii_case(primary))
    }

    /// What was chosen on a page, or else what the browser prefers (RFC 9110 section 12.5.4), or else English.
    pub fn of(headers: &HeaderMap) -> Self {
        let chosen = crate::form::cookie(headers, COOKIE).and_then(|tag| Lang::from_tag(&tag));
        chosen.or_else(|| preferred(headers.get(header::ACCEPT_LANGUAGE)?.to_str().ok()?)).unwrap_or_default()
    }
}

/// The best of a list with weights; of the same weight, the first.
fn preferred(list: &str) -> Option<Lang> {
    let list = list.get(..HEADER_BYTES_MAX).unwrap_or(list);
    let mut best: Option<(Lang, u32)> = None;
    for part in list.split(',') {
        let (tag, parameters) = part.split_once(';').unwrap_or((part, ""));
        let weight = parameters.split(';').find_map(|parameter| thousandths(parameter.trim().strip_prefix("q=")?));
        let weight = weight.unwrap_or(1000);
        let Some(lang) = Lang::from_tag(tag).filter(|_| weight > 0) else { continue };
        if best.is_none_or(|(_, found)| weight > found) {
            best = Some((lang, weight));
        }
    }
    best.map(|(lang, _)| lang)
}

/// A weight (RFC 9110 section 12.4.2) without floating point.
fn thousandths(text: &str) -> Option<u32> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{rest:0<3}");
    let whole: u32 = whole.parse().ok()?;
    Some((whole * 1000 + digits.get(..3)?.parse::<u32>().ok()?).min(1000))
}

/// One function for each text; `build.rs` makes them of the catalogue, and a text that nobody uses is a warning.
pub(crate) mod text {
    use super::Lang;

    include!(concat!(env!("OUT_DIR"), "/texts.rs"));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(header::HeaderName, &str)]) -> Lang {
        let pairs = pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap()));
        Lang::of(&pairs.collect())
    }

    #[test]
    fn the_browser_says_which_language_unless_somebody_chose_one() {
        let asked = |list| of(&[(header::ACCEPT_LANGUAGE, list)]);
        assert_eq!(asked("de-CH,de;q=0.9,en;q=0.8"), Lang::De);
        assert_eq!(asked("it, fr;q=0.3, en;q=0.2"), Lang::Fr);
        assert_eq!(asked("de;q=0, fr;q=0.001"), Lang::Fr);
        assert_eq!(asked("en;q=0.5, fr;q=0.75"), Lang::Fr);
        for none in ["", "*", ";;,,", "it", "fr;q=x", "\u{e9}"] {
            let expected = if none == "fr;q=x" { Lang::Fr } else { Lang::En };
            assert_eq!(asked(none), expected, "{none}");
        }
        let chosen = [(header::ACCEPT_LANGUAGE, "de"), (header::COOKIE, "a=b; sterna-lang=fr")];
        assert_eq!(of(&chosen), Lang::Fr);
        assert_eq!(of(&[(header::COOKIE, "sterna-lang=xx"), (header::ACCEPT_LANGUAGE, "de")]), Lang::De);
    }
}
