//! A milter that does as it is told, and milters that are not well.

use std::collections::HashMap;
use std::time::Duration;

use bytes::BytesMut;
use sterna_account::service::{Following, Rcpt, Refusal};
use sterna_formats::milter::{Command, Packet, Stage, next_packet, read_command, write_packet};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::peer::{Manner, Peer};
use super::*;
use crate::delivery::Keep;
use crate::filter::{Examined, FilterKind, FiltersSettings};
use crate::trace::Trace;

const CONTENT: &str = "Return-Path: <sender@other.test>\r\nReceived: by us\r\nReceived: by them\r\nSubject: a\r\n\tb\r\n\
    X-Old: 1\r\n\r\nThe terns are back.\r\n";

/// What a milter was told on one connection: macros first, then the step.
type Told = Vec<(HashMap<String, String>, Command)>;

/// The packets that answer a command.
type Answers = Arc<dyn Fn(&Command) -> Vec<(u8, Vec<u8>)> + Send + Sync>;

/// A milter.
struct FakeMilter {
    endpoint: Endpoint,
    told: Arc<Mutex<Vec<Told>>>,
    _serving: JoinSet<()>,
}

impl FakeMilter {
    /// One that agrees on these actions and steps.
    async fn new(
        actions: u32,
        steps: u32,
        answers: impl Fn(&Command) -> Vec<(u8, Vec<u8>)> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let endpoint = Endpoint::Tcp("127.0.0.1".to_owned(), listener.local_addr().unwrap().port());
        let told = Arc::<Mutex<Vec<Told>>>::default();
        let (noted, answers): (_, Answers) = (told.clone(), Arc::new(answers));
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut sessions = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let options = [6, actions, steps].map(u32::to_be_bytes).concat();
                sessions.spawn(serve(stream, options, answers.clone(), noted.clone()));
            }
        });
        FakeMilter { endpoint, told, _serving: serving }
    }

    /// What it was told on its only connection, once that has ended.
    async fn told(&self) -> Told {
        let ended = async {
            while self.told.lock().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, ended).await.unwrap();
        let mut told = self.told.lock();
        assert_eq!(told.len(), 1, "one connection");
        told.pop().unwrap()
    }
}

async fn serve(mut stream: TcpStream, options: Vec<u8>, answers: Answers, noted: Arc<Mutex<Vec<Told>>>) {
    let (mut input, mut output) = (BytesMut::new(), BytesMut::new());
    let (mut told, mut macros) = (Vec::new(), HashMap::new());
    let steps = u32::from_be_bytes(options[8..12].try_into().unwrap());
    loop {
        while let Some(packet) = next_packet(&mut input).unwrap() {
            match packet.letter {
                b'O' => write_packet(b'O', &options, &mut output),
                b'D' => macros = read_macros(&packet),
                _ => {
                    let command = read_command(&packet).unwrap();
                    if !is_silent(&command, steps) {
                        answers(&command).iter().for_each(|(letter, data)| write_packet(*letter, data, &mut output));
                    }
                    told.push((std::mem::take(&mut macros), command));
                }
            }
        }
        let _ = stream.write_all(&output).await;
        output.clear();
        if stream.read_buf(&mut input).await.unwrap_or(0) == 0 {
            return noted.lock().push(told);
        }
    }
}

fn is_silent(command: &Command, steps: u32) -> bool {
    match command.stage() {
        None => true,
        Some(Stage::Header) => steps & 0x80 != 0,
        Some(Stage::Body) => steps & 0x8_0000 != 0,
        Some(_) => false,
    }
}

fn read_macros(packet: &Packet) -> HashMap<String, String> {
    let texts: Vec<String> =
        packet.data[1..].split(|&byte| byte == 0).map(|text| String::from_utf8_lossy(text).into_owned()).collect();
    texts.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
}

fn go_on(_: &Command) -> Vec<(u8, Vec<u8>)> {
    vec![(b'c', Vec::new())]
}

/// The filters with these milters only.
fn filters(milters: &[(&Endpoint, WhenDown)]) -> Milters {
    let limits = |endpoint: &Endpoint, when_down| Common { endpoint: endpoint.clone(), ..common(when_down) };
    limited(milters.iter().map(|(endpoint, when_down)| limits(endpoint, *when_down)).collect())
}

fn limited(milters: Vec<Common>) -> Milters {
    let folder = tempfile::tempdir().unwrap();
    let order = FilterKind::ALL.to_vec();
    let settings = FiltersSettings { own_name: "mx.demo.test".to_owned(), order, milters, ..Default::default() };
    let settings = tokio::sync::watch::channel(settings).1;
    let filters = Filters::new(settings, clock(), folder.path().to_owned(), Trace::none());
    Milters { filters, _folder: folder }
}

/// Filters with a folder that lives as long as they do.
struct Milters {
    filters: Filters,
    _folder: tempfile::TempDir,
}

async fn examine(stage: &Milters, envelope: Envelope) -> Result<Option<Examined>, Refusal> {
    let examining = stage.filters.examine(envelope, message(CONTENT), Keep::Inbox, Direction::Incoming);
    tokio::time::timeout(PATIENCE, examining).await.unwrap()
}

/// A transaction as a session has it; the recipients that were taken.
async fn transaction(stage: &Milters) -> Result<(Option<Examined>, Vec<Refusal>), Refusal> {
    let whole = envelope(Direction::Incoming);
    let mut so_far = Envelope { recipients: Vec::new(), ..whole.clone() };
    let mut following = stage.filters.begin(&so_far, Direction::Incoming).await?.expect("somebody follows");
    let mut refused = Vec::new();
    for rcpt in whole.recipients {
        match following.recipient(&rcpt).await {
            Ok(()) => so_far.recipients.push(rcpt),
            Err(refusal) => refused.push(refusal),
        }
    }
    let examined = examine(stage, so_far).await?;
    Ok((examined, refused))
}

fn rcpts(examined: &Examined) -> Vec<&str> {
    examined.envelope.recipients.iter().map(|rcpt| &*rcpt.address).collect()
}

#[tokio::test]
async fn it_is_told_everything_in_order() {
    let milter = FakeMilter::new(0, 0x10_0000, go_on).await;
    let stage = filters(&[(&milter.endpoint, WhenDown::Defer)]);
    let (examined, refused) = transaction(&stage).await.unwrap();
    assert_eq!((text(&examined.unwrap().message).as_str(), refused.len()), (CONTENT, 0));
    let told = milter.told().await;
    let header = |name: &str, value: &str| Command::Header { name: name.into(), value: value.into() };
    let rcpt = |address: &str| Command::Rcpt { address: address.to_owned(), params: Vec::new() };
    let expected = [
        Command::Connect { host: "[192.0.2.7]".to_owned(), peer: Some(("192.0.2.7".parse().unwrap(), 0)) },
        Command::Helo("client.test".to_owned()),
        Command::Mail { address: "sender@other.test".to_owned(), params: Vec::new() },
        rcpt("ana@demo.test"),
        rcpt("ben@demo.test"),
        Command::Data,
        header("Received", " by them"),
        header("Subject", " a\n\tb"),
        header("X-Old", " 1"),
        Command::EndOfHeader,
        Command::Body("The terns are back.\r\n".into()),
        Command::EndOfMessage,
        Command::Quit,
    ];
    let commands: Vec<_> = told.iter().map(|(_, command)| command.clone()).collect();
    assert_eq!(commands, expected);
    assert_eq!(told[0].0["j"], "mx.demo.test");
    assert_eq!((told[2].0["i"].len(), &*told[2].0["{mail_addr}"]), (32, "sender@other.test"));
    assert_eq!(told[11].0["i"], told[2].0["i"]);
}

#[tokio::test]
async fn what_it_does_not_want_it_is_not_told() {
    // No HELO, no RCPT, no DATA, no end of header; header fields and bodies have no answers.
    let steps = 0x2 | 0x8 | 0x200 | 0x40 | 0x80 | 0x8_0000;
    let milter = FakeMilter::new(0, steps, go_on).await;
    let stage = filters(&[(&milter.endpoint, WhenDown::Defer)]);
    transaction(&stage).await.unwrap();
    let told = milter.told().await;
    let stages: Vec<_> = told.iter().filter_map(|(_, command)| command.stage()).collect();
    use Stage::{Body, Connect, EndOfMessage, Header, Mail};
    assert_eq!(stages, [Connect, Mail, Header, Header, Header, Body, EndOfMessage]);
    assert!(matches!(&told[2].1, Command::Header { value, .. } if value == b"by them"), "the space is left out");
}

#[tokio::test]
async fn one_recipient_is_refused_and_the_others_are_not() {
    let milter = FakeMilter::new(0, 0, |command| match command {
        Command::Rcpt { address, .. } if address.starts_with("ana") => {
            vec![(b'p', Vec::new()), (b'y', b"550 5.7.9 Not her\0".to_vec())]
        }
        _ => go_on(command),
    })
    .await;
    let stage = filters(&[(&milter.endpoint, WhenDown::Defer)]);
    let (examined, refused) = transaction(&stage).await.unwrap();
    assert_eq!(refused.iter().map(ToString::to_string).collect::<Vec<_>>(), ["550 5.7.9 Not her"]);
    assert_eq!(rcpts(&examined.unwrap()), ["ben@demo.test"]);
    milter.told().await;
}

#[tokio::test]
async fn every_change_is_made() {
    let milter = FakeMilter::new(0x1ff, 0x10_0000, |command| match command {
        Command::EndOfMessage => vec![
            (b'h', b"X-Added\0 a\n\tb\0".to_vec()),
            (b'i', b"\0\0\0\x01X-Second\0 2\0".to_vec()),
            (b'm', b"\0\0\0\x01Received\0 by them, changed\0".to_vec()),
            (b'm', b"\0\0\0\x01X-Old\0\0".to_vec()),
            (b'b', b"New ".to_vec()),
            (b'b', b"body\r\n".to_vec()),
            (b'+', b"<cyd@demo.test>\0".to_vec()),
            (b'-', b"<ana@demo.test>\0".to_vec()),
            (b'e', b"<other@other.test>\0".to_vec()),
            (b'q', b"odd\0".to_vec()),
            (b'p', Vec::new()),
            (b'a', Vec::new()),
        ],
        _ => go_on(command),
    })
    .await;
    let stage = filters(&[(&milter.endpoint, WhenDown::Defer)]);
    let examined = transaction(&stage).await.unwrap().0.unwrap();
    let expected = "Return-Path: <other@other.test>\r\nReceived: by us\r\nX-Second: 2\r\nReceived: by them, changed\r\n\
        Subject: a\r\n\tb\r\nX-Added: a\r\n\tb\r\n\r\nNew body\r\n";
    assert_eq!(text(&examined.message), expected);
    assert_eq!(rcpts(&examined), ["ben@demo.test", "cyd@demo.test"]);
    assert_eq!((examined.envelope.mail_from.as_str(), examined.keep), ("other@other.test", Keep::Junk));
}

#[tokio::test]
async fn what_it_did_not_ask_for_it_may_not_change() {
    let milter = FakeMilter::new(0x1, 0x10_0000, |command| match command {
        Command::EndOfMessage => {
            vec![
                (b'h', b"X-Added\0 a\0".to_vec()),
                (b'b', b"New".to_vec()),
                (b'+', b"<x@y.z>\0".to_vec()),
                (b'c', vec![]),
            ]
        }
        _ => go_on(command),
    })
    .await;
    let stage = filters(&[(&milter.endpoint, WhenDown::Defer)]);
    let examined = transaction(&stage).await.unwrap().0.unwrap();
    assert_eq!(text(&examined.message), CONTENT.replace("X-Old: 1\r\n", "X-Old: 1\r\nX-Added: a\r\n"));
    assert_eq!(rcpts(&examined), ["ana@demo.test", "ben@demo.test"]);
}

#[tokio::test]
async fn its_word_at_each_step_counts() {
    use Stage::{Body, Connect, Data, EndOfHeader, EndOfMessage, Header, Helo, Mail};
    for stage_of in [Connect, Helo, Mail, Data, Header, EndOfHeader, Body, EndOfMessage] {
        for (letter, expected) in [(b'r', Some(550)), (b't', Some(451)), (b'd', None), (b'a', Some(250))] {
            let milter = FakeMilter::new(0, 0, move |command| match command.stage() {
                Some(stage) if stage == stage_of => vec![(letter, Vec::new())],
                _ => go_on(command),
            })
            .await;
            let stage = filters(&[(&milter.endpoint, WhenDown::Defer)]);
            let code = match transaction(&stage).await {
                Err(refusal) => Some(refusal.code),
                Ok((examined, _)) => examined.map(|_| 250),
            };
            assert_eq!(code, expected, "{stage_of:?} {}", char::from(letter));
            let told = milter.told().await;
            let last = told.iter().filter_map(|(_, command)| command.stage()).next_back();
            assert_eq!(last, Some(stage_of), "nothing more was told");
        }
    }
}

#[tokio::test]
async fn no_more_of_a_body_comes_than_it_wants() {
    let milter = FakeMilter::new(0, 0x400, |command| match command {
        Command::Body(_) => vec![(b's', Vec::new())],
        _ => go_on(command),
    })
    .await;
    let stage = filters(&[(&milter.endpoint, WhenDown::Defer)]);
    let large = format!("{CONTENT}{}", "0123456789\r\n".repeat(50_000));
    let envelope = envelope(Direction::Incoming);
    let examined = stage.filters.examine(envelope, message(&large), Keep::Inbox, Direction::Incoming).await;
    assert!(text(&examined.unwrap().unwrap().message) == large);
    let told = milter.told().await;
    let pieces: Vec<usize> = told
        .iter()
        .filter_map(|(_, command)| if let Command::Body(piece) = command { Some(piece.len()) } else { None })
        .collect();
    assert_eq!(pieces, [65_535]);
}

#[tokio::test]
async fn the_next_sees_what_the_one_before_left() {
    let first = FakeMilter::new(0x1, 0, |command| match command {
        Command::EndOfMessage => vec![(b'h', b"X-First\0one\0".to_vec()), (b'c', vec![])],
        _ => go_on(command),
    })
    .await;
    let second = FakeMilter::new(0, 0, go_on).await;
    let stage = filters(&[(&first.endpoint, WhenDown::Defer), (&second.endpoint, WhenDown::Defer)]);
    transaction(&stage).await.unwrap();
    let told = second.told().await;
    let found = told
        .iter()
        .any(|(_, command)| *command == Command::Header { name: b"X-First".to_vec(), value: b"one".to_vec() });
    assert!(found, "{told:?}");
}

#[tokio::test]
async fn who_breaks_off_or_babbles_is_a_setting() {
    let options = [&b"\0\0\0\x0dO\0\0\0\x06"[..], &[0; 8]].concat();
    let says = |more: &[u8]| Manner::Blurt([&options, more].concat());
    let manners = [
        Manner::Drop,
        Manner::DropAfter(1),
        Manner::Blurt(b"\0\0\0\0".to_vec()),
        Manner::Blurt(b"\xff\xff\xff\xff".to_vec()),
        Manner::Blurt(b"\0\0\0\x01c".to_vec()),
        Manner::Blurt(b"\0\0\0\x0dO\0\0\0\x63\0\0\0\0\0\0\0\0".to_vec()),
        says(b""),
        says(b"\0\0\0\x01?"),
        says(b"\0\0\0\x05y250\0"),
        says(b"\0\0\0\x01c\0\0\0\x01h"),
    ];
    for (number, manner) in manners.into_iter().enumerate() {
        for (when_down, code) in [(WhenDown::Accept, 250), (WhenDown::Defer, 451), (WhenDown::Refuse, 550)] {
            let peer = Peer::new(vec![manner.clone()]).await;
            let stage = filters(&[(&peer.endpoint, when_down)]);
            let result = transaction(&stage).await;
            assert_eq!(result.map_or_else(|refusal| refusal.code, |_| 250), code, "{number} {when_down:?}");
            // The same without a session that it could follow.
            let result = examine(&stage, envelope(Direction::Incoming)).await;
            assert_eq!(result.map_or_else(|refusal| refusal.code, |_| 250), code, "{number} {when_down:?}");
        }
    }
}

#[tokio::test]
async fn who_hangs_is_late_and_then_left_alone() {
    let peer = Peer::new(vec![Manner::Hang]).await;
    let limits = Common { endpoint: peer.endpoint.clone(), ..common(WhenDown::Defer) };
    let stage = limited(vec![Common { timeout: Duration::from_millis(50), ..limits }]);
    let so_far = Envelope { recipients: Vec::new(), ..envelope(Direction::Incoming) };
    let mut causes = Vec::new();
    for _ in 0..4 {
        let refused = stage.filters.begin(&so_far, Direction::Incoming).await.err().unwrap();
        assert_eq!(refused.code, 451);
        causes.push(refused.cause.unwrap());
    }
    assert!(causes[..3].iter().all(|cause| cause.ends_with("no answer within 0.05 s")), "{causes:?}");
    assert!(causes[3].contains("failed lately"), "{causes:?}");
}

#[tokio::test]
async fn a_transaction_that_comes_to_nothing_is_over_for_it_too() {
    let milter = FakeMilter::new(0, 0, go_on).await;
    let stage = filters(&[(&milter.endpoint, WhenDown::Defer)]);
    let so_far = Envelope { recipients: Vec::new(), ..envelope(Direction::Incoming) };
    let mut following = stage.filters.begin(&so_far, Direction::Incoming).await.unwrap().unwrap();
    following.recipient(&Rcpt { address: "ana@demo.test".into(), ..Rcpt::default() }).await.unwrap();
    assert!(milter.told.lock().is_empty());
    drop(following);
    assert_eq!(milter.told().await.len(), 4);
}

#[tokio::test]
async fn who_waits_for_a_place_waits_no_longer_than_a_step_may_take() {
    let milter = FakeMilter::new(0, 0, go_on).await;
    let mut limits = Common { endpoint: milter.endpoint.clone(), ..common(WhenDown::Accept) };
    (limits.at_once, limits.timeout) = (1, Duration::from_millis(50));
    let Milters { filters, .. } = &limited(vec![limits]);
    let so_far = Envelope { recipients: Vec::new(), ..envelope(Direction::Incoming) };
    let first = filters.begin(&so_far, Direction::Incoming).await.unwrap();
    let other = Envelope { transaction: sterna_base::OperationId::random(), ..so_far };
    let second = filters.begin(&other, Direction::Incoming).await.unwrap();
    drop((first, second));
    assert_eq!(milter.told().await.len(), 3, "one connection");
}
