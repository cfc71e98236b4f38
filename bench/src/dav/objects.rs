//! The events and cards that all servers get.

/// The start of the ten years of the large calendar: 2016-01-01, in days since 1970.
const FIRST_DAY: u32 = 16_801;

/// The days of ten years.
pub const DAYS: u32 = 3653;

/// Of so many events one repeats every week.
const WEEKLY_EVERY: u32 = 50;

/// An event: they are spread over ten years, and one of fifty repeats every week for a year.
pub fn event(number: u32, events: u32) -> String {
    let day = u64::from(number) * u64::from(DAYS) / u64::from(events.max(1));
    let date = date(FIRST_DAY + day as u32);
    let hour = 7 + number % 11;
    let rule = if number.is_multiple_of(WEEKLY_EVERY) { "RRULE:FREQ=WEEKLY;COUNT=52\r\n" } else { "" };
    format!(
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Bench//Bench//EN\r\nBEGIN:VEVENT\r\nUID:event-{number}@bench.test\r\n\
         DTSTAMP:20260101T000000Z\r\nDTSTART:{date}T{hour:02}0000Z\r\nDTEND:{date}T{hour:02}4500Z\r\n{rule}\
         SUMMARY:Meeting number {number}\r\nLOCATION:Room {}\r\nDESCRIPTION:What is to be talked about\\, in some words \
         that make a\r\n  description of usual length.\r\nSTATUS:CONFIRMED\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
        number % 40
    )
}

/// A card.
pub fn card(number: u32) -> String {
    format!(
        "BEGIN:VCARD\r\nVERSION:3.0\r\nPRODID:-//Bench//Bench//EN\r\nUID:card-{number}\r\nFN:Person {number}\r\n\
         N:{number};Person;;;\r\nEMAIL;TYPE=WORK:person{number}@example.org\r\nTEL;TYPE=CELL:+49 30 {number:07}\r\n\
         ORG:Company {}\r\nNOTE:Met somewhere\r\nEND:VCARD\r\n",
        number % 500
    )
}

/// `YYYYMMDD` of a day since 1970 (the civil calendar from days, by eras of 400 years).
pub fn date(day: u32) -> String {
    let shifted = day + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + u32::from(month <= 2);
    format!("{year:04}{month:02}{day:02}")
}

/// The first and the last moment of a week in the ninth year.
pub fn week(round: u32) -> (String, String) {
    let first = FIRST_DAY + 8 * 365 + 7 * round;
    (format!("{}T000000Z", date(first)), format!("{}T000000Z", date(first + 7)))
}
