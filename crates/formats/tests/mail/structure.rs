//! The tree of parts is the one from which the message was made, and the one that another parser finds.

use mail_parser::{Message, MessageParser, MessagePart, PartType};
use proptest::prelude::*;
use sterna_formats::mail::{Part, PartBody, Scanner, Summary};

use super::tree::{Place, Writer, node};

/// Reads a message in pieces that end at these places.
pub fn scan_cut(message: &[u8], cuts: &[usize]) -> Summary {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (message.len() + 1)).collect();
    cuts.extend([0, message.len()]);
    cuts.sort_unstable();
    let mut scanner = Scanner::new();
    cuts.windows(2).for_each(|cut| scanner.push(&message[cut[0]..cut[1]]));
    scanner.finish()
}

/// What the scanner found, in the same words.
fn place(part: &Part, subject: Option<String>) -> Place {
    let kind = &part.content_type;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (parts, subject_inside) = match &part.body {
        PartBody::Single => (Vec::new(), None),
        PartBody::Multipart(parts) => (parts.iter().map(|part| place(part, None)).collect(), None),
        PartBody::Message(inner) => (vec![place(&inner.1, None)], inner.0.subject.as_deref().map(text)),
    };
    Place {
        header_start: part.header_start as usize,
        body_start: part.body_start as usize,
        end: part.end as usize,
        name: format!("{}/{}", text(&kind.media_type), text(&kind.subtype)),
        subject: subject.or(subject_inside),
        parts,
    }
}

/// What mail-parser found: texts with their bodies, the others with what is in them.
fn other_parser(message: &Message<'_>, part: &MessagePart<'_>) -> String {
    match &part.body {
        PartType::Multipart(parts) => {
            let parts = parts.iter().filter_map(|&id| message.parts.get(id as usize));
            format!("({})", parts.map(|part| other_parser(message, part)).collect::<Vec<_>>().join(" "))
        }
        PartType::Message(inner) => {
            let root = inner.parts.first().map(|root| other_parser(inner, root)).unwrap_or_default();
            format!("<{}|{root}>", inner.subject().unwrap_or_default())
        }
        PartType::Text(text) | PartType::Html(text) => format!("[{text}]"),
        PartType::Binary(bytes) | PartType::InlineBinary(bytes) => format!("[{}]", String::from_utf8_lossy(bytes)),
    }
}

/// The scanner's parts in the same words.
fn our_parser(message: &[u8], part: &Part) -> String {
    match &part.body {
        PartBody::Single => {
            format!("[{}]", String::from_utf8_lossy(&message[part.body_start as usize..part.end as usize]))
        }
        PartBody::Multipart(parts) => {
            format!("({})", parts.iter().map(|part| our_parser(message, part)).collect::<Vec<_>>().join(" "))
        }
        PartBody::Message(inner) => {
            let subject = inner.0.subject.as_deref().unwrap_or_default();
            format!("<{}|{}>", String::from_utf8_lossy(subject), our_parser(message, &inner.1))
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn parts_are_found_where_they_were_put(
        node in node(),
        line_end in prop::sample::select(vec!["\r\n", "\n"]),
        cuts in prop::collection::vec(any::<usize>(), 0..20),
    ) {
        let (message, expected) = Writer::message("outer", &node, line_end);
        let summary = scan_cut(&message, &cuts);
        prop_assert_eq!(summary.envelope.subject.as_deref(), Some(&b"outer"[..]));
        prop_assert_eq!(place(&summary.root, None), expected, "{}", message.escape_ascii());
    }

    #[test]
    fn another_parser_finds_the_same(node in node()) {
        // The other parser loses itself there; in a debug build it panics.
        prop_assume!(!node.has_message_in_message());
        let (message, _) = Writer::message("outer", &node, "\r\n");
        let parsed = MessageParser::default().parse(&message).unwrap();
        let summary = scan_cut(&message, &[]);
        let theirs = other_parser(&parsed, &parsed.parts[0]);
        prop_assert_eq!(our_parser(&message, &summary.root), theirs, "{}", message.escape_ascii());
    }
}
