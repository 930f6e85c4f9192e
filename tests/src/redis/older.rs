//! What a Redis has on its disk, kept for a later start from it.
//!
//! Owns: the copy. Never: is consistent with what is written meanwhile: the end of the newest file may be torn, as after
//! a power cut. Used by: tests of a Redis that starts from an older save.

use super::Redis;
use crate::process::folder;
use std::path::Path;

/// What the server had on its disk at one moment.
pub struct Older {
    folder: tempfile::TempDir,
}

impl Redis {
    /// What is on its disk now.
    #[must_use]
    pub fn keep(&self) -> Older {
        let older = Older { folder: folder() };
        copy(self.folder.path(), older.folder.path());
        older
    }

    /// Starts it again from what was on its disk then.
    pub async fn start_from(&mut self, older: &Older) {
        for entry in std::fs::read_dir(self.folder.path()).expect("the folder is ours") {
            let path = entry.expect("the folder is ours").path();
            if path.is_dir() {
                std::fs::remove_dir_all(&path).expect("the folder is ours");
            }
        }
        copy(older.folder.path(), self.folder.path());
        self.start_again().await;
    }
}

/// Copies everything but the log.
fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("the folder is ours") {
        let path = entry.expect("the folder is ours").path();
        let name = path.file_name().expect("entries have names");
        if path.is_dir() {
            std::fs::create_dir_all(to.join(name)).expect("the folder is ours");
            copy(&path, &to.join(name));
        } else if name != "log" {
            std::fs::copy(&path, to.join(name)).expect("the folder is ours");
        }
    }
}
