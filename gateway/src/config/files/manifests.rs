//! The manifests in force, file by file.
//!
//! Owns: what stays of a file that changed and is wrong now. Pure. Used by: `files`, and by `check`.

use super::folder::Reading;
use crds::compile::{Compiled, compile};
use crds::fleet::Fleet;
use crds::manifest::{self, Document, Object};
use crds::name::ChannelName;
use crds::secrets::Secrets;
use crds::snapshot::Snapshot;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// The good documents of every file.
#[derive(Debug, Default)]
pub struct Manifests(BTreeMap<PathBuf, Vec<Document>>);

/// What is wrong with a file, and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    pub file: PathBuf,
    /// From 1; none when it is about the whole file.
    pub line: Option<u64>,
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file.display(), self.message),
            None => write!(f, "{}: {}", self.file.display(), self.message),
        }
    }
}

impl Manifests {
    /// Takes over what `reading` says. Of a file that is wrong somewhere the good documents are taken, and
    /// what was good before and is not among them stays: it may be what is wrong now.
    pub fn update(&mut self, reading: &Reading, default_namespace: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        self.0.retain(|file, _| reading.contains_key(file));
        for (file, text) in reading {
            let mut problem = |line, message| {
                let file = file.clone();
                problems.push(Problem {
                    file,
                    line,
                    message,
                });
            };
            let text = match text {
                Ok(text) => text.expose(),
                Err(unreadable) => {
                    problem(None, format!("{unreadable}."));
                    continue;
                }
            };
            let mut good = Vec::new();
            let mut is_wrong = false;
            for document in manifest::parse(text, default_namespace) {
                match document {
                    Ok(document) => good.push(document),
                    Err(error) => {
                        is_wrong = true;
                        problem(Some(error.line), error.message);
                    }
                }
            }
            let before = self.0.remove(file).unwrap_or_default();
            if is_wrong {
                let stays = |old: &Document| !good.iter().any(|new| same(old, new));
                let stay: Vec<Document> = before.into_iter().filter(stays).collect();
                good.extend(stay);
            }
            self.0.insert(file.clone(), good);
        }
        problems
    }

    /// Compiles all of it. A Secret that is declared twice is a problem; the last one counts.
    #[must_use]
    pub fn compile(&self, fleet: &Fleet, previous: Option<&Snapshot>) -> (Compiled, Vec<Problem>) {
        let mut secrets = Secrets::default();
        let mut channels = Vec::new();
        let mut problems = Vec::new();
        for (file, document) in self.documents() {
            match &document.object {
                Object::Channel(channel) => channels.push(&**channel),
                Object::Secret(data) => {
                    let Document {
                        namespace, name, ..
                    } = document;
                    if !secrets.insert(namespace, name, data.clone()) {
                        problems.push(Problem {
                            file: file.clone(),
                            line: Some(document.line),
                            message: format!(
                                "Secret {namespace}/{name} is declared twice; keep one of them."
                            ),
                        });
                    }
                }
            }
        }
        (compile(fleet, channels, &secrets, previous), problems)
    }

    /// Where the Channel is declared, as `file:line`.
    #[must_use]
    pub fn place(&self, channel: &ChannelName) -> Option<String> {
        self.documents()
            .find(|(_, document)| {
                matches!(document.object, Object::Channel(_))
                    && *document.namespace == **channel.namespace()
                    && *document.name == **channel.name()
            })
            .map(|(file, document)| format!("{}:{}", file.display(), document.line))
    }

    fn documents(&self) -> impl Iterator<Item = (&PathBuf, &Document)> {
        self.0
            .iter()
            .flat_map(|(file, documents)| documents.iter().map(move |document| (file, document)))
    }
}

/// Whether the two declare the same object.
fn same(a: &Document, b: &Document) -> bool {
    let kinds = std::mem::discriminant(&a.object) == std::mem::discriminant(&b.object);
    kinds && a.namespace == b.namespace && a.name == b.name
}
