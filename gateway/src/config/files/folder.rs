//! Reads the manifests of a file or a folder.
//!
//! Owns: which files are manifests, and the bounds of reading. Never: parses one; keeps anything. Used by:
//! `files`, and by `check`.

use crds::manifest::MANIFEST_BYTES;
use crds::secret::Secret;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

/// The most manifest files of a folder.
pub const MOST_FILES: usize = 1000;
/// How manifest files end; others in the folder are none.
const ENDINGS: [&str; 3] = ["yaml", "yml", "json"];

/// What each file held, by path. Equal readings mean that nothing changed.
pub type Reading = BTreeMap<PathBuf, Result<Secret<String>, Unreadable>>;

/// Why a file that is there could not be read; its Channels stay as they were.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("the file is larger than {MANIFEST_BYTES} bytes; divide it into several")]
    TooLarge,
    #[error("the file is not UTF-8; save it as UTF-8")]
    NotText,
    #[error("the file cannot be read ({0}); mend its permissions or remove it")]
    Io(String),
}

/// Why a folder could not be read at all; everything stays as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoReading {
    #[error("{path}: holds more than {MOST_FILES} manifest files; join some")]
    TooMany { path: PathBuf },
    #[error("{path}: cannot be listed ({cause}); mend its permissions")]
    List { path: PathBuf, cause: String },
}

/// Reads `path`, or every manifest directly in it. Nothing there is an empty reading: a vanished file
/// takes its Channels with it.
pub fn read(path: &Path) -> Result<Reading, NoReading> {
    let mut reading = Reading::new();
    for file in manifests(path)? {
        match text(&file) {
            Ok(None) => {}
            Ok(Some(text)) => drop(reading.insert(file, Ok(Secret::new(text)))),
            Err(unreadable) => drop(reading.insert(file, Err(unreadable))),
        }
    }
    Ok(reading)
}

fn manifests(path: &Path) -> Result<Vec<PathBuf>, NoReading> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let list = |error: io::Error| NoReading::List {
        path: path.to_owned(),
        cause: error.to_string(),
    };
    let mut found = Vec::new();
    for entry in path.read_dir().map_err(list)? {
        let file = entry.map_err(list)?.path();
        // Mounted ConfigMaps keep their versions in hidden folders and link to them.
        let hidden = file
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let manifest = file
            .extension()
            .is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known));
        if !hidden && manifest {
            found.push(file);
        }
        if found.len() > MOST_FILES {
            return Err(NoReading::TooMany {
                path: path.to_owned(),
            });
        }
    }
    Ok(found)
}

/// None: the file is not there, or it is a folder.
fn text(path: &Path) -> Result<Option<String>, Unreadable> {
    let io = |error: &io::Error| Unreadable::Io(error.kind().to_string());
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(&error)),
    };
    let mut bytes = Vec::new();
    match file.take(MANIFEST_BYTES as u64 + 1).read_to_end(&mut bytes) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::IsADirectory => return Ok(None),
        Err(error) => return Err(io(&error)),
    }
    if bytes.len() > MANIFEST_BYTES {
        return Err(Unreadable::TooLarge);
    }
    String::from_utf8(bytes)
        .map(Some)
        .map_err(|_invalid| Unreadable::NotText)
}
