//! When a certificate is ordered: a pure function of rows and time.

use sterna_base::Timestamp;
use sterna_directory::acme::{Acme, CERTIFICATE_NAMES_MAX, Certificate};

/// How long nothing is ordered after the first failure, in milliseconds: ten minutes. Authorities count failures by the
/// hour.
const WAIT_MS: i64 = 10 * 60 * 1000;

/// The longest such time, in milliseconds: half a day.
const WAIT_MS_MAX: i64 = 12 * 3600 * 1000;

/// The longest that an authority can make us wait, in milliseconds: a week, the longest limit that is known.
const TOLD_MS_MAX: i64 = 7 * 24 * 3600 * 1000;

/// When an authority that doesn't say when to renew is asked again whether it does, in milliseconds: a day.
pub const ASK_AGAIN_MS: i64 = 24 * 3600 * 1000;

/// A certificate is renewed when this part of its time is left, and earlier by at most this part of it.
const LEFT_PART: i64 = 3;
/// See [`LEFT_PART`].
const JITTER_PART: i64 = 30;

/// An authority that wants certificates renewed again and again is obeyed once in this time, in milliseconds: six
/// hours.
pub const TOLD_AGAIN_MS: i64 = 6 * 3600 * 1000;

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Order one.
    Now,
    /// All is well until then.
    At(Timestamp),
    /// One is needed, and is not asked for before then.
    Retry(Timestamp),
    /// There is nothing that one could be for.
    Never,
}

/// The names to ask for: those that lead here, without those that the authority refused lately.
pub fn asked(found: &[String], acme: &Acme, now: Timestamp) -> Vec<String> {
    let is_refused = |name: &String| {
        acme.left_out.iter().any(|one| one.name == *name && one.again_at.is_some_and(|again| again > now))
    };
    found.iter().filter(|name| !is_refused(name)).take(CERTIFICATE_NAMES_MAX).cloned().collect()
}

/// Whether one is to be ordered for these names.
pub fn due(acme: &Acme, certificate: Option<&Certificate>, names: &[String], directory: &str, now: Timestamp) -> Due {
    if names.is_empty() {
        return Due::Never;
    }
    let renewal = certificate.map(|one| acme.renew_at.unwrap_or_else(|| renew_at(one)));
    let is_needed = acme.wanted
        || certificate
            .is_none_or(|one| one.directory != directory || names.iter().any(|name| !one.names.contains(name)));
    match (is_needed, renewal) {
        (false, Some(at)) if at > now => Due::At(at),
        _ => match acme.not_before {
            Some(at) if at > now => Due::Retry(at),
            _ => Due::Now,
        },
    }
}

/// When a certificate is renewed of which its authority says nothing: after two thirds of its time, a bit earlier for
/// each at its own moment, so that not all of the world come at once. The same for each look at the same certificate.
pub fn renew_at(certificate: &Certificate) -> Timestamp {
    let lifetime = certificate.not_after.0.saturating_sub(certificate.not_before.0).max(0);
    let jitter = spread(lifetime / JITTER_PART, seed(certificate));
    Timestamp(certificate.not_after.0.saturating_sub(lifetime / LEFT_PART).saturating_sub(jitter))
}

/// The latest moment at which a certificate is renewed whatever its authority says: a tenth of its time is left then.
pub fn renew_at_latest(certificate: &Certificate) -> Timestamp {
    let lifetime = certificate.not_after.0.saturating_sub(certificate.not_before.0).max(0);
    Timestamp(certificate.not_after.0.saturating_sub(lifetime / 10))
}

/// A moment within the window that the authority suggests (RFC 9773 section 4.2); the same for each look.
pub fn within(start: Timestamp, end: Timestamp, certificate: &Certificate) -> Timestamp {
    start.plus_ms(spread(end.0.saturating_sub(start.0).max(0), seed(certificate)))
}

/// How long nothing is ordered after so many failures in a row, or as long as the authority says.
pub fn wait_ms(failures: u32, told_ms: Option<i64>, seed: u64) -> i64 {
    let doublings = failures.saturating_sub(1).min(16);
    let own = WAIT_MS.saturating_mul(1 << doublings).min(WAIT_MS_MAX);
    let own = own + spread(own / 10, seed);
    own.max(told_ms.unwrap_or_default().min(TOLD_MS_MAX))
}

/// A number from zero to `most` that follows from the seed.
fn spread(most: i64, seed: u64) -> i64 {
    let hash = blake3::hash(&seed.to_le_bytes());
    let bytes: [u8; 8] = std::array::from_fn(|at| hash.as_bytes()[at]);
    let most = most.max(0).unsigned_abs();
    i64::try_from(u64::from_le_bytes(bytes) % most.saturating_add(1)).unwrap_or_default()
}

fn seed(certificate: &Certificate) -> u64 {
    let hash = blake3::hash(certificate.chain.as_bytes());
    u64::from_le_bytes(std::array::from_fn(|at| hash.as_bytes()[at]))
}

#[cfg(test)]
mod tests {
    use sterna_directory::acme::LeftOut;

    use super::*;

    const DAY_MS: i64 = 24 * 3600 * 1000;
    const HERE: &str = "https://ca.test/dir";

    fn certificate(names: &[&str]) -> Certificate {
        Certificate {
            name: "acme".into(),
            names: names.iter().map(ToString::to_string).collect(),
            chain: "PEM".into(),
            sealed_key: String::new(),
            issuer: "CA".into(),
            directory: HERE.into(),
            not_before: Timestamp(0),
            not_after: Timestamp(90 * DAY_MS),
        }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn renewal_comes_after_two_thirds_and_always_at_the_same_moment() {
        let one = certificate(&["a.test"]);
        let at = renew_at(&one);
        assert!(at.0 <= 60 * DAY_MS && at.0 >= 57 * DAY_MS, "{at:?}");
        assert_eq!(renew_at(&one), at);
        let other = Certificate { chain: "other".into(), ..one.clone() };
        assert_ne!(renew_at(&other), at);
        // One that was good for a moment only, or that ends before it begins, is no reason to fail.
        let odd = Certificate { not_before: Timestamp(i64::MAX), not_after: Timestamp(i64::MIN), ..one };
        let _ = renew_at(&odd);
    }

    #[test]
    fn a_window_is_kept() {
        let one = certificate(&["a.test"]);
        let at = within(Timestamp(1000), Timestamp(2000), &one);
        assert!((1000..=2000).contains(&at.0));
        assert_eq!(within(Timestamp(2000), Timestamp(1000), &one), Timestamp(2000), "a window that is none");
    }

    #[test]
    fn failures_make_it_rarer_and_never_never() {
        let waits: Vec<i64> = (1..40).map(|failures| wait_ms(failures, None, 7)).collect();
        assert!(waits[0] >= WAIT_MS && waits[0] <= WAIT_MS + WAIT_MS / 10);
        assert!(waits.windows(2).all(|pair| pair[0] <= pair[1]));
        assert!(*waits.last().unwrap() <= WAIT_MS_MAX + WAIT_MS_MAX / 10);
        assert_eq!(wait_ms(1, Some(3 * DAY_MS), 7), 3 * DAY_MS, "the authority's word holds");
        assert_eq!(wait_ms(1, Some(i64::MAX), 7), TOLD_MS_MAX, "within reason");
    }

    #[test]
    fn what_is_due_follows_from_rows_and_time() {
        let (acme, now) = (Acme::default(), Timestamp(DAY_MS));
        let both = names(&["a.test", "b.test"]);
        let due_of = |acme: &Acme, certificate: Option<&Certificate>, now| due(acme, certificate, &both, HERE, now);
        assert_eq!(due(&acme, None, &[], HERE, now), Due::Never);
        assert_eq!(due_of(&acme, None, now), Due::Now);
        let good = certificate(&["a.test", "b.test", "c.test"]);
        assert_eq!(due_of(&acme, Some(&good), now), Due::At(renew_at(&good)), "a name too many is no reason");
        assert_eq!(due_of(&acme, Some(&good), Timestamp(60 * DAY_MS)), Due::Now);
        assert_eq!(due_of(&acme, Some(&certificate(&["a.test"])), now), Due::Now, "a name is missing");
        assert_eq!(due(&acme, Some(&good), &both, "https://other.test/", now), Due::Now, "another authority");
        let told = Acme { renew_at: Some(now), ..Acme::default() };
        assert_eq!(due_of(&told, Some(&good), now), Due::Now, "the authority wants it back");
        let waiting = Acme { not_before: Some(now.plus_ms(5)), ..Acme::default() };
        assert_eq!(due_of(&waiting, None, now), Due::Retry(now.plus_ms(5)));
        let wanted = Acme { wanted: true, ..waiting };
        assert_eq!(due_of(&wanted, Some(&good), now), Due::Retry(now.plus_ms(5)), "it failed");
        let wanted = Acme { wanted: true, ..Acme::default() };
        assert_eq!(due_of(&wanted, Some(&good), now), Due::Now);
    }

    #[test]
    fn what_was_refused_is_left_out_for_its_time() {
        let again_at = Some(Timestamp(10));
        let left_out = vec![LeftOut { name: "b.test".into(), why: "refused".into(), again_at }];
        let acme = Acme { left_out, ..Acme::default() };
        let both = names(&["a.test", "b.test"]);
        assert_eq!(asked(&both, &acme, Timestamp(9)), ["a.test"]);
        assert_eq!(asked(&both, &acme, Timestamp(10)), ["a.test", "b.test"]);
    }
}
