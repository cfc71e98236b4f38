//! What the guards of several edges know together: each asks the others what changed since it last asked. Nobody's mail
//! waits for it, and what is heard late costs a delay, or lets a few more messages in.

use sterna_account::edge_guard::{GuardChanges, GuardSince, ROWS_MAX};
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
        let counted = self.rates.heard(node);
        let greylisted = match &self.greylist {
            Some(greylist) => greylist.work(move |written| written.known_of(node)).await,
            None => None,
        };
        let greylisted = greylisted.unwrap_or_default();
        GuardSince { file: greylisted.file, greylist: greylisted.seq, ..counted }
    }

    /// Takes what another edge has seen. Without a greylist that can be written there is no use in asking for more of
    /// it now: it would be the same again.
    ///
    /// # Errors
    /// [`NoGreylist`]; the counts were taken all the same.
    pub async fn learn(&self, node: NodeId, told: GuardChanges) -> Result<(), NoGreylist> {
        let GuardChanges { upto, triples, networks, clients, users, has_more } = told;
        let now = self.clock.now();
        self.rates.learn(node, clients, users, upto, now);
        let greylist = self.greylist.as_ref().ok_or(NoGreylist)?;
        let window_ms = self.settings.borrow().greylist.map_or(WINDOW_MS_DEFAULT, |Delays { window_ms, .. }| window_ms);
        let upto = Known { file: upto.file, seq: upto.greylist };
        let told = OwnChanges { upto, triples, networks, has_more };
        greylist.work(move |written| written.learn(node, &told, window_ms, now)).await.ok_or(NoGreylist)
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
        greylist.read(move |reading| reading.list(&filter, &after, limit)).await.ok_or(NoGreylist)
    }

    /// Forgets some of them, here and on the other edges; how many there were here.
    ///
    /// # Errors
    /// [`NoGreylist`].
    pub async fn delete_greylisted(&self, filter: GreylistFilter) -> Result<u64, NoGreylist> {
        let (greylist, now) = (self.greylist.as_ref().ok_or(NoGreylist)?, self.clock.now());
        let (mut after, mut deleted) = (GreylistKey::default(), 0);
        loop {
            let filter = filter.clone();
            let found = greylist.read(move |reading| reading.keys(&filter, &after, ROWS_MAX)).await;
            let keys = found.ok_or(NoGreylist)?;
            let Some(last) = keys.last().cloned() else { return Ok(deleted) };
            after = last;
            // In pieces, between which mail is answered.
            deleted += greylist.work(move |written| written.delete(&keys, now)).await.ok_or(NoGreylist)?;
        }
    }
}
