//! The operator as a process: how it ends, and what it says of mistakes.

use super::*;
use std::process::{Command, Output};
use std::time::{Duration, Instant};
use tests::gateway::binary;

/// Runs it with these flags and waits for its end.
fn run(flags: &[&str], kubeconfig: &str) -> Output {
    let mut command = Command::new(binary("siar-operator"));
    command.args(flags).env("KUBECONFIG", kubeconfig);
    command.args(["--admin", "127.0.0.1:0"]);
    command.output().expect("the operator can be run")
}

#[track_caller]
fn check(flags: &[&str], kubeconfig: &str, code: i32, words: &[&str]) {
    let Output {
        status,
        stdout,
        stderr,
    } = run(flags, kubeconfig);
    let text = String::from_utf8_lossy(&stderr).into_owned();
    assert_eq!(status.code(), Some(code), "{text}");
    assert!(stdout.is_empty());
    let told: Vec<&str> = text
        .lines()
        .filter(|line| !line.contains(" INFO "))
        .collect();
    assert_eq!(told.len(), 1, "{text}");
    for word in words {
        assert!(told[0].contains(word), "{word}: {text}");
    }
}

#[test]
fn a_wrong_command_line_ends_with_2_and_one_sentence() {
    for (flags, word) in [
        (&["--lease", "A"][..], "--lease"),
        (&["--scale-down-every", "0s"], "1s to 1h"),
        (&["--namespace", "a.b"], "--namespace"),
        (&["--no-such-flag"], "--no-such-flag"),
        (&["--log", "="], "--log"),
        (&["--allow-targets", "10.0.0.0/99"], "--allow-targets"),
    ] {
        check(flags, "/nowhere", 2, &[word]);
    }
}

#[test]
fn a_kubeconfig_that_is_not_there_ends_with_1_and_one_line() {
    let words = ["ERROR", "the operator cannot start", "/nowhere/kubeconfig"];
    check(&[], "/nowhere/kubeconfig", 1, &words);
}

#[tokio::test]
async fn a_signal_ends_it_at_once_also_without_an_api_server() {
    let mut cluster = Cluster::start().await;
    cluster.install_crd().await;
    let mut operator = Operator::start(&cluster).await;
    leaders::until_leads(&operator, Duration::from_secs(30)).await;
    cluster.freeze();
    let asked = Instant::now();
    operator.term();
    assert_eq!(operator.exit().await.code(), Some(0));
    let hanging = asked.elapsed();
    cluster.thaw();
    cluster.kill9();
    operator.start_again().await;
    assert_eq!(operator.probe("/readyz").await.0, 503);
    assert_eq!(operator.probe("/livez").await.0, 200);
    let asked = Instant::now();
    operator.term();
    assert_eq!(operator.exit().await.code(), Some(0));
    let gone = asked.elapsed();
    println!("{hanging:?} while it hangs, {gone:?} while it is gone");
    assert!(hanging < Duration::from_secs(7), "{hanging:?}");
    assert!(gone < Duration::from_secs(2), "{gone:?}");
}
