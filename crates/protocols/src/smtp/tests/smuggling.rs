//! A second message hidden in the first one's content: whatever another server takes for its end, it is content here,
//! and content with a bare CR or LF is refused.

use super::*;

const ENVELOPE: &str = "MAIL FROM:<a@b.test>\r\nRCPT TO:<ana@demo.test>\r\nDATA\r\n";

/// All known ways to write an end that is not one.
const FALSE_ENDS: [&str; 16] = [
    "\n\n.\n\n",
    "\r\r.\r\r",
    "\r\n\n.\n\r\n",
    "\n\r.\n\r",
    "\n.\n",
    "\n.\r\n",
    "\r.\r",
    "\r.\n",
    "\r.\r\n",
    "\r\n.\n",
    "\r\n.\r",
    "\n.\r",
    "\r\n.\r\r\n",
    "\r\r\n.\r\r\n",
    "\r\n\0.\r\n",
    "\r\n.\0\r\n",
];

#[tokio::test]
async fn nothing_but_crlf_dot_crlf_ends_the_content() {
    for end in FALSE_ENDS {
        let server = Server::new(Service::Mx);
        let mut client = server.connect();
        let hidden = format!("{ENVELOPE}Subject: hidden{end}{ENVELOPE}second\r\n.\r\nNOOP\r\n");
        client.send(format!("EHLO c.test\r\n{hidden}").as_bytes()).await;
        client.speak("S: 220\nS+ 250\nS: 250\nS: 250\nS: 354").await;
        if end.contains('\0') {
            client.speak("S: 250 2.0.0").await;
        } else {
            client.speak("S: 554 5.6.0").await;
        }
        // Straight on to NOOP: the hidden commands were not obeyed.
        client.speak("S: 250 2.0.0 OK\nC: QUIT\nS: 221\nE").await;
        assert_eq!(server.taken().len(), usize::from(end.contains('\0')), "{end:?}");
    }
}

#[tokio::test]
async fn lines_of_other_alphabets_are_text() {
    // Separators of Unicode and of terminals end no line here, and blanks around the dot make it text.
    for end in ["\u{b}.\u{b}", "\u{85}.\u{85}", "\u{2028}.\u{2028}", "\r\n. \r\n", "\r\n.\t\r\n", "\r\n .\r\n"] {
        let server = Server::new(Service::Mx);
        let mut client = server.connect();
        let hidden = format!("{ENVELOPE}x{end}{ENVELOPE}y\r\n.\r\nNOOP\r\n");
        client.send(format!("EHLO c.test\r\n{hidden}").as_bytes()).await;
        client.speak("S: 220\nS+ 250\nS: 250\nS: 250\nS: 354\nS: 250 2.0.0\nS: 250\nC: QUIT\nS: 221\nE").await;
        assert_eq!(server.taken().len(), 1, "{end:?}");
    }
}

#[tokio::test]
async fn in_whatever_pieces_it_comes() {
    for end in FALSE_ENDS.iter().filter(|end| !end.contains('\0')) {
        let server = Server::new(Service::Mx);
        let mut client = server.connect();
        client.speak("S: 220\nC: EHLO c.test\nS+ 250").await;
        for byte in format!("{ENVELOPE}x{end}{ENVELOPE}y\r\n.\r\n").into_bytes() {
            client.send(&[byte]).await;
            tokio::task::yield_now().await;
        }
        client.speak("S: 250\nS: 250\nS: 354\nS: 554 5.6.0\nC: QUIT\nS: 221\nE").await;
        assert!(server.taken().is_empty(), "{end:?}");
    }
}

#[tokio::test]
async fn chunks_are_held_to_the_same_unless_they_are_binary() {
    let script = |body: &str| {
        format!(
            "S: 220\nC: EHLO c.test\nS+ 250\nC: MAIL FROM:<a@b.test>{body}\nS: 250\nC: RCPT TO:<ana@demo.test>\n\
             S: 250\n\
             R: BDAT 9 LAST\\r\\na\\n.\\n\\0b\\rc\\n"
        )
    };
    let server = Server::new(Service::Mx);
    server.dialog(&(script("") + "\nS: 554 5.6.0")).await;
    assert!(server.taken().is_empty());
    server.dialog(&(script(" BODY=BINARYMIME") + "\nS: 250 2.0.0")).await;
    assert_eq!(server.taken()[0].content(), b"a\n.\n\0b\rc\n");
}

#[tokio::test]
async fn a_crlf_between_two_chunks_is_whole() {
    let server = Server::new(Service::Mx);
    server
        .dialog(
            "S: 220\nC: EHLO c.test\nS+ 250\nC: MAIL FROM:<a@b.test>\nS: 250\nC: RCPT TO:<ana@demo.test>\nS: 250
             R: BDAT 2\\r\\na\\rBDAT 1 LAST\\r\\n\\n
             S: 250
             S: 250 2.0.0 OK",
        )
        .await;
    assert_eq!(server.taken()[0].content(), b"a\r\n");
}
