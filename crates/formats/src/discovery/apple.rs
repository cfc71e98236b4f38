//! A configuration profile for Apple's devices (`.mobileconfig`): mail, calendars and contacts of one user. It has no
//! password, which the device asks for, and no signature: the device says so before it takes it.

use super::{DAV_PATH, DomainFacts, Service};
use crate::dav::write::{DECLARATION, escape};

/// The media type.
pub const MEDIA_TYPE: &str = "application/x-apple-aspen-config";

/// The profile of an address. `seed` makes 16 bytes of a text: the same for the same text, so that a profile that is
/// installed again replaces the former one.
pub fn profile(facts: &DomainFacts, address: &str, seed: impl Fn(&str) -> [u8; 16]) -> String {
    let uuid = |of: &str| uuid(seed(&format!("{of}:{address}")));
    let mut list = Plist(String::new());
    list.payload(facts, address, "mail", &uuid("mail"), mail);
    list.payload(facts, address, "caldav", &uuid("caldav"), |facts, address, list| dav("CalDAV", facts, address, list));
    list.payload(facts, address, "carddav", &uuid("carddav"), |facts, address, list| {
        dav("CardDAV", facts, address, list);
    });
    let mut out = format!(
        "{DECLARATION}<!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \
         \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n<plist version=\"1.0\"><dict>\n\
         <key>PayloadContent</key><array>\n{}</array>\n",
        list.0
    );
    let mut head = Plist(String::new());
    head.text("PayloadDisplayName", &facts.display_name);
    head.text("PayloadIdentifier", &format!("{}.{}", reversed(&facts.domain), uuid("profile")));
    head.text("PayloadType", "Configuration");
    head.text("PayloadUUID", &uuid("profile"));
    head.number("PayloadVersion", 1);
    out.push_str(&head.0);
    out.push_str("</dict></plist>\n");
    out
}

struct Plist(String);

impl Plist {
    fn text(&mut self, key: &str, value: &str) {
        self.0.push_str(&format!("<key>{key}</key><string>"));
        escape(value, &mut self.0);
        self.0.push_str("</string>\n");
    }

    fn number(&mut self, key: &str, value: u16) {
        self.0.push_str(&format!("<key>{key}</key><integer>{value}</integer>\n"));
    }

    fn truth(&mut self, key: &str, value: bool) {
        self.0.push_str(&format!("<key>{key}</key><{value}/>\n"));
    }

    /// A payload, if there is something to write into it.
    fn payload(
        &mut self,
        facts: &DomainFacts,
        address: &str,
        name: &str,
        uuid: &str,
        write: impl Fn(&DomainFacts, &str, &mut Plist),
    ) {
        let mut inner = Plist(String::new());
        write(facts, address, &mut inner);
        if inner.0.is_empty() {
            return;
        }
        inner.text("PayloadDisplayName", &format!("{} ({name})", facts.display_name));
        inner.text("PayloadIdentifier", &format!("{}.{name}.{uuid}", reversed(&facts.domain)));
        inner.text("PayloadUUID", uuid);
        inner.number("PayloadVersion", 1);
        self.0.push_str(&format!("<dict>\n{}</dict>\n", inner.0));
    }
}

fn mail(facts: &DomainFacts, address: &str, list: &mut Plist) {
    let first = |services: [Service; 2]| services.iter().find_map(|service| facts.endpoint(*service));
    let incoming = first([Service::Imaps, Service::Imap]);
    let outgoing = first([Service::Submissions, Service::Submission]);
    let (Some(incoming), Some(outgoing)) = (incoming, outgoing) else { return };
    list.text("PayloadType", "com.apple.mail.managed");
    list.text("EmailAccountDescription", &facts.display_name);
    list.text("EmailAccountType", "EmailTypeIMAP");
    list.text("EmailAddress", address);
    for (side, endpoint) in [("Incoming", incoming), ("Outgoing", outgoing)] {
        list.text(&format!("{side}MailServerAuthentication"), "EmailAuthPassword");
        list.text(&format!("{side}MailServerHostName"), &endpoint.host);
        list.number(&format!("{side}MailServerPortNumber"), endpoint.port);
        // With port 587 Apple takes "SSL" for STARTTLS.
        list.truth(&format!("{side}MailServerUseSSL"), true);
        list.text(&format!("{side}MailServerUsername"), address);
    }
    list.truth("OutgoingPasswordSameAsIncomingPassword", true);
}

fn dav(kind: &str, facts: &DomainFacts, address: &str, list: &mut Plist) {
    let Some(https) = facts.endpoint(Service::Https) else { return };
    list.text("PayloadType", &format!("com.apple.{}.account", kind.to_ascii_lowercase()));
    list.text(&format!("{kind}AccountDescription"), &facts.display_name);
    list.text(&format!("{kind}HostName"), &https.host);
    list.number(&format!("{kind}Port"), https.port);
    list.text(&format!("{kind}PrincipalURL"), DAV_PATH);
    list.truth(&format!("{kind}UseSSL"), true);
    list.text(&format!("{kind}Username"), address);
}

/// The form of names that Apple wants in identifiers.
fn reversed(domain: &str) -> String {
    domain.split('.').rev().collect::<Vec<_>>().join(".")
}

/// A UUID of the kind that its maker defines (RFC 9562 section 5.8).
fn uuid(mut bytes: [u8; 16]) -> String {
    bytes[6] = (bytes[6] & 0x0f) | 0x80;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

#[cfg(test)]
mod tests {
    use super::super::tests::facts;
    use super::*;

    fn seed(text: &str) -> [u8; 16] {
        let mut bytes = [7; 16];
        bytes[0] = text.len() as u8;
        bytes
    }

    #[test]
    fn the_profile_has_a_payload_for_each_service() {
        let profile = profile(&facts(), "ana&b@tern.test", seed);
        for kind in ["com.apple.mail.managed", "com.apple.caldav.account", "com.apple.carddav.account"] {
            assert_eq!(profile.matches(&format!("<key>PayloadType</key><string>{kind}</string>")).count(), 1, "{kind}");
        }
        assert!(profile.contains("<key>IncomingMailServerPortNumber</key><integer>993</integer>"), "{profile}");
        assert!(profile.contains("ana&amp;b@tern.test") && !profile.contains("Password</key><string>ana"));
        assert_eq!(profile, super::profile(&facts(), "ana&b@tern.test", seed));
        // Well-formed, but for the DTD that Apple wants.
        let (_, plist) = profile.split_once("<plist").unwrap();
        crate::dav::Element::parse(format!("<plist{plist}").as_bytes()).unwrap();
    }

    #[test]
    fn without_https_there_is_mail_only() {
        let mut facts = facts();
        facts.endpoints.pop();
        let profile = profile(&facts, "ana@tern.test", seed);
        assert!(profile.contains("com.apple.mail.managed") && !profile.contains("dav.account"));
    }

    #[test]
    fn uuids_say_their_version() {
        assert_eq!(uuid([0xff; 16]), "FFFFFFFF-FFFF-8FFF-BFFF-FFFFFFFFFFFF");
    }
}
