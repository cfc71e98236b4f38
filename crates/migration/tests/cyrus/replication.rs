//! Debian's `sync_client` against the receiver: what Cyrus' own tools made arrives in accounts, sums agree, and a
//! second run finds nothing to do.

use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::sync::atomic::Ordering;

use sterna_account::{ContainerKind, Identifier, ItemParts, Mutation, Rights, SystemFlag, UidSet};
use sterna_base::OperationId;
use sterna_testkit::binary;
use sterna_testkit::cyrus::{Cyrus, wait_for};

use super::fixture::{ANA, BEN, Receiver, append, done, filled, numbers};

/// What was told to the other side besides log-in and questions.
fn told(said: &str) -> Vec<&str> {
    let commands = said.lines().filter_map(|line| line.split_once('>')?.1.split_once('>').map(|(_, command)| command));
    commands.filter(|command| command.starts_with("APPLY") && !command.starts_with("APPLY CAP")).collect()
}

#[test]
fn an_old_server_brings_its_users_and_finds_nothing_to_do_afterwards() {
    if !binary::have_root() {
        return;
    }
    let receiver = Receiver::start();
    let cyrus = Cyrus::start(receiver.port, ("root", "secret"));
    let mut ana = filled(&cyrus);
    let mut ben = cyrus.login("ben");
    done(&mut ben, "SELECT \"Other Users/ana/Sent\"");

    let said = cyrus.replicate(&["-A"]);
    assert!(!told(&said).is_empty(), "{said}");
    for user in ["ana", "ben", "shared"] {
        let found = receiver.compare(user);
        assert!(found.differences.is_empty(), "{user}: {found:?} {said}");
    }
    assert_eq!(receiver.compare("ana").messages, 30 - 5 + 3 + 1, "{said}");
    assert_eq!(receiver.compare("ana").quota_bytes, Some(100_000 * 1024));
    assert_eq!(receiver.compare("shared").messages, 1);
    let folders = receiver.folders("ana");
    for (here, there) in [
        ("INBOX", "INBOX"),
        ("Sent", "Sent"),
        ("Sent/2024", "\"Sent/2024\""),
        ("Grüße", "Gr&APwA3w-e"),
        ("a.b", "a.b"),
        ("x y", "\"x y\""),
    ] {
        let container = folders.get(here).unwrap_or_else(|| panic!("{here} {:?}", folders.keys()));
        assert_eq!((container.uid_validity.0, container.uid_next.0), numbers(&mut ana, there), "{here}");
    }
    let sent = &folders["Sent"];
    assert_eq!(sent.acl.entries().len(), 1, "nobody is nobody here");
    assert_eq!(
        (sent.acl.entries()[0].identifier, sent.acl.entries()[0].rights),
        (Identifier::Entry(BEN), Rights::parse("lrs").unwrap())
    );
    assert!(receiver.compare("ana").troubles.iter().any(|text| text.contains("nobody")));
    let account = receiver.account("ana");
    let notes = receiver.runtime.block_on(async {
        let path = [ContainerKind::about(Some(sent.id))];
        let container = account.containers_on_path(ContainerKind::Metadata, &path).await.unwrap().remove(0);
        let parts = ItemParts { body: true, ..ItemParts::default() };
        account.items(container.id, &UidSet::all(), parts, 10).await.unwrap()
    });
    let notes: Vec<_> = notes.into_iter().map(|item| (item.name.unwrap(), item.body.unwrap())).collect();
    assert!(notes.contains(&("/shared/comment".to_owned(), "ours".into())), "{notes:?}");
    assert!(notes.contains(&(format!("{ANA}/private/comment"), "mine".into())), "{notes:?}");

    let again = cyrus.replicate(&["-A"]);
    assert_eq!(told(&again), Vec::<&str>::new(), "{again}");

    // What changes there comes, and only that.
    done(&mut ana, "SELECT INBOX");
    done(&mut ana, "UID STORE 3 +FLAGS (\\Answered)");
    done(&mut ana, "UID STORE 5 +FLAGS (\\Deleted)");
    done(&mut ana, "EXPUNGE");
    append(&mut ana, "INBOX", "()", "new");
    done(&mut ana, "RENAME a.b c.d");
    done(&mut ana, "DELETE \"x y\"");
    let said = cyrus.replicate(&["-u", "ana"]);
    let found = receiver.compare("ana");
    assert!(found.differences.is_empty(), "{found:?} {said}");
    assert_eq!(told(&said).iter().filter(|command| command.starts_with("APPLY MESSAGE")).count(), 1, "{said}");
    let folders = receiver.folders("ana");
    assert!(folders.contains_key("c.d") && !folders.contains_key("a.b") && !folders.contains_key("x y"), "{said}");
    assert_eq!(told(&cyrus.replicate(&["-u", "ana"])), Vec::<&str>::new());

    // A switched user is not touched any more.
    receiver.here.is_closed.store(false, Ordering::Relaxed);
    append(&mut ana, "INBOX", "()", "late");
    let output = cyrus.run("sync_client", &["-u", "ana"]);
    assert!(!output.status.success(), "{output:?}");
    assert_eq!(receiver.compare("ana").messages, found.messages);
}

#[test]
fn a_rolling_replication_brings_what_happens() {
    if !binary::have_root() {
        return;
    }
    let receiver = Receiver::start();
    let cyrus = Cyrus::start(receiver.port, ("root", "secret"));
    let mut ana = filled(&cyrus);
    let mut rolling = cyrus.rolling();
    let messages = |count: u64| {
        let found = receiver.compare("ana");
        (found.messages == count && found.differences.is_empty()).then_some(())
    };
    wait_for("the first messages", || messages(29));
    append(&mut ana, "INBOX", "(\\Seen)", "rolling");
    wait_for("a message", || messages(30));
    done(&mut ana, "SELECT INBOX");
    done(&mut ana, "UID STORE 1:10 +FLAGS (\\Flagged)");
    let inbox = receiver.folders("ana")["INBOX"].id;
    wait_for("flags", || {
        let account = receiver.account("ana");
        let flags = receiver.runtime.block_on(account.item_flags(inbox, sterna_base::Uid(0), 5)).unwrap();
        flags.iter().all(|item| item.flags.has(SystemFlag::Flagged)).then_some(())
    });
    let _ = rolling.kill();
    let _ = rolling.wait();

    // Without the right password nothing is told and nothing is done. (`sync_client` would try again for ever.)
    let mut stream = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, receiver.port)).unwrap();
    let commands = ["GET USER ana", "AUTHENTICATE PLAIN AHJvb3QAd3Jvbmc=", "APPLY UNUSER ana", "EXIT"];
    stream.write_all(format!("{}\r\n", commands.join("\r\n")).as_bytes()).unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    assert_eq!(said.matches("NO IMAP_PERMISSION_DENIED").count(), 3, "{said}");
    assert!(!said.contains("MAILBOX"), "{said}");
}

#[test]
fn what_was_changed_here_meanwhile_is_found() {
    if !binary::have_root() {
        return;
    }
    let receiver = Receiver::start();
    let cyrus = Cyrus::start(receiver.port, ("root", "secret"));
    let _ana = filled(&cyrus);
    cyrus.replicate(&["-u", "ana"]);
    let (account, inbox) = (receiver.account("ana"), receiver.folders("ana")["INBOX"].id);
    let step = Mutation::Expunge { container: inbox, uids: UidSet::one(sterna_base::Uid(1)), deleted_only: false };
    receiver.runtime.block_on(account.commit(OperationId::random(), vec![step])).unwrap();
    let found = receiver.compare("ana");
    assert!(found.differences.iter().any(|text| text.contains("UID 1 has not come")), "{found:?}");
}
