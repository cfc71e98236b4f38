//! People who come from a directory elsewhere: Debian's slapd, as it is and dressed as an Active Directory.

use std::fs;
use std::time::Duration;

use serde_json::Value;
use sterna_testkit::binary::have;
use sterna_testkit::imap::Imap;
use sterna_testkit::installation::{Installation, PASSWORD, Place, errors};
use sterna_testkit::slapd::{BASE, ROOT, Slapd};
use sterna_testkit::wait::until;

const ANA: &str = "ana@tern.test";
const PATIENCE: Duration = Duration::from_secs(60);

/// One node that does everything, with an empty domain.
fn one() -> Installation {
    let mut installation = Installation::new();
    installation.start_main("main,edge,data", Place::default());
    installation.admin_ok("main", &["domain", "create", "tern.test"]);
    installation
}

fn has_slapd() -> bool {
    have(&["/usr/sbin/slapd", "ldapadd"])
}

/// Makes the source `ldap`, which is run by hand only.
fn make(installation: &Installation, url: &str, more: &[&str]) {
    let password = installation.folder().join("bind-password");
    fs::write(&password, format!("{PASSWORD}\n")).unwrap();
    let password = password.to_str().unwrap();
    let usual = ["source", "create", "ldap", "--domain", "tern.test", "--url", url, "--base", BASE, "--bind-dn", ROOT];
    let by_hand = ["--password-file", password, "--enabled", "no"];
    installation.admin_ok("main", &[&usual[..], &by_hand, more].concat());
}

fn json(installation: &Installation, arguments: &[&str]) -> Value {
    let text = installation.admin_ok("main", &[&["--json"], arguments].concat());
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// Runs the source, and gives the run.
fn sync(installation: &Installation, more: &[&str]) -> Value {
    json(installation, &[&["source", "sync", "ldap"], more].concat())
}

fn user(installation: &Installation, who: &str) -> Value {
    json(installation, &["user", "get", who])
}

fn members(installation: &Installation, group: &str) -> Vec<String> {
    let found = json(installation, &["group", "members", group]);
    let items = found.as_array().or_else(|| found["items"].as_array()).unwrap();
    items.iter().map(|item| item["address"].as_str().unwrap().to_owned()).collect()
}

/// What the server says to a log-in.
fn answer(installation: &Installation, login: &str, password: &str) -> String {
    let at = installation.node("main").at;
    let mut imap = Imap::connect(&at.host.to_string(), at.ports.imap).unwrap();
    let answer = imap.command(&format!("LOGIN {login} \"{password}\"")).unwrap();
    format!(" {} ", answer.status)
}

#[test]
fn people_and_groups_of_openldap_come_are_renamed_and_go() {
    if !has_slapd() {
        return;
    }
    let (installation, slapd) = (one(), Slapd::start());
    slapd.person("ana", "Ana Lima");
    slapd.person("ben", "Ben Ochs");
    slapd.add(&format!("dn: cn=staff,{BASE}\nobjectClass: groupOfNames\ncn: staff\nmember: uid=ana,{BASE}\n"));
    slapd.add(&format!(
        "dn: cn=crew,{BASE}\nobjectClass: posixGroup\ncn: crew\ngidNumber: 7\nmemberUid: ana\nmemberUid: ben\n"
    ));
    make(&installation, &slapd.url(), &["--map", "members=member"]);

    let diff = installation.admin_ok("main", &["source", "sync", "ldap", "--dry-run"]);
    assert!(diff.contains("create user ana@tern.test") && diff.contains("+ display_name: Ana Lima"), "{diff}");
    assert!(!installation.admin("main", &["user", "get", ANA]).status.success(), "a dry run makes nobody");

    let run = sync(&installation, &[]);
    assert_eq!((run["outcome"].as_str(), &run["failed"]), (Some("done"), &0.into()), "{run}");
    let ana = user(&installation, ANA);
    assert_eq!((ana["display_name"].as_str(), ana["login"].as_str()), (Some("Ana Lima"), Some("ana")), "{ana}");
    assert_eq!(members(&installation, "staff@tern.test"), [ANA]);
    let again = sync(&installation, &["--full"]);
    assert_eq!(again["done"], 0, "a second comparison finds all as it should be: {again}");

    // Passwords are checked there, and nothing else is.
    assert!(answer(&installation, ANA, PASSWORD).contains(" OK "));
    assert!(answer(&installation, "ana", PASSWORD).contains(" OK "));
    assert!(answer(&installation, "ben", "wrong").contains("AUTHENTICATIONFAILED"));
    assert!(answer(&installation, "ben", "").contains("AUTHENTICATIONFAILED"), "RFC 4513 section 5.1.2");

    // Groups that name log-ins.
    installation.admin_ok("main", &["source", "set", "ldap", "--map", "members=memberUid"]);
    sync(&installation, &[]);
    assert_eq!(members(&installation, "crew@tern.test"), [ANA, "ben@tern.test"]);

    // Whoever is called otherwise stays who they are; a look at changes finds it.
    slapd.modify(&format!("dn: uid=ana,{BASE}\nchangetype: modrdn\nnewrdn: uid=anna\ndeleteoldrdn: 1\n"));
    slapd.modify(&format!(
        "dn: uid=anna,{BASE}\nchangetype: modify\nreplace: mail\nmail: anna@tern.test\n-\nreplace: cn\ncn: Anna Lima\n"
    ));
    let run = sync(&installation, &[]);
    assert_eq!((&run["full"], &run["failed"]), (&false.into(), &0.into()), "{run}");
    let anna = user(&installation, "anna@tern.test");
    assert_eq!(anna["id"], ana["id"]);
    assert_eq!(anna["aliases"], serde_json::json!([ANA]), "mail to the former address still arrives");
    assert!(answer(&installation, "anna", PASSWORD).contains(" OK "));

    // Whoever is gone is suspended by the next full comparison, and not before.
    slapd.delete(&format!("uid=ben,{BASE}"));
    sync(&installation, &[]);
    assert_eq!(user(&installation, "ben@tern.test")["suspended"], false);
    let run = sync(&installation, &["--full"]);
    assert_eq!((&run["held"], &run["failed"]), (&0.into(), &0.into()), "{run}");
    assert_eq!(user(&installation, "ben@tern.test")["suspended"], true);
    assert!(answer(&installation, "ben@tern.test", PASSWORD).contains("NO"));
    let number = run["number"].to_string();
    let log = installation.admin_ok("main", &["source", "log", &number]);
    assert!(log.contains("suspend user ben@tern.test (no longer in the source)"), "{log}");

    // Made anew there, it is somebody else until an administrator says that it isn't.
    slapd.person("ben", "Ben Ochs");
    assert_eq!(sync(&installation, &["--full"])["failed"], 1);
    installation.admin_ok("main", &["source", "set", "ldap", "--adopt", "yes"]);
    sync(&installation, &[]);
    assert_eq!(user(&installation, "ben@tern.test")["suspended"], false);
    assert!(answer(&installation, "ben@tern.test", PASSWORD).contains(" OK "));

    // Without its source they stay, and nobody logs in until somebody gives them a password.
    installation.admin_ok("main", &["source", "delete", "ldap", "--yes"]);
    assert!(answer(&installation, "anna@tern.test", PASSWORD).contains("AUTHENTICATIONFAILED"));
}

#[test]
fn who_was_deleted_comes_back_and_an_alias_of_somebody_else_is_told() {
    if !has_slapd() {
        return;
    }
    let (installation, slapd) = (one(), Slapd::start());
    slapd.person("ana", "Ana Lima");
    slapd.person("ben", "Ben Ochs");
    slapd.modify(&format!("dn: uid=ana,{BASE}\nchangetype: modify\nadd: description\ndescription: info@tern.test\n"));
    installation.create_user("boss@tern.test", "main");
    installation.admin_ok("main", &["user", "set", "boss@tern.test", "--alias", "info@tern.test"]);
    make(&installation, &slapd.url(), &["--map", "aliases=description"]);
    let run = sync(&installation, &[]);
    assert_eq!((run["outcome"].as_str(), &run["failed"]), (Some("done"), &1.into()), "{run}");
    let told = run["log"].as_str().unwrap();
    assert!(told.contains("the alias info@tern.test is of boss@tern.test here, and is left out"), "{told}");
    let ana = user(&installation, ANA);
    assert_eq!(ana["aliases"], serde_json::json!([]), "{ana}");
    assert_eq!(user(&installation, "ben@tern.test")["display_name"], "Ben Ochs");
    let at = installation.node("main").at;
    let mail = b"From: boss@tern.test\r\nSubject: kept\r\n\r\nTerns.\r\n";
    assert!(at.smtp().unwrap().deliver("boss@far.test", &[ANA], mail).unwrap().starts_with("250"));
    let inbox = || {
        let mut imap = Imap::connect(&at.host.to_string(), at.ports.imap).unwrap();
        let answer = imap.command(&format!("LOGIN {ANA} \"{PASSWORD}\"")).unwrap();
        answer.ok().then(|| imap.command("STATUS INBOX (MESSAGES)").unwrap().lines.join(" "))
    };
    until("the message", PATIENCE, || inbox().filter(|status| status.contains("MESSAGES 1")));

    // Deleted here, and still there: the same account comes back, with its mail.
    installation.admin_ok("main", &["user", "delete", ANA, "--yes"]);
    assert_eq!(inbox(), None);
    let diff = installation.admin_ok("main", &["source", "sync", "ldap", "--full", "--dry-run"]);
    assert!(diff.contains("user ana@tern.test"), "{diff}");
    let run = sync(&installation, &["--full"]);
    assert_eq!((&run["done"], &run["failed"]), (&1.into(), &1.into()), "{run}");
    assert_eq!(user(&installation, ANA)["id"], ana["id"]);
    until("the mailbox", PATIENCE, || inbox().filter(|status| status.contains("MESSAGES 1")));
    assert_eq!(sync(&installation, &["--full"])["done"], 0);
}

#[test]
fn who_is_adopted_keeps_app_passwords_and_not_the_password() {
    if !has_slapd() {
        return;
    }
    let (installation, slapd) = (one(), Slapd::start());
    installation.create_user(ANA, "main");
    installation.admin_ok("main", &["user", "set", ANA, "--password-file", &password_file(&installation, "of here")]);
    let made = json(&installation, &["app-password", "create", ANA, "phone"]);
    let phone = made["password"].as_str().unwrap().to_owned();
    until("the passwords of here", PATIENCE, || {
        let is_in = |password: &str| answer(&installation, ANA, password).contains(" OK ");
        (is_in("of here") && is_in(&phone)).then_some(())
    });
    slapd.person("ana", "Ana Lima");
    make(&installation, &slapd.url(), &["--adopt", "yes"]);
    let run = sync(&installation, &[]);
    let told = run["log"].as_str().unwrap();
    assert!(told.contains("adopt user ana@tern.test") && told.contains("stay good: 1"), "{told}");
    until("the password of there", PATIENCE, || answer(&installation, ANA, PASSWORD).contains(" OK ").then_some(()));
    assert!(answer(&installation, ANA, "of here").contains("AUTHENTICATIONFAILED"));
    assert!(answer(&installation, ANA, &phone).contains(" OK "));
    // It is the source that says whether she may: gone there, the telephone is out, too.
    slapd.delete(&format!("uid=ana,{BASE}"));
    sync(&installation, &["--full", "--allow-removals"]);
    until("her end", PATIENCE, || answer(&installation, ANA, &phone).contains("AUTHENTICATIONFAILED").then_some(()));
}

fn password_file(installation: &Installation, password: &str) -> String {
    let path = installation.folder().join("a-password");
    fs::write(&path, password).unwrap();
    path.to_string_lossy().into_owned()
}

#[test]
fn an_answer_that_shrank_suspends_nobody() {
    if !has_slapd() {
        return;
    }
    let (installation, slapd) = (one(), Slapd::start());
    let names: Vec<String> = (0..12).map(|n| format!("tern{n:02}")).collect();
    names.iter().for_each(|name| slapd.person(name, name));
    make(&installation, &slapd.url(), &["--group-filter", ""]);
    sync(&installation, &[]);
    let suspended = || {
        let is_suspended = |name: &&String| user(&installation, name)["suspended"] == true;
        names.iter().filter(is_suspended).count()
    };

    let narrow = |filter: &str| installation.admin_ok("main", &["source", "set", "ldap", "--user-filter", filter]);
    narrow("(uid=tern00)");
    let run = sync(&installation, &[]);
    assert_eq!((run["outcome"].as_str(), &run["held"]), (Some("held"), &11.into()), "{run}");
    assert_eq!(suspended(), 0);
    // An answer with nobody in it holds even what few removals there would be.
    installation.admin_ok("main", &["source", "set", "ldap", "--removals-percent", "100"]);
    narrow("(uid=nobody)");
    assert_eq!(sync(&installation, &[])["outcome"], "held");
    assert_eq!(suspended(), 0);

    narrow("(uid=tern00)");
    let diff = installation.admin_ok("main", &["source", "sync", "ldap", "--dry-run", "--allow-removals"]);
    assert!(diff.contains("suspend user tern01@tern.test"), "{diff}");
    assert_eq!(suspended(), 0, "a dry run suspends nobody");
    assert_eq!(sync(&installation, &["--allow-removals"])["done"], 11);
    assert_eq!(suspended(), 11);

    narrow("(objectClass=inetOrgPerson)");
    assert_eq!(sync(&installation, &[])["done"], 11, "who is found again is let in again");
    assert_eq!(suspended(), 0);
    // But not whom an administrator suspended.
    installation.admin_ok("main", &["user", "set", "tern03@tern.test", "--suspended", "yes"]);
    sync(&installation, &["--full"]);
    assert_eq!(suspended(), 1);
}

#[test]
fn a_source_that_is_away_locks_nobody_out_who_was_there() {
    if !has_slapd() {
        return;
    }
    let (installation, mut slapd) = (one(), Slapd::start());
    slapd.person("ana", "Ana");
    slapd.person("ben", "Ben");
    make(&installation, &slapd.url(), &[]);
    sync(&installation, &[]);
    assert!(answer(&installation, "ana", PASSWORD).contains(" OK "));
    // A change of her row: what is remembered of good passwords for minutes is of the former one.
    installation.admin_ok("main", &["user", "set", ANA, "--name", "Ana L."]);
    slapd.stop();
    assert!(answer(&installation, "ana", PASSWORD).contains(" OK "));
    assert!(!answer(&installation, "ana", "guess").contains(" OK "));
    // Nobody knows: that is no wrong password, and no program should ask its user for another one.
    for _ in 0..4 {
        assert!(answer(&installation, "ben", PASSWORD).contains("UNAVAILABLE"));
    }
    let run = installation.admin("main", &["source", "sync", "ldap", "--full"]);
    assert!(errors(&run).contains("localhost"), "{}", errors(&run));
    assert_eq!(user(&installation, ANA)["suspended"], false);

    slapd.serve();
    until("the source is asked again", PATIENCE, || {
        answer(&installation, "ben", PASSWORD).contains(" OK ").then_some(())
    });
    assert!(answer(&installation, "ana", "guess").contains("AUTHENTICATIONFAILED"));
    installation.admin_ok("main", &["source", "set", "ldap", "--outage-minutes", "0"]);
    installation.admin_ok("main", &["user", "set", "ben@tern.test", "--name", "Ben O."]);
    assert!(answer(&installation, "ben", PASSWORD).contains(" OK "));
    installation.admin_ok("main", &["user", "set", "ben@tern.test", "--name", "Ben"]);
    slapd.stop();
    assert!(answer(&installation, "ben", PASSWORD).contains("UNAVAILABLE"), "the source wants nobody let in meanwhile");
}

#[test]
fn passwords_go_to_no_server_that_proves_nothing() {
    if !has_slapd() {
        return;
    }
    let (installation, slapd) = (one(), Slapd::start());
    slapd.person("ana", "Ana");
    let ca = installation.folder().join("ca.pem");
    fs::write(&ca, &slapd.certificate).unwrap();
    let ca = ca.to_str().unwrap().to_owned();
    make(&installation, &slapd.tls_url(), &[]);
    let refused = |arguments: &[&str]| {
        let output = installation.admin("main", arguments);
        assert!(!output.status.success());
        errors(&output)
    };
    let unknown = refused(&["source", "sync", "ldap"]);
    assert!(unknown.to_lowercase().contains("certificate"), "{unknown}");
    // Whoever sends the password elsewhere must know it.
    let asked = refused(&["source", "set", "ldap", "--ca", &ca]);
    assert!(asked.contains("gives the password again"), "{asked}");
    let password = installation.folder().join("bind-password");
    let password = password.to_str().unwrap();
    installation.admin_ok("main", &["source", "set", "ldap", "--ca", &ca, "--password-file", password]);
    assert_eq!(sync(&installation, &[])["outcome"], "done");
    assert!(answer(&installation, "ana", PASSWORD).contains(" OK "));

    let start_tls = ["source", "set", "ldap", "--url", &slapd.url(), "--start-tls", "yes", "--password-file", password];
    installation.admin_ok("main", &start_tls);
    assert_eq!(sync(&installation, &["--full"])["outcome"], "done");
    fs::write(password, "wrong\n").unwrap();
    installation.admin_ok("main", &["source", "set", "ldap", "--password-file", password]);
    let wrong = refused(&["source", "sync", "ldap"]);
    assert!(wrong.contains("49"), "{wrong}");
    let shown = installation.admin_ok("main", &["--json", "source", "get", "ldap"]);
    assert!(!shown.contains("wrong") && !shown.contains("sealed") && shown.contains("has_password"), "{shown}");
}

#[test]
fn an_active_directory_is_read_by_its_own_names() {
    if !has_slapd() {
        return;
    }
    let (installation, mut slapd) = (one(), Slapd::active_directory());
    let person = |login: &str, guid: &str, usn: u32, more: &str| {
        format!(
            "dn: cn={login},{BASE}\nobjectClass: user\nobjectCategory: person\ncn: {login}\nsn: {login}\n\
             sAMAccountName: {login}\nobjectGUID:: {guid}\nuSNChanged: {usn}\nuserPassword: {PASSWORD}\n{more}\n"
        )
    };
    let ana = "displayName: Ana Lima\nmail: ana@tern.test\nproxyAddresses: smtp:a.lima@tern.test\n\
        proxyAddresses: SMTP:ana@tern.test\nproxyAddresses: x500:/o=terns\nuserAccountControl: 512\n";
    slapd.add(&person("Ana", "AAECAwQFBgcICQoLDA0ODw==", 10, ana));
    slapd.add(&person("Off", "/wECAwQFBgcICQoLDA0ODw==", 11, "userAccountControl: 514\n"));
    slapd.add(&person("Zoe", "/gECAwQFBgcICQoLDA0ODw==", 12, "userAccountControl: 512\n"));
    let group = |name: &str, guid: &str, usn: u32, members: &str| {
        format!(
            "dn: cn={name},{BASE}\nobjectClass: group\ncn: {name}\nsAMAccountName: {name}\nobjectGUID:: {guid}\nuSNChanged: {usn}\n{members}\n"
        )
    };
    slapd.add(&group("Inner", "/QECAwQFBgcICQoLDA0ODw==", 13, &format!("member: cn=Ana,{BASE}\n")));
    slapd.add(&group(
        "Outer",
        "/AECAwQFBgcICQoLDA0ODw==",
        14,
        &format!("member: cn=Inner,{BASE}\nmember: cn=Zoe,{BASE}\n"),
    ));
    make(&installation, &slapd.url(), &["--kind", "ad"]);
    let run = sync(&installation, &[]);
    assert_eq!((run["outcome"].as_str(), &run["failed"]), (Some("done"), &0.into()), "{run}");
    let found = user(&installation, ANA);
    assert_eq!(found["aliases"], serde_json::json!(["a.lima@tern.test"]));
    assert_eq!(user(&installation, "zoe")["address"], "zoe@tern.test");
    assert!(
        !installation.admin("main", &["user", "get", "off@tern.test"]).status.success(),
        "nobody is made suspended"
    );
    assert_eq!(members(&installation, "outer@tern.test").len(), 2, "a group is in a group");
    assert!(answer(&installation, "ana", PASSWORD).contains(" OK "));

    // A change is found by its number; a number that was seen is not asked for again.
    slapd.count_to(200);
    slapd.modify(&format!(
        "dn: cn=Ana,{BASE}\nchangetype: modify\nreplace: userAccountControl\nuserAccountControl: 514\n-\n\
         replace: uSNChanged\nuSNChanged: 150\n"
    ));
    let run = sync(&installation, &[]);
    assert_eq!((&run["full"], &run["done"]), (&false.into(), &1.into()), "{run}");
    assert_eq!(user(&installation, ANA)["suspended"], true);
    assert_eq!(sync(&installation, &[])["done"], 0);
}
