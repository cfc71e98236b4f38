//! Certificates from an authority (ACME) in the setup, by its pages without JavaScript and by a file of answers, with
//! Pebble: one that issues, and one that refuses.

use std::fs;

use sterna_testkit::binary::have;
use sterna_testkit::installation::{Installation, PASSWORD};
use sterna_testkit::wait::until;

use crate::certificates::{pebble, shown};
use crate::setup::{ANA, Browser, PATIENCE, administrator_and_place, begun};

/// What stands in the form of the page about certificates.
fn acme(directory: &str) -> [(&str, &str); 4] {
    [("kind", "acme"), ("directory", directory), ("contact", ANA), ("terms_agreed", "yes")]
}

fn wait_for(browser: &mut Browser, path: &str, is_it: impl Fn(&str) -> bool) -> String {
    until(&format!("the page {path}"), PATIENCE, || Some(browser.get(path).body).filter(|page| is_it(page))).0
}

#[test]
fn an_authority_that_refuses_is_told_in_place_and_another_one_issues_before_the_setup_ends() {
    if !have(&["pebble", "openssl"]) {
        return;
    }
    let (installation, mut browser) = begun();
    let at = installation.node("main").at;
    installation.dns.address("mail.tern.test", at.host);
    administrator_and_place(&mut browser);
    // Both are believed; the pages have no question for that.
    let (refusing, issuing) = (pebble(&installation, true), pebble(&installation, false));
    let roots = refusing.roots() + &issuing.roots();
    installation.admin_ok("main", &["config", "set", "--", "acme.roots", &roots]);

    assert_eq!(browser.submit("/setup/certificate", &acme(&refusing.directory())), "/setup/storage");
    let page = wait_for(&mut browser, "/setup/certificate", |page| page.contains("externalAccountRequired"));
    assert!(page.contains("What to do:") && page.contains("acme.eab-key"), "{page}");
    assert!(page.contains(&refusing.directory()), "what was answered stands there: {page}");
    // It is told on the pages after that, too, and stops nobody.
    let later = browser.get("/setup/storage").body;
    assert!(later.contains("externalAccountRequired") && later.contains("href=\"/setup/certificate\""), "{later}");
    assert_eq!(browser.submit("/setup/backup", &[("place", "")]), "/setup/people");
    assert!(!shown(at, at.ports.https, "mail.tern.test").contains("Pebble"));

    assert_eq!(browser.submit("/setup/certificate", &acme(&issuing.directory())), "/setup/storage");
    let issued = |page: &str| page.contains("Pebble Intermediate") && !page.contains("externalAccountRequired");
    wait_for(&mut browser, "/setup/certificate", issued);
    let found = until("the certificate is shown", PATIENCE, || {
        let found = shown(at, at.ports.imaps, "mail.tern.test");
        found.contains("Pebble Intermediate").then_some(found)
    });
    assert!(found.0.contains("DNS:mail.tern.test"), "{}", found.0);
    assert!(!browser.get("/setup/storage").body.contains("externalAccountRequired"));
    // Who chooses another way keeps the setup, and the authority is asked no more.
    assert_eq!(browser.submit("/setup/certificate", &[("kind", "self-signed")]), "/setup/storage");
    let status = installation.admin_ok("main", &["--json", "certificate", "status"]);
    assert!(status.contains("\"off\""), "{status}");
}

/// Sets up by a file of answers that names an authority; what was reported.
fn answer(installation: &Installation, directory: &str, roots: &str) -> String {
    let (file, roots_file) = (installation.folder().join("answers.toml"), installation.folder().join("roots.pem"));
    fs::write(&roots_file, roots).unwrap();
    let answers = format!(
        "[administrator]\nname = \"Ana\"\nlocal_part = \"ana\"\npassword = \"{PASSWORD}\"\n\
         [place]\nurl = \"https://mail.tern.test\"\ndomain = \"tern.test\"\n\
         [certificate]\nkind = \"acme\"\ndirectory = \"{directory}\"\ncontact = \"{ANA}\"\nterms_agreed = true\n\
         roots = \"{}\"\n",
        roots_file.display()
    );
    fs::write(&file, answers).unwrap();
    installation.dns.address("mail.tern.test", installation.node("main").at.host);
    installation.admin_ok("main", &["--json", "setup", "--answers", &file.to_string_lossy(), "--yes"])
}

#[test]
fn a_file_of_answers_gets_a_certificate_from_an_authority_before_it_is_done() {
    if !have(&["pebble", "openssl"]) {
        return;
    }
    let mut installation = Installation::new();
    // Pebble looks at the node's ports, which are known only when the node is there.
    installation.start_empty("main");
    let pebble = pebble(&installation, false);
    let report = answer(&installation, &pebble.directory(), &pebble.roots());
    assert!(report.contains("issued by") && report.contains("Pebble"), "{report}");
    let at = installation.node("main").at;
    until("the certificate is shown after the restart, too", PATIENCE, || {
        let is_again = installation.node("main").log().matches("the node serves").count() == 2;
        (is_again && shown(at, at.ports.imaps, "mail.tern.test").contains("Pebble Intermediate")).then_some(())
    });
}

#[test]
fn an_authority_that_refuses_leaves_the_rest_of_the_answers_done() {
    if !have(&["pebble", "openssl"]) {
        return;
    }
    let mut installation = Installation::new();
    installation.start_empty("main");
    let pebble = pebble(&installation, true);
    let report = answer(&installation, &pebble.directory(), &pebble.roots());
    assert!(report.contains("externalAccountRequired") && report.contains("acme.eab-key"), "{report}");
    let at = installation.node("main").at;
    until("the administrator logs in", PATIENCE, || at.login(ANA).ok());
    let status = installation.admin("main", &["--json", "certificate", "status"]);
    let status = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(status.contains("failing") && status.contains("acme.eab-key"), "{status}");
}
