//! The gateway's own Redis: where it is, and how to be let in.
//!
//! Owns: reading the files of `--redis-secret-dir`, anew for each connection, so that a password can be
//! changed without a restart. Never: logs what is in them. Used by: `app`, for the keeper of messages.

use crate::args::RedisSettings;
use crds::policy::RedisServer;
use crds::secret::Secret;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

/// The most bytes of one file; a chain of ten large certificates has about 20 KiB.
const MOST_BYTES: u64 = 256 * 1024;

/// The server with what its folder holds at this moment. A file that is not there was not needed; one that
/// cannot be read is told in the log and left out.
#[must_use]
pub fn server(settings: &RedisSettings) -> RedisServer {
    let file = |name| read(&settings.secret_dir.as_ref()?.join(name));
    let line = |name| {
        let text = String::from_utf8(file(name)?).ok()?;
        // Editors and `echo` end a file with a line ending that is no part of the password.
        Some(text.trim_end_matches(['\r', '\n']).to_owned())
    };
    RedisServer {
        url: settings.url.clone(),
        username: line("username").filter(|name| !name.is_empty()),
        password: line("password").map(Secret::new),
        ca: file("ca.crt"),
        client: file("tls.crt").zip(file("tls.key").map(Secret::new)),
    }
}

fn read(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) if bytes.len() as u64 <= MOST_BYTES => Some(bytes),
        Ok(_) => {
            tracing::warn!(?path, "file of the redis secret is larger than 256 KiB");
            None
        }
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => {
            tracing::warn!(?path, error = error.to_string(), "file of the redis secret");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn credentials_are_read_anew_and_without_line_ending() {
        let dir = std::env::temp_dir().join(format!("siar-redis-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let settings = RedisSettings {
            url: "redis://localhost".to_owned(),
            secret_dir: Some(dir.clone()),
        };
        assert_eq!(server(&settings).password, None);
        fs::write(dir.join("password"), "hunter2\n").unwrap();
        fs::write(dir.join("tls.crt"), "without a key").unwrap();
        let read = server(&settings);
        fs::remove_dir_all(&dir).unwrap();
        assert_eq!(read.password, Some(Secret::new("hunter2".to_owned())));
        assert_eq!((read.username, read.ca, read.client), (None, None, None));
    }
}
