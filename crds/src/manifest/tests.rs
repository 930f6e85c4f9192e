//! Manifests as people write them, and as they get them wrong.

use super::*;
use proptest::prelude::*;

#[track_caller]
fn one(text: &str) -> Result<Document, ManifestError> {
    let mut documents = parse(text, "home");
    assert_eq!(documents.len(), 1, "{documents:?}");
    documents.remove(0)
}

#[track_caller]
fn check(text: &str, line: u64, said: &str) {
    let error = one(text).expect_err("a mistake");
    assert_eq!(error.line, line, "{error}");
    assert!(error.message.contains(said), "{error}");
}

/// A Channel whose spec is `spec`, which begins on line 5.
fn channel(spec: &str) -> String {
    format!(
        "apiVersion: siar.dev/v1alpha1\nkind: Channel\nmetadata: {{name: orders}}\nspec:\n{spec}"
    )
}

#[track_caller]
fn read(text: &str) -> Channel {
    match one(text).map(|document| document.object) {
        Ok(Object::Channel(channel)) => *channel,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_channel_gets_the_defaults_of_the_schema_and_its_namespace() {
    let channel = read(&channel("  history: {size: 10}\n  topics:\n"));
    assert_eq!(channel.metadata.namespace.as_deref(), Some("home"));
    assert_eq!(channel.spec.gateway, "default");
    assert_eq!(channel.spec.limits.streams, 100_000);
    assert_eq!(channel.spec.stream.max_age.as_str(), "30m");
    assert_eq!(channel.spec.history.unwrap().ttl.as_str(), "1h");
    assert!(channel.spec.topics.is_empty());
    assert!(channel.spec.access.is_none());
}

#[test]
fn a_file_holds_several_documents_and_lists() {
    let text = "---\n# nothing\n---\napiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: shop}\nstringData: {k: v}\n---\nkind: List\napiVersion: v1\nitems:\n- apiVersion: v1\n  kind: Secret\n  metadata: {name: b}\n- {kind: Pod, apiVersion: v1, metadata: {name: c}}\n";
    let documents = parse(text, "home");
    let names = documents.iter().map(|document| match document {
        Ok(document) => format!("{}/{}:{}", document.namespace, document.name, document.line),
        Err(error) => error.to_string(),
    });
    let names: Vec<String> = names.collect();
    assert_eq!(names[..2], ["shop/a:4", "home/b:12"], "{names:?}");
    assert!(names[2].starts_with("line 15: apiVersion \"v1\", kind \"Pod\" is not read"));
    assert_eq!(names.len(), 3);
}

#[test]
fn a_mistyped_field_is_named_with_its_line_and_its_neighbours() {
    check(
        &channel("  limits:\n    streamz: 5\n"),
        6,
        "there is no field spec.limits.streamz; known are messageBytes",
    );
    check(&channel("  acess: {}\n"), 5, "no field spec.acess");
    check(
        &channel("  access:\n    subscribe:\n    - token: {}\n"),
        7,
        "no field spec.access.subscribe[0].token;",
    );
    check(
        "apiVersion: siar.dev/v1alpha1\nkind: Channel\nmetadata:\n  name: a\n  namspace: b\nspec: {}\n",
        5,
        "no field metadata.namspace",
    );
}

#[test]
fn lines_are_those_of_the_file_not_of_the_document() {
    let good = channel("  wildcard: true\n");
    let text = format!("{good}---\n{}", channel("  limits: {streamz: 5}\n"));
    let documents = parse(&text, "home");
    assert!(documents[0].is_ok());
    assert_eq!(documents[1].as_ref().unwrap_err().line, 6 + 5);
}

#[test]
fn wrong_types_and_missing_fields_say_what_to_write() {
    check(
        &channel("  limits:\n    streams: \"5\"\n"),
        6,
        "spec.limits.streams is text, but must be a number; write it without quotes",
    );
    check(
        &channel("  limits: {streams: 9999999999}\n"),
        5,
        "whole number",
    );
    check(&channel("  limits: {streams: 1.5}\n"), 5, "whole number");
    check(&channel("  wildcard: yes\n"), 5, "must be true or false");
    check(&channel("  topics: orders\n"), 5, "must be a list");
    check(
        &channel("  topics: [5]\n"),
        5,
        "spec.topics[0] is a number, but must be text; put it in quotes",
    );
    check(
        &channel("  history: {ttl: 1h}\n"),
        5,
        "spec.history.size is missing",
    );
    check(
        &channel("  ingest: [Flask]\n"),
        5,
        "one of FlaskSse, Juggernaut, Raw",
    );
    check("5\n", 1, "the document is a number");
    check("kind: Channel\n", 1, "metadata.name is missing");
    check(
        "apiVersion: siar.dev/v1alpha1\nkind: Channel\nmetadata: {name: a}\n",
        1,
        "spec is missing",
    );
    check(&channel(""), 4, "spec is empty");
}

#[test]
fn broken_yaml_is_one_error_with_its_line() {
    check("kind: Channel\nspec: [\n", 2, "unclosed bracket");
    check(
        "kind: Channel\nkind: Secret\n",
        2,
        "duplicate mapping key: kind; mend it.",
    );
    check(&channel("  limits: {streams: 010}\n"), 5, "leading zeros");
    check(&"[".repeat(10_000), 1, "not YAML");
    check(&" ".repeat(MANIFEST_BYTES + 1), 1, "divide it");
}

#[test]
fn secrets_are_read_from_both_sections_and_never_repeated() {
    let head = "apiVersion: v1\nkind: Secret\nmetadata: {name: readers}\n";
    let document = one(&format!(
        "{head}data: {{ana: aHVudGVyMg==}}\nstringData: {{ben: 'x y'}}\n"
    ));
    let Object::Secret(data) = document.unwrap().object else {
        panic!("a Secret");
    };
    assert_eq!(data["ana"].expose(), b"hunter2");
    assert_eq!(data["ben"].expose(), b"x y");
    for wrong in [
        "data: {ana: hunter2!}\n",
        "data: {ana: [hunter2]}\n",
        "data: hunter2\n",
        "stringData: {ana: 20}\n",
        "stringData:\n  ana: \"hunter2\n",
        "stringData:\n  ana: !!int hunter2\n",
        "stringData:\n  ana: !!bool hunter2\n",
        "stringData:\n  ana: *hunter2\n",
        "stringData:\n  ana: hunter2: x\n",
        "stringData:\n  ana: %hunter2\n",
        "stringData:\n  ana: \"\\hunter2\"\n",
        "stringData:\n  ana: @hunter2\n",
        "stringData:\n  ana: !!binary hunter2\n",
        "stringData:\n  ana: !hunter2 x\n  5\n",
    ] {
        let error = one(&format!("{head}{wrong}"));
        let said = format!("{error:?}");
        assert!(!said.contains("hunter2"), "{wrong}: {said}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".{0,200}|([ \\-:\\[\\]{},\n\"'#&*!|>%@a1]{1,3}){0,60}") {
        for document in parse(&text, "home") {
            let _said = document.map_err(|error| error.to_string());
        }
    }
}
