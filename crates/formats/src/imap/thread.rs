//! Threads of messages (RFC 5256 section 3): ORDEREDSUBJECT and REFERENCES. Pure: from what is known of the messages to
//! a forest. Neither recursion nor time grows with the depth of a thread.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use sterna_base::Timestamp;

use super::base_subject::BaseSubject;

/// How far up a thread is followed to see that a new link makes no circle; a link below a deeper one is left out.
const DEPTH_MAX: usize = 10_000;

/// References of one message that are looked at: the last ones.
pub const REFERENCES_MAX: usize = 200;

/// What threads are made of. Given in the order of the mailbox, which breaks ties.
#[derive(Clone, Debug, Default)]
pub struct Threadable {
    /// Its number in the answer.
    pub number: u32,
    /// The base subject, ready for comparison ([`super::base_subject::collation_key`]).
    pub subject: BaseSubject,
    /// The sent date of RFC 5256 section 2.2.
    pub sent: Timestamp,
    /// Message-ID ([`MessageIds`]); `None` when there is none.
    pub message_id: Option<u64>,
    /// The message IDs of References, or the first one of In-Reply-To, oldest first.
    pub references: Vec<u64>,
}

/// One message of a thread, or a place for one that is not there.
#[derive(Clone, Debug, Default)]
struct Node {
    /// Its place in the mailbox.
    message: Option<usize>,
    parent: Option<usize>,
    /// How many have this one for their parent, while links are made.
    child_count: usize,
    /// Filled when all links are made.
    children: Vec<usize>,
}

/// Threads, the first one first.
#[derive(Debug, Default)]
pub struct Forest {
    nodes: Vec<Node>,
    roots: Vec<usize>,
    numbers: Vec<u32>,
}

/// Message IDs as numbers: threads of a large mailbox then need little memory. The numbers are another process's
/// secret, so that nobody can make two IDs that have the same.
#[derive(Debug, Default)]
pub struct MessageIds(RandomState);

impl MessageIds {
    /// Those in a field's value, normalised: without angle brackets, and without the quotes of a quoted local part.
    pub fn of(&self, value: &[u8]) -> Vec<u64> {
        let (mut ids, mut rest) = (Vec::new(), value);
        while let Some(start) = memchr::memchr(b'<', rest) {
            rest = &rest[start + 1..];
            let Some(end) = memchr::memchr(b'>', rest) else { break };
            let plain = |byte: &u8| !byte.is_ascii_whitespace() && !matches!(byte, b'"' | b'\\');
            let id: Vec<u8> = rest[..end].iter().copied().filter(plain).collect();
            if !id.is_empty() {
                ids.push(self.0.hash_one(id));
            }
            rest = &rest[end + 1..];
        }
        ids
    }
}

/// ORDEREDSUBJECT: messages of the same base subject by their sent dates, the first one the parent of the others; the
/// threads by the date of the first.
pub fn ordered_subject(messages: &[Threadable]) -> Forest {
    let mut order: Vec<usize> = (0..messages.len()).collect();
    order.sort_by(|a, b| {
        let key = |at: &usize| (&messages[*at].subject.text, messages[*at].sent, *at);
        key(a).cmp(&key(b))
    });
    let mut forest = Forest::of(messages);
    let mut first: Option<usize> = None;
    for at in order {
        match first {
            Some(root) if messages[root].subject.text == messages[at].subject.text => {
                forest.nodes[root].children.push(at)
            }
            _ => {
                first = Some(at);
                forest.roots.push(at);
            }
        }
    }
    forest.roots.sort_by_key(|root| (messages[*root].sent, *root));
    forest
}

/// REFERENCES.
pub fn references(messages: &[Threadable]) -> Forest {
    let mut forest = Forest::of(messages);
    link(&mut forest, messages);
    for at in 0..forest.nodes.len() {
        if let Some(parent) = forest.nodes[at].parent {
            forest.nodes[parent].children.push(at);
        }
    }
    // Steps 2 and 3.
    let mut roots: Vec<usize> = (0..forest.nodes.len()).filter(|at| forest.nodes[*at].parent.is_none()).collect();
    prune(&mut forest, &mut roots);
    // Step 4.
    for at in 0..forest.nodes.len() {
        if forest.nodes[at].message.is_none() {
            forest.sort_children(at, messages);
        }
    }
    forest.sort(&mut roots, messages);
    forest.roots = gather_subjects(&mut forest, roots, messages);
    // Step 6: places that stand for their first child need it sorted before them; they are at the top only.
    for at in 0..forest.nodes.len() {
        forest.sort_children(at, messages);
    }
    let mut roots = std::mem::take(&mut forest.roots);
    forest.sort(&mut roots, messages);
    forest.roots = roots;
    forest
}

/// Step 1: links by References and In-Reply-To.
fn link(forest: &mut Forest, messages: &[Threadable]) {
    let mut ids: HashMap<u64, usize> = HashMap::with_capacity(messages.len());
    for (at, message) in messages.iter().enumerate() {
        if let Some(id) = message.message_id {
            // Of several messages with one id the first one has it.
            ids.entry(id).or_insert(at);
        }
    }
    for (at, message) in messages.iter().enumerate() {
        let from = message.references.len().saturating_sub(REFERENCES_MAX);
        let mut last: Option<usize> = None;
        for &id in &message.references[from..] {
            let next = *ids.entry(id).or_insert_with(|| forest.push(Node::default()));
            if let Some(parent) = last
                && forest.nodes[next].parent.is_none()
            {
                forest.adopt(parent, next);
            }
            last = Some(next);
        }
        if forest.nodes[at].parent != last {
            forest.leave_parent(at);
            if let Some(parent) = last {
                forest.adopt(parent, at);
            }
        }
    }
}

/// Step 3: places without a message go; their children take their place, at the top only when it is one.
fn prune(forest: &mut Forest, roots: &mut Vec<usize>) {
    // Children before their parents.
    let mut order = Vec::with_capacity(forest.nodes.len());
    let mut open = roots.clone();
    while let Some(at) = open.pop() {
        order.push(at);
        open.extend(&forest.nodes[at].children);
    }
    for at in order.into_iter().rev() {
        let children = std::mem::take(&mut forest.nodes[at].children);
        forest.nodes[at].children = forest.without_empty(children, false);
    }
    *roots = forest.without_empty(std::mem::take(roots), true);
}

/// Step 5: threads of the same base subject become one.
fn gather_subjects(forest: &mut Forest, roots: Vec<usize>, messages: &[Threadable]) -> Vec<usize> {
    let mut table: HashMap<&str, usize> = HashMap::new();
    for root in &roots {
        let Some(subject) = forest.subject(*root, messages) else { continue };
        let known = table.entry(&subject.text).or_insert(*root);
        let is_better = forest.nodes[*root].message.is_none()
            || forest.is_reply(*known, messages) && !forest.is_reply(*root, messages);
        if forest.nodes[*known].message.is_some() && is_better {
            *known = *root;
        }
    }
    let mut kept = Vec::with_capacity(roots.len());
    // Where a root went that a place took over.
    let mut replaced: HashMap<usize, usize> = HashMap::new();
    for root in roots {
        if replaced.contains_key(&root) {
            kept.push(root);
            continue;
        }
        let known = forest.subject(root, messages).and_then(|subject| table.get(subject.text.as_str()).copied());
        let Some(known) = known.filter(|known| *known != root) else {
            kept.push(root);
            continue;
        };
        let is_place = |forest: &Forest, at: usize| forest.nodes[at].message.is_none();
        if is_place(forest, known) {
            if is_place(forest, root) {
                let children = std::mem::take(&mut forest.nodes[root].children);
                forest.nodes[known].children.extend(children);
            } else {
                forest.nodes[known].children.push(root);
            }
        } else if forest.is_reply(root, messages) && !forest.is_reply(known, messages) {
            forest.nodes[known].children.push(root);
        } else {
            let place = forest.push(Node { children: vec![known, root], ..Node::default() });
            if let Some(subject) = forest.subject(root, messages) {
                table.insert(&subject.text, place);
            }
            replaced.insert(known, place);
        }
    }
    // The message of the table may come before or after those that were merged with it.
    let stands_for = |root: usize| replaced.get(&root).copied().unwrap_or(root);
    kept.into_iter().map(stands_for).collect()
}

impl Forest {
    fn of(messages: &[Threadable]) -> Self {
        let node = |message| Node { message: Some(message), ..Node::default() };
        let numbers = messages.iter().map(|message| message.number).collect();
        Forest { nodes: (0..messages.len()).map(node).collect(), roots: Vec::new(), numbers }
    }

    fn push(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    /// Links, unless that makes a circle.
    fn adopt(&mut self, parent: usize, child: usize) {
        // Who has no children is above nobody.
        if parent == child || self.nodes[child].child_count > 0 && self.is_above(child, parent) {
            return;
        }
        self.nodes[child].parent = Some(parent);
        self.nodes[parent].child_count += 1;
    }

    fn is_above(&self, at: usize, below: usize) -> bool {
        let mut above = Some(below);
        for _ in 0..DEPTH_MAX {
            match above {
                None => return false,
                Some(found) if found == at => return true,
                Some(found) => above = self.nodes[found].parent,
            }
        }
        true
    }

    fn leave_parent(&mut self, at: usize) {
        if let Some(parent) = self.nodes[at].parent.take() {
            self.nodes[parent].child_count -= 1;
        }
    }

    fn without_empty(&mut self, siblings: Vec<usize>, at_top: bool) -> Vec<usize> {
        let mut kept = Vec::with_capacity(siblings.len());
        for at in siblings {
            let node = &mut self.nodes[at];
            if node.message.is_some() || at_top && node.children.len() > 1 {
                kept.push(at);
            } else {
                kept.append(&mut node.children);
            }
        }
        kept
    }

    /// The message that a place at the top stands for: its first child.
    fn first_message(&self, at: usize) -> Option<usize> {
        let node = &self.nodes[at];
        node.message.or_else(|| node.children.first().and_then(|child| self.nodes[*child].message))
    }

    /// The subject of a thread, unless it is empty.
    fn subject<'a>(&self, at: usize, messages: &'a [Threadable]) -> Option<&'a BaseSubject> {
        let subject = &messages[self.first_message(at)?].subject;
        (!subject.text.is_empty()).then_some(subject)
    }

    fn is_reply(&self, at: usize, messages: &[Threadable]) -> bool {
        self.nodes[at].message.is_some_and(|message| messages[message].subject.is_reply_or_forward)
    }

    fn sort(&self, siblings: &mut [usize], messages: &[Threadable]) {
        siblings.sort_by_key(|at| self.first_message(*at).map(|message| (messages[message].sent, message)));
    }

    fn sort_children(&mut self, at: usize, messages: &[Threadable]) {
        let mut children = std::mem::take(&mut self.nodes[at].children);
        self.sort(&mut children, messages);
        self.nodes[at].children = children;
    }

    /// The threads as THREAD answers them: `(2)(3 6 (4 23)(44 7 96))`.
    pub fn write(&self, out: &mut Vec<u8>) {
        enum Step {
            Text(&'static [u8]),
            Node(usize, bool),
        }
        // Taken from the end.
        let in_parentheses = |at: usize| [Step::Text(b")"), Step::Node(at, true), Step::Text(b"(")];
        for root in &self.roots {
            let mut open: Vec<Step> = in_parentheses(*root).into();
            while let Some(step) = open.pop() {
                let (at, is_first) = match step {
                    Step::Node(at, is_first) => (at, is_first),
                    Step::Text(text) => {
                        out.extend_from_slice(text);
                        continue;
                    }
                };
                let node = &self.nodes[at];
                if let Some(message) = node.message {
                    if !is_first {
                        out.extend_from_slice(b" ");
                    }
                    super::write::number(u64::from(self.numbers[message]), out);
                }
                if let [only] = node.children[..] {
                    open.push(Step::Node(only, is_first && node.message.is_none()));
                    continue;
                }
                if !node.children.is_empty() && node.message.is_some() {
                    out.extend_from_slice(b" ");
                }
                open.extend(node.children.iter().rev().flat_map(|child| in_parentheses(*child)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::imap::base_subject::{base_subject, collation_key};

    /// Messages as "id < references: subject", sent in this order, numbered from one.
    fn messages(lines: &[&str]) -> Vec<Threadable> {
        let number = |id: &str| id.bytes().fold(0, |sum, byte| sum * 256 + u64::from(byte));
        let message = |(at, line): (usize, &&str)| {
            let (ids, subject) = line.split_once(':').unwrap();
            let (id, references) = ids.split_once('<').unwrap_or((ids, ""));
            let id = id.trim();
            let mut subject = base_subject(subject.as_bytes());
            subject.text = collation_key(&subject.text);
            Threadable {
                number: at as u32 + 1,
                subject,
                sent: Timestamp(at as i64),
                message_id: (!id.is_empty()).then(|| number(id)),
                references: references.split_whitespace().map(number).collect(),
            }
        };
        lines.iter().enumerate().map(message).collect()
    }

    fn written(forest: &Forest) -> String {
        let mut out = Vec::new();
        forest.write(&mut out);
        String::from_utf8(out.to_vec()).unwrap()
    }

    fn threads(lines: &[&str]) -> String {
        written(&references(&messages(lines)))
    }

    #[test]
    fn references_make_threads() {
        for (lines, expected) in [
            (&["a: x", "b < a: Re: x", "c < a b: Re: x"][..], "(1 2 3)"),
            (&["a: x", "b < a: Re: x", "c < a: Re: x"], "(1 (2)(3))"),
            (&["a: x", "b < a: Re: x", "c < a: Re: x", "d < c: Re: x"], "(1 (2)(3 4))"),
            (&["a: x", "b: y"], "(1)(2)"),
            // Answers before what they answer.
            (&["c < a b: Re: x", "a: x", "b < a: Re: x"], "(2 3 1)"),
            // The parent is missing: its only child takes its place; several get a place together.
            (&["b < a: x"], "(1)"),
            (&["b < a: x", "c < a: y"], "((1)(2))"),
            (&["b < a: x", "c < z a: y", "d: w"], "((1)(2))(3)"),
            // A missing one in the middle.
            (&["a: x", "c < a b: Re: x", "d < a b: Re: x"], "(1 (2)(3))"),
            // Of two with one id, the first one has it.
            (&["a: x", "a: y", "b < a: z"], "(1 3)(2)"),
            // The message's own header is right, what others say of it is not.
            (&["a: x", "b: y", "d < a b c: v", "c < a: w"], "(1 (2)(4 3))"),
        ] {
            assert_eq!(threads(lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn circles_are_left_out() {
        for (lines, expected) in [
            (&["a < a: x"][..], "(1)"),
            (&["a < b: x", "b < a: y"], "(2 1)"),
            (&["a < b: x", "b < c: y", "c < a: z"], "(3 2 1)"),
            (&["a < b a b a: x"], "(1)"),
        ] {
            let found = threads(lines);
            assert_eq!(found, expected, "{lines:?}");
        }
    }

    #[test]
    fn subjects_gather_what_has_no_references() {
        for (lines, expected) in [
            // A reply goes below what it seems to answer, wherever that stands.
            (&["a: x", "b: Re: x", "c: y"][..], "(1 2)(3)"),
            (&["a: Re: x", "b: x"], "(2 1)"),
            (&["a: Re: x", "b: x", "c: Re: X"], "(2 (1)(3))"),
            // Equals get a place together.
            (&["a: x", "b: x"], "((1)(2))"),
            (&["a: x", "b: x", "c: re: x", "d: x"], "((1)(2)(3)(4))"),
            (&["a: Re: x", "b: Re: x"], "((1)(2))"),
            // Places are filled and joined.
            (&["b < a: x", "c < a: x", "d: x"], "((1)(2)(3))"),
            (&["d: x", "b < a: x", "c < a: x"], "((1)(2)(3))"),
            (&["b < a: x", "c < a: x", "e < d: x", "f < d: x"], "((1)(2)(3)(4))"),
            // No subject is no subject in common.
            (&["a: ", "b: Re:", "c: "], "(1)(2)(3)"),
        ] {
            assert_eq!(threads(lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn siblings_are_ordered_by_the_dates_in_their_headers() {
        let mut all = messages(&["a: x", "b < a: Re: x", "c < a: Re: x", "d: y"]);
        (all[0].sent, all[1].sent, all[2].sent, all[3].sent) = (Timestamp(9), Timestamp(8), Timestamp(7), Timestamp(1));
        assert_eq!(written(&references(&all)), "(4)(1 (3)(2))");
        assert_eq!(written(&ordered_subject(&all)), "(4)(3 (2)(1))");
    }

    #[test]
    fn ordered_subject_has_one_level() {
        let all = messages(&["a: x", "b: y", "c: Re: x", "d: [z] x", "e: Re: y", "f: w"]);
        assert_eq!(written(&ordered_subject(&all)), "(1 (3)(4))(2 5)(6)");
        assert_eq!(written(&ordered_subject(&[])), "");
        assert_eq!(threads(&[]), "");
    }

    #[test]
    fn ids_are_normalised() {
        let ids = MessageIds::default();
        assert_eq!(ids.of(b"<a@b>\r\n <c@d>"), [ids.of(b"<a@b>"), ids.of(b" <c@d> (comment)")].concat());
        assert_eq!(ids.of(br#"<"01KF8JCEOCBS0045PS"@xxx.yyy.com>"#), ids.of(b"<01KF8JCEOCBS0045PS@xxx.yyy.com>"));
        assert_eq!(ids.of(b"Ana's message of Monday <x@y>"), ids.of(b"<x@y>"));
        assert_ne!(ids.of(b"<x@y>"), ids.of(b"<X@y>"));
        assert_eq!(ids.of(b"<> <open none"), Vec::<u64>::new());
    }

    #[test]
    fn long_threads_are_cut_nowhere_and_cost_little() {
        let count = 50_000;
        let message = |at: usize| Threadable {
            number: at as u32 + 1,
            message_id: Some(at as u64),
            references: at.checked_sub(1).map(|above| above as u64).into_iter().collect(),
            ..Threadable::default()
        };
        let forward: Vec<Threadable> = (0..count).map(message).collect();
        assert_eq!(written(&references(&forward)).matches(' ').count(), count - 1);
        let backward: Vec<Threadable> = (0..count).rev().map(message).collect();
        assert_eq!(written(&references(&backward)).matches(' ').count(), count - 1);
    }
}
