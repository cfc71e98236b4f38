//! One question to several servers at once, and who did not answer it.

use std::time::Duration;

use axum::http::StatusCode;
use serde::de::DeserializeOwned;
use sterna_directory::{Reader, Server};

use super::doors::AdminState;
use super::problem::Problem;
use super::resolve;
use crate::node::questions::{self, Question};

/// How long a server has to answer. What is done with a queue may take as long as calls between nodes may.
const ANSWER_WAIT: Duration = Duration::from_secs(20);

/// What `?server=` says for all of them.
pub(super) const ALL: &str = "all";

/// Servers that are meant, by their names.
pub(super) struct Meant {
    /// Those that are asked.
    pub asked: Vec<Server>,
    /// Those that are meant, too, and that only the main node may ask.
    pub left: Vec<String>,
    /// Whether one was named.
    pub is_one: bool,
}

/// What servers answered.
pub(super) struct Told<T> {
    /// By the server's name.
    pub answers: Vec<(String, T)>,
    /// Those that did not answer, or could not.
    pub unreachable: Vec<String>,
}

/// The edges that are meant: one by its name, all on the main node, else this one.
pub(super) async fn edges(state: &AdminState, named: Option<&str>) -> Result<Meant, Problem> {
    meant(state, named, |server| server.roles.edge).await
}

/// As [`edges`], of all servers.
pub(super) async fn servers(state: &AdminState, named: Option<&str>) -> Result<Meant, Problem> {
    meant(state, named, |_| true).await
}

async fn meant(state: &AdminState, named: Option<&str>, is_meant: fn(&Server) -> bool) -> Result<Meant, Problem> {
    let (is_main, own) = (state.directory.is_main(), state.node.id);
    let (is_all, named) = (named == Some(ALL), named.filter(|name| *name != ALL).map(str::to_owned));
    let is_one = named.is_some();
    let read = move |reader: &Reader<'_>| match named {
        Some(name) => Ok(vec![resolve::server(reader, &name)?.value]),
        None => Ok::<_, Problem>(reader.servers()?.into_iter().map(|found| found.value).collect()),
    };
    let mut servers: Vec<Server> = state.directory.read(read).await?;
    servers.retain(is_meant);
    if !is_main && !is_all && !is_one {
        servers.retain(|server| server.id == own);
    }
    if servers.is_empty() {
        return Err(no_edge());
    }
    servers.sort_by(|one, other| one.name.cmp(&other.name));
    let (asked, left) = servers.into_iter().partition::<Vec<_>, _>(|server| is_main || server.id == own);
    Ok(Meant { asked, left: left.into_iter().map(|server| server.name).collect(), is_one })
}

fn no_edge() -> Problem {
    let (title, remedy) = ("There is no such mail", "Ask the main node, or a server with the role edge.");
    Problem::new(StatusCode::NOT_FOUND, "no-queue", title, "No mail comes in on this server.", remedy)
}

impl Meant {
    /// Asks them all, side by side, each what `question` makes for it. Where one was named and does not answer, that is
    /// a problem; of several it is told who did not.
    pub async fn ask<T>(self, state: &AdminState, question: impl Fn(&Server) -> Question) -> Result<Told<T>, Problem>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let mut asking = tokio::task::JoinSet::new();
        for server in self.asked {
            let (provision, question) = (state.provision.clone(), question(&server));
            asking.spawn(async move {
                let question = serde_json::to_value(question).map_err(|error| error.to_string());
                let answer = async {
                    let told = provision.question(server.id, question?).await.map_err(|error| error.to_string())?;
                    questions::read::<T>(told)
                };
                let answer = tokio::time::timeout(ANSWER_WAIT, answer).await;
                (server.name, answer.unwrap_or_else(|_| Err("it did not answer in time".to_owned())))
            });
        }
        let mut told = Told { answers: Vec::new(), unreachable: self.left };
        let mut last_cause = String::new();
        for (server, answer) in asking.join_all().await {
            match answer {
                Ok(answer) => told.answers.push((server, answer)),
                Err(cause) => {
                    tracing::warn!(server, cause, "a server did not answer");
                    last_cause = format!("{server}: {cause}");
                    told.unreachable.push(server);
                }
            }
        }
        if self.is_one && told.answers.is_empty() {
            let (title, remedy) = ("The server doesn't answer", "Look there, or try again (sterna status).");
            let status = StatusCode::SERVICE_UNAVAILABLE;
            let detail = if last_cause.is_empty() { "only the main node may ask it".to_owned() } else { last_cause };
            return Err(Problem::new(status, "server-unreachable", title, detail, remedy));
        }
        told.answers.sort_by(|(one, _), (other, _)| one.cmp(other));
        told.unreachable.sort_unstable();
        Ok(told)
    }
}
