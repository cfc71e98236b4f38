//! Whether the installation is reached from outside: a page with a code that nobody can guess, which a telephone opens
//! over its own network, and which the setup sees arriving. Nobody else is asked for it.

use std::net::IpAddr;

use axum::response::Response;
use http::StatusCode;
use maud::html;
use parking_lot::Mutex;
use sterna_base::Timestamp;
use sterna_base::ids::random_hex;

use super::LINK_MS;
use crate::i18n::{Lang, text};
use crate::page::Page;

/// The path, before the code.
pub const PATH: &str = "/setup/reach";

/// Somebody who opened the page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// From there.
    pub address: IpAddr,
    /// Whether that is an address of the internet that is none of the machine's own networks.
    pub is_outside: bool,
}

/// The code of now, and who came with it. A restart forgets both, and the page shows another.
#[derive(Default)]
pub struct Reach(Mutex<Option<Asked>>);

struct Asked {
    code: String,
    made_at: Timestamp,
    arrival: Option<Arrival>,
}

impl Reach {
    /// The code, and who came last with it. An old one gives way to a new one, unless it has done its work.
    pub fn shown(&self, now: Timestamp) -> (String, Option<Arrival>) {
        let mut asked = self.0.lock();
        let is_over = |one: &Asked| {
            now.0 - one.made_at.0 > LINK_MS && !one.arrival.as_ref().is_some_and(|arrival| arrival.is_outside)
        };
        if asked.as_ref().is_none_or(is_over) {
            *asked = Some(Asked { code: random_hex::<16>(), made_at: now, arrival: None });
        }
        asked.as_ref().map(|one| (one.code.clone(), one.arrival.clone())).unwrap_or_default()
    }

    /// Whether this is the code of now, which somebody may still come with.
    pub fn is_current(&self, code: &str, now: Timestamp) -> bool {
        self.0.lock().as_ref().is_some_and(|one| one.code == code && now.0 - one.made_at.0 <= LINK_MS)
    }

    /// Notes who came; `None` when the code is not the one of now, was used from outside, or is too old.
    fn arrived(&self, code: &str, address: IpAddr, is_near: bool, now: Timestamp) -> Option<Arrival> {
        let mut asked = self.0.lock();
        let one = asked.as_mut().filter(|one| one.code == code && now.0 - one.made_at.0 <= LINK_MS)?;
        if one.arrival.as_ref().is_some_and(|arrival| arrival.is_outside) {
            return None;
        }
        let arrival = Arrival { address: address.to_canonical(), is_outside: is_public(address) && !is_near };
        one.arrival = Some(arrival.clone());
        Some(arrival)
    }

    /// The page that the telephone sees. Who is near has an address of the internet and is in the same network.
    pub fn page(&self, lang: Lang, code: &str, address: IpAddr, is_near: bool, now: Timestamp) -> Response {
        let (status, class, said) = match self.arrived(code, address, is_near, now) {
            Some(Arrival { is_outside: true, .. }) => (StatusCode::OK, "note good", text::setup_reach_good(lang)),
            Some(_) => (StatusCode::OK, "note", text::setup_reach_near(lang)),
            None => (StatusCode::NOT_FOUND, "note bad", text::setup_reach_over(lang)),
        };
        let title = text::setup_reach_title(lang);
        let content = html! { h1 { (title) } div class=(class) { p { (said) } } };
        Page { lang, path: PATH, title, is_waiting: false, side: None, content }.respond(status)
    }
}

/// Whether the internet leads there.
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            let is_shared = first == 100 && (64..128).contains(&second);
            !(address.is_private() || address.is_loopback() || address.is_link_local() || is_shared || first == 0)
        }
        IpAddr::V6(address) => (address.segments()[0] & 0xe000) == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000);

    #[test]
    fn the_code_is_used_up_from_outside_only() {
        let reach = Reach::default();
        let (inside, outside) = ("192.168.1.7".parse().unwrap(), "203.0.113.9".parse().unwrap());
        let (code, nobody) = reach.shown(NOW);
        assert!(nobody.is_none() && code.len() == 32);
        assert!(reach.arrived("x", outside, false, NOW).is_none() && reach.shown(NOW).1.is_none(), "another code");
        assert!(!reach.arrived(&code, inside, false, NOW).unwrap().is_outside);
        assert!(!reach.arrived(&code, outside, true, NOW).unwrap().is_outside, "in the same network");
        assert!(reach.is_current(&code, NOW) && !reach.is_current("x", NOW));
        assert!(!reach.arrived(&code, inside, false, NOW).unwrap().is_outside);
        assert_eq!(reach.shown(NOW), (code.clone(), Some(Arrival { address: inside, is_outside: false })));
        assert!(reach.arrived(&code, outside, false, NOW).unwrap().is_outside);
        assert!(reach.arrived(&code, outside, false, NOW).is_none(), "once");
        assert_eq!(reach.shown(NOW.plus_ms(2 * LINK_MS)).1, Some(Arrival { address: outside, is_outside: true }));
    }

    #[test]
    fn old_codes_give_way() {
        let reach = Reach::default();
        let (code, _) = reach.shown(NOW);
        let late = NOW.plus_ms(LINK_MS + 1);
        assert!(reach.arrived(&code, "203.0.113.9".parse().unwrap(), false, late).is_none());
        assert_ne!(reach.shown(late).0, code);
    }

    #[test]
    fn addresses_of_the_internet_are_told_from_others() {
        for (address, expected) in [
            ("203.0.113.9", true),
            ("10.1.2.3", false),
            ("100.64.0.1", false),
            ("127.0.0.1", false),
            ("2001:db8::1", true),
            ("fd00::1", false),
            ("::ffff:192.168.0.1", false),
        ] {
            assert_eq!(is_public(address.parse().unwrap()), expected, "{address}");
        }
    }
}
