//! What both say of every message of the zoo and of many generated ones, one by one.

use std::fmt::Write;

use super::messages;
use super::pair::Pair;

/// Generated messages that are looked at.
const GENERATED: usize = 300;

/// Everything that is derived from a message's bytes.
const ITEMS: &str = "(RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE BODY.PEEK[HEADER] BODY.PEEK[TEXT] BODY.PEEK[1] BODY.PEEK[1.MIME] \
     BODY.PEEK[2] BODY.PEEK[1.HEADER] BODY.PEEK[1.TEXT] BODY.PEEK[HEADER.FIELDS (Subject From Content-Type)])";

/// A report of all differences.
pub fn compare(pair: &mut Pair, first: usize) -> String {
    let mut report = String::new();
    pair.begin("structures");
    assert!(pair.exchange(0, "CREATE {q}").is_empty() && pair.exchange(0, "SELECT {q}").is_empty());
    let numbers = (0..messages::zoo_len()).chain(1000 + first..1000 + first + GENERATED);
    for (uid, number) in (1..).zip(numbers) {
        let append = format!("APPEND {{q}} \"01-Jan-2024 10:00:00 +0000\" {{message:{number}}}");
        let mut differences = pair.exchange(0, &append);
        if differences.is_empty() {
            differences = pair.exchange(0, &format!("UID FETCH {uid} {ITEMS}"));
        }
        for difference in differences {
            let _ = writeln!(report, "{}:\n{difference}", messages::name(number));
        }
    }
    report
}
