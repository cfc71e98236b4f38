//! The program as its users see it.

mod addresses;
mod alike;
mod archives;
mod authentication;
mod bad_mail;
mod bearer_tokens;
mod certificates;
mod cli;
mod clients;
mod console;
mod console_sessions;
mod console_walks;
mod contacts;
mod corpus;
mod dane;
mod dav;
mod dav_clients;
mod dav_desktop;
mod dav_directory;
mod dav_hostile;
mod dav_mounted;
mod dav_moves;
mod dav_objects;
mod dav_rights;
mod dav_zones;
mod davx5;
mod described;
mod detached;
mod discovery;
mod durability;
mod edges_together;
mod expiry;
mod external_calendars;
mod failures;
mod files;
mod files_shared;
mod filters;
mod firewall;
mod floods;
mod frozen;
mod full_disk;
mod guarded;
mod import_bluemind;
mod import_dav;
mod import_imap;
mod import_sieve;
mod import_spool;
mod interchange;
mod ipv6;
mod jobs;
mod joining;
mod learning;
mod ledger;
mod limits_set;
mod mail_maintenance;
mod mail_settings;
mod managed_attachments;
mod meetings_moved;
mod migrating;
mod migration;
mod migration_afterwards;
mod migration_fleet;
mod migration_proof;
mod migration_rehearsal;
mod monitoring;
mod moves;
mod moves_cut;
mod moves_ended;
mod moves_full;
mod moves_paused;
mod moves_sessions;
mod moving_stage;
mod nodes;
mod packages;
mod partition;
mod passkeys;
mod pdf;
mod postfix_front;
mod queue_actions;
mod queues_together;
mod refused_moves;
mod relaying;
mod releases;
mod remote_servers;
#[path = "../../crates/cluster/tests/simulation/rng.rs"]
#[allow(dead_code)] // what only the simulation draws
mod rng;
mod scheduling;
mod search;
mod sending;
mod setup;
mod setup_browser;
mod setup_certificates;
mod sharing_servers;
mod sieve;
mod signed_out;
mod sources;
mod split_domain;
mod sudo;
mod takeover;
mod tls_policies;
mod tracing;
mod updates;
mod updates_fetched;
mod updates_fleet;
mod walks;

// The dialogs of IMAP once more: what a session says must not depend on where its account is. They find their `place`
// here instead of beside them. Not here are `ends`, which stops the clock and so every network, and `faults`, which
// puts a failing account in front of any other, as `halves` does, and `recent`, which wants a clock that goes on.
#[path = "../../crates/protocols/tests/imap/acls.rs"]
mod acls;
#[path = "../../crates/protocols/tests/imap/appends.rs"]
mod appends;
#[path = "../../crates/protocols/tests/imap/attributes.rs"]
mod attributes;
#[path = "../../crates/protocols/tests/imap/awkward.rs"]
mod awkward;
#[path = "../../crates/protocols/tests/imap/compressed.rs"]
mod compressed;
#[path = "../../crates/protocols/tests/imap/condstore.rs"]
mod condstore;
#[path = "../../crates/protocols/tests/imap/contexts.rs"]
mod contexts;
#[path = "../../crates/protocols/tests/imap/dialog.rs"]
#[allow(dead_code)] // what only `ends` and `faults` use
mod dialog;
#[path = "../../crates/protocols/tests/imap/esearches.rs"]
mod esearches;
#[path = "../../crates/protocols/tests/imap/fetches.rs"]
mod fetches;
#[path = "../../crates/protocols/tests/imap/fuzzy.rs"]
mod fuzzy;
#[path = "../../crates/protocols/tests/imap/gone.rs"]
mod gone;
#[path = "../../crates/protocols/tests/imap/granted.rs"]
mod granted;
#[path = "../../crates/protocols/tests/imap/insides.rs"]
mod insides;
#[path = "../../crates/protocols/tests/imap/limits.rs"]
mod limits;
#[path = "../../crates/protocols/tests/imap/listings.rs"]
mod listings;
#[path = "../../crates/protocols/tests/imap/mailboxes.rs"]
mod mailboxes;
#[path = "../../crates/protocols/tests/imap/messages.rs"]
mod messages;
#[path = "../../crates/protocols/tests/imap/metadata.rs"]
mod metadata;
#[path = "../../crates/protocols/tests/imap/names.rs"]
mod names;
#[path = "../../crates/protocols/tests/imap/notify.rs"]
mod notify;
mod place;
#[path = "../../crates/protocols/tests/imap/qresync.rs"]
mod qresync;
#[path = "../../crates/protocols/tests/imap/searches.rs"]
mod searches;
#[path = "../../crates/protocols/tests/imap/sessions.rs"]
mod sessions;
#[path = "../../crates/protocols/tests/imap/sets.rs"]
mod sets;
#[path = "../../crates/protocols/tests/imap/sharing.rs"]
mod sharing;
#[path = "../../crates/protocols/tests/imap/sort_contexts.rs"]
mod sort_contexts;
#[path = "../../crates/protocols/tests/imap/sorts.rs"]
mod sorts;
#[path = "../../crates/protocols/tests/imap/states.rs"]
mod states;
#[path = "../../crates/cluster/tests/cluster/support.rs"]
#[allow(dead_code)] // no dialog cuts wires or lets machines join
mod support;

#[path = "../../crates/protocols/tests/imap/typical.rs"]
mod typical;

// Those of POP3, as far as a mailbox has to do with it.
#[path = "../../crates/protocols/tests/pop3/maildrops.rs"]
mod maildrops;
#[path = "../../crates/protocols/tests/pop3/others.rs"]
mod others;
#[path = "../../crates/protocols/tests/pop3/pop.rs"]
#[allow(dead_code)] // what only `faults` uses
mod pop;
#[path = "../../crates/protocols/tests/pop3/messages.rs"]
mod pop3_messages;
