//! PDFs in searches, and what becomes of a node that is sent bad ones.

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sterna_testkit::binary::sterna;
use sterna_testkit::imap::Imap;
use sterna_testkit::installation::Installation;
use sterna_testkit::wait::until;

const ANA: &str = "ana@tern.test";

/// How long an index may take until it has some messages.
const FED_WITHIN: Duration = Duration::from_secs(120);

/// A document of one page for each content, as a stream with this filter.
fn pdf(pages: &[&[u8]], filter: &str) -> Vec<u8> {
    let kids: Vec<String> = (0..pages.len()).map(|page| format!("{} 0 R", 4 + 2 * page)).collect();
    let mut objects = vec![
        b"<< /Type /Catalog /Pages 2 0 R >>".to_vec(),
        format!("<< /Type /Pages /Kids [{}] /Count {} >>", kids.join(" "), pages.len()).into_bytes(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_vec(),
    ];
    for (page, content) in pages.iter().enumerate() {
        objects.push(
            format!(
                "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {} 0 R \
                 /Resources << /Font << /F1 3 0 R >> >> >>",
                5 + 2 * page
            )
            .into_bytes(),
        );
        let head = format!("<< /Length {}{filter} >>\nstream\n", content.len());
        objects.push([head.as_bytes(), content, b"\nendstream"].concat());
    }
    let (mut file, mut offsets) = (b"%PDF-1.4\n".to_vec(), Vec::new());
    for (at, object) in objects.iter().enumerate() {
        offsets.push(file.len());
        file.extend([format!("{} 0 obj\n", at + 1).as_bytes(), object, b"\nendobj\n"].concat());
    }
    let xref = file.len();
    file.extend(format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1).as_bytes());
    offsets.iter().for_each(|offset| file.extend(format!("{offset:010} 00000 n \n").as_bytes()));
    let size = objects.len() + 1;
    file.extend(format!("trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{xref}\n%%EOF\n").as_bytes());
    file
}

fn page(text: &str) -> Vec<u8> {
    format!("BT /F1 12 Tf 72 720 Td ({text}) Tj 0 -14 Td (south) Tj ET").into_bytes()
}

/// What unpacks to a gigabyte of the same byte: one literal, and matches of 258 bytes at distance 1 in one block with
/// fixed codes (RFC 1951 section 3.2.6), in the format of RFC 1950.
fn bomb() -> Vec<u8> {
    const MATCHES: usize = 1024 * 1024 * 1024 / 258;
    let (mut bytes, mut bits, mut count) = (vec![0x78, 0x9c], 0_u64, 0_u32);
    let mut put = |value: u64, length: u32| {
        bits |= value << count;
        count += length;
        while count >= 8 {
            bytes.push(bits as u8);
            bits >>= 8;
            count -= 8;
        }
    };
    put(0b011, 3);
    // A space is 0x30 + 0x20, the length 258 is 0b11000101, the distance 1 is 0; codes come with their first bit first.
    put(u64::from(0x50_u8.reverse_bits()), 8);
    (0..MATCHES).for_each(|_| put(u64::from(0b1100_0101_u8.reverse_bits()), 13));
    put(0, 16);
    bytes
}

/// What the process that reads makes of it.
fn read(pdf: &[u8]) -> Output {
    let mut process = Command::new(sterna())
        .arg("read-pdf")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = process.stdin.take().unwrap();
    // One that ends early breaks the pipe.
    let _ = input.write_all(pdf);
    drop(input);
    process.wait_with_output().unwrap()
}

#[test]
fn the_process_that_reads_gives_text_or_ends() {
    let good = pdf(&[&page("Kingfishers \\(Alcedo\\) dive"), b"BT /F9 nonsense (", &page("Terns migrate")], "");
    let output = read(&good);
    let text = String::from_utf8(output.stdout).unwrap();
    let words: Vec<&str> = text.split_whitespace().collect();
    assert!(output.status.success());
    assert_eq!(words.join(" "), "Kingfishers (Alcedo) dive south Terns migrate south");
    for garbage in [&b""[..], b"%PDF-1.7\nno more", &good[..good.len() / 2], &[0x55; 4096]] {
        let output = read(garbage);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.trim().is_empty() || text.contains("Kingfishers"), "{text}");
    }
    let bomb = pdf(&[&bomb()], " /Filter /FlateDecode");
    assert!(bomb.len() < 8 * 1024 * 1024);
    let output = read(&bomb);
    assert!(!output.status.success() || output.stdout.trim_ascii().is_empty(), "{:?}", output.status);
}

fn with_pdf(subject: &str, pdf: &[u8]) -> Vec<u8> {
    let encoded = STANDARD.encode(pdf);
    let lines: Vec<&str> = encoded.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
    format!(
        "From: x@y.test\r\nSubject: {subject}\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\
         Content-Type: application/pdf; name=\"paper.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\r\n{}\r\n--b--\r\n",
        lines.join("\r\n")
    )
    .into_bytes()
}

fn found(imap: &mut Imap, keys: &str) -> String {
    let answer = imap.command(&format!("SEARCH {keys}")).unwrap();
    let line = answer.lines.iter().find(|line| line.contains("SEARCH")).unwrap_or_else(|| panic!("{answer:?}"));
    line.split_once("SEARCH").map_or("", |(_, numbers)| numbers).trim().to_owned()
}

#[test]
fn pdfs_are_found_and_bad_ones_do_no_harm() {
    let installation = Installation::standard();
    let mut ana = installation.node("main").at.login(ANA).unwrap();
    let good = pdf(&[&page("Kingfishers dive")], "");
    for message in [
        with_pdf("one", &good),
        with_pdf("garbage", &[&good[..200], &[0x55; 3000]].concat()),
        with_pdf("bomb", &pdf(&[&bomb()[..3_000_000]], " /Filter /FlateDecode")),
        with_pdf("two", &good),
    ] {
        assert!(ana.append("INBOX", &message).unwrap().ok());
    }
    ana.command("SELECT INBOX").unwrap();
    assert_eq!(found(&mut ana, "FUZZY BODY \"diving kingfisher\""), "1 4", "before it is fed");
    until("the index", FED_WITHIN, || {
        let status: Value =
            serde_json::from_str(&installation.admin_ok("alpha", &["--json", "search", "status", ANA])).unwrap();
        (status[0]["state"] == "complete" && status[0]["messages"] == 4).then_some(())
    });
    assert_eq!(found(&mut ana, "FUZZY BODY \"diving kingfisher\""), "1 4", "after");
    assert_eq!(found(&mut ana, "FUZZY TEXT paper.pdf"), "1 2 3 4");
    assert_eq!(found(&mut ana, "TEXT kingfisher"), "1 4");
}
