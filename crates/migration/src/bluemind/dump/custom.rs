//! The custom form (`pg_dump -Fc`), versions 1.12 (PostgreSQL 9.0) to 1.16 (PostgreSQL 17): a header, a list of what
//! there is, and blocks of data, each a COPY's rows, compressed or not. It is read from its beginning to its end.

use std::collections::HashMap;
use std::io::{self, BufRead, BufReader, Read};

use flate2::read::ZlibDecoder;

use super::copy::statement;
use super::{CUSTOM, DumpError, Rows, rows_of};

/// The custom form among those that have this header.
const FORMAT_CUSTOM: u8 = 1;

/// Versions that are read; later ones change what stands in the list.
const VERSIONS: std::ops::RangeInclusive<(u8, u8)> = (1, 12)..=(1, 16);

/// Kinds of blocks.
const BLOCK_DATA: u8 = 1;
const BLOCK_BLOBS: u8 = 3;

/// Entries of the list.
const ENTRIES_MAX: i64 = 1_000_000;

/// Longest text in the list, in bytes.
const TEXT_BYTES_MAX: i64 = 64 * 1024 * 1024;

/// Things that one entry depends on.
const DEPENDENCIES_MAX: usize = 1_000_000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Compression {
    None,
    Zlib,
}

pub(super) fn read(source: impl BufRead, rows: &mut dyn Rows) -> Result<(), DumpError> {
    let mut archive = Archive::open(source)?;
    let tables = archive.list()?;
    let mut blocks = 0;
    while let Some(kind) = archive.next_block()? {
        let id = archive.int()?;
        match (kind, tables.get(&id)) {
            (BLOCK_DATA, Some(copy)) => {
                let (table, columns) =
                    statement(copy).ok_or(DumpError::Form("it was made with --inserts: make it without"))?;
                let is_wanted = rows.table(&table, &columns)?;
                archive.data(rows, is_wanted, &table)?;
                blocks += 1;
            }
            (BLOCK_DATA, None) => archive.skip()?,
            (BLOCK_BLOBS, _) => archive.skip_blobs()?,
            _ => return Err(DumpError::Damaged(format!("a block has the kind {kind}"))),
        }
    }
    match blocks == tables.len() {
        true => Ok(()),
        false => Err(DumpError::Damaged(format!("it has {} tables, and the rows of {blocks}", tables.len()))),
    }
}

struct Archive<R> {
    source: R,
    version: (u8, u8),
    int_bytes: u8,
    offset_bytes: u8,
    compression: Compression,
}

impl<R: BufRead> Archive<R> {
    /// Reads the header.
    fn open(mut source: R) -> Result<Self, DumpError> {
        let mut head = [0; CUSTOM.len() + 6];
        source.read_exact(&mut head)?;
        let (magic, [major, minor, _revision, int_bytes, offset_bytes, format]) = head.split_at(CUSTOM.len()) else {
            return Err(DumpError::NoDump);
        };
        if magic != CUSTOM || *format != FORMAT_CUSTOM {
            return Err(DumpError::Form("it is no dump of one file: make it with “pg_dump -Fc”"));
        }
        let version = (*major, *minor);
        if !VERSIONS.contains(&version) {
            return Err(DumpError::Form("a version of pg_dump made it that isn't known here: make a plain one"));
        }
        let (int_bytes, offset_bytes) = (*int_bytes, *offset_bytes);
        if !(1..=8).contains(&int_bytes) || !(1..=8).contains(&offset_bytes) {
            return Err(DumpError::Damaged("its header has impossible sizes".to_owned()));
        }
        let mut archive = Archive { source, version, int_bytes, offset_bytes, compression: Compression::None };
        archive.compression = archive.compression()?;
        // When it was made: seconds, minutes, hours, day, month, year, whether in summer time.
        for _ in 0..7 {
            archive.int()?;
        }
        // The database, the versions of the server and of pg_dump.
        for _ in 0..3 {
            archive.text()?;
        }
        Ok(archive)
    }

    fn compression(&mut self) -> Result<Compression, DumpError> {
        if self.version >= (1, 15) {
            return match self.byte()? {
                0 => Ok(Compression::None),
                1 => Ok(Compression::Zlib),
                _ => Err(DumpError::Form("it is compressed with lz4 or zstd: make it with “pg_dump -Fc -Z gzip”")),
            };
        }
        // The level: 0 is none, -1 what zlib thinks best.
        Ok(if self.int()? == 0 { Compression::None } else { Compression::Zlib })
    }

    /// The COPY of each table that has rows in here, by the number that its block has.
    fn list(&mut self) -> Result<HashMap<i64, String>, DumpError> {
        let count = self.int()?;
        if !(0..=ENTRIES_MAX).contains(&count) {
            return Err(DumpError::Damaged(format!("its list has {count} entries")));
        }
        let mut tables = HashMap::new();
        for _ in 0..count {
            let id = self.int()?;
            let has_data = self.int()? != 0;
            // Two object ids, and the name.
            for _ in 0..3 {
                self.text()?;
            }
            let kind = self.text()?;
            self.int()?;
            // How it is made, and how it is dropped.
            for _ in 0..2 {
                self.text()?;
            }
            let copy = self.text()?;
            self.rest_of_entry()?;
            if has_data && kind.as_deref() == Some("TABLE DATA") {
                tables.insert(id, copy.unwrap_or_default());
            }
        }
        Ok(tables)
    }

    /// Schema, tablespace, access method, owner, what it depends on, and where its block is.
    fn rest_of_entry(&mut self) -> Result<(), DumpError> {
        for _ in 0..if self.version >= (1, 14) { 3 } else { 2 } {
            self.text()?;
        }
        if self.version >= (1, 16) {
            self.int()?;
        }
        // The owner, and whether rows had object ids.
        for _ in 0..2 {
            self.text()?;
        }
        let mut dependencies = 0;
        while self.text()?.is_some() {
            dependencies += 1;
            if dependencies > DEPENDENCIES_MAX {
                return Err(DumpError::Damaged("an entry of its list has no end".to_owned()));
            }
        }
        self.byte()?;
        for _ in 0..self.offset_bytes {
            self.byte()?;
        }
        Ok(())
    }

    /// The kind of the next block; `None` at the end.
    fn next_block(&mut self) -> Result<Option<u8>, DumpError> {
        match self.byte() {
            Ok(kind) => Ok(Some(kind)),
            Err(DumpError::Io(error)) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn data(&mut self, rows: &mut dyn Rows, is_wanted: bool, table: &str) -> Result<(), DumpError> {
        let compression = self.compression;
        let mut chunks = Chunks { archive: self, left: 0, is_at_end: false };
        if !is_wanted {
            return chunks.skip();
        }
        let ended = match compression {
            Compression::None => rows_of(&mut BufReader::new(&mut chunks), rows, true)?,
            Compression::Zlib => rows_of(&mut BufReader::new(ZlibDecoder::new(&mut chunks)), rows, true)?,
        };
        if !ended {
            return Err(DumpError::Damaged(format!("it ends within the table {table}")));
        }
        chunks.skip()
    }

    fn skip(&mut self) -> Result<(), DumpError> {
        Chunks { archive: self, left: 0, is_at_end: false }.skip()
    }

    /// Large objects: each has its number and its data, and number 0 ends them.
    fn skip_blobs(&mut self) -> Result<(), DumpError> {
        while self.int()? != 0 {
            self.skip()?;
        }
        Ok(())
    }

    fn byte(&mut self) -> Result<u8, DumpError> {
        let mut byte = [0];
        self.source.read_exact(&mut byte)?;
        Ok(byte[0])
    }

    /// A sign, and the bytes of the number, the least one first.
    fn int(&mut self) -> Result<i64, DumpError> {
        let is_negative = self.byte()? != 0;
        let mut value = 0_u64;
        for n in 0..self.int_bytes {
            value |= u64::from(self.byte()?) << (8 * u32::from(n));
        }
        let value = i64::try_from(value).map_err(|_| DumpError::Damaged("a number is too large".to_owned()))?;
        Ok(if is_negative { -value } else { value })
    }

    /// A text by its length; `None` is one that isn't there.
    fn text(&mut self) -> Result<Option<String>, DumpError> {
        let length = match self.int()? {
            length if length < 0 => return Ok(None),
            length if length > TEXT_BYTES_MAX => return Err(DumpError::Damaged("a text is too long".to_owned())),
            length => length,
        };
        let mut bytes = Vec::new();
        (&mut self.source).take(length.unsigned_abs()).read_to_end(&mut bytes)?;
        match bytes.len() as u64 == length.unsigned_abs() {
            true => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            false => Err(DumpError::Io(io::ErrorKind::UnexpectedEof.into())),
        }
    }
}

/// The data of a block, which comes in pieces; one of no length ends it.
struct Chunks<'a, R> {
    archive: &'a mut Archive<R>,
    left: u64,
    is_at_end: bool,
}

impl<R: BufRead> Chunks<'_, R> {
    fn skip(&mut self) -> Result<(), DumpError> {
        io::copy(self, &mut io::sink())?;
        Ok(())
    }
}

impl<R: BufRead> Read for Chunks<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 && !self.is_at_end {
            let length = self.archive.int().map_err(|error| match error {
                DumpError::Io(error) => error,
                other => io::Error::new(io::ErrorKind::InvalidData, other.to_string()),
            })?;
            self.left = length.max(0).unsigned_abs();
            self.is_at_end = self.left == 0;
        }
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(out.len());
        let read = self.archive.source.read(out.get_mut(..wanted).unwrap_or_default())?;
        if read == 0 && wanted > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= read as u64;
        Ok(read)
    }
}
