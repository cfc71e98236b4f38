//! Which accounts of this node have calendars that may be behind what they are made of, and when somebody is to look:
//! after a change of contacts or of what is known of an external calendar, and when a file is to be fetched again.

use std::time::Duration;

use sterna_base::AccountId;
use tokio::time::Instant;

use super::LocalAccounts;
use crate::Mutation;
use crate::calendars::{birthdays, external};

/// How long after a change of contacts somebody looks: what comes meanwhile is one look.
const CONTACTS_DELAY: Duration = Duration::from_secs(2);

/// How long after a commit somebody is to look; `None` when nothing can be derived from what it changes.
pub fn may_be_derived_from(mutations: &[Mutation]) -> Option<Duration> {
    let delay = |mutation: &Mutation| match mutation {
        Mutation::Put { item, .. } if matches!(item.name.as_deref(), Some(external::RECORD | birthdays::NAME)) => {
            Some(Duration::ZERO)
        }
        // Cards are among these; whoever looks finds out.
        Mutation::Put { item, .. } if item.object_uid.is_some() => Some(CONTACTS_DELAY),
        Mutation::Remove { .. } | Mutation::DeleteContainer { .. } | Mutation::Copy { .. } => Some(CONTACTS_DELAY),
        _ => None,
    };
    mutations.iter().filter_map(delay).min()
}

impl LocalAccounts {
    /// The next account whose derived calendars are to be looked at, when it is time.
    pub async fn derived_due(&self) -> AccountId {
        self.shared.derived.next().await
    }

    /// Somebody is to look at the derived calendars of an account after so much time, or earlier.
    pub fn look_at_derived(&self, account: AccountId, after: Duration) {
        self.shared.derived.put_sooner(account, Instant::now() + after);
    }
}
