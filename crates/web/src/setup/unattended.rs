//! The whole setup from a file of answers: the same steps as by the pages, in the same order.

use std::time::Duration;

use serde::Serialize;
use sterna_base::Timestamp;

use super::Setup;
use super::answers::{AnswersFile, Certificate};
use super::door::Refusal;
use super::pages::Trouble;
use super::steps::NewPassword;
use crate::i18n::Lang;

/// A file to fill in. A test sees to it that it is one.
pub const TEMPLATE: &str = include_str!("template.toml");

/// How long an authority is waited for before the setup ends without its answer.
const AUTHORITY_WAIT: Duration = Duration::from_secs(45);

/// How often is looked meanwhile.
const AUTHORITY_LOOK: Duration = Duration::from_millis(500);

/// What was done, in words for the log of whoever runs it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The address of the administrator.
    pub administrator: String,
    /// The domain.
    pub domain: String,
    /// Where it is administered.
    pub url: String,
    /// How many people were made, or were there already.
    pub people: usize,
    /// How the certificate stands that an authority was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
}

/// Does all that a file says and ends the setup. Repeating it after a failure goes on where it failed.
///
/// # Errors
/// The first thing that is wrong; what was done before stays done.
pub async fn run(setup: &Setup, file: AnswersFile) -> Result<Report, Refusal> {
    let _taking = setup.taking.lock().await;
    if !setup.is_open() {
        let remedy = "Use sterna domain, user and config, or the console.";
        return Err(Refusal::new("setup-over", "the setup of this installation is over", remedy));
    }
    all(setup, file).await.map_err(told)
}

async fn all(setup: &Setup, file: AnswersFile) -> Result<Report, Trouble> {
    let lang = Lang::En;
    let missing = |what: &str| {
        let detail = format!("the answers have no [{what}]");
        Trouble::refused(Refusal::new("incomplete", detail, "See sterna setup --answers-template."))
    };
    let administrator = file.administrator.ok_or_else(|| missing("administrator"))?;
    let place = file.place.ok_or_else(|| missing("place"))?;
    let password = match administrator.password_hash.is_empty() {
        true => {
            let typed = sterna_base::Secret::new(administrator.password);
            NewPassword::Typed(typed.clone(), typed)
        }
        false => NewPassword::Hash(administrator.password_hash),
    };
    setup.answer_administrator(lang, administrator.name, administrator.local_part, password).await?;
    let place = super::answers::Place::tidied(&place.url, &place.domain);
    let (domain, url) = (place.domain.clone(), place.url.clone());
    setup.answer_place(lang, place).await?;
    let (chosen, asked_at) = (file.certificate.unwrap_or(Certificate::SelfSigned), setup.now());
    let is_asked = matches!(chosen, Certificate::Acme { .. });
    setup.answer_certificate(lang, chosen).await?;
    setup.answer_storage(lang, file.storage.unwrap_or_default()).await?;
    setup.answer_backup(lang, file.backup.unwrap_or_default()).await?;
    setup.answer_people(lang, &file.people).await?;
    // The node may start again at the end: an order under way would begin anew.
    let certificate = if is_asked { Some(authority(setup, asked_at).await) } else { None };
    setup.finish(lang).await?;
    let administrator = setup.state().made.administrator.clone().unwrap_or_default();
    Ok(Report { administrator, domain, url, people: file.people.len(), certificate })
}

/// What the authority said, if it said something in time; nothing waits for it beyond that.
async fn authority(setup: &Setup, asked_at: Timestamp) -> String {
    let look = async {
        loop {
            let state = setup.installation.certificate().await;
            if let Some(issuer) = state.issued_by {
                return format!("issued by {issuer}");
            }
            let refused = state.failure.filter(|_| state.failed_at.is_some_and(|at| at >= asked_at));
            if let Some(Refusal { detail, remedy, .. }) = refused {
                return format!("none yet, and it is tried again: {detail}. {remedy}");
            }
            tokio::time::sleep(AUTHORITY_LOOK).await;
        }
    };
    let answered = tokio::time::timeout(AUTHORITY_WAIT, look).await;
    answered.unwrap_or_else(|_| "still asked for: see sterna certificate status".to_owned())
}

/// Trouble of a page as one text.
fn told(trouble: Trouble) -> Refusal {
    if let Some(refusal) = trouble.refusal {
        return refusal;
    }
    let fields = trouble.mistakes.all().map(|(field, text)| format!("{field}: {text}"));
    let detail: Vec<String> = fields.chain(trouble.lines.clone()).collect();
    Refusal::new("invalid", detail.join("; "), "Correct the answers and run it again.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_a_file_of_answers() {
        let file: AnswersFile = toml::from_str(TEMPLATE).unwrap();
        assert!(file.administrator.is_some() && file.place.is_some() && file.certificate.is_some());
        // What is commented out is good, too.
        let all: String =
            TEMPLATE.lines().map(|line| format!("{}\n", line.strip_prefix("#: ").unwrap_or(line))).collect();
        let file: AnswersFile = toml::from_str(&all).unwrap();
        assert_eq!((file.people.len(), file.storage.map(|storage| storage.selected.len())), (1, Some(2)));
    }
}
