//! What runs would do, and what they must never do.

use super::*;
use sterna_base::{DomainId, Timestamp};
use sterna_directory::{Mapping, SourceKind};

fn source() -> Source {
    Source {
        name: "ldap".into(),
        kind: SourceKind::OpenLdap,
        domain: DomainId(1),
        urls: vec!["ldaps://ldap.test".into()],
        start_tls: false,
        ca: String::new(),
        bind_dn: String::new(),
        password_sealed: String::new(),
        base: "dc=test".into(),
        user_filter: "(uid=*)".into(),
        group_base: String::new(),
        group_filter: String::new(),
        mapping: Mapping::preset(SourceKind::OpenLdap),
        logins: true,
        outage_minutes: 0,
        adopt: false,
        every_minutes: 10,
        full_every_hours: 24,
        removals_percent_max: 10,
        enabled: true,
        created_at: Timestamp(0),
    }
}

fn person(id: &str) -> Found {
    Found {
        external_id: id.into(),
        dn: format!("uid={id},dc=test"),
        is_group: false,
        login: id.into(),
        address: format!("{id}@tern.test"),
        aliases: Vec::new(),
        display_name: id.into(),
        unit: None,
        suspended: false,
        members: Vec::new(),
    }
}

fn group(id: &str, members: &[&str]) -> Found {
    let members = members.iter().map(|member| (*member).to_owned()).collect();
    Found { is_group: true, members, ..person(id) }
}

/// Somebody who was made of this.
fn here(number: u64, found: &Found) -> Here {
    let link = Link {
        account: AccountId(number),
        source: "ldap".into(),
        external_id: found.external_id.clone(),
        dn: found.dn.clone(),
        login: found.login.clone(),
        suspended: false,
    };
    Here {
        link,
        is_group: found.is_group,
        address: found.address.clone(),
        aliases: found.aliases.clone(),
        display_name: found.display_name.clone(),
        unit: String::new(),
        login: (!found.is_group).then(|| found.login.clone()),
        suspended: false,
        is_admin: false,
        members: BTreeSet::new(),
    }
}

fn compared(source: &Source, found: &[Found], present: &Present) -> Plan {
    let unusable = HashSet::new();
    let reading = Reading { found, unusable: &unusable, is_full: true, has_nameless: false };
    plan(source, &reading, present, false)
}

fn actions(plan: &Plan) -> Vec<(Action, &str)> {
    plan.steps.iter().map(|step| (step.action, step.address.as_str())).collect()
}

fn linked(linked: Vec<Here>) -> Present {
    Present { linked, ..Present::default() }
}

#[test]
fn what_is_as_it_should_be_is_left_alone() {
    let (ana, ben) = (person("ana"), person("ben"));
    let present = linked(vec![here(1, &ana), here(2, &ben)]);
    let plan = compared(&source(), &[ana, ben], &present);
    assert_eq!((plan.steps.len(), plan.unchanged, plan.problems.len()), (0, 2, 0));
}

#[test]
fn a_new_name_keeps_the_account_and_the_former_address() {
    let before = person("ana");
    let after = Found { address: "anna@tern.test".into(), dn: "uid=anna,dc=test".into(), ..before.clone() };
    let plan = compared(&source(), &[after], &linked(vec![here(7, &before)]));
    assert_eq!(actions(&plan), [(Action::Change, "ana@tern.test")]);
    assert_eq!(plan.steps[0].account, Some(AccountId(7)));
    assert_eq!(plan.steps[0].aliases, ["ana@tern.test"]);
    assert_eq!(plan.steps[0].link.dn, "uid=anna,dc=test");
}

#[test]
fn who_is_gone_is_suspended_unless_they_administer() {
    let people: Vec<Found> = ["ana", "ben", "zoe"].map(person).into();
    let mut present: Vec<Here> = people.iter().zip(1..).map(|(found, n)| here(n, found)).collect();
    let plan = compared(&source(), &people[1..], &linked(present.clone()));
    assert_eq!(actions(&plan), [(Action::Suspend, "ana@tern.test")]);
    present[0].is_admin = true;
    let plan = compared(&source(), &people[1..], &linked(present.clone()));
    assert!(plan.steps.is_empty() && plan.problems[0].contains("administers"), "{plan:?}");
    // An entry that is there and can't be used is not gone.
    present[0].is_admin = false;
    let unusable = HashSet::from(["ana".to_owned()]);
    let mut reading = Reading { found: &people[1..], unusable: &unusable, is_full: true, has_nameless: false };
    assert!(super::plan(&source(), &reading, &linked(present.clone()), false).steps.is_empty());
    let nobody = HashSet::new();
    reading.unusable = &nobody;
    reading.has_nameless = true;
    assert!(super::plan(&source(), &reading, &linked(present), true).steps.is_empty());
}

#[test]
fn removals_beyond_the_share_are_held_whole() {
    let people: Vec<Found> = (0..20).map(|n| person(&format!("p{n:02}"))).collect();
    let present = linked(people.iter().zip(1..).map(|(found, n)| here(n, found)).collect());
    assert_eq!(compared(&source(), &people[2..], &present).steps.len(), 2, "a tenth");
    let held = compared(&source(), &people[3..], &present);
    assert_eq!((held.steps.len(), held.held.len(), held.guard.is_some()), (0, 3, true));
    let all = Source { removals_percent_max: 100, ..source() };
    assert_eq!(compared(&all, &people[19..], &present).steps.len(), 19);
    assert_eq!(compared(&all, &[], &present).held.len(), 20, "an empty answer is a mistake");
}

#[test]
fn ends_of_memberships_are_held_and_new_ones_done() {
    let people: Vec<Found> = (0..12).map(|n| person(&format!("p{n:02}"))).collect();
    let staff = group("staff", &["uid=p00,dc=test"]);
    let mut all: Vec<Here> = people.iter().zip(1..).map(|(found, n)| here(n, found)).collect();
    let mut group = here(99, &staff);
    group.members = (2..=12).map(AccountId).collect();
    all.push(group);
    let mut found = people.clone();
    found.push(staff);
    let plan = compared(&source(), &found, &linked(all));
    assert_eq!(plan.steps.len(), 1);
    assert_eq!((plan.steps[0].joining.as_slice(), plan.steps[0].leaving.len()), (&["p00".to_owned()][..], 0));
    assert_eq!((plan.held.len(), plan.held[0].leaving.len(), plan.held[0].joining.len()), (1, 11, 0));
}

#[test]
fn members_are_found_by_name_by_login_and_in_groups() {
    let found = [
        person("ana"),
        group("inner", &["UID=Ana, DC=test"]),
        group("outer", &["uid=inner,dc=test", "ana", "uid=stranger,dc=test", "uid=outer,dc=test"]),
    ];
    let plan = compared(&source(), &found, &Present::default());
    let joining = |address: &str| {
        let step = plan.steps.iter().find(|step| step.action == Action::Members && step.address == address).unwrap();
        step.joining.clone()
    };
    assert_eq!(joining("inner@tern.test"), ["ana"]);
    assert_eq!(joining("outer@tern.test"), ["ana", "inner"]);
}

#[test]
fn whoever_is_here_already_is_adopted_only_when_the_source_may() {
    let ana = person("ana");
    let holder = Holder {
        account: AccountId(5),
        can_be_adopted: true,
        was_gone: false,
        aliases: vec![],
        app_passwords: 2,
        version: Modseq(3),
        what: "user",
    };
    let mut present = Present::default();
    present.holders.insert(ana.address.clone(), holder.clone());
    let may = Source { adopt: true, ..source() };
    let refused = compared(&source(), std::slice::from_ref(&ana), &present);
    assert!(refused.steps.is_empty() && refused.problems[0].contains("--adopt"), "{refused:?}");
    let adopted = compared(&may, std::slice::from_ref(&ana), &present);
    assert_eq!(actions(&adopted), [(Action::Adopt, "ana@tern.test")]);
    assert!(adopted.steps[0].reason.ends_with("stay good: 2"), "{adopted:?}");
    // An administrator is nobody's.
    present.holders.insert(ana.address.clone(), Holder { can_be_adopted: false, ..holder });
    assert!(compared(&may, &[ana], &present).steps.is_empty());
}

#[test]
fn one_address_is_one_entrys_and_a_login_too() {
    let (ana, other) = (person("ana"), Found { address: "ana@tern.test".into(), ..person("ana2") });
    let plan = compared(&source(), &[ana.clone(), other], &Present::default());
    assert_eq!((plan.steps.len(), plan.problems.len()), (1, 1), "{plan:?}");
    let logins = HashMap::from([("ana".to_owned(), AccountId(9))]);
    let plan = compared(&source(), &[ana], &Present { logins, ..Present::default() });
    assert_eq!((plan.steps[0].login.clone(), plan.problems.len()), (None, 1));
}

#[test]
fn administrators_are_reported_and_not_changed() {
    let before = person("ana");
    let after = Found { address: "anna@tern.test".into(), ..before.clone() };
    let mut ana = here(7, &before);
    ana.is_admin = true;
    let plan = compared(&source(), &[after], &linked(vec![ana]));
    assert!(plan.steps.is_empty() && plan.problems[0].contains("administers here"), "{plan:?}");
}

#[test]
fn who_is_disabled_there_is_not_adopted() {
    let ana = Found { suspended: true, ..person("ana") };
    let holder = Holder {
        account: AccountId(5),
        can_be_adopted: true,
        was_gone: true,
        aliases: vec![],
        app_passwords: 0,
        version: Modseq(3),
        what: "user",
    };
    let present = Present { holders: HashMap::from([(ana.address.clone(), holder)]), ..Present::default() };
    assert!(compared(&Source { adopt: true, ..source() }, &[ana], &present).steps.is_empty());
}

#[test]
fn who_allows_no_removal_has_none() {
    let people: Vec<Found> = ["ana", "ben", "zoe"].map(person).into();
    let present = linked(people.iter().zip(1..).map(|(found, n)| here(n, found)).collect());
    let none = Source { removals_percent_max: 0, ..source() };
    let plan = compared(&none, &people[1..], &present);
    assert_eq!((plan.steps.len(), plan.held.len()), (0, 1));
}

#[test]
fn an_address_of_somebody_else_is_left_out_and_told() {
    let alias = |of: &str, alias: &str| Found { aliases: vec![format!("{alias}@tern.test")], ..person(of) };
    // Somebody here has one, another entry has one as its main address, and two entries have the same.
    let found = [alias("ana", "info"), alias("ben", "eva"), alias("eva", "sales"), alias("zoe", "sales")];
    let mut present = linked(vec![here(7, &person("ana"))]);
    let owner = Owner { account: AccountId(9), address: "boss@tern.test".into() };
    present.owners.insert("info@tern.test".into(), owner.clone());
    let plan = compared(&source(), &found, &present);
    let made =
        [(Action::Create, "ben@tern.test"), (Action::Create, "eva@tern.test"), (Action::Create, "zoe@tern.test")];
    assert_eq!(actions(&plan), made);
    let aliases: Vec<&[String]> = plan.steps.iter().map(|step| step.aliases.as_slice()).collect();
    assert_eq!(aliases, [&[][..], &["sales@tern.test".to_owned()], &[]]);
    let told =
        ["uid=ana,dc=test: the alias info@tern.test is of boss@tern.test here", "eva@tern.test is of uid=eva", "sales"];
    assert_eq!(plan.problems.len(), 3, "{plan:?}");
    assert!(plan.problems.iter().zip(told).all(|(problem, part)| problem.contains(part)), "{plan:?}");
    // A new main address that is somebody else's changes nothing but is told; the name does change.
    present.owners.insert("boss@tern.test".into(), owner.clone());
    let renamed = Found { address: "boss@tern.test".into(), display_name: "Ana B".into(), ..person("ana") };
    let plan = compared(&source(), &[renamed], &present);
    assert_eq!(actions(&plan), [(Action::Change, "ana@tern.test")]);
    assert_eq!(plan.steps[0].fields.iter().map(|field| field.name).collect::<Vec<_>>(), ["display_name"]);
    assert_eq!(plan.steps[0].found.as_ref().unwrap().address, "ana@tern.test");
    assert_eq!(plan.problems.len(), 1);
    // What is one's own is nobody else's.
    present.owners.insert("info@tern.test".into(), Owner { account: AccountId(7), ..owner });
    let plan = compared(&source(), &[alias("ana", "info")], &present);
    assert_eq!((plan.steps.len(), plan.problems.len()), (1, 0), "{plan:?}");
}

#[test]
fn who_lies_in_the_bin_is_had_back_by_their_id() {
    let (ana, ben) = (Found { address: "anna@tern.test".into(), ..person("ana") }, person("ben"));
    let addresses = vec!["ana@tern.test".to_owned(), "ben@tern.test".to_owned()];
    let binned = Binned { account: AccountId(7), is_group: false, was_gone: true, addresses };
    let present = Present { binned: HashMap::from([("ana".to_owned(), binned)]), ..Present::default() };
    let plan = compared(&source(), &[ana.clone(), ben], &present);
    assert_eq!(actions(&plan), [(Action::Recover, "anna@tern.test"), (Action::Create, "ben@tern.test")]);
    let step = &plan.steps[0];
    assert_eq!((step.account, step.restores), (Some(AccountId(7)), true));
    assert_eq!(step.aliases, ["ana@tern.test"], "the former address, and not what is ben's");
    // Nobody comes back who is disabled there, or as something else.
    let disabled = Found { suspended: true, ..ana.clone() };
    assert!(compared(&source(), &[disabled], &present).steps.is_empty());
    let group = Found { is_group: true, ..ana };
    assert_eq!(actions(&compared(&source(), &[group], &present)), [(Action::Create, "anna@tern.test")]);
}
