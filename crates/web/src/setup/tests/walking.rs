//! From the first page to the last, with slips, without JavaScript, in three languages.

use std::sync::atomic::Ordering;

use http::{StatusCode, header};

use super::super::door::{Person, Refusal, ServerRow};
use super::super::unattended;
use super::{ADMINISTRATOR, Browser, PLACE, World};
use crate::setup::answers::AnswersFile;

async fn answered(world: &World) -> Browser {
    let mut browser = world.inside().await;
    browser.submit("/setup/administrator", &ADMINISTRATOR).await;
    assert_eq!(browser.submit("/setup/place", &PLACE).await.location, "/setup/checks");
    browser
}

#[tokio::test]
async fn the_whole_way_through_ends_for_ever() {
    let mut world = World::new();
    let mut browser = world.inside().await;
    let page = browser.get("/setup").await.location;
    let next = browser.submit(&page, &ADMINISTRATOR).await.location;
    assert!(browser.get(&next).await.body.contains("value=\"https://mail1.tern.test\""), "prefilled");
    let next = browser.submit(&next, &PLACE).await.location;
    assert_eq!(next, "/setup/checks");
    let next = browser.submit(&next, &[("action", "next")]).await.location;
    let next = browser.submit(&next, &[("action", "next")]).await.location;
    let next = browser.submit(&next, &[("kind", "self-signed")]).await.location;
    let next = browser.submit(&next, &[("action", "select"), ("selected", "mail1")]).await.location;
    let next = browser.submit(&next, &[("place", "/srv/backup")]).await.location;
    let next = browser.submit(&next, &[("people", "ben, Ben Example\nzoe@tern.test")]).await.location;
    assert_eq!(next, "/setup/proof");
    assert_eq!(browser.submit(&next, &[("elsewhere", "ana@far.test")]).await.location, "/setup/proof");
    let page = browser.get("/setup/proof").await.body;
    for part in ["has arrived in the mailbox of ana@tern.test", "spf=pass", "What came back from elsewhere", "<svg"] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    assert!(browser.submit("/setup/proof", &[("action", "finish")]).await.body.contains("href=\"/admin/\""));
    // Over for whoever comes, also after a restart, and no code leads in.
    assert!(world.setup.new_code().await.unwrap().is_none());
    world.restart();
    browser.router = super::router(world.setup.clone());
    let over = browser.get("/setup").await;
    assert!(over.status == StatusCode::OK && over.body.contains("href=\"/admin/\""), "{}", over.body);
    for path in ["/setup/administrator", "/setup/proof", "/setup/zone"] {
        assert_eq!(browser.get(path).await.location, "/setup");
    }
    assert_eq!(browser.post("/setup/administrator", &ADMINISTRATOR).await.location, "/setup");
    assert!(world.setup.new_code().await.unwrap().is_none());
    let model = &world.model;
    assert_eq!(*model.administrators.lock(), [("ana@tern.test".into(), "$argon2id$of 21 bytes".into())]);
    assert_eq!((model.people.lock().len(), model.finished.load(Ordering::SeqCst)), (2, 1));
    let file = std::fs::read_to_string(world.folder.path().join("setup.toml")).unwrap();
    assert!(file.contains("/srv/backup") && !file.contains("argon2id") && !file.contains("correct horse"), "{file}");
}

#[tokio::test]
async fn answers_can_be_given_again_and_make_nothing_twice() {
    let world = World::new();
    let mut browser = answered(&world).await;
    let places = [("url", "mail.other.test:8443/"), ("domain", "@Other.test")];
    assert_eq!(browser.submit("/setup/place", &places).await.location, "/setup/checks");
    assert_eq!(*world.model.domains.lock(), [("other.test".into(), "https://mail.other.test:8443".into())]);
    assert_eq!(world.model.administrators.lock().len(), 1);
    // Another name, and the password stays when nothing is typed.
    let other = [("name", "Eve"), ("local_part", "eve"), ("password", ""), ("again", "")];
    assert_eq!(browser.submit("/setup/administrator", &other).await.status, StatusCode::SEE_OTHER);
    assert_eq!(*world.model.administrators.lock(), [("eve@other.test".into(), "$argon2id$of 21 bytes".into())]);
    assert!(browser.get("/setup/administrator").await.body.contains("value=\"eve\""));
}

#[tokio::test]
async fn what_is_refused_behind_the_page_is_told_with_its_remedy_and_nothing_that_was_typed_is_lost() {
    let world = World::new();
    let mut browser = world.inside().await;
    browser.submit("/setup/administrator", &ADMINISTRATOR).await;
    *world.model.refuses.lock() = Some(Refusal::new("taken", "the domain is taken", "Choose another <one>."));
    let answer = browser.submit("/setup/place", &[("url", "https://a.tern.test"), ("domain", "typed.test")]).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    for part in ["role=\"alert\"", "the domain is taken", "Choose another &lt;one&gt;.", "value=\"typed.test\""] {
        assert!(answer.body.contains(part), "{part} is not in {}", answer.body);
    }
    // It went through the second time, as if nothing had been.
    assert_eq!(browser.submit("/setup/place", &PLACE).await.location, "/setup/checks");
    // A crash after the domain and before the administrator: the same form does the rest.
    world.model.administrators.lock().clear();
    assert_eq!(browser.submit("/setup/place", &PLACE).await.location, "/setup/checks");
    assert_eq!(world.model.administrators.lock().len(), 1);
}

#[tokio::test]
async fn the_browser_is_closed_in_the_middle_and_goes_on_where_it_was() {
    let mut world = World::new();
    let mut browser = answered(&world).await;
    browser.submit("/setup/certificate", &[("kind", "self-signed")]).await;
    drop(browser);
    world.restart();
    let mut again = world.inside().await;
    assert_eq!(again.get("/setup").await.location, "/setup/storage");
    assert!(again.get("/setup/storage").await.body.contains("done"));
}

#[tokio::test]
async fn pages_that_need_a_domain_wait_for_it() {
    let world = World::new();
    let mut browser = world.inside().await;
    for page in ["place", "checks", "dns", "certificate", "storage", "backup", "people", "proof"] {
        assert_eq!(browser.get(&format!("/setup/{page}")).await.location, "/setup/administrator", "{page}");
    }
    browser.get("/setup/administrator").await;
    let token = browser.token();
    let answer = browser.post("/setup/proof", &[("token", &token), ("action", "finish")]).await;
    assert_eq!(answer.location, "/setup/administrator");
    assert!(world.setup.is_open());
}

#[tokio::test]
async fn findings_and_records_are_shown_with_what_to_do() {
    let world = World::new();
    let mut browser = answered(&world).await;
    let page = browser.get("/setup/checks").await.body;
    for part in [
        "smtp 0.0.0.0:25: &lt;in use&gt;",
        "open outgoing port 25",
        "set the reverse name (PTR) of 192.0.2.1 to mail.tern.test",
        "Off by 7.3 s",
        "512.0 MiB",
        "5.0 GiB free",
        "on none of 2 lists",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    assert!(!page.contains("http-equiv"), "nothing is waited for");
    let looked = world.model.looked.load(Ordering::SeqCst);
    browser.get("/setup/checks").await;
    assert_eq!(world.model.looked.load(Ordering::SeqCst), looked, "they hold for a while");
    browser.submit("/setup/checks", &[("action", "again")]).await;
    browser.get("/setup/checks").await;
    assert_eq!(world.model.looked.load(Ordering::SeqCst), 2 * looked);

    let page = browser.get("/setup/dns").await.body;
    for part in ["1 of 3 records", "DNS says: v=spf1 -all", "data-copy=\"10 mail.tern.test.\"", "an edge is silent"] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    let zone = browser.get("/setup/zone").await;
    assert_eq!(zone.body.lines().next(), Some("tern.test. 3600 IN MX 10 mail.tern.test."));
    assert_eq!(zone.headers[header::CONTENT_TYPE], "text/plain; charset=utf-8");
}

#[tokio::test]
async fn data_servers_join_by_one_command_and_are_chosen() {
    let world = World::new();
    let mut browser = answered(&world).await;
    let invite = [("action", "invite"), ("server_name", "mail2")];
    browser.submit("/setup/storage", &invite).await;
    browser.submit("/setup/storage", &invite).await;
    assert_eq!(*world.model.invited.lock(), ["mail2"], "a second click makes no second token");
    let page = browser.get("/setup/storage").await.body;
    assert!(page.contains("sterna init --join mail1 --token secret1"), "{page}");
    let joined = ServerRow {
        id: "2".into(),
        name: "mail2".into(),
        roles: vec!["data".into()],
        answers: true,
        version: Some("0.9.0".into()),
        clock_offset_ms: Some(9_000),
        free_bytes: Some(1 << 30),
        disk_bytes: Some(2 << 30),
        ..ServerRow::default()
    };
    world.model.servers.lock().push(joined);
    // What is there is shown until the next answer, and the next look asks.
    world.clock.advance_ms(3_000);
    let mut page = browser.get("/setup/storage").await.body;
    while !page.contains("use-2") {
        tokio::task::yield_now().await;
        page = browser.get("/setup/storage").await.body;
    }
    for part in ["Not the same as here", "9 s off", "2.0 GiB, 1.0 GiB free"] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    assert!(!page.contains("secret1"), "who has joined needs no command");
    assert_eq!(
        browser.submit("/setup/storage", &[("action", "select"), ("selected", "mail2")]).await.location,
        "/setup/backup"
    );
    assert_eq!(*world.model.selected.lock(), ["mail2"]);
    let rename = [("action", "rename-2"), ("name-2", "harbour")];
    assert_eq!(browser.submit("/setup/storage", &rename).await.location, "/setup/storage");
    assert_eq!(world.model.servers.lock()[0].name, "harbour");
    let kept = world.setup.state().answers.storage.clone().unwrap();
    assert_eq!(kept.selected, ["harbour"], "the choice follows the name");
    // Who joined after the page was shown could not be left out on it, and is taken.
    let seen = [("action", "select"), ("selected", "mail1"), ("offered", "1")];
    browser.submit("/setup/storage", &seen).await;
    assert!(world.model.selected.lock().is_empty());
    let left_out = [("action", "select"), ("selected", "mail1"), ("offered", "1"), ("offered", "2")];
    browser.submit("/setup/storage", &left_out).await;
    assert_eq!(*world.model.selected.lock(), ["mail1"]);
    // A server says of itself what it likes: it is shown as text, and told apart.
    world.model.servers.lock()[0].version = Some("1.0.0<script>".repeat(3));
    world.clock.advance_ms(3_000);
    let mut page = browser.get("/setup/storage").await.body;
    while !page.contains("1.0.0&lt;script&gt;") {
        tokio::task::yield_now().await;
        page = browser.get("/setup/storage").await.body;
    }
    assert!(page.contains("Not the same as here") && !page.contains("1.0.0<script>"), "{page}");
    // All of them is no choice at all.
    let all = [("action", "select"), ("selected", "mail1"), ("selected", "harbour")];
    browser.submit("/setup/storage", &all).await;
    assert!(world.model.selected.lock().is_empty());
}

#[tokio::test]
async fn people_who_could_not_be_made_are_named_and_the_others_are_made() {
    let world = World::new();
    let mut browser = answered(&world).await;
    let answer = browser.submit("/setup/people", &[("people", "ben;Ben\nbad;B\nzoe;Zoe;mail2\n")]).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer.body.contains("bad@tern.test: no such letters Choose others."), "{}", answer.body);
    let zoe = Person { address: "zoe@tern.test".into(), name: "Zoe".into(), server: "mail2".into() };
    assert_eq!(world.model.people.lock()[1], zoe);
    let answer = browser.submit("/setup/people", &[("people", "ok\nnot one")]).await;
    assert!(answer.body.contains("Line 2 is not"), "{}", answer.body);
    assert_eq!(browser.submit("/setup/people", &[("people", "")]).await.location, "/setup/proof");
}

#[tokio::test]
async fn every_page_speaks_three_languages() {
    let world = World::new();
    let mut browser = answered(&world).await;
    for (language, word, page) in
        [("de", "Zertifikat", "certificate"), ("fr", "Stockage", "storage"), ("en", "Proof", "proof")]
    {
        let answer = browser.get(&format!("/setup/{page}?lang={language}")).await;
        assert_eq!(answer.location, format!("/setup/{page}"));
        let answer = browser.get(&answer.location).await;
        let title = format!("<h1>{word}</h1>");
        assert!(answer.body.contains(&title) && answer.body.contains(&format!("<html lang=\"{language}\">")));
    }
    let mut other = world.browser();
    other.language = "de-AT, en;q=0.5";
    assert!(other.get("/setup").await.body.contains("Sterna einrichten"));
}

#[tokio::test]
async fn a_file_of_answers_does_the_same_and_goes_on_after_a_failure() {
    let world = World::new();
    let text = "[administrator]\nlocal_part = \"ana\"\npassword = \"correct horse battery\"\n\
        [place]\nurl = \"mail.tern.test\"\ndomain = \"tern.test\"\n\
        [[people]]\naddress = \"ben@tern.test\"\n";
    let answers = || toml::from_str::<AnswersFile>(text).unwrap();
    *world.model.refuses.lock() = Some(Refusal::new("storage", "the disk is full", "Make room."));
    assert_eq!(unattended::run(&world.setup, answers()).await.unwrap_err().code, "storage");
    assert!(world.setup.is_open());
    let report = unattended::run(&world.setup, answers()).await.unwrap();
    assert_eq!((report.administrator.as_str(), report.people), ("ana@tern.test", 1));
    assert_eq!(*world.model.domains.lock(), [("tern.test".into(), "https://mail.tern.test".into())]);
    assert_eq!(unattended::run(&world.setup, answers()).await.unwrap_err().code, "setup-over");
    for (wrong, said) in [
        ("[place]\nurl = \"mail.tern.test\"\ndomain = \"tern.test\"", "no [administrator]"),
        (
            "[administrator]\nlocal_part = \"ana\"\npassword = \"short\"\n[place]\nurl = \"\"\ndomain = \"\"",
            "at least 12",
        ),
        (
            "[administrator]\nlocal_part = \"ana\"\npassword_hash = \"plain\"\n[place]\nurl = \"\"\ndomain = \"\"",
            "argon2id",
        ),
    ] {
        let refused = unattended::run(&World::new().setup, toml::from_str(wrong).unwrap()).await.unwrap_err();
        assert!(refused.detail.contains(said), "{refused:?}");
    }
}

#[tokio::test]
async fn a_telephone_that_comes_from_outside_is_seen() {
    let world = World::new();
    let mut browser = answered(&world).await;
    let link = |page: &str| {
        let code = page.split("https://mail.tern.test/setup/reach/").nth(1).and_then(|rest| rest.split('<').next());
        format!("/setup/reach/{}", code.unwrap_or_else(|| panic!("{page}")))
    };
    let page = browser.get("/setup/checks").await.body;
    let path = link(&page);
    assert!(page.contains("<svg"), "{page}");
    let mut telephone = world.browser();
    telephone.language = "fr";
    assert_eq!(telephone.get("/setup/reach/0123").await.status, StatusCode::NOT_FOUND);
    telephone.address = "192.168.7.7".parse().unwrap();
    assert!(telephone.get(&path).await.body.contains("Coupez le Wi-Fi"));
    let page = browser.get("/setup/checks").await.body;
    assert!(page.contains("opened from 192.168.7.7, which is inside") && link(&page) == path, "{page}");
    // A public address in the machine's own network shows nothing of what the world reaches.
    telephone.address = super::model::NEIGHBOUR;
    assert!(telephone.get(&path).await.body.contains("Coupez le Wi-Fi"));
    assert_eq!(link(&browser.get("/setup/checks").await.body), path);
    telephone.address = "203.0.113.9".parse().unwrap();
    let arrived = telephone.get(&path).await;
    assert!(arrived.status == StatusCode::OK && arrived.body.contains("Vous êtes arrivé"), "{}", arrived.body);
    let page = browser.get("/setup/checks").await.body;
    assert!(page.contains("opened from 203.0.113.9: the installation is reached from outside"), "{page}");
    assert!(!page.contains("/setup/reach/"), "{page}");
    // It was good once, and leads nowhere else.
    assert_eq!(telephone.get(&path).await.status, StatusCode::NOT_FOUND);
    assert_eq!(telephone.get("/setup/checks").await.location, "/setup");
}

#[tokio::test]
async fn people_come_from_a_list_with_named_columns() {
    let world = World::new();
    let mut browser = answered(&world).await;
    let wrong = "address,display name\nben@tern.test,Ben\nnobody\n";
    let answer = browser.submit("/setup/people", &[("people", wrong)]).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(answer.body.contains("line 3: nobody this is no address"), "{}", answer.body);
    let right = "address,display name\nzoe@tern.test,Zoe\n";
    assert_eq!(browser.submit("/setup/people", &[("people", right)]).await.location, "/setup/proof");
    assert!(browser.get("/setup/people").await.body.contains("1 accounts were made"));
}

#[tokio::test]
async fn an_authority_issues_only_to_who_agrees() {
    let world = World::new();
    let mut browser = answered(&world).await;
    let page = browser.get("/setup/certificate").await.body;
    assert!(page.contains("value=\"ana@tern.test\"") && page.contains("value=\"letsencrypt\""), "prefilled: {page}");
    let fields = [("kind", "acme"), ("directory", "letsencrypt"), ("contact", "ana@tern.test")];
    let answer = browser.submit("/setup/certificate", &fields).await;
    assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
    let agreed = [&fields[..], &[("terms_agreed", "yes")]].concat();
    assert_eq!(browser.submit("/setup/certificate", &agreed).await.location, "/setup/storage");
    assert!(browser.get("/setup/certificate").await.body.contains("checked"));
    // One that refuses is told of wherever somebody has got to, with what to do, and stops nobody.
    let refused = crate::setup::door::Refusal::new("certificate", "it issues <only> to customers", "Set acme.eab-key.");
    *world.model.certificate_failure.lock() = Some(refused);
    for path in ["/setup/certificate", "/setup/storage", "/setup/backup", "/setup/people", "/setup/proof"] {
        let page = browser.get(path).await.body;
        assert!(
            page.contains("it issues &lt;only&gt; to customers") && page.contains("Set acme.eab-key."),
            "{path}: {page}"
        );
    }
    assert!(!browser.get("/setup/dns").await.body.contains("acme.eab-key"));
    assert_eq!(browser.submit("/setup/backup", &[("place", "")]).await.location, "/setup/people");
}
