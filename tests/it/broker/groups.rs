//! Many servers with TLS: a cluster, and a master behind Sentinels.
//!
//! Owns: that the authority of the Secret is believed for every server that others name, and no other one.

use super::features;
use crate::{Gateway, GatewaySetup};
use std::sync::Arc;
use tests::certs::Certs;
use tests::redis::{RedisCluster, Sentinels};

fn setup(url: &str, authority: &tempfile::TempDir) -> GatewaySetup {
    let folder = authority.path().display().to_string();
    let setup = GatewaySetup::new().redis(url);
    setup.flag("--redis-secret-dir", &folder)
}

/// A folder with the authority of `certs`.
fn authority(certs: &Certs) -> tempfile::TempDir {
    let folder = tests::process::folder();
    std::fs::copy(certs.path("ca.crt"), folder.path().join("ca.crt")).unwrap();
    folder
}

/// Publishing is refused, since nobody is believed.
async fn is_not_reached(gateway: &Gateway) {
    let answer = gateway.post(&[("channel", "kept")], "x").send().await;
    assert_eq!(answer.status, 503, "{}", answer.text());
    assert_eq!(gateway.metrics().await.sum("siar_redis_up", &[]), 0.0);
}

#[tokio::test]
async fn a_cluster_with_tls_serves_whoever_has_its_authority() {
    let certs = Arc::new(Certs::new());
    let cluster = RedisCluster::tls(&certs).await;
    let known = authority(&certs);
    let gateways = features::pair(&features::quiet(), setup(&cluster.url(), &known)).await;
    features::publish_and_listen(&gateways).await;
    let other = authority(&Certs::new());
    let setup = setup(&cluster.url(), &other).channel(&features::quiet()[0]);
    is_not_reached(&setup.start().await).await;
}

#[tokio::test]
async fn sentinels_with_tls_and_their_servers_serve_whoever_has_their_authority() {
    let certs = Arc::new(Certs::new());
    let mut group = Sentinels::tls(&certs).await;
    let known = authority(&certs);
    let gateways = features::pair(&features::quiet(), setup(&group.url(), &known)).await;
    features::publish_and_listen(&gateways).await;
    let [gateway, _other] = &gateways;
    let mut listener = gateway.listen("kept").await;
    let _ = group.failover().await;
    let key = "after the failover";
    tests::wait::until("the new master to be published to", || async {
        let ask = gateway.post(&[("channel", "kept")], key);
        let answer = ask.header("Idempotency-Key", key).send().await;
        (answer.status == 200)
            .then_some(())
            .ok_or_else(|| answer.text())
    })
    .await;
    while listener.event().await.data != key {}
    let other = authority(&Certs::new());
    let setup = setup(&group.url(), &other).channel(&features::quiet()[0]);
    is_not_reached(&setup.start().await).await;
}
