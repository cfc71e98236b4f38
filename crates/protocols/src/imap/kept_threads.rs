//! What threads of mailboxes are made of, kept for the next THREAD, with the last answer: webmail asks again whenever
//! somebody opens the folder. It never changes while a message lives, so only new messages are read.

use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use sterna_base::{AccountId, ContainerId, Uid};
use sterna_formats::imap::command::ThreadAlgorithm;
use sterna_formats::imap::thread::{self, MessageIds, Threadable};
use sterna_formats::imap::write::number;

use super::kept_sorts::missing;
use super::limits::{KEPT_SORT_MESSAGES_MIN, KEPT_THREAD_BYTES_MAX};
use super::picture::Picked;
use sterna_account::kept::Kept;

/// What a message needs besides its subject and its references.
const MESSAGE_BYTES: usize = 112;

/// The threads of a mailbox.
pub type ThreadsOf = (AccountId, ContainerId, ThreadAlgorithm);

/// Those of all mailboxes.
pub struct KeptThreads(Mutex<Kept<ThreadsOf, Arc<Threads>>>);

impl Default for KeptThreads {
    fn default() -> Self {
        KeptThreads(Mutex::new(Kept::new(KEPT_THREAD_BYTES_MAX)))
    }
}

impl KeptThreads {
    /// What is kept of a mailbox; nothing, to begin with.
    pub fn get(&self, threads: &ThreadsOf) -> Arc<Threads> {
        self.0.lock().get(threads).cloned().unwrap_or_default()
    }

    /// Keeps what is worth it.
    pub fn keep(&self, of: ThreadsOf, threads: Arc<Threads>) {
        if threads.messages.len() >= KEPT_SORT_MESSAGES_MIN {
            let bytes = threads.bytes();
            self.0.lock().keep(of, threads, bytes);
        }
    }
}

/// What the threads of a mailbox are made of.
#[derive(Default)]
pub struct Threads {
    /// Message IDs are numbers under this secret.
    pub ids: Arc<MessageIds>,
    /// By UID, which is their number.
    messages: Vec<Threadable>,
    /// The threads of these messages, with UIDs.
    answer: Option<(Vec<Uid>, Bytes)>,
}

impl Threads {
    /// Those of these messages, by UID, that it does not have.
    pub fn missing(&self, found: &[Picked]) -> Vec<Picked> {
        missing(self.messages.iter().map(|message| Uid(message.number)), found)
    }

    /// The threads of these messages as THREAD answers them, with UIDs, if they were asked for last.
    pub fn answer(&self, found: &[Picked]) -> Option<Bytes> {
        let (uids, answer) = self.answer.as_ref()?;
        let is_same = uids.len() == found.len() && uids.iter().zip(found).all(|(uid, picked)| *uid == picked.uid);
        is_same.then(|| answer.clone())
    }

    /// With these messages as well, and the threads of those that were found. Those that were not are forgotten when
    /// they have become many.
    pub fn with(&self, more: Vec<Threadable>, found: &[Picked], algorithm: ThreadAlgorithm) -> Self {
        let mut messages = self.messages.clone();
        messages.extend(more);
        messages.sort_by_key(|message| message.number);
        let is_found = |message: &Threadable| found.binary_search_by_key(&message.number, |one| one.uid.0).is_ok();
        let grow = |messages: &[Threadable]| match algorithm {
            ThreadAlgorithm::OrderedSubject => thread::ordered_subject(messages),
            ThreadAlgorithm::References => thread::references(messages),
        };
        if messages.len() > found.len() + found.len() / 4 && found.len() >= KEPT_SORT_MESSAGES_MIN {
            messages.retain(is_found);
        }
        let is_all = messages.iter().map(|message| message.number).eq(found.iter().map(|picked| picked.uid.0));
        let forest = if is_all {
            grow(&messages)
        } else {
            let some: Vec<Threadable> = messages.iter().filter(|message| is_found(message)).cloned().collect();
            grow(&some)
        };
        let mut answer = Vec::new();
        forest.write(&mut answer);
        let uids = found.iter().map(|picked| picked.uid).collect();
        Threads { ids: self.ids.clone(), messages, answer: Some((uids, answer.into())) }
    }

    fn bytes(&self) -> usize {
        let of = |message: &Threadable| {
            MESSAGE_BYTES + message.subject.text.len() + message.references.len() * size_of::<u64>()
        };
        let answer = self.answer.as_ref().map_or(0, |(uids, answer)| uids.len() * size_of::<Uid>() + answer.len());
        self.messages.iter().map(of).sum::<usize>() + answer
    }
}

/// Writes threads with sequence numbers in place of UIDs.
pub fn write_sequences(threads: &[u8], found: &[Picked], out: &mut Vec<u8>) {
    let mut rest = threads;
    while let Some(start) = rest.iter().position(u8::is_ascii_digit) {
        out.extend_from_slice(&rest[..start]);
        let digits = rest[start..].iter().take_while(|byte| byte.is_ascii_digit());
        let (mut uid, mut length) = (0_u32, 0);
        for digit in digits {
            uid = uid.wrapping_mul(10).wrapping_add(u32::from(digit - b'0'));
            length += 1;
        }
        if let Ok(at) = found.binary_search_by_key(&uid, |picked| picked.uid.0) {
            number(u64::from(found[at].sequence), out);
        }
        rest = &rest[start + length..];
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;
    use sterna_account::Flags;
    use sterna_base::{Modseq, Timestamp};

    fn picked(sequence: u32, uid: u32) -> Picked {
        Picked { sequence, uid: Uid(uid), modseq: Modseq(1), flags: Flags::default() }
    }

    fn message(uid: u32, answers: Option<u32>) -> Threadable {
        let references = answers.into_iter().map(u64::from).collect();
        let (message_id, sent) = (Some(u64::from(uid)), Timestamp(i64::from(uid)));
        Threadable { number: uid, message_id, references, sent, ..Threadable::default() }
    }

    #[test]
    fn an_answer_holds_until_the_messages_are_others() {
        let found = [picked(1, 10), picked(2, 20), picked(3, 300)];
        let threads = Threads::default();
        assert_eq!(threads.missing(&found).len(), 3);
        let some = vec![message(300, Some(10)), message(10, None)];
        let threads = threads.with(some, &[found[0], found[2]], ThreadAlgorithm::References);
        assert_eq!(threads.answer(&[found[0], found[2]]).as_deref(), Some(&b"(10 300)"[..]));
        assert_eq!(threads.answer(&found), None);
        assert_eq!(threads.missing(&found), [found[1]]);
        let threads = threads.with(vec![message(20, Some(300))], &found, ThreadAlgorithm::References);
        let answer = threads.answer(&found).unwrap();
        assert_eq!(&answer[..], b"(10 300 20)");
        let mut out = Vec::new();
        write_sequences(&answer, &found, &mut out);
        assert_eq!(&out[..], b"(1 3 2)");
        // Messages that are not asked for are no part of it.
        let threads = threads.with(Vec::new(), &found[1..], ThreadAlgorithm::References);
        assert_eq!(threads.answer(&found[1..]).as_deref(), Some(&b"(300 20)"[..]));
        assert!(threads.bytes() > 3 * MESSAGE_BYTES);
    }
}
