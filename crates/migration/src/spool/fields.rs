//! Numbers at fixed places, the most significant byte first, as all of Cyrus' own files have them.

use super::Bad;

/// Bytes that numbers are read from; what lies beyond their end is an error.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    /// So many bytes from here.
    ///
    /// # Errors
    /// [`Bad`] when they end before; the same holds for the others.
    pub fn slice(self, at: usize, length: usize) -> Result<&'a [u8], Bad> {
        let end = at.checked_add(length).ok_or(Bad("a length is absurd"))?;
        self.0.get(at..end).ok_or(Bad("it ends too early"))
    }

    fn array<const N: usize>(self, at: usize) -> Result<[u8; N], Bad> {
        self.slice(at, N)?.try_into().map_err(|_| Bad("it ends too early"))
    }

    /// A number of 16 bits.
    pub fn u16(self, at: usize) -> Result<u16, Bad> {
        Ok(u16::from_be_bytes(self.array(at)?))
    }

    /// A number of 32 bits.
    pub fn u32(self, at: usize) -> Result<u32, Bad> {
        Ok(u32::from_be_bytes(self.array(at)?))
    }

    /// A number of 64 bits.
    pub fn u64(self, at: usize) -> Result<u64, Bad> {
        Ok(u64::from_be_bytes(self.array(at)?))
    }

    /// A number of 32 bits that says where something is or how long.
    pub fn length(self, at: usize) -> Result<usize, Bad> {
        usize::try_from(self.u32(at)?).map_err(|_| Bad("a length is absurd"))
    }

    /// The same of 64 bits.
    pub fn long_length(self, at: usize) -> Result<usize, Bad> {
        usize::try_from(self.u64(at)?).map_err(|_| Bad("a length is absurd"))
    }
}

/// Rounds up to a multiple.
///
/// # Errors
/// [`Bad`] when there is none.
pub fn rounded(length: usize, to: usize) -> Result<usize, Bad> {
    length.checked_next_multiple_of(to).ok_or(Bad("a length is absurd"))
}

/// CRC-32 as in zlib, which Cyrus puts behind what it wants to be sure of.
pub fn crc32(parts: &[&[u8]]) -> u32 {
    let mut crc = flate2::Crc::new();
    parts.iter().for_each(|part| crc.update(part));
    crc.sum()
}
