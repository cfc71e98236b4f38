//! Reverse-paths of mail that is sent on (SRS, the Sender Rewriting Scheme): a server that sends somebody else's mail
//! on can't use that sender's address, because the sender's domain doesn't name it (SPF, RFC 7208). It uses one of its
//! own, from which notifications find back, and which nobody can make up.
//!
//! `SRS0=hash=day=domain=local@ours` stands for `local@domain`; `SRS1=hash=domain==rest@ours` for an address that
//! another server has rewritten so already: notifications go to that server, which knows the rest.

use sterna_base::Timestamp;
use sterna_formats::smtp::Mailbox;

/// Days for which an address can be answered: longer than any queue tries.
const DAYS_MAX: i64 = 30;

/// Characters of a hash: forty bits.
const HASH_CHARS: usize = 8;

/// The day's number has two characters of base 32.
const DAYS: i64 = 1024;

const MS_PER_DAY: i64 = 24 * 3600 * 1000;

/// Base 32 (RFC 4648) in lower case: what others fold stays the same.
const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// Makes and reads such addresses.
#[derive(Clone, Debug, Default)]
pub struct Srs {
    /// The first one signs; all are believed.
    keys: Vec<[u8; 32]>,
}

impl Srs {
    /// With secrets of any form; the first signs, the others are from before a change. Without one nothing is
    /// rewritten.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let key = |secret: &str| blake3::derive_key("sterna mailflow srs 1", secret.as_bytes());
        Srs { keys: secrets.into_iter().filter(|secret| !secret.is_empty()).map(key).collect() }
    }

    /// The address of ours, in this domain, that stands for a sender; `None` when it can't be rewritten: it would be
    /// too long, or has a local part that needs quotes.
    pub fn forward(&self, sender: &str, domain: &str, now: Timestamp) -> Option<String> {
        let key = self.keys.first()?;
        let (local, of) = sender.rsplit_once('@')?;
        let rewritten = if let Some(rest) = tagged(local, "SRS0") {
            // Somebody else's: only the separator is kept that it uses.
            let separator = local.as_bytes()[4] as char;
            let hash = hash(key, &[of, &format!("{separator}{rest}")]);
            format!("SRS1={hash}={of}={separator}{rest}")
        } else if let Some(rest) = tagged(local, "SRS1") {
            let (_, rest) = rest.split_once('=')?;
            let (first, rest) = rest.split_once('=')?;
            format!("SRS1={}={first}={rest}", hash(key, &[first, rest]))
        } else {
            let day = day(now);
            format!("SRS0={}={day}={of}={local}", hash(key, &[&day, of, local]))
        };
        let address = format!("{rewritten}@{domain}");
        // Only what our own sessions take, too. What was quoted (spaces, `>`, a second `@`) would get out of its quotes
        // here, and into the command that the next server reads.
        let is_sound = Mailbox::parse(sender).and_then(|_| Mailbox::parse(&address)).is_ok();
        is_sound.then_some(address)
    }

    /// The sender for whom an address of ours stands; `None` when it is none, or was made up, or is too old.
    pub fn reverse(&self, address: &str, now: Timestamp) -> Option<String> {
        let (local, _) = address.rsplit_once('@')?;
        if let Some(rest) = tagged(local, "SRS0") {
            let mut parts = rest.splitn(4, '=');
            let (hash, day, domain, local) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
            let is_ours = self.is_ours(hash, &[day, domain, local]) && is_recent(day, now);
            return is_ours.then(|| format!("{local}@{domain}"));
        }
        let (hash, rest) = tagged(local, "SRS1")?.split_once('=')?;
        let (domain, rest) = rest.split_once('=')?;
        self.is_ours(hash, &[domain, rest]).then(|| format!("SRS0{rest}@{domain}"))
    }

    fn is_ours(&self, found: &str, parts: &[&str]) -> bool {
        let found = blake3::hash(found.to_ascii_lowercase().as_bytes());
        // Hashes of hashes are compared in constant time.
        self.keys.iter().any(|key| blake3::hash(hash(key, parts).as_bytes()) == found)
    }
}

/// What stands behind `SRS0=`, whose separator may be another sign.
fn tagged<'a>(local: &'a str, tag: &str) -> Option<&'a str> {
    let (start, rest) = local.split_at_checked(tag.len())?;
    let separated = rest.starts_with(['=', '+', '-']);
    (start.eq_ignore_ascii_case(tag) && separated).then(|| &rest[1..])
}

fn hash(key: &[u8; 32], parts: &[&str]) -> String {
    let mut hasher = blake3::Hasher::new_keyed(key);
    for part in parts {
        // Some servers fold local parts.
        hasher.update(part.to_ascii_lowercase().as_bytes());
        hasher.update(b"\0");
    }
    let bytes = *hasher.finalize().as_bytes();
    let bits = bytes.iter().take(5).fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
    (0..HASH_CHARS).rev().map(|at| digit(bits >> (5 * at))).collect()
}

fn digit(value: u64) -> char {
    ALPHABET[(value & 31) as usize] as char
}

fn day(now: Timestamp) -> String {
    let day = now.0.div_euclid(MS_PER_DAY).rem_euclid(DAYS).cast_unsigned();
    [digit(day >> 5), digit(day)].into_iter().collect()
}

fn is_recent(day: &str, now: Timestamp) -> bool {
    let value = |byte: u8| ALPHABET.iter().position(|known| *known == byte.to_ascii_lowercase());
    let [high, low] = day.as_bytes() else { return false };
    let (Some(high), Some(low)) = (value(*high), value(*low)) else { return false };
    let made = (high * 32 + low) as i64;
    let today = now.0.div_euclid(MS_PER_DAY).rem_euclid(DAYS);
    // A clock may be a little ahead of ours.
    (today - made).rem_euclid(DAYS) <= DAYS_MAX || (made - today).rem_euclid(DAYS) <= 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    #[test]
    fn notifications_find_back() {
        let srs = Srs::new(["secret"]);
        for sender in ["ana@other.test", "Ana.B+x=y@Other.test", "a@b"] {
            let address = srs.forward(sender, "demo.test", NOW).unwrap();
            assert!(address.starts_with("SRS0=") && address.ends_with("@demo.test"), "{address}");
            assert_eq!(srs.reverse(&address, NOW).as_deref(), Some(sender));
            let folded = srs.reverse(&address.to_lowercase(), NOW).unwrap();
            assert!(folded.eq_ignore_ascii_case(sender));
            assert_eq!(srs.reverse(&address, NOW.plus_ms(DAYS_MAX * MS_PER_DAY)).as_deref(), Some(sender));
            assert_eq!(srs.reverse(&address, NOW.plus_ms((DAYS_MAX + 1) * MS_PER_DAY)), None);
        }
    }

    #[test]
    fn what_was_rewritten_goes_back_to_whom_it_was_rewritten_by() {
        let (first, second, third) = (Srs::new(["one"]), Srs::new(["two"]), Srs::new(["three"]));
        let once = first.forward("ana@other.test", "first.test", NOW).unwrap();
        let twice = second.forward(&once, "second.test", NOW).unwrap();
        assert!(twice.starts_with("SRS1=") && twice.contains("=first.test=="), "{twice}");
        assert_eq!(second.reverse(&twice, NOW).as_deref(), Some(once.as_str()));
        let thrice = third.forward(&twice, "third.test", NOW).unwrap();
        assert_eq!(third.reverse(&thrice, NOW).as_deref(), Some(once.as_str()));
    }

    #[test]
    fn what_is_made_can_be_read_by_our_own_sessions() {
        let srs = Srs::new(["secret"]);
        for local in ["a".repeat(64), "a".repeat(3)] {
            let sender = format!("{local}@{}.test", "b".repeat(60));
            let address = srs.forward(&sender, "demo.test", NOW).unwrap();
            assert!(address.len() > 64 + "@demo.test".len());
            assert_eq!(Mailbox::parse(&address).unwrap().to_string(), address);
            assert_eq!(srs.reverse(&address, NOW), Some(sender));
        }
        let long = format!("{}@{}.test", "a".repeat(64), ["b"; 90].join("."));
        assert_eq!(srs.forward(&long, "demo.test", NOW), None);
        for sender in [
            "\"a b\"@x.test",
            "a b@x.test",
            "\"a\"@x.test",
            "a> NOTIFY=NEVER@x.test",
            "a@b@x.test",
            "a\r\nDATA@x.test",
            "a..b@x.test",
            "ana@[192.0.2.1]",
            "SRS0=\"a@x.test",
            "SRS1=h=x=\"a b@x.test",
            "@x.test",
        ] {
            assert_eq!(srs.forward(sender, "demo.test", NOW), None, "{sender:?}");
        }
    }

    #[test]
    fn nobody_makes_one_up() {
        let srs = Srs::new(["secret"]);
        let address = srs.forward("ana@other.test", "demo.test", NOW).unwrap();
        let other = address.replace("=ana@", "=eve@");
        assert_eq!(srs.reverse(&other, NOW), None);
        assert_eq!(Srs::new(["other"]).reverse(&address, NOW), None);
        assert_eq!(Srs::new(["new", "secret"]).reverse(&address, NOW).as_deref(), Some("ana@other.test"));
        for wrong in ["ana@demo.test", "SRS0=@demo.test", "SRS0=a=b=c@x", "SRS1=a=b@x", "SRS0", "srs2=a=b=c=d@x", "é@x"]
        {
            assert_eq!(srs.reverse(wrong, NOW), None, "{wrong}");
        }
        assert_eq!(Srs::default().forward("ana@other.test", "demo.test", NOW), None);
        assert_eq!(srs.forward("nobody", "demo.test", NOW), None);
    }
}
