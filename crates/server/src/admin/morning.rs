//! The morning mail: once a day the main node looks at everything, and writes to the administrators if something is
//! other than when it last wrote. When nothing is, it is silent.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use sterna_account::service::Reception;
use sterna_base::{AccountId, Timestamp, atomic_file};
use sterna_directory::{Domain, Reader, StorageError, settings};
use sterna_web::i18n::Lang;
use sterna_web::notices;

use super::doctor;
use super::doors::AdminState;
use super::findings::Finding;
use super::problem::Problem;
use crate::letter::{self, Letter};

/// How often it is looked whether it is time.
const LOOK: Duration = Duration::from_secs(5 * 60);
/// For how long changes of the directory are gathered before it is looked whether one is about this.
const GATHERED: Duration = Duration::from_secs(1);
/// Administrators that are written to.
const ADMINISTRATORS_MAX: usize = 50;
/// The file with what was last told, in the node's folder.
const FILE_NAME: &str = "health-report";
/// Its permissions.
const MODE: u32 = 0o640;
/// A morning that was missed (the node was off) is made up for within so many hours.
const LATE_HOURS_MAX: i8 = 12;

/// What was last told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Told {
    /// When it was last looked, in milliseconds since the epoch.
    looked_at_ms: i64,
    /// What was wrong when it was last written, each by [`key`].
    problems: BTreeMap<String, String>,
}

impl Told {
    fn read(file: &Path) -> Self {
        let text = std::fs::read(file).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    fn write(&self, file: &Path) -> std::io::Result<()> {
        atomic_file::write(file, &serde_json::to_vec(self)?, MODE)
    }
}

/// What is other than it was last told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct News {
    new: Vec<String>,
    gone: Vec<String>,
    still: Vec<String>,
}

impl News {
    fn between(before: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Self {
        let mut news = News::default();
        for (key, text) in now {
            let list = if before.contains_key(key) { &mut news.still } else { &mut news.new };
            list.push(text.clone());
        }
        news.gone = before.iter().filter(|(key, _)| !now.contains_key(*key)).map(|(_, text)| text.clone()).collect();
        news
    }

    fn is_empty(&self) -> bool {
        self.new.is_empty() && self.gone.is_empty()
    }

    fn subject(&self, installation: &str, lang: Lang) -> String {
        notices::morning_subject(lang, installation, self.new.len(), self.gone.len(), self.still.len())
    }

    fn text(&self, lang: Lang) -> String {
        notices::morning_text(lang, &self.new, &self.gone, &self.still)
    }
}

/// What makes a problem the same as yesterday's: its words without those that are numbers or times, which change from
/// day to day. Names with digits in them and addresses stay.
fn key(finding: &Finding) -> String {
    let is_number = |word: &str| {
        let is_digit = |c: char| c.is_ascii_digit();
        let word = word.trim_start_matches(|c: char| !c.is_alphanumeric());
        word.starts_with(is_digit)
            && word.matches('.').count() < 3
            && !word.contains(|c: char| c.is_alphabetic() && c != 'T' && c != 'Z')
    };
    let words: Vec<&str> =
        finding.what().split_whitespace().map(|word| if is_number(word) { "#" } else { word }).collect();
    format!("{}\t{}", finding.server().unwrap_or_default(), words.join(" "))
}

fn words(finding: &Finding) -> String {
    let place = finding.server().map(|name| format!("{name}: ")).unwrap_or_default();
    format!("{place}{}\n{}", finding.what(), finding.remedy())
}

/// Whether it is this morning's time, and nobody looked since.
fn is_due(looked_at: Timestamp, now: Timestamp, hour: i8, zone: &TimeZone) -> bool {
    let local = |at: Timestamp| jiff::Timestamp::from_millisecond(at.0).ok().map(|at| at.to_zoned(zone.clone()));
    let (Some(then), Some(now)) = (local(looked_at), local(now)) else { return false };
    let Ok(morning) = now.date().to_zoned(zone.clone()).and_then(|day| day.with().hour(hour).build()) else {
        return false;
    };
    now >= morning && then < morning && now.hour() - hour <= LATE_HOURS_MAX
}

fn unwritten(error: std::io::Error) -> Problem {
    let (title, remedy) = ("It failed", "Look at the disk of the node's folder.");
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "store", title, error.to_string(), remedy)
}

/// Who reads it.
struct Readers {
    /// The administrators: account, address, language of their domain.
    administrators: Vec<(AccountId, String, Lang)>,
    /// Those whom a setting names instead. They may be anywhere, and read the installation's language.
    named: Vec<(String, Lang)>,
}

impl Readers {
    fn read(reader: &Reader<'_>) -> Result<Self, StorageError> {
        let language = |domain: Option<&Domain>| {
            let set = reader.setting_for(domain, settings::LANGUAGE)?;
            Ok::<_, StorageError>(set.as_deref().and_then(Lang::from_tag).unwrap_or_default())
        };
        let mut administrators = Vec::new();
        for id in reader.admins(ADMINISTRATORS_MAX)? {
            let Some(user) = reader.user(id)?.filter(|user| !user.value.entry.suspended) else { continue };
            let Some(address) = reader.address_text(&user.value.entry.address)? else { continue };
            administrators.push((id, address, language(reader.domain_of(id)?.as_ref())?));
        }
        let (named, lang) = (reader.setting_for(None, settings::REPORTS_HEALTH_TO)?, language(None)?);
        let named = named.iter().flat_map(|list| list.split_whitespace()).map(|address| (address.to_owned(), lang));
        Ok(Readers { administrators, named: named.collect() })
    }
}

/// What it needs.
pub struct Morning {
    state: AdminState,
    reception: Arc<dyn Fn() -> Option<Arc<dyn Reception>> + Send + Sync>,
    host: String,
    file: PathBuf,
}

impl Morning {
    /// Of the node with this folder and name; `reception` says who takes mail, once somebody does.
    pub fn new(
        state: AdminState,
        reception: Arc<dyn Fn() -> Option<Arc<dyn Reception>> + Send + Sync>,
        host: String,
        folder: &Path,
    ) -> Self {
        Morning { state, reception, host, file: folder.join(FILE_NAME) }
    }

    /// Goes on for as long as the node runs; only on the main node is there anything to do.
    pub async fn run(self) {
        let mut changes = self.state.directory.watch();
        // A node that has just begun doesn't know yet who answers.
        let mut look = tokio::time::interval_at(tokio::time::Instant::now() + LOOK, LOOK);
        let mut known = self.hour().await.ok();
        loop {
            let is_look = tokio::select! {
                _ = look.tick() => true,
                _ = changes.changed() => false,
            };
            if !self.state.directory.is_main() {
                continue;
            }
            match self.hour().await {
                Ok(hour) => {
                    // Who wants it at another hour, or wants it again, need not wait.
                    let is_other = known.is_some_and(|known| known != hour);
                    known = Some(hour);
                    if (is_look || is_other)
                        && let Err(problem) = self.round(hour, &TimeZone::system()).await
                    {
                        tracing::warn!(
                            cause = problem.detail,
                            "the health report could not be made; it is tried again"
                        );
                    }
                }
                Err(problem) => {
                    tracing::warn!(cause = problem.detail, "the settings of the health report can't be read")
                }
            }
            tokio::time::sleep(GATHERED).await;
        }
    }

    /// At which hour it is wanted, if it is.
    pub(in crate::admin) async fn hour(&self) -> Result<Option<i8>, Problem> {
        let read = |reader: &Reader<'_>| {
            let is_on = reader.setting_for(None, settings::REPORTS_HEALTH)?.is_none_or(|value| value != "off");
            let hour = i8::try_from(reader.number_setting(settings::REPORTS_HEALTH_HOUR)?).unwrap_or(0);
            Ok::<_, StorageError>(is_on.then_some(hour))
        };
        Ok(self.state.directory.read(read).await?)
    }

    /// Looks and tells, if it is wanted at this hour and due.
    pub(in crate::admin) async fn round(&self, hour: Option<i8>, zone: &TimeZone) -> Result<(), Problem> {
        let (mut told, now) = (Told::read(&self.file), self.state.directory.now());
        if !hour.is_some_and(|hour| is_due(Timestamp(told.looked_at_ms), now, hour, zone)) {
            return Ok(());
        }
        let found = doctor::look(&self.state).await?;
        let problems: BTreeMap<String, String> =
            found.problems.iter().map(|finding| (key(finding), words(finding))).collect();
        let news = News::between(&told.problems, &problems);
        if news.is_empty() || self.tell(&news).await? {
            told.problems = problems;
        }
        told.looked_at_ms = now.0;
        told.write(&self.file).map_err(unwritten)
    }

    /// Writes to the administrators; whether it was taken.
    async fn tell(&self, news: &News) -> Result<bool, Problem> {
        let Some(reception) = (self.reception)() else {
            tracing::warn!("the health report can't be sent: no mail goes out from the main node; see sterna doctor");
            return Ok(false);
        };
        let Readers { administrators, named } = self.state.directory.read(Readers::read).await?;
        let Some((account, from, _)) = administrators.first().cloned() else { return Ok(false) };
        let to: Vec<(String, Lang)> = match named.is_empty() {
            true => administrators.into_iter().map(|(_, address, lang)| (address, lang)).collect(),
            false => named,
        };
        let now = self.state.directory.now();
        let (from, host, is_automatic) = (&from, &self.host, true);
        let mut is_told = false;
        // One by one: an address that nobody has must not keep it from the others.
        for (address, lang) in &to {
            let (subject, text) = (news.subject(&self.host, *lang), news.text(*lang));
            let to = std::slice::from_ref(address);
            let letter = Letter { account, from, to, host, subject: &subject, text: &text, is_automatic, now };
            match letter::send(&reception, &letter).await {
                Ok(_) => is_told = true,
                Err(cause) => {
                    tracing::warn!(cause, "the health report was not taken; look at reports.health-to");
                }
            }
        }
        Ok(is_told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        Timestamp(text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    }

    #[test]
    fn it_is_time_once_a_morning() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let due = |looked: &str, now: &str| is_due(at(looked), at(now), 7, &zone);
        assert!(!due("2026-11-21T06:00:00Z", "2026-11-22T04:59:00Z"), "six o'clock there");
        assert!(due("2026-11-21T06:00:00Z", "2026-11-22T05:01:00Z"));
        assert!(!due("2026-11-22T05:01:00Z", "2026-11-22T05:06:00Z"));
        assert!(due("2026-11-20T05:01:00Z", "2026-11-22T13:00:00Z"), "the node was off in the morning");
        assert!(!due("2026-11-20T05:01:00Z", "2026-11-22T20:00:00Z"), "that is for tomorrow");
    }

    #[test]
    fn what_only_counts_on_is_no_news() {
        let full = |megabytes: u32| Finding::of_server("beta", format!("has only {megabytes} MiB free"), "Free some.");
        let by_key = |findings: &[Finding]| findings.iter().map(|found| (key(found), words(found))).collect();
        let (before, now) = (by_key(&[full(1200)]), by_key(&[full(980)]));
        assert!(News::between(&before, &now).is_empty());
        let missing = |name: &str| Finding::of_installation(format!("DNS has no MX record of {name}"), "Enter it.");
        assert_ne!(key(&missing("shop1.test")), key(&missing("shop2.test")));
        let other = Finding::of_installation("no server takes new accounts", "Open one.");
        let news = News::between(&before, &by_key(&[full(980), other.clone()]));
        assert_eq!(news.subject("mail.tern.test", Lang::En), "mail.tern.test: 1 to look at");
        assert!(
            news.text(Lang::En).contains("New:\r\n\r\n- no server takes new accounts\r\n  Open one."),
            "{}",
            news.text(Lang::En)
        );
        assert!(news.text(Lang::En).contains("As before:\r\n\r\n- beta: has only 980 MiB free"));
        let news = News::between(&by_key(&[other]), &BTreeMap::new());
        assert_eq!(news.subject("mail.tern.test", Lang::En), "mail.tern.test: all is well again");
    }
}
