//! What a run would do: a comparison of what a source has with what is here, which reads and writes nothing itself.
//!
//! - Who is there and not here is made, with their groups. Who is called otherwise is renamed: they are known by their
//!   stable id. Former addresses stay as aliases: nothing that a run does makes mail bounce.
//! - Who is gone or suspended there is suspended here, never deleted, and comes back with the next run that finds them.
//! - Who lies in the bin and is found again by their stable id is had back, with their mailbox.
//! - An address that is somebody else's is left out and told; whose it would be is made or changed all the same.
//! - An administrator is never suspended by a run, nor made the source's own.
//! - More removals than the source allows are held back, all of them: an answer that shrank is more often a mistake.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use schemars::JsonSchema;
use serde::Serialize;
use sterna_base::{AccountId, Modseq};
use sterna_directory::{Link, Source, names};

use super::ldap::entry::Found;

/// Memberships that a run ends by itself, however few there are.
const MEMBERSHIPS_FREE: usize = 5;

/// Somebody here who comes from the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Here {
    /// How they are tied to it.
    pub link: Link,
    /// Whether it is a group.
    pub is_group: bool,
    /// The main address.
    pub address: String,
    /// Further ones.
    pub aliases: Vec<String>,
    /// For people.
    pub display_name: String,
    /// The organisational unit.
    pub unit: String,
    /// The log-in besides the addresses.
    pub login: Option<String>,
    /// Whether they are suspended, by whomever.
    pub suspended: bool,
    /// Whether they administer anything.
    pub is_admin: bool,
    /// Of a group: who is in it.
    pub members: BTreeSet<AccountId>,
}

/// Who has an address or a log-in that the source gives to somebody new.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Who.
    pub account: AccountId,
    /// Whether they could become the source's: of the right kind, from nowhere else, no administrator, and with this
    /// very address as their main one in the source's domain.
    pub can_be_adopted: bool,
    /// Whether they are suspended because they were gone from this source.
    pub was_gone: bool,
    /// Their aliases.
    pub aliases: Vec<String>,
    /// App passwords that they have.
    pub app_passwords: usize,
    /// Which version of them was looked at.
    pub version: Modseq,
    /// What they are, for people.
    pub what: &'static str,
}

/// Somebody who came from the source and lies in the bin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binned {
    /// Who.
    pub account: AccountId,
    /// Whether it is a group.
    pub is_group: bool,
    /// Whether the source had suspended them, and lets them in again.
    pub was_gone: bool,
    /// Their addresses, as far as nobody else has them by now.
    pub addresses: Vec<String>,
}

/// Whose an address is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Who.
    pub account: AccountId,
    /// Their main address, for people.
    pub address: String,
}

/// What is here, as far as it matters.
#[derive(Clone, Debug, Default)]
pub struct Present {
    /// Who comes from the source.
    pub linked: Vec<Here>,
    /// Who else has addresses that the source names.
    pub holders: HashMap<String, Holder>,
    /// Addresses that the source names and somebody has, main ones and further ones.
    pub owners: HashMap<String, Owner>,
    /// Who lies in the bin, by their stable id.
    pub binned: HashMap<String, Binned>,
    /// Log-ins that the source names and others have.
    pub logins: HashMap<String, AccountId>,
}

/// One value that changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "SourceField")]
pub struct Field {
    /// Which.
    pub name: &'static str,
    /// What it is.
    pub before: String,
    /// What it becomes.
    pub after: String,
}

/// What is done to somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[schemars(rename = "SourceAction")]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Changed.
    Change,
    /// Made the source's own.
    Adopt,
    /// Had back from the bin.
    Recover,
    /// Made.
    Create,
    /// Let in again.
    Restore,
    /// Members of a group are added and removed.
    Members,
    /// Suspended.
    Suspend,
}

/// One step of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "SourceStep")]
pub struct Step {
    /// What.
    pub action: Action,
    /// "user" or "group".
    pub kind: &'static str,
    /// Whose address.
    pub address: String,
    /// Why, where it isn't plain.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// What becomes other.
    pub fields: Vec<Field>,
    /// Who; `None` is made by the run.
    #[serde(skip)]
    pub account: Option<AccountId>,
    /// What the source has.
    #[serde(skip)]
    pub found: Option<Found>,
    /// How they are tied to it afterwards.
    #[serde(skip)]
    pub link: Link,
    /// The log-in that is set with it.
    #[serde(skip)]
    pub login: Option<String>,
    /// All aliases afterwards.
    #[serde(skip)]
    pub aliases: Vec<String>,
    /// The version that it is done to; `None` is any.
    #[serde(skip)]
    pub expect: Option<Modseq>,
    /// Whether they are let in again with it.
    #[serde(skip)]
    pub restores: bool,
    /// Of a group, by stable ids: who comes in.
    #[serde(skip)]
    pub joining: Vec<String>,
    /// Of a group: who goes.
    #[serde(skip)]
    pub leaving: Vec<AccountId>,
}

/// A whole run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "SourcePlan")]
pub struct Plan {
    /// What is done, in order.
    pub steps: Vec<Step>,
    /// What is held back because it would be too many removals.
    pub held: Vec<Step>,
    /// Why, and what to do.
    pub guard: Option<String>,
    /// What can't be used, and why.
    pub problems: Vec<String>,
    /// People and groups that the source has.
    pub found: usize,
    /// Those that are as they should be.
    pub unchanged: usize,
}

/// What was read, and how.
pub struct Reading<'a> {
    /// People and groups.
    pub found: &'a [Found],
    /// Stable ids of entries that are there and can't be used.
    pub unusable: &'a HashSet<String>,
    /// Whether it is everything.
    pub is_full: bool,
    /// Whether an entry had no stable id: then nobody is known to be gone.
    pub has_nameless: bool,
}

/// Compares. With `allow_removals` nothing is held back.
pub fn plan(source: &Source, reading: &Reading<'_>, present: &Present, allow_removals: bool) -> Plan {
    let by_id: HashMap<&str, &Here> =
        present.linked.iter().map(|here| (here.link.external_id.as_str(), here)).collect();
    let by_account = present.linked.iter().map(|here| (here.link.account, here)).collect();
    let taken = HashMap::new();
    // A main address goes before anybody's alias.
    let given = reading.found.iter().map(|found| (found.address.clone(), found.dn.clone())).collect();
    let mut planner = Planner { source, present, by_id, by_account, plan: Plan::default(), taken, given };
    planner.plan.found = reading.found.len();
    let mut seen = HashSet::new();
    let mut usable = Vec::new();
    for found in reading.found {
        if !seen.insert(found.external_id.as_str()) {
            // A group that two filters find, or a person found as a group, too.
            continue;
        }
        if planner.one(found) {
            usable.push(found);
        }
    }
    planner.memberships(&usable);
    if reading.is_full {
        planner.gone(&seen, reading);
    }
    let mut plan = planner.plan;
    plan.steps.sort_by_key(|step| (step.action, step.kind == "group"));
    if !allow_removals {
        guard(&mut plan, source, present, reading);
    }
    plan
}

struct Planner<'a> {
    source: &'a Source,
    present: &'a Present,
    by_id: HashMap<&'a str, &'a Here>,
    by_account: HashMap<AccountId, &'a Here>,
    plan: Plan,
    /// Main addresses of this answer, whose turn it was.
    taken: HashMap<String, String>,
    /// Addresses of this answer, further ones as well, and which entry has them.
    given: HashMap<String, String>,
}

impl Planner<'_> {
    /// One entry; whether it is or will be here.
    fn one(&mut self, found: &Found) -> bool {
        let here = self.by_id.get(found.external_id.as_str()).copied();
        if here.is_some_and(|here| here.is_group != found.is_group) {
            self.problem(found, "it was a person and is a group now, or the other way round");
            return false;
        }
        if let Some(other) = self.taken.insert(found.address.clone(), found.dn.clone()) {
            self.problem(found, &format!("{other} has the same address {}", found.address));
            return here.is_some();
        }
        match here {
            Some(here) => {
                self.known(found, here);
                true
            }
            None => self.unknown(found),
        }
    }

    fn problem(&mut self, found: &Found, why: &str) {
        self.plan.problems.push(format!("{}: {why}", found.dn));
    }

    /// The entry without addresses that are somebody else's: they are told, and everything else is done.
    fn fitting(&mut self, found: &Found, here: Option<&Here>, own: Option<AccountId>) -> Found {
        let present = self.present;
        let others = |address: &str| present.owners.get(address).filter(|owner| Some(owner.account) != own);
        let mut fitting = Found { aliases: Vec::new(), ..found.clone() };
        if let Some(here) = here
            && let Some(owner) = others(&found.address)
        {
            let (who, kept) = (&owner.address, &here.address);
            self.problem(found, &format!("the address {} is of {who} here; {kept} stays theirs", found.address));
            fitting.address.clone_from(kept);
        }
        for alias in &found.aliases {
            let whose = others(alias).map(|owner| format!("{} here", owner.address));
            match whose.or_else(|| self.given.get(alias).filter(|dn| **dn != found.dn).cloned()) {
                Some(who) => self.problem(found, &format!("the alias {alias} is of {who}, and is left out")),
                None => {
                    self.given.insert(alias.clone(), found.dn.clone());
                    fitting.aliases.push(alias.clone());
                }
            }
        }
        fitting
    }

    /// The log-in, if it is one here and nobody else's.
    fn login(&mut self, found: &Found, own: Option<AccountId>) -> Option<String> {
        if found.is_group {
            return None;
        }
        let good = found.login.chars().all(|c| c.is_alphanumeric() || "._-+".contains(c));
        if found.login.is_empty() || !good || found.login.len() > names::LOGIN_BYTES_MAX {
            return None;
        }
        match self.present.logins.get(&found.login) {
            Some(holder) if Some(*holder) != own => {
                let login = &found.login;
                self.problem(found, &format!("the log-in {login} is somebody else's; the address is good for log-in"));
                None
            }
            _ => Some(found.login.clone()),
        }
    }

    fn step(&self, action: Action, found: &Found, account: Option<AccountId>) -> Step {
        Step {
            action,
            kind: if found.is_group { "group" } else { "user" },
            address: found.address.clone(),
            reason: String::new(),
            fields: Vec::new(),
            account,
            found: Some(found.clone()),
            link: self.link(found, account.unwrap_or_default(), false),
            login: None,
            aliases: found.aliases.clone(),
            expect: None,
            restores: false,
            joining: Vec::new(),
            leaving: Vec::new(),
        }
    }

    fn link(&self, found: &Found, account: AccountId, suspended: bool) -> Link {
        Link {
            account,
            source: self.source.name.clone(),
            external_id: found.external_id.clone(),
            dn: found.dn.clone(),
            login: found.login.clone(),
            suspended,
        }
    }

    /// Somebody who came from the source before.
    fn known(&mut self, found: &Found, here: &Here) {
        let found = &self.fitting(found, Some(here), Some(here.link.account));
        let login = self.login(found, Some(here.link.account)).or_else(|| here.login.clone());
        let mut aliases: BTreeSet<String> = here.aliases.iter().chain(&found.aliases).cloned().collect();
        aliases.insert(here.address.clone());
        aliases.remove(&found.address);
        let aliases: Vec<String> = aliases.into_iter().collect();
        let mut fields = Vec::new();
        let mut differs = |name, before: &str, after: &str| {
            if before != after {
                fields.push(Field { name, before: before.to_owned(), after: after.to_owned() });
            }
        };
        let mut before = here.aliases.clone();
        before.sort_unstable();
        differs("address", &here.address, &found.address);
        differs("aliases", &before.join(", "), &aliases.join(", "));
        differs("display_name", &here.display_name, &found.display_name);
        if let Some(unit) = &found.unit {
            differs("unit", &here.unit, unit);
        }
        if !found.is_group {
            differs("login", here.login.as_deref().unwrap_or_default(), login.as_deref().unwrap_or_default());
        }
        let moved = here.link.dn != found.dn || here.link.login != found.login;
        let mut quiet = fields.is_empty() && !moved;
        // Their password is known here, and so is who they are.
        if here.is_admin && !fields.is_empty() {
            let (who, names) = (&here.address, fields.iter().map(|field| field.name).collect::<Vec<_>>().join(", "));
            let remedy = "an administrator changes it here";
            self.plan.problems.push(format!("{who} has another {names} there, administers here, and {remedy}"));
            return;
        }
        if !quiet {
            let step = self.step(Action::Change, found, Some(here.link.account));
            let link = Link { suspended: here.link.suspended, ..step.link.clone() };
            if fields.is_empty() {
                fields.push(Field { name: "dn", before: here.link.dn.clone(), after: found.dn.clone() });
            }
            let address = here.address.clone();
            self.plan.steps.push(Step { fields, link, login, aliases, address, ..step });
        }
        if found.suspended && !here.suspended {
            quiet = false;
            self.suspend(here, Some(found), "suspended in the source");
        } else if !found.suspended && here.suspended && here.link.suspended {
            quiet = false;
            let step = self.step(Action::Restore, found, Some(here.link.account));
            self.plan.steps.push(Step { address: here.address.clone(), ..step });
        }
        self.plan.unchanged += usize::from(quiet);
    }

    fn suspend(&mut self, here: &Here, found: Option<&Found>, reason: &str) {
        if here.is_admin {
            let who = &here.address;
            self.plan.problems.push(format!("{who} is {reason}, administers here, and is not suspended by a run"));
            return;
        }
        let link = match found {
            Some(found) => self.link(found, here.link.account, true),
            None => Link { suspended: true, ..here.link.clone() },
        };
        self.plan.steps.push(Step {
            action: Action::Suspend,
            kind: if here.is_group { "group" } else { "user" },
            address: here.address.clone(),
            reason: reason.to_owned(),
            fields: Vec::new(),
            account: Some(here.link.account),
            found: None,
            link,
            login: None,
            aliases: Vec::new(),
            expect: None,
            restores: false,
            joining: Vec::new(),
            leaving: Vec::new(),
        });
    }

    /// Somebody who is new here; whether they will be here.
    fn unknown(&mut self, found: &Found) -> bool {
        let holder = self.present.holders.get(&found.address).cloned();
        let binned = self.present.binned.get(&found.external_id).filter(|binned| binned.is_group == found.is_group);
        // Whoever is suspended is left alone, and so are their addresses.
        let whole = found;
        let found = &match found.suspended {
            true => found.clone(),
            false => self.fitting(found, None, holder.as_ref().map(|holder| holder.account)),
        };
        let login = self.login(found, holder.as_ref().map(|holder| holder.account));
        match holder {
            // Nobody needs an account who may not use it; nor does one come back, or become another's.
            _ if found.suspended => {
                self.plan.unchanged += 1;
                false
            }
            None if binned.is_some() => {
                let Some(binned) = binned else { return false };
                let step = self.step(Action::Recover, found, Some(binned.account));
                let is_free = |address: &&String| self.given.get(*address).is_none_or(|dn| *dn == found.dn);
                let own = binned.addresses.iter().filter(is_free);
                let mut aliases: BTreeSet<String> = own.chain(&found.aliases).cloned().collect();
                aliases.remove(&found.address);
                let (aliases, restores) = (aliases.into_iter().collect(), binned.was_gone);
                self.plan.steps.push(Step { login, aliases, restores, ..step });
                true
            }
            None => {
                let step = self.step(Action::Create, found, None);
                let fields = [
                    ("address", found.address.clone()),
                    ("aliases", found.aliases.join(", ")),
                    ("display_name", found.display_name.clone()),
                    ("unit", found.unit.clone().unwrap_or_default()),
                    ("login", login.clone().unwrap_or_default()),
                ];
                let fields = fields.into_iter().filter(|(_, after)| !after.is_empty());
                let fields = fields.map(|(name, after)| Field { name, before: String::new(), after }).collect();
                self.plan.steps.push(Step { fields, login, ..step });
                true
            }
            Some(holder) if holder.can_be_adopted && self.source.adopt => {
                let step = self.step(Action::Adopt, found, Some(holder.account));
                let mut aliases: BTreeSet<String> = holder.aliases.iter().chain(&found.aliases).cloned().collect();
                aliases.remove(&found.address);
                let aliases = aliases.into_iter().collect();
                let (expect, restores) = (Some(holder.version), holder.was_gone);
                let reason = match holder.app_passwords {
                    0 => String::new(),
                    _ if restores => "made anew there: app passwords and second factor end".to_owned(),
                    kept => format!("app passwords that were made here stay good: {kept}"),
                };
                self.plan.steps.push(Step { login, aliases, restores, expect, reason, ..step });
                true
            }
            Some(holder) => {
                let remedy = match holder.can_be_adopted {
                    true => "let the source adopt (--adopt yes) if it is the same person",
                    false => {
                        "it can't be adopted: it administers, comes from elsewhere, is of another kind, or this is not \
                         its main address in the source's domain (sterna user set --address, if it is the same person)"
                    }
                };
                self.problem(whole, &format!("{} is a {} here; {remedy}", whole.address, holder.what));
                false
            }
        }
    }

    /// Who is in the groups that were read.
    fn memberships(&mut self, usable: &[&Found]) {
        let mut by_dn: HashMap<String, String> = HashMap::new();
        let mut by_login: HashMap<String, String> = HashMap::new();
        let linked = self
            .present
            .linked
            .iter()
            .map(|here| (&here.link.dn, &here.link.login, &here.link.external_id, here.is_group));
        let found = usable.iter().map(|found| (&found.dn, &found.login, &found.external_id, found.is_group));
        for (dn, login, id, is_group) in linked.chain(found) {
            by_dn.insert(same_dn(dn), id.clone());
            if !is_group && !login.is_empty() {
                by_login.insert(login.clone(), id.clone());
            }
        }
        for group in usable.iter().filter(|found| found.is_group) {
            let wanted = group.members.iter().filter_map(|member| match member.contains('=') {
                true => by_dn.get(&same_dn(member)),
                false => by_login.get(&member.trim().to_lowercase()),
            });
            let wanted: BTreeSet<&String> = wanted.filter(|id| **id != group.external_id).collect();
            self.members_of(group, &wanted);
        }
    }

    fn members_of(&mut self, group: &Found, wanted: &BTreeSet<&String>) {
        let here = self.by_id.get(group.external_id.as_str()).copied();
        let none = BTreeSet::new();
        let present = here.map_or(&none, |here| &here.members);
        let is_in = |id: &str| self.by_id.get(id).is_some_and(|here| present.contains(&here.link.account));
        let joining: Vec<String> = wanted.iter().filter(|id| !is_in(id)).map(|id| (*id).clone()).collect();
        // Who was put into the group here stays in it.
        let leaving: Vec<&&Here> = present
            .iter()
            .filter_map(|account| self.by_account.get(account))
            .filter(|here| !wanted.contains(&here.link.external_id))
            .collect();
        if joining.is_empty() && leaving.is_empty() {
            return;
        }
        let mut fields = Vec::new();
        let names: BTreeMap<&str, &str> = self
            .present
            .linked
            .iter()
            .map(|here| (here.link.external_id.as_str(), here.address.as_str()))
            .chain(self.plan.steps.iter().map(|step| (step.link.external_id.as_str(), step.address.as_str())))
            .collect();
        for id in &joining {
            let after = names.get(id.as_str()).copied().unwrap_or(id.as_str()).to_owned();
            fields.push(Field { name: "member", before: String::new(), after });
        }
        for here in &leaving {
            fields.push(Field { name: "member", before: here.address.clone(), after: String::new() });
        }
        let leaving = leaving.into_iter().map(|here| here.link.account).collect();
        let step = self.step(Action::Members, group, here.map(|here| here.link.account));
        self.plan.steps.push(Step { fields, joining, leaving, ..step });
    }

    /// Who isn't there any more.
    fn gone(&mut self, seen: &HashSet<&str>, reading: &Reading<'_>) {
        let present = self.present;
        let is_gone = |here: &&Here| {
            let id = here.link.external_id.as_str();
            !seen.contains(id) && !reading.unusable.contains(id) && !here.suspended
        };
        let gone: Vec<&Here> = present.linked.iter().filter(is_gone).collect();
        if reading.has_nameless && !gone.is_empty() {
            let count = gone.len();
            let why = "entries have no stable id that the bind DN may read";
            self.plan.problems.push(format!("{count} are not found, and nobody is suspended for it: {why}"));
            return;
        }
        for here in gone {
            self.suspend(here, None, "no longer in the source");
        }
    }
}

/// Holds removals back that are more than the source allows.
fn guard(plan: &mut Plan, source: &Source, present: &Present, reading: &Reading<'_>) {
    let active = present.linked.iter().filter(|here| !here.suspended).count();
    let memberships: usize = present.linked.iter().map(|here| here.members.len()).sum();
    let share = |whole: usize| (whole * source.removals_percent_max as usize).div_ceil(100);
    let suspended = plan.steps.iter().filter(|step| step.action == Action::Suspend).count();
    let leaving: usize = plan.steps.iter().map(|step| step.leaving.len()).sum();
    // Nothing is free for who allows nothing.
    let is_free = source.removals_percent_max > 0;
    let people = if is_free { share(active).max(1) } else { 0 };
    let members = if is_free { share(memberships).max(MEMBERSHIPS_FREE) } else { 0 };
    let is_empty = reading.is_full && plan.found == 0;
    if suspended <= people && leaving <= members && !(is_empty && suspended > 0) {
        return;
    }
    let (mut held, mut kept) = (Vec::new(), Vec::new());
    for mut step in std::mem::take(&mut plan.steps) {
        if step.action == Action::Suspend {
            held.push(step);
        } else if step.leaving.is_empty() {
            kept.push(step);
        } else {
            let (stays, goes): (Vec<Field>, Vec<Field>) =
                std::mem::take(&mut step.fields).into_iter().partition(|field| field.before.is_empty());
            held.push(Step { fields: goes, joining: Vec::new(), ..step.clone() });
            step.leaving.clear();
            if !step.joining.is_empty() {
                kept.push(Step { fields: stays, ..step });
            }
        }
    }
    plan.steps = kept;
    plan.held = held;
    let percent = source.removals_percent_max;
    plan.guard = Some(format!(
        "{suspended} of {active} would be suspended and {leaving} of {memberships} memberships ended, more than {percent} % \
         at once: nothing of it was done. If it is right, run the source with --allow-removals"
    ));
}

/// Names of entries are the same in any case, with spaces around their commas or without (RFC 4514, as far as it is
/// met).
fn same_dn(dn: &str) -> String {
    dn.split(',').map(|part| part.trim().to_lowercase()).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests;
