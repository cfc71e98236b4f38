//! Every endpoint of the API on one page: its path, what it does, and what it needs. The router, the rights and the
//! description of the API are made of it.

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::middleware::{Next, from_fn};
use axum::routing::MethodRouter;
use sterna_directory::rights::Area::{
    Administrators, Audit, Domains, Jobs, Mail, Passwords, People, Servers, Settings, Sudo,
};
use sterna_directory::rights::{Area, Permission};

use super::described::{Described, Operation, delete, get, patch, post, put};
use super::doors::AdminState;
use super::policy::Place::{AskedDomain, Binned, Contact, Domain, Entry, Filtered, NewContact, NewEntry, Own, System};
use super::policy::{self, Place, Rule};
use super::{
    accounts, acl, api_tokens, app_passwords, archive, audit, bin, certificates, connections, contacts, copies, dkim,
    dns, doctor, domains, drain, events, external, files, firewall, graphs, greylist, groups, imports, job_events,
    job_log, jobs, links, maintenance, migration, objects, orphans, passkeys, people_import, queue, replication,
    resources, roles, search, second_factor, servers, sessions, settings, sieve, sources, status, sudo, tokens, trace,
    updates, users,
};

/// One method of one path.
pub struct Endpoint {
    /// `GET`, `POST` and so on.
    pub method: &'static str,
    /// The path, with its parameters in braces.
    pub path: &'static str,
    /// What it does, in a few words.
    pub about: &'static str,
    /// What it needs.
    pub rule: Rule,
    /// What it takes and answers.
    pub(super) operation: Operation,
    routes: MethodRouter<AdminState>,
}

fn look(path: &'static str, described: Described, area: Area, place: Place, about: &'static str) -> Endpoint {
    let rule = Rule { needs: Permission::read(area), place, dry_run: true, gives_passwords: false, large: false };
    let Described { routes, operation } = described;
    Endpoint { method: "GET", path, about, rule, operation, routes }
}

fn change(
    (method, path): (&'static str, &'static str),
    described: Described,
    area: Area,
    place: Place,
    about: &'static str,
) -> Endpoint {
    let rule = Rule { needs: Permission::write(area), place, dry_run: true, gives_passwords: false, large: false };
    let Described { routes, operation } = described;
    Endpoint { method, path, about, rule, operation, routes }
}

impl Endpoint {
    /// Who may give passwords may do it with a body that has nothing else.
    fn gives_passwords(mut self) -> Self {
        self.rule.gives_passwords = true;
        self
    }

    /// Its bodies are files.
    fn large(mut self) -> Self {
        self.rule.large = true;
        self.routes = self.routes.layer(DefaultBodyLimit::max(objects::BODY_BYTES_MAX));
        self
    }

    /// What it does can't be tried without being done.
    fn never_dry(mut self) -> Self {
        self.rule.dry_run = false;
        self
    }
}

/// All of them.
pub fn endpoints() -> Vec<Endpoint> {
    let mut all = of_people();
    all.extend(of_accounts());
    all.extend(of_domains());
    all.extend(of_sources());
    all.extend(of_servers());
    all.extend(of_updates());
    all.extend(of_mail());
    all.extend(of_administrators());
    all.extend(of_oneself());
    all
}

fn of_people() -> Vec<Endpoint> {
    const USERS: &str = "/api/v1/users";
    const USER: &str = "/api/v1/users/{user}";
    const GROUPS: &str = "/api/v1/groups";
    const GROUP: &str = "/api/v1/groups/{group}";
    const MEMBERS: &str = "/api/v1/groups/{group}/members";
    const CONTACTS: &str = "/api/v1/contacts";
    const CONTACT: &str = "/api/v1/contacts/{contact}";
    const CONNECTIONS: &str = "/api/v1/users/{user}/connections";
    const CONNECTION: &str = "/api/v1/users/{user}/connections/{connection}";
    const BINNED: &str = "/api/v1/bin/{entry}";
    vec![
        look("/api/v1/bin", get(bin::list), People, Filtered, "What was deleted and can be had back"),
        change(("POST", BINNED), post(bin::restore), People, Binned("entry"), "Bring back what was deleted"),
        change(("DELETE", BINNED), delete(bin::purge), People, Binned("entry"), "Delete it for good"),
        look(USERS, get(users::list), People, Filtered, "Users, by domain and address"),
        change(("POST", USERS), post(users::create), People, NewEntry, "Make a user, with an account on a server"),
        change(
            ("POST", "/api/v1/people-imports"),
            post(people_import::create),
            People,
            Filtered,
            "Make the users of a list",
        ),
        look(USER, get(users::get), People, Entry("user"), "One user"),
        change(("PATCH", USER), patch(users::set), People, Entry("user"), "Change a user").gives_passwords(),
        change(("DELETE", USER), delete(users::delete), People, Entry("user"), "Delete a user and the account"),
        look(CONNECTIONS, get(connections::list), People, Entry("user"), "Sessions of a user's mail programs"),
        change(("DELETE", CONNECTIONS), delete(connections::end_all), People, Entry("user"), "End them all"),
        change(("DELETE", CONNECTION), delete(connections::end), People, Entry("user"), "End one of them"),
        look(GROUPS, get(groups::list), People, Filtered, "Groups, by domain and address"),
        change(("POST", GROUPS), post(groups::create), People, NewEntry, "Make a group"),
        look(GROUP, get(groups::get), People, Entry("group"), "One group"),
        change(("PATCH", GROUP), patch(groups::set), People, Entry("group"), "Change a group"),
        change(("DELETE", GROUP), delete(groups::delete), People, Entry("group"), "Delete a group"),
        look(MEMBERS, get(groups::members), People, Entry("group"), "The members of a group"),
        look(CONTACTS, get(contacts::list), People, Filtered, "External contacts, by domain and address"),
        change(("POST", CONTACTS), post(contacts::create), People, NewContact, "Make an external contact"),
        look(CONTACT, get(contacts::get), People, Contact("contact"), "One external contact"),
        change(("PATCH", CONTACT), patch(contacts::set), People, Contact("contact"), "Change an external contact"),
        change(("DELETE", CONTACT), delete(contacts::delete), People, Contact("contact"), "Delete an external contact"),
        change(("PATCH", MEMBERS), patch(groups::set_members), People, Entry("group"), "Add and remove members"),
    ]
}

fn of_accounts() -> Vec<Endpoint> {
    const ACCOUNTS: &str = "/api/v1/accounts";
    const ACCOUNT: &str = "/api/v1/accounts/{account}";
    const RESOURCES: &str = "/api/v1/resources";
    const RESOURCE: &str = "/api/v1/resources/{account}";
    const ACL: &str = "/api/v1/accounts/{account}/acl";
    const VERSIONS: &str = "/api/v1/accounts/{account}/files/versions";
    const FILE_LINKS: &str = "/api/v1/accounts/{account}/files/links";
    const FILE_LINK: &str = "/api/v1/accounts/{account}/files/links/{token}";
    const BIRTHDAYS: &str = "/api/v1/accounts/{account}/birthdays";
    const EXTERNAL: &str = "/api/v1/accounts/{account}/external-calendars";
    const EXTERNAL_ONE: &str = "/api/v1/accounts/{account}/external-calendars/{calendar}";
    const EXTERNAL_REFRESH: &str = "/api/v1/accounts/{account}/external-calendars/{calendar}/refresh";
    const LINKS: &str = "/api/v1/accounts/{account}/links";
    const LINK: &str = "/api/v1/accounts/{account}/links/{link}";
    const ARCHIVE: &str = "/api/v1/accounts/{account}/archive";
    const OBJECTS: &str = "/api/v1/accounts/{account}/objects";
    const COPY: &str = "/api/v1/accounts/{account}/copies/{server}";
    const SCRIPTS: &str = "/api/v1/accounts/{account}/sieve";
    const SCRIPT: &str = "/api/v1/accounts/{account}/sieve/{script}";
    const IMPORTS: &str = "/api/v1/imports";
    const IMPORT: &str = "/api/v1/imports/{import}";
    const SWITCH: &str = "/api/v1/replication/{user}/switch";
    let account = Entry("account");
    vec![
        look(IMPORTS, get(imports::list), People, System, "Imports from other servers since this node started"),
        change(("POST", IMPORTS), post(imports::create), People, System, "Bring mail from another server by IMAP")
            .large()
            .never_dry(),
        change(
            ("POST", "/api/v1/imports/dav"),
            post(imports::create_dav),
            People,
            System,
            "Bring calendars and address books from another server by CalDAV and CardDAV",
        )
        .large()
        .never_dry(),
        change(
            ("POST", "/api/v1/imports/sieve"),
            post(imports::create_sieve),
            People,
            System,
            "Bring scripts from another server by ManageSieve",
        )
        .large()
        .never_dry(),
        look(IMPORT, get(imports::get), People, System, "One import, with all its accounts"),
        look("/api/v1/replication", get(replication::list), People, System, "Users that a Cyrus server brings"),
        look("/api/v1/replication/{user}", get(replication::get), People, System, "One of them, compared"),
        change(("POST", SWITCH), post(replication::switch), People, System, "Let one work here"),
        change(("DELETE", IMPORT), delete(imports::stop), People, System, "Stop an import").never_dry(),
        look(ACCOUNTS, get(accounts::list), People, Filtered, "Shared mailboxes, or all accounts on a server"),
        change(("POST", ACCOUNTS), post(accounts::create), People, NewEntry, "Make a shared mailbox"),
        look(ACCOUNT, get(accounts::get), People, account, "One account"),
        change(("PATCH", ACCOUNT), patch(accounts::set), People, account, "Change a shared mailbox"),
        change(("DELETE", ACCOUNT), delete(accounts::delete), People, account, "Delete a shared mailbox"),
        look(RESOURCES, get(resources::list), People, Filtered, "Rooms and things, by domain and address"),
        change(("POST", RESOURCES), post(resources::create), People, NewEntry, "Make a room or a thing"),
        look(RESOURCE, get(accounts::get), People, account, "One room or thing"),
        change(("PATCH", RESOURCE), patch(accounts::set), People, account, "Change a room or a thing"),
        change(("DELETE", RESOURCE), delete(accounts::delete), People, account, "Delete a room or a thing"),
        look(ACL, get(acl::list), People, account, "Who may do what in an account"),
        change(("PATCH", ACL), patch(acl::set), People, account, "Give rights in an account, or take them"),
        change(("GET", VERSIONS), get(files::versions), People, account, "Former versions of a file"),
        change(("POST", VERSIONS), post(files::restore), People, account, "Bring a former version back").never_dry(),
        change(("GET", FILE_LINKS), get(files::list_links), People, account, "Links to files"),
        change(("POST", FILE_LINKS), post(files::create_link), People, account, "Make a link to a file or a folder")
            .never_dry(),
        change(("DELETE", FILE_LINK), delete(files::revoke_link), People, account, "Revoke a link to files")
            .never_dry(),
        look(BIRTHDAYS, get(external::birthdays), People, account, "Whether birthdays of contacts are a calendar"),
        change(("PUT", BIRTHDAYS), put(external::set_birthdays), People, account, "Make them one, or not"),
        look(EXTERNAL, get(external::list), People, account, "Calendars of others that an account subscribes to"),
        change(("POST", EXTERNAL), post(external::create), People, account, "Subscribe to a calendar"),
        change(("DELETE", EXTERNAL_ONE), delete(external::delete), People, account, "End a subscription"),
        change(("POST", EXTERNAL_REFRESH), post(external::refresh), People, account, "Fetch a calendar now")
            .never_dry(),
        change(("GET", LINKS), get(links::list), People, account, "Public links to calendars"),
        change(("POST", LINKS), post(links::create), People, account, "Make a public link to a calendar"),
        change(("DELETE", LINK), delete(links::delete), People, account, "Revoke a public link"),
        change(("GET", ARCHIVE), get(archive::get), Sudo, System, "All of an account, as a tar stream").never_dry(),
        change(("POST", ARCHIVE), post(archive::put), Sudo, System, "A tar stream of an account into an account")
            .never_dry(),
        change(
            ("GET", OBJECTS),
            get(objects::list),
            People,
            account,
            "Events, cards or tasks of a collection, as one file",
        ),
        change(("POST", OBJECTS), post(objects::put), People, account, "Add those of a file to a collection")
            .large()
            .never_dry(),
        look("/api/v1/accounts/{account}/where", get(accounts::place), People, account, "Where an account lives"),
        look("/api/v1/accounts/{account}/copies", get(copies::list), Servers, System, "The copies of an account"),
        change(("PUT", COPY), put(copies::put), Servers, System, "Keep a standby copy of an account"),
        change(("DELETE", COPY), delete(copies::delete), Servers, System, "Give a copy up"),
        change(("GET", SCRIPTS), get(sieve::list), People, account, "The Sieve scripts of an account"),
        change(("PATCH", SCRIPTS), patch(sieve::activate), People, account, "Make a script the active one"),
        change(("GET", SCRIPT), get(sieve::get), People, account, "One script"),
        change(("PUT", SCRIPT), put(sieve::put), People, account, "Put a script"),
        change(("DELETE", SCRIPT), delete(sieve::delete), People, account, "Delete a script"),
    ]
}

fn of_domains() -> Vec<Endpoint> {
    const DOMAINS: &str = "/api/v1/domains";
    const DOMAIN: &str = "/api/v1/domains/{domain}";
    const KEYS: &str = "/api/v1/domains/{domain}/dkim";
    const KEY: &str = "/api/v1/domains/{domain}/dkim/{selector}";
    const SETTING: &str = "/api/v1/settings/{setting}";
    const CHANGES: &str = "/api/v1/setting-changes";
    const DOMAIN_SCRIPT: &str = "/api/v1/sieve/{when}";
    let domain = Domain("domain");
    vec![
        look(DOMAINS, get(domains::list), People, Filtered, "Domains, by name"),
        change(("POST", DOMAINS), post(domains::create), Domains, System, "Make a domain"),
        look(DOMAIN, get(domains::get), People, domain, "One domain"),
        change(("PATCH", DOMAIN), patch(domains::set), Domains, domain, "Change a domain"),
        change(("DELETE", DOMAIN), delete(domains::delete), Domains, System, "Delete a domain that no address uses"),
        look(KEYS, get(dkim::list), Domains, domain, "The DKIM keys of a domain"),
        change(("POST", KEYS), post(dkim::create), Domains, domain, "Make a DKIM key"),
        look(KEY, get(dkim::get), Domains, domain, "One DKIM key"),
        change(("PATCH", KEY), patch(dkim::set), Domains, domain, "Sign with a key, or retire it"),
        change(("DELETE", KEY), delete(dkim::delete), Domains, domain, "Delete a DKIM key"),
        look(
            "/api/v1/domains/{domain}/dns",
            get(dns::list),
            Domains,
            domain,
            "The records that a domain needs in DNS, and has",
        ),
        look(
            "/api/v1/settings",
            get(settings::list),
            Settings,
            AskedDomain,
            "Settings, and from where their values are",
        ),
        look(SETTING, get(settings::get), Settings, AskedDomain, "One setting"),
        change(("PATCH", SETTING), patch(settings::set), Settings, AskedDomain, "Set a setting"),
        look(CHANGES, get(settings::history), Settings, AskedDomain, "Who changed which settings when"),
        change(("POST", CHANGES), post(settings::revert), Settings, Filtered, "Take a change of a setting back"),
        look(DOMAIN_SCRIPT, get(sieve::get_of_domain), Settings, AskedDomain, "The Sieve script of a domain"),
        change(("PATCH", DOMAIN_SCRIPT), patch(sieve::put_of_domain), Settings, AskedDomain, "Put a domain's script"),
    ]
}

fn of_sources() -> Vec<Endpoint> {
    const SOURCES: &str = "/api/v1/sources";
    const SOURCE: &str = "/api/v1/sources/{source}";
    const RUNS: &str = "/api/v1/sources/{source}/runs";
    vec![
        look(SOURCES, get(sources::list), Domains, System, "Directories elsewhere that people come from"),
        change(("POST", SOURCES), post(sources::create), Domains, System, "Make a source"),
        look(SOURCE, get(sources::get), Domains, System, "One source"),
        change(("PATCH", SOURCE), patch(sources::set), Domains, System, "Change a source"),
        change(("DELETE", SOURCE), delete(sources::delete), Domains, System, "Forget a source; its people stay"),
        change(("POST", RUNS), post(sources::run), Domains, System, "Run a source, or show what a run would do"),
        look("/api/v1/source-runs", get(sources::runs), Jobs, System, "The last runs of sources"),
        look("/api/v1/source-runs/{run}", get(sources::one_run), Jobs, System, "One run, with its log"),
    ]
}

fn of_servers() -> Vec<Endpoint> {
    const JOBS: &str = "/api/v1/jobs";
    const JOB: &str = "/api/v1/jobs/{job}";
    const SERVER: &str = "/api/v1/servers/{server}";
    const ORPHANS: &str = "/api/v1/servers/{server}/orphans";
    const STANDBY: &str = "/api/v1/servers/{server}/standby";
    const TOKENS: &str = "/api/v1/tokens";
    const INDEX: &str = "/api/v1/search/{account}";
    const ACME: &str = "/api/v1/acme";
    const FIREWALL: &str = "/api/v1/firewall";
    const MIGRATION: &str = "/api/v1/migration";
    const AFTERWARDS: &str = "/api/v1/migration/afterwards";
    vec![
        look("/api/v1/status", get(status::get), Servers, System, "How the installation is"),
        look("/api/v1/graphs", get(graphs::get), Servers, System, "Numbers of the servers over a day or a month"),
        look("/api/v1/doctor", get(doctor::get), Servers, System, "Everything that can be looked at"),
        look(JOBS, get(jobs::list), Jobs, System, "Jobs: moves, drains, failovers"),
        change(("POST", JOBS), post(jobs::create), Jobs, System, "Plan moves of accounts"),
        look(JOB, get(jobs::get), Jobs, System, "One job, with its progress"),
        change(("PATCH", JOB), patch(jobs::set), Jobs, System, "Pause, resume or abort a job"),
        look(
            "/api/v1/jobs/{job}/events",
            get(job_events::stream),
            Jobs,
            System,
            "How far a job is, as server-sent events",
        ),
        look("/api/v1/jobs/{job}/log", get(job_log::list), Jobs, System, "What became of the moves of a job"),
        look("/api/v1/jobs/{job}/moves", get(jobs::moves), Jobs, System, "The moves of a job"),
        look("/api/v1/servers", get(servers::list), Servers, System, "Servers"),
        look(SERVER, get(servers::get), Servers, System, "One server"),
        change(("PATCH", SERVER), patch(servers::set), Servers, System, "Change a server"),
        change(("DELETE", SERVER), delete(servers::delete), Servers, System, "Remove a server that holds nothing"),
        change(
            ("PUT", "/api/v1/servers/{server}/version"),
            put(servers::run_version),
            Servers,
            System,
            "Let another installed version run on a server",
        )
        .never_dry(),
        change(("DELETE", "/api/v1/servers/{server}/drain"), delete(drain::undo), Jobs, System, "End a drain"),
        look(ORPHANS, get(orphans::list), Servers, System, "Stores on a server that nobody has"),
        change(("DELETE", ORPHANS), delete(orphans::delete), Servers, System, "Delete such stores"),
        look(STANDBY, get(copies::list_standby), Servers, System, "What stands by for a server"),
        change(("PUT", STANDBY), put(copies::put_all), Servers, System, "Let another server stand by"),
        change(("DELETE", STANDBY), delete(copies::delete_all), Servers, System, "End that"),
        look(TOKENS, get(tokens::list), Servers, System, "Tokens with which servers may join"),
        change(("POST", TOKENS), post(tokens::issue), Servers, System, "Issue a token for a server"),
        change(("DELETE", "/api/v1/tokens/{token}"), delete(tokens::revoke), Servers, System, "Revoke such a token"),
        look("/api/v1/certificates", get(certificates::list), Servers, System, "Certificates that clients see"),
        change(
            ("DELETE", "/api/v1/certificates/{certificate}"),
            delete(certificates::delete),
            Servers,
            System,
            "Delete a certificate",
        ),
        look(ACME, get(certificates::get), Servers, System, "How the asking for certificates stands"),
        change(("PUT", ACME), put(certificates::put), Settings, System, "Let an authority issue certificates"),
        change(("DELETE", ACME), delete(certificates::turn_off), Settings, System, "Ask for no more certificates"),
        look(FIREWALL, get(firewall::get), Servers, System, "Who may reach the ports between the servers"),
        change(("PUT", FIREWALL), put(firewall::put), Servers, System, "Set that, on trial"),
        change(("POST", "/api/v1/firewall/confirm"), post(firewall::confirm), Servers, System, "Keep rules on trial"),
        change(
            ("DELETE", "/api/v1/firewall/trial"),
            delete(firewall::take_back),
            Servers,
            System,
            "Take rules on trial back",
        ),
        look("/api/v1/firewall/servers/{server}", get(firewall::rules_of), Servers, System, "The rules of one server"),
        change(("POST", "/api/v1/acme/orders"), post(certificates::order), Servers, System, "Ask for one at once"),
        look(MIGRATION, get(migration::get), Servers, System, "How far the change of a machine is"),
        change(("POST", MIGRATION), post(migration::token), Servers, System, "A token for a machine's successor"),
        change(("PATCH", MIGRATION), patch(migration::act), Servers, System, "Switch, go back, finish or give up"),
        look(
            "/api/v1/migration/accounts",
            get(migration::accounts),
            Servers,
            System,
            "How far the copy of each account is",
        ),
        look(AFTERWARDS, get(migration::afterwards::get), Servers, System, "What still names the machine that is left"),
        change(("POST", AFTERWARDS), post(migration::afterwards::accept), Servers, System, "Let it name the new one"),
        look("/api/v1/search", get(search::list), Servers, System, "Search indexes"),
        look(INDEX, get(search::get), Servers, System, "The search index of an account"),
        change(("DELETE", INDEX), delete(search::delete), Servers, System, "Make a search index again"),
    ]
}

fn of_updates() -> Vec<Endpoint> {
    const UPDATES: &str = "/api/v1/updates";
    vec![
        look(UPDATES, get(updates::get), Servers, System, "Which version is wanted, and how far the update is"),
        change(
            ("PATCH", UPDATES),
            patch(updates::set),
            Settings,
            System,
            "Say which version is wanted, and from where",
        ),
        change(("POST", "/api/v1/updates/prepare"), post(updates::prepare), Servers, System, "Make a plan"),
        change(("POST", "/api/v1/updates/check"), post(updates::check), Servers, System, "Look whether it can be"),
        change(("POST", "/api/v1/updates/download"), post(updates::download), Servers, System, "Fetch the version"),
        change(("POST", "/api/v1/updates/apply"), post(updates::apply), Servers, System, "Act on the plan"),
        change(("POST", "/api/v1/updates/pause"), post(updates::pause), Servers, System, "Let nothing go on"),
        change(("POST", "/api/v1/updates/resume"), post(updates::resume), Servers, System, "Go on"),
        change(("POST", "/api/v1/updates/rollback"), post(updates::rollback), Servers, System, "Go back"),
        change(("POST", "/api/v1/updates/finish"), post(updates::finish), Servers, System, "Say that it is good"),
        look("/api/v1/updates/history", get(updates::history), Servers, System, "What happened"),
    ]
}

fn of_mail() -> Vec<Endpoint> {
    const GREYLIST: &str = "/api/v1/greylist";
    const QUEUE: &str = "/api/v1/queue";
    vec![
        change(("POST", "/api/v1/mail/maintenance"), post(maintenance::run), Mail, System, "Derive all routing again"),
        look("/api/v1/mail/tables/{table}", get(maintenance::table), Mail, System, "A table for a Postfix in front"),
        look(GREYLIST, get(greylist::list), Mail, System, "Whom greylisting makes wait, and who is known"),
        change(("DELETE", GREYLIST), delete(greylist::delete), Mail, System, "Forget some of them").never_dry(),
        look(QUEUE, get(queue::list), Mail, System, "Messages that wait"),
        change(("POST", QUEUE), post(queue::act), Mail, System, "Hold, release, retry, reroute or delete them")
            .never_dry(),
        look("/api/v1/queue/{message}", get(queue::get), Mail, System, "One message that waits"),
        look("/api/v1/trace", get(trace::get), Mail, System, "What became of messages"),
    ]
}

fn of_administrators() -> Vec<Endpoint> {
    const ROLE: &str = "/api/v1/roles/{role}";
    const GRANTS: &str = "/api/v1/grants";
    const TOKENS: &str = "/api/v1/api-tokens";
    const APP_PASSWORDS: &str = "/api/v1/users/{user}/app-passwords";
    const APP_PASSWORD: &str = "/api/v1/users/{user}/app-passwords/{id}";
    const FACTOR: &str = "/api/v1/users/{user}/second-factor";
    const SUDO: &str = "/api/v1/users/{user}/sudo";
    let user = Entry("user");
    vec![
        look("/api/v1/roles", get(roles::list), Administrators, Filtered, "Roles, and what they permit"),
        change(("PUT", ROLE), put(roles::put), Administrators, System, "Make a role, or change what it permits"),
        change(("DELETE", ROLE), delete(roles::delete), Administrators, System, "Delete a role that nobody has"),
        look(GRANTS, get(roles::grants), Administrators, Filtered, "Who has which role where"),
        change(("POST", GRANTS), post(roles::grant), Administrators, Filtered, "Grant a role"),
        change(("DELETE", GRANTS), delete(roles::take_back), Administrators, Filtered, "Take a role back"),
        look(TOKENS, get(api_tokens::list), Administrators, Own, "Tokens of programs"),
        change(("POST", TOKENS), post(api_tokens::create), Administrators, Own, "Make a token for a program"),
        change(
            ("DELETE", "/api/v1/api-tokens/{token}"),
            delete(api_tokens::delete),
            Administrators,
            Own,
            "Make a token worthless",
        ),
        look("/api/v1/sessions", get(sessions::list), Passwords, Own, "Who is signed in"),
        change(("DELETE", "/api/v1/sessions/{session}"), delete(sessions::end), Passwords, Own, "End a session")
            .never_dry(),
        look(APP_PASSWORDS, get(app_passwords::list), Passwords, user, "The app passwords of a user"),
        change(("POST", APP_PASSWORDS), post(app_passwords::create), Passwords, user, "Make an app password"),
        change(("DELETE", APP_PASSWORD), delete(app_passwords::delete), Passwords, user, "Delete an app password"),
        change(("DELETE", FACTOR), delete(second_factor::remove), Passwords, user, "Remove a lost second factor"),
        look("/api/v1/users/{user}/passkeys", get(passkeys::list), Passwords, user, "The passkeys of a user"),
        change(
            ("DELETE", "/api/v1/users/{user}/passkeys/{passkey}"),
            delete(passkeys::delete),
            Passwords,
            user,
            "Make a lost passkey worthless",
        ),
        change(
            ("DELETE", "/api/v1/users/{user}/openid"),
            delete(users::forget_openid),
            Passwords,
            user,
            "Forget who a user is at OpenID Connect",
        ),
        look(SUDO, get(sudo::list), Sudo, user, "Who can work as a user at present"),
        change(("POST", SUDO), post(sudo::create), Sudo, user, "Work as a user, who is told").never_dry(),
        change(("DELETE", "/api/v1/users/{user}/sudo/{id}"), delete(sudo::delete), Sudo, user, "End that"),
        look("/api/v1/audit", get(audit::list), Audit, System, "What administrators did"),
    ]
}

fn of_oneself() -> Vec<Endpoint> {
    const SESSION: &str = "/api/v1/session";
    const APP_PASSWORDS: &str = "/api/v1/me/app-passwords";
    const APP_PASSWORD: &str = "/api/v1/me/app-passwords/{id}";
    const FACTOR: &str = "/api/v1/me/second-factor";
    const PASSKEYS: &str = "/api/v1/me/passkeys";
    const PASSKEY: &str = "/api/v1/me/passkeys/{passkey}";
    const CHALLENGE: &str = "/api/v1/me/passkeys/challenge";
    vec![
        look(SESSION, get(sessions::current), People, Own, "Who is signed in, and what they may do"),
        change(("DELETE", SESSION), delete(sessions::sign_out), People, Own, "Sign out").never_dry(),
        look("/api/v1/me/sudo", get(sudo::own), People, Own, "Administrators who worked as whoever asks"),
        change(("DELETE", "/api/v1/me/sudo/{id}"), delete(sudo::delete_own), People, Own, "End that"),
        look(APP_PASSWORDS, get(app_passwords::list_own), Passwords, Own, "One's own app passwords"),
        change(("POST", APP_PASSWORDS), post(app_passwords::create_own), Passwords, Own, "Make an app password"),
        change(("DELETE", APP_PASSWORD), delete(app_passwords::delete_own), Passwords, Own, "Delete an app password"),
        change(("POST", FACTOR), post(second_factor::begin), Passwords, Own, "A key for an authenticator app")
            .never_dry(),
        change(("PUT", FACTOR), put(second_factor::confirm), Passwords, Own, "Set the second factor up").never_dry(),
        change(("DELETE", FACTOR), delete(second_factor::remove_own), Passwords, Own, "Remove one's second factor")
            .never_dry(),
        look(PASSKEYS, get(passkeys::list_own), Passwords, Own, "One's own passkeys"),
        change(("POST", CHALLENGE), post(passkeys::begin), Passwords, Own, "What a new passkey is asked for with")
            .never_dry(),
        change(("POST", PASSKEYS), post(passkeys::create), Passwords, Own, "Take a new passkey").never_dry(),
        change(("PATCH", PASSKEY), patch(passkeys::rename), Passwords, Own, "Name a passkey anew"),
        change(("DELETE", PASSKEY), delete(passkeys::delete_own), Passwords, Own, "Make a passkey worthless")
            .never_dry(),
        look("/api/v1/events", get(events::stream), People, Own, "What changed, as server-sent events"),
    ]
}

/// The endpoints, each behind what it needs.
pub(super) fn routes(state: &AdminState) -> Router<AdminState> {
    let mut router = Router::new();
    for endpoint in endpoints() {
        let (state, rule) = (state.clone(), endpoint.rule);
        let check = from_fn(move |request: Request, next: Next| policy::check(state.clone(), rule, request, next));
        router = router.route(endpoint.path, endpoint.routes.layer(check));
    }
    router
}
