//! Which names containers may have, the same in every engine.

use sterna_base::limits::CONTAINER_NAME_BYTES_MAX;

/// The separator between the names of a path; it can't be part of a name.
pub const SEPARATOR: char = '/';

/// Whether it has a length, no control character, and no separator.
pub fn is_valid_name(name: &str) -> bool {
    let allowed = |c: char| !c.is_control() && c != SEPARATOR;
    !name.is_empty() && name.len() <= CONTAINER_NAME_BYTES_MAX && name.chars().all(allowed)
}
