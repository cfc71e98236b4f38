//! One collection of a source: what of it is new, has changed or is gone.

use std::collections::{BTreeMap, HashMap};

use sterna_account::{Account, Container, ItemParts, Mutation};
use sterna_base::{BlobHash, OperationId};

use super::client::Client;
use super::discover::SourceCollection;
use super::fetch::{Fetched, Listed, fetch, list};
use super::note::{Known, Note, Notes, items};
use crate::limits::{BATCH_OBJECTS, NOTED_OBJECTS, REMOVED_OBJECTS_FREE};
use crate::objects::{Brought, Objects, There};
use crate::run::report::{ImportError, Mode, Report};

/// A pass over one collection.
pub struct Pass<'a> {
    /// Where it comes to.
    pub account: &'a dyn Account,
    /// Who knows objects.
    pub objects: &'a dyn Objects,
    /// What for.
    pub mode: Mode,
    /// Whether most of a collection may go at once.
    pub allow_removals: bool,
    /// Where people are told.
    pub report: &'a Report,
}

impl Pass<'_> {
    /// Brings it. What can't be read there or kept here is named, and doesn't keep the rest from coming.
    ///
    /// # Errors
    /// [`ImportError`]; what was done stays, and is not done again.
    pub async fn run(
        &self,
        client: &mut Client,
        notes: &mut Notes,
        there: &SourceCollection,
        here: &Container,
    ) -> Result<(), ImportError> {
        let known = notes.all.get(&there.path).filter(|note| note.container == here.id).cloned();
        let mut note = known.unwrap_or_else(|| notes.begin(&there.path, here.id));
        if self.mode == Mode::Pass && there.mark.is_some() && note.mark == there.mark {
            return Ok(());
        }
        let listed = list(client, there).await?;
        self.refuse_shrunk(there, &note, &listed)?;
        if self.mode == Mode::Final {
            // What was deleted here comes once more; what was changed here is told, and stays.
            let here = self.contents(here).await?;
            note.objects.retain(|name, known| here.contains_key(known.name.as_deref().unwrap_or(name)));
        }
        let is_whole = self.bring(client, notes, there, here, &mut note, &listed).await?;
        if self.mode != Mode::Sweep {
            self.remove(here, &mut note, &listed).await?;
        }
        // What was read before the list: what changed after it makes another one.
        note.mark = there.mark.clone().filter(|_| is_whole && self.mode != Mode::Sweep);
        notes.keep(self.account, note.clone()).await?;
        if self.mode == Mode::Final {
            self.verify(there, here, &note, &listed).await?;
        }
        Ok(())
    }

    /// A source that lost its objects doesn't make them be lost here too.
    fn refuse_shrunk(
        &self,
        there: &SourceCollection,
        note: &Note,
        listed: &BTreeMap<String, Listed>,
    ) -> Result<(), ImportError> {
        let gone = note.objects.keys().filter(|name| !listed.contains_key(*name)).count();
        let is_most = gone > REMOVED_OBJECTS_FREE && gone * 2 > note.objects.len();
        if is_most && !self.allow_removals && self.mode != Mode::Sweep {
            let text = format!("{}: {gone} of {} objects are gone at the source", there.name, note.objects.len());
            return Err(ImportError::Shrunk(text));
        }
        Ok(())
    }

    /// Whether an object there is other than it was when it came.
    fn is_wanted(&self, note: &Note, name: &str, listed: &Listed) -> bool {
        match note.objects.get(name) {
            None => true,
            Some(_) if self.mode == Mode::Sweep => false,
            // Without a tag nobody knows.
            Some(known) => listed.etag.is_empty() || known.etag != listed.etag,
        }
    }

    /// Brings what is new and what has changed; whether all of it came.
    async fn bring(
        &self,
        client: &mut Client,
        notes: &mut Notes,
        there: &SourceCollection,
        here: &Container,
        note: &mut Note,
        listed: &BTreeMap<String, Listed>,
    ) -> Result<bool, ImportError> {
        let wanted: Vec<(&String, &Listed)> =
            listed.iter().filter(|(name, object)| self.is_wanted(note, name, object)).collect();
        let (mut is_whole, mut unnoted) = (true, 0);
        for batch in wanted.chunks(BATCH_OBJECTS) {
            let objects: Vec<&Listed> = batch.iter().map(|(_, object)| *object).collect();
            let fetched = fetch(client, there, &objects).await?;
            for ((name, object), fetched) in batch.iter().zip(fetched) {
                is_whole &= self.take(there, here, note, (name, object), fetched).await?;
            }
            unnoted += batch.len();
            if unnoted >= NOTED_OBJECTS {
                notes.keep(self.account, note.clone()).await?;
                unnoted = 0;
            }
        }
        Ok(is_whole)
    }

    /// Puts one object here; whether it is here now as it should.
    async fn take(
        &self,
        there: &SourceCollection,
        here: &Container,
        note: &mut Note,
        (name, listed): (&str, &Listed),
        fetched: Fetched,
    ) -> Result<bool, ImportError> {
        let shown = format!("{}/{name}", there.name);
        let (etag, text) = match fetched {
            Fetched::Object { etag, text } => (if etag.is_empty() { listed.etag.clone() } else { etag }, text),
            Fetched::Gone => return Ok(true),
            Fetched::Damaged(why) => {
                self.report.damaged(format!("{shown}: {why}"));
                return Ok(false);
            }
        };
        let length = text.len() as u64;
        let known = note.objects.get(name).map(|known| (known.name.as_deref().unwrap_or(name), known.blob));
        let replaces = self.mode != Mode::Sweep;
        let object = There { name, text, known, replaces };
        match self.objects.bring(self.account, (here.id, here.kind), object).await? {
            Brought::Here { name: own, blob, is_new, is_over } => {
                if is_over {
                    self.report.note(format!("{shown}: it was changed here, and is as it is at the source again"));
                }
                if is_new {
                    self.report.with(|report| {
                        report.messages += 1;
                        report.bytes += length;
                    });
                }
                let own = Some(own).filter(|own| own != name);
                note.objects.insert(name.to_owned(), Known { etag, name: own, blob });
                Ok(true)
            }
            Brought::Kept => {
                self.report.note(format!("{shown}: what is here of the same UID is other, and stays"));
                Ok(true)
            }
            Brought::Refused(why) => {
                self.report.damaged(format!("{shown}: it can't be kept here: {why}"));
                Ok(false)
            }
        }
    }

    /// Removes what is gone there, unless it was changed here.
    async fn remove(
        &self,
        here: &Container,
        note: &mut Note,
        listed: &BTreeMap<String, Listed>,
    ) -> Result<(), ImportError> {
        let gone: Vec<String> = note.objects.keys().filter(|name| !listed.contains_key(*name)).cloned().collect();
        for name in gone {
            let Some(known) = note.objects.remove(&name) else { continue };
            let own = known.name.unwrap_or(name);
            match self.account.item_named(here.id, &own, ItemParts::default()).await? {
                None => {}
                Some(item) if item.blob != known.blob => {
                    self.report
                        .note(format!("{}/{own}: it is gone at the source and was changed here; it stays", here.name));
                }
                Some(_) => {
                    let step = Mutation::Remove { container: here.id, name: own };
                    self.account.commit(OperationId::random(), vec![step]).await?;
                    self.report.with(|report| report.expunged += 1);
                }
            }
        }
        Ok(())
    }

    /// Compares what is here with what the source lists.
    async fn verify(
        &self,
        there: &SourceCollection,
        here: &Container,
        note: &Note,
        listed: &BTreeMap<String, Listed>,
    ) -> Result<(), ImportError> {
        let found = self.contents(here).await?;
        for name in listed.keys() {
            self.report.with(|report| report.compared += 1);
            let known = note.objects.get(name);
            let here = known.and_then(|known| found.get(known.name.as_deref().unwrap_or(name)));
            match (known, here) {
                (Some(known), Some(here)) if known.blob == *here => {}
                (_, None) => self.report.difference(format!("{}/{name}: it is not here", there.name)),
                _ => {
                    let remedy = "delete it here and run the import again to have it as it is there";
                    self.report.difference(format!("{}/{name}: it was changed here; {remedy}", there.name));
                }
            }
        }
        Ok(())
    }

    /// What is in a collection here, by name.
    async fn contents(&self, here: &Container) -> Result<HashMap<String, BlobHash>, ImportError> {
        let found = items(self.account, here.id, ItemParts::default()).await?;
        Ok(found.into_iter().filter_map(|item| Some((item.name?, item.blob))).collect())
    }
}
