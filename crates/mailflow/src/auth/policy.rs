//! What follows from a verdict.

use sterna_account::service::Refusal;

use super::verdict::{Disposition, Outcome, Verdict, Wish};
use crate::delivery::Keep;

/// What DMARC is for, by the administrator's choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DmarcMode {
    /// Authors' domains get what they want: refused is what they want refused, and what they want quarantined goes to
    /// Junk.
    #[default]
    Enforce,
    /// It is written into the message, and nothing else follows.
    Mark,
    /// Nothing is verified at all.
    Off,
}

/// What to do with a message. A temporary failure refuses nothing: mail must not wait for the DNS of those who only
/// claim to have written it.
pub fn disposition(verdict: &Verdict, mode: DmarcMode, trusted_sealers: &[String]) -> Disposition {
    if mode != DmarcMode::Enforce {
        return Disposition::Deliver(Keep::Inbox);
    }
    // Nobody answers for a message without an author, or with several: DMARC says nothing of it (RFC 7489
    // section 6.6.1), and who forges would write exactly that.
    if verdict.dmarc.domain.is_empty() {
        return Disposition::Deliver(Keep::Junk);
    }
    if verdict.dmarc.outcome != Outcome::Fail || is_forwarded(verdict, trusted_sealers) {
        return Disposition::Deliver(Keep::Inbox);
    }
    match verdict.dmarc.wish {
        Wish::None => Disposition::Deliver(Keep::Inbox),
        Wish::Quarantine => Disposition::Deliver(Keep::Junk),
        Wish::Reject => Disposition::Refuse,
    }
}

/// Whether a message is let through against its author's domain, because of who passed it on.
pub fn is_excused(verdict: &Verdict, mode: DmarcMode, trusted_sealers: &[String]) -> bool {
    let is_against = verdict.dmarc.outcome == Outcome::Fail && verdict.dmarc.wish != Wish::None;
    mode == DmarcMode::Enforce && is_against && is_forwarded(verdict, trusted_sealers)
}

/// Whether all who passed the message on are trusted, and the first of them saw that it was its author's (RFC 8617
/// section 7.2.1).
fn is_forwarded(verdict: &Verdict, trusted: &[String]) -> bool {
    let arc = &verdict.arc;
    let is_trusted = |sealer: &String| trusted.iter().any(|trusted| trusted.eq_ignore_ascii_case(sealer));
    arc.outcome == Outcome::Pass && arc.dmarc_passed && !arc.sealers.is_empty() && arc.sealers.iter().all(is_trusted)
}

/// What the client is told (RFC 7372 section 3.3 has the status for it).
pub fn refusal(verdict: &Verdict) -> Refusal {
    let domain = &verdict.dmarc.domain;
    let text = format!("{domain} wants mail refused that it has neither signed nor permitted (DMARC)");
    Refusal::new(550, (5, 7, 26), text).because(format!("spf={}, dmarc=fail", verdict.spf.outcome))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::verdict::{Arc, Dmarc};

    fn failed(wish: Wish) -> Verdict {
        Verdict {
            dmarc: Dmarc { outcome: Outcome::Fail, domain: "a.test".into(), wish, ..Dmarc::default() },
            ..Verdict::default()
        }
    }

    #[test]
    fn domains_get_what_they_want_if_administrators_do() {
        let inbox = Disposition::Deliver(Keep::Inbox);
        for (wish, enforced) in [
            (Wish::None, inbox),
            (Wish::Quarantine, Disposition::Deliver(Keep::Junk)),
            (Wish::Reject, Disposition::Refuse),
        ] {
            assert_eq!(disposition(&failed(wish), DmarcMode::Enforce, &[]), enforced);
            assert_eq!(disposition(&failed(wish), DmarcMode::Mark, &[]), inbox);
            for outcome in [Outcome::None, Outcome::Pass, Outcome::TempError, Outcome::PermError] {
                let mut verdict = failed(wish);
                verdict.dmarc.outcome = outcome;
                assert_eq!(disposition(&verdict, DmarcMode::Enforce, &[]), inbox, "{outcome}");
            }
        }
    }

    #[test]
    fn what_has_no_single_author_is_junk() {
        let verdict = Verdict::default();
        assert_eq!(disposition(&verdict, DmarcMode::Enforce, &[]), Disposition::Deliver(Keep::Junk));
        assert_eq!(disposition(&verdict, DmarcMode::Mark, &[]), Disposition::Deliver(Keep::Inbox));
    }

    #[test]
    fn lists_that_are_trusted_may_change_messages() {
        let trusted = ["lists.test".to_owned(), "mx.test".to_owned()];
        let through = |sealers: &[&str], outcome, dmarc_passed| {
            let sealers: Vec<String> = sealers.iter().map(|name| (*name).to_owned()).collect();
            let arc = Arc { outcome, instances: 1, sealers, dmarc_passed };
            disposition(&Verdict { arc, ..failed(Wish::Reject) }, DmarcMode::Enforce, &trusted)
        };
        let inbox = Disposition::Deliver(Keep::Inbox);
        assert_eq!(through(&["Lists.test"], Outcome::Pass, true), inbox);
        assert_eq!(through(&["lists.test", "mx.test"], Outcome::Pass, true), inbox);
        assert_eq!(through(&["evil.test", "mx.test"], Outcome::Pass, true), Disposition::Refuse);
        assert_eq!(through(&["lists.test"], Outcome::Fail, true), Disposition::Refuse);
        assert_eq!(through(&["lists.test"], Outcome::Pass, false), Disposition::Refuse);
        assert_eq!(through(&[], Outcome::Pass, true), Disposition::Refuse);
    }
}
