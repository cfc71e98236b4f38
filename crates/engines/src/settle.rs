//! A standby copy that takes over while it is behind: what was half there is put in order.
//!
//! Its rows may be of two times: one of them may have lost its name to another whose newer form never came, hang below
//! a container that is deleted or below itself. Nothing of it is lost; it gets a place.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use sterna_account::Container;
use sterna_base::ContainerId;
use sterna_base::limits::CONTAINER_DEPTH_MAX;

use crate::names::is_valid_name;

/// Whether a copy that follows was its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Equality {
    /// Not since it began: parts of the account may be missing altogether.
    Never = 0,
    /// After the last page.
    Now = 1,
    /// After an earlier page; then one came that was not the last.
    Before = 2,
}

impl Equality {
    /// The one with this stored number.
    pub fn from_number(number: u8) -> Option<Self> {
        [Equality::Never, Equality::Now, Equality::Before].into_iter().find(|equality| *equality as u8 == number)
    }

    /// After another page.
    pub fn after(self, is_equal: bool) -> Self {
        match self {
            _ if is_equal => Equality::Now,
            Equality::Never => Equality::Never,
            Equality::Now | Equality::Before => Equality::Before,
        }
    }
}

/// The containers that must change, given all live ones, so that they are a tree in which every name and every special
/// use is there once.
pub fn settled(containers: &[Container]) -> Vec<Container> {
    let mut all: BTreeMap<ContainerId, Container> =
        containers.iter().map(|container| (container.id, container.clone())).collect();
    for container in containers {
        if !reaches_top(&all, container.id)
            && let Some(container) = all.get_mut(&container.id)
        {
            container.parent = None;
        }
    }
    let place = |container: &Container| (container.parent, container.kind, container.name.clone());
    let is_settled = |container: &&Container| {
        let is_moved = all[&container.id].parent != container.parent;
        !is_moved && is_valid_name(&container.name)
    };
    let mut places: HashSet<_> = containers.iter().filter(is_settled).map(place).collect();
    let unsettled: Vec<ContainerId> =
        containers.iter().filter(|container| !is_settled(container)).map(|container| container.id).collect();
    for id in unsettled {
        let Some(container) = all.get_mut(&id) else { continue };
        let mut attempts = 0;
        while !is_valid_name(&container.name) || !places.insert(place(container)) {
            container.name =
                if attempts == 0 { format!("recovered-{id}") } else { format!("recovered-{id}-{attempts}") };
            attempts += 1;
        }
    }
    let mut uses = BTreeSet::new();
    // The newest has it: an older one was about to be deleted.
    for container in all.values_mut().rev() {
        container.special_use = container.special_use.filter(|special_use| uses.insert(*special_use));
    }
    containers.iter().filter_map(|old| all.remove(&old.id).filter(|new| new != old)).collect()
}

/// Whether the way up ends, and soon enough.
fn reaches_top(all: &BTreeMap<ContainerId, Container>, id: ContainerId) -> bool {
    let mut at = Some(id);
    for _ in 0..=CONTAINER_DEPTH_MAX {
        match at {
            None => return true,
            Some(id) => match all.get(&id) {
                Some(container) => at = container.parent,
                None => return false,
            },
        }
    }
    false
}
