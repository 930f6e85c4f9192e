//! The command line: `check` and its verdicts, wrong input, the environment, ports that are taken.

use super::open;
use crate::{Channel, Gateway, GatewaySetup};
use serde_json::json;
use std::path::Path;
use std::process::Command;
use tests::gateway::binary;
use tests::manifest::secret;

/// Exit code, standard output and standard error.
fn run(arguments: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let mut command = Command::new(binary("siar-gateway"));
    command.args(arguments).envs(environment.iter().copied());
    let output = command.output().expect("the gateway is built");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("it prints text");
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// A folder with these files.
fn folder(files: &[(&str, String)]) -> tempfile::TempDir {
    let folder = tests::process::folder();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn check(path: &Path, further: &[&str]) -> (Option<i32>, String) {
    let mut arguments = vec!["check", path.to_str().unwrap()];
    arguments.extend(further);
    let (code, out, error) = run(&arguments, &[]);
    assert_eq!(error, "");
    (code, out)
}

#[test]
fn check_accepts_what_the_gateway_would_serve() {
    let readers = secret("readers", &[("ana", "token-ana")]).to_string();
    let guarded = Channel::closed("guarded").tokens("subscribe", "readers");
    let all = folder(&[
        ("a.yaml", open("a")),
        ("b.yml", format!("{}\n---\n{readers}\n", guarded.manifest())),
        ("c.json", open("c")),
        ("notes.txt", "no manifest".into()),
    ]);
    let (code, out) = check(all.path(), &[]);
    assert_eq!(code, Some(0), "{out}");
    for channel in [
        "default/a accepted",
        "default/guarded accepted",
        "default/c accepted",
    ] {
        assert!(out.contains(channel), "{out}");
    }
    assert_eq!(out.lines().count(), 3, "{out}");
    assert!(!out.contains("token-ana"));
    let (code, out) = check(&all.path().join("a.yaml"), &["--default-namespace", "shop"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("shop/a accepted"), "{out}");
}

#[test]
fn check_names_file_line_and_mend_of_what_is_wrong() {
    let head = "apiVersion: siar.dev/v1alpha1\nkind: Channel\nmetadata: {name: x}\n";
    for (spec, words) in [
        ("spec:\n  wildcrd: true\n", &["a.yaml:5", "wildcrd"][..]),
        (
            "spec: {topics: ['a.{']}\n",
            &["default/x rejected InvalidTopic"],
        ),
        (
            "spec: {history: {size: 100001}}\n",
            &["default/x rejected InvalidSpec", "history.size"],
        ),
        (
            "spec: {ingest: [FlaskSse]}\n",
            &["default/x rejected NoRedis", "redis"],
        ),
        (
            "spec: {redis: {url: 'redis+cluster://a,b/1'}}\n",
            &["default/x rejected InvalidSpec", "no other than 0"],
        ),
        (
            "spec: {access: {subscribe: [{anonymous: {}, when: 'claims.'}]}}\n",
            &[
                "default/x rejected InvalidSpec",
                "subscribe[0].when",
                "column",
            ],
        ),
    ] {
        let one = folder(&[("a.yaml", format!("{head}{spec}")), ("b.yaml", open("b"))]);
        let (code, out) = check(one.path(), &[]);
        assert_eq!(code, Some(1), "{out}");
        let said = out
            .lines()
            .any(|line| words.iter().all(|word| line.contains(word)));
        assert!(said, "{words:?} in {out}");
        assert!(out.contains("default/b accepted"), "{out}");
    }
    let raw = folder(&[("a.yaml", format!("{head}spec: {{ingest: [Raw]}}\n"))]);
    assert_eq!(check(raw.path(), &["--with-redis"]).0, Some(0));
}

#[test]
fn check_tells_of_missing_secrets_and_taken_topics() {
    let guarded = Channel::closed("guarded").tokens("subscribe", "absent");
    let both = folder(&[
        (
            "a.yaml",
            Channel::open("owner").topics(&["t"]).manifest().to_string(),
        ),
        (
            "b.yaml",
            Channel::open("second")
                .topics(&["t"])
                .manifest()
                .to_string(),
        ),
        ("c.yaml", guarded.manifest().to_string()),
    ]);
    let (code, out) = check(both.path(), &[]);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("default/owner accepted"), "{out}");
    assert!(
        out.contains("default/second rejected TopicConflict"),
        "{out}"
    );
    assert!(
        out.contains("default/guarded unresolved SecretMissing"),
        "{out}"
    );
}

#[test]
fn check_of_nothing_is_wrong_input() {
    let empty = folder(&[]);
    for path in ["/nowhere/at/all", empty.path().to_str().unwrap()] {
        let (code, out, error) = run(&["check", path], &[]);
        assert_eq!((code, out.as_str()), (Some(2), ""));
        assert!(error.contains(path), "{error}");
    }
}

#[test]
fn wrong_input_ends_with_2_and_one_sentence() {
    let channels = folder(&[("a.yaml", open("a"))]);
    let path = channels.path().to_str().unwrap();
    for (arguments, says) in [
        (&[][..], "--channels"),
        (
            &["--channels", path, "--config-secret", "a/b"],
            "not from both",
        ),
        (&["--config-secret", "b"], "NAMESPACE/NAME"),
        (
            &["--channels", path, "--config-file", path],
            "--config-secret",
        ),
        (&["--channels", "/nowhere"], "/nowhere"),
        (&["--channels", path, "--listen", "nonsense"], "--listen"),
        (&["--channels", path, "--listen", "127.0.0.1"], "--listen"),
        (
            &["--channels", path, "--admin", "127.0.0.1:99999"],
            "--admin",
        ),
        (
            &["--channels", path, "--redis", "http://127.0.0.1"],
            "--redis",
        ),
        (
            &["--channels", path, "--redis", "redis://:hunter2@127.0.0.1"],
            "--redis",
        ),
        (&["--channels", path, "--workers", "0"], "--workers"),
        (&["--channels", path, "--drain", "soon"], "--drain"),
        (
            &["--channels", path, "--endpoint-delay", "2h"],
            "--endpoint-delay",
        ),
        (
            &["--channels", path, "--trusted-proxies", "300.0.0.0/8"],
            "--trusted-proxies",
        ),
        (&["--channels", path, "--cookie", "a b"], "--cookie"),
        (&["--channels", path, "--tls-dir", path], "--listen-tls"),
        (
            &["--channels", path, "--listen-tls", "127.0.0.1:0"],
            "--tls-dir",
        ),
        (&["--channels", path, "--log", "=x="], "--log"),
        (&["--channels", path, "--log-format", "xml"], "--log-format"),
        (&["--channels", path, "--gateway", "No Label"], "--gateway"),
        (
            &["--channels", path, "--redis-key-prefix", "{x}"],
            "--redis-key-prefix",
        ),
        (&["--channels", path, "--colour"], "--colour"),
        (&["serve"], "serve"),
    ] {
        let (code, out, error) = run(arguments, &[]);
        assert_eq!(code, Some(2), "{arguments:?}: {error}");
        assert_eq!(out, "", "{arguments:?}");
        assert_eq!(error.lines().count(), 1, "{arguments:?}: {error}");
        assert!(error.contains(says), "{arguments:?}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    let variables = [("SIAR_CHANNELS", path), ("SIAR_LISTEN", "nonsense")];
    let (code, _, error) = run(&[], &variables);
    assert_eq!(code, Some(2), "{error}");
}

#[test]
fn help_lists_every_flag() {
    let (code, out, error) = run(&["--help"], &[]);
    assert_eq!((code, error.as_str()), (Some(0), ""));
    for flag in [
        "--channels",
        "--config-secret",
        "--config-file",
        "--gateway",
        "--default-namespace",
        "--listen",
        "--listen-tls",
        "--tls-dir",
        "--admin",
        "--redis",
        "--redis-secret-dir",
        "--redis-key-prefix",
        "--allow-targets",
        "--trusted-proxies",
        "--cookie",
        "--workers",
        "--endpoint-delay",
        "--drain",
        "--log",
        "--log-format",
        "--ready-file",
    ] {
        assert!(out.contains(flag), "{flag} in {out}");
        let variable = format!(
            "SIAR_{}",
            flag.trim_start_matches('-')
                .to_uppercase()
                .replace('-', "_")
        );
        assert!(
            out.contains(&variable) || out.contains("SIAR_ and its name"),
            "{variable}"
        );
    }
    assert!(out.contains("check"));
    let (code, out, _) = run(&["--version"], &[]);
    assert_eq!(code, Some(0));
    assert!(out.starts_with("siar-gateway "), "{out}");
}

#[tokio::test]
async fn every_flag_may_be_a_variable_and_the_flag_wins() {
    let theirs = Channel::open("c").namespace("shop").manifest();
    let setup = GatewaySetup::new().file("c", vec![theirs]);
    let setup = setup
        .env("SIAR_DEFAULT_NAMESPACE", "shop")
        .env("SIAR_WORKERS", "0");
    let gateway = setup.env("SIAR_LOG_FORMAT", "json").start().await;
    assert_eq!(gateway.get("/history?channel=c").await.status, 200);
    gateway.until_logged(&["{", "\"level\":\"INFO\""]).await;
    let workers = gateway
        .metrics()
        .await
        .values("siar_worker_busy_ratio", "worker");
    assert_eq!(workers, ["0", "1"], "the harness says --workers 2");
}

#[tokio::test]
async fn a_port_that_is_taken_is_told_and_not_shared() {
    let first = Gateway::serving(&Channel::open("a")).await;
    let path = first.channels().display().to_string();
    let (public, admin) = (first.public().to_string(), first.admin().to_string());
    for (flag, taken, other) in [
        ("--listen", &public, "--admin"),
        ("--admin", &admin, "--listen"),
    ] {
        let (code, _, error) = run(
            &["--channels", &path, flag, taken, other, "127.0.0.1:0"],
            &[],
        );
        assert_eq!(code, Some(1), "{error}");
        assert!(error.contains(taken.as_str()), "{error}");
    }
    let _ = first.get("/history?channel=a").await.expect(200);
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_is_named_at_the_start() {
    let broken = folder(&[
        ("tls.crt", "no certificate".into()),
        ("tls.key", "no key".into()),
    ]);
    let channels = folder(&[("a.yaml", open("a"))]);
    let (code, _, error) = run(
        &[
            "--channels",
            channels.path().to_str().unwrap(),
            "--listen",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
            "--listen-tls",
            "127.0.0.1:0",
            "--tls-dir",
            broken.path().to_str().unwrap(),
        ],
        &[],
    );
    assert!(matches!(code, Some(1 | 2)), "{code:?} {error}");
    assert!(error.contains("tls.crt"), "{error}");
}

#[tokio::test]
async fn the_examples_are_served() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../gateway/examples");
    let setup = GatewaySetup::new().flag("--channels", &examples.display().to_string());
    let gateway = setup.start().await;
    let mut listener = gateway.listen("orders").await;
    gateway.publish("orders", "two coffees").await;
    assert_eq!(listener.next().await.data, "two coffees");
    let status = gateway.status().await;
    let names: Vec<&String> = status["channels"].as_object().unwrap().keys().collect();
    assert_eq!(
        json!(names),
        json!([
            "default/inbox",
            "default/news",
            "default/orders",
            "default/sse"
        ])
    );
}

/// A token that `siar-gateway token` prints for the inbox of the examples.
fn minted(further: &[&str]) -> String {
    let mut arguments = vec!["token"];
    arguments.extend(further);
    let environment = [("SIAR_SECRET", "example-key-of-the-inbox-32-bytes-long")];
    let (code, token, error) = run(&arguments, &environment);
    assert_eq!((code, &*error), (Some(0), ""));
    token.trim_end().to_owned()
}

#[tokio::test]
async fn a_minted_token_opens_its_inbox_of_the_examples_and_no_other() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../gateway/examples");
    let setup = GatewaySetup::new().flag("--channels", &examples.display().to_string());
    let gateway = setup.start().await;
    let ana = minted(&["--sub", "ana"]);
    let mut inbox = gateway.listen("inbox.ana").token(&ana).await;
    let other = gateway.listen("inbox.ben").token(&ana).refused().await;
    assert_eq!((other.status, &*other.word()), (403, "not-admitted"));
    let post = |token: &str| {
        gateway
            .post(&[("channel", "inbox.ana")], "mail")
            .token(token)
    };
    assert_eq!(post(&ana).send().await.status, 403);
    let sender = minted(&["--claim", "role=sender", "--expires", "1m"]);
    let _ = post(&sender).send().await.expect(200);
    assert_eq!(inbox.next().await.data, "mail");
}

#[test]
fn a_token_without_a_good_key_is_not_minted() {
    for (arguments, said) in [
        (&["token"][..], "--secret"),
        (&["token", "--secret", "hunter2"], "shorter than 32 bytes"),
        (&["token", "--secret-file", "/nowhere"], "cannot be read"),
        (
            &["token", "--secret", "x", "--expires", "0s"],
            "use 1s to 8760h",
        ),
        (&["token", "--secret", "x", "--claim", "role"], "name=JSON"),
    ] {
        let (code, out, error) = run(arguments, &[]);
        assert_eq!((code, &*out), (Some(2), ""), "{arguments:?}");
        assert!(
            error.contains(said) && !error.contains("hunter2"),
            "{error}"
        );
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}
