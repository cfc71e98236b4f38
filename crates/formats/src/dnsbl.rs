//! DNS block and allow lists (RFC 5782): what is asked for an address, what answers mean, and how lists are configured.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Most weight that a list can have, for or against.
pub const WEIGHT_MAX: i32 = 1000;
/// Patterns of answers of one list.
pub const PATTERNS_MAX: usize = 16;
/// Longest name of a list, in bytes: with 64 more of the address in front it must still be a name.
pub const ZONE_BYTES_MAX: usize = 180;

/// A list, the answers that count, and how much: `ZONE[=ANSWER[,ANSWER...]][*WEIGHT]`, where an answer is
/// `127.0.0.2`, with ranges `127.0.0.2-11`. Without answers all count; without a weight it is 1; a negative weight is
/// that of a list of good hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListSpec {
    zone: String,
    answers: Vec<Pattern>,
    weight: i32,
}

/// Answers, number by number.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern([RangeInclusive<u8>; 4]);

/// It is not the configuration of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a list: write zen.example.org, zen.example.org=127.0.0.2-11 or zen.example.org=127.0.0.2-11*3")]
pub struct InvalidList;

/// What an answer of a list means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// The address is on the list, in a way that counts.
    Listed,
    /// It is not, or in a way that doesn't count.
    NotListed,
    /// The list says that it can't be asked like this: too often, by an open resolver, without an account.
    Refused,
    /// No list answers so (RFC 5782 section 2.1): the domain has another owner by now.
    NoList,
}

impl ListSpec {
    /// Its name in DNS.
    pub fn zone(&self) -> &str {
        &self.zone
    }

    /// How much it counts.
    pub fn weight(&self) -> i32 {
        self.weight
    }

    /// What is asked for about an address (RFC 5782 sections 2.1 and 2.4).
    pub fn query(&self, address: IpAddr) -> String {
        format!("{}.{}", reversed(address), self.zone)
    }

    /// What one answer means.
    pub fn meaning(&self, answer: Ipv4Addr) -> Meaning {
        let numbers = answer.octets();
        if numbers[0] != 127 {
            return Meaning::NoList;
        }
        // What large lists agree on for errors.
        if numbers[1] == 255 && numbers[2] == 255 {
            return Meaning::Refused;
        }
        let matches = |pattern: &Pattern| pattern.0.iter().zip(numbers).all(|(range, number)| range.contains(&number));
        let counts = self.answers.is_empty() || self.answers.iter().any(matches);
        if counts { Meaning::Listed } else { Meaning::NotListed }
    }
}

/// An address as names have it: its numbers, or the digits of its numbers, the last first.
pub fn reversed(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}")
        }
        IpAddr::V6(address) => {
            let digits = address.octets().into_iter().rev().flat_map(|byte| [byte & 15, byte >> 4]);
            digits.map(|digit| format!("{digit:x}")).collect::<Vec<_>>().join(".")
        }
    }
}

impl FromStr for ListSpec {
    type Err = InvalidList;

    fn from_str(text: &str) -> Result<Self, InvalidList> {
        let (rest, weight) = match text.split_once('*') {
            Some((rest, weight)) => (rest, weight.parse().map_err(|_| InvalidList)?),
            None => (text, 1),
        };
        let (zone, answers) = rest.split_once('=').map_or((rest, None), |(zone, answers)| (zone, Some(answers)));
        let answers = answers.into_iter().flat_map(|answers| answers.split(','));
        let answers = answers.map(str::parse).collect::<Result<Vec<Pattern>, _>>()?;
        let good_label = |label: &str| {
            !label.is_empty()
                && label.len() <= 63
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
        };
        let good = zone.len() <= ZONE_BYTES_MAX && zone.contains('.') && zone.split('.').all(good_label);
        let bounded = answers.len() <= PATTERNS_MAX && weight != 0 && (-WEIGHT_MAX..=WEIGHT_MAX).contains(&weight);
        if good && bounded {
            Ok(ListSpec { zone: zone.to_ascii_lowercase(), answers, weight })
        } else {
            Err(InvalidList)
        }
    }
}

impl FromStr for Pattern {
    type Err = InvalidList;

    fn from_str(text: &str) -> Result<Self, InvalidList> {
        let range = |text: &str| -> Result<RangeInclusive<u8>, InvalidList> {
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            let number = |text: &str| text.parse::<u8>().map_err(|_| InvalidList);
            let range = number(first)?..=number(last)?;
            if range.is_empty() { Err(InvalidList) } else { Ok(range) }
        };
        let ranges = text.split('.').map(range).collect::<Result<Vec<_>, _>>()?;
        let ranges: [_; 4] = ranges.try_into().map_err(|_| InvalidList)?;
        if ranges[0] == (127..=127) { Ok(Pattern(ranges)) } else { Err(InvalidList) }
    }
}

impl fmt::Display for ListSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.zone)?;
        for (at, pattern) in self.answers.iter().enumerate() {
            let numbers = pattern.0.iter().map(|range| match (range.start(), range.end()) {
                (first, last) if first == last => first.to_string(),
                (first, last) => format!("{first}-{last}"),
            });
            let numbers: Vec<String> = numbers.collect();
            write!(f, "{}{}", if at == 0 { "=" } else { "," }, numbers.join("."))?;
        }
        if self.weight == 1 { Ok(()) } else { write!(f, "*{}", self.weight) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(text: &str) -> ListSpec {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn addresses_are_asked_for_backwards() {
        let zone = list("bl.example.org");
        assert_eq!(zone.query("192.0.2.99".parse().unwrap()), "99.2.0.192.bl.example.org");
        assert_eq!(zone.query("::ffff:192.0.2.99".parse().unwrap()), "99.2.0.192.bl.example.org");
        let v6 = "2001:db8:1:2:3:4:567:89ab".parse().unwrap();
        // The example of RFC 5782 section 2.4.
        assert_eq!(reversed(v6), "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.8.b.d.0.1.0.0.2");
    }

    #[test]
    fn answers_count_as_they_are_configured() {
        let zen = list("Zen.Example.org=127.0.0.2-11,127.0.1.4*3");
        assert_eq!((zen.zone(), zen.weight()), ("zen.example.org", 3));
        let meaning = |answer: &str| zen.meaning(answer.parse().unwrap());
        assert_eq!(
            (meaning("127.0.0.2"), meaning("127.0.0.11"), meaning("127.0.1.4")),
            (Meaning::Listed, Meaning::Listed, Meaning::Listed)
        );
        assert_eq!((meaning("127.0.0.12"), meaning("127.0.0.1")), (Meaning::NotListed, Meaning::NotListed));
        assert_eq!((meaning("127.255.255.254"), meaning("192.0.2.1")), (Meaning::Refused, Meaning::NoList));
        let any = list("bl.example.org");
        assert_eq!(any.meaning("127.9.9.9".parse().unwrap()), Meaning::Listed);
        assert_eq!(any.meaning("127.255.255.252".parse().unwrap()), Meaning::Refused);
        assert_eq!(list("wl.example.org=127.0.0-255.1-3*-5").weight(), -5);
    }

    #[test]
    fn what_is_written_is_read() {
        for text in ["zen.example.org", "zen.example.org=127.0.0.2-11,127.0.1.4*3", "wl.example.org=127.0.0-255.1*-5"] {
            assert_eq!(list(text).to_string(), text);
        }
        for bad in [
            "",
            "zen",
            "zen..org",
            "zen.org=",
            "zen.org=1.2.3.4",
            "zen.org=127.0.0",
            "zen.org=127.0.0.9-2",
            "zen.org*0",
            "zen.org*x",
            "zen.org*9999",
            "z n.org",
            "zen.org=127.0.0.256",
            "a/b.org",
            "zen.org=127.0.0.2,",
        ] {
            assert_eq!(bad.parse::<ListSpec>(), Err(InvalidList), "{bad}");
        }
        assert!(format!("{}.org", "a".repeat(60).repeat(4)).parse::<ListSpec>().is_err());
    }
}
