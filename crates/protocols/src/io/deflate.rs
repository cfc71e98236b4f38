//! A compressed connection (RFC 4978): raw DEFLATE in both directions, each answer ended by a flush.

use bytes::{Buf, BytesMut};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::Disconnect;

/// How much is unpacked at once: what a client packs well must not fill the memory.
const UNPACKED_BYTES_MAX: usize = 32 * 1024;

/// Room for the end of a flush, beyond what was packed.
const FLUSH_BYTES: usize = 64;

/// Both directions.
pub struct Deflate {
    /// `None` while the session is idle: a packer needs much memory, and after a flush a new one can go on, because
    /// what it writes refers to nothing before.
    packer: Option<Compress>,
    /// Keeps what the client may refer to.
    unpacker: Decompress,
    /// What came and was not unpacked yet.
    pub raw: BytesMut,
}

impl Deflate {
    /// From here on; `raw` is what came already.
    pub fn new(raw: BytesMut) -> Self {
        Deflate { packer: None, unpacker: Decompress::new(false), raw }
    }

    /// The bytes to be sent for these.
    ///
    /// # Errors
    /// Never for what fits into memory.
    pub fn pack(&mut self, plain: &[u8]) -> Result<Vec<u8>, Disconnect> {
        let packer = self.packer.get_or_insert_with(|| Compress::new(Compression::fast(), false));
        let mut packed = vec![0; plain.len() / 2 + FLUSH_BYTES];
        let (mut taken, mut length) = (0, 0);
        loop {
            let (read, written) = (packer.total_in(), packer.total_out());
            let status = packer.compress(&plain[taken..], &mut packed[length..], FlushCompress::Sync);
            let status = status.map_err(|_| Disconnect::Hopeless("The answer can't be compressed"))?;
            taken += (packer.total_in() - read) as usize;
            length += (packer.total_out() - written) as usize;
            // A flush is complete when it leaves room.
            if taken == plain.len() && (length < packed.len() || matches!(status, Status::BufError)) {
                packed.truncate(length);
                return Ok(packed);
            }
            packed.resize(packed.len() * 2, 0);
        }
    }

    /// Unpacks some of what came; how many bytes that gave.
    ///
    /// # Errors
    /// When it is not compressed: nothing after it can be understood.
    pub fn unpack(&mut self, input: &mut BytesMut) -> Result<usize, Disconnect> {
        let mut plain = vec![0; UNPACKED_BYTES_MAX];
        let (read, written) = (self.unpacker.total_in(), self.unpacker.total_out());
        let status = self.unpacker.decompress(&self.raw, &mut plain, FlushDecompress::Sync);
        let broken = || Disconnect::Hopeless("What you send is not compressed");
        let status = status.map_err(|_| broken())?;
        self.raw.advance((self.unpacker.total_in() - read) as usize);
        let length = (self.unpacker.total_out() - written) as usize;
        if status == Status::StreamEnd {
            return Err(broken());
        }
        input.extend_from_slice(&plain[..length]);
        Ok(length)
    }

    /// The session waits for its client.
    pub fn rest(&mut self) {
        self.packer = None;
        if self.raw.is_empty() {
            self.raw = BytesMut::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_back_whatever_rests_between() {
        let (mut one, mut other) = (Deflate::new(BytesMut::new()), Deflate::new(BytesMut::new()));
        let random: Vec<u8> = (0..200_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for plain in [&b"a NOOP\r\n"[..], b"", &random, &[b'x'; 300_000], b"\0", &random[..5000], b"a NOOP\r\n"] {
            let packed = one.pack(plain).unwrap();
            one.rest();
            other.raw.extend_from_slice(&packed);
            let mut back = BytesMut::new();
            while back.len() < plain.len() {
                assert!(other.unpack(&mut back).unwrap() <= UNPACKED_BYTES_MAX);
            }
            assert!(back == plain && other.unpack(&mut back).unwrap() == 0);
        }
    }

    #[test]
    fn what_is_not_compressed_ends_the_session() {
        let mut deflate = Deflate::new(BytesMut::from(&b"\xff\xff\xff\xff a NOOP\r\n"[..]));
        assert!(deflate.unpack(&mut BytesMut::new()).is_err());
        // The end of a stream, which there must not be.
        let mut packer = Compress::new(Compression::fast(), false);
        let mut packed = Vec::with_capacity(100);
        packer.compress_vec(b"a NOOP\r\n", &mut packed, flate2::FlushCompress::Finish).unwrap();
        assert!(Deflate::new(BytesMut::from(&packed[..])).unpack(&mut BytesMut::new()).is_err());
    }
}
