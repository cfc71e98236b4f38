//! POP3: no command line panics, and no message ends before its end, however it is cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sterna_formats::pop3::{Command, MultiLine};

fuzz_target!(|input: (Vec<u8>, usize, u8)| {
    let (bytes, cut, lines) = input;
    let _ = Command::parse(&bytes);
    let (first, second) = bytes.split_at(cut % (bytes.len() + 1));
    for top in [MultiLine::whole(), MultiLine::top(u64::from(lines))] {
        let (mut sent, mut writer) = (Vec::new(), top);
        let _ = writer.push(first, &mut sent) && writer.push(second, &mut sent);
        writer.finish(&mut sent);
        let body = sent.strip_suffix(b".\r\n").expect("the end");
        assert!(body.is_empty() || body.ends_with(b"\r\n"));
        assert!(body.split_inclusive(|&byte| byte == b'\n').all(|line| line.ends_with(b"\r\n") && line != b".\r\n"));
    }
});
