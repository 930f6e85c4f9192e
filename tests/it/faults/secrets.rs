//! Other passwords, other authorities: in the servers first, then in the files of the gateways, or the other way round.

use super::*;
use std::path::Path;
use std::time::Instant;
use tempfile::TempDir;
use tests::certs::Certs;

pub const OLD: &str = "old-password-of-the-test";
/// The password of Sentinels, which ask for one of their own.
pub const GUARDS: &str = "password-of-the-guards";
pub const NEW: &str = "new-password-of-the-test";

/// Two gateways under load whose secrets are in that folder.
pub async fn with_secrets(setup: &str, url: &str, folder: &Path) -> Trial {
    let folder = folder.display().to_string();
    let start = || on(url).flag("--redis-secret-dir", &folder).start();
    let gateways = vec![start().await, start().await];
    Trial::begin(setup, gateways, PLAN).await
}

/// Replaces a file as a whole, as the kubelet does.
pub fn write(folder: &Path, name: &str, text: &str) {
    let new = folder.join(format!(".{name}.new"));
    std::fs::write(&new, text).unwrap();
    std::fs::rename(&new, folder.join(name)).unwrap();
}

/// Has all servers ask for another password, of each other, too; after a while it is in the file of the gateways.
pub async fn change_password(mut trial: Trial, servers: &mut [Redis], folder: &Path) {
    trial.breaks();
    for server in servers.iter_mut() {
        let mut set = redis::cmd("CONFIG");
        let () = server.run(set.arg("SET").arg("masterauth").arg(NEW)).await;
        server.change_password(NEW).await;
    }
    for server in servers {
        kill_all(server).await;
    }
    stays(AWAY).await;
    write(folder, "password", NEW);
    trial.mended(Instant::now());
    let fault = "password changed, then its file";
    let mut outcome = trial.end(fault, Told::Down).await;
    outcome.tells_no_gap();
    for gateway in &mut outcome.gateways {
        let log = gateway.process().log();
        let told = [OLD, NEW, GUARDS].iter().any(|word| log.contains(word));
        assert!(!told, "{log}");
    }
}

/// Two gateways under load that trust the authority of these servers, and from now on another one beside it.
pub async fn trusting_both(setup: &str, url: &str, certs: &Certs) -> (TempDir, Trial) {
    let folder = tests::process::folder();
    write(folder.path(), "ca.crt", &certs.pem("ca.crt"));
    let trial = with_secrets(setup, url, folder.path()).await;
    renew_authority(certs, folder.path());
    (folder, trial)
}

/// Makes another authority and a certificate of it. Gateways trust it beside the old one from now on, and servers do both
/// once they read their files anew.
fn renew_authority(certs: &Certs, folder: &Path) {
    let old = certs.pem("ca.crt");
    certs.renew_authority();
    let both = old + &certs.pem("ca.crt");
    write(certs.folder(), "ca.crt", &both);
    write(folder, "ca.crt", &both);
}

/// Has all servers present the certificate of an authority that is trusted by now. None is restarted, so nothing breaks for
/// longer than it takes to connect again.
pub async fn change_certificate(mut trial: Trial, servers: &mut [Redis]) {
    trial.steady.round().await;
    trial.breaks();
    for server in servers.iter_mut() {
        server.reload_certs().await;
    }
    for server in servers {
        kill_all(server).await;
    }
    trial.mended(Instant::now());
    let fault = "new CA in its file, then in use";
    let outcome = trial.end(fault, Told::Reconnect).await;
    outcome.tells_no_gap();
}

#[tokio::test]
async fn another_password() {
    let mut redis = alone().password(OLD).start().await;
    let folder = tests::process::folder();
    write(folder.path(), "password", OLD);
    let trial = with_secrets("standalone, password", &redis.url(), folder.path()).await;
    let servers = std::slice::from_mut(&mut redis);
    change_password(trial, servers, folder.path()).await;
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
    let mut trial = with_secrets("standalone, TLS", &redis.url(), folder.path()).await;
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

#[tokio::test]
async fn another_authority_that_was_trusted_before() {
    let mut redis = alone().tls(Certs::new()).start().await;
    let url = redis.url();
    let (_folder, trial) = trusting_both("standalone, TLS", &url, redis.certs()).await;
    change_certificate(trial, std::slice::from_mut(&mut redis)).await;
}
