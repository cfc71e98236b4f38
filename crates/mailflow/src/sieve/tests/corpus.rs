//! What each extension does, in one script each.

use super::done;

#[test]
fn tests_and_actions_of_every_extension() {
    let cases: &[(&str, &[&str])] = &[
        (
            "require [\"fileinto\",\"variables\"]; if header :matches \"subject\" \"* and *\" { fileinto \"${1}\"; }",
            &["file into \"Terns\""],
        ),
        (
            "require [\"fileinto\",\"envelope\",\"subaddress\"]; if envelope :user \"to\" \"ana\" { fileinto \"u\"; }",
            &["file into \"u\""],
        ),
        ("require [\"fileinto\",\"body\"]; if body :contains \"fly far\" { fileinto \"b\"; }", &["file into \"b\""]),
        (
            "require [\"fileinto\",\"regex\"]; if header :regex \"subject\" \"^Tern\" { fileinto \"r\"; }",
            &["file into \"r\""],
        ),
        (
            "require [\"fileinto\",\"date\",\"relational\"]; if date :value \"ge\" :originalzone \"date\" \"hour\" \"10\" \
          { fileinto \"d\"; }",
            &["file into \"d\""],
        ),
        (
            "require [\"fileinto\",\"spamtest\",\"relational\",\"comparator-i;ascii-numeric\"]; \
          if spamtest :value \"ge\" :comparator \"i;ascii-numeric\" \"9\" { fileinto \"Junk\"; }",
            &["file into \"Junk\""],
        ),
        (
            "require [\"fileinto\",\"environment\"]; if environment :is \"name\" \"Sterna\" { fileinto \"e\"; }",
            &["file into \"e\""],
        ),
        (
            "require [\"fileinto\",\"mailbox\"]; if not mailboxexists \"Birds\" { fileinto :create \"Birds\"; }",
            &["file into \"Birds\", made if it isn't there"],
        ),
        (
            "require [\"fileinto\",\"special-use\"]; fileinto :specialuse \"\\\\Junk\" \"Spam\";",
            &["file into \"Spam\" (\\Junk)"],
        ),
        (
            "require [\"fileinto\",\"imap4flags\"]; fileinto :flags [\"\\\\Seen\",\"$x\"] \"f\";",
            &["file into \"f\" with \\Seen $x"],
        ),
        ("require [\"editheader\"]; addheader \"X-Seen\" \"yes\";", &["keep in the INBOX, changed"]),
        ("require [\"reject\"]; reject \"No thank you\";", &["reject: No thank you"]),
        ("require [\"ereject\"]; ereject \"No\";", &["reject: No"]),
        (
            "require [\"enotify\"]; notify :message \"mail\" \"mailto:b@c.test\";",
            &["notify mailto:b@c.test: mail", "keep in the INBOX"],
        ),
        (
            "require [\"ihave\",\"fileinto\"]; if ihave \"vnd.no\" { discard; } else { fileinto \"i\"; }",
            &["file into \"i\""],
        ),
        ("require [\"duplicate\"]; if duplicate { discard; }", &["keep in the INBOX"]),
        (
            "require [\"index\",\"fileinto\"]; if header :index 1 :contains \"received\" \"mx\" { fileinto \"x\"; }",
            &["file into \"x\""],
        ),
        (
            "require [\"mime\",\"foreverypart\",\"fileinto\"]; foreverypart { if header :mime :type \"content-type\" \
          \"text\" { fileinto \"m\"; break; } }",
            &["file into \"m\""],
        ),
        ("require [\"copy\"]; redirect :copy \"b@c.test\";", &["redirect to b@c.test", "keep in the INBOX"]),
        ("if size :over 100K { discard; }", &["keep in the INBOX"]),
        ("if anyof (not exists \"subject\", address :domain \"from\" \"other.test\") { discard; }", &["discard"]),
        (
            "require \"encoded-character\"; if header :contains \"subject\" \"${hex:54 65}rns\" { discard; }",
            &["discard"],
        ),
        (
            "require [\"vacation-seconds\",\"vacation\"]; vacation :seconds 60 :mime \"Content-Type: text/html\n\n<b>\";",
            &["answer the sender: Content-Type: text/html\n\n<b>", "keep in the INBOX"],
        ),
    ];
    for (script, expected) in cases {
        assert_eq!(done(script), *expected, "{script}");
    }
}
