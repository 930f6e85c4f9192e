//! The bytes of a Snapshot, as a Secret or its mounted copy holds them.
//!
//! Owns: unpacking them away from the control runtime, and only when they are others than the last time. Used by:
//! `secret`.

use crds::snapshot::Snapshot;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::Read;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::task::spawn_blocking;

/// Where the operator puts them.
pub const KEY: &str = "snapshot.json.gz";
/// The most bytes of a copy; a Secret holds half of it.
const MOST_BYTES: u64 = 2 * 1024 * 1024;

/// What was unpacked last.
#[derive(Default)]
pub struct Packed {
    /// Hash of the last bytes, good or bad.
    seen: Option<[u8; 32]>,
    /// Of the last good ones.
    revision: Option<Arc<str>>,
}

impl Packed {
    /// Whether there were good bytes.
    pub fn is_in_force(&self) -> bool {
        self.revision.is_some()
    }

    /// The Snapshot in `bytes`; none if it is the last one, or if the bytes are the last ones, good or bad.
    pub async fn take(&mut self, bytes: Vec<u8>) -> Result<Option<Arc<Snapshot>>, String> {
        let hash: [u8; 32] = Sha256::digest(&bytes).into();
        if self.seen.replace(hash) == Some(hash) {
            return Ok(None);
        }
        if bytes.is_empty() {
            return Err(format!("it holds nothing at {KEY}"));
        }
        let unpacked = spawn_blocking(move || Snapshot::unpack(&bytes)).await;
        let snapshot = unpacked
            .map_err(|_panic| "the snapshot cannot be read".to_owned())?
            .map_err(|error| error.to_string())?;
        if self.revision.as_ref() == Some(&snapshot.revision) {
            return Ok(None);
        }
        self.revision = Some(snapshot.revision.clone());
        Ok(Some(Arc::new(snapshot)))
    }
}

/// The bytes of the file, or why they cannot be had.
pub async fn read(path: PathBuf) -> Result<Vec<u8>, String> {
    let read = move || {
        let mut bytes = Vec::new();
        let file = File::open(&path).map_err(|error| error.to_string())?;
        file.take(MOST_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| error.to_string())?;
        if bytes.len() as u64 > MOST_BYTES {
            return Err("it is larger than 2 MiB".to_owned());
        }
        Ok(bytes)
    };
    spawn_blocking(read)
        .await
        .unwrap_or_else(|error| Err(error.to_string()))
}
