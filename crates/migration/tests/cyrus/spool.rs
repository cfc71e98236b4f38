//! The files of a Cyrus server that doesn't run any more, told to the receiver as `sync_client` would have told them.

use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sterna_account::scripts::Scripts;
use sterna_base::Secret;
use sterna_migration::cyrus::mailbox::Mailbox;
use sterna_migration::imap::client::{Encryption, Source};
use sterna_migration::spool::client::Replica;
use sterna_migration::spool::config::Config;
use sterna_migration::spool::disk::Spool;
use sterna_migration::spool::layout;
use sterna_migration::spool::send::{SendError, Sender, Told};
use sterna_migration::spool::survey::{Depth, Survey, survey};
use sterna_testkit::binary;
use sterna_testkit::cyrus::Cyrus;
use sterna_testkit::raw::Raw;

use super::fixture::{Receiver, append, done, filled};

const SCRIPT: &str = "require \"fileinto\";\r\nfileinto \"Sent\";\r\n";
const OWNERS: [&str; 3] = ["ana", "ben", "shared"];

/// Says something to ManageSieve, and waits for the end of its answer.
fn tell(sieve: &mut Raw, text: &str) {
    sieve.send(text.as_bytes()).unwrap();
    loop {
        let line = sieve.line().unwrap().unwrap_or_else(|| panic!("{text}: it ended"));
        assert!(!line.starts_with("NO") && !line.starts_with("BYE"), "{text}: {line}");
        if line.starts_with("OK") {
            return;
        }
    }
}

/// What [`filled`] makes, and what only a spool shows.
fn more_filled(cyrus: &Cyrus) {
    let mut ana = filled(cyrus);
    append(&mut ana, "Gr&APwA3w-e", "(\\Draft \\Answered)", "\u{fc}ml\u{e4}ut, eight bits");
    let mut ben = cyrus.login("ben");
    for command in
        ["SUBSCRIBE \"Shared Folders/shared\"", "SELECT \"Shared Folders/shared\"", "UID FETCH 1 BODY[]", "CLOSE"]
    {
        done(&mut ben, command);
    }
    let mut sieve = Raw::connect(Ipv4Addr::LOCALHOST.into(), cyrus.managesieve).unwrap();
    tell(&mut sieve, "");
    // "\0ana\0x"
    tell(&mut sieve, "AUTHENTICATE \"PLAIN\" \"AGFuYQB4\"\r\n");
    for name in ["Abwesend", "lists"] {
        tell(&mut sieve, &format!("PUTSCRIPT \"{name}\" {{{}+}}\r\n{SCRIPT}\r\n", SCRIPT.len()));
    }
    tell(&mut sieve, "SETACTIVE \"lists\"\r\n");
}

fn spool(cyrus: &Cyrus) -> Spool {
    Spool::open(Config::read(&cyrus.folder().join("imapd.conf")).unwrap()).unwrap()
}

/// Tells a receiver of an owner.
fn send(receiver: &Receiver, spool: &Spool, survey: &Survey, leaves_out: bool) -> Result<Told, SendError> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let tls = Arc::new(tls.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth());
    let to = Source { host: "127.0.0.1".into(), port: receiver.port, encryption: Encryption::None, tls };
    receiver.runtime.block_on(async {
        let replica = Replica::open(&to, "root", &Secret::new("secret")).await?;
        let mut sender = Sender::new(spool, replica, leaves_out);
        sender.batch_records = 7;
        sender.owner(survey).await
    })
}

/// All that a receiver was told of mailboxes, without what changes with each look.
fn mailboxes(receiver: &Receiver, owner: &str) -> Vec<Mailbox> {
    let known = receiver.runtime.block_on(receiver.mirror.mailboxes(owner)).unwrap();
    known.into_iter().map(|known| Mailbox { numbers: Vec::new(), ..known.mailbox }).collect()
}

/// Where a message is.
fn message(spool: &Spool, cyrus: &Cyrus, mailbox: &str, uid: u32) -> PathBuf {
    let listed = spool.owners["ana"].iter().find(|listed| listed.name == mailbox).unwrap();
    let path = match listed.is_by_id {
        true => layout::by_id(listed.unique_id.as_ref().unwrap()).unwrap(),
        false => layout::by_name(&spool.config, mailbox).remove(0),
    };
    cyrus.folder().join("spool").join(path).join(format!("{uid}."))
}

fn assert_brought(receiver: &Receiver, messages: u64) {
    for owner in OWNERS {
        let found = receiver.compare(owner);
        assert!(found.differences.is_empty(), "{owner}: {found:?}");
    }
    let found = receiver.compare("ana");
    assert_eq!((found.messages, found.quota_bytes), (messages, Some(100_000 * 1024)));
}

#[test]
fn a_dead_server_says_what_its_own_client_would_have_said() {
    if !binary::have_root() {
        return;
    }
    let (first, second) = (Receiver::start(), Receiver::start());
    let mut cyrus = Cyrus::start(first.port, ("root", "secret"));
    more_filled(&cyrus);
    let said = cyrus.replicate(&["-A"]);
    cyrus.kill();
    let spool = spool(&cyrus);
    assert_eq!(spool.damaged, Vec::<String>::new());
    for owner in OWNERS {
        let survey = survey(&spool, owner, Depth::Contents);
        assert_eq!(survey.damaged, []);
        // After the real client there is nothing to do.
        assert_eq!(send(&first, &spool, &survey, false), Ok(Told::default()), "{owner} {said}");
        let told = send(&second, &spool, &survey, false).unwrap();
        assert!(!told.is_nothing() && told.messages <= survey.messages, "{told:?} {survey:?}");
        assert_eq!(send(&second, &spool, &survey, false), Ok(Told::default()), "{owner}");
        assert_eq!(mailboxes(&first, owner), mailboxes(&second, owner));
    }
    assert_brought(&second, 30 - 5 + 3 + 1 + 1);
    for (name, folder) in first.folders("ana") {
        let other = &second.folders("ana")[&name];
        assert_eq!((folder.uid_validity, folder.uid_next), (other.uid_validity, other.uid_next), "{name}");
        assert_eq!(
            (&folder.acl, &folder.keywords, folder.special_use),
            (&other.acl, &other.keywords, other.special_use)
        );
    }
    let scripts = second.runtime.block_on(Scripts::read(second.account("ana").as_ref())).unwrap();
    let scripts: Vec<_> = scripts.scripts.iter().map(|script| (script.name.as_str(), script.active)).collect();
    assert_eq!(scripts, [("Abwesend", false), ("lists", true)]);
}

/// Sends everything of a spool to a new receiver, twice.
fn brought(cyrus: &Cyrus, messages: u64) {
    let (receiver, spool) = (Receiver::start(), spool(cyrus));
    for owner in OWNERS {
        let survey = survey(&spool, owner, Depth::Lengths);
        assert_eq!(survey.damaged, []);
        assert!(!send(&receiver, &spool, &survey, false).unwrap().is_nothing());
        assert_eq!(send(&receiver, &spool, &survey, false), Ok(Told::default()));
    }
    assert_brought(&receiver, messages);
}

#[test]
fn folders_by_name_and_older_databases_and_indexes_are_read() {
    if !binary::have_root() {
        return;
    }
    let older = "mailbox_legacy_dirs: yes\nhashimapspool: yes\nmboxlist_db: skiplist\nseenstate_db: skiplist\n\
                 subscription_db: flat\nannotation_db: skiplist\n";
    let mut cyrus = Cyrus::start_with(1, ("nobody", "x"), older);
    more_filled(&cyrus);
    cyrus.kill();
    for version in ["17", "16", "13", "12"] {
        if version != "17" {
            let done = cyrus.run("reconstruct", &["-V", version]);
            assert!(done.status.success(), "{done:?}");
        }
        brought(&cyrus, 30);
    }
    let split = "mailbox_legacy_dirs: yes\nhashimapspool: yes\nfulldirhash: yes\nmboxlist_db: flat\nseenstate_db: flat\n\
                 subscription_db: skiplist\nquota_db: twoskip\nmetapartition-default: FOLDER/meta\n\
                 metapartition_files: header index cache annotations\n";
    let mut cyrus = Cyrus::start_with(1, ("nobody", "x"), split);
    more_filled(&cyrus);
    cyrus.kill();
    brought(&cyrus, 30);
}

#[test]
fn what_is_damaged_is_named_and_left_out_only_when_somebody_says_so() {
    if !binary::have_root() {
        return;
    }
    let receiver = Receiver::start();
    let mut cyrus = Cyrus::start(1, ("nobody", "x"));
    more_filled(&cyrus);
    cyrus.kill();
    let spool = spool(&cyrus);
    let [wrong, missing, archived] = [3, 5, 7].map(|uid| message(&spool, &cyrus, "user.ana", uid));
    let text = fs::read_to_string(&wrong).unwrap();
    fs::write(&wrong, text.replace('m', "n")).unwrap();
    fs::remove_file(&missing).unwrap();
    // In the archive it is as good.
    let archive = archived.strip_prefix(cyrus.folder().join("spool")).unwrap();
    let archive = cyrus.folder().join("archive").join(archive);
    fs::create_dir_all(archive.parent().unwrap()).unwrap();
    fs::rename(&archived, &archive).unwrap();

    let shallow = survey(&spool, "ana", Depth::Lengths);
    assert_eq!(shallow.damaged.iter().map(|damage| damage.uid).collect::<Vec<_>>(), [Some(5)]);
    assert_eq!(send(&receiver, &spool, &shallow, false), Err(SendError::Damaged(1, "ana".to_owned())));
    assert!(!receiver.folders("ana").contains_key("Gr\u{fc}\u{df}e"), "nothing was told");
    // What no length shows is found when it is sent.
    fs::write(&missing, vec![b'x'; fs::metadata(&wrong).unwrap().len() as usize]).unwrap();
    let shallow = survey(&spool, "ana", Depth::Lengths);
    assert_eq!(shallow.damaged, []);
    let error = send(&receiver, &spool, &shallow, false).unwrap_err();
    assert!(matches!(&error, SendError::Spool(cause) if cause.to_string().contains("3. is damaged")), "{error}");

    let deep = survey(&spool, "ana", Depth::Contents);
    let found: Vec<_> = deep.damaged.iter().map(|damage| (damage.mailbox.as_str(), damage.uid)).collect();
    assert_eq!(found, [("user.ana", Some(3)), ("user.ana", Some(5))]);
    send(&receiver, &spool, &deep, true).unwrap();
    let compared = receiver.compare("ana");
    assert!(compared.differences.is_empty() && compared.messages == 28, "{compared:?}");

    // A mailbox whose index is torn.
    let index = message(&spool, &cyrus, "user.ana.Sent.2024", 1).with_file_name("cyrus.index");
    cut(&index);
    let torn = survey(&spool, "ana", Depth::Lengths);
    assert!(
        torn.damaged.iter().any(|damage| damage.mailbox == "user.ana.Sent.2024" && damage.uid.is_none()),
        "{torn:?}"
    );
    let fresh = Receiver::start();
    assert!(send(&fresh, &spool, &torn, false).is_err());
}

fn cut(path: &Path) {
    let bytes = fs::read(path).unwrap();
    fs::write(path, &bytes[..bytes.len() - 10]).unwrap();
}
