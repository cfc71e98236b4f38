//! The text of office documents: OOXML (docx, xlsx, pptx) and OpenDocument (odt, ods, odp).
//!
//! Both are zip archives (APPNOTE 6.3) of XML files. Only the text between tags is wanted, so no XML parser is needed,
//! and nothing in a document can name another file or an entity of its own. Every length that a file claims is checked,
//! and what it unpacks to is bounded.

use std::io::Read;

use flate2::read::DeflateDecoder;

use crate::entity::character;

/// Largest archive that is looked at.
pub const ARCHIVE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bytes that are unpacked of one archive.
const UNPACKED_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Entries of one archive that are looked at.
const ENTRIES_MAX: usize = 4096;

/// The text of a document; `None` when it is none that is known. What can't be unpacked is left out.
pub fn text(archive: &[u8]) -> Option<String> {
    if archive.len() > ARCHIVE_BYTES_MAX || !archive.starts_with(b"PK\x03\x04") {
        return None;
    }
    let mut text = String::new();
    let mut left = UNPACKED_BYTES_MAX;
    for entry in entries(archive)? {
        if has_text(entry.name) {
            let xml = unpack(archive, &entry, &mut left).unwrap_or_default();
            strip(&String::from_utf8_lossy(&xml), &mut text);
            text.push('\n');
        }
    }
    Some(text)
}

/// Whether a file in the archive has text of the document.
fn has_text(name: &[u8]) -> bool {
    let Ok(name) = std::str::from_utf8(name) else { return false };
    let is_one_of = |folder: &str, beginnings: &[&str]| {
        let file = name.strip_prefix(folder).filter(|file| file.ends_with(".xml") && !file.contains('/'));
        file.is_some_and(|file| beginnings.iter().any(|beginning| file.starts_with(beginning)))
    };
    name == "content.xml"
        || is_one_of("word/", &["document", "header", "footer", "footnotes", "endnotes", "comments"])
        || name == "xl/sharedStrings.xml"
        || is_one_of("ppt/slides/", &["slide"])
        || is_one_of("ppt/notesSlides/", &["notesSlide"])
}

/// A file in an archive, as the directory at its end has it.
struct Entry<'a> {
    name: &'a [u8],
    method: u16,
    packed_bytes: usize,
    local_header_at: usize,
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    let number = u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?);
    usize::try_from(number).ok()
}

/// The central directory.
fn entries(archive: &[u8]) -> Option<Vec<Entry<'_>>> {
    let end = memchr::memmem::rfind(archive, b"PK\x05\x06")?;
    let mut at = u32_at(archive, end + 16)?;
    let mut entries = Vec::new();
    while entries.len() < ENTRIES_MAX && archive.get(at..)?.starts_with(b"PK\x01\x02") {
        let name_bytes = usize::from(u16_at(archive, at + 28)?);
        let more_bytes = usize::from(u16_at(archive, at + 30)?) + usize::from(u16_at(archive, at + 32)?);
        entries.push(Entry {
            name: archive.get(at + 46..at + 46 + name_bytes)?,
            method: u16_at(archive, at + 10)?,
            packed_bytes: u32_at(archive, at + 20)?,
            local_header_at: u32_at(archive, at + 42)?,
        });
        at += 46 + name_bytes + more_bytes;
    }
    Some(entries)
}

fn unpack(archive: &[u8], entry: &Entry<'_>, left: &mut u64) -> Option<Vec<u8>> {
    /// Stored as it is.
    const STORED: u16 = 0;
    /// With deflate.
    const DEFLATED: u16 = 8;
    let at = entry.local_header_at;
    let skipped = 30 + usize::from(u16_at(archive, at.checked_add(26)?)?) + usize::from(u16_at(archive, at + 28)?);
    let start = at.checked_add(skipped)?;
    let packed = archive.get(start..start.checked_add(entry.packed_bytes)?)?;
    let mut unpacked = Vec::new();
    // One that is damaged in the middle still has its beginning.
    let _ = match entry.method {
        STORED => packed.take(*left).read_to_end(&mut unpacked),
        DEFLATED => DeflateDecoder::new(packed).take(*left).read_to_end(&mut unpacked),
        _ => return None,
    };
    *left -= unpacked.len() as u64;
    Some(unpacked)
}

/// The text between tags. Ends of paragraphs and cells separate words; a change of the font in the middle of a word
/// does not.
fn strip(xml: &str, text: &mut String) {
    let mut rest = xml;
    while let Some(open) = rest.find('<') {
        unescape(&rest[..open], text);
        rest = &rest[open + 1..];
        let Some(close) = rest.find('>') else { return };
        let name = rest[..close].trim_start_matches('/').trim_end_matches('/');
        let name = name.split([' ', '\t', '\r', '\n']).next().unwrap_or_default();
        let local = name.rsplit(':').next().unwrap_or_default();
        if !matches!(
            local,
            "r" | "t" | "rPr" | "span" | "b" | "i" | "u" | "proofErr" | "lang" | "color" | "sz" | "rFonts"
        ) {
            text.push(' ');
        }
        rest = &rest[close + 1..];
    }
    unescape(rest, text);
}

/// The five entities of XML and numbers of characters.
fn unescape(part: &str, text: &mut String) {
    /// `&#x10FFFF;`
    const ENTITY_BYTES_MAX: usize = 10;
    let mut rest = part;
    while let Some(at) = rest.find('&') {
        text.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let end = rest.bytes().take(ENTITY_BYTES_MAX).position(|byte| byte == b';');
        let char = end.and_then(|end| character(&rest[..end]));
        match (char, end) {
            (Some(char), Some(end)) => {
                text.push(char);
                rest = &rest[end + 1..];
            }
            _ => text.push('&'),
        }
    }
    text.push_str(rest);
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::DeflateEncoder;
    use proptest::prelude::*;

    use super::*;

    /// An archive of these files, every second one packed.
    fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
        let (mut out, mut directory) = (Vec::new(), Vec::new());
        for (at, (name, content)) in files.iter().enumerate() {
            let mut packed = content.to_vec();
            if at % 2 == 0 {
                let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(content).unwrap();
                packed = encoder.finish().unwrap();
            }
            let method: u16 = if at % 2 == 0 { 8 } else { 0 };
            let (lengths, start) = ((packed.len() as u32, content.len() as u32), out.len() as u32);
            let mut fields = Vec::new();
            fields.extend_from_slice(&[20, 0, 0, 0]);
            fields.extend_from_slice(&method.to_le_bytes());
            fields.extend_from_slice(&[0; 8]);
            fields.extend_from_slice(&lengths.0.to_le_bytes());
            fields.extend_from_slice(&lengths.1.to_le_bytes());
            fields.extend_from_slice(&(name.len() as u16).to_le_bytes());
            fields.extend_from_slice(&[0, 0]);
            out.extend_from_slice(b"PK\x03\x04");
            out.extend_from_slice(&fields);
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(&packed);
            directory.extend_from_slice(b"PK\x01\x02\x14\0");
            directory.extend_from_slice(&fields);
            directory.extend_from_slice(&[0; 10]);
            directory.extend_from_slice(&start.to_le_bytes());
            directory.extend_from_slice(name.as_bytes());
        }
        let start = out.len() as u32;
        out.extend_from_slice(&directory);
        out.extend_from_slice(b"PK\x05\x06\0\0\0\0\0\0\0\0");
        out.extend_from_slice(&(directory.len() as u32).to_le_bytes());
        out.extend_from_slice(&start.to_le_bytes());
        out.extend_from_slice(&[0, 0]);
        out
    }

    fn words(archive: &[u8]) -> Option<String> {
        text(archive).map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn documents_have_their_texts() {
        let document = b"<w:p><w:r><w:t>Ter</w:t></w:r><w:r><w:rPr><w:b/></w:rPr><w:t>ns &amp; gulls</w:t></w:r></w:p>\
            <w:p><w:r><w:t>K&#xf6;ln&#33; a&b</w:t></w:r></w:p>";
        let docx =
            archive(&[("[Content_Types].xml", b"<no/>"), ("word/document.xml", document), ("word/x/a.xml", b"no")]);
        assert_eq!(words(&docx).as_deref(), Some("Terns & gulls K\u{f6}ln! a&b"));
        let xlsx =
            archive(&[("xl/sharedStrings.xml", b"<si><t>one</t></si><si><t>two</t></si>"), ("xl/workbook.xml", b"no")]);
        assert_eq!(words(&xlsx).as_deref(), Some("one two"));
        let pptx = archive(&[("ppt/slides/slide1.xml", b"<a:t>first</a:t>"), ("ppt/slides/slide2.xml", b"<a:p/>last")]);
        assert_eq!(words(&pptx).as_deref(), Some("first last"));
        let odt =
            archive(&[("content.xml", b"<text:p>odd <text:span>one</text:span>s</text:p>"), ("styles.xml", b"no")]);
        assert_eq!(words(&odt).as_deref(), Some("odd ones"));
    }

    #[test]
    fn bombs_unpack_to_what_is_allowed() {
        let bomb =
            archive(&[("content.xml", &vec![b'a'; 2 * UNPACKED_BYTES_MAX as usize]), ("word/document.xml", b"no")]);
        assert!(bomb.len() < 1024 * 1024);
        assert_eq!(text(&bomb).unwrap().trim().len() as u64, UNPACKED_BYTES_MAX);
    }

    proptest! {
        #[test]
        fn damaged_archives_do_no_harm(at in 0_usize..300, byte in any::<u8>(), length in 0_usize..400) {
            let mut bytes = archive(&[("content.xml", b"<a>some text</a>"), ("word/document.xml", b"<b>more</b>")]);
            let at = at % bytes.len();
            bytes[at] = byte;
            bytes.truncate(length);
            let _ = text(&bytes);
        }
    }
}
