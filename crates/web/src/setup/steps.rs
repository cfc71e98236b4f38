//! What each answer does: checked, kept, then done. Kept first, so that a crash in between leaves an answer that is
//! done when it is given again. All of it can be repeated. Whoever calls holds [`Setup::taking`].

use sterna_base::Secret;

use super::answers::{Administrator, Backup, Certificate, Mistakes, People, Place, Storage};
use super::door::{Invitation, Person, Refusal};
use super::state::State;
use super::{Setup, pages::Trouble};
use crate::i18n::{Lang, text};

/// Shortest password of an administrator, in characters (NIST SP 800-63B-4 section 3.1.1.2: length is what counts).
pub const PASSWORD_CHARS_MIN: usize = 12;

/// People that are created by one form.
pub const PEOPLE_MAX: usize = 5000;

/// What an administrator's password comes as.
pub enum NewPassword {
    /// As it was typed, twice.
    Typed(Secret, Secret),
    /// It stays.
    Former,
    /// Its hash, of an answers file.
    Hash(String),
}

impl Setup {
    /// Writes an answer down.
    async fn keep<T>(&self, lang: Lang, change: impl FnOnce(&mut State) -> T) -> Result<T, Trouble> {
        self.file.change(change).await.map_err(|error| {
            tracing::error!(%error, "setup.toml can't be written");
            let remedy = text::setup_not_written_remedy(lang);
            Trouble::refused(Refusal::new("storage", format!("{}: {error}", text::setup_not_written(lang)), remedy))
        })
    }

    /// Who administers it. Made as soon as there is a domain.
    pub(super) async fn answer_administrator(
        &self,
        lang: Lang,
        name: String,
        local_part: String,
        password: NewPassword,
    ) -> Result<(), Trouble> {
        let former = self.state().answers.administrator.clone();
        let mut new = Administrator { name, local_part, password_hash: String::new() };
        let mut mistakes = new.mistakes(lang);
        let typed = match password {
            NewPassword::Typed(first, again) => {
                if first.expose().chars().count() < PASSWORD_CHARS_MIN {
                    mistakes.add("password", text::setup_mistake_password(lang, PASSWORD_CHARS_MIN));
                } else if first != again {
                    mistakes.add("again", text::setup_mistake_again(lang));
                }
                Some(first)
            }
            NewPassword::Former => {
                match former {
                    Some(former) => new.password_hash = former.password_hash,
                    None => mistakes.add("password", text::setup_mistake_password(lang, PASSWORD_CHARS_MIN)),
                }
                None
            }
            NewPassword::Hash(hash) => {
                if !hash.starts_with("$argon2id$") {
                    mistakes.add("password", text::setup_mistake_hash(lang));
                }
                new.password_hash = hash;
                None
            }
        };
        if !mistakes.is_empty() {
            return Err(mistakes.into());
        }
        if let Some(typed) = typed {
            new.password_hash = self.installation.hash(typed).await?;
        }
        self.keep(lang, |state| state.answers.administrator = Some(new)).await?;
        self.make_administrator(lang).await
    }

    /// Where it is found: the domain, and with it the administrator.
    pub(super) async fn answer_place(&self, lang: Lang, place: Place) -> Result<(), Trouble> {
        let mistakes = place.mistakes(lang);
        if !mistakes.is_empty() {
            return Err(mistakes.into());
        }
        let former = self.state().made.domain.clone();
        self.installation.put_place(former.as_deref(), &place).await?;
        self.keep(lang, |state| {
            if let (Some(administrator), Some(former)) = (&mut state.made.administrator, &former)
                && let Some((local, domain)) = administrator.rsplit_once('@')
                && domain == former
            {
                *administrator = format!("{local}@{}", place.domain);
            }
            state.made.domain = Some(place.domain.clone());
            state.answers.place = Some(place);
        })
        .await?;
        self.records.forget();
        self.checks.values().for_each(super::Asked::forget);
        self.make_administrator(lang).await
    }

    async fn make_administrator(&self, lang: Lang) -> Result<(), Trouble> {
        let state = self.state();
        let (Some(new), Some(domain)) = (&state.answers.administrator, &state.made.domain) else { return Ok(()) };
        self.installation.put_administrator(state.made.administrator.as_deref(), new, domain).await?;
        let address = format!("{}@{domain}", new.local_part);
        self.keep(lang, |state| state.made.administrator = Some(address)).await
    }

    /// What clients see.
    pub(super) async fn answer_certificate(&self, lang: Lang, certificate: Certificate) -> Result<(), Trouble> {
        let mistakes = certificate.mistakes(lang);
        if !mistakes.is_empty() {
            return Err(mistakes.into());
        }
        self.installation.put_certificate(&certificate).await?;
        self.keep(lang, |state| state.answers.certificate = Some(certificate)).await
    }

    /// On which servers accounts of the domain are made.
    pub(super) async fn answer_storage(&self, lang: Lang, storage: Storage) -> Result<(), Trouble> {
        let domain = self.domain(lang)?;
        self.installation.select_servers(&domain, &storage.selected).await?;
        self.servers.forget();
        self.keep(lang, |state| state.answers.storage = Some(storage)).await
    }

    /// An invitation for a data server. A second one for the same name, as after a second click, is the first.
    pub(super) async fn invite(&self, name: String) -> Result<Invitation, Trouble> {
        let now = self.now();
        let known = self.invitations.lock().get(&name).filter(|known| known.expires_at > now).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let made = self.installation.invite(&name).await?;
        let mut invitations = self.invitations.lock();
        invitations.retain(|_, known| known.expires_at > now);
        invitations.insert(name, made.clone());
        Ok(made)
    }

    /// Another name for a server.
    pub(super) async fn rename_server(&self, lang: Lang, id: &str, name: &str) -> Result<(), Trouble> {
        let servers = self.installation.servers().await?;
        let former = servers.into_iter().find(|server| server.id == id).map(|server| server.name);
        self.installation.rename_server(id, name).await?;
        self.servers.forget();
        let Some(former) = former else { return Ok(()) };
        let rename = |state: &mut State| {
            let selected = state.answers.storage.iter_mut().flat_map(|storage| &mut storage.selected);
            selected.filter(|known| **known == former).for_each(|known| name.clone_into(known));
        };
        self.keep(lang, rename).await
    }

    /// Where copies go.
    pub(super) async fn answer_backup(&self, lang: Lang, backup: Backup) -> Result<(), Trouble> {
        let mistakes = backup.mistakes(lang);
        if !mistakes.is_empty() {
            return Err(mistakes.into());
        }
        self.keep(lang, |state| state.answers.backup = Some(backup)).await
    }

    /// Who gets accounts. Those who could be made are made; the others are told with why.
    pub(super) async fn answer_people(&self, lang: Lang, people: &[Person]) -> Result<(), Trouble> {
        self.domain(lang)?;
        let (mut created, mut trouble) = (0, Trouble::default());
        for person in people {
            match self.installation.put_person(person).await {
                Ok(()) => created += 1,
                Err(refusal) => {
                    trouble.lines.push(format!("{}: {} {}", person.address, refusal.detail, refusal.remedy))
                }
            }
        }
        self.keep(lang, |state| {
            let before = state.answers.people.as_ref().map_or(0, |people| people.created);
            state.answers.people = Some(People { created: before.max(created) });
        })
        .await?;
        if trouble.is_empty() { Ok(()) } else { Err(trouble) }
    }

    /// The same from a list whose columns have names; with an error on any line nobody is made.
    pub(super) async fn answer_people_list(&self, lang: Lang, csv: &str) -> Result<(), Trouble> {
        self.domain(lang)?;
        let imported = self.installation.import_people(csv).await?;
        let there = u32::try_from(imported.there).unwrap_or(u32::MAX);
        let said = |(line, address, why): &(usize, String, String)| {
            text::setup_people_line(lang, line, address, why).trim().to_owned()
        };
        let trouble = Trouble { lines: imported.errors.iter().map(said).collect(), ..Trouble::default() };
        if !trouble.is_empty() {
            return Err(trouble);
        }
        self.keep(lang, |state| {
            let before = state.answers.people.as_ref().map_or(0, |people| people.created);
            state.answers.people = Some(People { created: before.max(there) });
        })
        .await
    }

    /// Sends the message that proves it.
    pub(super) async fn answer_proof(&self, lang: Lang, elsewhere: String) -> Result<(), Trouble> {
        let administrator = self.state().made.administrator.clone();
        let Some(administrator) = administrator else { return Err(self.incomplete(lang)) };
        let elsewhere = Some(elsewhere).filter(|address| !address.is_empty());
        let is_address = |address: &String| {
            sterna_formats::discovery::domain_of(address).is_some_and(super::answers::is_domain)
                && !address.contains(char::is_whitespace)
        };
        if !elsewhere.as_ref().is_none_or(is_address) {
            let mut mistakes = Mistakes::default();
            mistakes.add("elsewhere", text::setup_mistake_address(lang));
            return Err(mistakes.into());
        }
        let sent = self.installation.send_proof(&administrator, elsewhere.as_deref()).await?;
        self.proof.forget();
        self.keep(lang, |state| (state.made.proof, state.made.proof_to) = (Some(sent), elsewhere)).await
    }

    /// The end, for ever.
    pub(super) async fn finish(&self, lang: Lang) -> Result<(), Trouble> {
        if self.state().made.administrator.is_none() {
            return Err(self.incomplete(lang));
        }
        let now = self.now();
        self.keep(lang, |state| {
            state.finished_at = Some(now);
            (state.link, state.session) = (None, None);
            // The directory has it now.
            if let Some(administrator) = &mut state.answers.administrator {
                administrator.password_hash = String::new();
            }
        })
        .await?;
        tracing::info!(target: "audit", "the setup is over");
        self.installation.finished().await;
        Ok(())
    }

    /// The first domain.
    pub(super) fn domain(&self, lang: Lang) -> Result<String, Trouble> {
        self.state().made.domain.clone().ok_or_else(|| self.incomplete(lang))
    }

    fn incomplete(&self, lang: Lang) -> Trouble {
        let remedy = text::setup_incomplete_remedy(lang);
        Trouble::refused(Refusal::new("incomplete", text::setup_incomplete(lang), remedy))
    }
}

/// People of a list: one a line, `address, name, server`, the last two if wanted; an address without a domain is of
/// this one. Commas, semicolons and tabs separate, and quotes hold together (RFC 4180). A first line with `address` or
/// `mail` is a heading.
///
/// # Errors
/// The number of the first line that is none, from 1.
pub fn people_of(list: &str, domain: &str) -> Result<Vec<Person>, usize> {
    let mut people: Vec<Person> = Vec::new();
    for (number, line) in list.lines().enumerate() {
        let line = line.trim().trim_start_matches('\u{feff}');
        if line.is_empty() {
            continue;
        }
        let mut fields = fields_of(line).into_iter();
        let (address, name, server) = (fields.next().unwrap_or_default(), fields.next(), fields.next());
        let is_heading = ["address", "mail", "email", "e-mail", "adresse"].contains(&address.to_lowercase().as_str());
        if people.is_empty() && is_heading {
            continue;
        }
        let address = if address.contains('@') { address } else { format!("{address}@{domain}") };
        let is_one = address.len() <= 320 && !address.starts_with('@') && !address.contains(char::is_whitespace);
        if !is_one || address.chars().any(char::is_control) || fields.next().is_some() || people.len() >= PEOPLE_MAX {
            return Err(number + 1);
        }
        let (name, server) = (name.unwrap_or_default(), server.unwrap_or_default());
        people.push(Person { address, name, server });
    }
    Ok(people)
}

/// Whether the first line names columns, more of them than a plain list has (address, name, server).
pub fn has_named_columns(list: &str) -> bool {
    const ADDRESSES: [&str; 7] = ["address", "mail", "email", "e-mail", "e mail", "adresse", "courriel"];
    let first = list.trim_start_matches('\u{feff}').lines().find(|line| !line.trim().is_empty());
    let names: Vec<String> =
        first.map(fields_of).unwrap_or_default().iter().map(|name| name.trim().to_lowercase()).collect();
    let has_address = names.iter().any(|name| ADDRESSES.contains(&name.as_str()));
    has_address && names.len() > 1 && !names.contains(&"server".to_owned())
}

fn fields_of(line: &str) -> Vec<String> {
    let mut outside = line.split('"').step_by(2).flat_map(str::chars);
    let separator = outside.find(|character| [',', ';', '\t'].contains(character)).unwrap_or(',');
    let (mut fields, mut field, mut is_quoted) = (Vec::new(), String::new(), false);
    let mut characters = line.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if is_quoted && characters.peek() == Some(&'"') => {
                field.push('"');
                characters.next();
            }
            '"' => is_quoted = !is_quoted,
            character if character == separator && !is_quoted => fields.push(std::mem::take(&mut field)),
            character => field.push(character),
        }
    }
    fields.push(field);
    fields.into_iter().map(|field| crate::form::tidied(&field)).collect()
}

#[cfg(test)]
mod people_tests {
    use super::*;

    fn person(address: &str, name: &str, server: &str) -> Person {
        Person { address: address.into(), name: name.into(), server: server.into() }
    }

    #[test]
    fn lists_are_read_as_people_write_them() {
        let list = "\u{feff}address;name;server\r\nben@tern.test; Ben \"B\" Example;mail2\n\nzoe\n\"eve@tern.test\"\t\"Eve, E\"";
        let found = people_of(list, "tern.test").unwrap();
        assert_eq!(found[0], person("ben@tern.test", "Ben B Example", "mail2"));
        assert_eq!(found[1], person("zoe@tern.test", "", ""));
        assert_eq!(found[2], person("eve@tern.test", "Eve, E", ""));
        assert_eq!(people_of("a,\"b \"\"c\"\", d\"", "x.test").unwrap()[0].name, "b \"c\", d");
        assert_eq!(people_of("", "x.test"), Ok(Vec::new()));
    }

    #[test]
    fn lists_with_names_of_columns_are_told_from_plain_ones() {
        for named in
            ["address,name", "\u{feff}E-Mail;Anzeigename;Kontingent", "\n name\tcourriel\n", "email,aliases\nx"]
        {
            assert!(has_named_columns(named), "{named:?}");
        }
        for plain in ["", "ben, Ben", "address", "address,name,server", "ben@x.test\nzoe@x.test,Zoe"] {
            assert!(!has_named_columns(plain), "{plain:?}");
        }
    }

    #[test]
    fn the_line_that_is_none_is_named() {
        for (list, line) in [("a\nb c\n", 2), ("@x.test", 1), ("a,b,c,d", 1), ("a\n\n\u{7}", 3)] {
            assert_eq!(people_of(list, "x.test"), Err(line), "{list:?}");
        }
        let many: String = (0..=PEOPLE_MAX).map(|number| format!("u{number}\n")).collect();
        assert_eq!(people_of(&many, "x.test"), Err(PEOPLE_MAX + 1));
    }
}
