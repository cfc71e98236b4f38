//! Random mailboxes and random searches.

use proptest::prelude::*;
use sterna_account::search::Filter;
use sterna_account::search::relevancy::relevancy;
use sterna_account::{Mutation, UidSet};
use sterna_base::Uid;

use crate::bed::{Bed, INBOX, TRASH};

/// What texts are made of: words of several scripts with much in common, signs, ids, and parts of all these.
const PIECES: &[&str] = &[
    "report",
    "reports",
    "reporter",
    "maison",
    "maisons",
    "Reporting",
    "port",
    "Café",
    "cafe",
    "CAFE\u{301}",
    "Straße",
    "strasse",
    "ana",
    "banana",
    "an",
    "a",
    "日本",
    "日本語",
    "本",
    "語で",
    "ภาษา",
    "한국어",
    "한국",
    "x9f3ab27cd",
    "9f3ab2",
    "3ab27c",
    "2026",
    "20261121",
    "donaudampfschifffahrtsgesellschaft",
    "dampfschifffahrt",
    "ana@x.test",
    "<b>",
    "</td>",
    "<br>",
    "&eacute;",
    "&nbsp;",
    "<img alt=report>",
    "<!-- port -->",
    "<style>",
    "İstanbul",
    "ΟΔΟΣ",
    "οδός",
    "o'hara",
    "-",
    ".",
    ":",
    "=",
    "\u{1f426}",
    "²",
    "ﬁne",
    "fine",
    "हिन्दी",
    "\u{301}",
    "ﬃ",
    "subject",
];

fn text() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(PIECES);
    let joint = prop::sample::select(&["", " ", " ", ", ", "\r\n ", "-"][..]);
    prop::collection::vec((piece, joint), 0..8)
        .prop_map(|pieces| pieces.into_iter().map(|(piece, joint)| format!("{piece}{joint}")).collect())
}

/// A part of a text, in small or capital letters, or a text of its own.
fn needle() -> impl Strategy<Value = String> {
    (text(), any::<(u8, u8, u8)>()).prop_map(|(text, (from, length, case))| {
        let chars: Vec<char> = text.chars().collect();
        let from = usize::from(from) % (chars.len() + 1);
        let length = usize::from(length) % 7;
        let part: String = chars.iter().skip(from).take(length).collect();
        match case % 4 {
            0 => part.to_uppercase(),
            1 => text,
            _ => part,
        }
    })
}

/// An OpenDocument file with this text, not packed.
pub fn document(text: &str) -> Vec<u8> {
    let (name, xml) = ("content.xml", format!("<text:p>{text}</text:p>"));
    let mut fields = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    fields.extend_from_slice(&(xml.len() as u32).to_le_bytes());
    fields.extend_from_slice(&(xml.len() as u32).to_le_bytes());
    fields.extend_from_slice(&[name.len() as u8, 0, 0, 0]);
    let mut archive = [b"PK\x03\x04", &fields[..], name.as_bytes(), xml.as_bytes()].concat();
    let directory_at = archive.len() as u32;
    archive.extend([b"PK\x01\x02\x14\0", &fields[..], &[0; 14], name.as_bytes()].concat());
    archive.extend([b"PK\x05\x06", &[0; 12][..], &directory_at.to_le_bytes(), &[0, 0]].concat());
    archive
}

fn message() -> impl Strategy<Value = Vec<u8>> {
    (text(), text(), text(), any::<u8>()).prop_map(|(subject, from, body, form)| {
        let header = |text: &str| text.replace("\r\n ", "\r\n\t");
        let (subject, from) = (header(&subject), header(&from));
        let head = format!("Subject: {subject}\r\nFrom: {from}\r\nTo: ana@x.test\r\nX-Id: {from}\r\n");
        if form % 5 == 4 {
            let head = format!(
                "{head}Content-Type: application/vnd.oasis.opendocument.text; name*=utf-8''%C3%A9t%C3%A9\r\n\r\n"
            );
            return [head.as_bytes(), &document(&body)].concat();
        }
        match form % 5 {
            0 => format!("{head}Content-Type: text/plain; charset=utf-8\r\n\r\n{body}"),
            1 => format!("{head}\r\n{body}\r\n{subject}"),
            2 => format!(
                "{head}Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\
                 Content-Description: {subject}\r\n\r\n<title>{from}</title><p title=\"{subject}\">{body}</p>\r\n--b\r\nContent-Type: image/png\r\n\r\n{from}\
                 \r\n--b--\r\n"
            ),
            _ => format!("{head}Content-Type: message/rfc822\r\n\r\nSubject: {body}\r\n\r\n{from}"),
        }
        .into_bytes()
    })
}

fn filter() -> impl Strategy<Value = Filter> {
    let names = prop::sample::select(&["from", "subject", "to", "x-id", "bcc", "content-type"][..]);
    let leaf = prop_oneof![
        needle().prop_map(Filter::Text),
        needle().prop_map(Filter::Body),
        (names, needle()).prop_map(|(name, text)| Filter::Header { name: name.into(), text }),
        (0_u64..400).prop_map(Filter::Larger),
        needle().prop_map(|text| Filter::Fuzzy(Box::new(Filter::Text(text)))),
        needle().prop_map(|text| Filter::Fuzzy(Box::new(Filter::Body(text)))),
        needle().prop_map(|text| Filter::Fuzzy(Box::new(Filter::Header { name: b"Subject".to_vec(), text }))),
    ];
    leaf.prop_recursive(3, 8, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|filter| Filter::Not(Box::new(filter))),
            prop::collection::vec(inner.clone(), 0..3).prop_map(Filter::And),
            prop::collection::vec(inner, 0..3).prop_map(Filter::Or),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_index_decides_as_reading_does(
        fed in prop::collection::vec(message(), 1..12),
        unfed in prop::collection::vec(message(), 0..4),
        filters in prop::collection::vec(filter(), 24),
        gone in 1_u32..12,
    ) {
        let mut bed = Bed::new();
        fed.iter().for_each(|message| bed.append(message));
        bed.feed();
        let check = |bed: &Bed| {
            let all = bed.read(&Filter::Const(true));
            for filter in &filters {
                assert_eq!(bed.indexed(filter), bed.read(filter), "{filter:?}");
                let (store, index) = (bed.store.as_ref(), bed.index.as_ref());
                let scores = relevancy(store, index, INBOX, filter, &UidSet::all()).unwrap();
                assert!(scores.iter().all(|(_, score)| (1..=100).contains(score)), "{filter:?}: {scores:?}");
                assert_eq!(scores.iter().map(|(uid, _)| uid.0).collect::<Vec<_>>(), all);
            }
        };
        check(&bed);
        // It lags: some are new, one is gone, and one is elsewhere.
        unfed.iter().for_each(|message| bed.append(message));
        let gone = UidSet::one(Uid(gone));
        bed.commit(vec![Mutation::Expunge { container: INBOX, uids: gone, deleted_only: false }]);
        bed.commit(vec![Mutation::Copy { from: INBOX, uids: UidSet::one(Uid(1)), to: TRASH, expunge: true }]);
        let by_reading: Vec<Vec<u32>> = filters.iter().map(|filter| bed.read(filter)).collect();
        let live = bed.read(&Filter::Const(true));
        for (filter, expected) in filters.iter().zip(by_reading) {
            // Of what is expunged nothing need be known.
            let found: Vec<u32> = bed.indexed(filter).into_iter().filter(|uid| live.contains(uid)).collect();
            prop_assert_eq!(found, expected, "lagging: {:?}", filter);
        }
        bed.feed();
        check(&bed);
    }
}
