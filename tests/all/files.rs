//! Files: former versions, links for people without an account, and what POST and Prefer do. The account is on another
//! node than the edge.

use std::fs;

use serde_json::Value;
use sterna_testkit::http::{Answer, Http};
use sterna_testkit::installation::{Installation, PASSWORD};

const ANA: &str = "ana@tern.test";
const FILES: &str = "/dav/files/ana@tern.test/";

struct Client(Http);

impl Client {
    fn of(installation: &Installation, user: Option<&str>) -> Self {
        let at = installation.node("main").at;
        Client(Http::connect(at.host, at.ports.http, user.map(|user| (user, PASSWORD))).unwrap())
    }

    /// With the password of a link.
    fn with(installation: &Installation, password: &str) -> Self {
        let at = installation.node("main").at;
        Client(Http::connect(at.host, at.ports.http, Some(("", password))).unwrap())
    }

    fn is(&mut self, status: u16, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let answer = self.0.request(method, path, headers, body).unwrap();
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        answer
    }

    fn json(&mut self, status: u16, method: &str, path: &str, body: &str) -> Value {
        let answer = self.is(status, method, path, &[], body);
        serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
    }
}

#[test]
fn what_is_replaced_or_deleted_comes_back() {
    let installation = Installation::standard();
    let mut ana = Client::of(&installation, Some(ANA));
    ana.is(201, "MKCOL", &format!("{FILES}reports"), &[], "");
    let path = format!("{FILES}reports/may.txt");
    let large = "x".repeat(300_000);
    ana.is(201, "PUT", &path, &[], "one");
    // A property that a client sets stays with the file, whatever is written into it.
    let patch = "<propertyupdate xmlns='DAV:' xmlns:Z='urn:z'><set><prop><Z:c>red</Z:c></prop></set></propertyupdate>";
    ana.is(207, "PROPPATCH", &path, &[], patch);
    ana.is(204, "PUT", &path, &[], &large);
    ana.is(204, "PUT", &path, &[], "three");
    ana.is(204, "PUT", &path, &[], "three");
    let find = "<propfind xmlns='DAV:' xmlns:Z='urn:z'><prop><Z:c/></prop></propfind>";
    assert!(ana.is(207, "PROPFIND", &path, &[("Depth", "0")], find).body.contains("red"));

    let found = ana.json(200, "GET", &format!("{path}?versions"), "");
    let sizes: Vec<u64> = found["versions"].as_array().unwrap().iter().map(|v| v["size"].as_u64().unwrap()).collect();
    assert_eq!(sizes, [300_000, 3], "the same content again is no version: {found}");
    let [second, first] = [0, 1].map(|at| found["versions"][at]["id"].to_string());
    assert_eq!(ana.is(200, "GET", &format!("{path}?version={first}"), &[], "").body, "one");
    assert_eq!(ana.is(200, "GET", &format!("{path}?version={second}"), &[], "").body, large);
    ana.is(404, "GET", &format!("{path}?version=99"), &[], "");
    // Nobody meets a version as a file.
    let listed = ana.is(207, "PROPFIND", &format!("{FILES}reports/"), &[("Depth", "1")], "");
    assert_eq!(listed.body.matches("<D:response>").count(), 2, "{listed:?}");

    ana.is(204, "POST", &format!("{path}?restore={first}"), &[], "");
    assert_eq!(ana.is(200, "GET", &path, &[], "").body, "one");
    ana.is(412, "POST", &format!("{path}?restore={second}"), &[("If-Match", "\"else\"")], "");

    ana.is(204, "DELETE", &path, &[], "");
    let gone = ana.json(200, "GET", &format!("{FILES}reports/?deleted"), "");
    assert_eq!(
        (gone["versions"][0]["name"].as_str(), gone["versions"][0]["size"].as_u64()),
        (Some("may.txt"), Some(3))
    );
    // Once more from the command line, after the account went elsewhere with all of it.
    installation.admin_ok("main", &["account", "move", ANA, "--to", "beta"]);
    let rows = installation.admin_ok("main", &["--json", "file", "versions", ANA, "reports/may.txt"]);
    let rows: Value = serde_json::from_str(&rows).unwrap();
    let wanted = rows.as_array().unwrap().iter().find(|row| row["size"] == 300_000).unwrap()["version"].to_string();
    installation.admin_ok("main", &["file", "restore", ANA, "reports/may.txt", &wanted]);
    assert_eq!(ana.is(200, "GET", &path, &[], "").body, large);
    let rows = installation.admin_ok("main", &["--json", "file", "versions", ANA, "reports/"]);
    assert_eq!(serde_json::from_str::<Value>(&rows).unwrap(), serde_json::json!([]), "it is there again");

    // Others see nothing of it.
    let mut ben = Client::of(&installation, Some("ben@tern.test"));
    ben.is(404, "GET", &format!("{path}?versions"), &[], "");
    ben.is(404, "POST", &format!("{path}?restore={first}"), &[], "");
}

#[test]
fn links_open_what_they_name_until_they_end() {
    let installation = Installation::standard();
    installation.admin_ok("main", &["config", "set", "external-url", "https://mail.tern.test"]);
    let mut ana = Client::of(&installation, Some(ANA));
    for folder in ["shared", "shared/inner", "private"] {
        ana.is(201, "MKCOL", &format!("{FILES}{folder}"), &[], "");
    }
    for (name, text) in [("shared/a.txt", "alpha"), ("shared/inner/b%20&.txt", "beta"), ("private/c.txt", "gamma")] {
        ana.is(201, "PUT", &format!("{FILES}{name}"), &[], text);
    }
    let mut nobody = Client::of(&installation, None);
    let link = ana.json(201, "POST", &format!("{FILES}private/c.txt?link"), "{\"label\": \"For you\"}");
    let path = link["path"].as_str().unwrap().to_owned();
    assert_eq!(link["url"].as_str(), Some(format!("https://mail.tern.test{path}").as_str()));
    let got = nobody.is(200, "GET", &path, &[], "");
    assert_eq!((got.body.as_str(), got.header("referrer-policy")), ("gamma", Some("no-referrer")));
    assert!(got.header("content-disposition").is_some_and(|said| said.starts_with("attachment; ")));
    // Whatever the file holds now; and nothing else.
    ana.is(204, "PUT", &format!("{FILES}private/c.txt"), &[], "delta");
    assert_eq!(nobody.is(200, "GET", &path, &[], "").body, "delta");
    nobody.is(400, "GET", &format!("{path}/../a.txt"), &[], "");
    nobody.is(404, "GET", &format!("{path}/x"), &[], "");
    nobody.is(403, "PUT", &path, &[], "mine");
    nobody.is(405, "DELETE", &path, &[], "");
    let mut guess = path.clone();
    guess.pop();
    nobody.is(404, "GET", &format!("{guess}_"), &[], "");

    // Who is not the owner makes none, and ends none.
    let mut ben = Client::of(&installation, Some("ben@tern.test"));
    ben.is(404, "POST", &format!("{FILES}private/c.txt?link"), &[], "{}");
    let listed = ana.json(200, "GET", &format!("{FILES}private/c.txt?links"), "");
    assert_eq!(listed["links"].as_array().map(Vec::len), Some(1));
    let token = link["token"].as_str().unwrap();
    ana.is(404, "DELETE", &format!("{FILES}shared/a.txt?link={token}"), &[], "");
    ana.is(204, "DELETE", &format!("{FILES}private/c.txt?link={token}"), &[], "");
    nobody.is(404, "GET", &path, &[], "");
    assert_eq!(ana.is(200, "GET", &format!("{FILES}private/c.txt"), &[], "").body, "delta", "the file stays");

    // A folder with a password, into which people put files.
    let wish = "{\"password\": \"grey gull\", \"expires_days\": 3, \"upload\": true}";
    let link = ana.json(201, "POST", &format!("{FILES}shared/?link"), wish);
    let path = link["path"].as_str().unwrap().to_owned();
    let asked = nobody.is(401, "GET", &path, &[], "");
    assert!(asked.header("www-authenticate").is_some());
    let mut guest = Client::with(&installation, "grey gull");
    let page = guest.is(200, "GET", &path, &[], "");
    assert!(page.body.contains(">a.txt</a>") && page.body.contains(">inner</a>"), "{page:?}");
    assert!(page.header("content-security-policy").is_some_and(|policy| policy.contains("default-src 'none'")));
    let page = guest.is(200, "GET", &format!("{path}/inner/"), &[], "").body;
    let href = page.split("href=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    assert_eq!(guest.is(200, "GET", &href, &[], "").body, "beta");
    // A file that is there stays; the new one gets another name.
    let put = guest.is(201, "PUT", &format!("{path}/a.txt"), &[], "other");
    assert_eq!(put.header("location"), Some(format!("{path}/a%20(2).txt").as_str()));
    assert_eq!(ana.is(200, "GET", &format!("{FILES}shared/a.txt"), &[], "").body, "alpha");
    assert_eq!(ana.is(200, "GET", &format!("{FILES}shared/a%20(2).txt"), &[], "").body, "other");

    // Passwords are guessed slowly, and the right one waits with the wrong ones.
    let mut thief = Client::with(&installation, "gull");
    for _ in 0..20 {
        thief.is(401, "GET", &path, &[], "");
    }
    let rest = thief.is(429, "GET", &path, &[], "");
    assert!(rest.header("retry-after").is_some());
    guest.is(429, "GET", &path, &[], "");
    // By the command line, too: listed and ended.
    let rows = installation.admin_ok("main", &["--json", "file", "links", ANA]);
    let rows: Value = serde_json::from_str(&rows).unwrap();
    assert_eq!((rows.as_array().map(Vec::len), &rows[0]["password"]), (Some(1), &Value::Bool(true)));
    installation.admin_ok("main", &["file", "unlink", ANA, link["token"].as_str().unwrap(), "--yes"]);
    nobody.is(404, "GET", &path, &[], "");

    let password = installation.folder().join("link-password");
    fs::write(&password, "tern\n").unwrap();
    let made = ["--json", "file", "link", ANA, "shared/inner", "--password-file", &password.to_string_lossy()];
    let made: Value = serde_json::from_str(&installation.admin_ok("main", &made)).unwrap();
    let path = made["path"].as_str().unwrap();
    assert!(Client::with(&installation, "tern").is(200, "GET", path, &[], "").body.contains("b &amp;.txt"));
    Client::with(&installation, "tern").is(403, "PUT", &format!("{path}/x"), &[], "x");
}

#[test]
fn posts_find_names_and_answers_have_what_was_written() {
    let installation = Installation::standard();
    let mut ana = Client::of(&installation, Some(ANA));
    let calendar = "/dav/calendars/ana@tern.test/Calendar/";
    let event = "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//t//EN\r\nBEGIN:VEVENT\r\nUID:one\r\n\
                 DTSTAMP:20250101T000000Z\r\nDTSTART:20250102T000000Z\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n";
    let find = "<propfind xmlns='DAV:'><prop><add-member/></prop></propfind>";
    let told = ana.is(207, "PROPFIND", calendar, &[("Depth", "0")], find);
    let href = told.body.split("<D:add-member>").nth(1).unwrap_or_else(|| panic!("{told:?}"));
    let href = href.split("<D:href>").nth(1).unwrap().split('<').next().unwrap().to_owned();
    let made = ana.is(201, "POST", &href, &[("Prefer", "return=representation")], event);
    let place = made.header("location").unwrap().to_owned();
    assert!(place.starts_with(calendar) && place.ends_with(".ics"), "{place}");
    assert_eq!((made.body.as_str(), made.header("preference-applied")), (event, Some("return=representation")));
    assert_eq!(ana.is(200, "GET", &place, &[], "").etag(), made.etag());
    // The same UID again is refused, under whatever name.
    ana.is(403, "POST", &href, &[], event);
    let later = event.replace("20250102", "20250103");
    let put = ana.is(200, "PUT", &place, &[("Prefer", "return=representation")], &later);
    assert_eq!((put.body.as_str(), put.header("content-location")), (later.as_str(), Some(place.as_str())));
    assert_eq!(ana.is(204, "PUT", &place, &[], event).body, "");
    ana.is(405, "POST", calendar, &[], event);
}
