//! An index from its beginning to its end.

use sterna_account::search::{Field, feed};
use sterna_account::search::{Filter, Phrase, check};
use sterna_account::{Engine, FlagAction, FlagSet, Mutation, StoreError, SystemFlag, UidSet};
use sterna_base::Uid;

use crate::bed::{ACCOUNT, Bed, INBOX, TRASH};
use crate::filters::document;

fn message(n: usize) -> Vec<u8> {
    format!("Subject: Tern {n}\r\nFrom: ana{n}@x.test\r\n\r\nEvery message flies, this one is word{n}.\r\n")
        .into_bytes()
}

#[test]
fn contents_are_indexed_once_wherever_they_are() {
    let mut bed = Bed::new();
    (0..700).for_each(|n| bed.append(&message(n % 600)));
    bed.feed();
    let status = bed.index.status().unwrap();
    assert_eq!((status.documents, status.items, status.partial), (600, 700, 0));
    let flags = FlagSet::default().with(SystemFlag::Seen);
    let uids = UidSet::all();
    bed.commit(vec![
        Mutation::StoreFlags { container: INBOX, uids, action: FlagAction::Add, flags, unchanged_since: None },
        Mutation::Copy { from: INBOX, uids: UidSet::range(Uid(1), Uid(50)), to: TRASH, expunge: true },
    ]);
    bed.feed();
    let status = bed.index.status().unwrap();
    assert_eq!((status.documents, status.items), (600, 700));
    bed.commit(vec![Mutation::Expunge { container: INBOX, uids: UidSet::all(), deleted_only: false }]);
    bed.feed();
    let status = bed.index.status().unwrap();
    assert_eq!((status.documents, status.items), (50, 50));
    bed.commit(vec![Mutation::DeleteContainer { container: TRASH }]);
    bed.feed();
    assert_eq!(bed.index.status().unwrap().documents, 0);
    let found = bed.index.find(Field::Body, &Phrase::of("flies")).unwrap().unwrap();
    assert!(found.sure.is_empty() && found.perhaps.is_empty());
}

#[test]
fn words_inside_words_need_no_reading() {
    let mut bed = Bed::new();
    (0..20).for_each(|n| bed.append(&message(n)));
    bed.feed();
    for (text, sure, perhaps) in [
        ("ESSAG", 20, 0),
        ("word7", 1, 0),
        ("ord1", 11, 0),
        ("f", 20, 0),
        ("is wo", 0, 20),
        ("is word7", 0, 1),
        ("flies,", 0, 20),
        ("none", 0, 0),
    ] {
        let found = bed.index.find(Field::Body, &Phrase::of(text)).unwrap().unwrap();
        assert_eq!((found.sure.len(), found.perhaps.len()), (sure, perhaps), "{text}");
    }
    assert_eq!(bed.indexed(&Filter::Text("ana1".into())).len(), 11);
}

#[test]
fn documents_are_for_fuzzy_searches_and_names_for_all() {
    let mut bed = Bed::new();
    let head = b"Subject: plan\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
        Content-Type: application/vnd.oasis.opendocument.text\r\n\
        Content-Disposition: attachment; filename*=utf-8''Gr%C3%BC%C3%9Fe.odt\r\n\r\n";
    bed.append(&[head, &document("Kingfishers &amp; terns")[..], b"\r\n--b--\r\n"].concat());
    bed.append(b"Subject: other\r\n\r\nnothing");
    bed.feed();
    for (filter, found) in [
        (Filter::Text("kingfisher".into()), &[][..]),
        (Filter::Fuzzy(Box::new(Filter::Text("kingfisher tern".into()))), &[1]),
        (Filter::Fuzzy(Box::new(Filter::Body("kingfisher".into()))), &[1]),
        (Filter::Text("grusse.odt".into()), &[1]),
        (Filter::Body("grusse".into()), &[]),
    ] {
        assert_eq!((bed.indexed(&filter), bed.read(&filter)), (found.to_vec(), found.to_vec()), "{filter:?}");
    }
}

#[test]
fn of_html_the_readable_text_is_searched() {
    let mut bed = Bed::new();
    bed.append(
        b"Subject: news\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<html><head><style>.plumage {}</style></head>\
          <body class=plumage><!-- secret --><table><tr><td>Ar<b>ct</b>ic</td><td>terns</td></tr></table>\
          <p>fly&nbsp;south &amp; r&eacute;turn<img src=tracker.gif alt=\"a map\">\r\n  at last</p><script>run()</script>",
    );
    bed.feed();
    for (text, is_sure, is_there) in [
        ("arctic", true, true),
        ("retur", true, true),
        ("map", true, true),
        ("arctic terns", false, true),
        ("return a map", false, false),
        ("fly south & return", false, true),
        ("<p>", true, false),
        ("plumage", true, false),
        ("secret", true, false),
        ("tracker", true, false),
        ("run", true, false),
        ("class", true, false),
    ] {
        let filter = Filter::Body(text.into());
        let found: &[u32] = if is_there { &[1] } else { &[] };
        assert_eq!((bed.indexed(&filter), bed.read(&filter)), (found.to_vec(), found.to_vec()), "{text}");
        let known = bed.index.find(Field::Body, &Phrase::of(text)).unwrap();
        assert_eq!(known.is_some_and(|known| known.perhaps.is_empty()), is_sure, "{text}");
    }
}

#[test]
fn an_index_of_another_history_is_found_out() {
    let mut bed = Bed::new();
    (0..5).for_each(|n| bed.append(&message(n)));
    bed.feed();
    let mut other = Bed::new();
    (5..10).for_each(|n| other.append(&message(n)));
    // The same modseq, and other messages.
    assert_eq!(bed.store.head().unwrap().modseq, other.store.head().unwrap().modseq);
    let progress = bed.index.progress().unwrap().unwrap();
    assert!(feed::is_of(&progress, &bed.store.head().unwrap()));
    assert!(!feed::is_of(&progress, &other.store.head().unwrap()));
    assert_eq!(check(other.store.as_ref(), bed.index.as_ref()).unwrap().len(), 1);
}

#[test]
fn damage_and_other_formats_are_told_apart_and_mended_by_deleting() {
    let bed = Bed::new();
    let path = walk(bed.folder.path()).into_iter().find(|path| path.ends_with("search.sqlite")).unwrap();
    drop(bed.index);
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let refused = bed.engine.search_index(ACCOUNT).err().unwrap();
    assert!(matches!(refused, StoreError::NewerFormat { found: 99, .. }), "{refused}");
    bed.engine.delete_search_index(ACCOUNT).unwrap();
    std::fs::write(&path, vec![7; 8192]).unwrap();
    let refused = bed.engine.search_index(ACCOUNT).err().unwrap();
    assert!(matches!(refused, StoreError::Corrupt(_)), "{refused}");
    bed.engine.delete_search_index(ACCOUNT).unwrap();
    bed.engine.delete_search_index(ACCOUNT).unwrap();
    assert!(bed.engine.search_index(ACCOUNT).unwrap().unwrap().progress().unwrap().is_none());
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
}
