//! Collections that become what they are in the archive: what differs is replaced, and what is not in it goes.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use sterna_account::{Container, ContainerKind, ItemParts, Mutation};
use sterna_base::{ContainerId, OperationId};

use super::{TakeError, Taker};
use crate::dav::note::items;
use crate::limits::{BATCH_OBJECTS, REMOVED_OBJECTS_FREE};
use crate::objects::{Brought, There};

/// What the archive has of each collection.
#[derive(Default)]
pub(super) struct Follows {
    /// Names here.
    names: HashMap<ContainerId, HashSet<String>>,
    /// Collections of which an object could not be taken in: what is here of it must not go.
    unsure: HashSet<ContainerId>,
}

impl Taker<'_> {
    /// An object, in the place of what else is here of its UID.
    pub(super) fn follow_object(
        &mut self,
        place: (ContainerId, ContainerKind),
        path: &str,
        file: &str,
        text: Bytes,
    ) -> Result<(), TakeError> {
        let length = text.len() as u64;
        let there = There { name: file, text, known: None, replaces: true };
        let name = match self.handle.block_on(self.objects.bring(self.account, place, there))? {
            Brought::Here { name, is_new, is_over, .. } => {
                match (is_new, is_over) {
                    (true, true) => self.taken.changed += 1,
                    (true, false) => {
                        self.taken.added.objects += 1;
                        self.taken.added.bytes += length;
                    }
                    (false, _) => self.taken.unchanged += 1,
                }
                name
            }
            Brought::Kept => {
                self.follows.unsure.insert(place.0);
                self.refuse(path, "somebody changes it just now");
                return Ok(());
            }
            Brought::Refused(why) => {
                self.follows.unsure.insert(place.0);
                self.refuse(path, why);
                return Ok(());
            }
        };
        self.follows.names.entry(place.0).or_default().insert(name);
        Ok(())
    }

    /// Removes what the archive doesn't have, from the collections that it has.
    pub(super) fn remove_others(&mut self) -> Result<(), TakeError> {
        for wanted in self.manifest.collections.clone() {
            let container = self.collection(&wanted.dir)?;
            let known = self.follows.names.remove(&container.id).unwrap_or_default();
            if self.follows.unsure.contains(&container.id) {
                continue;
            }
            let here = self.handle.block_on(items(self.account, container.id, ItemParts::default()))?;
            let count = here.len();
            let others: Vec<String> =
                here.into_iter().filter_map(|item| item.name).filter(|name| !known.contains(name)).collect();
            // An archive that lacks that much is more likely to be the wrong one.
            if others.len() > REMOVED_OBJECTS_FREE && others.len() * 2 > count {
                let why = format!("{} of its {count} objects are not in the archive: none is deleted", others.len());
                self.refuse(&wanted.name, why);
                continue;
            }
            self.remove(&container, &others)?;
        }
        Ok(())
    }

    fn remove(&mut self, container: &Container, names: &[String]) -> Result<(), TakeError> {
        for some in names.chunks(BATCH_OBJECTS) {
            let step = |name: &String| Mutation::Remove { container: container.id, name: name.clone() };
            let steps = some.iter().map(step).collect();
            self.handle.block_on(self.account.commit(OperationId::random(), steps))?;
            self.taken.removed += some.len() as u64;
        }
        Ok(())
    }
}
