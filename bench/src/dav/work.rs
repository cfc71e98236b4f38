//! What is measured.

use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::client::Client;
use super::objects::{card, event, week};
use super::{DavServer, Options};
use crate::report::{Report, Unit};

/// The users of whom each does one thing.
const FILLED: u32 = 0;
const WRITERS: std::ops::Range<u32> = 1..9;

/// Objects that a client asks for in one multiget, as DAVx5 does.
const MULTIGET: usize = 100;

/// Objects that each writer writes in one round.
const WRITTEN: u32 = 100;

/// Measures everything on one server.
pub fn run(name: &str, server: &mut dyn DavServer, options: &Options, report: &mut Report) -> Result<()> {
    for user in FILLED..WRITERS.end {
        server.prepare(user)?;
    }
    let wanted = |work: &str| options.only.as_deref().is_none_or(|only| work.contains(only));
    if wanted("put") {
        for writers in [1, WRITERS.len() as u32] {
            let work = format!("PUT of new events, {writers} at once");
            let mut figures = Vec::new();
            for round in 0..options.rounds as u32 {
                figures.push(put(server, writers, round)?);
            }
            report.add(&work, name, Unit::PerSecond, figures);
        }
    }
    if wanted("busy")
        && let Some(figures) = super::busy::run(server, options.rounds)?
    {
        report.add(&format!("who is busy, of {} people", super::busy::PEOPLE), name, Unit::Milliseconds, figures);
    }
    if !wanted("sync") && !wanted("query") {
        return Ok(());
    }
    fill(name, server, options)?;
    if wanted("sync") {
        let calendar = Collection::of(server, server.calendar(FILLED), CALENDAR);
        syncs(name, &calendar, &format!("{} events", options.events), options, report)?;
        let book = Collection::of(server, server.book(FILLED), BOOK);
        syncs(name, &book, &format!("{} cards", options.cards), options, report)?;
    }
    if wanted("query") {
        let mut client = Client::new(server.http(), server.login(FILLED));
        let mut figures = Vec::new();
        for round in 0..options.rounds as u32 {
            figures.push(query(&mut client, &server.calendar(FILLED), round)?);
        }
        report.add(&format!("a week of {} events", options.events), name, Unit::Milliseconds, figures);
    }
    Ok(())
}

/// New events by several clients, each in the calendar of a user: how many in a second.
fn put(server: &dyn DavServer, writers: u32, round: u32) -> Result<f64> {
    let began = Instant::now();
    let clients = WRITERS.take(writers as usize).map(|user| {
        let client = Client::new(server.http(), server.login(user));
        (client, server.calendar(user))
    });
    let threads: Vec<_> = clients
        .map(|(mut client, calendar)| {
            std::thread::spawn(move || -> Result<()> {
                for at in 0..WRITTEN {
                    let number = (writers * 1000 + round) * WRITTEN + at;
                    let path = format!("{calendar}{number}.ics");
                    client.request("PUT", &path, &[CALENDAR_TYPE], event(number, 10_000).as_bytes())?;
                }
                Ok(())
            })
        })
        .collect();
    for thread in threads {
        thread.join().map_err(|_| anyhow::anyhow!("a writer panicked"))??;
    }
    Ok(f64::from(writers * WRITTEN) / began.elapsed().as_secs_f64())
}

pub const CALENDAR_TYPE: (&str, &str) = ("Content-Type", "text/calendar; charset=utf-8");
const CARD_TYPE: (&str, &str) = ("Content-Type", "text/vcard; charset=utf-8");
const XML_TYPE: (&str, &str) = ("Content-Type", "application/xml; charset=utf-8");

/// Fills the large collections, with flushes switched off.
fn fill(name: &str, server: &mut dyn DavServer, options: &Options) -> Result<()> {
    crate::eprint_progress(&format!("{name}: filling a calendar and an address book"));
    server.restart(true)?;
    let mut client = Client::new(server.http(), server.login(FILLED));
    if server.takes_whole_collections() {
        let cards: String = (0..options.cards).map(card).collect();
        client.request("PUT", &server.book(FILLED), &[CARD_TYPE], cards.as_bytes())?;
        let events: String = (0..options.events).map(|number| component(&event(number, options.events))).collect();
        let events =
            format!("BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Bench//Bench//EN\r\n{events}END:VCALENDAR\r\n");
        client.request("PUT", &server.calendar(FILLED), &[CALENDAR_TYPE], events.as_bytes())?;
        return server.restart(false);
    }
    for number in 0..options.events {
        let path = format!("{}{number}.ics", server.calendar(FILLED));
        client.request("PUT", &path, &[CALENDAR_TYPE], event(number, options.events).as_bytes())?;
    }
    for number in 0..options.cards {
        let path = format!("{}{number}.vcf", server.book(FILLED));
        client.request("PUT", &path, &[CARD_TYPE], card(number).as_bytes())?;
    }
    server.restart(false)
}

/// The event of an object, without what stands around it.
fn component(object: &str) -> String {
    let start = object.find("BEGIN:VEVENT").unwrap_or_default();
    let end = object.find("END:VCALENDAR").unwrap_or(object.len());
    object[start..end].to_owned()
}

/// How a kind of collection is asked about.
#[derive(Clone, Copy)]
struct Kind {
    namespace: &'static str,
    multiget: &'static str,
    data: &'static str,
    suffix: &'static str,
    media_type: (&'static str, &'static str),
}

const CALENDAR: Kind = Kind {
    namespace: "urn:ietf:params:xml:ns:caldav",
    multiget: "calendar-multiget",
    data: "calendar-data",
    suffix: "ics",
    media_type: CALENDAR_TYPE,
};
const BOOK: Kind = Kind {
    namespace: "urn:ietf:params:xml:ns:carddav",
    multiget: "addressbook-multiget",
    data: "address-data",
    suffix: "vcf",
    media_type: CARD_TYPE,
};

struct Collection<'a> {
    server: &'a dyn DavServer,
    path: String,
    kind: Kind,
}

impl<'a> Collection<'a> {
    fn of(server: &'a dyn DavServer, path: String, kind: Kind) -> Self {
        Collection { server, path, kind }
    }

    fn client(&self) -> Client {
        Client::new(self.server.http(), self.server.login(FILLED))
    }

    /// sync-collection since a token: the answer.
    fn changes(&self, client: &mut Client, token: &str) -> Result<String> {
        let body = format!(
            "<sync-collection xmlns=\"DAV:\"><sync-token>{token}</sync-token><sync-level>1</sync-level>\
             <prop><getetag/></prop></sync-collection>"
        );
        Ok(String::from_utf8(client.request("REPORT", &self.path, &[XML_TYPE], body.as_bytes())?)?)
    }

    /// Everything, as a client gets it that knows nothing: names and tags, then the objects. How many there were.
    fn first_sync(&self) -> Result<usize> {
        let mut client = self.client();
        let listed = self.changes(&mut client, "")?;
        let hrefs: Vec<String> = hrefs(&listed).filter(|href| href.ends_with(self.kind.suffix)).collect();
        let Kind { namespace, multiget, data, .. } = self.kind;
        let mut objects = 0;
        for some in hrefs.chunks(MULTIGET) {
            let hrefs: String = some.iter().map(|href| format!("<D:href>{href}</D:href>")).collect();
            let body = format!(
                "<C:{multiget} xmlns:D=\"DAV:\" xmlns:C=\"{namespace}\"><D:prop><D:getetag/><C:{data}/></D:prop>{hrefs}\
                 </C:{multiget}>"
            );
            let headers = [XML_TYPE, ("Depth", "1")];
            let answer = client.request("REPORT", &self.path, &headers, body.as_bytes())?;
            let answer = String::from_utf8(answer)?;
            objects += answer.matches("BEGIN:VCARD").count() + answer.matches("BEGIN:VCALENDAR").count();
        }
        Ok(objects)
    }
}

/// The first sync, and the one after one object changed.
fn syncs(name: &str, of: &Collection, what: &str, options: &Options, report: &mut Report) -> Result<()> {
    let objects = if of.kind.suffix == "ics" { options.events } else { options.cards };
    let mut figures = Vec::new();
    // A first one that nobody measures: Radicale and Cyrus write what they keep at the first reading.
    ensure!(of.first_sync()? == objects as usize, "objects are missing");
    for _ in 0..options.rounds.min(3) {
        let began = Instant::now();
        ensure!(of.first_sync()? == objects as usize, "objects are missing");
        figures.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    report.add(&format!("first sync of {what}"), name, Unit::Milliseconds, figures);
    let mut client = of.client();
    let listed = of.changes(&mut client, "")?;
    let paths: Vec<String> = hrefs(&listed).filter(|href| href.ends_with(of.kind.suffix)).collect();
    let mut known = token(&listed)?;
    let mut figures = Vec::new();
    for round in 0..options.rounds as u32 {
        let path = paths.get((objects / 2 + round) as usize).context("an object")?;
        let object = String::from_utf8(client.request("GET", path, &[], b"")?)?;
        let object = object.replace("Met somewhere", "Met again").replace("STATUS:CONFIRMED", "STATUS:TENTATIVE");
        client.request("PUT", path, &[of.kind.media_type], object.as_bytes())?;
        let began = Instant::now();
        let answer = of.changes(&mut client, &known)?;
        figures.push(began.elapsed().as_secs_f64() * 1000.0);
        let changed = hrefs(&answer).filter(|href| href.ends_with(of.kind.suffix)).count();
        ensure!(changed == 1, "one object changed, {changed} were told");
        known = token(&answer)?;
    }
    report.add(&format!("sync of 1 changed of {what}"), name, Unit::Milliseconds, figures);
    Ok(())
}

/// The events of a week with their data: milliseconds.
fn query(client: &mut Client, calendar: &str, round: u32) -> Result<f64> {
    let (start, end) = week(round);
    let body = format!(
        "<C:calendar-query xmlns:D=\"DAV:\" xmlns:C=\"urn:ietf:params:xml:ns:caldav\"><D:prop><D:getetag/>\
         <C:calendar-data/></D:prop><C:filter><C:comp-filter name=\"VCALENDAR\"><C:comp-filter name=\"VEVENT\">\
         <C:time-range start=\"{start}\" end=\"{end}\"/></C:comp-filter></C:comp-filter></C:filter></C:calendar-query>"
    );
    let began = Instant::now();
    let answer = client.request("REPORT", calendar, &[XML_TYPE, ("Depth", "1")], body.as_bytes())?;
    let ms = began.elapsed().as_secs_f64() * 1000.0;
    let found = String::from_utf8(answer)?.matches("BEGIN:VCALENDAR").count();
    ensure!(found > 1, "a week without events");
    Ok(ms)
}

/// The hrefs of an answer, whatever prefix its namespace has.
fn hrefs(answer: &str) -> impl Iterator<Item = String> {
    let of = |text: &str| text.split_once('<').map(|(href, _)| href.trim().to_owned());
    answer.split("href>").skip(1).step_by(2).filter_map(of)
}

fn token(answer: &str) -> Result<String> {
    let after = answer.split("sync-token>").nth(1).context("no sync-token")?;
    Ok(after.split_once('<').context("no sync-token")?.0.trim().to_owned())
}
