//! The settings that the directory itself reads. What a domain doesn't set is looked up for the system, then here.

mod check;
mod read;

use std::borrow::Cow;

use sterna_base::session_limits;

pub(crate) use self::check::check;
pub(crate) use self::read::rollback_ms;
use crate::filter_settings;

/// Characters that separate an address from its detail (RFC 5233); empty switches plus-addressing off. "+" when not
/// set.
pub const PLUS_SEPARATORS: &str = "plus-separators";
/// Where mail for postmaster goes in domains that have no such address; all administrators when not set.
pub const POSTMASTER: &str = "postmaster";
/// The domain of addresses given without one (`RCPT TO:<postmaster>`, RFC 5321 section 4.5.1).
pub const DEFAULT_DOMAIN: &str = "default-domain";

/// How many days expunged items are kept before their contents go; seven when not set.
pub const RETENTION_DAYS: &str = "retention-days";
/// For how many days people, groups and mailboxes that were deleted can be had back; 0 is not at all, thirty when not
/// set.
pub const BIN_DAYS: &str = "bin-days";
/// What senders are told when a mailbox is over its quota: "defer" (they try again, 452, and are refused after
/// [`FULL_MAILBOX_HOURS`]) or "refuse" at once (they give up, 552); "defer" when not set.
pub const FULL_MAILBOX: &str = "full-mailbox";

/// For how many hours senders to a full mailbox are told to try again ([`FULL_MAILBOX`] "defer") before they are
/// refused; 0 is for ever, 72 when not set.
pub const FULL_MAILBOX_HOURS: &str = "full-mailbox-hours";

/// SCRAM-SHA-256: "off"; "keep" keeps what it needs when passwords are set; "offer" offers it to clients, too. "off"
/// when not set.
pub const SCRAM: &str = "scram";
/// How bearer tokens of mail programs are found out about: "ask" whoever issued them ([`OAUTH_URL`]), or "verify" those
/// that the OpenID provider signed ([`OPENID_ISSUER`]) by its keys; "ask" when not set.
pub const OAUTH_TOKENS: &str = "oauth.tokens";
/// For whom tokens that are verified must be made (`aud`); [`OPENID_CLIENT_ID`] when not set.
pub const OAUTH_AUDIENCE: &str = "oauth.audience";

/// Where bearer tokens are asked for (RFC 7662); without it there is no log-in by them.
pub const OAUTH_URL: &str = "oauth.introspection-url";
/// As whom to ask.
pub const OAUTH_CLIENT_ID: &str = "oauth.client-id";
/// And with which secret.
pub const OAUTH_CLIENT_SECRET: &str = "oauth.client-secret";
/// Which member of the answer has the user's login or address; "username" when not set.
pub const OAUTH_USER_FIELD: &str = "oauth.user-field";

/// The provider of OpenID Connect by which people sign in to the console: its issuer.
pub const OPENID_ISSUER: &str = "openid.issuer";
/// Our name there.
pub const OPENID_CLIENT_ID: &str = "openid.client-id";
/// Our secret there.
pub const OPENID_CLIENT_SECRET: &str = "openid.client-secret";
/// Which claim has the user's address or log-in; "email" when not set.
pub const OPENID_CLAIM: &str = "openid.claim";
/// What is asked for, with spaces between; "openid email profile" when not set.
pub const OPENID_SCOPES: &str = "openid.scopes";

/// Accounts that are copied at the same time because of moves, at most; four when not set.
pub const MOVE_PARALLEL: &str = "move.parallel";
/// Bytes that a server copies in a second because of moves and standby copies, at most; 0, when not set, is as many as
/// go without slowing down its users.
pub const MOVE_BYTES_PER_SECOND: &str = "move.bytes-per-second";
/// How long a cut-over may take before it is given up and tried again later, in milliseconds; two thousand when not
/// set, and at most, because sessions wait no longer. Nobody can write to the account meanwhile.
pub const MOVE_CUT_OVER_MS: &str = "move.cut-over-ms";
/// How many hours an account can be moved back for; 24 when not set.
pub const MOVE_ROLLBACK_HOURS: &str = "move.rollback-hours";

/// After how many seconds without a server its accounts are failed over without anybody being asked; 0, when not set,
/// is never.
pub const FAILOVER_AFTER_SECONDS: &str = "failover.after-seconds";
/// How many seconds before its server fell silent a standby copy at durability 1 may have been equal for the last time,
/// to be taken over without anybody being asked; 0, when not set, takes over only copies that acknowledgements waited
/// for.
pub const FAILOVER_LAG_SECONDS: &str = "failover.lag-seconds";

/// What invitations by mail (RFC 6047) do to calendars: "add" (new ones come in, not answered yet), "update" (only what
/// is known changes), "off"; "add" when not set. Users can say otherwise for themselves.
pub const CALENDAR_MAIL: &str = "calendar.mail";
/// Networks beside the public Internet that external calendars may be fetched from: networks, separated by spaces; none
/// when not set.
pub const EXTERNAL_NETWORKS: &str = "calendar.external-networks";
/// The language (RFC 5646) of notifications and other messages of ours; English when not set.
pub const LANGUAGE: &str = "language";
/// Where users reach the web pages of the installation (`https://mail.example.org`).
pub const EXTERNAL_URL: &str = "external-url";
/// The name of the host that clients are told of and DNS points to, instead of each edge's own: a load balancer, or a
/// name that stays when machines change.
pub const DISCOVERY_HOST: &str = "discovery.host";
/// The names of a domain's mail exchangers, separated by spaces, where they are not the edges themselves: a Postfix in
/// front, or names of their own.
pub const DISCOVERY_EXCHANGERS: &str = "discovery.exchangers";
/// What other servers are told of TLS to a domain's exchangers (MTA-STS, RFC 8461): "enforce", "testing", "none" (there
/// is no policy any more) or "off" (there never was one); "off" when not set.
pub const MTA_STS_MODE: &str = "mta-sts.mode";
/// Whether the addresses that users write to are kept in an address book of theirs: "on" or "off"; "off" when not set.
pub const COLLECT: &str = "contacts.collect";
/// From how many bytes on an attachment that a user sends becomes a link into the user's files; 0, when not set, leaves
/// all in their messages.
pub const DETACH_BYTES: &str = "attachments.detach-bytes";
/// For how many days such links are good.
pub const DETACH_DAYS: &str = "attachments.link-days";
/// Whose certificates the installation asks for by itself (ACME, RFC 8555): "letsencrypt", "letsencrypt-staging" (for
/// trying out; nobody trusts those), or the `https` URL of another authority's directory. None when not set.
pub const ACME_DIRECTORY: &str = "acme.directory";
/// Whom the authority may write to.
pub const ACME_CONTACT: &str = "acme.contact";
/// "agreed": the administrator has read the authority's terms of service and agrees to them.
pub const ACME_TERMS: &str = "acme.terms";
/// Names that the certificate is for besides those of the services, separated by spaces.
pub const ACME_NAMES: &str = "acme.names";
/// How names are proved, in this order of trying, separated by spaces: "tls-alpn-01" (at port 443), "http-01" (at port
/// 80).
pub const ACME_CHALLENGES: &str = "acme.challenges";
/// What an authority that knows its customers calls this one (External Account Binding).
pub const ACME_EAB_KEY_ID: &str = "acme.eab-key-id";
/// And the key that goes with it, in base64url.
pub const ACME_EAB_KEY: &str = "acme.eab-key";
/// Certificates in PEM that are trusted when the authority is asked, besides those that the system trusts: for an
/// authority of one's own.
pub const ACME_ROOTS: &str = "acme.roots";
/// Hosts that may send to anybody without logging in: networks, separated by spaces; none when not set.
pub const NETWORKS: &str = "mail.networks";
/// Domains whose mail goes another way than the others': `domain=host` or `domain=host:port`, separated by spaces;
/// `.domain` stands for all names below it.
pub const ROUTES: &str = "mail.routes";
/// The port on which edges take LMTP, where a Postfix in front is told of other nodes.
pub const POSTFIX_LMTP_PORT: &str = "postfix.lmtp-port";
/// Who gets the mail for addresses of a domain that don't exist; nobody when not set, and senders are told.
pub const CATCH_ALL: &str = "catch-all";
/// The server (`host` or `host:port`) that has the addresses of a domain that don't exist here: a domain that is split
/// between two systems. [`CATCH_ALL`] comes first.
pub const UNKNOWN_RECIPIENTS: &str = "unknown-recipients";
/// Whether that server is asked about each of them before mail is taken: "ask" (what it refuses is refused here, and
/// while it can't be asked senders come again) or "accept" (all are taken, and senders are notified later); "ask" when
/// not set.
pub const UNKNOWN_RECIPIENTS_CHECK: &str = "unknown-recipients-check";
/// What DMARC is for: "enforce" (refuse and quarantine what the author's domain wants refused and quarantined), "mark"
/// (write the results into messages only), "off" (verify nothing); "enforce" when not set.
pub const DMARC: &str = "mail.dmarc";
/// The name under which results of verification are written; that of the node in the mail world when not set. With
/// several edges it should be set, so that each takes out what is forged in the name of another.
pub const AUTHSERV_ID: &str = "mail.authserv-id";
/// Domains, separated by spaces, that are believed when they seal that they changed a message (ARC); none when not set.
pub const ARC_TRUSTED: &str = "mail.arc-trusted";
/// Where all mail for others goes (`host` or `host:port`), instead of to their mail exchangers.
pub const RELAY_HOST: &str = "relay.host";
/// As whom to log in there.
pub const RELAY_USER: &str = "relay.user";
/// And with which password.
pub const RELAY_PASSWORD: &str = "relay.password";
/// TLS to it: "never", "opportunistic", "encrypt", "verify"; "opportunistic" when not set.
pub const RELAY_TLS: &str = "relay.tls";
/// TLS to mail exchangers: the same words.
pub const SENDING_TLS: &str = "sending.tls";
/// Whether domains' MTA-STS policies (RFC 8461) are kept: "on" or "off"; "on" when not set.
pub const MTA_STS: &str = "sending.mta-sts";
/// Whether certificates of mail exchangers are looked for in DNS (DANE, RFC 7672), where that can be validated: "on" or
/// "off"; "on" when not set.
pub const DANE: &str = "sending.dane";
/// Whether DMARC aggregate reports are sent to domains that ask for them: "on" or "off"; "off" when not set.
pub const REPORTS_DMARC: &str = "reports.dmarc";
/// Whether TLS reports (RFC 8460) are: the same words.
pub const REPORTS_TLS: &str = "reports.tls";
/// Of how little free space administrators are told, in percent of what a server's disk can hold; 0 is never.
pub const DISK_FREE_PERCENT: &str = "reports.disk-free-percent";
/// Whether administrators are written to in the morning when something in the installation changed for better or worse:
/// "on" or "off"; "on" when not set.
pub const REPORTS_HEALTH: &str = "reports.health";
/// At which hour of the day, by the clock of the main node.
pub const REPORTS_HEALTH_HOUR: &str = "reports.health-hour";
/// To which addresses, separated by spaces; all administrators when not set.
pub const REPORTS_HEALTH_TO: &str = "reports.health-to";
/// Who they say makes them; the name of the node in the mail world when not set.
pub const REPORTS_ORGANIZATION: &str = "reports.organization";
/// The address that they come from, and that is to be asked about them; without it none are sent.
pub const REPORTS_CONTACT: &str = "reports.contact";
/// After how many hours a message is given up.
pub const QUEUE_LIFETIME_HOURS: &str = "queue.lifetime-hours";
/// After how many hours a sender is told that a message still waits.
pub const QUEUE_WARN_HOURS: &str = "queue.warn-hours";
/// Seconds from the first failure to the next try; each further one waits twice as long.
pub const QUEUE_RETRY_SECONDS: &str = "queue.retry-seconds";
/// The longest time between two tries, in seconds.
pub const QUEUE_RETRY_MOST_SECONDS: &str = "queue.retry-most-seconds";
/// Tries at the same time.
pub const QUEUE_PARALLEL: &str = "queue.parallel";
/// Days for which it is remembered what became of each message.
pub const TRACE_DAYS: &str = "trace.days";
/// Tries at the same time for one destination.
pub const QUEUE_PARALLEL_PER_DESTINATION: &str = "queue.parallel-per-destination";

/// Bytes of one Sieve script.
pub const SIEVE_SCRIPT_BYTES: &str = "sieve.script-bytes";
/// Sieve scripts of one account.
pub const SIEVE_SCRIPTS: &str = "sieve.scripts";
/// Steps of one run of a script.
pub const SIEVE_STEPS: &str = "sieve.steps";
/// How often a script may redirect one message; 0 forbids it.
pub const SIEVE_REDIRECTS: &str = "sieve.redirects";
/// The shortest time between two automatic answers to a sender, in seconds.
pub const SIEVE_VACATION_SECONDS: &str = "sieve.vacation-least-seconds";
/// The script that runs before those of users: of a domain, or of the installation. Set by `sterna sieve domain`, which
/// checks it.
pub const SIEVE_BEFORE: &str = "sieve.before";
/// The script that runs after those of users, for what was kept.
pub const SIEVE_AFTER: &str = "sieve.after";
/// Secrets behind the reverse-paths of redirected mail, separated by spaces: the first makes them, all are believed.
/// The main node makes one.
pub const SRS_KEYS: &str = "srs.keys";

/// What passkeys are at the console: "second-factor" besides the password, "instead-of-password" where they asked for
/// finger, face or PIN, or "off"; "second-factor" when not set.
pub const PASSKEYS: &str = "console.passkeys";

/// DNS block lists (RFC 5782) that clients of port 25 are looked up in, separated by spaces:
/// [`sterna_formats::dnsbl::ListSpec`]; none when not set.
pub const BLOCK_LISTS: &str = "mail.block-lists";
/// What becomes of mail from hosts that lists weigh at [`BLOCK_LISTS_SCORE`] or more: "refuse" or "mark" (a field in
/// the header says which list); "refuse" when not set.
pub const BLOCK_LISTS_ACTION: &str = "mail.block-lists-action";
/// From which sum of weights on a host is refused or marked.
pub const BLOCK_LISTS_SCORE: &str = "mail.block-lists-score";
/// Messages that one address (or one /64 network of IPv6) may hand in on port 25 in an hour; 0 is as many as it likes.
pub const CLIENT_MESSAGES: &str = "mail.client-messages-per-hour";
/// The same of recipients.
pub const CLIENT_RECIPIENTS: &str = "mail.client-recipients-per-hour";
/// Whether unknown senders are told to come again later (RFC 6647): "on" or "off"; "off" when not set.
pub const GREYLIST: &str = "mail.greylist";
/// After how many seconds they are let in.
pub const GREYLIST_DELAY_SECONDS: &str = "mail.greylist-delay-seconds";
/// For how many hours after their first try.
pub const GREYLIST_WINDOW_HOURS: &str = "mail.greylist-window-hours";
/// Whom the greylist lets in at once, separated by spaces: networks, addresses of senders, and domains of senders with
/// all names below them ([`sterna_formats::passage::Passage`]).
pub const GREYLIST_ALLOW: &str = "mail.greylist-allow";
/// Messages that one user may hand in in an hour; 0 is as many as they like.
pub const USER_MESSAGES: &str = "submission.messages-per-hour";
/// The same of recipients.
pub const USER_RECIPIENTS: &str = "submission.recipients-per-hour";

/// Settings that are numbers: name, what holds when it isn't set, smallest, largest.
const NUMBERS: &[(&str, u64, u64, u64)] = &[
    (BIN_DAYS, 30, 0, 3650),
    (DETACH_BYTES, 0, 0, 1 << 40),
    (DETACH_DAYS, 30, 1, 3650),
    (FAILOVER_AFTER_SECONDS, 0, 0, 24 * 3600),
    (FAILOVER_LAG_SECONDS, 0, 0, 3600),
    (FULL_MAILBOX_HOURS, 72, 0, 24 * 365),
    (BLOCK_LISTS_SCORE, 1, 1, 10_000),
    (CLIENT_MESSAGES, 0, 0, 10_000_000),
    (CLIENT_RECIPIENTS, 0, 0, 10_000_000),
    (GREYLIST_DELAY_SECONDS, 300, 1, 24 * 3600),
    (GREYLIST_WINDOW_HOURS, 48, 1, 240),
    (USER_MESSAGES, 1000, 0, 10_000_000),
    (USER_RECIPIENTS, 5000, 0, 10_000_000),
    (MOVE_BYTES_PER_SECOND, 0, 0, 1 << 40),
    (MOVE_CUT_OVER_MS, 2000, 100, 2000),
    (MOVE_PARALLEL, 4, 1, 64),
    (MOVE_ROLLBACK_HOURS, 24, 0, 24 * 90),
    (POSTFIX_LMTP_PORT, 24, 1, 65_535),
    (DISK_FREE_PERCENT, 5, 0, 90),
    (REPORTS_HEALTH_HOUR, 7, 0, 23),
    (QUEUE_LIFETIME_HOURS, 120, 1, 24 * 30),
    (QUEUE_PARALLEL, 200, 1, 10_000),
    (QUEUE_PARALLEL_PER_DESTINATION, 20, 1, 1000),
    (QUEUE_RETRY_MOST_SECONDS, 3600, 1, 24 * 3600),
    (QUEUE_RETRY_SECONDS, 300, 1, 24 * 3600),
    (QUEUE_WARN_HOURS, 4, 1, 24 * 30),
    (SIEVE_REDIRECTS, 4, 0, 100),
    (SIEVE_SCRIPTS, 64, 1, 1000),
    (SIEVE_SCRIPT_BYTES, 64 * 1024, 1024, 128 * 1024),
    (SIEVE_STEPS, 10_000, 100, 1_000_000),
    (SIEVE_VACATION_SECONDS, 3600, 0, 30 * 24 * 3600),
    (TRACE_DAYS, 14, 1, 3650),
];

/// The settings that the directory reads, each with what holds when it isn't set.
pub const KNOWN: &[(&str, Option<&str>)] = &[
    (BIN_DAYS, Some("30")),
    (ACME_CHALLENGES, Some("tls-alpn-01 http-01")),
    (ACME_CONTACT, None),
    (ACME_DIRECTORY, None),
    (ACME_EAB_KEY, None),
    (ACME_EAB_KEY_ID, None),
    (ACME_NAMES, None),
    (ACME_ROOTS, None),
    (ACME_TERMS, None),
    (COLLECT, Some("off")),
    (DETACH_BYTES, Some("0")),
    (DETACH_DAYS, Some("30")),
    (ARC_TRUSTED, None),
    (AUTHSERV_ID, None),
    (BLOCK_LISTS, None),
    (BLOCK_LISTS_ACTION, Some("refuse")),
    (BLOCK_LISTS_SCORE, Some("1")),
    (CLIENT_MESSAGES, Some("0")),
    (CLIENT_RECIPIENTS, Some("0")),
    (GREYLIST, Some("off")),
    (GREYLIST_ALLOW, None),
    (GREYLIST_DELAY_SECONDS, Some("300")),
    (GREYLIST_WINDOW_HOURS, Some("48")),
    (USER_MESSAGES, Some("1000")),
    (USER_RECIPIENTS, Some("5000")),
    (CALENDAR_MAIL, Some("add")),
    (EXTERNAL_NETWORKS, None),
    (CATCH_ALL, None),
    (DEFAULT_DOMAIN, None),
    (DMARC, Some("enforce")),
    (DISCOVERY_EXCHANGERS, None),
    (DISCOVERY_HOST, None),
    (EXTERNAL_URL, None),
    (FAILOVER_AFTER_SECONDS, Some("0")),
    (FAILOVER_LAG_SECONDS, Some("0")),
    (FULL_MAILBOX, Some("defer")),
    (FULL_MAILBOX_HOURS, Some("72")),
    (LANGUAGE, Some("en")),
    (NETWORKS, None),
    (ROUTES, None),
    (MOVE_BYTES_PER_SECOND, Some("0")),
    (MOVE_CUT_OVER_MS, Some("2000")),
    (MOVE_PARALLEL, Some("4")),
    (MOVE_ROLLBACK_HOURS, Some("24")),
    (OAUTH_CLIENT_ID, None),
    (OAUTH_CLIENT_SECRET, None),
    (OAUTH_AUDIENCE, None),
    (OAUTH_TOKENS, Some("ask")),
    (OAUTH_URL, None),
    (OAUTH_USER_FIELD, Some("username")),
    (OPENID_CLAIM, Some("email")),
    (OPENID_CLIENT_ID, None),
    (OPENID_CLIENT_SECRET, None),
    (OPENID_ISSUER, None),
    (OPENID_SCOPES, Some("openid email profile")),
    (PASSKEYS, Some("second-factor")),
    (PLUS_SEPARATORS, Some("+")),
    (POSTMASTER, None),
    (POSTFIX_LMTP_PORT, Some("24")),
    (QUEUE_LIFETIME_HOURS, Some("120")),
    (QUEUE_PARALLEL, Some("200")),
    (QUEUE_PARALLEL_PER_DESTINATION, Some("20")),
    (QUEUE_RETRY_MOST_SECONDS, Some("3600")),
    (QUEUE_RETRY_SECONDS, Some("300")),
    (QUEUE_WARN_HOURS, Some("4")),
    (RELAY_HOST, None),
    (RELAY_PASSWORD, None),
    (RELAY_TLS, Some("opportunistic")),
    (RELAY_USER, None),
    (REPORTS_CONTACT, None),
    (REPORTS_DMARC, Some("off")),
    (REPORTS_HEALTH, Some("on")),
    (DISK_FREE_PERCENT, Some("5")),
    (REPORTS_HEALTH_HOUR, Some("7")),
    (REPORTS_HEALTH_TO, None),
    (REPORTS_ORGANIZATION, None),
    (REPORTS_TLS, Some("off")),
    (RETENTION_DAYS, Some("7")),
    (DANE, Some("on")),
    (MTA_STS_MODE, Some("off")),
    (MTA_STS, Some("on")),
    (SENDING_TLS, Some("opportunistic")),
    (SCRAM, Some("off")),
    (SIEVE_REDIRECTS, Some("4")),
    (SIEVE_SCRIPTS, Some("64")),
    (SIEVE_SCRIPT_BYTES, Some("65536")),
    (SIEVE_STEPS, Some("10000")),
    (SIEVE_VACATION_SECONDS, Some("3600")),
    (SRS_KEYS, None),
    (TRACE_DAYS, Some("14")),
    (UNKNOWN_RECIPIENTS, None),
    (UNKNOWN_RECIPIENTS_CHECK, Some("ask")),
];

/// Settings whose values are shown to nobody.
const SECRETS: &[&str] = &[
    ACME_EAB_KEY,
    OAUTH_CLIENT_SECRET,
    OPENID_CLIENT_SECRET,
    RELAY_PASSWORD,
    filter_settings::RSPAMD_PASSWORD,
    SRS_KEYS,
];

/// What is shown in the place of a secret.
pub const SECRET: &str = "(secret)";

/// Whether a setting's value is shown to nobody.
pub fn is_secret(name: &str) -> bool {
    SECRETS.contains(&name)
}

/// The value as it is shown.
pub fn shown(name: &str, value: String) -> String {
    if is_secret(name) { SECRET.to_owned() } else { value }
}

/// Settings that a domain can have of its own; the others are the installation's.
pub const OF_DOMAINS: &[&str] = &[
    BIN_DAYS,
    CALENDAR_MAIL,
    CATCH_ALL,
    COLLECT,
    DETACH_BYTES,
    DETACH_DAYS,
    DISCOVERY_EXCHANGERS,
    DISCOVERY_HOST,
    FULL_MAILBOX,
    FULL_MAILBOX_HOURS,
    LANGUAGE,
    MTA_STS_MODE,
    PLUS_SEPARATORS,
    POSTMASTER,
    RETENTION_DAYS,
    SIEVE_AFTER,
    SIEVE_BEFORE,
    UNKNOWN_RECIPIENTS,
    UNKNOWN_RECIPIENTS_CHECK,
];

/// Longest retention, in days: ten years.
pub const RETENTION_DAYS_MAX: u32 = 3650;

/// DNS block lists that one client is looked up in.
pub const BLOCK_LISTS_MAX: usize = 20;

/// Mail exchangers of one domain.
pub const EXCHANGERS_MAX: usize = 20;

/// Longest value, in bytes.
pub const VALUE_BYTES_MAX: usize = 16 * 1024;
/// Longest name, in bytes.
pub const NAME_BYTES_MAX: usize = 128;

/// A setting that is a number: its name, what holds when it isn't set, smallest, largest.
fn number(name: &str) -> Option<(&'static str, u64, u64, u64)> {
    NUMBERS.iter().chain(filter_settings::NUMBERS).find(|(known, ..)| *known == name).copied()
}

/// The smallest and the largest value of a setting that is a number.
fn bounds(name: &str) -> Option<(u64, u64)> {
    let own = number(name).map(|(_, _, least, most)| (least, most));
    own.or_else(|| session_limits::limit(name).map(|limit| (limit.least, limit.most)))
}

/// All settings that have a meaning, each with what holds when it isn't set: [`KNOWN`], those of filters, and the
/// limits of sessions.
pub fn all() -> Vec<(&'static str, Option<Cow<'static, str>>)> {
    let known = KNOWN.iter().chain(filter_settings::KNOWN).map(|&(name, default)| (name, default.map(Cow::Borrowed)));
    let limits = session_limits::LIMITS.iter().map(|limit| (limit.name, Some(Cow::Owned(limit.default.to_string()))));
    let mut all: Vec<_> = known.chain(limits).collect();
    all.sort_unstable_by_key(|(name, _)| *name);
    all
}
