//! What a milter is told.

use std::net::IpAddr;

use bytes::{Bytes, BytesMut};

use super::packet::{Packet, write_packet};

/// A step that a milter may have an opinion on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// A client is there.
    Connect,
    /// EHLO, HELO.
    Helo,
    /// MAIL.
    Mail,
    /// RCPT.
    Rcpt,
    /// DATA.
    Data,
    /// One header field.
    Header,
    /// The empty line.
    EndOfHeader,
    /// A piece of the body.
    Body,
    /// The end.
    EndOfMessage,
}

impl Stage {
    /// The letter of its command.
    pub fn letter(self) -> u8 {
        match self {
            Stage::Connect => b'C',
            Stage::Helo => b'H',
            Stage::Mail => b'M',
            Stage::Rcpt => b'R',
            Stage::Data => b'T',
            Stage::Header => b'L',
            Stage::EndOfHeader => b'N',
            Stage::Body => b'B',
            Stage::EndOfMessage => b'E',
        }
    }

    fn of(letter: u8) -> Option<Self> {
        use Stage::{Body, Connect, Data, EndOfHeader, EndOfMessage, Header, Helo, Mail, Rcpt};
        let all = [Connect, Helo, Mail, Rcpt, Data, Header, EndOfHeader, Body, EndOfMessage];
        all.into_iter().find(|stage| stage.letter() == letter)
    }
}

/// Names and values that belong to the step behind them. A name of more than one letter has braces.
pub type Macros<'a> = [(&'a str, &'a str)];

/// What is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A client is there.
    Connect {
        /// Its name in DNS, or its address in brackets.
        host: String,
        /// Its address and port, if it has one.
        peer: Option<(IpAddr, u16)>,
    },
    /// Its greeting.
    Helo(String),
    /// MAIL.
    Mail {
        /// The reverse-path without its brackets.
        address: String,
        /// Its parameters.
        params: Vec<String>,
    },
    /// RCPT.
    Rcpt {
        /// The forward-path without its brackets.
        address: String,
        /// Its parameters.
        params: Vec<String>,
    },
    /// DATA.
    Data,
    /// One header field; its lines end in LF.
    Header {
        /// Its name.
        name: Vec<u8>,
        /// Its value.
        value: Vec<u8>,
    },
    /// The empty line.
    EndOfHeader,
    /// A piece of the body.
    Body(Bytes),
    /// The end.
    EndOfMessage,
    /// The message comes to nothing; the connection stays.
    Abort,
    /// Farewell.
    Quit,
}

impl Command {
    /// The step that it is.
    pub fn stage(&self) -> Option<Stage> {
        Some(match self {
            Command::Connect { .. } => Stage::Connect,
            Command::Helo(_) => Stage::Helo,
            Command::Mail { .. } => Stage::Mail,
            Command::Rcpt { .. } => Stage::Rcpt,
            Command::Data => Stage::Data,
            Command::Header { .. } => Stage::Header,
            Command::EndOfHeader => Stage::EndOfHeader,
            Command::Body(_) => Stage::Body,
            Command::EndOfMessage => Stage::EndOfMessage,
            Command::Abort | Command::Quit => return None,
        })
    }

    /// As a packet. A NUL in a text would end it: it is left out, with all behind it.
    pub fn write(&self, output: &mut BytesMut) {
        let mut data = Vec::new();
        match self {
            Command::Connect { host, peer } => connect(host, *peer, &mut data),
            Command::Helo(name) => text(name.as_bytes(), &mut data),
            Command::Mail { address, params } | Command::Rcpt { address, params } => {
                text(format!("<{address}>").as_bytes(), &mut data);
                params.iter().for_each(|param| text(param.as_bytes(), &mut data));
            }
            Command::Header { name, value } => {
                text(name, &mut data);
                text(value, &mut data);
            }
            Command::Body(piece) => return write_packet(b'B', piece, output),
            Command::Data | Command::EndOfHeader | Command::EndOfMessage | Command::Abort | Command::Quit => {}
        }
        let letter = match (self, self.stage()) {
            (Command::Abort, _) => b'A',
            (_, None) => b'Q',
            (_, Some(stage)) => stage.letter(),
        };
        write_packet(letter, &data, output);
    }

    /// The macros of a step, which come before it.
    pub fn write_macros(stage: Stage, macros: &Macros<'_>, output: &mut BytesMut) {
        let mut data = vec![stage.letter()];
        for (name, value) in macros {
            text(name.as_bytes(), &mut data);
            text(value.as_bytes(), &mut data);
        }
        write_packet(b'D', &data, output);
    }
}

fn connect(host: &str, peer: Option<(IpAddr, u16)>, data: &mut Vec<u8>) {
    text(host.as_bytes(), data);
    let Some((address, port)) = peer else { return data.push(b'U') };
    data.push(if address.is_ipv4() { b'4' } else { b'6' });
    data.extend_from_slice(&port.to_be_bytes());
    text(address.to_string().as_bytes(), data);
}

fn text(text: &[u8], data: &mut Vec<u8>) {
    let end = memchr::memchr(0, text).unwrap_or(text.len());
    data.extend_from_slice(&text[..end]);
    data.push(0);
}

/// A command as a milter reads it; `None` for one that can't be understood, or is none of these.
pub fn read_command(packet: &Packet) -> Option<Command> {
    let mut texts = packet.data.split(|&byte| byte == 0);
    let word = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let path = |bytes: &[u8]| {
        let path = word(bytes);
        path.strip_prefix('<').and_then(|path| path.strip_suffix('>')).map(str::to_owned)
    };
    match packet.letter {
        b'A' => return Some(Command::Abort),
        b'Q' => return Some(Command::Quit),
        _ => {}
    }
    Some(match Stage::of(packet.letter)? {
        Stage::Connect => {
            let host = texts.next()?;
            let rest = packet.data.get(host.len() + 1..)?;
            let peer = match rest {
                [b'4' | b'6', high, low, address @ ..] => {
                    let address = word(address.strip_suffix(b"\0")?).parse().ok()?;
                    Some((address, u16::from_be_bytes([*high, *low])))
                }
                _ => None,
            };
            Command::Connect { host: word(host), peer }
        }
        Stage::Helo => Command::Helo(word(texts.next()?)),
        stage @ (Stage::Mail | Stage::Rcpt) => {
            let address = path(texts.next()?)?;
            let params = texts.filter(|param| !param.is_empty()).map(word).collect();
            if stage == Stage::Mail { Command::Mail { address, params } } else { Command::Rcpt { address, params } }
        }
        Stage::Data => Command::Data,
        Stage::Header => Command::Header { name: texts.next()?.to_vec(), value: texts.next()?.to_vec() },
        Stage::EndOfHeader => Command::EndOfHeader,
        Stage::Body => Command::Body(packet.data.clone()),
        Stage::EndOfMessage => Command::EndOfMessage,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::packet::next_packet;
    use super::*;

    fn written(command: &Command) -> BytesMut {
        let mut output = BytesMut::new();
        command.write(&mut output);
        output
    }

    #[test]
    fn commands_are_what_libmilter_reads() {
        let peer = Some(("192.0.2.7".parse().unwrap(), 0x1234));
        let connect = Command::Connect { host: "mx.test".to_owned(), peer };
        assert_eq!(&written(&connect)[..], b"\0\0\0\x16Cmx.test\x004\x12\x34192.0.2.7\0");
        let unknown = Command::Connect { host: "mx.test".to_owned(), peer: None };
        assert_eq!(&written(&unknown)[..], b"\0\0\0\x0aCmx.test\0U");
        let mail = Command::Mail { address: String::new(), params: vec!["SIZE=7".to_owned()] };
        assert_eq!(&written(&mail)[..], b"\0\0\0\x0bM<>\0SIZE=7\0");
        let header = Command::Header { name: b"A".to_vec(), value: b" b\0c".to_vec() };
        assert_eq!(&written(&header)[..], b"\0\0\0\x06LA\0 b\0");
        assert_eq!(&written(&Command::Quit)[..], b"\0\0\0\x01Q");
        assert_eq!(&written(&Command::Body(Bytes::from_static(b"x\0y")))[..], b"\0\0\0\x04Bx\0y");
        let mut output = BytesMut::new();
        Command::write_macros(Stage::Mail, &[("i", "7"), ("{mail_addr}", "a@b")], &mut output);
        assert_eq!(&output[..], b"\0\0\0\x16DMi\x007\0{mail_addr}\0a@b\0");
    }

    fn any_command() -> impl Strategy<Value = Command> {
        let word = || "[a-z0-9.=@-]{0,20}";
        let params = || prop::collection::vec("[A-Z]{1,8}=[a-z0-9]{1,5}", 0..3);
        let piece = || prop::collection::vec(1_u8.., 0..40);
        let peer = prop::option::of((any::<IpAddr>(), any::<u16>()));
        prop_oneof![
            (word(), peer).prop_map(|(host, peer)| Command::Connect { host, peer }),
            word().prop_map(Command::Helo),
            (word(), params()).prop_map(|(address, params)| Command::Mail { address, params }),
            (word(), params()).prop_map(|(address, params)| Command::Rcpt { address, params }),
            (piece(), piece()).prop_map(|(name, value)| Command::Header { name, value }),
            prop::collection::vec(any::<u8>(), 0..100).prop_map(|piece| Command::Body(piece.into())),
            Just(Command::Data),
            Just(Command::EndOfHeader),
            Just(Command::EndOfMessage),
            Just(Command::Abort),
            Just(Command::Quit),
        ]
    }

    proptest! {
        #[test]
        fn commands_are_read_as_they_were_written(command in any_command()) {
            let packet = next_packet(&mut written(&command)).unwrap().unwrap();
            prop_assert_eq!(read_command(&packet), Some(command));
        }

        #[test]
        fn any_packet_is_a_command_or_none(letter in any::<u8>(), data in prop::collection::vec(any::<u8>(), 0..100)) {
            let _ = read_command(&Packet { letter, data: data.into() });
        }
    }
}
