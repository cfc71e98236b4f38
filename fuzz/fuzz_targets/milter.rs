//! Milter: no stream panics, packets are the same however it is cut, and commands are read as they were written.
#![no_main]

use bytes::BytesMut;
use libfuzzer_sys::fuzz_target;
use sterna_formats::milter::{Answer, Offer, Packet, next_packet, read_command};

fn packets(pieces: &[&[u8]]) -> Vec<Packet> {
    let (mut input, mut found) = (BytesMut::new(), Vec::new());
    for piece in pieces {
        input.extend_from_slice(piece);
        while let Ok(Some(packet)) = next_packet(&mut input) {
            found.push(packet);
        }
    }
    found
}

fuzz_target!(|input: (Vec<u8>, usize)| {
    let (bytes, cut) = input;
    let whole = packets(&[&bytes]);
    for packet in &whole {
        if let Ok(Answer::Options(data)) = Answer::read(packet) {
            let _ = Offer::ALL.agree(&data);
        }
        if let Some(command) = read_command(packet) {
            let mut written = BytesMut::new();
            command.write(&mut written);
            let again = next_packet(&mut written).expect("a packet").expect("a whole one");
            assert_eq!(read_command(&again), Some(command));
        }
    }
    let (first, second) = bytes.split_at(cut % (bytes.len() + 1));
    assert_eq!(packets(&[first, second]), whole);
});
