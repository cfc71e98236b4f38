//! Well-formed messages, made from a tree, with the place of each part in them.

use std::fmt::Write as _;

use proptest::prelude::*;

/// What a part is made from.
#[derive(Clone, Debug)]
pub enum Node {
    /// Its subtype of text, and its lines.
    Leaf(&'static str, Vec<String>),
    /// Its subtype, whether there is text before the first and behind the last boundary, and its parts.
    Multipart(&'static str, bool, Vec<Node>),
    /// A subject, and what the message is.
    Message(String, Box<Node>),
}

impl Node {
    /// Whether a message is all that another message is, anywhere.
    pub fn has_message_in_message(&self) -> bool {
        match self {
            Node::Leaf(..) => false,
            Node::Multipart(_, _, parts) => parts.iter().any(Node::has_message_in_message),
            Node::Message(_, body) => matches!(**body, Node::Message(..)) || body.has_message_in_message(),
        }
    }
}

/// Where a part must be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub header_start: usize,
    pub body_start: usize,
    pub end: usize,
    pub name: String,
    /// Of the message inside.
    pub subject: Option<String>,
    pub parts: Vec<Place>,
}

/// Lines that look like boundaries and end a header, and are none.
fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("--".to_owned()),
        Just("-- ".to_owned()),
        Just("--part".to_owned()),
        Just("--part-".to_owned()),
        Just("-".to_owned()),
        Just("Content-Type: text/x-never".to_owned()),
        Just(" folded".to_owned()),
        "[ -~é]{0,30}",
    ]
}

/// Trees of some depth.
pub fn node() -> impl Strategy<Value = Node> {
    let leaf = (prop::sample::select(vec!["plain", "html", "csv"]), prop::collection::vec(line(), 0..5))
        .prop_map(|(subtype, lines)| Node::Leaf(subtype, lines));
    leaf.prop_recursive(5, 24, 4, |inner| {
        let kinds = prop::sample::select(vec!["mixed", "alternative", "related", "x-new"]);
        prop_oneof![
            (kinds, any::<bool>(), prop::collection::vec(inner.clone(), 1..4))
                .prop_map(|(subtype, around, parts)| Node::Multipart(subtype, around, parts)),
            ("[A-Za-z]{1,8}", inner).prop_map(|(subject, inside)| Node::Message(subject, Box::new(inside))),
        ]
    })
}

/// Writes a message.
pub struct Writer {
    text: String,
    line_end: &'static str,
    boundaries: usize,
}

impl Writer {
    /// A message of this subject, and the places of its parts.
    pub fn message(subject: &str, node: &Node, line_end: &'static str) -> (Vec<u8>, Place) {
        let mut writer = Writer { text: String::new(), line_end, boundaries: 0 };
        writer.line(&format!("Subject: {subject}"));
        let place = writer.part(0, node);
        (writer.text.into_bytes(), place)
    }

    fn line(&mut self, line: &str) {
        let _ = write!(self.text, "{line}{}", self.line_end);
    }

    /// The rest of a header that began there, and the body, up to what belongs to the next boundary.
    fn part(&mut self, header_start: usize, node: &Node) -> Place {
        let (name, mut parts, mut subject_inside) = (node.name(), Vec::new(), None);
        let body_start;
        match node {
            Node::Leaf(_, lines) => {
                body_start = self.header(&name);
                self.text.push_str(&lines.join(self.line_end));
            }
            Node::Multipart(_, around, children) => {
                self.boundaries += 1;
                // None is the start of another one.
                let boundary = format!("part-{}-of", self.boundaries);
                body_start = self.header(&format!("{name}; boundary=\"{boundary}\""));
                if *around {
                    self.line("This is not shown.");
                }
                for child in children {
                    self.line(&format!("--{boundary}"));
                    parts.push(self.part(self.text.len(), child));
                    self.line("");
                }
                let _ = write!(self.text, "--{boundary}--");
                if *around {
                    let _ = write!(self.text, "{}Neither is this.", self.line_end);
                }
            }
            Node::Message(subject, inside) => {
                body_start = self.header(&name);
                self.line(&format!("Subject: {subject}"));
                parts.push(self.part(body_start, inside));
                subject_inside = Some(subject.clone());
            }
        }
        Place { header_start, body_start, end: self.text.len(), name, subject: subject_inside, parts }
    }

    fn header(&mut self, content_type: &str) -> usize {
        self.line(&format!("Content-Type: {content_type}"));
        self.line("");
        self.text.len()
    }
}

impl Node {
    fn name(&self) -> String {
        match self {
            Node::Leaf(subtype, _) => format!("text/{subtype}"),
            Node::Multipart(subtype, ..) => format!("multipart/{subtype}"),
            Node::Message(..) => "message/rfc822".to_owned(),
        }
    }
}
