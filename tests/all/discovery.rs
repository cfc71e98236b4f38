//! How programs and DNS find the services of a domain: only what listens is announced, and all say the same.

use std::net::TcpStream;
use std::time::Duration;

use sterna_testkit::http::Http;
use sterna_testkit::installation::{Installation, Place};
use sterna_testkit::wait::until;

/// How long the main node may take to hear from another edge.
const WAIT: Duration = Duration::from_secs(30);

/// The main node announced under the name that a load balancer would have.
fn named() -> Installation {
    let mut installation = Installation::new();
    installation.start_main("main,edge,data", Place::default());
    installation.admin_ok("main", &["domain", "create", "tern.test", "--description", "Terns & friends"]);
    installation.create_user("ana@tern.test", "main");
    for (name, value) in [("discovery.host", "mail.tern.test"), ("discovery.exchangers", "mx1.tern.test mx2.tern.test")]
    {
        installation.admin_ok("main", &["config", "set", name, value]);
    }
    installation
}

fn nobody(installation: &Installation) -> Http {
    let at = installation.node("main").at;
    Http::connect(at.host, at.ports.http, None).unwrap()
}

fn get(http: &mut Http, path: &str, host: &str) -> (u16, String) {
    let answer = http.request("GET", path, &[("Host", host)], "").unwrap();
    (answer.status, answer.body)
}

#[test]
fn programs_are_told_where_everything_is_and_nobody_who_has_an_account() {
    let installation = named();
    let (mut http, at) = (nobody(&installation), installation.node("main").at);
    let asked = "/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress=ana%40tern.test";
    let (status, autoconfig) = get(&mut http, asked, "tern.test");
    assert_eq!(status, 200, "{autoconfig}");
    assert!(autoconfig.contains("<displayName>Terns &amp; friends</displayName>"), "{autoconfig}");
    // Each port that is told answers, and what isn't listened on (pop3s, submissions) isn't told.
    let ports: Vec<u16> =
        autoconfig.split("<port>").skip(1).map(|rest| rest.split('<').next().unwrap().parse().unwrap()).collect();
    let expected = [at.ports.imaps, at.ports.imap, at.ports.pop3, at.ports.submission];
    assert_eq!(ports, expected);
    expected.iter().for_each(|port| drop(TcpStream::connect((at.host, *port)).unwrap()));
    assert!(autoconfig.contains(&format!("<serverURL>https://mail.tern.test:{}/dav/</serverURL>", at.ports.https)));
    // By the name of the host, and for somebody who doesn't exist: the same.
    let paths = ["/mail/config-v1.1.xml", "/mail/config-v1.1.xml?emailaddress=nobody@tern.test"];
    for path in paths {
        assert_eq!(get(&mut http, path, "autoconfig.tern.test").1, autoconfig);
    }
    assert_eq!(get(&mut http, "/mail/config-v1.1.xml?emailaddress=a@other.test", "autoconfig.tern.test").0, 404);

    let schema = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a";
    let question = |address: &str| {
        format!(
            "<Autodiscover xmlns='http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006'>\
             <Request><EMailAddress>{address}</EMailAddress>\
             <AcceptableResponseSchema>{schema}</AcceptableResponseSchema></Request></Autodiscover>"
        )
    };
    let mut post = |body: &str| http.request("POST", "/Autodiscover/Autodiscover.xml", &[], body).unwrap().body;
    let outlook = post(&question("ana@tern.test"));
    assert!(outlook.contains("<Type>IMAP</Type><Server>mail.tern.test</Server>"), "{outlook}");
    assert!(outlook.contains(&format!("<Port>{}</Port>", at.ports.imaps)), "{outlook}");
    assert!(post(&question("ana@other.test")).contains("<ErrorCode>500</ErrorCode>"));
    assert!(post("<a").contains("<ErrorCode>600</ErrorCode>"));
    let json = "/autodiscover/autodiscover.json/v1.0/ana@tern.test?Protocol=";
    let (status, found) = get(&mut http, &format!("{json}AutodiscoverV1"), "tern.test");
    assert!(status == 200 && found.contains("/autodiscover/autodiscover.xml"), "{found}");
    assert_eq!(get(&mut http, &format!("{json}ActiveSync"), "tern.test").0, 404);

    let apple = "/.well-known/sterna/apple.mobileconfig?emailaddress=ana@tern.test";
    let answer = http.request("GET", apple, &[], "").unwrap();
    assert_eq!(answer.header("content-type"), Some("application/x-apple-aspen-config"));
    for part in ["com.apple.mail.managed", "com.apple.caldav.account", "com.apple.carddav.account", "ana@tern.test"] {
        assert!(answer.body.contains(part), "{part}: {answer:?}");
    }
    assert_eq!(http.request("PUT", apple, &[], "x").unwrap().status, 405);
}

#[test]
fn dns_is_told_of_every_edge_and_of_the_policy_that_is_served() {
    let mut installation = named();
    installation.join_and_serve("outside", "edge", Place::default());
    installation.admin_ok("main", &["dkim", "generate", "tern.test", "--algorithm", "ed25519", "--selector", "s1"]);
    let zone = |installation: &Installation| {
        let text = installation.admin_ok("main", &["domain", "dns", "tern.test", "--zone"]);
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    // The new edge is asked where it listens; before it answers, the command says so and fails.
    until("both edges are in the table", WAIT, || {
        let output = installation.admin("main", &["domain", "dns", "tern.test", "--zone"]);
        let imaps = String::from_utf8_lossy(&output.stdout).matches("_imaps._tcp").count();
        (output.status.success() && imaps == 2).then_some(())
    });
    let lines = zone(&installation);
    for name in ["main", "outside"] {
        let port = installation.node(name).at.ports.imaps;
        let line = format!("_imaps._tcp.tern.test. 3600 IN SRV 0 1 {port} mail.tern.test.");
        assert!(lines.contains(&line), "{line} is not in {lines:#?}");
    }
    for line in [
        "tern.test. 3600 IN MX 10 mx1.tern.test.",
        "tern.test. 3600 IN MX 10 mx2.tern.test.",
        "_pop3s._tcp.tern.test. 3600 IN SRV 0 0 0 .",
        "_caldavs._tcp.tern.test. 3600 IN TXT \"path=/dav/\"",
    ] {
        assert!(lines.iter().any(|found| found == line), "{line} is not in {lines:#?}");
    }
    assert!(lines.iter().any(|line| line.starts_with("s1._domainkey.tern.test. 3600 IN TXT \"v=DKIM1; k=ed25519; p=")));
    assert!(!lines.iter().any(|line| line.contains("_mta-sts")), "nothing was said of TLS yet: {lines:#?}");

    let mut http = nobody(&installation);
    let policy = "/.well-known/mta-sts.txt";
    assert_eq!(get(&mut http, policy, "mta-sts.tern.test").0, 404);
    let mut records = Vec::new();
    for mode in ["testing", "enforce"] {
        installation.admin_ok("main", &["config", "set", "mta-sts.mode", mode, "--domain", "tern.test"]);
        let (status, text) = get(&mut http, policy, "mta-sts.tern.test:443");
        assert_eq!(status, 200, "{text}");
        assert_eq!(
            text,
            format!("version: STSv1\r\nmode: {mode}\r\nmx: mx1.tern.test\r\nmx: mx2.tern.test\r\nmax_age: 1209600\r\n")
        );
        records.extend(zone(&installation).into_iter().filter(|line| line.starts_with("_mta-sts.tern.test.")));
    }
    assert!(records.len() == 2 && records[0] != records[1], "another policy has another id: {records:?}");
    for other in ["tern.test", "mta-sts.other.test", "test"] {
        assert_eq!(get(&mut http, policy, other).0, 404, "{other}");
    }
}

#[test]
fn an_edge_without_a_name_is_not_announced_and_said() {
    let mut installation = Installation::new();
    installation.start_main("main,edge,data", Place::default());
    installation.admin_ok("main", &["domain", "create", "tern.test"]);
    let output = installation.admin("main", &["domain", "dns", "tern.test", "--zone"]);
    assert_eq!(output.status.code(), Some(1));
    let (lines, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(lines.contains("_imaps._tcp.tern.test. 3600 IN SRV 0 0 0 ."), "{lines}");
    assert!(said.contains("set hostname in its sterna.toml"), "{said}");
}
