//! The whole setup from a file of answers: the same steps as by the pages, in the same order.

use serde::Serialize;

use super::Setup;
use super::answers::{AnswersFile, Certificate};
use super::door::Refusal;
use super::pages::Trouble;
use super::steps::NewPassword;
use crate::i18n::Lang;

/// A file to fill in. A test sees to it that it is one.
pub const TEMPLATE: &str = include_str!("template.toml");

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
    setup.answer_certificate(lang, file.certificate.unwrap_or(Certificate::SelfSigned)).await?;
    setup.answer_storage(lang, file.storage.unwrap_or_default()).await?;
    setup.answer_backup(lang, file.backup.unwrap_or_default()).await?;
    setup.answer_people(lang, &file.people).await?;
    setup.finish(lang).await?;
    let administrator = setup.state().made.administrator.clone().unwrap_or_default();
    Ok(Report { administrator, domain, url, people: file.people.len() })
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
