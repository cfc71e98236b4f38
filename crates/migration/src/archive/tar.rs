//! A tar stream as it is written, file by file. The headers are the library's; the contents go by as they come.

use std::io;

use tokio::io::{AsyncWrite, AsyncWriteExt};

/// Blocks of a tar stream.
const BLOCK_BYTES: u64 = 512;

/// Two of them end a stream.
const END: [u8; 1024] = [0; 1024];

/// Writes files one after the other.
pub struct TarWriter<W> {
    sink: W,
    /// Bytes that the present file lacks.
    left: u64,
    /// Zeros that follow it.
    padding: u64,
}

impl<W: AsyncWrite + Unpin> TarWriter<W> {
    /// Into this sink.
    pub fn new(sink: W) -> Self {
        TarWriter { sink, left: 0, padding: 0 }
    }

    /// Begins a file of this length in bytes, last changed then (seconds since 1970); its content follows in pieces.
    ///
    /// # Errors
    /// When the file before lacks something, the name can't be in a tar stream, or the sink takes no more; the same
    /// holds for the other methods.
    pub async fn begin(&mut self, name: &str, bytes: u64, changed_at: i64) -> io::Result<()> {
        self.head(name, (bytes, 0o600, tar::EntryType::Regular), changed_at).await
    }

    /// An empty folder.
    pub async fn folder(&mut self, name: &str, changed_at: i64) -> io::Result<()> {
        self.head(name, (0, 0o700, tar::EntryType::Directory), changed_at).await
    }

    async fn head(
        &mut self,
        name: &str,
        (bytes, mode, kind): (u64, u32, tar::EntryType),
        changed_at: i64,
    ) -> io::Result<()> {
        self.pad().await?;
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes);
        header.set_mode(mode);
        header.set_mtime(u64::try_from(changed_at).unwrap_or(0));
        header.set_entry_type(kind);
        let mut builder = tar::Builder::new(Vec::new());
        // The library writes the header, also one of a long name, and finds no content to copy.
        builder.append_data(&mut header, name, io::empty())?;
        let mut head = builder.into_inner()?;
        head.truncate(head.len().saturating_sub(END.len()));
        self.sink.write_all(&head).await?;
        self.left = bytes;
        self.padding = (BLOCK_BYTES - bytes % BLOCK_BYTES) % BLOCK_BYTES;
        Ok(())
    }

    /// A piece of the present file.
    pub async fn piece(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.left = self.left.checked_sub(bytes.len() as u64).ok_or_else(|| wrong_length("longer"))?;
        self.sink.write_all(bytes).await
    }

    /// A short file.
    pub async fn file(&mut self, name: &str, content: &[u8], changed_at: i64) -> io::Result<()> {
        self.begin(name, content.len() as u64, changed_at).await?;
        self.piece(content).await
    }

    /// Ends the stream.
    pub async fn end(mut self) -> io::Result<()> {
        self.pad().await?;
        self.sink.write_all(&END).await?;
        self.sink.shutdown().await
    }

    async fn pad(&mut self) -> io::Result<()> {
        if self.left > 0 {
            return Err(wrong_length("shorter"));
        }
        let zeros = usize::try_from(std::mem::take(&mut self.padding)).unwrap_or(0);
        self.sink.write_all(END.get(..zeros).unwrap_or_default()).await
    }
}

fn wrong_length(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("a file is {what} than it was to be"))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[tokio::test]
    async fn what_is_written_is_read_by_others() {
        let (mut bytes, long) = (Vec::new(), format!("a/{}/x", "long".repeat(50)));
        let mut writer = TarWriter::new(&mut bytes);
        writer.file("empty", b"", 0).await.unwrap();
        writer.begin(&long, 513, 1_700_000_000).await.unwrap();
        writer.piece(&[7; 500]).await.unwrap();
        writer.piece(&[8; 13]).await.unwrap();
        writer.file("last", b"end", -1).await.unwrap();
        writer.end().await.unwrap();
        let mut archive = tar::Archive::new(bytes.as_slice());
        let mut found = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            found.push((
                entry.path().unwrap().to_string_lossy().into_owned(),
                content.len(),
                entry.header().mtime().unwrap(),
            ));
        }
        let expected = [("empty", 0, 0), (long.as_str(), 513, 1_700_000_000), ("last", 3, 0)];
        assert_eq!(found, expected.map(|(name, length, at)| (name.to_owned(), length, at)));
    }

    #[tokio::test]
    async fn a_file_has_the_length_that_was_told() {
        let mut writer = TarWriter::new(Vec::new());
        writer.begin("x", 3, 0).await.unwrap();
        assert!(writer.piece(b"four").await.is_err());
        assert!(writer.begin("y", 1, 0).await.is_err());
    }
}
