//! Whether many people are busy in a week, asked at once by one of them (RFC 6638 section 5).

use std::time::Instant;

use anyhow::{Result, ensure};

use super::DavServer;
use super::client::Client;
use super::objects::{event, week};
use super::work::CALENDAR_TYPE;
use crate::peers::USERS;

/// Who are asked about: everybody but the one who asks.
pub const PEOPLE: u32 = USERS - 1;

/// Events of each, spread over ten years.
const EVENTS: u32 = 500;

/// Milliseconds of each round; `None` where that can't be asked.
pub fn run(server: &mut dyn DavServer, rounds: usize) -> Result<Option<Vec<f64>>> {
    let Some(outbox) = server.outbox(0) else { return Ok(None) };
    server.restart(true)?;
    for user in 1..USERS {
        server.prepare(user)?;
        let (mut client, calendar) = (Client::new(server.http(), server.login(user)), server.calendar(user));
        for number in 0..EVENTS {
            // Names of their own: some of these people have events of other works.
            let path = format!("{calendar}busy-{number}.ics");
            let object = event(number, EVENTS).replace("UID:event-", "UID:busy-");
            client.request("PUT", &path, &[CALENDAR_TYPE], object.as_bytes())?;
        }
    }
    server.restart(false)?;
    let mut client = Client::new(server.http(), server.login(0));
    let attendees: String = (1..USERS).map(|user| format!("ATTENDEE:mailto:{}\r\n", server.address(user))).collect();
    let mut figures = Vec::new();
    // A first one that nobody measures: what is kept is made by the first question.
    for round in 0..=rounds as u32 {
        let (start, end) = week(round);
        let body = format!(
            "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Bench//Bench//EN\r\nMETHOD:REQUEST\r\nBEGIN:VFREEBUSY\r\n\
             UID:busy-{round}@bench.test\r\nDTSTAMP:20260101T000000Z\r\nDTSTART:{start}\r\nDTEND:{end}\r\n\
             ORGANIZER:mailto:{}\r\n{attendees}END:VFREEBUSY\r\nEND:VCALENDAR\r\n",
            server.address(0)
        );
        let began = Instant::now();
        let answer = client.request("POST", &outbox, &[CALENDAR_TYPE], body.as_bytes())?;
        let ms = began.elapsed().as_secs_f64() * 1000.0;
        let answered = String::from_utf8(answer)?.matches("BEGIN:VFREEBUSY").count();
        ensure!(answered == PEOPLE as usize, "{answered} of {PEOPLE} people were told of");
        if round > 0 {
            figures.push(ms);
        }
    }
    Ok(Some(figures))
}
