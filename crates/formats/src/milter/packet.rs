//! Packets: a length, a letter, and what belongs to it.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Longest packet that is taken, in bytes, its letter included. Answers carry a header field or a piece of a body; the
/// largest that can be negotiated is 1 MiB.
pub const PACKET_BYTES_MAX: usize = 1024 * 1024 + 1;

/// Bytes of a length.
const LENGTH_BYTES: usize = 4;

/// One packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// What it is.
    pub letter: u8,
    /// What belongs to it.
    pub data: Bytes,
}

/// The stream can't be followed any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// A packet without even a letter.
    #[error("an empty packet")]
    Empty,
    /// A packet is longer than [`PACKET_BYTES_MAX`].
    #[error("a packet of {0} bytes")]
    TooLong(u32),
}

/// Takes a packet off the input; `None` when it is not whole yet.
///
/// # Errors
/// [`PacketError`].
pub fn next_packet(input: &mut BytesMut) -> Result<Option<Packet>, PacketError> {
    let Some(length) = input.first_chunk::<LENGTH_BYTES>().map(|bytes| u32::from_be_bytes(*bytes)) else {
        return Ok(None);
    };
    let bytes = match usize::try_from(length) {
        Ok(0) => return Err(PacketError::Empty),
        Ok(bytes) if bytes <= PACKET_BYTES_MAX => bytes,
        _ => return Err(PacketError::TooLong(length)),
    };
    if input.len() < LENGTH_BYTES + bytes {
        return Ok(None);
    }
    input.advance(LENGTH_BYTES);
    let mut packet = input.split_to(bytes);
    let letter = packet.get_u8();
    Ok(Some(Packet { letter, data: packet.freeze() }))
}

/// Writes a packet. What is longer than a length can say is not: callers cut bodies into pieces, and header fields are
/// far shorter.
pub fn write_packet(letter: u8, data: &[u8], output: &mut BytesMut) {
    let length = u32::try_from(data.len() + 1).unwrap_or(u32::MAX);
    output.put_u32(length);
    output.put_u8(letter);
    output.put_slice(data);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_no_packet_is_said() {
        assert_eq!(next_packet(&mut BytesMut::from(&b"\0\0\0\0"[..])), Err(PacketError::Empty));
        assert_eq!(next_packet(&mut BytesMut::from(&b"\xff\0\0\0x"[..])), Err(PacketError::TooLong(0xff00_0000)));
    }

    proptest! {
        #[test]
        fn packets_are_the_same_however_they_are_cut(
            packets in prop::collection::vec((any::<u8>(), prop::collection::vec(any::<u8>(), 0..50)), 0..10),
            cut in any::<usize>(),
        ) {
            let mut written = BytesMut::new();
            for (letter, data) in &packets {
                write_packet(*letter, data, &mut written);
            }
            let (first, second) = written.split_at(cut % (written.len() + 1));
            let (mut input, mut found) = (BytesMut::new(), Vec::new());
            for piece in [first, second] {
                input.extend_from_slice(piece);
                while let Some(packet) = next_packet(&mut input).unwrap() {
                    found.push((packet.letter, packet.data.to_vec()));
                }
            }
            prop_assert_eq!(found, packets);
            prop_assert!(input.is_empty());
        }

        #[test]
        fn any_bytes_are_packets_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut input = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = next_packet(&mut input) {}
        }
    }
}
