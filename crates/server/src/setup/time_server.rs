//! What time it is elsewhere: one question by SNTP (RFC 4330 section 5), for a check and not for setting clocks.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use sterna_base::{Clock, Timestamp, ids::random_bytes};
use tokio::net::UdpSocket;

/// How long the other may take.
const WAIT: Duration = Duration::from_secs(4);

/// Seconds from 1900, where NTP begins, to 1970.
const EPOCH_S: i64 = 2_208_988_800;

/// Bytes of a message without extensions.
const MESSAGE_BYTES: usize = 48;

/// By how much this clock is ahead of a time server's, in milliseconds.
///
/// # Errors
/// Why it can't be said.
pub async fn ahead_ms(server: SocketAddr, clock: &dyn Clock) -> Result<i64, String> {
    tokio::time::timeout(WAIT, ask(server, clock)).await.map_err(|_| format!("{server} does not answer"))?
}

async fn ask(server: SocketAddr, clock: &dyn Clock) -> Result<i64, String> {
    let said = |error: std::io::Error| format!("{server}: {error}");
    let any: SocketAddr = match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await.map_err(said)?;
    socket.connect(server).await.map_err(said)?;
    // Version 4, client. The transmit time is random: it comes back, and tells the answer from a forged one.
    let (mut question, cookie) = ([0; MESSAGE_BYTES], random_bytes::<8>());
    question[0] = 0b00_100_011;
    question[40..].copy_from_slice(&cookie);
    let before = clock.now();
    socket.send(&question).await.map_err(said)?;
    let mut answer = [0; MESSAGE_BYTES];
    let length = socket.recv(&mut answer).await.map_err(said)?;
    let after = clock.now();
    let (mode, stratum) = (answer[0] & 7, answer[1]);
    if length < MESSAGE_BYTES || mode != 4 || !(1..=15).contains(&stratum) || answer[24..32] != cookie {
        return Err(format!("{server} gives no usable answer"));
    }
    let theirs = (time(&answer[32..40]).0 + time(&answer[40..48]).0) / 2;
    Ok((before.0 + after.0) / 2 - theirs)
}

/// A time of NTP; the era changes in 2036 (section 3).
fn time(bytes: &[u8]) -> Timestamp {
    let number = |bytes: &[u8]| bytes.iter().fold(0_i64, |number, byte| (number << 8) | i64::from(*byte));
    let (seconds, fraction) = (number(&bytes[..4]), number(&bytes[4..]));
    let era = if seconds >= 1 << 31 { 0 } else { 1 << 32 };
    Timestamp((seconds + era - EPOCH_S) * 1000 + ((fraction * 1000) >> 32))
}

#[cfg(test)]
mod tests {
    use sterna_base::ManualClock;

    use super::*;

    /// Answers one question as a server whose clock stands at this time, or with a forged cookie.
    async fn server(now: Timestamp, forged: bool) -> SocketAddr {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        tokio::spawn(async move {
            let mut question = [0; MESSAGE_BYTES];
            let (_, from) = socket.recv_from(&mut question).await.unwrap();
            let mut answer = [0; MESSAGE_BYTES];
            (answer[0], answer[1]) = (0b00_100_100, 2);
            answer[24..32].copy_from_slice(&question[40..]);
            answer[24] ^= u8::from(forged);
            let seconds = u32::try_from(
                now.seconds() + EPOCH_S - if now.seconds() + EPOCH_S > u32::MAX.into() { 1 << 32 } else { 0 },
            );
            for at in [32, 40] {
                answer[at..at + 4].copy_from_slice(&seconds.unwrap().to_be_bytes());
            }
            socket.send_to(&answer, from).await.unwrap();
        });
        address
    }

    #[tokio::test]
    async fn a_clock_is_compared_also_after_2036() {
        for now in [1_800_000_000, 2_200_000_000] {
            let clock = ManualClock::at(Timestamp::from_seconds(now + 7));
            let server = server(Timestamp::from_seconds(now), false).await;
            assert_eq!(ahead_ms(server, &clock).await, Ok(7_000));
        }
    }

    #[tokio::test]
    async fn an_answer_to_another_question_is_none() {
        let clock = ManualClock::at(Timestamp::from_seconds(1_800_000_000));
        let server = server(Timestamp(0), true).await;
        assert!(ahead_ms(server, &clock).await.unwrap_err().contains("no usable answer"));
    }
}
