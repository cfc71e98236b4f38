//! Who may reach the ports between the machines: the rules that every node loads, and their trial. Those that nobody
//! confirms are no rules: whoever is shut out by them can't say so.

use serde::{Deserialize, Serialize};
use sterna_base::{Modseq, Timestamp};
use sterna_formats::network::Network;

use crate::names::invalid;
use crate::read::{Reader, Versioned};
use crate::row::{Content, RowKind};
use crate::write::Write;
use crate::{RequestError, StorageError};

/// The key of the only row.
const KEY: &str = "rules";
/// Networks that can be let in besides the installation's nodes.
pub const NETWORKS_MAX: usize = 200;
/// How short a trial may be: somebody has to see whether all is well, in milliseconds.
pub const TRIAL_MS_MIN: i64 = 10_000;
/// How long it may be, in milliseconds: until then nobody may notice what doesn't work.
pub const TRIAL_MS_MAX: i64 = 3_600_000;

/// Who may reach what is meant for the installation's own machines.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FirewallRules {
    /// Whether nodes guard these ports at all.
    pub is_on: bool,
    /// Who may reach them besides the nodes (RFC 4632).
    pub networks: Vec<String>,
}

impl FirewallRules {
    /// The networks as such; what can't be read is left out, because nothing else was ever written.
    pub fn networks(&self) -> impl Iterator<Item = Network> {
        self.networks.iter().filter_map(|text| text.parse().ok())
    }
}

/// Rules on trial.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// What holds again afterwards.
    pub before: FirewallRules,
    /// When they end, unless they are confirmed.
    pub ends_at: Timestamp,
}

/// The rules of the installation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Firewall {
    /// Those that are wanted.
    pub rules: FirewallRules,
    /// While nobody has confirmed them.
    pub trial: Option<Trial>,
    /// How often it was tried whether every server hears of changes under these rules.
    #[serde(skip_serializing_if = "is_zero")]
    pub proofs: u64,
    /// Who changed them last.
    pub changed_by: String,
    /// When.
    pub changed_at: Timestamp,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Firewall {
    /// The rules that hold now: every node sees the end of a trial by itself, even one that nobody reaches any more.
    pub fn in_force(&self, now: Timestamp) -> &FirewallRules {
        match &self.trial {
            Some(trial) if now >= trial.ends_at => &trial.before,
            _ => &self.rules,
        }
    }

    /// Whether somebody has to confirm them still.
    pub fn is_on_trial(&self, now: Timestamp) -> bool {
        self.trial.as_ref().is_some_and(|trial| now < trial.ends_at)
    }

    /// With other rules, on trial for so long.
    #[must_use]
    pub fn tried(&self, rules: FirewallRules, trial_ms: i64, now: Timestamp, by: String) -> Self {
        // A second change while the first is on trial: both are taken back together.
        let before = match &self.trial {
            Some(trial) if now < trial.ends_at => trial.before.clone(),
            _ => self.in_force(now).clone(),
        };
        let trial = Some(Trial { before, ends_at: Timestamp(now.0 + trial_ms) });
        Firewall { rules, trial, changed_by: by, changed_at: now, proofs: 0 }
    }

    /// As they are, for good.
    #[must_use]
    pub fn confirmed(&self, now: Timestamp) -> Self {
        Firewall { rules: self.in_force(now).clone(), trial: None, ..self.clone() }
    }

    /// As they were before the trial.
    #[must_use]
    pub fn taken_back(&self) -> Self {
        let rules = self.trial.as_ref().map_or(&self.rules, |trial| &trial.before);
        Firewall { rules: rules.clone(), trial: None, ..self.clone() }
    }
}

impl Content for Firewall {
    const KIND: RowKind = RowKind::Firewall;
    fn key(&self) -> String {
        KEY.to_owned()
    }
}

/// Puts other rules in the place of those that are there, unless somebody else did since they were read.
pub(crate) fn put(write: &mut Write<'_>, firewall: &Firewall, expect: Option<Modseq>) -> Result<(), RequestError> {
    if firewall.rules.networks.len() > NETWORKS_MAX {
        return Err(invalid("networks", format!("there are at most {NETWORKS_MAX}")));
    }
    if let Some(wrong) = firewall.rules.networks.iter().find(|text| text.parse::<Network>().is_err()) {
        return Err(invalid("networks", format!("“{wrong}” is not a network: write 192.0.2.0/24 or 2001:db8::/32")));
    }
    if let Some(trial) = &firewall.trial {
        let for_ms = trial.ends_at.0 - firewall.changed_at.0;
        if !(TRIAL_MS_MIN..=TRIAL_MS_MAX).contains(&for_ms) {
            return Err(invalid("confirm_seconds", "a trial lasts from ten seconds to an hour"));
        }
    }
    let found = write.reader.firewall()?.map_or(Modseq(0), |found| found.modseq);
    match expect.filter(|expected| *expected != found) {
        Some(expected) => Err(RequestError::Changed { expected, found }),
        None => Ok(write.put(firewall)?),
    }
}

impl Reader<'_> {
    /// The rules between the machines; `None` while nobody ever made any.
    ///
    /// # Errors
    /// When the file can't be read.
    pub fn firewall(&self) -> Result<Option<Versioned<Firewall>>, StorageError> {
        self.row(KEY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(network: &str) -> FirewallRules {
        FirewallRules { is_on: true, networks: vec![network.to_owned()] }
    }

    #[test]
    fn what_nobody_confirms_is_as_it_was() {
        let first = Firewall::default().tried(rules("192.0.2.1"), 60_000, Timestamp(0), "ada".into());
        assert_eq!(first.in_force(Timestamp(59_999)), &rules("192.0.2.1"));
        assert_eq!(first.in_force(Timestamp(60_000)), &FirewallRules::default());
        // Confirmed too late, the rules of before stay.
        assert_eq!(first.confirmed(Timestamp(60_000)).rules, FirewallRules::default());
        let kept = first.confirmed(Timestamp(1));
        assert_eq!(kept.in_force(Timestamp(i64::MAX)), &rules("192.0.2.1"));
    }

    #[test]
    fn two_changes_on_trial_are_taken_back_together() {
        let kept = Firewall { rules: rules("192.0.2.1"), ..Firewall::default() };
        let second = kept.tried(rules("192.0.2.2"), 60_000, Timestamp(0), "ada".into()).tried(
            rules("192.0.2.3"),
            60_000,
            Timestamp(5),
            "ben".into(),
        );
        assert_eq!(second.taken_back().rules, rules("192.0.2.1"));
        // Once the first has ended by itself, the second is taken back alone.
        let late = kept.tried(rules("192.0.2.2"), 60_000, Timestamp(0), "ada".into());
        let late = late.tried(rules("192.0.2.3"), 60_000, Timestamp(70_000), "ben".into());
        assert_eq!(late.taken_back().rules, rules("192.0.2.1"));
    }
}
