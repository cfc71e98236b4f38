//! Thunderbird, without a window: finds the folders of a new account, reads, flags, moves and deletes, and hears of
//! what others did.

mod marionette;

use std::time::Duration;

use serde_json::{Value, json};
use sterna_testkit::binary::have;
use sterna_testkit::demo::{Demo, User};
use sterna_testkit::imap::Imap;
use sterna_testkit::wait::until;

use super::login;
use marionette::Thunderbird;

/// How long the server may hear nothing of what was done here.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn thunderbird_shows_a_new_account_and_keeps_it_in_step() {
    if !have(&["thunderbird"]) {
        return;
    }
    let demo = Demo::start();
    for user in &demo.at.users {
        let home = tempfile::tempdir().unwrap();
        let mut imap = login(&demo, user);
        for (subject, word) in [("southwards", "krill"), ("northwards", "cod"), ("eggs", "two")] {
            let text = format!("From: t@pole.test\r\nSubject: {subject}\r\n\r\nThere will be {word}.\r\n");
            assert!(imap.append("INBOX", text.as_bytes()).unwrap().ok());
        }
        let mut thunderbird = Thunderbird::start(home.path(), &preferences(&demo, user));
        thunderbird.run(REMEMBERS_PASSWORD, &[&demo.at.imap.host, &user.address, &user.password]);
        thunderbird.run("await update(folder('Inbox'));", &[]);
        // Only what is subscribed is shown: a new user finds everything, and nothing is made beside it.
        thunderbird.run("imap().performExpand(null);", &[]);
        let first = json!(["Archive", "Drafts", "INBOX", "Junk", "Sent", "Trash"]);
        until("the first folders", PATIENCE, || (thunderbird.run(FOLDERS, &[]) == first).then_some(()));
        assert!(imap.command("SELECT INBOX").unwrap().ok());
        let count = thunderbird.run("return folder('Inbox').getTotalMessages(false);", &[]);
        assert_eq!(count.as_u64(), Some(found(&mut imap, "ALL").len() as u64));
        let text = thunderbird.run(READS, &["eggs"]);
        assert!(text.as_str().is_some_and(|text| text.contains("There will be two")), "{text}");

        thunderbird.run(MOVES, &["southwards"]);
        thunderbird.run(FLAGS, &["northwards"]);
        thunderbird.run(DELETES, &["eggs"]);
        let there = |imap: &mut Imap, mailbox: &str, keys: &str| {
            until(keys, PATIENCE, || {
                assert!(imap.command(&format!("SELECT {mailbox}")).unwrap().ok());
                (found(imap, keys).len() == 1).then_some(())
            });
        };
        there(&mut imap, "Archive", "SUBJECT southwards");
        there(&mut imap, "Trash", "SUBJECT eggs");
        there(&mut imap, "INBOX", "SUBJECT northwards FLAGGED");

        // What another client does is seen without being asked for: the folder is open, and Thunderbird idles.
        let number = found(&mut imap, "SUBJECT northwards")[0];
        assert!(imap.append("INBOX", b"From: t@pole.test\r\nSubject: news\r\n\r\nhere\r\n").unwrap().ok());
        assert!(imap.command(&format!("STORE {number} -FLAGS (\\Flagged)")).unwrap().ok());
        thunderbird.run(HEARS, &[]);
    }
}

const REMEMBERS_PASSWORD: &str = "
    const [host, user, password] = given;
    const login = Cc['@mozilla.org/login-manager/loginInfo;1'].createInstance(Ci.nsILoginInfo);
    login.init('imap://' + host, null, 'imap://' + host, user, password, '', '');
    await Services.logins.addLoginAsync(login);";

const FOLDERS: &str = "
    return imap().rootFolder.descendants.map(one => decodeURIComponent(one.URI.split('/').slice(3).join('/'))).sort();";

const READS: &str = "
    const [message] = messages(folder('Inbox'), given[0]);
    const uri = folder('Inbox').getUriForMsg(message);
    let text = '';
    await new Promise((kept, broken) => MailServices.messageServiceFromURI(uri).streamMessage(uri, {
      QueryInterface: ChromeUtils.generateQI(['nsIStreamListener', 'nsIRequestObserver']),
      onStartRequest() {},
      onDataAvailable(request, stream, offset, count) {
        const input = Cc['@mozilla.org/scriptableinputstream;1'].createInstance(Ci.nsIScriptableInputStream);
        input.init(stream);
        text += input.read(count);
      },
      onStopRequest: (request, status) =>
        Components.isSuccessCode(status) ? kept() : broken(new Error(status.toString(16))),
    }, null, null, false, '', false));
    return text;";

const MOVES: &str = "
    const [from, to] = [folder('Inbox'), folder('Archive')];
    await promised('nsIMsgCopyServiceListener', listener =>
      MailServices.copy.copyMessages(from, messages(from, given[0]), to, true, listener, null, false));";

const FLAGS: &str = "folder('Inbox').markMessagesFlagged(messages(folder('Inbox'), given[0]), true);";

const DELETES: &str = "
    const inbox = folder('Inbox');
    await promised('nsIMsgCopyServiceListener', listener =>
      inbox.deleteMessages(messages(inbox, given[0]), null, false, true, listener, false));";

const HEARS: &str = "
    const inbox = folder('Inbox');
    await until('the new message', () => messages(inbox, 'news').length == 1);
    await until('the flag', () => !messages(inbox, 'northwards')[0].isFlagged);";

/// The numbers that a SEARCH finds.
fn found(imap: &mut Imap, keys: &str) -> Vec<u32> {
    let answer = imap.command(&format!("SEARCH {keys}")).unwrap();
    let line = answer.lines.iter().find_map(|line| line.strip_prefix("* SEARCH"));
    let line = line.unwrap_or_else(|| panic!("{answer:?}"));
    line.split_whitespace().map(|number| number.parse().unwrap()).collect()
}

/// An account of IMAP as the assistant would set it up, and nothing from the network.
fn preferences(demo: &Demo, user: &User) -> Vec<(&'static str, Value)> {
    let (host, port) = (&demo.at.imap.host, demo.at.imap.port);
    vec![
        ("marionette.port", json!(0)),
        ("mail.accountmanager.accounts", json!("account1,account2")),
        ("mail.accountmanager.defaultaccount", json!("account1")),
        ("mail.accountmanager.localfoldersserver", json!("server2")),
        ("mail.account.account1.identities", json!("id1")),
        ("mail.account.account1.server", json!("server1")),
        ("mail.account.account2.server", json!("server2")),
        ("mail.server.server2.type", json!("none")),
        ("mail.server.server2.hostname", json!("Local Folders")),
        ("mail.server.server2.userName", json!("nobody")),
        ("mail.identity.id1.useremail", json!(user.address)),
        ("mail.identity.id1.valid", json!(true)),
        ("mail.server.server1.type", json!("imap")),
        ("mail.server.server1.hostname", json!(host)),
        ("mail.server.server1.port", json!(port)),
        ("mail.server.server1.userName", json!(user.address)),
        ("mail.server.server1.socketType", json!(0)),
        ("mail.server.server1.authMethod", json!(3)),
        ("mail.server.server1.login_at_startup", json!(false)),
        ("mail.server.server1.check_new_mail", json!(false)),
        ("app.update.enabled", json!(false)),
        ("datareporting.policy.dataSubmissionEnabled", json!(false)),
        ("extensions.update.enabled", json!(false)),
        ("mailnews.start_page.enabled", json!(false)),
        ("network.captive-portal-service.enabled", json!(false)),
        ("network.connectivity-service.enabled", json!(false)),
        ("network.manage-offline-status", json!(false)),
        ("offline.autoDetect", json!(false)),
        ("services.settings.server", json!("data:,")),
    ]
}
