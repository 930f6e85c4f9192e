//! Printed files are what the types print today; every stale one says the command that mends it.

use std::path::Path;

/// The one command to know.
pub const MEND: &str = "UPDATE=1 cargo test -p tests golden";

/// Compares the file at `path`, below the top of the repository, with `fresh`, or rewrites it.
#[track_caller]
pub fn check(path: &str, fresh: &str) {
    let stale = stale(path, fresh);
    assert!(stale.is_none(), "{}", stale.unwrap_or_default());
}

/// The same; the answer is what to do about a stale file.
pub fn stale(path: &str, fresh: &str) -> Option<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    let kept = std::fs::read_to_string(&file).unwrap_or_default();
    if kept == fresh {
        return None;
    }
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&file, fresh).unwrap_or_else(|error| panic!("{path}: {error}"));
        return None;
    }
    Some(format!("{path} is stale; run: {MEND}"))
}

#[test]
fn golden_crd_is_what_the_types_print() {
    check("crds/channels.siar.dev.yaml", &crds::printed());
}
