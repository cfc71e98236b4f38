//! The demo's mail: a few hundred messages for each user, the same for the same seed.
//!
//! Several languages and charsets, threads, attachments, invitations. Everybody in them is invented.

use encoding_rs::{BIG5, Encoding, GBK, ISO_2022_JP, KOI8_R, UTF_8, WINDOWS_1252};
use mail_builder::MessageBuilder;
use mail_builder::headers::content_type::ContentType;
use mail_builder::mime::{BodyPart, MimePart};
use sterna_base::Timestamp;

/// Messages that one user gets.
pub(super) const MESSAGES: u64 = 320;

/// The first message's date: 2025-01-06 08:00 UTC.
const FIRST_DATE_S: i64 = 1_736_150_400;

/// Time between two messages: 26 hours and a bit, so that they come at all times of the day.
const INTERVAL_S: i64 = 94_321;

/// One message, and where it goes.
pub struct DemoMessage {
    /// The mailbox's name.
    pub folder: &'static str,
    /// The message.
    pub bytes: Vec<u8>,
    /// Its internal date.
    pub date: Timestamp,
    /// System flags and keywords, by their names in IMAP.
    pub flags: Vec<&'static str>,
}

/// People who write, by their first names; the domain is the demo's.
const PEOPLE: [&str; 8] = ["Ana", "Ben", "Chiara", "Dmitri", "Elif", "Fatima", "Kenji", "Lucie"];

/// A text, and the charset in which it travels.
pub(super) type Text = (&'static Encoding, &'static str, &'static str);

pub(super) const TEXTS: &[Text] = &[
    (
        UTF_8,
        "The ferry to Farne",
        "Good morning,\n\nthe boat leaves at nine from the north pier. Bring a hat: the terns\ndefend their nests and aim for the highest point.\n\nSee you there\n",
    ),
    (
        UTF_8,
        "Ring 7A41 has been read again",
        "The bird we ringed in Iceland was seen off Cape Town in November.\nThat is 16,000 kilometres, and she looks well.\n\nThe table is on the shared drive.\n",
    ),
    (
        UTF_8,
        "Minutes of Tuesday",
        "Present: everybody but the printer.\n\n1. The new charts are approved.\n2. Coffee will be bought in larger tins.\n3. Next meeting in two weeks.\n",
    ),
    (
        UTF_8,
        "Réunion de jeudi",
        "Bonjour à tous,\n\nla réunion de jeudi est avancée à neuf heures. Le café sera prêt,\nles croissants aussi si le boulanger tient parole.\n\nÀ jeudi\n",
    ),
    (
        WINDOWS_1252,
        "Été au bord de la mer",
        "Chère équipe,\n\nla maison est réservée du 12 au 19 juillet. Pensez aux bottes :\nla marée ne prévient personne.\n",
    ),
    (
        UTF_8,
        "Grüße von der Hallig",
        "Hallo zusammen,\n\nder Sturm ist vorbei, die Küken sind trocken, und das Netz geht wieder.\nDie Zählung schicke ich morgen.\n\nViele Grüße\n",
    ),
    (
        WINDOWS_1252,
        "Schlüssel für das Büro",
        "Der Schlüssel liegt beim Bäcker gegenüber. Bitte vor sechs abholen,\ndanach ist dort nur noch die Katze.\n",
    ),
    (
        UTF_8,
        "La lista de la expedición",
        "Hola:\n\nfaltan dos mochilas, una brújula y alguien que sepa cocinar.\n¿Quién se apunta?\n",
    ),
    (
        UTF_8,
        "Il faro è aperto",
        "Ciao,\n\nda domenica il faro si può visitare. Sono duecentododici gradini,\nma da lassù si vede tutta la colonia.\n",
    ),
    (
        ISO_2022_JP,
        "アジサシの観察会",
        "皆さん\n\n土曜日の観察会は朝七時に駅前に集まってください。\n双眼鏡と温かいお茶をお忘れなく。\n",
    ),
    (UTF_8, "来週の予定", "お疲れさまです。\n\n来週の会議は水曜日の午後三時に変わりました。\nよろしくお願いします。\n"),
    (GBK, "候鸟的路线", "大家好：\n\n新的路线图已经画好了。从北极到南极，每年往返一次。\n请在周五以前提出意见。\n"),
    (BIG5, "島上的燈塔", "各位好：\n\n燈塔的屋頂修好了，下個月可以再住人。\n歡迎來看海。\n"),
    (UTF_8, "جدول الرحلة", "مرحبا،\n\nتبدأ الرحلة يوم الأحد في الساعة الثامنة صباحا.\nنرجو إحضار الماء وقبعة.\n"),
    (
        KOI8_R,
        "Полярная крачка",
        "Добрый день!\n\nПервые крачки прилетели вчера вечером, на три дня раньше обычного.\nФотографии пришлю завтра.\n",
    ),
    (
        UTF_8,
        "Отчёт за неделю",
        "Коллеги,\n\nотчёт готов, осталось проверить цифры за среду.\nСпасибо всем, кто считал под дождём.\n",
    ),
];

const ANSWERS: [&str; 4] = [
    "Thank you, that suits me well.\n",
    "Good. I shall bring the maps and something to eat.\n",
    "Could we make it half an hour later? The tide is against me.\n",
    "Done. Please have a look at the second page, there is a question in it.\n",
];

/// Everything for one user. `user` is the local part of the address.
pub fn messages(user: &str, domain: &str, seed: u64) -> impl Iterator<Item = DemoMessage> {
    let maker = Maker { user: user.to_owned(), domain: domain.to_owned(), seed };
    (0..MESSAGES).map(move |number| maker.message(number))
}

struct Maker {
    user: String,
    domain: String,
    seed: u64,
}

impl Maker {
    fn message(&self, number: u64) -> DemoMessage {
        let chance = self.chance(number);
        let date_s = FIRST_DATE_S + i64::try_from(number).unwrap_or(0) * INTERVAL_S;
        let (folder, flags) = place(number, chance);
        // Every fourth message and the two after it are a thread.
        let start = number - number % 4;
        let answers = number % 4 == 1 || number % 4 == 2;
        let subject_of = if answers { start } else { number };
        let (charset, subject, text) = TEXTS[index(mix(self.seed ^ subject_of), TEXTS.len())];
        let from_user = matches!(folder, "Sent" | "Drafts");
        let (me, other) = (self.person(&self.user), self.person(self.friend(subject_of)));
        let (from, to) = if from_user { (me, other) } else { (other, me) };
        let mut builder = MessageBuilder::new().from(from).to(to).date(date_s).message_id(self.id(number));
        let body = if answers {
            let thread: Vec<String> = (start..number).map(|earlier| self.id(earlier)).collect();
            builder = builder.subject(format!("Re: {subject}")).in_reply_to(self.id(number - 1)).references(thread);
            let answer = ANSWERS[index(chance >> 16, ANSWERS.len())];
            let quoted: String = text.lines().map(|line| format!("> {line}\n")).collect();
            MimePart::new("text/plain", crlf(&format!("{answer}\n{quoted}")))
        } else {
            builder = builder.subject(subject);
            self.body(number, charset, subject, text, date_s)
        };
        if folder == "Lists" {
            builder =
                builder.header("List-Id", mail_builder::headers::raw::Raw::new(format!("<terns.{}>", self.domain)));
        }
        let bytes = builder.body(body).write_to_vec().unwrap_or_default();
        DemoMessage { folder, bytes, date: Timestamp::from_seconds(date_s), flags }
    }

    fn chance(&self, number: u64) -> u64 {
        mix(self.seed ^ number.wrapping_mul(0x9e37_79b9))
    }

    /// With whom a thread is, never the user.
    fn friend(&self, thread: u64) -> &'static str {
        let at = index(self.chance(thread) >> 8, PEOPLE.len());
        let friend = PEOPLE[at];
        if friend.eq_ignore_ascii_case(&self.user) { PEOPLE[(at + 1) % PEOPLE.len()] } else { friend }
    }

    /// A body that is none but text most of the time, and one of the richer kinds otherwise.
    fn body(
        &self,
        number: u64,
        charset: &'static Encoding,
        subject: &str,
        text: &str,
        date_s: i64,
    ) -> MimePart<'static> {
        let plain = text_part(charset, text);
        let html = || MimePart::new("text/html", crlf(&html(subject, text)));
        match number % 28 {
            3 => self.multipart(number, "alternative", vec![plain, html()]),
            7 => {
                let related =
                    vec![html(), MimePart::new("image/png", png(number)).cid(format!("map.{number}")).inline()];
                let related = self.multipart(number + MESSAGES, "related", related);
                self.multipart(number, "alternative", vec![plain, related])
            }
            8 => self.attached(number, plain, MimePart::new("image/png", png(number)).attachment("map.png")),
            12 => {
                let table = crlf("ring;place;date\n7A41;Grímsey;2025-06-14\n7A42;Texel;2025-05-02\n");
                self.attached(number, plain, MimePart::new("text/csv", table).attachment("rings.csv"))
            }
            15 => self.attached(
                number,
                plain,
                MimePart::new("application/pdf", pdf(subject)).attachment("Übersicht été.pdf"),
            ),
            19 => {
                let inner = MessageBuilder::new()
                    .from(self.person("Lucie"))
                    .to(self.person("Kenji"))
                    .date(date_s - INTERVAL_S)
                    .message_id(self.id(number + 2 * MESSAGES))
                    .subject("Two beds left in the hut")
                    .text_body("The hut has two beds left for the weekend. Who comes first sleeps dry.\n");
                let inner = inner.write_to_vec().unwrap_or_default();
                let part = MimePart::new("message/rfc822", BodyPart::Binary(inner.into())).transfer_encoding("8bit");
                self.attached(number, plain, part)
            }
            23 => {
                let kind =
                    ContentType::new("text/calendar").attribute("method", "REQUEST").attribute("charset", "utf-8");
                let invitation = MimePart::new(kind, self.invitation(number, subject, date_s));
                self.multipart(number, "alternative", vec![plain, invitation])
            }
            _ => plain,
        }
    }

    fn attached(&self, number: u64, text: MimePart<'static>, attachment: MimePart<'static>) -> MimePart<'static> {
        self.multipart(number, "mixed", vec![text, attachment])
    }

    /// With a boundary of its own, because the builder's would differ from run to run.
    fn multipart(&self, number: u64, subtype: &str, parts: Vec<MimePart<'static>>) -> MimePart<'static> {
        let boundary = format!("tern-{:016x}", mix(self.seed ^ mix(number)));
        MimePart::new(ContentType::new(format!("multipart/{subtype}")).attribute("boundary", boundary), parts)
    }

    fn person(&self, name: &str) -> (String, String) {
        let local = name.to_lowercase();
        let mut shown = local.clone();
        shown[..1].make_ascii_uppercase();
        (format!("{shown} Demo"), format!("{local}@{}", self.domain))
    }

    fn id(&self, number: u64) -> String {
        format!("{:016x}.{}@{}", mix(self.seed ^ number), self.user, self.domain)
    }

    fn invitation(&self, number: u64, subject: &str, date_s: i64) -> String {
        let starts = jiff::Timestamp::from_second(date_s + 7 * 86_400).unwrap_or_default();
        let (stamp, uid) = (starts.strftime("%Y%m%dT%H%M%SZ"), self.id(number));
        format!(
            "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Sterna//Demo//EN\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\n\
             UID:{uid}\r\nDTSTAMP:{stamp}\r\nDTSTART:{stamp}\r\nDURATION:PT1H\r\nSUMMARY:{subject}\r\n\
             ORGANIZER:mailto:chiara@{domain}\r\nATTENDEE:mailto:{user}@{domain}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
            domain = self.domain,
            user = self.user,
        )
    }
}

fn place(number: u64, chance: u64) -> (&'static str, Vec<&'static str>) {
    let (folder, mut flags) = match number % 16 {
        0..=5 => ("INBOX", Vec::new()),
        6 | 7 => ("Archive/2025", vec!["\\Seen"]),
        8..=10 => ("Projects/Tern", vec!["\\Seen", "Tern"]),
        11 | 12 => ("Lists", Vec::new()),
        13 | 14 => ("Sent", vec!["\\Seen"]),
        _ => ("Drafts", vec!["\\Seen", "\\Draft"]),
    };
    if folder == "INBOX" && number < MESSAGES - 40 {
        flags.push("\\Seen");
    }
    match chance % 9 {
        0 if folder != "Drafts" => flags.push("\\Flagged"),
        1 if flags.as_slice() == ["\\Seen"] => flags.push("\\Answered"),
        2 => flags.push("$Forwarded"),
        _ => {}
    }
    (folder, flags)
}

fn text_part(charset: &'static Encoding, text: &str) -> MimePart<'static> {
    if charset == UTF_8 {
        return MimePart::new("text/plain", crlf(text));
    }
    let bytes = charset.encode(&crlf(text)).0.into_owned();
    let name = if charset == WINDOWS_1252 { "iso-8859-1".to_owned() } else { charset.name().to_ascii_lowercase() };
    let kind = ContentType::new("text/plain").attribute("charset", name);
    let encoding = if charset == ISO_2022_JP { "7bit" } else { "8bit" };
    let part = MimePart::new(kind, BodyPart::Binary(bytes.into()));
    // KOI8-R goes as the builder likes it (base64 or quoted-printable), the others as they are.
    if charset == KOI8_R { part } else { part.transfer_encoding(encoding) }
}

/// Lines of text end with CRLF inside every encoding (RFC 2045 section 6.8); the builder sees to it in some only.
fn crlf(text: &str) -> String {
    text.replace('\n', "\r\n")
}

fn html(subject: &str, text: &str) -> String {
    let paragraphs: String = text.split("\n\n").map(|paragraph| format!("<p>{}</p>\n", paragraph.trim())).collect();
    format!(
        "<!DOCTYPE html>\n<html><head><title>{subject}</title></head>\n<body>\n<h1>{subject}</h1>\n{paragraphs}</body></html>\n"
    )
}

/// A picture of 16 x 16 grey points, uncompressed.
fn png(number: u64) -> Vec<u8> {
    const SIDE: u8 = 16;
    let mut rows = Vec::new();
    for y in 0..SIDE {
        rows.push(0);
        rows.extend((0..SIDE).map(|x| (mix(number ^ u64::from(x / 2) << 8 ^ u64::from(y / 2)) & 0xff) as u8));
    }
    let length = rows.len() as u16;
    let mut data = vec![0x78, 0x01, 1];
    data.extend_from_slice(&length.to_le_bytes());
    data.extend_from_slice(&(!length).to_le_bytes());
    data.extend_from_slice(&rows);
    let (a, b) = rows.iter().fold((1_u32, 0_u32), |(a, b), &byte| {
        let a = (a + u32::from(byte)) % 65_521;
        (a, (b + a) % 65_521)
    });
    data.extend_from_slice(&(b << 16 | a).to_be_bytes());
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let header = [0, 0, 0, SIDE, 0, 0, 0, SIDE, 8, 0, 0, 0, 0];
    for (kind, content) in [(b"IHDR", header.as_slice()), (b"IDAT", &data), (b"IEND", &[])] {
        let chunk = [kind.as_slice(), content].concat();
        file.extend_from_slice(&(content.len() as u32).to_be_bytes());
        file.extend_from_slice(&chunk);
        file.extend_from_slice(&crc32(&chunk).to_be_bytes());
    }
    file
}

fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
    !bytes.iter().fold(u32::MAX, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), |crc, _| step(crc)))
}

/// One empty page that readers accept although it has no table of its objects.
fn pdf(title: &str) -> Vec<u8> {
    format!(
        "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n\
         3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]>>endobj\n%{title}\ntrailer<</Root 1 0 R>>\n%%EOF\n"
    )
    .into_bytes()
}

fn index(number: u64, length: usize) -> usize {
    (number % length as u64) as usize
}

/// Scatters a number (SplitMix64's last steps).
fn mix(number: u64) -> u64 {
    let z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}
