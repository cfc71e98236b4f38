//! The signature under the signed file, verified by the distribution's own verifier against the pinned key alone.

use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::process::Command;
use tokio::time::timeout;

/// How long verifying may take.
const VERIFY_TIMEOUT: Duration = Duration::from_secs(30);

/// The text that the key signed. Only this is read: around it there may be anything.
pub(super) async fn verified(signed: &[u8], key: &str) -> Result<String, String> {
    let key = dearmored(key)?;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let (ring, file, text) =
        (folder.path().join("key.gpg"), folder.path().join("InRelease"), folder.path().join("text"));
    tokio::fs::write(&ring, key).await.map_err(|error| error.to_string())?;
    tokio::fs::write(&file, signed).await.map_err(|error| error.to_string())?;
    let mut gpgv = Command::new("gpgv");
    gpgv.arg("--quiet").arg("--keyring").arg(&ring).arg("--output").arg(&text).arg(&file);
    gpgv.env("LC_ALL", "C").env("GNUPGHOME", folder.path()).stdin(Stdio::null()).kill_on_drop(true);
    let said = timeout(VERIFY_TIMEOUT, gpgv.output()).await.map_err(|_| "gpgv did not come to an end".to_owned())?;
    let said = said.map_err(|error| format!("gpgv can't be run ({error}); install it: apt install gpgv"))?;
    if !said.status.success() {
        let lines = String::from_utf8_lossy(&said.stderr);
        let last = lines.lines().map(|line| line.trim_start_matches("gpgv: ")).rfind(|line| !line.is_empty());
        return Err(last.unwrap_or("gpgv says nothing more").to_owned());
    }
    let text = tokio::fs::read(&text).await.map_err(|_| "nothing in it is signed".to_owned())?;
    String::from_utf8(text).map_err(|_| "what is signed is no text".to_owned())
}

/// The key as gpgv reads it (RFC 9580 section 6.2).
pub(super) fn dearmored(armored: &str) -> Result<Vec<u8>, String> {
    let no_key = || "it is no armored public key (-----BEGIN PGP PUBLIC KEY BLOCK-----)".to_owned();
    let (_, rest) = armored.split_once("-----BEGIN PGP PUBLIC KEY BLOCK-----").ok_or_else(no_key)?;
    let (body, _) = rest.split_once("-----END PGP PUBLIC KEY BLOCK-----").ok_or_else(no_key)?;
    let mut lines = body.lines().skip(1).map(str::trim).peekable();
    // Headers, and the empty line after them.
    while lines.next_if(|line| line.is_empty() || line.contains(": ")).is_some() {}
    let text: String = lines.take_while(|line| !line.starts_with('=')).collect();
    match STANDARD.decode(text) {
        Ok(key) if !key.is_empty() => Ok(key),
        _ => Err(no_key()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn armor_is_taken_off() {
        let key = "junk\n-----BEGIN PGP PUBLIC KEY BLOCK-----\nComment: x\n\nAAEC\nAwQF\n=abcd\n-----END PGP PUBLIC KEY BLOCK-----\n";
        assert_eq!(dearmored(key).unwrap(), [0, 1, 2, 3, 4, 5]);
        for bad in ["", "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n-----END PGP PUBLIC KEY BLOCK-----", "AAEC"] {
            assert!(dearmored(bad).unwrap_err().contains("no armored public key"), "{bad}");
        }
    }
}
