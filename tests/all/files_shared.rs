//! Files that others share in one's own file space, what changed in a folder, and calendars that several people manage.
//! Whoever shares and whoever is shared with are on different data servers.

use sterna_testkit::http::Answer;
use sterna_testkit::installation::Installation;

use crate::dav_rights::{Dav, event};
use crate::detached::{message, send};

const ANA: &str = "ana@tern.test";
const BEN: &str = "ben@tern.test";
const ANAS: &str = "/dav/files/ana@tern.test/";
const BENS: &str = "/dav/files/ben@tern.test/";

/// What is told of the one that is shown so: its path.
fn shown(listed: &Answer, name: &str) -> Option<String> {
    let of = listed.texts("D:response").into_iter().find(|told| told.contains(&format!(">{name}<")))?;
    let path = of.split("<D:href>").nth(1)?.split('<').next()?;
    Some(path.to_owned())
}

fn listed(user: &mut Dav, path: &str) -> Answer {
    user.propfind(path, "1", "<displayname/><resourcetype/><sync-token/>")
}

/// What changed in a folder since a token, sorted, with its status, and the next token.
fn changed(user: &mut Dav, path: &str, token: &str) -> (Vec<(String, bool)>, String) {
    let body = format!(
        "<sync-collection xmlns='DAV:'><sync-token>{token}</sync-token><sync-level>1</sync-level>\
         <prop><getetag/><resourcetype/></prop></sync-collection>"
    );
    let answer = user.is(207, "REPORT", path, &[], &body);
    let one = |told: String| {
        let href = told.split("<D:href>").nth(1).unwrap().split('<').next().unwrap().to_owned();
        let is_there = told.contains("D:propstat");
        (href.strip_prefix(path).unwrap_or_else(|| panic!("{href} in {path}")).to_owned(), is_there)
    };
    let mut found: Vec<(String, bool)> = answer.texts("D:response").into_iter().map(one).collect();
    found.sort();
    (found, answer.texts("D:sync-token").pop().unwrap())
}

#[test]
fn what_changed_in_a_folder_is_told() {
    let installation = Installation::standard();
    let mut ana = Dav::of(&installation, ANA);
    for folder in ["one", "one/in", "two"] {
        ana.is(201, "MKCOL", &format!("{ANAS}{folder}/"), &[], "");
    }
    ana.is(201, "PUT", &format!("{ANAS}a.txt"), &[], "a");
    let there = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), true)).collect::<Vec<_>>();
    let (found, token) = changed(&mut ana, ANAS, "");
    assert_eq!(found, there(&["a.txt", "one/", "two/"]));
    assert!(listed(&mut ana, ANAS).body.contains(&token), "it is the folder's own token");
    assert_eq!(changed(&mut ana, ANAS, &token), (Vec::new(), token.clone()));

    ana.is(204, "PUT", &format!("{ANAS}a.txt"), &[], "another");
    ana.is(201, "MKCOL", &format!("{ANAS}three/"), &[], "");
    ana.is(201, "PUT", &format!("{ANAS}one/in/deep.txt"), &[], "deep");
    let (found, next) = changed(&mut ana, ANAS, &token);
    assert_eq!(found, there(&["a.txt", "three/"]), "neither versions nor what is deeper");
    ana.is(204, "DELETE", &format!("{ANAS}a.txt"), &[], "");
    ana.is(204, "DELETE", &format!("{ANAS}two/"), &[], "");
    ana.is(201, "MOVE", &format!("{ANAS}one/in/"), &[("Destination", &format!("{ANAS}out/"))], "");
    ana.is(201, "MOVE", &format!("{ANAS}three/"), &[("Destination", &format!("{ANAS}one/three/"))], "");
    ana.is(201, "COPY", &format!("{ANAS}out/"), &[("Destination", &format!("{ANAS}copy/"))], "");
    let (found, last) = changed(&mut ana, ANAS, &next);
    let gone = |name: &str| (name.to_owned(), false);
    let mut wanted = there(&["copy/", "out/"]);
    wanted.extend([gone("a.txt"), gone("three/"), gone("two/")]);
    wanted.sort();
    assert_eq!(found, wanted);
    let (found, _) = changed(&mut ana, &format!("{ANAS}one/"), "");
    assert_eq!(found, there(&["three/"]));
    // What was made and deleted again is no version of a file.
    let deleted = ana.is(200, "GET", &format!("{ANAS}?deleted"), &[], "");
    assert!(!deleted.body.contains('/') && deleted.body.contains("a.txt"), "{deleted:?}");
    // The same after the account went elsewhere; tokens of others and deeper levels are refused.
    installation.admin_ok("main", &["account", "move", ANA, "--to", "beta"]);
    assert_eq!(changed(&mut ana, ANAS, &last), (Vec::new(), last.clone()));
    let infinite = "<sync-collection xmlns='DAV:'><sync-token/><sync-level>infinite</sync-level><prop><getetag/></prop>\
        </sync-collection>";
    let refused = ana.is(403, "REPORT", ANAS, &[], infinite);
    assert!(refused.body.contains("sync-traversal-supported"), "{refused:?}");
    let body = infinite.replace("infinite", "1").replace("<sync-token/>", &format!("<sync-token>{last}</sync-token>"));
    let refused = ana.is(403, "REPORT", &format!("{ANAS}one/"), &[], &body);
    assert!(refused.body.contains("valid-sync-token"), "{refused:?}");
    installation.is_sound();
}

#[test]
fn the_folder_for_attachments_is_told_when_it_comes() {
    let installation = Installation::standard();
    installation.admin_ok("main", &["config", "set", "external-url", "https://mail.tern.test"]);
    let length = ["config", "set", "attachments.detach-bytes", "150000", "--domain", "tern.test"];
    installation.admin_ok("main", &length);
    let mut ana = Dav::of(&installation, ANA);
    let (found, token) = changed(&mut ana, ANAS, "");
    assert_eq!(found, []);
    send(&installation, &message("large", "mixed", 200_000));
    assert_eq!(changed(&mut ana, ANAS, &token).0, [("Attachments/".to_owned(), true)]);
    assert_eq!(changed(&mut ana, &format!("{ANAS}Attachments/"), "").0, [("May%20report.pdf".to_owned(), true)]);
    installation.is_sound();
}

#[test]
fn files_of_others_are_among_ones_own() {
    let mut installation = Installation::standard();
    let (mut ana, mut ben) = (Dav::of(&installation, ANA), Dav::of(&installation, BEN));
    for folder in ["work", "work/reports", "work/reports/may", "work/private"] {
        ana.is(201, "MKCOL", &format!("{ANAS}{folder}/"), &[], "");
    }
    ana.is(201, "PUT", &format!("{ANAS}work/reports/may/a.txt"), &[], "terns");
    let give = |installation: &Installation, level: &str, folder: &str| {
        installation.admin_ok("main", &["account", "acl", "set", ANA, BEN, level, "--folder", folder]);
    };
    assert_eq!(shown(&listed(&mut ben, BENS), "reports (ana@tern.test)"), None);
    give(&installation, "read", "work/reports");
    let mount = shown(&listed(&mut ben, BENS), "reports (ana@tern.test)").expect("what ana shares");
    assert!(mount.starts_with(&format!("{BENS}reports%20(ana@tern.test)%20%5B")), "{mount}");
    // Everything below has its path there, and rights are those that were given.
    let inside = listed(&mut ben, &mount);
    assert_eq!(shown(&inside, "may"), Some(format!("{mount}may/")), "{inside:?}");
    let file = format!("{mount}may/a.txt");
    assert_eq!(ben.is(200, "GET", &file, &[], "").body, "terns");
    assert_eq!(shown(&listed(&mut ben, &format!("{mount}may/")), "a.txt"), Some(file.clone()));
    ben.is(403, "PUT", &file, &[], "mine");
    ben.is(403, "MKCOL", &format!("{mount}more/"), &[], "");
    ben.is(400, "PROPFIND", &format!("{mount}../private/"), &[("Depth", "0")], "");
    give(&installation, "write", "work/reports");
    ben.is(204, "PUT", &file, &[("If-Match", "*")], "terns and gulls");
    ben.is(201, "MKCOL", &format!("{mount}june/"), &[], "");
    ben.is(201, "PUT", &format!("{mount}june/b.txt"), &[], "b");
    ben.is(201, "MOVE", &format!("{mount}june/b.txt"), &[("Destination", &format!("{BENS}b.txt"))], "");
    ben.is(201, "COPY", &format!("{BENS}b.txt"), &[("Destination", &format!("{mount}may/b.txt"))], "");
    assert_eq!(ana.is(200, "GET", &format!("{ANAS}work/reports/may/a.txt"), &[], "").body, "terns and gulls");
    assert_eq!(ana.is(200, "GET", &format!("{ANAS}work/reports/may/b.txt"), &[], "").body, "b");
    // What has no such name now is ben's own, and not what it was called before.
    let other = mount.replace("reports", "report");
    ben.is(404, "PROPFIND", &other, &[("Depth", "0")], "");
    let (found, token) = changed(&mut ben, &mount, "");
    assert_eq!(found, [("june/".to_owned(), true), ("may/".to_owned(), true)]);
    ben.is(204, "DELETE", &format!("{mount}june/"), &[], "");
    assert_eq!(changed(&mut ben, &mount, &token).0, [("june/".to_owned(), false)]);
    // A lock that is taken by one path is there by the other.
    let lock = "<lockinfo xmlns='DAV:'><lockscope><exclusive/></lockscope><locktype><write/></locktype></lockinfo>";
    ben.is(200, "LOCK", &file, &[], lock);
    ana.is(423, "PUT", &format!("{ANAS}work/reports/may/a.txt"), &[], "x");

    // While ana's server is away it stays listed.
    installation.kill("alpha");
    let away = listed(&mut ben, BENS);
    assert_eq!(shown(&away, "reports (ana@tern.test)"), Some(mount.clone()), "{away:?}");
    installation.serve("alpha");
    let answers = || (ben.ask("PROPFIND", &mount, &[("Depth", "0")], "").status == 207).then_some(());
    sterna_testkit::wait::until("alpha", std::time::Duration::from_secs(30), answers);
    // Deleting it takes it out of ben's files, and nothing else.
    ben.is(204, "DELETE", &mount, &[], "");
    assert_eq!(shown(&listed(&mut ben, BENS), "reports (ana@tern.test)"), None);
    ana.is(200, "GET", &format!("{ANAS}work/reports/may/a.txt"), &[], "");
    // All of somebody's files, too.
    give(&installation, "read", "/");
    let all = shown(&listed(&mut ben, BENS), "files (ana@tern.test)").expect("all that ana has");
    assert_eq!(ben.is(200, "GET", &format!("{all}work/reports/may/b.txt"), &[], "").body, "b");
    ben.is(403, "MOVE", &all, &[("Destination", &format!("{BENS}mine/"))], "");
    installation.is_sound();
}

#[test]
fn what_others_share_comes_and_goes_among_the_changes_of_ones_own_files() {
    let installation = Installation::standard();
    let (mut ana, mut ben) = (Dav::of(&installation, ANA), Dav::of(&installation, BEN));
    for folder in ["work", "work/reports", "work/reports/may", "work/reports/june"] {
        ana.is(201, "MKCOL", &format!("{ANAS}{folder}/"), &[], "");
    }
    let acl = |change: &[&str], folder: &str| {
        let words = [&["account", "acl", change[0], ANA, BEN][..], &change[1..], &["--folder", folder]].concat();
        installation.admin_ok("main", &words);
    };
    let state = |ben: &mut Dav| ben.propfind(BENS, "0", "<sync-token/>").texts("D:sync-token").remove(0);
    let (found, token) = changed(&mut ben, BENS, "");
    assert_eq!((found, state(&mut ben)), (Vec::new(), token.clone()));
    // Whoever asks for nothing but the state knows by it, too.
    acl(&["set", "read"], "work/reports");
    assert_ne!(state(&mut ben), token);
    let (found, token) = changed(&mut ben, BENS, &token);
    let [(mount, true)] = &found[..] else { panic!("{found:?}") };
    assert!(mount.starts_with("reports%20(ana@tern.test)"), "{mount}");
    assert_eq!(changed(&mut ben, BENS, "").0, [(mount.clone(), true)]);
    assert_eq!(changed(&mut ben, BENS, &token), (Vec::new(), token.clone()));

    // What ben may not see any more goes, and comes back; what he never saw is nothing to him.
    let inside = format!("{BENS}{mount}");
    let (found, within) = changed(&mut ben, &inside, "");
    assert_eq!(found, [("june/".to_owned(), true), ("may/".to_owned(), true)]);
    acl(&["delete"], "work/reports/may");
    let (found, within) = changed(&mut ben, &inside, &within);
    assert_eq!(found, [("may/".to_owned(), false)]);
    ana.is(201, "MKCOL", &format!("{ANAS}work/reports/may/in/"), &[], "");
    ana.is(201, "MOVE", &format!("{ANAS}work/reports/may/"), &[("Destination", &format!("{ANAS}work/secret/"))], "");
    ana.is(201, "MOVE", &format!("{ANAS}work/secret/"), &[("Destination", &format!("{ANAS}work/reports/quiet/"))], "");
    let (found, within) = changed(&mut ben, &inside, &within);
    assert_eq!(found, []);
    acl(&["set", "read"], "work/reports/quiet");
    ana.is(204, "DELETE", &format!("{ANAS}work/reports/june/"), &[], "");
    let (found, within) = changed(&mut ben, &inside, &within);
    assert_eq!(found, [("june/".to_owned(), false), ("quiet/".to_owned(), true)]);
    let revoke = "<acl xmlns='DAV:'/>";
    ana.is(200, "ACL", &format!("{ANAS}work/reports/quiet/"), &[], revoke);
    assert_eq!(changed(&mut ben, &inside, &within).0, [("quiet/".to_owned(), false)]);

    // Another name is another path; and in the end it is gone.
    ana.is(201, "MOVE", &format!("{ANAS}work/reports/"), &[("Destination", &format!("{ANAS}work/papers/"))], "");
    let (found, token) = changed(&mut ben, BENS, &token);
    let renamed = mount.replace("reports", "papers");
    assert_eq!(found, [(renamed.clone(), true), (mount.clone(), false)]);
    acl(&["delete"], "work/papers");
    let (found, token) = changed(&mut ben, BENS, &token);
    assert_eq!(found, [(renamed.clone(), false)]);
    acl(&["set", "read"], "work/papers");
    let (found, token) = changed(&mut ben, BENS, &token);
    assert_eq!(found, [(renamed.clone(), true)]);
    ben.is(204, "DELETE", &format!("{BENS}{renamed}"), &[], "");
    assert_eq!(changed(&mut ben, BENS, &token).0, [(renamed, false)]);
    installation.is_sound();
}

#[test]
fn ones_own_folders_may_end_in_numbers() {
    let installation = Installation::standard();
    let mut ben = Dav::of(&installation, BEN);
    let (folder, name) = (format!("{BENS}Belege%20%5B2023-2024%5D/"), "Belege [2023-2024]");
    ben.is(201, "MKCOL", &folder, &[], "");
    assert_eq!(shown(&listed(&mut ben, BENS), name), Some(folder.clone()));
    ben.is(201, "MKCOL", &format!("{folder}May/"), &[], "");
    ben.is(201, "PUT", &format!("{folder}May/a.txt"), &[], "a");
    assert_eq!(ben.is(200, "GET", &format!("{folder}May/a.txt"), &[], "").body, "a");
    assert_eq!(shown(&listed(&mut ben, &folder), "May"), Some(format!("{folder}May/")));
    // Also one that looks like what somebody who isn't there shares, and a file.
    let alike = format!("{BENS}a%20(gone@tern.test)%20%5B2023-2024%5D/");
    ben.is(201, "MOVE", &folder, &[("Destination", &alike)], "");
    assert_eq!(ben.is(200, "GET", &format!("{alike}May/a.txt"), &[], "").body, "a");
    ben.is(404, "PROPFIND", &folder, &[("Depth", "0")], "");
    let file = format!("{BENS}notes%20%5B1-2%5D");
    ben.is(201, "PUT", &file, &[], "b");
    assert_eq!(ben.is(200, "GET", &file, &[], "").body, "b");
    ben.is(204, "DELETE", &file, &[], "");
    ben.is(204, "DELETE", &alike, &[], "");
    installation.is_sound();
}

#[test]
fn who_manages_calendars_of_a_shared_account_makes_more_of_them() {
    let installation = Installation::standard();
    let team = "team@tern.test";
    installation.admin_ok("main", &["account", "create", team, "--name", "Team"]);
    let give = |who: &str, level: &str| {
        for (option, name) in [("--calendar", "Calendar"), ("--address-book", "Contacts"), ("--folder", "/")] {
            installation.admin_ok("main", &["account", "acl", "set", team, who, level, option, name]);
        }
    };
    give(ANA, "manage");
    give("@tern.test", "write");
    let (mut ana, mut ben) = (Dav::of(&installation, ANA), Dav::of(&installation, BEN));
    let calendar = format!("/dav/calendars/{team}/shifts/");
    ben.is(403, "MKCALENDAR", &calendar, &[], "");
    ana.is(201, "MKCALENDAR", &calendar, &[], "");
    ana.is(201, "PUT", &format!("{calendar}one.ics"), &[], &event("one"));
    // It is shared as the one beside it, and so in the home of everybody.
    assert!(shown(&listed(&mut ben, "/dav/calendars/ben@tern.test/"), "shifts (team@tern.test)").is_some());
    ben.is(201, "PUT", &format!("{calendar}two.ics"), &[], &event("two"));
    ben.is(403, "DELETE", &calendar, &[], "");
    ana.is(204, "DELETE", &calendar, &[], "");
    let book = format!("/dav/addressbooks/{team}/customers/");
    ben.is(403, "MKCOL", &book, &[], "");
    ana.is(201, "MKCOL", &book, &[], "");
    // Who manages one calendar of a person makes no others in that person's home.
    installation.admin_ok("main", &["account", "acl", "set", ANA, BEN, "manage", "--calendar", "Calendar"]);
    ben.is(403, "MKCALENDAR", "/dav/calendars/ana@tern.test/more/", &[], "");
    let subscribed = "<mkcol xmlns='DAV:' xmlns:S='http://calendarserver.org/ns/'><set><prop><resourcetype>\
        <collection/><S:subscribed/></resourcetype><S:source><href>https://tern.test/a.ics</href></S:source></prop>\
        </set></mkcol>";
    ben.is(403, "MKCOL", "/dav/calendars/ana@tern.test/more/", &[], subscribed);
    ana.is(403, "MKCOL", &calendar, &[], subscribed);
    // The team's files are a space of their own, in everybody's.
    let files = shown(&listed(&mut ben, BENS), "files (team@tern.test)").expect("the team's files");
    ben.is(201, "MKCOL", &format!("{files}plans/"), &[], "");
    ben.is(201, "PUT", &format!("{files}plans/a.txt"), &[], "a");
    assert_eq!(ana.is(200, "GET", &format!("/dav/files/{team}/plans/a.txt"), &[], "").body, "a");
    let quota = ana.propfind(&format!("/dav/files/{team}/"), "0", "<quota-used-bytes/>");
    assert!(quota.texts("D:quota-used-bytes")[0].parse::<u64>().unwrap() > 0, "{quota:?}");
    // What they take is the team's, whoever wrote it, and there is as much room as the team was given.
    installation.admin_ok("main", &["account", "set", team, "--quota", "100k"]);
    let all = "<quota-used-bytes/><quota-available-bytes/>";
    let left = |user: &mut Dav, path: &str| -> u64 {
        user.propfind(path, "0", all).texts("D:quota-available-bytes")[0].parse().unwrap()
    };
    let before = left(&mut ben, &files);
    assert!((1..100 * 1024).contains(&before), "{before}");
    ben.is(201, "PUT", &format!("{files}plans/b.txt"), &[], &"b".repeat(60_000));
    assert!(left(&mut ana, &format!("/dav/files/{team}/")) <= before - 60_000);
    let refused = ben.is(507, "PUT", &format!("{files}plans/c.txt"), &[], &"c".repeat(60_000));
    assert!(refused.body.contains("quota-not-exceeded"), "{refused:?}");
    ben.is(201, "PUT", &format!("{BENS}own.txt"), &[], &"c".repeat(60_000));
    ana.is(204, "DELETE", &format!("/dav/files/{team}/plans/b.txt"), &[], "");
    installation.is_sound();
}
