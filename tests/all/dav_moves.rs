//! An account that is moved while clients keep in step with it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use sterna_testkit::http::Http;
use sterna_testkit::installation::Installation;

const ANA: &str = "ana@tern.test";
const BOOK: &str = "/dav/addressbooks/ana@tern.test/Contacts/";

fn card(uid: &str) -> String {
    format!("BEGIN:VCARD\r\nVERSION:3.0\r\nUID:{uid}\r\nFN:{uid}\r\nN:;;;;\r\nEND:VCARD\r\n")
}

/// Names and tags of what changed since a token, and the next one.
fn sync(http: &mut Http, token: &str) -> (BTreeMap<String, String>, String) {
    let body = format!(
        "<sync-collection xmlns='DAV:'><sync-token>{token}</sync-token><sync-level>1</sync-level>\
         <prop><getetag/></prop></sync-collection>"
    );
    let answer = http.request("REPORT", BOOK, &[], &body).unwrap();
    assert_eq!(answer.status, 207, "{answer:?}");
    let pairs = answer.texts("D:href").into_iter().zip(answer.texts("D:getetag"));
    (pairs.collect(), answer.texts("D:sync-token").remove(0))
}

#[test]
fn tags_hrefs_and_tokens_live_through_moves() {
    let installation = Installation::standard();
    let at = installation.node("main").at;
    let mut reader = at.dav(ANA).unwrap();
    let put = |http: &mut Http, uid: &str| {
        let answer = http.request("PUT", &format!("{BOOK}{uid}.vcf"), &[("If-None-Match", "*")], &card(uid)).unwrap();
        (answer.status == 201).then(|| answer.etag())
    };
    for n in 0..50 {
        put(&mut reader, &format!("before-{n}")).unwrap();
    }
    let (before, token) = sync(&mut reader, "");
    assert_eq!(before.len(), 50);
    let is_over = AtomicBool::new(false);
    let acknowledged = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let (mut http, mut acknowledged) = (at.dav(ANA).unwrap(), BTreeMap::new());
            for n in 0.. {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                let uid = format!("during-{n}");
                let tag = put(&mut http, &uid).unwrap_or_else(|| panic!("{uid} was refused: writes wait for a move"));
                acknowledged.insert(format!("{BOOK}{uid}.vcf"), tag);
            }
            acknowledged
        });
        for to in ["beta", "alpha"] {
            installation.begin_move(ANA, to);
            installation.is_moved(ANA, to);
        }
        is_over.store(true, Ordering::Relaxed);
        writer.join().unwrap()
    });
    assert!(!acknowledged.is_empty());
    // What the client knew is still so, and what it is told since then is what was written since.
    let (since, _) = sync(&mut reader, &token);
    assert_eq!(since.into_iter().collect::<Vec<_>>(), acknowledged.clone().into_iter().collect::<Vec<_>>());
    let (everything, _) = sync(&mut reader, "");
    let expected: BTreeMap<_, _> = before.into_iter().chain(acknowledged).collect();
    assert_eq!(everything, expected);
}
