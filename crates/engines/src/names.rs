//! Which names containers may have, the same in every engine.

use sterna_base::ContainerId;
use sterna_base::limits::CONTAINER_NAME_BYTES_MAX;

/// The separator between the names of a path; it can't be part of a name.
pub const SEPARATOR: char = '/';

/// The name of a container in a copy that follows, while another has its own: one that [`is_valid_name`] refuses.
pub fn parked(id: ContainerId) -> String {
    format!("{SEPARATOR}{}", id.0)
}

/// Whether it has a length, no control character, and no separator.
pub fn is_valid_name(name: &str) -> bool {
    let allowed = |c: char| !c.is_control() && c != SEPARATOR;
    !name.is_empty() && name.len() <= CONTAINER_NAME_BYTES_MAX && name.chars().all(allowed)
}
