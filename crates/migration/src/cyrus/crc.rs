//! The sums by which both sides of a replication know that they agree: CRC32 over each message that is not expunged,
//! all of them joined by exclusive or.

use super::mailbox::Record;

/// What the sum of annotations begins with.
const ANNOTATIONS_START: u32 = 12_345_678;

/// Both sums of a mailbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sums {
    /// `SYNC_CRC`
    pub basic: u32,
    /// `SYNC_CRC_ANNOT`
    pub annotations: u32,
}

impl Default for Sums {
    fn default() -> Self {
        Sums { basic: 0, annotations: ANNOTATIONS_START }
    }
}

impl Sums {
    /// Puts a message in, or takes it out again.
    pub fn toggle(&mut self, record: &Record) {
        if record.is_expunged() {
            return;
        }
        // Flags in any order and case come to the same.
        let flags = record.flags.iter().fold(0, |sum, flag| sum ^ crc32(flag.to_ascii_lowercase().as_bytes()));
        let (uid, modseq, updated, date) = (record.uid, record.modseq, record.last_updated, record.internal_date);
        self.basic ^= crc32(format!("{uid} {modseq} {updated} ({flags}) {date} {}", record.guid).as_bytes());
        for annotation in &record.annotations {
            let mut text = format!("{uid} {} {} ", annotation.entry, annotation.user).into_bytes();
            text.extend_from_slice(&annotation.value);
            self.annotations ^= crc32(&text);
        }
    }

    /// Whether they are those that the other side told; zero is no sum but "don't compare".
    pub fn agree(self, basic: u32, annotations: u32) -> bool {
        (basic == 0 || basic == self.basic) && (annotations == 0 || annotations == self.annotations)
    }
}

/// CRC-32 as in zlib.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cyrus::mailbox::Annotation;

    fn record(uid: u32, modseq: u64, flags: &[&str], guid: &str, created: &str) -> Record {
        let annotation = |entry: &str, value: &str| Annotation {
            entry: format!("/vendor/cmu/cyrus-imapd/{entry}"),
            user: String::new(),
            modseq: 0,
            value: value.as_bytes().to_vec(),
        };
        Record {
            uid,
            modseq,
            last_updated: 1_795_368_824,
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
            internal_date: 1_795_368_824,
            size: 24,
            guid: guid.to_owned(),
            annotations: vec![annotation("savedate", "1795368824"), annotation("createdmodseq", created)],
        }
    }

    /// What Debian's Cyrus 3.6.1 said of such mailboxes.
    #[test]
    fn sums_are_those_of_cyrus() {
        assert_eq!(Sums::default(), Sums { basic: 0, annotations: 12_345_678 });
        let mut sent = Sums::default();
        sent.toggle(&record(1, 2, &["\\Flagged"], "c51c701f7701c514172fb4533b51ca0a5d0a353c", "2"));
        assert_eq!(sent, Sums { basic: 3_123_973_080, annotations: 94_732_049 });
        let inbox = [
            record(1, 2, &[], "f8ba08d1b9d19d2550b1da5e0a2f9b3e472aec8c", "2"),
            record(2, 8, &["\\Deleted", "\\Expunged", "\\Seen"], "903888fe0532292ee9d28c5b26b2e6571faf2567", "3"),
            record(3, 4, &[], "0c838c17ad6f354ab50cc913d9f908be7ceeb504", "4"),
            record(4, 5, &["$Forwarded", "\\Seen"], "2fda3cd58e69e727a8b4410e46b9cd242329b36f", "5"),
            record(5, 6, &[], "4ebeab2b55b6326f5b246ef32981d859065880af", "6"),
        ];
        let mut sums = Sums::default();
        inbox.iter().for_each(|record| sums.toggle(record));
        assert_eq!(sums, Sums { basic: 995_457_795, annotations: 3_367_481_863 });
        inbox.iter().for_each(|record| sums.toggle(record));
        assert_eq!(sums, Sums::default());
        assert!(sums.agree(0, 0) && !sums.agree(1, 0));
    }
}
