//! Which server a new account goes to: a pure function of what the directory knows.

use sterna_base::NodeId;

use crate::model::Server;

/// A server with less free space than this takes no new account by policy.
pub const FREE_BYTES_MIN: u64 = 1024 * 1024 * 1024;

/// A server as the policy sees it.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its row.
    pub server: Server,
    /// How many accounts are placed on it.
    pub accounts: u64,
}

/// Why no server takes a new account.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoServer {
    /// The server asked for doesn't exist.
    #[error("there is no server {0}")]
    Unknown(NodeId),
    /// The server asked for doesn't hold accounts.
    #[error("server {0} has no data role")]
    NotData(String),
    /// The server asked for is not one of the domain's.
    #[error("server {0} is not one of the domain's servers")]
    NotAllowed(String),
    /// The server asked for takes no new accounts.
    #[error("server {0} is marked as taking no new accounts")]
    Closed(String),
    /// The server asked for is being emptied.
    #[error("server {0} is being drained")]
    Draining(String),
    /// No server is left.
    #[error("no server takes new accounts of this domain: {}", .0.join("; "))]
    None(Vec<String>),
}

impl NoServer {
    /// What to do next.
    pub fn remedy(&self) -> String {
        match self {
            NoServer::Unknown(_) => "List the servers (sterna server list) and name one of them.",
            NoServer::NotData(_) => "Name a server with the data role (sterna server list).",
            NoServer::NotAllowed(_) => {
                "Name one of the domain's servers, or add this one to them (sterna domain set DOMAIN --server ...)."
            }
            NoServer::Closed(_) => "Name another server, or open this one (sterna server set NAME --accept-new yes).",
            NoServer::Draining(_) => {
                "Name another server, or stop draining this one (sterna server drain NAME --undo)."
            }
            NoServer::None(_) => {
                "Open one of the servers, free space on it, give it a weight, allow another one for the domain, or \
                 add a server (sterna server create)."
            }
        }
        .to_owned()
    }
}

/// Chooses the server of a new account.
///
/// An explicit server is taken when it holds accounts, is allowed for the domain and takes new accounts; its weight and
/// free space don't matter then, because somebody decided. By policy, of the servers that are allowed (`allowed` empty:
/// all), open, have a weight and [`FREE_BYTES_MIN`] free or have not said how much, the one with the fewest accounts
/// for its weight is taken; then the one with more free space, then the smaller id. So the answer depends on the rows
/// alone, and servers fill in the ratio of their weights.
///
/// # Errors
/// [`NoServer`], with the reason for each server when there was a choice.
pub fn choose(candidates: &[Candidate], allowed: &[NodeId], explicit: Option<NodeId>) -> Result<NodeId, NoServer> {
    if let Some(id) = explicit {
        return choose_explicit(candidates, allowed, id);
    }
    let mut reasons = Vec::new();
    let mut best: Option<&Candidate> = None;
    for candidate in candidates {
        match exclusion(candidate, allowed) {
            Some(reason) => reasons.push(format!("{} {reason}", candidate.server.name)),
            None if best.is_none_or(|best| is_better(candidate, best)) => best = Some(candidate),
            None => {}
        }
    }
    if candidates.is_empty() {
        reasons.push("there is no server".to_owned());
    }
    best.map(|candidate| candidate.server.id).ok_or(NoServer::None(reasons))
}

fn choose_explicit(candidates: &[Candidate], allowed: &[NodeId], id: NodeId) -> Result<NodeId, NoServer> {
    let server = candidates.iter().map(|c| &c.server).find(|s| s.id == id).ok_or(NoServer::Unknown(id))?;
    check_target(server, allowed).map(|()| id)
}

/// Whether an account may be placed on a server that somebody named; `allowed` are the servers of its domain, empty is
/// every one.
///
/// # Errors
/// Why not.
pub fn check_target(server: &Server, allowed: &[NodeId]) -> Result<(), NoServer> {
    if !server.roles.data {
        return Err(NoServer::NotData(server.name.clone()));
    }
    if !allowed.is_empty() && !allowed.contains(&server.id) {
        return Err(NoServer::NotAllowed(server.name.clone()));
    }
    if !server.accepts_new_accounts {
        return Err(NoServer::Closed(server.name.clone()));
    }
    if server.draining {
        return Err(NoServer::Draining(server.name.clone()));
    }
    Ok(())
}

/// Why a server is not considered by policy.
fn exclusion(candidate: &Candidate, allowed: &[NodeId]) -> Option<String> {
    let server = &candidate.server;
    if !server.roles.data {
        Some("has no data role".to_owned())
    } else if !allowed.is_empty() && !allowed.contains(&server.id) {
        Some("is not one of the domain's servers".to_owned())
    } else if !server.accepts_new_accounts {
        Some("takes no new accounts".to_owned())
    } else if server.draining {
        Some("is being drained".to_owned())
    } else if server.weight == 0 {
        Some("has weight 0".to_owned())
    } else if server.free_bytes.is_some_and(|free| free < FREE_BYTES_MIN) {
        Some(format!("has less than {} MiB free", FREE_BYTES_MIN / (1024 * 1024)))
    } else {
        None
    }
}

/// Compares accounts per weight without division: a/wa < b/wb is a*wb < b*wa.
fn is_better(a: &Candidate, b: &Candidate) -> bool {
    // One more than there are, so that of two empty servers the heavier one is filled first.
    let load_a = u128::from(a.accounts + 1) * u128::from(b.server.weight);
    let load_b = u128::from(b.accounts + 1) * u128::from(a.server.weight);
    let order = load_a
        .cmp(&load_b)
        .then_with(|| b.server.free_bytes.cmp(&a.server.free_bytes))
        .then_with(|| a.server.id.cmp(&b.server.id));
    order.is_lt()
}

#[cfg(test)]
mod tests {
    use sterna_base::Timestamp;

    use super::*;
    use crate::model::Roles;

    const GIB: u64 = 1024 * 1024 * 1024;

    fn id(n: u8) -> NodeId {
        NodeId([n; 16])
    }

    /// weight, accounts, free GiB (None: unknown), flags: "d" data, "c" closed, "x" draining.
    fn candidate(n: u8, weight: u32, accounts: u64, free_gib: Option<u64>, flags: &str) -> Candidate {
        let server = Server {
            id: id(n),
            name: format!("s{n}"),
            address: format!("s{n}:1"),
            roles: Roles { data: flags.contains('d'), ..Roles::default() },
            weight,
            accepts_new_accounts: !flags.contains('c'),
            free_bytes: free_gib.map(|gib| gib * GIB),
            free_bytes_at: None,
            draining: flags.contains('x'),
            capacity_bytes: None,
            used_bytes: None,
            version: None,
            standby: None,
            created_at: Timestamp(0),
        };
        Candidate { server, accounts }
    }

    #[test]
    fn the_policy_as_a_table() {
        let c = candidate;
        type Row = (&'static str, Vec<Candidate>, Vec<NodeId>, Option<u8>);
        let table: Vec<Row> = vec![
            ("fewest accounts", vec![c(1, 1, 5, None, "d"), c(2, 1, 4, None, "d")], vec![], Some(2)),
            ("by weight", vec![c(1, 3, 5, None, "d"), c(2, 1, 4, None, "d")], vec![], Some(1)),
            ("heavier when empty", vec![c(1, 1, 0, None, "d"), c(2, 2, 0, None, "d")], vec![], Some(2)),
            ("more space on a tie", vec![c(1, 1, 4, Some(5), "d"), c(2, 1, 4, Some(9), "d")], vec![], Some(2)),
            ("smaller id at last", vec![c(2, 1, 4, None, "d"), c(1, 1, 4, None, "d")], vec![], Some(1)),
            ("closed", vec![c(1, 1, 0, None, "dc"), c(2, 1, 9, None, "d")], vec![], Some(2)),
            ("draining", vec![c(1, 1, 0, None, "dx"), c(2, 1, 9, None, "d")], vec![], Some(2)),
            ("weight 0", vec![c(1, 0, 0, None, "d"), c(2, 1, 9, None, "d")], vec![], Some(2)),
            ("no space", vec![c(1, 1, 0, Some(0), "d"), c(2, 1, 9, None, "d")], vec![], Some(2)),
            ("not data", vec![c(1, 1, 0, None, ""), c(2, 1, 9, None, "d")], vec![], Some(2)),
            ("allowed", vec![c(1, 1, 0, None, "d"), c(2, 1, 9, None, "d")], vec![id(2)], Some(2)),
            ("none allowed", vec![c(1, 1, 0, None, "d")], vec![id(7)], None),
            ("none at all", vec![], vec![], None),
        ];
        for (what, candidates, allowed, expected) in table {
            assert_eq!(choose(&candidates, &allowed, None).ok(), expected.map(id), "{what}");
        }
    }

    #[test]
    fn an_explicit_server_must_be_open_and_allowed_and_may_be_light_or_full() {
        let c = candidate;
        let all = [c(1, 0, 0, Some(0), "d"), c(2, 1, 0, None, "dc"), c(3, 1, 0, None, ""), c(4, 1, 0, None, "dx")];
        assert_eq!(choose(&all, &[], Some(id(1))), Ok(id(1)));
        assert_eq!(choose(&all, &[], Some(id(2))), Err(NoServer::Closed("s2".into())));
        assert_eq!(choose(&all, &[], Some(id(3))), Err(NoServer::NotData("s3".into())));
        assert_eq!(choose(&all, &[id(2)], Some(id(1))), Err(NoServer::NotAllowed("s1".into())));
        assert_eq!(choose(&all, &[], Some(id(4))), Err(NoServer::Draining("s4".into())));
        assert_eq!(choose(&all, &[], Some(id(9))), Err(NoServer::Unknown(id(9))));
    }

    #[test]
    fn servers_fill_in_the_ratio_of_their_weights() {
        let mut all = [candidate(1, 1, 0, None, "d"), candidate(2, 3, 0, None, "d")];
        for _ in 0..400 {
            let chosen = choose(&all, &[], None).unwrap();
            all.iter_mut().find(|c| c.server.id == chosen).unwrap().accounts += 1;
        }
        assert_eq!((all[0].accounts, all[1].accounts), (100, 300));
    }

    #[test]
    fn the_error_says_why_for_each_server() {
        let all = [candidate(1, 1, 0, None, "dc"), candidate(2, 0, 0, None, "d")];
        let text = choose(&all, &[], None).unwrap_err().to_string();
        assert!(text.contains("s1 takes no new accounts") && text.contains("s2 has weight 0"), "{text}");
    }
}
