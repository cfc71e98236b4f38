//! IMAPClient, which Python programs use that want more than imaplib knows.

use std::path::PathBuf;
use std::process::Command;

use sterna_testkit::binary::have;
use sterna_testkit::demo::Demo;

use super::run;

#[test]
fn pythons_imapclient_uses_every_extension_it_knows() {
    if !have(&["python3"]) {
        return;
    }
    let Some(python) = python() else { return };
    let demo = Demo::start();
    for (user, other) in [('a', 'b'), ('b', 'a')].map(|(user, other)| (demo.user(user), demo.user(other))) {
        let (imap, lmtp) = (demo.at.imap.port.to_string(), demo.at.lmtp.port.to_string());
        let python = python.to_string_lossy();
        run(&python, &["-c", IMAPCLIENT, &imap, &lmtp, &user.address, &user.password, &other.address]);
    }
}

/// The Python that has it: `cargo xtask test` makes one, Debian has no package of it.
fn python() -> Option<PathBuf> {
    let tools = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/tools/bin/python3"));
    let has = |python: &PathBuf| {
        let imported = Command::new(python).args(["-c", "import imapclient"]).output();
        imported.is_ok_and(|output| output.status.success())
    };
    let found = [tools, PathBuf::from("python3")].into_iter().find(has);
    if found.is_none() {
        have(&["IMAPClient for Python"]);
    }
    found
}

/// Literals with the message, IDLE, CONDSTORE, SORT, THREAD, MOVE, UID EXPUNGE, names beyond ASCII, QUOTA, ACL.
const IMAPCLIENT: &str = r#"
import datetime, smtplib, ssl, sys
from imapclient.imapclient import IMAPClient, SEEN, FLAGGED, DELETED, SENT
imap, lmtp, user, password, other = int(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:6]
trust = ssl.create_default_context(); trust.check_hostname = False; trust.verify_mode = ssl.CERT_NONE
c = IMAPClient('127.0.0.1', port=imap, ssl=False, timeout=60); c.starttls(trust); c.plain_login(user, password)
for name in ['IDLE', 'SORT', 'THREAD=REFERENCES', 'CONDSTORE', 'QRESYNC', 'MOVE', 'UIDPLUS', 'QUOTA', 'ACL', 'SPECIAL-USE']:
    assert c.has_capability(name), (name, c.capabilities())
assert c.namespace().personal[0] == ('', '/'), c.namespace()
c.id_({'name': 'tern'})
assert c.find_special_folder(SENT) == 'Sent'

name = 'Vögel/Küste & Meer'
c.create_folder(name); c.subscribe_folder(name)
assert name in [folder for _, _, folder in c.list_folders()]
assert name in [folder for _, _, folder in c.list_sub_folders('Vögel/', '*')]
when = datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
def mail(number, subject, more=''):
    text = f'From: Zoë <zoe{number}@x.test>\r\nSubject: {subject}\r\nMessage-ID: <{number}@x.test>\r\n{more}\r\nÜber die Küste {number}\r\n'
    return text.encode()
c.append(name, mail(1, 'tern'), [SEEN, '$Bird'], when)
c.append(name, mail(2, 'Arctic'), [], when)
if c.has_capability('MULTIAPPEND') and hasattr(c, 'multiappend'):
    c.multiappend(name, [mail(3, 'Re: tern', 'In-Reply-To: <1@x.test>\r\n'), {'msg': mail(4, 'gull'), 'flags': [FLAGGED]}])
else:
    c.append(name, mail(3, 'Re: tern', 'In-Reply-To: <1@x.test>\r\n')); c.append(name, mail(4, 'gull'), [FLAGGED])

c.enable('CONDSTORE')
selected = c.select_folder(name)
assert selected[b'EXISTS'] == 4 and selected[b'UIDNEXT'] == 5, selected
assert c.search(['SUBJECT', 'TERN']) == [1, 3] and c.search(['KEYWORD', '$Bird']) == [1]
assert c.search(['BODY', 'küste 2'], 'UTF-8') == [2]
assert c.search(['NOT', ['OR', 'FLAGGED', ['SUBJECT', 'tern']]]) == [2]
assert c.search([['SINCE', datetime.date(2024, 1, 2), 'BEFORE', datetime.date(2024, 1, 3)]]) == [1, 2]
assert c.sort('SUBJECT') == [2, 4, 1, 3] and c.sort(['REVERSE ARRIVAL'], ['UID', '1:2'])[0] in (1, 2)
assert ((1, 3) in c.thread('REFERENCES')) and len(c.thread('REFERENCES')) == 3, c.thread('REFERENCES')
fetched = c.fetch([1, 4], ['ENVELOPE', 'BODYSTRUCTURE', 'FLAGS', 'INTERNALDATE', 'RFC822.SIZE', 'BODY.PEEK[1]', 'MODSEQ'])
assert fetched[1][b'ENVELOPE'].subject == b'tern' and fetched[1][b'RFC822.SIZE'] == len(mail(1, 'tern'))
assert fetched[1][b'BODY[1]'] == 'Über die Küste 1\r\n'.encode() and set(fetched[1][b'FLAGS']) >= {SEEN, b'$Bird'}
assert fetched[1][b'INTERNALDATE'].timestamp() == when.timestamp(), fetched[1][b'INTERNALDATE']
assert fetched[4][b'BODYSTRUCTURE'][0] == b'text' or fetched[4][b'BODYSTRUCTURE'][0] == b'TEXT'

before = fetched[4][b'MODSEQ'][0]
assert FLAGGED in c.add_flags(2, [FLAGGED])[2]
assert list(c.fetch('1:*', ['FLAGS'], ['CHANGEDSINCE %d' % before])) == [2]
assert SEEN not in c.remove_flags(1, [SEEN])[1]
assert c.add_flags([1, 2], [SEEN], silent=True) is None
assert c.folder_status(name, ['MESSAGES', 'UNSEEN', 'UIDNEXT'])[b'UNSEEN'] == 2
c.copy([1, 2], 'Archive')
c.move([3], 'Archive')
assert c.search() == [1, 2, 4]
c.delete_messages([2, 4]); c.uid_expunge([4])
assert c.search() == [1, 2] and c.search('DELETED') == [2]
c.unselect_folder()

there = int(c.select_folder('INBOX', readonly=True)[b'EXISTS'])
c.idle()
with smtplib.LMTP('127.0.0.1', lmtp) as l:
    l.sendmail('x@y.test', [user], b'Subject: while you idle\r\n\r\nhello\r\n')
heard = []
while (there + 1, b'EXISTS') not in heard:
    news = c.idle_check(timeout=30); assert news, heard
    heard += news
c.idle_done()

roots, quotas = c.get_quota_root('INBOX')
assert roots.mailbox == 'INBOX' and isinstance(quotas, list)
c.rename_folder('Vögel', 'Oiseaux')
assert c.folder_exists('Oiseaux/Küste & Meer') and not c.folder_exists(name)
c.setacl('Oiseaux/Küste & Meer', other, 'lr')
plain = lambda text: (text if isinstance(text, str) else text.decode()).strip('"')
rights = {plain(who): plain(what) for who, what in c.getacl('Oiseaux/Küste & Meer')}
assert sorted(rights[other]) == ['l', 'r'], rights
c.delete_folder('Oiseaux/Küste & Meer'); c.delete_folder('Oiseaux'); c.logout()
"#;
