//! Calendars, cards and DAV bodies: any bytes, and what must hold of all of them.

mod any_bytes;
mod series;
