//! Python's own client for POP3.

use sterna_testkit::binary::have;
use sterna_testkit::demo::Demo;

use super::run;

#[test]
fn pythons_poplib_reads_by_stls_and_tls_and_removes_with_quit() {
    if !have(&["python3"]) {
        return;
    }
    let demo = Demo::start();
    for user in &demo.at.users {
        let (pop3, pop3s) = (demo.at.pop3.port.to_string(), demo.at.pop3s.port.to_string());
        let lmtp = demo.at.lmtp.port.to_string();
        run("python3", &["-c", POPLIB, &pop3, &pop3s, &lmtp, &user.address, &user.password]);
    }
}

/// STLS, implicit TLS, every listing, every message, and marks that count only with QUIT.
const POPLIB: &str = r#"
import poplib, smtplib, ssl, sys
pop3, pop3s, lmtp, user, password = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4], sys.argv[5]
trust = ssl.create_default_context(); trust.check_hostname = False; trust.verify_mode = ssl.CERT_NONE
with smtplib.LMTP('127.0.0.1', lmtp) as l:
    l.sendmail('x@y.test', [user], b'Subject: terns\r\n\r\n.one\r\n\r\n..\r\nfour\r\n')
def plain():
    p = poplib.POP3('127.0.0.1', pop3); assert 'STLS' in p.capa(); p.stls(trust)
    assert 'STLS' not in p.capa(); p.utf8(); p.user(user); p.pass_(password); return p
def tls():
    p = poplib.POP3_SSL('127.0.0.1', pop3s, context=trust); p.user(user); p.pass_(password); return p
a, b = plain(), tls()
count, octets = a.stat()
assert b.stat() == (count, octets)
sizes = dict(map(int, line.split()) for line in a.list()[1])
assert len(sizes) == count and sum(sizes.values()) == octets
for number, size in sizes.items():
    lines = a.retr(number)[1]
    assert sum(len(line) + 2 for line in lines) == size, (number, size)
    empty = lines.index(b'')
    assert b.top(number, 2)[1] == lines[:empty + 3], number
assert a.retr(count)[1][-4:] == [b'.one', b'', b'..', b'four']
ids = [line.split()[1] for line in a.uidl()[1]]
assert len(set(ids)) == count and b.uidl(count) == b'+OK %d %s' % (count, ids[-1])
try:
    a.retr(count + 1); assert False
except poplib.error_proto as refused:
    assert refused.args[0].startswith(b'-ERR'), refused
a.dele(1); a.rset(); a.dele(count); a.close()
b.dele(2); b.noop(); b.quit()
c = tls()
assert [line.split()[1] for line in c.uidl()[1]] == ids[:1] + ids[2:]
c.quit()
"#;
