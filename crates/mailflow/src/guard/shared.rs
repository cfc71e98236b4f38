//! What the guards of several edges know together: each asks the others what changed since it last asked. Nobody's mail
//! waits for it, and what is heard late costs a delay, or lets a few more messages in.

use sterna_account::edge_guard::{GuardChanges, GuardSince};
use sterna_base::NodeId;

use super::greylist_shared::{GreylistFilter, GreylistKey, Greylisted, Known, OwnChanges};
use super::{Delays, Guard};

/// How long senders may wait where greylisting is off, for what other edges say of it, in milliseconds.
const WINDOW_MS_DEFAULT: i64 = 48 * 3600 * 1000;

/// The greylist can't be used now, or there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the greylist can't be read or written; the log says why")]
pub struct NoGreylist;

impl Guard {
    /// What this edge has seen since somebody asked.
    pub async fn changes(&self, since: GuardSince) -> GuardChanges {
        let known = Known { file: since.file, seq: since.greylist };
        let greylisted = match &self.greylist {
            Some(greylist) => greylist.work(move |written| written.changes(known)).await,
            None => None,
        };
        // Nothing is said then, and what was known stays known.
        let greylisted = greylisted.unwrap_or_else(|| OwnChanges { upto: known, ..OwnChanges::default() });
        let counted = self.rates.counted_since(since.run, since.counts);
        GuardChanges {
            upto: GuardSince {
                file: greylisted.upto.file,
                greylist: greylisted.upto.seq,
                run: counted.run,
                counts: counted.upto,
            },
            triples: greylisted.triples,
            networks: greylisted.networks,
            clients: counted.clients,
            users: counted.users,
            has_more: greylisted.has_more || counted.has_more,
        }
    }

    /// How far this edge knows what another one has seen. Of counts it is what was heard in this run: they are in
    /// memory only.
    pub async fn known_of(&self, node: NodeId) -> GuardSince {
        let counted = self.heard.lock().get(&node).copied().unwrap_or_default();
        let greylisted = match &self.greylist {
            Some(greylist) => greylist.work(move |written| written.known_of(node)).await,
            None => None,
        };
        let greylisted = greylisted.unwrap_or_default();
        GuardSince { file: greylisted.file, greylist: greylisted.seq, ..counted }
    }

    /// Takes what another edge has seen.
    pub async fn learn(&self, node: NodeId, told: GuardChanges) {
        let GuardChanges { upto, triples, networks, clients, users, has_more } = told;
        self.rates.learn(node, clients, users);
        self.heard.lock().insert(node, upto);
        if let Some(greylist) = &self.greylist {
            let window_ms =
                self.settings.borrow().greylist.map_or(WINDOW_MS_DEFAULT, |Delays { window_ms, .. }| window_ms);
            let upto = Known { file: upto.file, seq: upto.greylist };
            let told = OwnChanges { upto, triples, networks, has_more };
            greylist.work(move |written| written.learn(node, &told, window_ms)).await;
        }
    }

    /// Who is known to the greylist, after this row.
    ///
    /// # Errors
    /// [`NoGreylist`].
    pub async fn greylisted_after(
        &self,
        filter: GreylistFilter,
        after: GreylistKey,
        limit: usize,
    ) -> Result<Vec<Greylisted>, NoGreylist> {
        let greylist = self.greylist.as_ref().ok_or(NoGreylist)?;
        greylist.work(move |written| written.list(&filter, &after, limit)).await.ok_or(NoGreylist)
    }

    /// Forgets some of them, here and on the other edges; how many there were here.
    ///
    /// # Errors
    /// [`NoGreylist`].
    pub async fn delete_greylisted(&self, filter: GreylistFilter) -> Result<u64, NoGreylist> {
        let (greylist, now) = (self.greylist.as_ref().ok_or(NoGreylist)?, self.clock.now());
        greylist.work(move |written| written.delete(&filter, now)).await.ok_or(NoGreylist)
    }
}
