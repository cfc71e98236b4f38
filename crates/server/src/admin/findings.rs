//! What `sterna status` puts first: each problem of the installation, and what to do about it. A pure function of the
//! directory's rows and the servers' answers.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use sterna_base::limits::PAGE_ITEMS_MAX;
use sterna_base::{AccountId, JobId, NodeId, Timestamp};
use sterna_cluster::copies::WaitingFor;
use sterna_cluster::rpc::control::AsidesStatus;
use sterna_cluster::{CopiesStatus, NodeStatus};
use sterna_directory::placement_policy::{self, Candidate};
use sterna_directory::{Job, JobState, Move, MovePhase, Reader, Server, StorageError};

use super::auto_failover::BY;
use super::firewall;
use super::job_view::address_of;
use super::view;

/// A certificate that ends sooner than this should have been renewed long ago, in milliseconds: two weeks.
const CERTIFICATE_MS_MIN: i64 = 14 * 24 * 3600 * 1000;
/// Clocks that differ more than this make log lines and dates of mail misleading, in milliseconds.
const CLOCK_DIFFERENCE_MS_MAX: i64 = 60 * 1000;
/// A copy that differed longer ago is no longer told of, in milliseconds: a week.
const DIFFERED_MS_MAX: i64 = 7 * 24 * 3600 * 1000;
/// Stores without a name in the directory that are told one by one.
const ORPHANS_NAMED_MAX: usize = 5;
/// Refused deletions that are told.
const REFUSALS_NAMED_MAX: usize = 10;
/// How long an automatic failover is told of, in milliseconds: a week.
const AUTOMATIC_TOLD_MS: i64 = 7 * 24 * 3600 * 1000;
/// Jobs among which automatic failovers are looked for.
const JOBS_LOOKED_AT: usize = 50;

/// A problem, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct Finding {
    /// The server's name; null when it is the installation's.
    server: Option<String>,
    what: String,
    remedy: String,
}

impl Finding {
    /// Of the whole installation.
    pub(super) fn of_installation(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Finding { server: None, what: what.into(), remedy: remedy.into() }
    }

    /// Of one server.
    pub(super) fn of_server(name: &str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Finding { server: Some(name.to_owned()), what: what.into(), remedy: remedy.into() }
    }

    /// Of which server.
    pub(super) fn server(&self) -> Option<&str> {
        self.server.as_deref()
    }

    /// What is wrong.
    pub(super) fn what(&self) -> &str {
        &self.what
    }

    /// What to do about it.
    pub(super) fn remedy(&self) -> &str {
        &self.remedy
    }
}

/// What servers are measured by.
pub(super) struct Measure {
    /// The modseq of the directory here.
    pub(super) head: u64,
    /// Percent of a disk that should be free ([`settings::DISK_FREE_PERCENT`]).
    pub(super) disk_free_percent: u64,
    pub(super) now: Timestamp,
}

/// The problems, those of servers that don't answer first.
pub(super) fn of(servers: &[Candidate], answers: &[Result<NodeStatus, String>], measure: &Measure) -> Vec<Finding> {
    let pairs = || servers.iter().map(|candidate| &candidate.server).zip(answers);
    let mut found = Vec::new();
    for (server, answer) in pairs() {
        if let Err(cause) = answer {
            let mend = match server.roles.main {
                true => "correct it in [cluster] of its sterna.toml and restart it".to_owned(),
                false => format!("sterna server set {} --address HOST:PORT", server.name),
            };
            let remedy = format!(
                "See whether it runs (systemctl status sterna, on it) and whether {} is its address; if not: {mend}",
                server.address,
            );
            found.push(finding(server, format!("does not answer: {cause}"), remedy));
        }
    }
    for (server, answer) in pairs() {
        if let Ok(answer) = answer {
            disk(&mut found, server, answer, measure.disk_free_percent);
            certificates(&mut found, server, answer, measure.now);
            following(&mut found, server, answer, measure);
            copies(&mut found, server, &answer.copies, measure.now);
            waiting(&mut found, server, answer, servers);
            asides(&mut found, server, answer);
            over_limits(&mut found, server, answer);
            filters(&mut found, server, answer);
            found.extend(firewall::findings(&server.name, &answer.firewall));
        }
    }
    let open =
        |server: &Server| server.roles.data && server.accepts_new_accounts && !server.draining && server.weight > 0;
    if !servers.iter().any(|candidate| open(&candidate.server)) {
        found.push(Finding {
            server: None,
            what: "no server takes new accounts".to_owned(),
            remedy: "Open one: sterna server set NAME --accept-new yes --weight 1".to_owned(),
        });
    }
    found
}

/// What came of work on accounts: moves that were given up, and jobs that somebody paused and perhaps forgot.
pub(super) fn of_work(reader: &Reader<'_>, now: Timestamp) -> Result<Vec<Finding>, StorageError> {
    let mut found = Vec::new();
    let paused = reader.active_jobs(JobId(0), PAGE_ITEMS_MAX)?.into_iter().filter(|job| job.state == JobState::Paused);
    found.extend(paused.map(|job| Finding {
        server: None,
        what: format!("job {} ({}) is paused, with {} accounts left", job.id, job.what, job.left()),
        remedy: format!("sterna job resume {0}, or sterna job abort {0}", job.id),
    }));
    let recent = |job: &Job| job.by == BY && now.0 - job.created_at.0 < AUTOMATIC_TOLD_MS;
    found.extend(reader.jobs(None, JOBS_LOOKED_AT)?.iter().filter(|job| recent(job)).map(|job| Finding {
        server: None,
        what: format!(
            "at {} job {} began without being asked: {}; {} are done, {} failed",
            view::time(job.created_at),
            job.id,
            job.what,
            job.done,
            job.failed,
        ),
        remedy: format!(
            "See that the lost server comes back, then move its accounts home (sterna job get {} names them); this is \
             told for a week.",
            job.id
        ),
    }));
    let mut failed: BTreeMap<JobId, (u64, Move)> = BTreeMap::new();
    let mut after = AccountId(0);
    loop {
        let page = reader.moves(after, PAGE_ITEMS_MAX)?;
        let Some(last) = page.last() else { break };
        after = last.account;
        for row in page.into_iter().filter(|row| row.phase == MovePhase::Failed) {
            failed.entry(row.job).or_insert((0, row)).0 += 1;
        }
    }
    for (job, (count, row)) in failed {
        let address = address_of(reader, row.account)?;
        let why = row.failed.unwrap_or_default();
        found.push(Finding {
            server: None,
            what: format!("{count} accounts of job {job} could not be moved and stay where they are; {address}: {why}"),
            remedy: format!("sterna job get {job} names them; sterna job retry {job}, or sterna job dismiss {job}"),
        });
    }
    Ok(found)
}

/// A server is lost, and automatic failover leaves it as it is.
pub(super) fn of_left_alone(why: String) -> Finding {
    let remedy = "Decide yourself: sterna server failover SERVER --to STANDBY --dry-run shows what it would cost.";
    Finding { server: None, what: why, remedy: remedy.to_owned() }
}

fn finding(server: &Server, what: String, remedy: impl Into<String>) -> Finding {
    Finding { server: Some(server.name.clone()), what, remedy: remedy.into() }
}

fn disk(found: &mut Vec<Finding>, server: &Server, answer: &NodeStatus, free_percent: u64) {
    let (free, all) = (answer.disk_free_bytes, answer.disk_bytes);
    if !server.roles.data || all == 0 {
        return;
    }
    let mebibytes = free / (1024 * 1024);
    if free < placement_policy::FREE_BYTES_MIN {
        let what = format!("has only {mebibytes} MiB free and gets no new accounts");
        found.push(finding(server, what, "Free space on the disk of its folder, or make it larger."));
    } else if free < all / 100 * free_percent {
        let what = format!("has only {mebibytes} MiB free, less than {free_percent}% of its disk");
        let remedy = "Free space on the disk of its folder, or make it larger. Of how little you are told: \
                      sterna setting set reports.disk-free-percent NUMBER";
        found.push(finding(server, what, remedy));
    }
}

fn certificates(found: &mut Vec<Finding>, server: &Server, answer: &NodeStatus, now: Timestamp) {
    let soon = |end: Option<Timestamp>| end.filter(|end| end.0 - now.0 < CERTIFICATE_MS_MIN);
    let ends = |end: Timestamp| if end < now { "ended" } else { "ends" };
    if let Some(end) = soon(answer.client_certificate_not_after) {
        let what = format!("its certificate for mail clients {} at {}", ends(end), view::time(end));
        let remedy = "Let certificates be issued by themselves (sterna certificate enable, sterna certificate status), \
                      or renew the files that [tls] in its sterna.toml names; without either, delete client-tls.crt \
                      and client-tls.key in its folder and restart it.";
        found.push(finding(server, what, remedy));
    }
    if let Some(end) = soon(answer.certificate_not_after) {
        let what = format!("its certificate between nodes {} at {}", ends(end), view::time(end));
        found.push(finding(server, what, "It renews it by itself; its log says why it could not."));
    }
}

/// Users who send more than users may.
fn over_limits(found: &mut Vec<Finding>, server: &Server, answer: &NodeStatus) {
    for over in &answer.over_limits {
        let what = format!(
            "{} wanted to send more {} than users may in an hour, since {}, the last time from {}; {} were refused",
            over.address,
            over.what,
            view::time(over.since),
            over.peer,
            over.refused,
        );
        let remedy = format!(
            "If that was not {0}, somebody has the password: sterna user set {0} --suspended yes, then a new password. \
             If it was: sterna config set submission.{1}-per-hour N. This is told for a day.",
            over.address, over.what,
        );
        found.push(finding(server, what, remedy));
    }
}

/// Copies that differed, and stores that nobody names.
fn copies(found: &mut Vec<Finding>, server: &Server, answer: &CopiesStatus, now: Timestamp) {
    if let Some((account, at)) = answer.differed_last
        && now.0 - at.0 < DIFFERED_MS_MAX
    {
        let what = format!(
            "a copy here differed from its source {} times since the server started, last that of account {account} at \
             {}; what differed was not used and is copied again",
            answer.differed,
            view::time(at),
        );
        let remedy = format!(
            "Even once may be a disk or memory on its way out: look at dmesg here and on the account's own server, and \
             run sterna check on both. Where it lives: sterna account where {account}",
        );
        found.push(finding(server, what, remedy));
    }
    if answer.orphan_count > 0 {
        let ids: Vec<String> = answer.orphans.iter().take(ORPHANS_NAMED_MAX).map(ToString::to_string).collect();
        let more = if answer.orphan_count > ids.len() as u64 { ", ..." } else { "" };
        let what = format!(
            "has {} stores that the directory doesn't name (account {}{more}); nobody is served from them",
            answer.orphan_count,
            ids.join(", "),
        );
        let remedy = format!(
            "sterna server sweep {} --dry-run shows which of them are old copies, and without --dry-run deletes those",
            server.name,
        );
        found.push(finding(server, what, remedy));
    }
}

/// Stores that are to be deleted, and that their servers keep.
pub(super) fn of_refusals(servers: &[Candidate], refusals: &[(AccountId, NodeId, String)]) -> Vec<Finding> {
    let named = |id: &NodeId| servers.iter().map(|one| &one.server).find(|server| server.id == *id);
    let refused = refusals.iter().take(REFUSALS_NAMED_MAX).map(|(account, server, cause)| Finding {
        server: named(server).map(|server| server.name.clone()),
        what: format!("refuses to delete its store of account {account}: {cause}"),
        remedy: "A later epoch than the directory knows means that the directory is older than the store (was it \
                 restored?): bring back the later one. Otherwise the server's log says more."
            .to_owned(),
    });
    refused.collect()
}

fn asides(found: &mut Vec<Finding>, server: &Server, answer: &NodeStatus) {
    let Some(AsidesStatus { stores, commits, items, uncounted, since, accounts }) = &answer.asides else { return };
    let named: Vec<String> = accounts.iter().map(ToString::to_string).collect();
    let counting = if *uncounted > 0 { format!(" ({uncounted} are still being counted)") } else { String::new() };
    let what = format!(
        "keeps {stores} stores aside since {}: {commits} changes that were acknowledged before a failover and are lost \
         to the accounts, {items} messages among them{counting}; accounts {}",
        view::time(*since),
        named.join(", "),
    );
    let remedy = "On it: sterna aside list; sterna aside export NAME --to DIR; sterna aside delete NAME --yes.";
    found.push(finding(server, what, remedy));
}

fn filters(found: &mut Vec<Finding>, server: &Server, answer: &NodeStatus) {
    for filter in &answer.filters_down {
        let what =
            format!("its filter {} can't be asked since {}: {}", filter.name, view::time(filter.since), filter.cause);
        let remedy = "See whether it runs there and listens at the address that is set (sterna config list); what becomes \
                      of mail meanwhile is its setting when-down.";
        found.push(finding(server, what, remedy));
    }
}

fn following(found: &mut Vec<Finding>, server: &Server, answer: &NodeStatus, measure: &Measure) {
    let (head, difference_ms) = (measure.head, answer.now.0 - measure.now.0);
    if difference_ms.abs() > CLOCK_DIFFERENCE_MS_MAX {
        let what = format!("its clock differs from this node's by {} s", difference_ms / 1000);
        found.push(finding(server, what, "Set the clocks of both by NTP (timedatectl set-ntp true)."));
    }
    if answer.directory_modseq < head {
        let what = format!(
            "is {} changes of the directory behind; it looks for the main node at {}",
            head - answer.directory_modseq,
            answer.main_address.as_deref().unwrap_or("an address that it doesn't tell"),
        );
        let remedy = "See in its log why it can't follow; a wrong address is mended with `main = \"HOST:PORT\"` in \
                      [cluster] of its sterna.toml.";
        found.push(finding(server, what, remedy));
    }
}

/// Accounts that can't be changed because a standby copy is away that they wait for.
fn waiting(found: &mut Vec<Finding>, server: &Server, answer: &NodeStatus, servers: &[Candidate]) {
    for WaitingFor { copy, accounts, since, refused } in &answer.waiting_for {
        let standby = servers.iter().map(|candidate| &candidate.server).find(|server| server.id == *copy);
        let standby = standby.map_or_else(|| copy.to_string(), |server| server.name.clone());
        let what = format!(
            "{accounts} accounts take no changes since {}, because their standby copies on {standby} don't acknowledge \
             them (durability 2); {refused} were refused, mail waits with its senders",
            view::time(*since),
        );
        let remedy = format!(
            "Bring {standby} back, and it goes on by itself; or give up the second disk, which takes effect at once: \
             sterna server standby {} --on {standby} --durability 1 (one account: sterna account standby ADDRESS ...)",
            server.name,
        );
        found.push(finding(server, what, remedy));
    }
}

#[cfg(test)]
mod tests {
    use sterna_cluster::OverLimit;
    use sterna_cluster::rpc::control::FilterDown;
    use sterna_directory::Roles;

    use super::*;

    const NOW: Timestamp = Timestamp(1_000_000_000_000);
    const DAY_MS: i64 = 24 * 3600 * 1000;
    const GIB: u64 = 1024 * 1024 * 1024;

    fn candidate(name: &str) -> Candidate {
        let server = Server {
            id: NodeId([1; 16]),
            name: name.to_owned(),
            address: format!("{name}:7700"),
            roles: Roles::ALL,
            weight: 1,
            accepts_new_accounts: true,
            draining: false,
            capacity_bytes: None,
            used_bytes: None,
            version: None,
            standby: None,
            free_bytes: None,
            free_bytes_at: None,
            created_at: NOW,
        };
        Candidate { server, accounts: 0 }
    }

    fn answer() -> NodeStatus {
        NodeStatus {
            node: NodeId([1; 16]),
            version: "1".to_owned(),
            release: 1,
            roles: Default::default(),
            dane_off: None,
            now: NOW,
            disk_free_bytes: 50 * GIB,
            disk_bytes: 100 * GIB,
            accounts: 0,
            store_format: 0,
            copies: Default::default(),
            asides: None,
            load_hundredths: 0,
            directory_modseq: 9,
            started_at: None,
            main_address: Some("old:7700".to_owned()),
            certificate_not_after: Some(NOW.plus_ms(60 * DAY_MS)),
            client_certificate_not_after: None,
            client_certificate_modseq: None,
            waiting_for: Vec::new(),
            over_limits: Vec::new(),
            filters_down: Vec::new(),
            endpoints: Vec::new(),
            installed: Vec::new(),
            version_failed: None,
            waiting_mail: Some(0),
            addresses: Vec::new(),
            firewall: sterna_cluster::FirewallStatus::default(),
        }
    }

    #[test]
    fn filters_that_are_down_are_told() {
        let filter = FilterDown { name: "clamav".to_owned(), cause: "gone".to_owned(), since: NOW };
        let found = whats(Ok(NodeStatus { filters_down: vec![filter], ..answer() }));
        assert!(found.iter().any(|what| what.starts_with("its filter clamav can't be asked since")), "{found:?}");
    }

    const MEASURE: Measure = Measure { head: 9, disk_free_percent: 5, now: NOW };

    fn whats(answer: Result<NodeStatus, String>) -> Vec<String> {
        of(&[candidate("alpha")], &[answer], &MEASURE).into_iter().map(|finding| finding.what).collect()
    }

    #[test]
    fn a_healthy_installation_has_none() {
        assert!(whats(Ok(answer())).is_empty());
    }

    #[test]
    fn each_problem_is_named() {
        assert_eq!(whats(Err("refused".to_owned())), ["does not answer: refused"]);
        let with = |change: fn(&mut NodeStatus)| {
            let mut answer = answer();
            change(&mut answer);
            whats(Ok(answer)).join("; ")
        };
        assert!(with(|answer| answer.disk_free_bytes = GIB / 2).contains("512 MiB free and gets no new accounts"));
        assert!(with(|answer| answer.disk_free_bytes = 4 * GIB).contains("less than 5%"));
        let nearly_full = NodeStatus { disk_free_bytes: 4 * GIB, ..answer() };
        let measure = Measure { disk_free_percent: 0, ..MEASURE };
        assert!(of(&[candidate("alpha")], &[Ok(nearly_full)], &measure).is_empty(), "nobody wants to be told");
        assert!(with(|answer| answer.now = NOW.plus_ms(-3_600_000)).contains("differs from this node's by -3600 s"));
        assert!(with(|answer| answer.directory_modseq = 4).contains("5 changes of the directory behind"));
        let differed = |answer: &mut NodeStatus| {
            (answer.copies.differed, answer.copies.differed_last) = (2, Some((AccountId(7), NOW.plus_ms(-DAY_MS))));
        };
        assert!(with(differed).contains("differed from its source 2 times"), "{}", with(differed));
        let long_ago = |answer: &mut NodeStatus| {
            answer.copies.differed_last = Some((AccountId(7), NOW.plus_ms(-8 * DAY_MS)));
        };
        assert_eq!(with(long_ago), "");
        let orphans = |answer: &mut NodeStatus| {
            (answer.copies.orphan_count, answer.copies.orphans) = (9, vec![AccountId(7)]);
        };
        assert!(with(orphans).contains("has 9 stores that the directory doesn't name"), "{}", with(orphans));
        let over = |answer: &mut NodeStatus| {
            answer.over_limits = vec![OverLimit {
                address: "ana@demo.test".to_owned(),
                what: "messages".to_owned(),
                peer: "192.0.2.7".to_owned(),
                since: NOW,
                refused: 3,
            }];
        };
        assert!(with(over).starts_with("ana@demo.test wanted to send more messages than users may"), "{}", with(over));
        let ended = |answer: &mut NodeStatus| answer.client_certificate_not_after = Some(NOW.plus_ms(-DAY_MS));
        assert!(with(ended).contains("for mail clients ended at 2001-09-08T"), "{}", with(ended));
        let soon = |answer: &mut NodeStatus| answer.certificate_not_after = Some(NOW.plus_ms(13 * DAY_MS));
        assert!(with(soon).contains("between nodes ends at"));
        let copy = NodeId([1; 16]);
        let waits = WaitingFor { copy, accounts: 3, since: NOW, refused: 17 };
        let found = of(&[candidate("alpha")], &[Ok(NodeStatus { waiting_for: vec![waits], ..answer() })], &MEASURE);
        assert!(found[0].what.starts_with("3 accounts take no changes since 2001-09-09T01:46:40Z"), "{found:?}");
        assert!(found[0].what.contains("17 were refused"), "{found:?}");
        assert!(found[0].remedy.contains("standby alpha --on alpha --durability 1"), "{found:?}");
    }

    #[test]
    fn an_installation_that_is_closed_says_so() {
        let mut closed = candidate("alpha");
        closed.server.accepts_new_accounts = false;
        let found = of(&[closed], &[Ok(answer())], &MEASURE);
        assert_eq!(found[0].what, "no server takes new accounts");
        assert_eq!(found[0].server, None);
    }
}
