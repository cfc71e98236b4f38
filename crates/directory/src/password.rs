//! Hashing passwords with argon2id. Blocking and slow on purpose; [`crate::auth`] bounds how many run at once.

mod foreign;

use argon2::password_hash::phc::PasswordHash as Phc;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use sterna_account::scram::{ITERATIONS, ITERATIONS_MIN, ScramVerifier};
use sterna_base::Secret;
use sterna_base::ids::random_bytes;
use sterna_formats::sasl::saslprep;

use crate::model::{PasswordHash, Scram};
use foreign::Foreign;

/// Longest password, in bytes: hashing takes the whole input, and nobody types a megabyte.
pub const PASSWORD_BYTES_MAX: usize = 1024;

/// What hashing costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordCost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
    /// Iterations of what SCRAM keeps.
    pub scram_iterations: u32,
}

impl PasswordCost {
    /// The first of OWASP's equivalent choices for argon2id that fits many log-ins at once: 19 MiB, two passes.
    pub const DEFAULT: PasswordCost =
        PasswordCost { memory_kib: 19 * 1024, passes: 2, lanes: 1, scram_iterations: ITERATIONS };
    /// The least that the algorithm allows: for tests only.
    pub const TEST: PasswordCost =
        PasswordCost { memory_kib: 8, passes: 1, lanes: 1, scram_iterations: ITERATIONS_MIN };

    fn hasher(self) -> Result<Argon2<'static>, PasswordError> {
        let params = Params::new(self.memory_kib, self.passes, self.lanes, None).map_err(|_| PasswordError::Cost)?;
        Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
    }
}

/// Why a password was not hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PasswordError {
    /// Longer than [`PASSWORD_BYTES_MAX`].
    #[error("the password is longer than {PASSWORD_BYTES_MAX} bytes")]
    TooLong,
    /// There is none.
    #[error("the password is empty")]
    Empty,
    /// The parameters are outside of what argon2 allows.
    #[error("the parameters of password hashing are not allowed")]
    Cost,
    /// The algorithm failed: not enough memory.
    #[error("the password could not be hashed")]
    Failed,
}

/// Hashes a password with a fresh salt.
///
/// # Errors
/// [`PasswordError`].
pub fn hash(password: &Secret, cost: PasswordCost) -> Result<PasswordHash, PasswordError> {
    match password.expose().len() {
        0 => return Err(PasswordError::Empty),
        n if n > PASSWORD_BYTES_MAX => return Err(PasswordError::TooLong),
        _ => {}
    }
    let salt: [u8; 16] = sterna_base::ids::random_bytes();
    let hash = cost
        .hasher()?
        .hash_password_with_salt(password.expose().as_bytes(), &salt)
        .map_err(|_| PasswordError::Failed)?;
    Ok(PasswordHash(hash.to_string()))
}

/// What SCRAM needs of a password; `None` when the password has no form in which every client has it.
pub fn scram(password: &Secret, cost: PasswordCost) -> Option<Scram> {
    let prepared = saslprep(password.expose())?;
    Some(Scram(ScramVerifier::new(&prepared, random_bytes(), cost.scram_iterations).to_string()))
}

/// What a hash from elsewhere may cost at most: one that takes minutes or all memory would stop everybody's log-ins.
const FOREIGN_COST_MAX: PasswordCost =
    PasswordCost { memory_kib: 256 * 1024, passes: 16, lanes: 16, scram_iterations: 0 };

fn is_affordable(phc: &Phc) -> bool {
    let max = FOREIGN_COST_MAX;
    Params::try_from(phc).is_ok_and(|params| {
        params.m_cost() <= max.memory_kib && params.t_cost() <= max.passes && params.p_cost() <= max.lanes
    })
}

/// Whether the password is the one that was hashed. The hash's own parameters count, if they can be afforded.
pub fn verify(password: &Secret, hash: &PasswordHash) -> bool {
    if password.expose().len() > PASSWORD_BYTES_MAX {
        return false;
    }
    if let Some(foreign) = Foreign::parse(&hash.0) {
        return foreign.verify(password.expose().as_bytes());
    }
    Phc::new(&hash.0).is_ok_and(|phc| {
        is_affordable(&phc) && Argon2::default().verify_password(password.expose().as_bytes(), &phc).is_ok()
    })
}

/// Whether a hash was made with other parameters than those in use: it should be made again at the next log-in.
pub fn is_outdated(hash: &PasswordHash, cost: PasswordCost) -> bool {
    let Ok(phc) = Phc::new(&hash.0) else { return true };
    match Params::try_from(&phc) {
        Ok(params) => {
            phc.algorithm.as_str() != "argon2id"
                || params.m_cost() != cost.memory_kib
                || params.t_cost() != cost.passes
                || params.p_cost() != cost.lanes
        }
        Err(_) => true,
    }
}

/// Whether this is a hash that [`verify`] can read, at a cost that can be afforded.
pub(crate) fn is_hash(hash: &PasswordHash) -> bool {
    let is_own = |phc: Phc| phc.algorithm.as_str().starts_with("argon2") && phc.hash.is_some() && is_affordable(&phc);
    Foreign::parse(&hash.0).is_some() || Phc::new(&hash.0).is_ok_and(is_own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_password_verifies() {
        let hash = hash(&Secret::new("correct horse"), PasswordCost::TEST).unwrap();
        assert!(verify(&Secret::new("correct horse"), &hash));
        assert!(!verify(&Secret::new("correct horsf"), &hash));
        assert!(!verify(&Secret::new(""), &hash));
        assert!(is_hash(&hash) && !is_hash(&PasswordHash("plain".into())));
        // Nobody's log-in takes hours because somebody's hash does.
        for (cheap, dear) in [("t=1", "t=4294967295"), ("m=8", "m=2097152"), ("p=1", "p=1000")] {
            assert!(hash.0.contains(cheap), "{hash:?}");
            let dear = PasswordHash(hash.0.replacen(cheap, dear, 1));
            assert!(!is_hash(&dear) && !verify(&Secret::new("correct horse"), &dear), "{cheap}");
        }
    }

    #[test]
    fn a_hash_with_other_parameters_is_outdated() {
        let hash = hash(&Secret::new("x"), PasswordCost::TEST).unwrap();
        assert!(!is_outdated(&hash, PasswordCost::TEST));
        assert!(is_outdated(&hash, PasswordCost::DEFAULT));
    }

    #[test]
    fn a_hash_of_another_system_is_believed_until_it_is_made_again() {
        let hash = PasswordHash("{SSHA}LhKrkM9Fy+zlstjdD7Kv2s6QvhBzYWx0".to_owned());
        assert!(is_hash(&hash) && verify(&Secret::new("correct horse"), &hash));
        assert!(!verify(&Secret::new("correct horsf"), &hash) && is_outdated(&hash, PasswordCost::TEST));
    }

    #[test]
    fn empty_and_endless_passwords_are_refused() {
        assert_eq!(hash(&Secret::new(""), PasswordCost::TEST).unwrap_err(), PasswordError::Empty);
        let long = Secret::new("x".repeat(PASSWORD_BYTES_MAX + 1));
        assert_eq!(hash(&long, PasswordCost::TEST).unwrap_err(), PasswordError::TooLong);
    }
}
