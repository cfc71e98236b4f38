//! An index from its beginning to its end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sterna_account::search::{DocumentReader, Field, Filter, NotNow, Phrase, check, feed};
use sterna_account::{Engine, FlagAction, FlagSet, Mutation, StoreError, SystemFlag, UidSet};
use sterna_base::{BlobHash, Uid};

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
fn attached_documents_are_part_of_the_text() {
    let mut bed = Bed::new();
    let head = b"Subject: plan\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
        Content-Type: application/vnd.oasis.opendocument.text\r\n\
        Content-Disposition: attachment; filename*=utf-8''Gr%C3%BC%C3%9Fe.odt\r\n\r\n";
    bed.append(&[head, &document("Kingfishers &amp; terns")[..], b"\r\n--b--\r\n"].concat());
    bed.append(b"Subject: other\r\n\r\nnothing");
    bed.feed();
    for (filter, found) in [
        (Filter::Text("kingfisher".into()), &[1][..]),
        (Filter::Body("ers & te".into()), &[1]),
        (Filter::Header { name: b"subject".to_vec(), text: "kingfisher".into() }, &[]),
        (Filter::Fuzzy(Box::new(Filter::Text("kingfisher tern".into()))), &[1]),
        (Filter::Fuzzy(Box::new(Filter::Body("kingfisher".into()))), &[1]),
        (Filter::Text("grusse.odt".into()), &[1]),
        (Filter::Body("grusse".into()), &[]),
    ] {
        assert_eq!((bed.indexed(&filter), bed.read(&filter)), (found.to_vec(), found.to_vec()), "{filter:?}");
    }
}

/// Reads what comes after the mark, and counts.
struct Reader {
    reads: Arc<AtomicUsize>,
}

impl DocumentReader for Reader {
    fn pdf_text(&self, pdf: &[u8]) -> Result<String, NotNow> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        let text = String::from_utf8_lossy(pdf).replace("%PDF-", "");
        if text.contains("later") { Err(NotNow) } else { Ok(text) }
    }
}

fn with_pdf(subject: &str, pdf: &str) -> Vec<u8> {
    let pdf = STANDARD.encode(pdf);
    format!(
        "Subject: {subject}\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: application/pdf\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{pdf}\r\n--b--\r\n"
    )
    .into_bytes()
}

#[test]
fn other_documents_are_read_once() {
    let reads = Arc::new(AtomicUsize::new(0));
    let mut bed = Bed::new();
    bed.reader = Some(Box::new(Reader { reads: reads.clone() }));
    bed.append(&with_pdf("one", "%PDF-Kingfishers dive"));
    bed.append(&with_pdf("two", "%PDF-Kingfishers dive"));
    bed.append(&with_pdf("none", "no mark, kingfishers"));
    bed.feed();
    bed.append(&with_pdf("three", "%PDF-Kingfishers dive"));
    bed.feed();
    let fuzzy = |text: &str| Filter::Fuzzy(Box::new(Filter::Text(text.into())));
    assert_eq!(bed.indexed(&fuzzy("kingfisher")), [1, 2, 4]);
    // A sign has to be looked for by reading.
    assert!(bed.indexed(&fuzzy("?!")).is_empty());
    assert_eq!(reads.load(Ordering::Relaxed), 1);
    assert_eq!(
        (bed.read(&fuzzy("kingfisher")), bed.read(&Filter::Text("kingfisher".into()))),
        (vec![1, 2, 4], vec![1, 2, 4])
    );
    // The text is kept as long as a message has it.
    let hash = BlobHash::of(b"%PDF-Kingfishers dive");
    for (uids, is_kept) in [(UidSet::range(Uid(1), Uid(3)), true), (UidSet::one(Uid(4)), false)] {
        bed.commit(vec![Mutation::Expunge { container: INBOX, uids, deleted_only: false }]);
        bed.feed();
        assert_eq!(bed.index.kept_text(hash).unwrap().is_some(), is_kept);
    }
}

#[test]
fn a_document_that_can_not_be_read_now_is_read_by_every_search() {
    let mut bed = Bed::new();
    let reads = Arc::new(AtomicUsize::new(0));
    bed.reader = Some(Box::new(Reader { reads: reads.clone() }));
    bed.append(&with_pdf("gull", "%PDF-later"));
    bed.feed();
    assert_eq!(bed.index.status().unwrap().partial, 1);
    assert!(bed.indexed(&Filter::Fuzzy(Box::new(Filter::Text("later".into())))).is_empty());
    assert_eq!(bed.indexed(&Filter::Fuzzy(Box::new(Filter::Text("gulls".into())))), [1]);
    assert_eq!(reads.load(Ordering::Relaxed), 2);
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
