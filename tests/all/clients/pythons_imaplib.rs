//! Python's own clients for IMAP and LMTP.

use sterna_testkit::binary::have;
use sterna_testkit::demo::Demo;

use super::run;

#[test]
fn pythons_imaplib_uses_starttls_and_tls_and_sees_new_mail_in_idle_folders() {
    if !have(&["python3"]) {
        return;
    }
    let demo = Demo::start();
    for user in &demo.at.users {
        let (imap, imaps) = (demo.at.imap.port.to_string(), demo.at.imaps.port.to_string());
        let lmtp = demo.at.lmtp.port.to_string();
        run("python3", &["-c", IMAPLIB, &imap, &imaps, &lmtp, &user.address, &user.password]);
    }
}

/// Python's own clients: STARTTLS, implicit TLS, APPEND, SEARCH, STORE, COPY, EXPUNGE, and a delivery seen by NOOP.
const IMAPLIB: &str = r#"
import imaplib, smtplib, ssl, sys
imap, imaps, lmtp, user, password = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5]
trust = ssl.create_default_context(); trust.check_hostname = False; trust.verify_mode = ssl.CERT_NONE
a = imaplib.IMAP4('127.0.0.1', imap); a.starttls(trust); a.login(user, password)
b = imaplib.IMAP4_SSL('127.0.0.1', imaps, ssl_context=trust); b.login(user, password)
def ok(answer):
    assert answer[0] == 'OK', answer
    return answer[1]
ok(a.create('Python/Tern')); ok(a.subscribe('Python/Tern'))
assert any(b'Python/Tern' in line for line in ok(b.list('""', '*')))
ok(a.append('Python/Tern', r'(\Seen $Tern)', None, b'Subject: from python\r\n\r\nbody\r\n'))
assert ok(b.select('Python/Tern')) == [b'1']
assert ok(b.search(None, 'KEYWORD', '$Tern', 'SUBJECT', '"from python"')) == [b'1']
flags = ok(b.fetch('1', '(FLAGS UID RFC822.SIZE BODYSTRUCTURE ENVELOPE)'))[0]
assert b'\\Seen' in flags and b'$Tern' in flags, flags
before = int(ok(a.select('INBOX'))[0])
with smtplib.LMTP('127.0.0.1', lmtp) as l:
    l.sendmail('x@y.test', [user], b'Subject: while you wait\r\n\r\nhello\r\n')
ok(a.noop())
assert int(a.response('EXISTS')[1][-1] or 0) == before + 1
ok(b.copy('1', 'Trash')); ok(b.store('1', '+FLAGS', r'(\Deleted)')); assert ok(b.expunge()) == [b'1']
ok(b.unselect()); ok(b.delete('Python/Tern')); b.logout(); a.logout()
"#;
