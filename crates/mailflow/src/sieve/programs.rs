//! Compiled scripts that are kept, by their content's name.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use sterna_account::service::ScriptFault;
use sterna_base::BlobHash;

use super::limits::PROGRAMS_KEPT_MAX;
use super::program::{Program, compile};

/// A compiled script, or why it can't be.
pub type Compiled = Result<Arc<Program>, ScriptFault>;

/// See the module.
#[derive(Default)]
pub struct Programs(Mutex<HashMap<BlobHash, Compiled>>);

impl Programs {
    /// The one of this name, if it is kept.
    pub fn kept(&self, hash: BlobHash) -> Option<Compiled> {
        self.0.lock().get(&hash).cloned()
    }

    /// Compiles a script, unless it is kept.
    pub async fn compile(&self, text: Bytes) -> Compiled {
        let hash = BlobHash::of(&text);
        if let Some(kept) = self.kept(hash) {
            return kept;
        }
        let compiling = tokio::task::spawn_blocking(move || compile(&text)).await;
        let broken = || Err(ScriptFault { line: 1, text: "the script can't be read".to_owned() });
        let compiled = compiling.unwrap_or_else(|_| broken()).map(Arc::new);
        let mut kept = self.0.lock();
        if kept.len() >= PROGRAMS_KEPT_MAX {
            kept.clear();
        }
        kept.insert(hash, compiled.clone());
        compiled
    }
}
