//! External contacts: mail to a group goes out to them, and the directory's address book has their cards.

use crate::dav_rights::Dav;
use crate::sending::world;

const ANA: &str = "ana@tern.test";
const BOOK: &str = "/dav/addressbooks/ben@tern.test/shared-directory/";

#[test]
fn mail_to_a_group_goes_out_to_its_external_contacts() {
    let Some((installation, postfix)) = world() else { return };
    let admin = |arguments: &[&str]| installation.admin_ok("main", arguments);
    admin(&["contact", "create", "zoe@far.test", "--domain", "tern.test", "--name", "Zoe Far", "--phone", "+49 30 1"]);
    admin(&["group", "create", "team@tern.test", "--member", "zoe@far.test", "--member", "ben@tern.test"]);
    admin(&["group", "create", "closed@tern.test", "--member", "zoe@far.test", "--internal-senders-only", "yes"]);
    let at = installation.node("main").at;
    let text = b"From: ana@tern.test\r\nSubject: to the team\r\n\r\nHello.\r\n";
    let reply = at.submission(ANA).unwrap().deliver(ANA, &["team@tern.test"], text).unwrap();
    assert!(reply.starts_with("250"), "{reply}");
    let received = postfix.wait_for("zoe", 1).remove(0);
    assert!(received.contains("Subject: to the team\n"), "{received}");
    let traced = admin(&["trace", "zoe@far.test"]);
    assert!(traced.contains("zoe@far.test"), "{traced}");

    // Somebody else's mail comes back to them, if it comes back: the way is rewritten as for forwards.
    postfix.submit("max@far.test", "team@tern.test", b"From: max@far.test\r\nSubject: from afar\r\n\r\nx\r\n");
    let received = postfix.wait_for("zoe", 2);
    let afar = received.iter().find(|message| message.contains("Subject: from afar\n")).unwrap();
    assert!(afar.to_lowercase().contains("return-path: <srs0="), "{afar}");
    // And a closed group stays closed.
    let mut stranger = at.smtp().unwrap();
    let reply = stranger.deliver("max@far.test", &["closed@tern.test"], text).unwrap();
    assert!(reply.starts_with("550"), "{reply}");

    let mut ben = Dav::of(&installation, "ben@tern.test");
    let id = admin(&["--json", "contact", "get", "zoe@far.test"]);
    let id = serde_json::from_str::<serde_json::Value>(&id).unwrap()["id"].to_string();
    let card = ben.is(200, "GET", &format!("{BOOK}{id}.vcf"), &[], "").body;
    for part in ["FN:Zoe Far", "zoe@far.test", "TEL:+49 30 1"] {
        assert!(card.contains(part), "{part}: {card}");
    }
    admin(&["contact", "delete", "zoe@far.test", "--yes"]);
    ben.is(404, "GET", &format!("{BOOK}{id}.vcf"), &[], "");
    let members = admin(&["group", "members", "team@tern.test"]);
    assert!(!members.contains("zoe@far.test") && members.contains("ben@tern.test"), "{members}");
}
