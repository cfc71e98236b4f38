//! What all nouns have in common: list, get, create, set, delete.

use std::collections::BTreeSet;

use clap::Args;
use hyper::Method;
use serde_json::{Map, Value};

use super::client::{Answer, CliError, Client, path};
use super::exit::Exit;
use super::output::{self, Column, Listing};
use super::{GlobalArgs, Output, prompt};

/// Items asked for at once.
const PAGE_ITEMS: &str = "1000";

/// The servers of which an answer says that they did not answer.
pub(super) fn silent_of(answer: &Value) -> BTreeSet<String> {
    let names = answer["unreachable"].as_array().into_iter().flatten();
    names.filter_map(|name| name.as_str().map(str::to_owned)).collect()
}

/// Options of `list` for what has an address.
#[derive(Clone, Debug, Default, Args)]
pub struct Filters {
    /// Only those of this domain
    #[arg(long, value_name = "DOMAIN")]
    domain: Option<String>,
    /// Only those with this text in an address or the name
    #[arg(long, value_name = "TEXT")]
    text: Option<String>,
}

impl Filters {
    /// The parameters of the request.
    pub(super) fn parameters(&self) -> [(&'static str, Option<&str>); 2] {
        [("domain", self.domain.as_deref()), ("text", self.text.as_deref())]
    }
}

/// Options of every command that changes something.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct WriteArgs {
    /// Check everything and do nothing
    #[arg(long)]
    pub dry_run: bool,
}

impl WriteArgs {
    /// The parameter of the request.
    pub(super) fn parameter(&self) -> (&'static str, Option<&'static str>) {
        ("dry_run", self.dry_run.then_some("true"))
    }
}

/// Options of `create`.
#[derive(Clone, Debug, Default, Args)]
pub struct CreateArgs {
    /// What exists already is left as it is, and the exit code is 3
    #[arg(long)]
    pub if_not_exists: bool,
    /// See [`WriteArgs`].
    #[command(flatten)]
    pub write: WriteArgs,
}

/// Options of `delete`.
#[derive(Clone, Debug, Default, Args)]
pub struct DeleteArgs {
    /// Don't ask
    #[arg(short, long)]
    pub yes: bool,
    /// See [`WriteArgs`].
    #[command(flatten)]
    pub write: WriteArgs,
}

/// Options of `delete` for what goes into the bin.
#[derive(Clone, Debug, Default, Args)]
pub struct BinArgs {
    /// Delete it at once, without a way back
    #[arg(long)]
    pub forever: bool,
    /// See [`DeleteArgs`].
    #[command(flatten)]
    pub delete: DeleteArgs,
}

/// Does the commands of one command line.
pub struct Session<'a> {
    global: &'a GlobalArgs,
    /// The node.
    pub client: Client,
}

impl<'a> Session<'a> {
    /// With the node that the options name.
    pub fn new(global: &'a GlobalArgs) -> Self {
        let client = match global.remote() {
            Some(remote) => Client::remote(remote),
            None => Client::new(&global.socket_path()),
        };
        Session { global, client }
    }

    /// Prints one resource.
    ///
    /// # Errors
    /// [`CliError`]; the same holds for the other methods.
    pub async fn get(&self, segments: &[&str]) -> Result<Exit, CliError> {
        let value = self.client.get(&path(segments, &[])).await?;
        self.show(&value)
    }

    /// Prints a value in the format asked for.
    pub fn show(&self, value: &Value) -> Result<Exit, CliError> {
        output::one(self.global.format(), value)?;
        Ok(Exit::Done)
    }

    /// Prints a listing, page by page.
    pub async fn list(
        &self,
        segments: &[&str],
        filters: &[(&str, Option<&str>)],
        columns: &'static [Column],
    ) -> Result<Exit, CliError> {
        let mut listing = Listing::new(self.global.format(), columns);
        let (mut after, mut silent) = (None::<String>, BTreeSet::new());
        loop {
            let mut parameters = filters.to_vec();
            parameters.extend([("limit", Some(PAGE_ITEMS)), ("after", after.as_deref())]);
            let page = self.client.get(&path(segments, &parameters)).await?;
            listing.page(page["items"].as_array().map_or(&[], Vec::as_slice))?;
            silent.extend(silent_of(&page));
            match page["next"].as_str() {
                Some(next) => after = Some(next.to_owned()),
                None => break,
            }
        }
        listing.end()?;
        self.say_silent(&silent);
        Ok(Exit::Done)
    }

    /// Says which servers did not answer.
    pub(super) fn say_silent(&self, servers: &BTreeSet<String>) {
        for server in servers {
            self.say(&format!("{server} does not answer: what is there is missing here (sterna status)\n"));
        }
    }

    /// Prints items that are there already.
    pub fn items(&self, items: &[Value], columns: &'static [Column]) -> Result<Exit, CliError> {
        let mut listing = Listing::new(self.global.format(), columns);
        listing.page(items)?;
        listing.end()?;
        Ok(Exit::Done)
    }

    /// Makes a resource and prints it.
    pub async fn create(
        &self,
        segments: &[&str],
        body: Map<String, Value>,
        args: &CreateArgs,
    ) -> Result<Exit, CliError> {
        let path = path(segments, &[args.write.parameter()]);
        match self.client.send(Method::POST, &path, Some(&Value::Object(body))).await {
            Ok(answer) => self.written(&answer, &args.write),
            Err(CliError::Refused(problem)) if args.if_not_exists && problem.code == "taken" => {
                self.say(&format!("{}; nothing to do\n", problem.detail));
                Ok(Exit::NothingToDo)
            }
            Err(error) => Err(error),
        }
    }

    /// Changes a resource and prints it.
    pub async fn set(&self, segments: &[&str], body: Map<String, Value>, args: &WriteArgs) -> Result<Exit, CliError> {
        self.set_with(segments, &[], body, args).await
    }

    /// Changes a resource that parameters say more of, and prints it.
    pub async fn set_with(
        &self,
        segments: &[&str],
        parameters: &[(&str, Option<&str>)],
        body: Map<String, Value>,
        args: &WriteArgs,
    ) -> Result<Exit, CliError> {
        if body.is_empty() {
            return Err(CliError::Usage("nothing to set: name at least one option (see --help)".to_owned()));
        }
        let parameters = [parameters, &[args.parameter()]].concat();
        let answer = self.client.send(Method::PATCH, &path(segments, &parameters), Some(&Value::Object(body))).await?;
        self.written(&answer, args)
    }

    /// Changes a resource that is a listing, and prints it.
    pub async fn change_list(
        &self,
        segments: &[&str],
        body: Map<String, Value>,
        columns: &'static [Column],
        args: &WriteArgs,
    ) -> Result<Exit, CliError> {
        let path = path(segments, &[args.parameter()]);
        let answer = self.client.send(Method::PATCH, &path, Some(&Value::Object(body))).await?;
        if args.dry_run {
            return self.written(&answer, args);
        }
        let mut listing = Listing::new(self.global.format(), columns);
        listing.page(answer.body["items"].as_array().map_or(&[], Vec::as_slice))?;
        listing.end()?;
        self.written(&Answer { body: Value::Null, ..answer }, args)
    }

    /// Deletes a resource, after asking.
    pub async fn delete(&self, segments: &[&str], question: &str, args: &DeleteArgs) -> Result<Exit, CliError> {
        if !args.write.dry_run {
            prompt::confirm(question, args.yes)?;
        }
        let path = path(segments, &[args.write.parameter()]);
        let answer = self.client.send(Method::DELETE, &path, None).await?;
        self.written(&answer, &args.write)
    }

    /// Puts a resource into the bin, or deletes it for good, after asking.
    pub async fn bin(&self, segments: &[&str], what: &str, args: &BinArgs) -> Result<Exit, CliError> {
        let question = match args.forever {
            true => format!("Delete {what} for good, with everything in it? There is no way back."),
            false => format!("Delete {what}? It is in the bin for a while (sterna bin list)."),
        };
        if !args.delete.write.dry_run {
            prompt::confirm(&question, args.delete.yes)?;
        }
        let forever = ("forever", args.forever.then_some("true"));
        let path = path(segments, &[args.delete.write.parameter(), forever]);
        let answer = self.client.send(Method::DELETE, &path, None).await?;
        self.written(&answer, &args.delete.write)
    }

    /// Makes a resource what is said, and prints it.
    pub async fn put(&self, segments: &[&str], body: Map<String, Value>, args: &WriteArgs) -> Result<Exit, CliError> {
        let path = path(segments, &[args.parameter()]);
        let answer = self.client.send(Method::PUT, &path, Some(&Value::Object(body))).await?;
        self.written(&answer, args)
    }

    /// Says what a write did.
    pub(super) fn written(&self, answer: &Answer, args: &WriteArgs) -> Result<Exit, CliError> {
        if args.dry_run {
            self.say(if answer.changed { "it would be done\n" } else { "nothing would change\n" });
        } else if !answer.body.is_null() {
            output::one(self.global.format(), &answer.body)?;
        }
        if answer.changed {
            return Ok(Exit::Done);
        }
        if !args.dry_run {
            self.say("it was already so; nothing to do\n");
        }
        Ok(Exit::NothingToDo)
    }

    /// How results are printed.
    pub fn format(&self) -> Output {
        self.global.format()
    }

    /// Tells people something that is no result.
    pub fn say(&self, text: &str) {
        if !self.global.quiet {
            output::note(text);
        }
    }
}

/// Collects the fields of a request's body: what wasn't given isn't there.
#[derive(Default)]
pub struct Fields(pub Map<String, Value>);

impl Fields {
    /// A field, if it was given.
    pub fn add(mut self, name: &str, value: Option<impl Into<Value>>) -> Self {
        if let Some(value) = value {
            self.0.insert(name.to_owned(), value.into());
        }
        self
    }

    /// A list, if it has anything; one empty text (`--alias ''`) empties it.
    pub fn list(mut self, name: &str, values: &[String]) -> Self {
        if !values.is_empty() {
            let kept: Vec<Value> = values.iter().filter(|value| !value.is_empty()).cloned().map(Value::from).collect();
            self.0.insert(name.to_owned(), kept.into());
        }
        self
    }

    /// A field that an empty text clears.
    pub fn clearable(mut self, name: &str, value: Option<&str>) -> Self {
        if let Some(value) = value {
            let value = if value.is_empty() { Value::Null } else { value.into() };
            self.0.insert(name.to_owned(), value);
        }
        self
    }
}

/// A yes or a no, as an option's value.
pub fn yes_or_no(text: &str) -> Result<bool, String> {
    match text.to_lowercase().as_str() {
        "yes" | "true" | "on" => Ok(true),
        "no" | "false" | "off" => Ok(false),
        _ => Err("yes or no".to_owned()),
    }
}

/// A quota: bytes with an optional unit (k, M, G, T; powers of 1024), or "none".
pub fn quota(text: &str) -> Result<Option<u64>, String> {
    if text.eq_ignore_ascii_case("none") {
        return Ok(None);
    }
    let upper = text.trim().to_uppercase();
    let trimmed = upper.trim_end_matches("IB").trim_end_matches('B');
    let digits = trimmed.trim_end_matches(['K', 'M', 'G', 'T']);
    let shift = match &trimmed[digits.len()..] {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err("a number of bytes with k, M, G or T, or none".to_owned()),
    };
    let number: u64 = digits.trim().parse().map_err(|_| "a number of bytes with k, M, G or T, or none".to_owned())?;
    number.checked_mul(1 << shift).map(Some).ok_or_else(|| "it is too large".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_have_units() {
        assert_eq!(quota("none"), Ok(None));
        assert_eq!(quota("512"), Ok(Some(512)));
        for text in ["5G", "5g", "5GB", "5GiB", "5 G"] {
            assert_eq!(quota(text), Ok(Some(5 << 30)), "{text}");
        }
        for bad in ["", "G", "5X", "-1", "5KM", "99999999999T"] {
            assert!(quota(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_was_not_given_is_not_sent() {
        let fields = Fields::default()
            .add("a", None::<bool>)
            .add("b", Some(true))
            .list("c", &[])
            .list("d", &[String::new()])
            .clearable("e", Some(""))
            .clearable("f", None);
        assert_eq!(Value::Object(fields.0).to_string(), r#"{"b":true,"d":[],"e":null}"#);
    }
}
