//! The rules of style that a machine can check, each failure with the sentence that says what to do.
//!
//! Owns: length, layers, purity and dependencies of source files; that README and tests name what the code can say.
//! Never: judges taste.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

mod words;

const MOST_LINES: usize = 400;

/// The layers of each program from the bottom up: a module uses what stands on a line before its own, and those of the
/// first line each other.
const LAYERS: [(&str, &[&[&str]]); 2] = [
    (
        "gateway/src/",
        &[
            &[
                "address",
                "api_server",
                "args",
                "clock",
                "close",
                "few",
                "fixtures",
                "limits",
                "lookup",
                "message",
                "metrics",
                "newest",
                "outbound",
                "position",
                "readiness",
                "tasks",
                "telemetry",
            ],
            &["access", "ingest", "frame"],
            &["broker", "config", "evidence"],
            &["topics"],
            &["worker"],
            &["http", "admin"],
            &["app", "smoke"],
        ],
    ),
    (
        "operator/src/",
        &[
            &[
                "api",
                "args",
                "backoff",
                "calls",
                "chance",
                "clock",
                "metrics",
                "readiness",
                "tasks",
                "telemetry",
            ],
            &["lease", "stores"],
            &["events"],
            &["scale"],
            &["context"],
            &["gateway"],
            &["fleets", "admin"],
            &["app"],
        ],
    ),
];

/// Files without waiting, clocks and I/O; a name without ending means the file and the folder beside it.
const PURE: [&str; 16] = [
    "crds/src/",
    "gateway/src/worker/stream",
    "gateway/src/worker/cursor",
    "gateway/src/worker/ring",
    "gateway/src/worker/wheel",
    "gateway/src/topics/sequence",
    "gateway/src/ingest",
    "gateway/src/access",
    "gateway/src/frame",
    "gateway/src/smoke/events",
    "operator/src/gateway/collect",
    "operator/src/gateway/conditions",
    "operator/src/gateway/status",
    "operator/src/scale/counts",
    "operator/src/scale/past",
    "operator/src/scale/rules",
];

/// Crates that only some files of the gateway may name.
const KEPT_APART: [(&str, &[&str]); 4] = [
    ("redis", &["broker/redis"]),
    ("reqwest", &["outbound", "smoke/client.rs"]),
    (
        "kube",
        &["api_server.rs", "config/secret", "evidence/cluster.rs"],
    ),
    (
        "axum",
        &["http.rs", "http/", "admin.rs", "app.rs", "worker/accept.rs"],
    ),
];

/// The folder of the repository.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// All files below `folder` with one of these endings: their path from the root, and their text.
pub fn sources(folder: &str, endings: &[&str]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    walk(&root().join(folder), endings, &mut found);
    found.sort();
    found
}

fn walk(folder: &Path, endings: &[&str], found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            if name != "target" && !name.starts_with('.') {
                walk(&path, endings, found);
            }
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            let from_root = path
                .strip_prefix(root())
                .unwrap()
                .to_string_lossy()
                .into_owned();
            found.push((from_root, std::fs::read_to_string(&path).unwrap()));
        }
    }
}

/// No faults, or a panic with all of them.
#[track_caller]
pub fn none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// The lines of `text` without comments, with their numbers.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line));
    lines.map(|(at, line)| (at, line.split("//").next().unwrap_or_default()))
}

/// Where `word` stands alone in `line`: not a part of a longer name.
fn positions(line: &str, word: &str) -> Vec<usize> {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    let alone = |&(at, _): &(usize, &str)| {
        !line[..at].ends_with(part) && !line[at + word.len()..].starts_with(part)
    };
    line.match_indices(word)
        .filter(alone)
        .map(|(at, _)| at)
        .collect()
}

#[test]
fn no_source_file_is_longer_than_400_lines() {
    let long = sources("", &[".rs", ".lua", ".py", ".html"])
        .into_iter()
        .filter_map(|(path, text)| {
            let lines = text.lines().count();
            (lines > MOST_LINES)
                .then(|| format!("{path} has {lines} lines; look for the seam and split it"))
        });
    none(&long.collect::<Vec<_>>());
}

#[test]
fn modules_use_only_what_stands_below_them() {
    let mut faults = Vec::new();
    for (folder, layers) in LAYERS {
        let layer = |module: &str| layers.iter().position(|layer| layer.contains(&module));
        for (path, text) in sources(folder, &[".rs"]) {
            let module = module(folder, &path);
            if ["main", "lib"].contains(&module) {
                continue;
            }
            let Some(own) = layer(module) else {
                faults.push(format!(
                    "{path}: {module} has no layer; add it to the table in tidy.rs"
                ));
                continue;
            };
            for used in used(&text) {
                match layer(&used) {
                    _ if used == module => {}
                    None => faults.push(format!(
                        "{path} uses crate::{used}, which has no layer; add it to the table"
                    )),
                    Some(other) if other < own || (other, own) == (0, 0) => {}
                    Some(_) => faults.push(format!(
                        "{path} uses crate::{used}; hand it down from above as a value"
                    )),
                }
            }
        }
    }
    none(&faults);
}

/// The top module that a file of a program belongs to.
fn module<'a>(folder: &str, path: &'a str) -> &'a str {
    let inner = path.strip_prefix(folder).unwrap_or(path);
    inner
        .split('/')
        .next()
        .unwrap_or(inner)
        .trim_end_matches(".rs")
}

/// The top modules that stand after `crate::`, also in groups.
fn used(text: &str) -> BTreeSet<String> {
    let bare: String = code(text).map(|(_, line)| format!("{line}\n")).collect();
    let first = |text: &str| -> String {
        text.trim_start()
            .chars()
            .take_while(|&c| c.is_alphanumeric() || c == '_')
            .collect()
    };
    let mut found = BTreeSet::new();
    for at in positions(&bare, "crate") {
        let Some(rest) = bare[at + "crate".len()..].strip_prefix("::") else {
            continue;
        };
        let Some(group) = rest.strip_prefix('{') else {
            found.insert(first(rest));
            continue;
        };
        let mut depth = 0_usize;
        let mut begins = true;
        for (at, c) in group.char_indices() {
            match c {
                '}' if depth == 0 => break,
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => begins = true,
                c if begins && !c.is_whitespace() => {
                    found.insert(first(&group[at..]));
                    begins = false;
                }
                _ => {}
            }
        }
    }
    found.remove("");
    // What the crate's root exports with a capital or lower case macro name is no module.
    found.retain(|name| name.starts_with(|c: char| c.is_lowercase()));
    found
}

#[test]
fn pure_files_wait_for_nothing_and_read_no_clock() {
    let sources = sources("", &[".rs"]);
    let gone = |pure: &&str| !sources.iter().any(|(path, _)| path.starts_with(pure));
    let gone = PURE.into_iter().filter(gone);
    let mut faults: Vec<String> = gone
        .map(|pure| format!("no file begins with {pure}; mend the list in tidy.rs"))
        .collect();
    for (path, text) in sources {
        if !PURE.iter().any(|pure| path.starts_with(pure)) {
            continue;
        }
        // A unit test may need a first moment to count from.
        let own = text
            .split("#[cfg(test)]")
            .next()
            .unwrap_or_default()
            .lines()
            .count();
        for (at, line) in code(&text) {
            let clock = at <= own && !path.ends_with("/tests.rs") && line.contains("::now()");
            if clock || !positions(line, "async").is_empty() || !positions(line, "tokio").is_empty()
            {
                let mend = "this file is pure; take `now` or the value as a parameter, and wait in the file around it";
                faults.push(format!("{path}:{at}: {}: {mend}", line.trim()));
            }
        }
    }
    none(&faults);
}

#[test]
fn crates_depend_one_way() {
    let forbidden = [
        ("crds", &["gateway", "operator", "tests"][..]),
        ("gateway", &["operator", "tests"]),
        ("operator", &["gateway", "tests"]),
        ("tests", &["gateway", "operator"]),
    ];
    let mut faults = Vec::new();
    for (member, others) in forbidden {
        let manifest = std::fs::read_to_string(root().join(member).join("Cargo.toml")).unwrap();
        for line in manifest.lines() {
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            if others.contains(&name) {
                faults.push(format!(
                    "{member}/Cargo.toml: {line}: {member} does not depend on {name}"
                ));
            }
        }
    }
    none(&faults);
}

#[test]
fn crates_are_named_only_where_they_belong() {
    let mut faults = Vec::new();
    for (path, text) in sources("gateway/src", &[".rs"]) {
        let inner = path.strip_prefix("gateway/src/").unwrap();
        for (name, places) in KEPT_APART {
            if places.iter().any(|place| inner.starts_with(place)) {
                continue;
            }
            for (at, line) in code(&text) {
                let outside = |&at: &usize| {
                    !line[..at].ends_with("::") && line[at + name.len()..].starts_with("::")
                };
                let imported = line.trim_start().starts_with(&format!("use {name}"));
                if positions(line, name).iter().any(outside)
                    && (imported || !line.contains(&format!("mod {name}")))
                {
                    faults.push(format!(
                        "{path}:{at}: {}: {name} belongs in {places:?}",
                        line.trim()
                    ));
                }
            }
        }
    }
    none(&faults);
}
