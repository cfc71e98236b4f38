//! Birthdays and anniversaries of contacts (BDAY, RFC 6350 section 6.2.5; ANNIVERSARY, section 6.2.6) as events that
//! come back every year.

use jiff::civil::Date;

use super::time::utc_text;
use super::{Calendar, Facts, Refusal};
use crate::content_line::{Component, Property, escape};

/// The year of events whose day is known and whose year is not: one with a 29th of February.
const YEAR_UNKNOWN: i16 = 2000;

/// The parameter by which Apple's programs say that a year stands there only because vCard 3 wants one.
const OMIT_YEAR: &str = "X-APPLE-OMIT-YEAR";

/// What is remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Occasion {
    /// BDAY
    Birthday,
    /// ANNIVERSARY, and what programs wrote before there was one.
    Anniversary,
}

impl Occasion {
    /// Both.
    pub const ALL: [Occasion; 2] = [Occasion::Birthday, Occasion::Anniversary];

    fn properties(self) -> &'static [&'static str] {
        match self {
            Occasion::Birthday => &["BDAY"],
            Occasion::Anniversary => &["ANNIVERSARY", "X-ANNIVERSARY", "X-EVOLUTION-ANNIVERSARY"],
        }
    }
}

/// The languages that titles are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Language {
    /// `en`, and everything that is not known.
    #[default]
    English,
    /// `fr`
    French,
    /// `de`
    German,
}

impl Language {
    /// From a tag of RFC 5646.
    pub fn named(tag: &str) -> Self {
        match tag.split('-').next().unwrap_or_default().to_ascii_lowercase().as_str() {
            "fr" => Language::French,
            "de" => Language::German,
            _ => Language::English,
        }
    }

    /// Its tag.
    pub fn tag(self) -> &'static str {
        match self {
            Language::English => "en",
            Language::French => "fr",
            Language::German => "de",
        }
    }

    /// What the calendar is called.
    pub fn calendar(self) -> &'static str {
        match self {
            Language::English => "Birthdays",
            Language::French => "Anniversaires",
            Language::German => "Geburtstage",
        }
    }

    fn title(self, occasion: Occasion) -> &'static str {
        match (self, occasion) {
            (Language::English, Occasion::Birthday) => "Birthday: ",
            (Language::English, Occasion::Anniversary) => "Anniversary: ",
            (Language::French, Occasion::Birthday) => "Anniversaire\u{a0}: ",
            (Language::French, Occasion::Anniversary) => "Anniversaire de mariage\u{a0}: ",
            (Language::German, Occasion::Birthday) => "Geburtstag: ",
            (Language::German, Occasion::Anniversary) => "Jahrestag: ",
        }
    }
}

/// A day of a card that comes back every year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct YearlyDay {
    /// Its first time; in [`YEAR_UNKNOWN`] when only the day is known.
    date: Date,
    has_year: bool,
}

impl YearlyDay {
    /// The day of a card, if there is one: a date whose day is not known comes back on none.
    pub fn of(card: &Component, occasion: Occasion) -> Option<Self> {
        occasion.properties().iter().flat_map(|name| card.all(name)).find_map(YearlyDay::parse)
    }

    fn parse(property: &Property) -> Option<Self> {
        if property.parameter_value("VALUE").is_some_and(|kind| kind.eq_ignore_ascii_case("text")) {
            return None;
        }
        let value = property.value.trim();
        // The time of a birth is known sometimes.
        let day = value.split(['T', 't', ' ']).next().unwrap_or_default();
        let (year, rest) = match day.strip_prefix("--") {
            Some(rest) => (None, rest),
            None => (Some(number(day.get(..4)?)?), day.get(4..)?),
        };
        let digits: String = rest.chars().filter(|c| *c != '-').collect();
        if !digits.is_ascii() || digits.len() != 4 || rest.len() > digits.len() + 2 {
            return None;
        }
        let (month, day) = (number(&digits[..2])?, number(&digits[2..])?);
        let omitted = property.parameter_value(OMIT_YEAR).and_then(|year| number(year.trim()));
        let year = year.filter(|year| *year > 0 && Some(*year) != omitted);
        let (month, day) = (i8::try_from(month).ok()?, i8::try_from(day).ok()?);
        let date = Date::new(year.unwrap_or(YEAR_UNKNOWN), month, day).ok()?;
        Some(YearlyDay { date, has_year: year.is_some() })
    }

    /// The event: all day, every year, and no time that anybody would be busy. `stamp_s` is when the card was written.
    ///
    /// # Errors
    /// When the UID is too long to be one.
    pub fn event(self, titled: Titled<'_>, uid: &str, stamp_s: i64) -> Result<(Calendar, Facts), Refusal> {
        let date = format!("{:04}{:02}{:02}", self.date.year(), self.date.month(), self.date.day());
        let mut start = Property::new("DTSTART", date);
        start.set_parameter("VALUE", "DATE");
        let is_leap_day = (self.date.month(), self.date.day()) == (2, 29);
        // Who was born on a 29th of February has a birthday in other years, too.
        let rule = if is_leap_day { "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=-1" } else { "FREQ=YEARLY" };
        let year = if self.has_year { format!(" ({})", self.date.year()) } else { String::new() };
        let title = format!("{}{}{year}", titled.language.title(titled.occasion), titled.name);
        let event = Component {
            name: "VEVENT".to_owned(),
            properties: vec![
                Property::new("UID", escape(uid)),
                Property::new("DTSTAMP", utc_text(stamp_s)),
                start,
                Property::new("RRULE", rule),
                Property::new("SUMMARY", escape(&title)),
                Property::new("TRANSP", "TRANSPARENT"),
            ],
            components: Vec::new(),
        };
        let root = Component {
            name: "VCALENDAR".to_owned(),
            properties: vec![Property::new("VERSION", "2.0"), Property::new("PRODID", "-//Sterna//Birthdays//EN")],
            components: vec![event],
        };
        let calendar = Calendar::of(root);
        let facts = Facts::of(&calendar)?;
        Ok((calendar, facts))
    }
}

/// What an event is called.
#[derive(Clone, Copy, Debug)]
pub struct Titled<'a> {
    /// Whose day it is.
    pub name: &'a str,
    /// What day.
    pub occasion: Occasion,
    /// In which language.
    pub language: Language,
}

fn number(text: &str) -> Option<i16> {
    let good = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    good.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use super::*;
    use crate::calendar::Zone;
    use crate::calendar::occurrences::Series;
    use crate::card;

    fn day(lines: &str, occasion: Occasion) -> Option<YearlyDay> {
        let card = card::parse(format!("BEGIN:VCARD\r\nVERSION:4.0\r\n{lines}\r\nEND:VCARD\r\n").as_bytes()).unwrap();
        YearlyDay::of(&card, occasion)
    }

    fn birthday(line: &str) -> Option<(i16, i8, i8, bool)> {
        let found = day(line, Occasion::Birthday)?;
        Some((found.date.year(), found.date.month(), found.date.day(), found.has_year))
    }

    #[test]
    fn days_are_read_as_every_version_writes_them() {
        for whole in ["BDAY:19800229", "BDAY:1980-02-29", "BDAY;VALUE=date:1980-02-29", "BDAY:1980-02-29T23:10:00Z"] {
            assert_eq!(birthday(whole), Some((1980, 2, 29, true)), "{whole}");
        }
        for yearless in ["BDAY:--0229", "BDAY:--02-29", "BDAY;X-APPLE-OMIT-YEAR=1604:1604-02-29"] {
            assert_eq!(birthday(yearless), Some((2000, 2, 29, false)), "{yearless}");
        }
        // No day, no date, or none that there is.
        for none in ["BDAY:1980", "BDAY:1980-02", "BDAY:---15", "BDAY:--1340", "BDAY:19810229", "BDAY:circa 1800"] {
            assert_eq!(birthday(none), None, "{none}");
        }
        assert_eq!(birthday("BDAY;VALUE=text:19800229"), None);
        assert_eq!(birthday("BDAY:198002291"), None);
        assert_eq!(birthday("BDAY:ééé0229"), None);
        assert!(day("X-EVOLUTION-ANNIVERSARY:2001-07-14", Occasion::Anniversary).is_some());
        assert!(day("ANNIVERSARY:20010714", Occasion::Birthday).is_none());
    }

    #[test]
    fn a_leap_day_comes_back_every_year() {
        let found = day("BDAY:19800229", Occasion::Birthday).unwrap();
        let titled = Titled { name: "Ana, Tern", occasion: Occasion::Birthday, language: Language::German };
        let (calendar, facts) = found.event(titled, "u1", 0).unwrap();
        let text = calendar.text();
        assert!(text.contains("SUMMARY:Geburtstag: Ana\\, Tern (1980)\r\n"), "{text}");
        assert!(text.contains("DTSTART;VALUE=DATE:19800229\r\n") && text.contains("TRANSP:TRANSPARENT"), "{text}");
        assert_eq!((facts.uid.as_str(), facts.last), ("u1", None));
        let again = Calendar::parse(text.as_bytes()).unwrap();
        // 2023 and 2024 (UTC).
        let mut days = Vec::new();
        Series::of(&again, &Zone::Utc).visit((1_672_531_200, 1_735_689_600), &mut |found| {
            days.push(utc_text(found.start_s)[..8].to_owned());
            ControlFlow::Continue(())
        });
        assert_eq!(days, ["20230228", "20240229"]);
    }

    #[test]
    fn languages_fall_back_to_english() {
        assert_eq!(Language::named("de-CH").calendar(), "Geburtstage");
        assert_eq!(Language::named("pt"), Language::English);
        assert_eq!(Language::named(Language::French.tag()), Language::French);
    }
}
