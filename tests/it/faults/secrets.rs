//! Other passwords, other authorities: in the server first, then in the files of the gateways.

use super::*;
use std::path::Path;
use tests::certs::Certs;

pub const OLD: &str = "old-password-of-the-test";
pub const NEW: &str = "new-password-of-the-test";

/// Two gateways under load whose secrets are in that folder.
async fn with_secrets(redis: &Redis, folder: &Path) -> Trial {
    let start = || {
        on(&redis.url())
            .flag("--redis-secret-dir", &folder.display().to_string())
            .start()
    };
    let gateways = vec![start().await, start().await];
    let setup = if redis.url().starts_with("rediss") {
        "standalone, TLS"
    } else {
        "standalone, password"
    };
    Trial::begin(setup, gateways, PLAN).await
}

/// Replaces a file as a whole, as the kubelet does.
pub fn write(folder: &Path, name: &str, text: &str) {
    let new = folder.join(format!(".{name}.new"));
    std::fs::write(&new, text).unwrap();
    std::fs::rename(&new, folder.join(name)).unwrap();
}

#[tokio::test]
async fn another_password() {
    let mut redis = alone().password(OLD).start().await;
    let folder = tests::process::folder();
    write(folder.path(), "password", OLD);
    let mut trial = with_secrets(&redis, folder.path()).await;
    trial.breaks();
    redis.change_password(NEW).await;
    kill_all(&mut redis).await;
    stays(AWAY).await;
    write(folder.path(), "password", NEW);
    trial.mended(redis.until_master().await);
    let mut outcome = trial
        .end("password changed, then its file", Told::Down)
        .await;
    outcome.tells_no_gap();
    for gateway in &mut outcome.gateways {
        let log = gateway.process().log();
        assert!(!log.contains(OLD) && !log.contains(NEW), "{log}");
    }
}

#[tokio::test]
async fn another_authority_and_a_restart() {
    let mut redis = alone()
        .tls(Certs::new())
        .directive("appendonly", "yes")
        .start()
        .await;
    let folder = tests::process::folder();
    write(folder.path(), "ca.crt", &redis.certs().pem("ca.crt"));
    let mut trial = with_secrets(&redis, folder.path()).await;
    trial.breaks();
    redis.shut_down().await;
    redis.certs().renew_authority();
    redis.start_again().await;
    stays(AWAY).await;
    write(folder.path(), "ca.crt", &redis.certs().pem("ca.crt"));
    trial.mended(redis.until_master().await);
    let outcome = trial
        .end("new CA, restart, then its file", Told::Down)
        .await;
    outcome.tells_one_gap_at_most();
}

/// First both authorities are trusted, then the server changes to the new one without a restart: nothing breaks for longer
/// than it takes to connect again.
#[tokio::test]
async fn another_authority_that_was_trusted_before() {
    let mut redis = alone().tls(Certs::new()).start().await;
    // The test's own connection is made while the old authority still counts.
    let _: String = redis.run(&mut redis::cmd("PING")).await;
    let folder = tests::process::folder();
    let old = redis.certs().pem("ca.crt");
    write(folder.path(), "ca.crt", &old);
    let mut trial = with_secrets(&redis, folder.path()).await;
    redis.certs().renew_authority();
    write(
        folder.path(),
        "ca.crt",
        &(old + &redis.certs().pem("ca.crt")),
    );
    trial.steady.round().await;
    trial.breaks();
    redis.reload_certs().await;
    kill_all(&mut redis).await;
    trial.mended(redis.until_master().await);
    let outcome = trial
        .end("new CA in its file, then in use", Told::Reconnect)
        .await;
    outcome.tells_no_gap();
}
