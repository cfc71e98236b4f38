//! From recipients to distinct accounts and back.

use std::collections::BTreeMap;

use sterna_account::service::{Envelope, Recipients, Refusal, RouteError};
use sterna_base::{AccountId, OperationId};

use crate::refusals;

/// Where one recipient's mail goes.
pub type Routed = Result<Way, Refusal>;

/// The accounts behind a recipient, and the addresses elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// Accounts of ours.
    pub accounts: Vec<AccountId>,
    /// Addresses elsewhere: the recipient's own, or those of a group's members.
    pub external: Vec<String>,
    /// Under which transaction the message leaves for this recipient: that of the first try, if this is another one.
    pub transaction: OperationId,
}

/// What became of the message in one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// It is durable there.
    Done,
    /// It is not there.
    Refused(Refusal),
    /// Nobody knows.
    Uncertain(Refusal),
    /// Its owner's script sends it back.
    Rejected(Refusal),
}

/// The accounts of all recipients, each with the transaction under which it takes the message; and for each recipient
/// its own accounts.
///
/// What followed the plus of an address has no effect on the folder: the world must not be able to file mail into
/// people's folders, and Sieve rules see the address when they come. Addresses elsewhere have a way only when the
/// sender `may_relay`, whatever was said at RCPT: the directory may have changed since.
pub async fn resolve(
    recipients: &dyn Recipients,
    envelope: &Envelope,
    may_relay: impl Fn(&str) -> bool,
    remembered: impl Fn(&str) -> Option<OperationId>,
) -> (Vec<Routed>, BTreeMap<AccountId, OperationId>) {
    let mut routed = Vec::with_capacity(envelope.recipients.len());
    let mut accounts: BTreeMap<AccountId, OperationId> = BTreeMap::new();
    for rcpt in &envelope.recipients {
        let earlier = remembered(&rcpt.address);
        let transaction = earlier.unwrap_or(envelope.transaction);
        let route = match recipients.route(&rcpt.address).await {
            Ok(route) => route,
            Err(RouteError::NotLocal) if may_relay(&rcpt.address) => {
                routed.push(Ok(Way { accounts: Vec::new(), external: vec![rcpt.address.clone()], transaction }));
                continue;
            }
            Err(error) => {
                routed.push(Err(refusals::of_route(&error, envelope.sender.protocol)));
                continue;
            }
        };
        let ids: Vec<AccountId> = route.targets.iter().map(|target| target.account).collect();
        for &id in &ids {
            let of_account = accounts.entry(id).or_insert(transaction);
            // An account reached by two recipients takes the message once; a remembered try of either counts.
            *of_account = earlier.unwrap_or(*of_account);
        }
        routed.push(Ok(Way { accounts: ids, external: route.external, transaction }));
    }
    (routed, accounts)
}

/// The answer for one recipient: the first temporary failure, else the first one, else success.
pub fn answer(routed: &Routed, delivered: &BTreeMap<AccountId, Delivered>) -> Result<(), Refusal> {
    let way = routed.as_ref().map_err(Clone::clone)?;
    let failures = || {
        way.accounts.iter().filter_map(|id| match delivered.get(id) {
            Some(Delivered::Refused(refusal) | Delivered::Uncertain(refusal) | Delivered::Rejected(refusal)) => {
                Some(refusal.clone())
            }
            Some(Delivered::Done) => None,
            None => Some(refusals::of_timeout()),
        })
    };
    match failures().find(Refusal::is_temporary).or_else(|| failures().next()) {
        Some(refusal) => Err(refusal),
        None => Ok(()),
    }
}
