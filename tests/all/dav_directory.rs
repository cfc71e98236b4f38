//! The organisation's directory as an address book in everybody's home.

use sterna_testkit::installation::Installation;

use crate::dav_rights::Dav;

const BEN: &str = "ben@tern.test";
const BOOK: &str = "/dav/addressbooks/ben@tern.test/shared-directory/";

/// Names that are there and names that are gone since a token, and the next one.
fn sync(dav: &mut Dav, token: &str) -> (Vec<String>, Vec<String>, String) {
    let body = format!(
        "<sync-collection xmlns='DAV:'><sync-token>{token}</sync-token><sync-level>1</sync-level>\
         <prop><getetag/></prop></sync-collection>"
    );
    let answer = dav.is(207, "REPORT", BOOK, &[], &body);
    let (mut there, mut gone) = (Vec::new(), Vec::new());
    for response in answer.texts("D:response") {
        let href = response.split("<D:href>").nth(1).unwrap().split('<').next().unwrap().to_owned();
        if response.contains("404 Not Found") { gone.push(href) } else { there.push(href) }
    }
    (there, gone, answer.texts("D:sync-token").remove(0))
}

fn find(dav: &mut Dav, name: &str) -> Vec<String> {
    let body = format!(
        "<A:addressbook-query xmlns='DAV:' xmlns:A='urn:ietf:params:xml:ns:carddav'><prop><A:address-data/></prop>\
         <A:filter><A:prop-filter name='FN'><A:text-match>{name}</A:text-match></A:prop-filter></A:filter>\
         </A:addressbook-query>"
    );
    dav.is(207, "REPORT", BOOK, &[("Depth", "1")], &body).texts("A:address-data")
}

#[test]
fn the_directory_is_a_book_that_is_kept_in_step_with() {
    let installation = Installation::standard();
    let admin = |arguments: &[&str]| installation.admin_ok("main", arguments);
    admin(&["user", "set", "ana@tern.test", "--name", "Ana Tern", "--alias", "a@tern.test"]);
    admin(&["group", "create", "staff@tern.test", "--name", "Everybody"]);
    admin(&["domain", "create", "other.test"]);
    admin(&["group", "create", "strangers@other.test"]);
    let mut ben = Dav::of(&installation, BEN);
    let listed = ben.propfind("/dav/addressbooks/ben@tern.test/", "1", "<displayname/><resourcetype/><owner/>");
    assert!(listed.body.contains(BOOK) && listed.body.contains("Directory (@tern.test)"), "{listed:?}");
    assert!(listed.body.contains("/dav/principals/domains/tern.test/"), "{listed:?}");
    let (all, gone, token) = sync(&mut ben, "");
    assert_eq!((all.len(), gone.len()), (3, 0), "{all:?}");
    let found = find(&mut ben, "tern");
    assert_eq!(found.len(), 2, "by name and by address: {found:?}");
    let anas = find(&mut ben, "ana tern");
    assert!(anas[0].contains("ana@tern.test") && anas[0].contains("a@tern.test"), "{anas:?}");
    // What changed is told, and nothing else; whoever is hidden is gone.
    assert_eq!(sync(&mut ben, &token).0, Vec::<String>::new());
    admin(&["user", "set", "ana@tern.test", "--name", "Ana Gull"]);
    let (changed, gone, token) = sync(&mut ben, &token);
    assert_eq!((changed.len(), gone.len()), (1, 0));
    let card = ben.is(200, "GET", &changed[0], &[], "");
    assert!(card.body.contains("FN:Ana Gull"), "{card:?}");
    admin(&["user", "set", "ana@tern.test", "--hidden", "yes"]);
    let (there, gone, token) = sync(&mut ben, &token);
    assert_eq!((there, gone), (Vec::new(), changed.clone()));
    assert!(find(&mut ben, "gull").is_empty());
    ben.is(404, "GET", &changed[0], &[], "");
    admin(&["group", "delete", "staff@tern.test", "--yes"]);
    let (there, gone, _) = sync(&mut ben, &token);
    assert_eq!((there.len(), gone.len()), (0, 1));
    // Nobody writes it, and the way it is called is each user's own.
    let card = "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:x\r\nFN:x\r\nN:x;;;;\r\nEND:VCARD\r\n";
    ben.is(403, "PUT", &format!("{BOOK}x.vcf"), &[], card);
    let named = "<propertyupdate xmlns='DAV:'><set><prop><displayname>Colleagues</displayname></prop></set>\
        </propertyupdate>";
    ben.is(207, "PROPPATCH", BOOK, &[], named);
    assert!(ben.propfind(BOOK, "0", "<displayname/>").body.contains(">Colleagues<"));
}
