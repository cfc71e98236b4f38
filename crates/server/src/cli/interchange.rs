//! `sterna import` and `sterna export`: calendars and address books as files.

use std::fs::File;
use std::io::{self, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Value, json};
use sterna_formats::interchange::{Fault, OBJECTS_MAX, Object, ics, ldif, vcf};

use super::archive::{self, ExportAccountArgs, ImportAccountArgs, MaildirArgs, MboxArgs};
use super::client::{CliError, path};
use super::exit::Exit;
use super::import_bluemind::{self, BluemindCommand};
use super::import_cyrus::{self, CyrusCommand};
use super::import_dav::{self, DavArgs};
use super::import_imap::{self, ImapArgs};
use super::import_sieve::{self, SieveArgs};
use super::output;
use super::resource::Session;

/// Objects sent at once.
const OBJECTS_AT_ONCE: usize = 100;

/// Bytes of objects sent at once; one that is longer goes alone.
const BYTES_AT_ONCE: usize = 4 * 1024 * 1024;

/// Where to.
#[derive(Clone, Debug, Args)]
pub struct ImportArgs {
    /// The file; - is standard input
    file: PathBuf,
    /// Whose: an address
    #[arg(long, value_name = "ADDRESS")]
    to: String,
    /// The calendar or address book; Calendar or Contacts when left out
    #[arg(long, value_name = "NAME")]
    collection: Option<String>,
}

/// Bring mail from other servers, and calendars and contacts from files; doing it again changes nothing
#[derive(Debug, Subcommand)]
pub enum ImportCommand {
    /// Mail of one account or many from an IMAP server, with UIDs, flags, dates and rights; again and again
    Imap(Box<ImapArgs>),
    /// Calendars, task lists and address books of one account or many from a CalDAV and CardDAV server; again and again
    Dav(Box<DavArgs>),
    /// Sieve scripts of one account or many from a ManageSieve server, with the one that runs
    Sieve(Box<SieveArgs>),
    /// Bring users from the files of a Cyrus server, watch users that one brings by its own replication, and switch
    /// them
    #[command(subcommand)]
    Cyrus(CyrusCommand),
    /// People, calendars, contacts, tasks, filters and shares from the databases of BlueMind 4
    #[command(subcommand)]
    Bluemind(BluemindCommand),
    /// Bring a whole account back that `sterna export account` wrote: what is missing comes, what is there stays
    Account(ImportAccountArgs),
    /// Mail from a Maildir with the folders in it, with the UIDs, keywords and dates that Dovecot gave it
    Maildir(MaildirArgs),
    /// Mail from a mailbox in one file
    Mbox(MboxArgs),
    /// Events, tasks or journals from an iCalendar file
    Ics(ImportArgs),
    /// Cards from a vCard file
    Vcf(ImportArgs),
    /// People from an LDIF file
    Ldif(ImportArgs),
}

/// From where.
#[derive(Clone, Debug, Args)]
pub struct ExportArgs {
    /// Whose: an address
    account: String,
    /// The calendar or address book; Calendar or Contacts when left out
    #[arg(long, value_name = "NAME")]
    collection: Option<String>,
}

/// Write a whole account to files, or a calendar or an address book to standard output
#[derive(Debug, Subcommand)]
pub enum ExportCommand {
    /// All of an account: Maildir, iCalendar, vCard, files and scripts, with a manifest; it can be brought back
    Account(ExportAccountArgs),
    /// A calendar as one iCalendar file
    Ics(ExportArgs),
    /// An address book as one vCard file
    Vcf(ExportArgs),
    /// An address book as LDIF
    Ldif(ExportArgs),
}

const CALENDAR: (&str, &str) = ("calendar", "Calendar");
const CONTACTS: (&str, &str) = ("contacts", "Contacts");

fn cant_read(what: &Path) -> impl FnOnce(io::Error) -> CliError + '_ {
    move |source| CliError::Io { what: format!("{} can't be read", what.display()), source }
}

/// The file, or a copy of standard input: iCalendar is read twice.
fn open(path: &Path) -> Result<File, CliError> {
    if path != Path::new("-") {
        return File::open(path).map_err(cant_read(path));
    }
    let copy = || {
        let mut file = tempfile::tempfile()?;
        io::copy(&mut io::stdin().lock(), &mut file)?;
        file.seek(SeekFrom::Start(0))?;
        Ok(file)
    };
    copy().map_err(cant_read(path))
}

pub(super) async fn import(session: &Session<'_>, command: ImportCommand) -> Result<Exit, CliError> {
    match command {
        ImportCommand::Cyrus(command) => import_cyrus::run(session, command).await,
        ImportCommand::Bluemind(command) => import_bluemind::run(session, command).await,
        ImportCommand::Imap(args) => import_imap::run(session, *args).await,
        ImportCommand::Dav(args) => import_dav::run(session, *args).await,
        ImportCommand::Sieve(args) => import_sieve::run(session, *args).await,
        ImportCommand::Account(args) => archive::import(session, args).await,
        ImportCommand::Maildir(args) => archive::maildir(session, args).await,
        ImportCommand::Mbox(args) => archive::mbox(session, args).await,
        ImportCommand::Ics(args) => {
            let mut file = open(&args.file)?;
            let index = ics::Index::of(BufReader::new(&file), OBJECTS_MAX).map_err(cant_read(&args.file))?;
            let mut run = Run::new(session, &args, CALENDAR);
            index.faults.iter().for_each(|fault| run.fault(fault));
            run.faults_untold(index.faults_count - index.faults.len());
            file.seek(SeekFrom::Start(0)).map_err(cant_read(&args.file))?;
            for found in index.objects(&mut file) {
                run.take(found).await?;
            }
            run.end().await
        }
        ImportCommand::Vcf(args) => {
            let file = BufReader::new(open(&args.file)?);
            let mut run = Run::new(session, &args, CONTACTS);
            for found in vcf::Cards::new(file) {
                run.take(found).await?;
            }
            run.end().await
        }
        ImportCommand::Ldif(args) => {
            let file = BufReader::new(open(&args.file)?);
            let mut run = Run::new(session, &args, CONTACTS);
            for found in ldif::People::new(file) {
                run.take(found).await?;
            }
            run.end().await
        }
    }
}

/// An import under way.
struct Run<'a> {
    session: &'a Session<'a>,
    to: &'a str,
    kind: &'static str,
    collection: String,
    waiting: Vec<Object>,
    bytes: usize,
    created: u64,
    changed: u64,
    unchanged: u64,
    failed: u64,
}

impl<'a> Run<'a> {
    fn new(session: &'a Session<'a>, args: &'a ImportArgs, (kind, collection): (&'static str, &str)) -> Self {
        let collection = args.collection.clone().unwrap_or_else(|| collection.to_owned());
        Run {
            session,
            to: &args.to,
            kind,
            collection,
            waiting: Vec::new(),
            bytes: 0,
            created: 0,
            changed: 0,
            unchanged: 0,
            failed: 0,
        }
    }

    /// What could not be read or stored is told, and counted.
    fn fault(&mut self, fault: &Fault) {
        self.failed += 1;
        output::note(&format!("{fault}\n"));
    }

    /// What could not be read either, but is too much to be told.
    fn faults_untold(&mut self, count: usize) {
        if count > 0 {
            self.failed += count as u64;
            output::note(&format!("and {count} more like these\n"));
        }
    }

    async fn take(&mut self, found: Result<Object, Fault>) -> Result<(), CliError> {
        let object = match found {
            Ok(object) => object,
            Err(fault) => {
                self.fault(&fault);
                return Ok(());
            }
        };
        if self.waiting.len() >= OBJECTS_AT_ONCE || self.bytes + object.text.len() > BYTES_AT_ONCE {
            self.send().await?;
        }
        self.bytes += object.text.len();
        self.waiting.push(object);
        Ok(())
    }

    async fn send(&mut self) -> Result<(), CliError> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let objects = std::mem::take(&mut self.waiting);
        self.bytes = 0;
        let texts: Vec<&str> = objects.iter().map(|object| object.text.as_str()).collect();
        let parameters = [("collection", Some(self.collection.as_str())), ("kind", Some(self.kind))];
        let path = path(&["accounts", self.to, "objects"], &parameters);
        let answer = self.session.client.send(Method::POST, &path, Some(&json!({ "objects": texts }))).await?;
        let results = answer.body["results"].as_array().map_or(&[][..], Vec::as_slice);
        for (object, result) in objects.iter().zip(results) {
            match result["outcome"].as_str() {
                Some("created") => self.created += 1,
                Some("changed") => self.changed += 1,
                Some("unchanged") => self.unchanged += 1,
                _ => {
                    let reason = result["reason"].as_str().unwrap_or("it was refused").to_owned();
                    self.fault(&Fault { line: object.line, reason });
                }
            }
        }
        Ok(())
    }

    async fn end(mut self) -> Result<Exit, CliError> {
        self.send().await?;
        self.session.show(&json!({
            "created": self.created,
            "changed": self.changed,
            "unchanged": self.unchanged,
            "failed": self.failed,
        }))?;
        Ok(match (self.failed, self.created + self.changed) {
            (1.., _) => Exit::Failed,
            (0, 0) => Exit::NothingToDo,
            _ => Exit::Done,
        })
    }
}

pub(super) async fn export(session: &Session<'_>, command: ExportCommand) -> Result<Exit, CliError> {
    let mut failed = 0;
    match command {
        ExportCommand::Account(args) => return archive::export(session, args).await,
        ExportCommand::Ics(args) => {
            let mut writer = ics::Writer::default();
            each(session, &args, CALENDAR, |text| match writer.add(text.as_bytes()) {
                Some(text) => write(&text),
                None => {
                    failed += 1;
                    Ok(())
                }
            })
            .await?;
            write(&writer.end())?;
        }
        ExportCommand::Vcf(args) => {
            each(session, &args, CONTACTS, |text| {
                let end = if text.ends_with('\n') { "" } else { "\r\n" };
                write(text).and_then(|()| write(end))
            })
            .await?;
        }
        ExportCommand::Ldif(args) => {
            write("version: 1\n\n")?;
            each(session, &args, CONTACTS, |text| match ldif::record(text.as_bytes()) {
                Some(text) => write(&text),
                None => {
                    failed += 1;
                    Ok(())
                }
            })
            .await?;
        }
    }
    if failed > 0 {
        output::note(&format!("{failed} could not be written in this format\n"));
    }
    Ok(if failed > 0 { Exit::Failed } else { Exit::Done })
}

async fn each(
    session: &Session<'_>,
    args: &ExportArgs,
    (kind, collection): (&str, &str),
    mut tell: impl FnMut(&str) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let collection = args.collection.as_deref().unwrap_or(collection);
    let mut after: Option<String> = None;
    loop {
        let parameters = [("collection", Some(collection)), ("kind", Some(kind)), ("after", after.as_deref())];
        let page: Value = session.client.get(&path(&["accounts", &args.account, "objects"], &parameters)).await?;
        let items = page["items"].as_array().map_or(&[][..], Vec::as_slice);
        items.iter().filter_map(|item| item["text"].as_str()).try_for_each(&mut tell)?;
        match page["next"].as_str() {
            Some(next) => after = Some(next.to_owned()),
            None => return Ok(()),
        }
    }
}

fn write(text: &str) -> Result<(), CliError> {
    let written = io::stdout().lock().write_all(text.as_bytes());
    written.map_err(|source| CliError::Io { what: "the output can't be written".to_owned(), source })
}
