//! What no good client says.

use crate::sieve::Sieve;

#[tokio::test]
async fn words_that_are_no_command_are_passed_over() {
    let sieve = Sieve::start().await;
    let mut client = sieve.login().await;
    client.send(b"PUTSCRIPT \"a\r\nNOOP \"x\"\r\n\r\nnoop {3+}\r\na\"b\r\nXYZZY\r\n").await;
    client
        .say(
            "S: NO \"A quoted string ends on its line\"
             S: OK (TAG \"x\") \"Done\"
             S: OK (TAG \"a\\\"b\") \"Done\"
             S: NO \"Unknown command\"",
        )
        .await;
    client.send(b"NOOP {3}\r\nPUTSCRIPT \"a\"\r\nSETACTIVE \"\xff\"\r\n\0\r\nNOOP\r\n").await;
    client
        .say(
            "S: NO \"A literal is announced as {number+}\"
             S: NO \"The form is PUTSCRIPT name script\"
             S: NO \"Names are UTF-8\"
             S: NO \"That is no command\"
             S: OK \"Done\"",
        )
        .await;
}

#[tokio::test]
async fn literals_without_end_end_the_session() {
    let sieve = Sieve::start().await;
    let mut client = sieve.login().await;
    client.send(b"PUTSCRIPT \"a\" {99999999999+}\r\n").await;
    client.say("S: BYE \"The command is too long\"").await;
    assert_eq!(client.rest().await, "");
    // Before log-in not even a script is taken.
    let mut client = sieve.connect().await;
    let long = format!("PUTSCRIPT \"a\" {{20000+}}\r\n{}\r\nNOOP\r\n", "x".repeat(20_000));
    client.send(long.as_bytes()).await;
    client.say("S: NO \"The command is too long\"\nS: OK *").await;
}

#[tokio::test]
async fn a_flood_of_commands_is_answered_in_order_and_nonsense_ends() {
    let sieve = Sieve::start().await;
    let mut client = sieve.login().await;
    let flood: String = (0..500).map(|n| format!("NOOP \"{n}\"\r\n")).collect();
    client.send(flood.as_bytes()).await;
    for n in 0..500 {
        client.say(&format!("S: OK (TAG \"{n}\") \"Done\"")).await;
    }
    client.send("X\r\n".repeat(20).as_bytes()).await;
    for _ in 0..20 {
        client.say("S: NO \"Unknown command\"").await;
    }
    client.say("S: BYE \"Too many bad commands\"").await;
    assert_eq!(client.rest().await, "");
}
