//! Which right a command needs (RFC 4314 section 4).

use sterna_account::{FlagSet, Rights, SystemFlag};

use super::reply::{Fail, Reply, no_mailbox};

/// Any of these opens a mailbox for more than looking (RFC 4314 section 5.2). Flags are shared here, `\Seen` too.
pub const WRITING: Rights = Rights::from_letters("swite");

/// What lets somebody ask for their own rights (RFC 4314 section 4, MYRIGHTS).
pub const ASKING: Rights = Rights::from_letters("lrikxa");

/// Whether the rights suffice. Who may not even see a mailbox hears that there is none (RFC 4314 section 6).
///
/// # Errors
/// The answer to the command.
pub fn check(rights: Rights, needed: Rights) -> Result<(), Fail> {
    if rights.has(needed) {
        Ok(())
    } else if rights.has(Rights::LOOKUP) {
        Err(denied().into())
    } else {
        Err(no_mailbox().into())
    }
}

/// For what is not allowed.
pub fn denied() -> Reply {
    Reply::no("You have not the right to do that").code("NOPERM")
}

/// The right that a system flag needs.
fn right_of(flag: SystemFlag) -> Rights {
    match flag {
        SystemFlag::Seen => Rights::SEEN,
        SystemFlag::Deleted => Rights::DELETE,
        _ => Rights::WRITE,
    }
}

/// Those of the flags that may be changed.
pub fn allowed(flags: &FlagSet, rights: Rights) -> FlagSet {
    let system = SystemFlag::ALL.into_iter().filter(|flag| rights.has(right_of(*flag)));
    let system = system.fold(0, |sum, flag| sum | flag as u8) & flags.system;
    let keywords = if rights.has(Rights::WRITE) { flags.keywords.clone() } else { Vec::new() };
    FlagSet { system, keywords }
}

/// Whether every flag may be changed.
pub fn every_flag(rights: Rights) -> bool {
    rights.has(Rights::SEEN | Rights::WRITE | Rights::DELETE)
}

#[cfg(test)]
mod tests {
    use sterna_account::Keyword;

    use super::*;

    #[test]
    fn each_flag_needs_its_own_right() {
        let mut flags = FlagSet::default().with(SystemFlag::Seen).with(SystemFlag::Deleted).with(SystemFlag::Flagged);
        flags.insert(Keyword::new("$x").unwrap());
        let of = |letters: &str| allowed(&flags, Rights::parse(letters).unwrap());
        assert_eq!(of("swt"), flags);
        assert_eq!(of("lrs"), FlagSet::default().with(SystemFlag::Seen));
        assert_eq!(of("t"), FlagSet::default().with(SystemFlag::Deleted));
        assert_eq!((of("w").system, of("w").keywords.len()), (SystemFlag::Flagged as u8, 1));
        assert_eq!(of("lripkxea"), FlagSet::default());
    }
}
