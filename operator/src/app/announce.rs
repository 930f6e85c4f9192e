//! Tells scripts where the operator listens.
//!
//! Owns: the address really bound, the ready file. Used by: `app`.

use serde::Serialize;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// The address really bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Addresses {
    pub admin: SocketAddr,
}

/// Writes `addresses` as JSON to `path`. Whoever sees the file sees all of it.
pub fn write_ready_file(path: &Path, addresses: &Addresses) -> io::Result<()> {
    let next = beside(path);
    fs::write(&next, serde_json::to_vec(addresses)?)?;
    fs::rename(&next, path)
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".next");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_file_is_json_with_the_address() {
        let name = format!("siar-operator-ready-{}.json", std::process::id());
        let path = std::env::temp_dir().join(name);
        let addresses = Addresses {
            admin: "127.0.0.1:9090".parse().unwrap(),
        };
        write_ready_file(&path, &addresses).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert_eq!(text, r#"{"admin":"127.0.0.1:9090"}"#);
    }
}
